//! Reading all logs of a folder after a start.
//!
//! Files come in the order of (start of the node, thread, sequence). Within one start a partition belongs to one
//! thread, so each partition's positions grow whatever the number of threads was before and is now. Memory is
//! bounded: a window of one file and one frame.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zepto_common::{Boot, DiskId};

use super::LogPosition;
use super::chain::{Chain, LogHeads};
use super::codec::{
    Content, FILE_HEADER_BYTES, FileHeader, FileIdentity, HeaderFault, Unreadable, decode_frame, encode_seal,
};
use super::files::FileName;
use super::frame::Frame;
use super::scan::Scanner;
use super::summary::{OldLog, ReplaySummary, TornTail, remove};
use crate::disk::{Disk, read_full};
use crate::error::{EngineError, IoAction, Result};

/// Bytes of a last group that are written again at once.
const COPY_BYTES: usize = 1 << 20;

/// How to replay.
#[derive(Debug, Clone)]
pub struct ReplayOptions {
    /// Identity of the data directory: files of another one are refused.
    pub disk_id: DiskId,
    /// Cut damage off the end of a thread's newest file instead of refusing to start. Rows are lost.
    pub allow_corrupt_tail: bool,
    /// The files with which the last start began; None if it left no list.
    pub heads: Option<LogHeads>,
}

/// What the first bytes of a file say.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Beginning {
    /// It was begun under its name.
    Begun(FileHeader),
    /// It was made, or taken from the spares, and not begun: perhaps its first write was torn.
    NotBegun,
}

#[derive(Debug)]
struct FoundFile {
    path: PathBuf,
    name: FileName,
    beginning: Beginning,
    /// No later file of this thread was begun.
    newest: bool,
}

/// How the frames of a thread's newest file ended.
#[derive(Debug)]
struct Ending {
    path: PathBuf,
    identity: FileIdentity,
    /// Where the last group begins: below, all was synced when it was written.
    last_group: u64,
    offset: u64,
}

/// Frames of all logs; [`Self::finish`] must be called before a new log is opened.
#[derive(Debug)]
pub struct Replay {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    options: ReplayOptions,
    /// Files to come, last first.
    files: Vec<FoundFile>,
    current: Option<Current>,
    /// Of the newest files.
    endings: Vec<Ending>,
    /// Files without any frame of their own.
    not_begun: Vec<PathBuf>,
    chain: Chain,
    summary: ReplaySummary,
    thread: u16,
    failed: bool,
}

#[derive(Debug)]
struct Current {
    scanner: Scanner,
    path: PathBuf,
    identity: FileIdentity,
    boot: Boot,
    newest: bool,
    /// Its length was durable before its first byte.
    length_durable: bool,
    /// From the header: bytes that the file was made with, 0 for not known.
    reserved: u64,
    last_group: u64,
    offset: u64,
    frames: u64,
}

/// Begins a replay of every log in `dir`; no folder means no frames.
///
/// # Errors
/// `Corrupt` for a file of another disk or with a damaged header that others follow; `TooNew`; `Io`.
pub fn replay(disk: Arc<dyn Disk>, dir: &Path, options: ReplayOptions) -> Result<Replay> {
    let mut summary = ReplaySummary::default();
    let mut files = Vec::new();
    let names = match disk.list(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        names => names.map_err(|error| EngineError::io(IoAction::List, dir, &error))?,
    };
    for name in names.iter().filter_map(|name| FileName::parse(name)) {
        let highest = summary.highest.entry(name.thread).or_default();
        *highest = name.sequence.max(*highest);
        if name.spare {
            summary.spares.insert(name.thread);
        } else {
            files.push(survey(disk.as_ref(), dir, name, &options)?);
        }
    }
    order(&mut files)?;
    let heads = options.heads.clone();
    Ok(Replay {
        disk,
        dir: dir.to_owned(),
        options,
        files,
        current: None,
        endings: Vec::new(),
        not_begun: Vec::new(),
        chain: Chain::new(dir, heads),
        summary,
        thread: 0,
        failed: false,
    })
}

/// One frame of a log, read again.
///
/// # Errors
/// `Io`; `Corrupt` when it is not there.
pub(crate) fn read_frame(
    disk: &dyn Disk,
    dir: &Path,
    (disk_id, thread): (DiskId, u16),
    at: LogPosition,
) -> Result<Frame> {
    let path = FileName::log(thread, at.sequence).in_dir(dir);
    let identity = FileIdentity { disk_id, thread, sequence: at.sequence };
    let mut scanner = open_scanner(disk, &path, identity)?.for_a_glance();
    let gone = || EngineError::corrupt(&path, at.offset, "a frame that was written is not there".to_owned());
    let scanned = scanner.frame(at.offset).map_err(read_error(&path))?.ok_or_else(gone)?;
    match decode_frame(&scanned.header, scanned.body) {
        Ok(Content::Frame(frame)) => Ok(frame),
        _ => Err(gone()),
    }
}

fn read_error(path: &Path) -> impl Fn(io::Error) -> EngineError + '_ {
    move |error| EngineError::io(IoAction::Read, path, &error)
}

fn identity_of(name: FileName, options: &ReplayOptions) -> FileIdentity {
    FileIdentity { disk_id: options.disk_id, thread: name.thread, sequence: name.sequence }
}

fn open_scanner(disk: &dyn Disk, path: &Path, identity: FileIdentity) -> Result<Scanner> {
    let file = disk.open(path).map_err(|error| EngineError::io(IoAction::Open, path, &error))?;
    Scanner::new(file, identity).map_err(read_error(path))
}

fn survey(disk: &dyn Disk, dir: &Path, name: FileName, options: &ReplayOptions) -> Result<FoundFile> {
    let path = name.in_dir(dir);
    let identity = identity_of(name, options);
    let header = open_scanner(disk, &path, identity)?.file_header().map_err(read_error(&path))?;
    let beginning = match header {
        Ok(header) if header.identity.disk_id != options.disk_id => {
            let what = format!("it belongs to disk {}, not {}", header.identity.disk_id, options.disk_id);
            return Err(EngineError::corrupt(&path, 0, what));
        }
        Ok(header) if header.identity == identity => Beginning::Begun(header),
        Ok(header) if header.identity.thread == name.thread && header.identity.sequence < name.sequence => {
            Beginning::NotBegun
        }
        Ok(header) => {
            let FileIdentity { thread, sequence, .. } = header.identity;
            let what = format!("its header says thread {thread}, sequence {sequence}");
            return Err(EngineError::corrupt(&path, 0, what));
        }
        Err(HeaderFault::Newer(what)) => {
            return Err(EngineError::TooNew { path, offset: 0, what });
        }
        Err(HeaderFault::Bad) => Beginning::NotBegun,
    };
    Ok(FoundFile { path, name, beginning, newest: false })
}

/// Puts the files in the order of replay (last first, to be popped) and finds each thread's newest.
fn order(files: &mut [FoundFile]) -> Result<()> {
    let mut newest: BTreeMap<u16, u64> = BTreeMap::new();
    for file in files.iter().filter(|file| matches!(file.beginning, Beginning::Begun(_))) {
        let highest = newest.entry(file.name.thread).or_default();
        *highest = file.name.sequence.max(*highest);
    }
    for file in files.iter_mut() {
        let highest = newest.get(&file.name.thread).copied().unwrap_or(0);
        file.newest = file.name.sequence >= highest;
        if !file.newest && file.beginning == Beginning::NotBegun {
            return Err(EngineError::corrupt(&file.path, 0, "its header is damaged, and later files follow"));
        }
    }
    files.sort_by_key(|file| {
        let boot = match &file.beginning {
            Beginning::Begun(header) => header.boot.0,
            Beginning::NotBegun => u64::MAX,
        };
        std::cmp::Reverse((boot, file.name.thread, file.name.sequence))
    });
    Ok(())
}

impl Iterator for Replay {
    type Item = Result<(LogPosition, Frame)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let step = self.step();
        self.failed = step.is_err();
        step.transpose()
    }
}

impl Replay {
    /// The drain thread that wrote the last frame.
    pub(crate) fn thread(&self) -> u16 {
        self.thread
    }

    /// Makes the logs fit to be followed by new ones: the last group of each is made durable (it may stand in the
    /// page cache only), each newest file is sealed, files that never began are removed.
    ///
    /// # Errors
    /// `Internal` if frames are left or the replay failed; `Io`, `ReadOnlyDisk`, `DiskFull`.
    pub fn finish(mut self) -> Result<ReplaySummary> {
        if self.failed || self.current.is_some() || !self.files.is_empty() {
            return Err(EngineError::Internal(
                "a replay that did not reach its end cannot be finished".into(),
            ));
        }
        for ending in std::mem::take(&mut self.endings) {
            self.seal(&ending)?;
        }
        if !self.not_begun.is_empty() {
            self.not_begun.iter().try_for_each(|path| remove(self.disk.as_ref(), path))?;
            let synced = self.disk.sync_dir(&self.dir);
            synced.map_err(|error| EngineError::io(IoAction::Sync, &self.dir, &error))?;
        }
        Ok(self.summary)
    }

    /// The last group is written again: after a failed sync the kernel shows it and calls it clean, so that a sync
    /// alone would do nothing. Two syncs: a seal says that all before it is durable, so it may not be so first.
    fn seal(&self, ending: &Ending) -> Result<()> {
        let Ending { path, identity, last_group, offset } = ending;
        let file = self.disk.open(path).map_err(|error| EngineError::io(IoAction::Open, path, &error))?;
        let write = |bytes: &[u8], at| {
            file.write_at(bytes, at).map_err(|error| EngineError::io(IoAction::Write, path, &error))
        };
        let sync = || file.sync_data().map_err(|error| EngineError::io(IoAction::Sync, path, &error));
        let mut at = *last_group;
        let mut bytes = vec![0; COPY_BYTES];
        while at < *offset {
            let part = (*offset - at).min(COPY_BYTES as u64) as usize;
            let read = read_full(file.as_ref(), &mut bytes[..part], at).map_err(read_error(path))?;
            write(&bytes[..read], at)?;
            at += part as u64;
        }
        sync()?;
        let mut seal = Vec::new();
        encode_seal(&mut seal, identity, *offset, *offset, None);
        write(&seal, *offset)?;
        sync()
    }

    fn step(&mut self) -> Result<Option<(LogPosition, Frame)>> {
        loop {
            let Some(current) = &mut self.current else {
                match self.files.pop() {
                    Some(file) => self.begin(file)?,
                    None => return self.end().map(|()| None),
                }
                continue;
            };
            let (path, offset) = (current.path.clone(), current.offset);
            match current.scanner.frame(offset).map_err(read_error(&path))? {
                None => self.end_unsealed()?,
                Some(scanned) => {
                    let content =
                        decode_frame(&scanned.header, scanned.body).map_err(|fault| match fault {
                            Unreadable::Newer(what) => {
                                EngineError::TooNew { path: path.clone(), offset, what }
                            }
                            Unreadable::Wrong(what) => EngineError::corrupt(&path, offset, what),
                        })?;
                    let frame = match content {
                        Content::Frame(frame) => frame,
                        Content::Seal(next) => {
                            let FileIdentity { thread, sequence, .. } = current.identity;
                            let name = FileName::log(thread, sequence);
                            next.into_iter().for_each(|bytes| self.chain.goes_on(name, current.boot, bytes));
                            self.close_current();
                            continue;
                        }
                    };
                    current.last_group = scanned.header.synced;
                    current.offset += scanned.header.stride();
                    current.frames += 1;
                    self.thread = current.identity.thread;
                    return Ok(Some((LogPosition { sequence: current.identity.sequence, offset }, frame)));
                }
            }
        }
    }

    fn begin(&mut self, file: FoundFile) -> Result<()> {
        let identity = identity_of(file.name, &self.options);
        let scanner = open_scanner(self.disk.as_ref(), &file.path, identity)?;
        let mut current = Current {
            scanner,
            path: file.path,
            identity,
            boot: Boot(0),
            newest: file.newest,
            length_durable: false,
            reserved: 0,
            last_group: 0,
            offset: 0,
            frames: 0,
        };
        match file.beginning {
            Beginning::Begun(header) => {
                current.boot = header.boot;
                current.reserved = header.reserved;
                current.length_durable = self.chain.begin(file.name);
                current.offset = FILE_HEADER_BYTES as u64;
                self.current = Some(current);
            }
            Beginning::NotBegun => {
                if current.scanner.length() == 0 {
                    tracing::warn!(
                        path = %current.path.display(),
                        "this log file is empty: so it is after a loss of power while it was made, or on a full disk; if there \
                         was neither, somebody cut it and the rows in it are lost"
                    );
                }
                let met = self.chain.meet_unbegun(file.name, current.scanner.length());
                self.forgive(met)?;
                self.judge_tail(&mut current)?;
                self.not_begun.push(current.path);
            }
        }
        Ok(())
    }

    /// All files were read.
    fn end(&mut self) -> Result<()> {
        let judged = self.chain.finish();
        self.forgive(judged)
    }

    /// A lost end of a log stops the start unless that is permitted; then it is told.
    fn forgive(&mut self, judged: Result<()>) -> Result<()> {
        match judged {
            Err(EngineError::Corrupt { path, offset, what }) if self.options.allow_corrupt_tail => {
                tracing::warn!(path = %path.display(), what, "the end of a log is lost");
                self.summary.torn.push(TornTail { path, offset, bytes: 0, frames: 0, corrupt: true });
                Ok(())
            }
            judged => judged,
        }
    }

    /// The current file has no frame where one should begin.
    fn end_unsealed(&mut self) -> Result<()> {
        let Some(mut current) = self.current.take() else {
            return Ok(());
        };
        if !current.newest {
            let what = "a frame is missing or damaged, and later files follow";
            return Err(EngineError::corrupt(&current.path, current.offset, what));
        }
        self.judge_length(&current)?;
        self.judge_tail(&mut current)?;
        self.current = Some(current);
        self.close_current();
        Ok(())
    }

    /// A file's length is durable with its first group: once a later one is there, a shorter file was cut by somebody. Only
    /// a full disk makes the log itself cut a file, and then at a frame's end.
    fn judge_length(&self, current: &Current) -> Result<()> {
        let Current { scanner, path, reserved, last_group, offset, length_durable, .. } = current;
        let length = scanner.length();
        if length >= *reserved {
            return Ok(());
        }
        // What the log cuts itself ends with a frame, or before the header.
        let amid = length > *offset || *offset == FILE_HEADER_BYTES as u64;
        if (*last_group > 0 || *length_durable) && amid && !self.options.allow_corrupt_tail {
            let what = format!(
                "the file ends here, it was made with {reserved} bytes; if losing what stood behind is acceptable, start \
                 once with allow_corrupt_tail"
            );
            return Err(EngineError::corrupt(path, length, what));
        }
        tracing::warn!(
            path = %path.display(), length, reserved,
            "this log file is shorter than it was made: without a loss of power the rows behind its end are lost"
        );
        Ok(())
    }

    /// Tells a tail that was never synced from damage, at the end of a thread's newest file.
    fn judge_tail(&mut self, current: &mut Current) -> Result<()> {
        let Current { scanner, path, offset, .. } = current;
        let aftermath = scanner.aftermath(*offset).map_err(read_error(path))?;
        if let Some(proof) = aftermath.proof_of_damage
            && !self.options.allow_corrupt_tail
        {
            let what = format!(
                "the frame here is damaged (a good one follows at {proof}); if losing {} bytes is acceptable, \
                 start once with allow_corrupt_tail",
                aftermath.end - *offset
            );
            return Err(EngineError::corrupt(path, *offset, what));
        }
        if aftermath.end > *offset {
            let torn = TornTail {
                path: path.clone(),
                offset: *offset,
                bytes: aftermath.end - *offset,
                frames: aftermath.frames,
                corrupt: aftermath.proof_of_damage.is_some(),
            };
            tracing::warn!(path = %path.display(), offset, bytes = torn.bytes, corrupt = torn.corrupt, "log tail cut");
            self.summary.torn.push(torn);
        }
        Ok(())
    }

    fn close_current(&mut self) {
        if let Some(Current { path, identity, newest, last_group, offset, frames, .. }) = self.current.take()
        {
            let FileIdentity { thread, sequence, .. } = identity;
            self.summary.logs.push(OldLog { path: path.clone(), thread, sequence, frames, end: offset });
            if newest {
                self.endings.push(Ending { path, identity, last_group, offset });
            }
        }
    }
}
