//! What the simulation did, as lines of JSON, written before anything is answered. Each process that has the simulation
//! open writes a file of its own, which it holds locked as long as it lives, and reads those of the others.
//!
//! Invariant: the state of the simulation is the fold of these files. They outlive the death of this process, not of the
//! host: lines are not synced, because the machines they are about are not real either. No command text is in them.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::core::id::CallId;
use crate::core::time::Micros;
use crate::log::private;
use crate::providers::compute::{Hostname, JobStatus, Machine, MachineRef, PowerAction, PowerState, ProviderError};

/// One line.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub(super) enum Record {
    /// A process opened the simulation: whatever was under way in an earlier one with this file is over.
    Opened { at: Micros },
    /// A power change has begun.
    PowerBegun {
        call: CallId,
        machine: MachineRef,
        action: PowerAction,
        #[serde(default)]
        at: Micros,
    },
    /// It is complete.
    PowerChanged {
        call: CallId,
        machine: MachineRef,
        power: PowerState,
        rebooted_at: Option<Micros>,
        #[serde(default)]
        at: Micros,
    },
    /// A machine has another host name.
    Renamed { call: CallId, machine: MachineRef, hostname: Hostname, at: Micros },
    /// A machine was made.
    MachineMade { call: CallId, machine: Machine },
    /// A job runs.
    JobStarted {
        call: CallId,
        machine: MachineRef,
        #[serde(default)]
        at: Micros,
    },
    /// Another process than the job's own wants it to end.
    EndAsked { call: CallId },
    /// A job has ended.
    JobEnded { call: CallId, status: JobStatus },
}

/// Whose file a record is in.
pub(super) type Origin = usize;

/// Most processes that may have the simulation open at once.
const MAX_COUNT: Origin = 64;

/// This process's file, open and locked against every other process, and how far the others' were read.
#[derive(Debug)]
pub(super) struct Journal {
    file: Option<File>,
    directory: PathBuf,
    own: Origin,
    read: Vec<u64>,
}

impl Journal {
    /// Takes the first file that no living process has, and reads what is in all of them.
    pub fn open(dir: &Path) -> Result<(Self, Vec<(Origin, Record)>), ProviderError> {
        private::make_dir(dir).map_err(|error| opening(&error))?;
        let (own, mut file) = (0..MAX_COUNT)
            .find_map(|origin| take(&path_of(dir, origin)).transpose().map(|taken| taken.map(|file| (origin, file))))
            .ok_or_else(|| ProviderError::Unreachable("too many processes have the simulation open".into()))?
            .map_err(|error| opening(&error))?;
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(|error| opening(&error))?;
        // A process that was killed while it wrote leaves half a line; nothing was answered on its strength.
        let whole = whole_lines(&text);
        file.set_len(whole.len() as u64).map_err(|error| opening(&error))?;
        let mut records = parse(own, whole)?;
        let mut journal = Self { file: Some(file), directory: dir.to_owned(), own, read: Vec::new() };
        records.extend(journal.news()?);
        Ok((journal, records))
    }

    /// Whose records are this process's own.
    pub fn own(&self) -> Origin {
        self.own
    }

    /// What the others have written since the last look.
    pub fn news(&mut self) -> Result<Vec<(Origin, Record)>, ProviderError> {
        let reading = |error: &io::Error| ProviderError::Unreachable(format!("reading another's journal: {error}").into());
        let mut news = Vec::new();
        for origin in 0..MAX_COUNT {
            let seen = self.read.get(origin).copied().unwrap_or(0);
            let size = match std::fs::metadata(path_of(&self.directory, origin)) {
                Ok(file) => file.len(),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(news),
                Err(error) => return Err(reading(&error)),
            };
            self.read.resize(self.read.len().max(origin + 1), 0);
            if origin == self.own || size <= seen {
                continue;
            }
            let mut text = String::new();
            let mut file = File::open(path_of(&self.directory, origin)).map_err(|error| reading(&error))?;
            file.seek(SeekFrom::Start(seen)).and_then(|_| file.read_to_string(&mut text)).map_err(|error| reading(&error))?;
            let whole = whole_lines(&text);
            news.extend(parse(origin, whole)?);
            if let Some(seen) = self.read.get_mut(origin) {
                *seen += whole.len() as u64;
            }
        }
        Ok(news)
    }

    /// Whether a process has that file: a lock on it ends with its holder, however that dies.
    pub fn is_alive(&self, origin: Origin) -> bool {
        if origin == self.own {
            return self.file.is_some();
        }
        let file = File::open(path_of(&self.directory, origin));
        file.is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }

    /// Writes one line.
    pub fn append(&mut self, record: &Record) -> Result<(), ProviderError> {
        let writing = |error: io::Error| ProviderError::Unreachable(format!("writing the simulation's journal: {error}").into());
        let Some(file) = &mut self.file else {
            return Err(ProviderError::Unreachable("the simulation is closed".into()));
        };
        let mut line = serde_json::to_vec(record).map_err(|error| writing(error.into()))?;
        line.push(b'\n');
        file.write_all(&line).map_err(writing)
    }

    /// Closes the file, so that another simulation may open it.
    pub fn close(&mut self) {
        self.file = None;
    }
}

fn opening(error: &io::Error) -> ProviderError {
    ProviderError::Unreachable(format!("opening the simulation's journal: {error}").into())
}

fn path_of(dir: &Path, origin: Origin) -> PathBuf {
    if origin == 0 { dir.join("journal.jsonl") } else { dir.join(format!("journal-{origin}.jsonl")) }
}

/// The file, if nobody else has it.
fn take(path: &Path) -> io::Result<Option<File>> {
    let file = private::open(path, OpenOptions::new().read(true).append(true).create(true))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Without the half line at the end, which is being written or never will be.
fn whole_lines(text: &str) -> &str {
    text.rfind('\n').and_then(|end| text.get(..=end)).unwrap_or_default()
}

fn parse(origin: Origin, text: &str) -> Result<Vec<(Origin, Record)>, ProviderError> {
    let read = |line: &str| {
        let record = serde_json::from_str(line);
        record.map(|record| (origin, record)).map_err(|error| {
            ProviderError::Refused(format!("a line of the simulation's journal {origin} cannot be read: {error}: {line}").into())
        })
    };
    text.lines().map(read).collect()
}
