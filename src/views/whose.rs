//! Finds the account that an administrative event belongs to. Rows of the read model only point to events and are not trusted:
//! otherwise somebody with write access to the views could show one account another account's events (P9).
//!
//! INVARIANT: the answer follows from leaves alone. If no leaf names the owner, there is no answer.

use super::{ViewError, Views};
use crate::core::about::About;
use crate::core::event::{Event, Kind};
use crate::core::id::Position;
use crate::core::sight::concerned;
use crate::log::sql::Value;

/// Rows that are followed to find what an event says of something; one is right, and there is one.
const FOLLOWED: i64 = 8;

/// The account that something is of, if it is one account's, and what it concerns (see [`concerned`]).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Whose {
    pub(super) account: Option<String>,
    pub(super) concerns: Option<String>,
}

impl Views {
    /// Whose an event is; none if that cannot be told.
    pub(super) async fn whose(&self, kind: &Kind) -> Result<Option<Whose>, ViewError> {
        let Some(about) = About::of(kind) else { return Ok(None) };
        let inherited = match (&about.owned_like, kind) {
            (None, _) => Some(Whose::default()),
            // The first to tell whose a switch is.
            (Some(target), Kind::SwitchEngaged { .. }) => self.told_of(target).await?,
            (Some(like), _) => self.owner(like).await?,
        };
        Ok(inherited.map(|inherited| own(kind, about.account, inherited)))
    }

    /// Whose a key, a VM, a switch or a person is.
    pub(super) async fn owner(&self, id: &str) -> Result<Option<Whose>, ViewError> {
        let Some(event) = self.telling(id).await? else { return Ok(None) };
        let Some(about) = About::of(&event.kind) else { return Ok(None) };
        let inherited = match &about.owned_like {
            Some(target) => self.told_of(target).await?,
            None => Some(Whose::default()),
        };
        Ok(inherited.map(|inherited| own(&event.kind, about.account, inherited)))
    }

    /// Whose something is of which an event says that itself.
    async fn told_of(&self, id: &str) -> Result<Option<Whose>, ViewError> {
        let said = self.telling(id).await?;
        Ok(said.and_then(|event| Some(own(&event.kind, About::of(&event.kind)?.account, Whose::default()))))
    }

    /// The event that was the first to tell whose its subject is.
    async fn telling(&self, id: &str) -> Result<Option<Event>, ViewError> {
        let sql = "select position from administration where subject = $1 and type = $2 order by position limit $3";
        for kind in ["credential_created", "vm_imported", "user_created", "switch_engaged"] {
            let args: Vec<Value> = vec![id.into(), kind.into(), FOLLOWED.into()];
            for row in self.database.query(sql, args).await? {
                let event = self.reader.event(Position(row.int(0)?)).await?;
                let is_it = |event: &Event| About::tells_whose(&event.kind) && subject(&event.kind).as_deref() == Some(id);
                if let Some(event) = event.filter(is_it) {
                    return Ok(Some(event));
                }
            }
        }
        Ok(None)
    }
}

fn subject(kind: &Kind) -> Option<String> {
    About::of(kind)?.subject
}

fn own(kind: &Kind, account: Option<String>, inherited: Whose) -> Whose {
    Whose { account: account.or(inherited.account), concerns: concerned(kind).or(inherited.concerns) }
}
