//! Where a page ended: pins the position that all pages of one reading show, so that later pages never shift.
//!
//! INVARIANT: what a client gets of it is sealed. Positions count what every account does, so nobody reads them out of a
//! cursor, and nobody makes one up.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::core::code::Code;
use crate::core::id::Position;
use crate::core::refusal::Refusal;
use crate::log::vault::{Vault, VaultError};

/// A cursor as this program reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The position that the pages show.
    pub as_of: Position,
    /// The next page's intents are before this one.
    pub before: Position,
}

impl Cursor {
    /// The cursor as a client gets it.
    pub async fn seal(self, vault: &Vault) -> Result<String, VaultError> {
        let plain = [self.as_of.0.to_be_bytes(), self.before.0.to_be_bytes()].concat();
        Ok(URL_SAFE_NO_PAD.encode(vault.seal_cursor(&plain).await?))
    }

    /// Reads a cursor that was given back; refuses what cannot be one of ours on a log that stands at `head`.
    pub async fn open(text: &str, head: Position, vault: &Vault) -> Result<Result<Self, Refusal>, VaultError> {
        let Ok(sealed) = URL_SAFE_NO_PAD.decode(text) else { return Ok(Err(unknown())) };
        let Some(plain) = vault.open_cursor(&sealed).await? else {
            // Looked at last: one of 256 that are given out begins like this, too.
            return Ok(Err(if sealed.starts_with(b"{") { refused("The cursor is of an older form.") } else { unknown() }));
        };
        let read = |at: usize| Some(Position(i64::from_be_bytes(plain.get(at..at + 8)?.try_into().ok()?)));
        let cursor = read(0).zip(read(8)).map(|(as_of, before)| Self { as_of, before });
        let fits = |cursor: &Self| cursor.before.0 >= 1 && cursor.before <= cursor.as_of && cursor.as_of <= head;
        Ok(cursor.filter(fits).ok_or_else(unknown))
    }
}

fn unknown() -> Refusal {
    refused("The cursor is not one that was given out.")
}

fn refused(text: &str) -> Refusal {
    Refusal::new(Code::ValidationFailed, text).hint("Leave it out to begin at the first page.")
}
