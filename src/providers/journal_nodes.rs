//! The list of the nodes that write to a provider's journal: one per line, in a file beside it.
//!
//! INVARIANT: a node is on the list, durably, before the first of its calls can be in the journal. So a missing entry proves that
//! nothing happened only for a call of a listed node; for any other node it proves nothing.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::core::id::NodeId;
use crate::log::private;

const NAME: &str = "nodes";

/// The roll of the journal in one directory.
#[derive(Clone, Debug)]
pub(super) struct JournalNodes(PathBuf);

impl JournalNodes {
    /// The roll of what is kept in `dir`.
    pub(super) fn of(dir: &Path) -> Self {
        Self(dir.to_owned())
    }

    /// Puts a node on it, if it is not there.
    pub(super) fn enter(&self, node: &NodeId) -> io::Result<()> {
        if self.has(node)? {
            return Ok(());
        }
        let mut file = private::open(&self.0.join(NAME), OpenOptions::new().append(true).create(true))?;
        // What a crash has left of a line must not become a part of this one.
        file.write_all(format!("\n{node}\n").as_bytes())?;
        file.sync_all()?;
        File::open(&self.0)?.sync_all()
    }

    /// Whether a node is on it.
    pub(super) fn has(&self, node: &NodeId) -> io::Result<bool> {
        match fs::read_to_string(self.0.join(NAME)) {
            Ok(text) => Ok(text.lines().any(|line| line == node.as_str())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roll_outlives_half_a_line_and_tells_nodes_apart() {
        let dir = tempfile::tempdir().unwrap();
        let node = |last: u32| format!("node_{last:026}").parse::<NodeId>().unwrap();
        let journal_nodes = JournalNodes::of(dir.path());
        assert!(!journal_nodes.has(&node(1)).unwrap());
        fs::write(dir.path().join(NAME), "\nnode_000").unwrap();
        journal_nodes.enter(&node(1)).unwrap();
        journal_nodes.enter(&node(1)).unwrap();
        assert!(journal_nodes.has(&node(1)).unwrap() && !journal_nodes.has(&node(2)).unwrap());
        assert_eq!(fs::read_to_string(dir.path().join(NAME)).unwrap().matches("node_").count(), 2, "nobody is on it twice");
    }
}
