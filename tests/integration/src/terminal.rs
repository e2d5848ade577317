//! A program on a pseudo-terminal: what a person types goes in, what the terminal is told comes out.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::pty::{Winsize, openpty};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How long the terminal may stay silent about what is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running program and its terminal; killed when dropped.
#[derive(Debug)]
pub struct Terminal {
    keyboard: File,
    screen: Receiver<Vec<u8>>,
    child: Child,
    /// All that was shown so far, without colours and the like.
    shown: String,
    /// Up to where it was looked at.
    seen: usize,
    /// Bytes that end inside a character or an escape.
    rest: Vec<u8>,
}

impl Terminal {
    /// Starts a program on a terminal of 50 lines and 160 columns.
    ///
    /// # Errors
    /// When there is no terminal to be had, or no such program.
    pub fn start(command: &mut Command) -> Result<Self> {
        let size = Winsize { ws_row: 50, ws_col: 160, ws_xpixel: 0, ws_ypixel: 0 };
        let pair = openpty(Some(&size), None).context("no pseudo-terminal")?;
        let (master, slave) = (File::from(pair.master), File::from(pair.slave));
        command.env("TERM", "xterm").stdin(slave.try_clone()?).stdout(slave.try_clone()?);
        let child = command.stderr(slave).spawn().with_context(|| format!("{command:?}"))?;
        // The command still holds the terminal's other end; without it the reader sees the program's end.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let (tell, screen) = channel();
        let mut reader = master.try_clone()?;
        thread::spawn(move || {
            let mut part = [0; 4096];
            // The last program's end is EIO on Linux.
            while let Ok(length @ 1..) = reader.read(&mut part) {
                if tell.send(part[..length].to_vec()).is_err() {
                    return;
                }
            }
        });
        Ok(Self { keyboard: master, screen, child, shown: String::new(), seen: 0, rest: Vec::new() })
    }

    /// Presses keys; Enter is `\r`, Tab `\t`, arrow up `\x1b[A`.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn press(&mut self, keys: &str) -> Result<()> {
        Ok(self.keyboard.write_all(keys.as_bytes())?)
    }

    /// Waits until this text is shown behind what was waited for before; gives what came up to its end.
    ///
    /// # Errors
    /// When it is not shown in time, or the program ends first; the message has what was shown instead.
    pub fn wait_for(&mut self, text: &str) -> Result<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(at) = self.shown[self.seen..].find(text) {
                let start = self.seen;
                self.seen += at + text.len();
                return Ok(self.shown[start..self.seen].to_owned());
            }
            if let Err(error) = self.read(deadline) {
                bail!("`{text}` was not shown ({error}), but:\n{}", &self.shown[self.seen..]);
            }
        }
    }

    /// Sends SIGINT, as the terminal does for Ctrl-C while a program leaves the keys to it.
    ///
    /// # Errors
    /// When the program has ended.
    pub fn interrupt(&self) -> Result<()> {
        Ok(kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGINT)?)
    }

    /// Waits for the program's end.
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn end(mut self) -> Result<ExitStatus> {
        let deadline = Instant::now() + PATIENCE;
        while self.read(deadline).is_ok() {}
        if Instant::now() >= deadline {
            bail!("the program does not end; it showed:\n{}", &self.shown[self.seen..]);
        }
        Ok(self.child.wait()?)
    }

    fn read(&mut self, deadline: Instant) -> Result<(), RecvTimeoutError> {
        let part = self.screen.recv_timeout(deadline.saturating_duration_since(Instant::now()))?;
        self.rest.extend_from_slice(&part);
        let used = plain(&self.rest, &mut self.shown);
        self.rest.drain(..used);
        Ok(())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _already_gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// Appends the text among a terminal's bytes; gives how many were used: an escape or a character that is cut
/// waits for its end.
fn plain(bytes: &[u8], out: &mut String) -> usize {
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] == 0x1B {
            let sequence = &bytes[at + 1..];
            let length = match sequence.first() {
                None => return at,
                Some(b'[') => match sequence[1..].iter().position(|byte| (0x40..=0x7E).contains(byte)) {
                    None => return at,
                    Some(end) => end + 2,
                },
                Some(_) => 1,
            };
            at += 1 + length;
            continue;
        }
        let end = bytes[at..].iter().position(|byte| *byte == 0x1B).map_or(bytes.len(), |end| at + end);
        match std::str::from_utf8(&bytes[at..end]) {
            Ok(text) => out.push_str(text),
            Err(error) if error.error_len().is_none() && end == bytes.len() => {
                let good = at + error.valid_up_to();
                out.push_str(&String::from_utf8_lossy(&bytes[at..good]));
                return good;
            }
            Err(_) => out.push_str(&String::from_utf8_lossy(&bytes[at..end])),
        }
        at = end;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_left_out_wherever_the_bytes_are_cut() {
        let bytes = "a\u{1b}[1;31mü\u{1b}[0m b\u{1b}[K┌\r\n".as_bytes();
        for cut in 0..=bytes.len() {
            let mut out = String::new();
            let used = plain(&bytes[..cut], &mut out);
            plain(&bytes[used..], &mut out);
            assert_eq!(out, "aü b┌\r\n", "cut at {cut}");
        }
    }
}
