//! Why there is nobody to pass messages on to.

use crate::core::refusal::Refusal;

/// A pipe that leads nowhere.
#[derive(Debug, thiserror::Error)]
pub enum PipeError {
    /// Not an address of a server.
    #[error("{url}: {why}")]
    Url {
        /// The flag with the address, as it may be shown.
        url: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// No key of ours looks like that.
    #[error("the key holds characters that no key has")]
    Key,
    /// No TLS can be spoken here.
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
    /// Nobody answers.
    #[error("nobody answers at {by}: {why}")]
    Unreached {
        /// Where.
        by: String,
        /// Why not.
        why: String,
    },
    /// The server's socket is another user's.
    #[error("the server's socket {} belongs to another user", .0.display())]
    NotOurs(std::path::PathBuf),
    /// The server answers, and does not let the key in.
    #[error("the server refuses: {}: {}", .0.code, .0.message)]
    Refused(Box<Refusal>),
    /// A node lives in the log, elsewhere.
    #[error("the database is served by {0}, not from this data directory")]
    ServedElsewhere(String),
}
