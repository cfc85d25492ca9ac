//! Exports: calls that are taken away as a file. No file is kept: what makes it is, and the file comes out the same again.
//!
//! INVARIANT: a file is the calls of one search as the log had them at one position, and nothing else goes into it; so its
//! digest, which the call that made the export recorded, holds for every download.

mod create;
pub mod sheet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ActivityQuery;
use super::declare::Declared;
use crate::core::id::{AccountId, CredentialId, Position};
use crate::core::redact::Sensitivity::{Content, Public};
use crate::core::search::{Fault, Search};
use crate::core::state::ControlState;
use crate::core::time::Micros;
use crate::core::visibility::Visibility;
use sheet::Form;

/// The operations of this noun.
pub(super) static OPERATIONS: &[&dyn Declared] = &[&create::MAKE];

/// The tool that makes one.
pub const CREATE: &str = "export_create";

/// What was recorded of an export: its recipe, and what has to come out.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Export {
    /// The search as it was typed, its times written out.
    #[schemars(extend("x-class" = Content))]
    pub q: String,
    /// What the file is.
    #[schemars(extend("x-class" = Public))]
    pub form: Form,
    /// The account whose calls it holds; of several if null.
    #[serde(default)]
    #[schemars(extend("x-class" = Public))]
    pub account: Option<AccountId>,
    /// The only key whose calls it holds, if it is one.
    #[serde(default)]
    #[schemars(extend("x-class" = Public))]
    pub credential: Option<CredentialId>,
    /// Its words were looked for in commands too.
    #[serde(default)]
    #[schemars(extend("x-class" = Public))]
    pub commands: bool,
    /// Log position that it shows.
    #[schemars(extend("x-class" = Public))]
    pub as_of: Position,
    /// How many calls it holds.
    #[schemars(extend("x-class" = Public))]
    pub count: u64,
    /// Its size.
    #[schemars(extend("x-class" = Public))]
    pub bytes: u64,
    /// Its digest.
    #[schemars(extend("x-class" = Public))]
    pub sha256: String,
    /// Until when it can be downloaded.
    #[schemars(extend("x-class" = Public))]
    pub expires_at: String,
}

impl Export {
    /// What finds its calls again. A key that was rotated since has made no call in it by its newer credentials.
    pub fn query(&self, state: &ControlState) -> Result<ActivityQuery, Fault> {
        // The times are written out, so nothing counts from now.
        let search = Search::parse(&self.q, Micros(0))?;
        Ok(ActivityQuery {
            visibility: Visibility::bounded(self.account.clone(), self.credential.clone()).refreshed(state),
            search,
            commands: self.commands,
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
