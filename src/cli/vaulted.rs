//! What `doctor` looks at in the vault: whether each of its keys opens, and whether its people are those of the log.
//!
//! INVARIANT: looking changes nothing, and what is named is bounded.

use super::CliError;
use crate::app::desk::{Desk, DeskError};
use crate::core::state::ControlState;
use crate::log::people::{Person, is_begun};
use crate::log::signet::StrangeRow;

/// Keys and rows that are named; of more only how many there are.
const NAMED: usize = 20;

/// Data keys that do not open.
pub(super) async fn keys(desk: &Desk) -> Result<Vec<String>, CliError> {
    if desk.without_vault.is_some() {
        // That it is away is said before.
        return Ok(Vec::new());
    }
    let (closed, shut, all) = desk.rooms.vault.closed_keys(NAMED).await.map_err(DeskError::from)?;
    let told = |id: &String| {
        format!("the data key {id} does not open, and nothing that needs it does: put its row back from a backup of the vault")
    };
    let mut faults: Vec<String> = closed.iter().map(told).collect();
    if shut > closed.len() {
        faults.push(format!("{shut} of {all} data keys do not open"));
    }
    Ok(faults)
}

/// Rows that somebody without the key has made or changed, and people whom no event made.
pub(super) async fn people(desk: &Desk, state: Option<&ControlState>) -> Result<Vec<String>, CliError> {
    if desk.without_vault.is_some() {
        return Ok(Vec::new());
    }
    let strange = desk.rooms.vault.strangers().await.map_err(DeskError::from)?;
    let told = |row: &StrangeRow| format!("a row of the vault counts as not there: {row}; {REMOVE}");
    let mut faults: Vec<String> = strange.iter().take(NAMED).map(told).collect();
    if strange.len() > NAMED {
        faults.push(format!("{} rows of the vault count as not there", strange.len()));
    }
    let Some(state) = state else { return Ok(faults) };
    let people = desk.rooms.vault.people().await.map_err(DeskError::from)?;
    let unknown = people.iter().filter(|person| !state.people.contains_key(&person.id) && !is_begun(person));
    faults.extend(unknown.map(nobody));
    Ok(faults)
}

const REMOVE: &str = "`forelog doctor --mend` removes it, and who is left without may join again";

/// As after a restore of an older log beside a later vault.
fn nobody(Person { id, account, email, .. }: &Person) -> String {
    format!(
        "the vault has {id} ({email}), whom no event of this log made: they are nobody. \
         `forelog account join {account} --email {email}` makes them one of its people"
    )
}
