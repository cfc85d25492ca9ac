//! What each call that changes the machine set out to do and how it ended: one file a call, fsynced before anything is sent.
//!
//! INVARIANT: a call without a file never sent anything, unless it is older than the last file that was pruned.

use std::fs::{self, File};
use std::io::{self, Write};
use std::mem;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::core::id::CallId;
use crate::core::time::Micros;
use crate::log::private;
use crate::providers::compute::{Hostname, PowerAction};

/// How many calls are remembered.
const MAX_KEPT: usize = 1000;
const PRUNED: &str = "pruned";

/// What was seen before anything was sent; what is seen later is held against it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Before {
    /// Name of the process that ran the machine.
    pub(super) process: Option<String>,
    /// The guest's boot id.
    pub(super) boot: Option<String>,
}

/// How a call ended, if our process lived to see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Ending {
    Happened,
    DidNotHappen,
}

/// What a call set out to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Action {
    /// This host name, in the machine's file.
    Rename(Hostname),
    /// This change of its power.
    #[serde(untagged)]
    Power(PowerAction),
}

/// One call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) call: CallId,
    pub(super) action: Action,
    pub(super) at: Micros,
    pub(super) before: Before,
    pub(super) ending: Option<Ending>,
}

/// What is known of a call.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// It was written down.
    Entry(Entry),
    /// It was never begun.
    Nothing,
    /// It is older than what is kept.
    Forgotten,
}

/// The journal of one machine.
#[derive(Clone)]
pub(super) struct Journal {
    dir: PathBuf,
    kept: usize,
}

impl Journal {
    pub(super) fn of(home: &Path) -> Self {
        Self { dir: home.join("journal"), kept: MAX_KEPT }
    }

    /// Writes an entry, durably, in place of what was there for its call.
    pub(super) fn write(&self, entry: &Entry) -> io::Result<()> {
        private::make_dir(&self.dir)?;
        self.replace(entry.call.as_str(), &serde_json::to_vec_pretty(entry)?)?;
        self.prune()
    }

    pub(super) fn find(&self, call: &CallId) -> io::Result<Known> {
        match fs::read(self.dir.join(call.as_str())) {
            Ok(bytes) => return Ok(Known::Entry(serde_json::from_slice(&bytes)?)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
        match fs::read_to_string(self.dir.join(PRUNED)) {
            Ok(last) if call.as_str() <= last.as_str() => Ok(Known::Forgotten),
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            _ => Ok(Known::Nothing),
        }
    }

    /// Whether another call that sets out to change the same was written down at or after `entry`.
    pub(super) fn has_later(&self, entry: &Entry) -> io::Result<bool> {
        for name in self.calls()? {
            let other: Entry = serde_json::from_slice(&fs::read(self.dir.join(&name))?)?;
            let same = mem::discriminant(&other.action) == mem::discriminant(&entry.action);
            if same && other.call != entry.call && other.at >= entry.at {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let draft = self.dir.join(format!(".{name}"));
        let mut file = private::create(&draft)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&draft, self.dir.join(name))?;
        File::open(&self.dir)?.sync_all()
    }

    /// The calls, oldest first: their names sort by time.
    fn calls(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if name.starts_with("call_") {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    fn prune(&self) -> io::Result<()> {
        let calls = self.calls()?;
        let over = calls.get(..calls.len().saturating_sub(self.kept)).unwrap_or_default();
        let said = fs::read_to_string(self.dir.join(PRUNED)).unwrap_or_default();
        if let Some(last) = over.last().filter(|last| **last > said) {
            // Said before it is done: a forgotten call must not look like one that never was.
            self.replace(PRUNED, last.as_bytes())?;
        }
        over.iter().try_for_each(|name| fs::remove_file(self.dir.join(name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(number: u32) -> Entry {
        let call = format!("call_{number:026}").parse().unwrap();
        Entry {
            call,
            action: Action::Power(PowerAction::Start),
            at: Micros(i64::from(number)),
            before: Before::default(),
            ending: None,
        }
    }

    #[test]
    fn ending_replaces_the_beginning() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::of(dir.path());
        let mut begun = entry(1);
        assert_eq!(journal.find(&begun.call).unwrap(), Known::Nothing);
        journal.write(&begun).unwrap();
        assert_eq!(journal.find(&begun.call).unwrap(), Known::Entry(begun.clone()));
        begun.ending = Some(Ending::Happened);
        journal.write(&begun).unwrap();
        assert_eq!(journal.find(&begun.call).unwrap(), Known::Entry(begun.clone()));
        assert!(!journal.has_later(&begun).unwrap());
        journal.write(&Entry { action: Action::Rename("web-2".parse().unwrap()), ..entry(3) }).unwrap();
        assert!(!journal.has_later(&begun).unwrap(), "a name tells nothing of the power");
        journal.write(&entry(2)).unwrap();
        assert!(journal.has_later(&begun).unwrap());
    }

    #[test]
    fn forgotten_call_is_told_from_one_that_never_was() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal { kept: 10, ..Journal::of(dir.path()) };
        for number in 1..=12 {
            journal.write(&entry(number)).unwrap();
        }
        assert_eq!(journal.find(&entry(2).call).unwrap(), Known::Forgotten);
        assert_eq!(journal.find(&entry(3).call).unwrap(), Known::Entry(entry(3)));
        assert_eq!(journal.find(&entry(2000).call).unwrap(), Known::Nothing);
    }
}
