//! Finds the account that an administrative event belongs to. Rows of the read model only point to events and are not trusted:
//! otherwise somebody with write access to the views could show one account another account's events (P9).
//!
//! INVARIANT: the answer follows from leaves alone. If no leaf names the owner, there is no answer.

use super::{ViewError, Views};
use crate::core::about::About;
use crate::core::event::{Event, EventKind};
use crate::core::id::Position;
use crate::core::visibility::concerned;
use crate::log::sql::Value;

/// At most so many candidate rows are checked; normally there is exactly one.
const FOLLOWED: i64 = 8;

/// The account that something is of, if it is one account's, and what it concerns (see [`concerned`]).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct EventOwner {
    pub(super) account: Option<String>,
    pub(super) concerns: Option<String>,
}

impl Views {
    /// Whose an event is; none if that cannot be told.
    pub(super) async fn whose(&self, kind: &EventKind) -> Result<Option<EventOwner>, ViewError> {
        let Some(about) = About::of(kind) else { return Ok(None) };
        let inherited = match (&about.owned_like, kind) {
            (None, _) => Some(EventOwner::default()),
            // The first to tell whose a switch is.
            (Some(target), EventKind::SwitchEngaged { .. }) => self.owner_of(target).await?,
            (Some(like), _) => self.owner(like).await?,
        };
        Ok(inherited.map(|inherited| own(kind, about.account, inherited)))
    }

    /// Whose a key, a VM, a switch or a person is.
    pub(super) async fn owner(&self, id: &str) -> Result<Option<EventOwner>, ViewError> {
        let Some(event) = self.owner_event(id).await? else { return Ok(None) };
        let Some(about) = About::of(&event.kind) else { return Ok(None) };
        let inherited = match &about.owned_like {
            Some(target) => self.owner_of(target).await?,
            None => Some(EventOwner::default()),
        };
        Ok(inherited.map(|inherited| own(&event.kind, about.account, inherited)))
    }

    /// The owner of a subject whose event names the account itself.
    async fn owner_of(&self, id: &str) -> Result<Option<EventOwner>, ViewError> {
        let said = self.owner_event(id).await?;
        Ok(said.and_then(|event| Some(own(&event.kind, About::of(&event.kind)?.account, EventOwner::default()))))
    }

    /// The event that was the first to tell whose its subject is.
    async fn owner_event(&self, id: &str) -> Result<Option<Event>, ViewError> {
        let sql = "select position from administration where subject = $1 and type = $2 order by position limit $3";
        for kind in ["credential_created", "vm_imported", "user_created", "switch_engaged"] {
            let args: Vec<Value> = vec![id.into(), kind.into(), FOLLOWED.into()];
            for row in self.database.query(sql, args).await? {
                let event = self.reader.event(Position(row.int(0)?)).await?;
                let is_it = |event: &Event| About::establishes_owner(&event.kind) && subject(&event.kind).as_deref() == Some(id);
                if let Some(event) = event.filter(is_it) {
                    return Ok(Some(event));
                }
            }
        }
        Ok(None)
    }
}

fn subject(kind: &EventKind) -> Option<String> {
    About::of(kind)?.subject
}

fn own(kind: &EventKind, account: Option<String>, inherited: EventOwner) -> EventOwner {
    EventOwner { account: account.or(inherited.account), concerns: concerned(kind).or(inherited.concerns) }
}
