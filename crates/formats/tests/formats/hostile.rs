//! Broken and hostile input gets a code; nothing panics, hangs or takes memory that its size does not justify.

use zepto_formats::{Format, FormatSettings};

use super::golden::bytes;
use super::round_trip::{ROWS, TABLE};
use super::support::{read, read_in, table, write};

#[derive(serde::Deserialize)]
struct Case {
    format: String,
    columns: String,
    data: String,
    /// Base64 is repeated this often before `end`, for deep nesting.
    #[serde(default)]
    repeat: usize,
    #[serde(default)]
    end: String,
    code: u32,
}

#[test]
fn every_hostile_input_is_refused_with_its_code() {
    let corpus = include_str!("../../../../tests/corpus/formats/hostile.jsonl");
    let (mut wrong, mut count) = (Vec::new(), 0);
    for line in corpus.lines() {
        let case: Case = serde_json::from_str(line).unwrap();
        let mut data = bytes(&case.data).repeat(case.repeat.max(1));
        data.extend(bytes(&case.end));
        count += 1;
        let table = table(&case.columns);
        let format = Format::parse(&case.format).unwrap();
        for piece in [usize::MAX, 3] {
            if piece == 3 && data.len() > 10_000 {
                continue;
            }
            let found = read_in(format, &table, &FormatSettings::default(), &data, piece);
            let code = found.as_ref().map_or_else(|error| error.code.number(), |_| 0);
            if code != case.code {
                let text = String::from_utf8_lossy(&data[..data.len().min(80)]).into_owned();
                wrong.push(format!(
                    "{} {} {text:?} ({piece}): {code}, not {} {:?}",
                    case.format,
                    case.columns,
                    case.code,
                    found.err()
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count >= 100, "{count}");
}

/// A small generator, so that a failure repeats.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// Damaged inputs of each format and of each corpus line, and the seed; a soak asks for more and for other seeds.
fn rounds() -> (usize, u64) {
    let number =
        |name: &str| std::env::var_os(name).map(|text| text.to_string_lossy().parse::<u64>().unwrap());
    let factor = number("ZEPTO_TEST_FACTOR").unwrap_or(1).max(1) as usize;
    (factor, number("ZEPTO_TEST_SEED").unwrap_or(0x9E37_79B9_7F4A_7C15).max(1))
}

fn damage(data: &mut Vec<u8>, noise: &mut Noise) {
    for _ in 0..=noise.next() % 4 {
        if data.is_empty() {
            data.push(0);
        }
        let at = noise.next() as usize % data.len();
        match noise.next() % 5 {
            0 => data.truncate(at.max(1)),
            1 => data[at] = noise.next() as u8,
            2 => data[at] ^= 1 << (noise.next() % 8),
            3 => data[at] = [0, 0xFF, b'\\', b'\'', b'"', b'{', b'(', b'['][noise.next() as usize % 8],
            _ => drop(data.remove(at)),
        }
    }
}

#[test]
fn damaged_input_of_any_format_is_read_or_refused() {
    let rows_table = table(TABLE);
    let settings = FormatSettings::default();
    let rows = read(Format::Values, &rows_table, &settings, ROWS.as_bytes()).unwrap();
    let (factor, seed) = rounds();
    let mut inputs: Vec<_> = Format::ALL
        .iter()
        .copied()
        .filter(|format| format.can_read() && format.can_write())
        .map(|format| (format, rows_table.clone(), write(format, &rows_table, &settings, &rows), 400))
        .collect();
    for line in include_str!("../../../../tests/corpus/formats/hostile.jsonl").lines() {
        let case: Case = serde_json::from_str(line).unwrap();
        let data = bytes(&case.data);
        if data.len() < 10_000 {
            inputs.push((Format::parse(&case.format).unwrap(), table(&case.columns), data, 4));
        }
    }
    std::panic::set_hook(Box::new(|_| {}));
    let mut noise = Noise(seed);
    let (mut panics, mut count) = (Vec::new(), 0);
    for (format, table, whole, cases) in &inputs {
        for _ in 0..cases * factor {
            let mut data = whole.clone();
            damage(&mut data, &mut noise);
            count += 1;
            let outcome =
                std::panic::catch_unwind(|| read(*format, table, &settings, &data).map(|rows| rows.len()));
            if outcome.is_err() {
                panics.push(format!("{} {:?}", format.name(), String::from_utf8_lossy(&data)));
            }
        }
    }
    drop(std::panic::take_hook());
    println!("{count} damaged inputs, seed {seed}");
    assert!(panics.is_empty(), "seed {seed}: {} panics:\n{}", panics.len(), panics.join("\n"));
}
