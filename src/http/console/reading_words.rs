//! What staff read, in words: of each reading what they did, and whose it was.
//!
//! INVARIANT: every reading has words here, or the crate does not compile.

use crate::core::reading::Reading;

/// What was done, in words that follow the name of who did it; `whose` names an account, or several.
pub fn deed(name: &str, whose: &str) -> String {
    // A log may have names that another version gave.
    let Some(reading) = Reading::parse(name) else { return format!("read the log of {whose}") };
    match reading {
        Reading::Calls => format!("read the calls of {whose}"),
        Reading::LiveCalls => format!("watched the calls of {whose}"),
        Reading::Call(Some(_)) => format!("read a call of {whose}"),
        Reading::Call(None) => "asked for a call that does not exist".to_owned(),
        Reading::Events => format!("read the events of {whose}"),
        Reading::Resource(id) => format!("read the page of a {} of {whose}", id.noun().title),
        Reading::Accounts => "searched the accounts".to_owned(),
        Reading::Account(_) => format!("read the page of {whose}"),
        Reading::Credential(Some(_)) => format!("read the page of a key of {whose}"),
        Reading::Credential(None) => "asked for a key that does not exist".to_owned(),
        Reading::Switches => "read the list of switches".to_owned(),
        Reading::Switch(_) => format!("read the page of a switch on {whose}"),
        Reading::Reach => format!("read what a switch on {whose} would stop"),
        Reading::Search => "looked up a name or an ID in all accounts".to_owned(),
        Reading::Exports => format!("read the list of exports of {whose}"),
        Reading::ExportPage(_) => format!("read the page of an export of {whose}"),
        Reading::ExportMade(_) => format!("made an export of calls of {whose}"),
        Reading::ExportFile(_) => format!("downloaded an export of calls of {whose}"),
        Reading::Approvals => format!("read what waits for approval in {whose}"),
        Reading::Bundle => format!("exported the events of {whose}"),
    }
}
