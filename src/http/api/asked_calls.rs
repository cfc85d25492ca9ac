//! What every reading of calls begins with: the filters are read, and that it is asked for is written down.
//!
//! INVARIANT: a query comes out only after whoever asks had leave to read, and says what they may see from then on.

use serde_json::{Value, json};

use crate::core::id::AccountId;
use crate::core::principal::Principal;
use crate::core::reading::Reading;
use crate::core::refusal::Refusal;
use crate::core::search::Search;
use crate::core::visibility::Visibility;
use crate::http::Http;
use crate::http::call_filters::CallFilters;
use crate::http::problem::Problem;
use crate::tools::ActivityQuery;

/// Calls that somebody asks for.
pub struct AskedCalls {
    /// What was asked, as it is written down.
    pub note: Value,
    search: Search,
    /// Words are looked for in commands too.
    commands: bool,
    /// The account that all of it is about, if it is one.
    whose: Option<AccountId>,
}

impl AskedCalls {
    /// What the filters ask for.
    pub fn of(http: &Http, who: &Principal, filters: &CallFilters) -> Result<Self, Problem> {
        let (note, commands) = (json!(filters), filters.reads_commands(who));
        let now = http.gateway.control().ports.clock.now();
        let search = http.read_typed(who, |known| filters.search(now, known)).map_err(Problem::malformed)?;
        let whose = http.gateway.state().owner_of_found(&search);
        Ok(Self { note, search, commands, whose })
    }

    /// Leave to read it under this name. Staff's reading is written down.
    pub async fn read(self, http: &Http, who: &Principal, what: Reading) -> Result<ActivityQuery, Refusal> {
        http.gateway.check_reader(who, what, self.whose.clone(), self.note.clone()).await?;
        Ok(self.query(http, who))
    }

    /// Leave to go on with what was written down when it began.
    pub async fn read_on(self, http: &Http, who: &Principal) -> Result<ActivityQuery, Refusal> {
        http.gateway.check_reader_still(who).await?;
        Ok(self.query(http, who))
    }

    /// What is not the reader's own is not found: absent and not one's own look the same.
    fn query(self, http: &Http, who: &Principal) -> ActivityQuery {
        let visibility = Visibility::of(who, &http.gateway.state());
        ActivityQuery { visibility, search: self.search, commands: self.commands, limit: 1, ..ActivityQuery::default() }
    }
}
