//! What `doctor` looks at in the vault: whether each of its keys opens, and whether its people are those of the log.
//!
//! INVARIANT: looking changes nothing, and what is named is bounded.

use super::CliError;
use crate::app::local_admin::{LocalAdmin, LocalAdminError};
use crate::core::state::ControlState;
use crate::log::signet::ForgedRow;
use crate::log::users::{UserRecord, is_begun};

/// Keys and rows that are named; of more only how many there are.
const MAX_NAMED: usize = 20;

/// Data keys that do not open.
pub(super) async fn keys(local_admin: &LocalAdmin) -> Result<Vec<String>, CliError> {
    if local_admin.without_vault.is_some() {
        // That it is away is said before.
        return Ok(Vec::new());
    }
    let (closed, shut, all) = local_admin.rooms.vault.closed_keys(MAX_NAMED).await.map_err(LocalAdminError::from)?;
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
pub(super) async fn people(local_admin: &LocalAdmin, state: Option<&ControlState>) -> Result<Vec<String>, CliError> {
    if local_admin.without_vault.is_some() {
        return Ok(Vec::new());
    }
    let strange = local_admin.rooms.vault.forged_rows().await.map_err(LocalAdminError::from)?;
    let told = |row: &ForgedRow| format!("a row of the vault counts as not there: {row}; {REMOVE}, {}", left(row.table()));
    let mut faults: Vec<String> = strange.iter().take(MAX_NAMED).map(told).collect();
    if strange.len() > MAX_NAMED {
        faults.push(format!("{} rows of the vault count as not there", strange.len()));
    }
    let Some(state) = state else { return Ok(faults) };
    let people = local_admin.rooms.vault.users().await.map_err(LocalAdminError::from)?;
    let unknown = people.iter().filter(|person| !state.users.contains_key(&person.id) && !is_begun(person));
    faults.extend(unknown.map(nobody));
    Ok(faults)
}

const REMOVE: &str = "`forelog doctor --mend` removes it";

/// What comes of a row that is not there.
fn left(table: &str) -> &'static str {
    match table {
        "account_name" => "and the account is shown by its id until a backup of the vault gives the name back",
        "saved_search" => "and the search can be saved again",
        _ => "and who is left without may join again",
    }
}

/// As after a restore of an older log beside a later vault.
fn nobody(UserRecord { id, account, email, .. }: &UserRecord) -> String {
    format!(
        "the vault has {id} ({email}), whom no event of this log made: they are nobody. \
         `forelog account join {account} --email {email}` makes them one of its people"
    )
}
