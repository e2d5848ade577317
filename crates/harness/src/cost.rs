//! What a process costs: processor time and memory, from `/proc`.

use std::fs;
use std::io;
use std::time::Duration;

/// `/proc` counts time in hundredths of a second: Linux fixes this unit (USER_HZ) for programs.
const TICK: Duration = Duration::from_millis(10);

/// Processor time and memory of a process at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    /// Time on processors in user and kernel mode, all threads.
    pub cpu: Duration,
    /// Resident bytes now.
    pub resident: u64,
    /// Most resident bytes since the start.
    pub resident_max: u64,
}

/// Reads the cost of a process.
///
/// # Errors
/// When there is no such process, or no `/proc`.
pub fn of_process(pid: u32) -> io::Result<Cost> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let ticks = cpu_ticks(&stat).ok_or_else(|| io::Error::other(format!("/proc/{pid}/stat: {stat}")))?;
    Ok(Cost {
        cpu: TICK * u32::try_from(ticks).unwrap_or(u32::MAX),
        resident: kibibytes(&status, "VmRSS:") << 10,
        resident_max: kibibytes(&status, "VmHWM:") << 10,
    })
}

/// User and system time in clock ticks: fields 14 and 15, counted after the name, which may hold anything.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let after_name = stat.rsplit_once(") ")?.1;
    let mut fields = after_name.split(' ').skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

fn kibibytes(status: &str, name: &str) -> u64 {
    let value = status.lines().find_map(|line| line.strip_prefix(name));
    value.and_then(|value| value.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_with_a_strange_name_is_read() {
        let stat = "7 (a) b ( c) S 1 2 3 4 5 6 7 8 9 10 123 77 0 0 20";
        assert_eq!(cpu_ticks(stat), Some(200));
        assert_eq!(kibibytes("VmHWM:\t  99 kB\nVmRSS:\t  42 kB\n", "VmRSS:"), 42);
    }

    #[test]
    fn this_process_has_a_cost() {
        let cost = of_process(std::process::id()).expect("this process runs");
        assert!(cost.resident > 100_000 && cost.resident_max >= cost.resident, "{cost:?}");
    }
}
