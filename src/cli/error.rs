//! What goes wrong on the command line, and what the person in front of it can do.

use std::path::PathBuf;

use crate::app::desk::DeskError;
use crate::app::rooms::RoomError;
use crate::config::ConfigError;
use crate::providers::compute::ProviderError;

/// A command that did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// There is no data where it is looked for.
    #[error("there is no Forelog data in {}", .0.display())]
    NoData(PathBuf),
    /// The rooms, or what was asked of them.
    #[error(transparent)]
    Desk(#[from] DeskError),
    /// A provider.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// A file.
    #[error("{what} {}", path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// What was asked for does not make sense.
    #[error("{0}")]
    Usage(String),
}

impl CliError {
    /// What to do about it, where that is known.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Config(ConfigError::File { .. }) => Some("check the path given with --config"),
            Self::Config(_) => Some("docs/forelog.toml shows every key with its default"),
            Self::NoData(_) => {
                Some("name the directory with --data DIR, or make one with `forelog demo` or `forelog account create`")
            }
            Self::Desk(DeskError::Room(RoomError::File { .. } | RoomError::Open { .. })) | Self::File { .. } => {
                Some("check that the path is right and that this user may read and write it")
            }
            Self::Provider(_) => Some("check [providers] in the configuration; a simulation belongs to one process at a time"),
            _ => None,
        }
    }
}

impl From<RoomError> for CliError {
    fn from(error: RoomError) -> Self {
        Self::Desk(error.into())
    }
}
