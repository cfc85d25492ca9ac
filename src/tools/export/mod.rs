//! Exports: calls that are taken away as a file. No file is kept: what makes it is, and the file comes out the same again.
//!
//! INVARIANT: a file is the calls of one search as the log had them at one position, and nothing else goes into it; so its
//! digest, which the call that made the export recorded, holds for every download.

mod create;
pub mod sheet;

use serde::{Deserialize, Serialize};

use super::{ActivityQuery, Tool};
use crate::core::id::{AccountId, CredentialId, Position};
use crate::core::search::{Fault, Search};
use crate::core::sight::Sight;
use crate::core::state::ControlState;
use crate::core::time::Micros;
use sheet::Form;

pub(super) fn tools() -> Vec<Tool> {
    vec![create::tool()]
}

/// The tool that makes one.
pub const CREATE: &str = "export_create";

/// What was recorded of an export: its recipe, and what has to come out.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Export {
    /// The search as it was typed, scrubbed, its times written out.
    pub q: String,
    /// The form of the file.
    pub form: Form,
    /// The account whose calls it holds; of several if absent.
    #[serde(default)]
    pub account: Option<AccountId>,
    /// The only key whose calls it holds, by the first of its credentials.
    #[serde(default)]
    pub credential: Option<CredentialId>,
    /// The position whose state it shows.
    pub as_of: Position,
    /// How many calls it holds.
    pub count: u64,
    /// Its size.
    pub bytes: u64,
    /// Its SHA-256, hex.
    pub sha256: String,
    /// Until when it can be downloaded.
    pub expires_at: String,
}

impl Export {
    /// What finds its calls again. A key that was rotated since has made no call in it by its newer credentials.
    pub fn query(&self, state: &ControlState) -> Result<ActivityQuery, Fault> {
        // The times are written out, so nothing counts from now.
        let search = Search::parse(&self.q, Micros(0))?;
        Ok(ActivityQuery {
            sight: Sight::bounded(self.account.clone(), self.credential.clone()).of_today(state),
            search,
            limit: sheet::PAGE,
            cursor: None,
            as_of: Some(self.as_of),
        })
    }

    /// Whether it can still be downloaded.
    #[must_use]
    pub fn is_over(&self, now: Micros) -> bool {
        Micros::read(&self.expires_at).map_or(true, |end| end <= now)
    }

    /// The file's name.
    #[must_use]
    pub fn file(&self) -> String {
        format!("forelog-calls-{}.{}", self.as_of.0, self.form.as_str())
    }
}
