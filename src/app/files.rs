//! How many files this process may open, and how many of them may be connections of clients.
//!
//! INVARIANT: some are kept back. A database that cannot open a file takes the server down, and connections are what strangers
//! open.

/// Files that are kept back for databases, providers, exports and certificates, where the limit allows it.
const MAX_KEPT: u64 = 256;

/// Raises the soft limit of open files to the hard one, and says how many connections there may be: at most `asked`.
pub fn for_connections(asked: usize) -> usize {
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(files) => within(files, asked),
        Err(error) => {
            tracing::warn!(%error, "the limit of open files cannot be read; connections are capped as configured");
            asked
        }
    }
}

/// A small limit is shared by halves.
fn within(files: u64, asked: usize) -> usize {
    let left = files - MAX_KEPT.min(files / 2);
    asked.min(usize::try_from(left).unwrap_or(usize::MAX)).max(1)
}

#[cfg(test)]
mod tests {
    use super::within;

    #[test]
    fn files_are_kept_back_from_connections() {
        assert_eq!(within(1024, 4096), 768);
        assert_eq!(within(1_048_576, 4096), 4096);
        assert_eq!(within(100, 4096), 50);
        assert_eq!(within(1, 4096), 1);
    }
}
