//! What the simulation did, as lines of JSON in one file, written before anything is answered.
//!
//! Invariant: the state of the simulation is the fold of this file. It outlives the death of this process, not of the
//! host: lines are not synced, because the machines they are about are not real either. No command text is in it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::core::id::CallId;
use crate::core::time::Micros;
use crate::providers::compute::{JobStatus, MachineRef, PowerAction, PowerState, ProviderError};

/// One line.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub(super) enum Record {
    /// A process opened the simulation: whatever was under way in an earlier one is over.
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
    PowerChanged { call: CallId, machine: MachineRef, power: PowerState, rebooted_at: Option<Micros> },
    /// A job runs.
    JobStarted {
        call: CallId,
        machine: MachineRef,
        #[serde(default)]
        at: Micros,
    },
    /// A job has ended.
    JobEnded { call: CallId, status: JobStatus },
}

/// The file, open and locked against every other process.
#[derive(Debug)]
pub(super) struct Journal(Option<File>);

impl Journal {
    /// Opens the journal in `dir` and reads what is in it.
    pub fn open(dir: &Path) -> Result<(Self, Vec<Record>), ProviderError> {
        let opening = |error: io::Error| ProviderError::Unreachable(format!("opening the simulation's journal: {error}"));
        std::fs::create_dir_all(dir).map_err(opening)?;
        let path = dir.join("journal.jsonl");
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path).map_err(opening)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(ProviderError::Unreachable("another process has the simulation open".into()));
            }
            Err(TryLockError::Error(error)) => return Err(opening(error)),
        }
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(opening)?;
        // A process that was killed while it wrote leaves half a line; nothing was answered on its strength.
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        file.set_len(whole as u64).map_err(opening)?;
        let records = text.get(..whole).unwrap_or_default().lines().enumerate().map(read).collect::<Result<_, _>>()?;
        Ok((Self(Some(file)), records))
    }

    /// Writes one line.
    pub fn append(&mut self, record: &Record) -> Result<(), ProviderError> {
        let writing = |error: io::Error| ProviderError::Unreachable(format!("writing the simulation's journal: {error}"));
        let Some(file) = &mut self.0 else {
            return Err(ProviderError::Unreachable("the simulation is closed".into()));
        };
        let mut line = serde_json::to_vec(record).map_err(|error| writing(error.into()))?;
        line.push(b'\n');
        file.write_all(&line).map_err(writing)
    }

    /// Closes the file, so that another simulation may open it.
    pub fn close(&mut self) {
        self.0 = None;
    }
}

fn read((index, line): (usize, &str)) -> Result<Record, ProviderError> {
    serde_json::from_str(line).map_err(|error| {
        ProviderError::Refused(format!("line {} of the simulation's journal cannot be read: {error}", index + 1))
    })
}
