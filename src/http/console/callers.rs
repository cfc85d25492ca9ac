//! Whose calls a list shows. Agents' come first: what people do by looking at pages is recorded too, and would fill every list.
//!
//! INVARIANT: a choice is a condition of the search line, so that whatever is narrowed can be seen, exported and taken back.

use super::request::SignedInRequest;
use crate::core::noun::vm::VM;
use crate::core::search::Field;
use crate::core::state::Credential;
use crate::http::call_filters::CallFilters;

/// Keys that one condition can leave out.
const MAX_LEFT_OUT: usize = 20;

/// What people call by opening a page, and not to change anything.
macro_rules! looking {
    () => {
        "approval_list,person_list,invitation_list,session_list,vm_list"
    };
}

/// Whose calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Callers {
    /// What came in by a key.
    Agents,
    /// What people did in the console.
    People,
    /// The same, and what they looked at.
    Console,
    /// All of them.
    All,
}

impl Callers {
    /// In the order of the chips.
    pub const ALL: [Self; 4] = [Self::Agents, Self::People, Self::Console, Self::All];

    /// As it is written in an address.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Agents => "agents",
            Self::People => "people",
            Self::Console => "console",
            Self::All => "all",
        }
    }

    /// As a chip says it.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Agents => "Agents",
            Self::People => "People",
            Self::Console => "Console",
            Self::All => "All",
        }
    }

    /// By its name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }

    /// The condition as items of a line. All of them are said too, so that a line can say so.
    pub const fn items(self) -> &'static [&'static str] {
        match self {
            Self::Agents => &["-via:console"],
            Self::People => &["via:console", concat!("-tool:", looking!())],
            Self::Console => &["via:console"],
            Self::All => &["via:mcp,stdio,rest,cli,console"],
        }
    }
}

/// What a list may be narrowed by and still be a list of what agents do. Whoever asks for anything else, such as a tool or a word, asks
/// for all that has it.
pub const OF_LISTS: [Field; 3] = [Field::Account, Field::Resource(&VM), Field::Outcome];

/// Whose calls a list of these filters shows, if nobody says.
pub fn usual(asked: &CallFilters) -> Callers {
    if asked.q.is_some() || asked.asks_beside(&OF_LISTS) { Callers::All } else { Callers::Agents }
}

/// The same filters for these callers alone.
pub fn narrowed(asked: &CallFilters, callers: Callers) -> CallFilters {
    if callers == Callers::All {
        return asked.clone();
    }
    let typed = asked.q.as_deref().into_iter();
    let line: Vec<&str> = typed.chain(callers.items().iter().copied()).collect();
    CallFilters { q: Some(line.join(" ")), ..asked.clone() }
}

/// What agents called, as an overview shows it: to staff without the calls of the newest drills, which are of nobody's agent.
pub fn of_agents(asked: &CallFilters, request: &SignedInRequest) -> CallFilters {
    let mut asked = narrowed(asked, Callers::Agents);
    let state = request.http.gateway.state();
    // The canary of a drill is of the house, was made by a key for nothing but reading, and may use no VM.
    let is_canary = |row: &&Credential| row.created.read_only && row.created.vms.as_ref().is_some_and(Vec::is_empty);
    let own = state.keys_of(&request.principal.account).filter(|_| request.is_staff());
    let mut canaries: Vec<String> = own.filter(is_canary).map(|row| row.created.credential.to_string()).collect();
    canaries.sort_unstable_by(|one, other| other.cmp(one));
    canaries.truncate(MAX_LEFT_OUT);
    if !canaries.is_empty() {
        let line = asked.q.get_or_insert_default();
        line.extend([" -credential:", &canaries.join(",")]);
    }
    asked
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::principal::Via;
    use crate::core::search::Search;
    use crate::core::time::Micros;
    use crate::tools::spec_of;

    #[test]
    fn every_choice_is_a_line_that_can_be_read_and_names_tools_that_there_are() {
        for one in Callers::ALL {
            assert_eq!(Callers::named(one.name()), Some(one));
            assert!(Search::parse(&one.items().join(" "), Micros(0)).is_ok(), "{one:?}");
        }
        assert!(looking!().split(',').all(|tool| spec_of(tool).is_some()));
        for via in Via::ALL.map(Via::as_str) {
            assert!(Callers::All.items()[0].trim_start_matches("via:").split(',').any(|named| named == via), "{via} is not all");
        }
    }

    #[test]
    fn who_asks_for_something_of_its_own_is_shown_all_that_has_it() {
        let given = |q: &str| CallFilters { q: Some(q.to_owned()), ..CallFilters::default() };
        assert_eq!(usual(&CallFilters::default()), Callers::Agents);
        assert_eq!(usual(&CallFilters { outcome: Some("refused".into()), ..CallFilters::default() }), Callers::Agents);
        assert_eq!(usual(&given("nginx")), Callers::All);
        assert_eq!(narrowed(&given("nginx"), Callers::Agents).q.as_deref(), Some("nginx -via:console"));
        assert_eq!(narrowed(&given("nginx"), Callers::All).q.as_deref(), Some("nginx"));
    }
}
