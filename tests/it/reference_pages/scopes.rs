//! `scopes.md`: every right, and what needs it.

use forelog::core::scope::Scope;
use forelog::tools::catalogue;

use super::{code, hold, link_to_tool, table};

const ABOUT: &str = "\
A scope is a right of a key. A call needs the scope of its tool, and everything else that is checked besides: ownership, the key's list of
VMs, switches, policies, limits. Some are in no default set, and a key has them only if whoever made it *named*
them. Staff scopes are for keys of staff, over REST and the command line alone.";

const UNUSED: &str = "\
These are known, so that keys of other systems can be taken over, but nothing needs them yet:";

#[test]
fn reference_scopes_page_has_every_scope_and_who_needs_it() {
    let catalogue = catalogue().expect("a catalogue");
    let given = |scope: &Scope| if scope.is_by_name() { "named" } else { "" };
    let tools = |scope: &Scope| -> Vec<String> {
        let needing = catalogue.iter().filter(|tool| tool.facts.scope == Some(*scope) || tool.facts.or.contains(scope));
        needing.map(|tool| link_to_tool(tool.facts.name)).collect()
    };
    let (needed, unused): (Vec<&Scope>, Vec<&Scope>) = Scope::ALL.iter().partition(|scope| !tools(scope).is_empty());
    let row =
        |scope: &Scope| vec![code(scope.as_str()), scope.about().to_owned(), given(scope).to_owned(), tools(scope).join(", ")];
    let needed = table(&["scope", "allows to", "", "needed by"], needed.into_iter().map(row));
    let unused =
        table(&["scope", "will allow to"], unused.into_iter().map(|scope| vec![code(scope.as_str()), scope.about().to_owned()]));
    hold("scopes.md", "Scopes", ABOUT, &format!("{needed}\n{UNUSED}\n\n{unused}"));
}
