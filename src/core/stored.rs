//! Control state as it is stored: the bytes of each row, the rows that are read back, and the root of all of them.
//!
//! INVARIANT: a row is taken over as its name says, or refused; what the root counts a row as is of the bytes that are stored,
//! also where this version would write the same row in other ones.

use serde::Serialize;
use serde::de::{DeserializeOwned, Error};

use super::alarm::Alarms;
use super::canonical::canonical_exact;
use super::clock::Accepted;
use super::earlier_terms::TermsInForce;
use super::id::Position;
use super::root::Mark;
use super::row::{Account, Credential, PolicySet, RowKind, RowName, UnreadableRow};
use super::state::ControlState;
use super::switch::Switch;
use super::table::{Row, Table};
use super::user::{Invitation, User};
use super::vm::Vm;

/// What is stored for a row that is gone. Not nothing: a row that somebody blanked must not pass for a released switch (P12).
const GONE: &[u8] = b"null";

/// A stored row that was read, to be taken over.
#[derive(Debug)]
pub struct ReadRow {
    content: Content,
    mark: Mark,
}

#[derive(Debug)]
enum Content {
    Account(Account),
    Person(User),
    Invitation(Invitation),
    Uninvited(String),
    Credential(Box<Credential>),
    Vm(Vm),
    Switch(Box<Switch>),
    Released(String),
    Policy(PolicySet),
    Limits(TermsInForce),
    Clock(Accepted),
    Alarms(Alarms),
}

impl ControlState {
    /// The bytes to store for a row; `null` if it is gone, so that a reader of changes sees that too.
    pub fn row(&self, name: &RowName) -> Result<Vec<u8>, serde_json::Error> {
        Ok(self.document(name)?.unwrap_or_else(|| GONE.to_vec()))
    }

    fn document(&self, name: &RowName) -> Result<Option<Vec<u8>>, serde_json::Error> {
        match name.kind {
            RowKind::Account => self.accounts.document(&name.key),
            RowKind::Credential => self.credentials.document(&name.key),
            RowKind::Vm => self.vms.document(&name.key),
            RowKind::Switch => self.switches.document(&name.key),
            RowKind::Person => self.users.document(&name.key),
            RowKind::Invitation => self.invitations.document(&name.key),
            RowKind::Clock => bytes(self.clock.as_ref()),
            RowKind::Alarms => bytes(Some(&self.alarms)),
            RowKind::Limits => bytes(self.terms.as_ref()),
            RowKind::Policy => bytes(self.policy.as_ref()),
        }
    }

    /// Takes a stored row over. Rows of other kinds are not control state and are refused.
    pub fn load(&mut self, kind: &str, key: &str, doc: &[u8]) -> Result<(), UnreadableRow> {
        let read = self.read(kind, key, doc)?;
        self.take(read);
        Ok(())
    }

    /// Reads a stored row without taking it over yet, so that many can be read at once.
    pub fn read(&self, kind: &str, key: &str, doc: &[u8]) -> Result<ReadRow, UnreadableRow> {
        let unreadable = |source| UnreadableRow { kind: kind.to_owned(), key: key.to_owned(), source };
        let content = content(kind, key, doc).map_err(unreadable)?;
        let mark = if doc == GONE { Mark::default() } else { self.root.mark([kind, key], doc) };
        Ok(ReadRow { content, mark })
    }

    /// Takes over a row that was read, in the place of what was known of it.
    pub fn take(&mut self, read: ReadRow) {
        let ReadRow { content, mark } = read;
        let was = match content {
            Content::Account(row) => replace(&mut self.accounts, row, mark),
            Content::Person(row) => replace(&mut self.users, row, mark),
            Content::Invitation(row) => replace(&mut self.invitations, row, mark),
            Content::Uninvited(key) => remove(&mut self.invitations, &key),
            Content::Credential(row) => replace(&mut self.credentials, *row, mark),
            Content::Vm(row) => replace(&mut self.vms, row, mark),
            Content::Switch(row) => replace(&mut self.switches, *row, mark),
            Content::Released(key) => remove(&mut self.switches, &key),
            Content::Policy(row) => {
                self.policy = Some(row);
                std::mem::replace(&mut self.loose.policy, mark)
            }
            Content::Limits(row) => {
                self.terms = Some(row);
                std::mem::replace(&mut self.loose.limits, mark)
            }
            Content::Clock(row) => {
                self.clock = Some(row);
                std::mem::replace(&mut self.loose.clock, mark)
            }
            Content::Alarms(row) => {
                self.alarms = row;
                std::mem::replace(&mut self.loose.alarms, mark)
            }
        };
        self.root.replace(was, mark);
    }

    /// Digest of all rows, hex: what the event at a position says of the state after it.
    #[must_use]
    pub fn root(&self, at: Position) -> String {
        self.root.hex(at)
    }

    /// Whether the rows are those that the newest event beside the calls speaks of, which is at that position.
    #[must_use]
    pub fn follows(&self, newest: Option<(Position, &str)>) -> bool {
        match newest {
            Some((at, root)) => self.root(at) == root,
            None => self.root(Position(0)) == self.root.empty().hex(Position(0)),
        }
    }

    /// Has the root count rows as they are now, and not any more as they were before.
    pub(super) fn count(&mut self, before: &Self, changed: &[RowName]) {
        for (index, name) in changed.iter().enumerate() {
            if changed.iter().take(index).any(|earlier| earlier == name) {
                continue;
            }
            // A row that cannot be written counts as nothing, and so does not follow from the log.
            let document = self.document(name).ok().flatten();
            let mark = document.map_or_else(Mark::default, |document| self.root.mark([name.kind.as_str(), &name.key], &document));
            self.root.replace(before.mark(name), mark);
            self.set_mark(name, mark);
        }
    }

    fn mark(&self, name: &RowName) -> Mark {
        match name.kind {
            RowKind::Account => self.accounts.mark(&name.key),
            RowKind::Credential => self.credentials.mark(&name.key),
            RowKind::Vm => self.vms.mark(&name.key),
            RowKind::Switch => self.switches.mark(&name.key),
            RowKind::Person => self.users.mark(&name.key),
            RowKind::Invitation => self.invitations.mark(&name.key),
            RowKind::Clock => self.loose.clock,
            RowKind::Alarms => self.loose.alarms,
            RowKind::Limits => self.loose.limits,
            RowKind::Policy => self.loose.policy,
        }
    }

    fn set_mark(&mut self, name: &RowName, mark: Mark) {
        match name.kind {
            RowKind::Account => self.accounts.set_mark(&name.key, mark),
            RowKind::Credential => self.credentials.set_mark(&name.key, mark),
            RowKind::Vm => self.vms.set_mark(&name.key, mark),
            RowKind::Switch => self.switches.set_mark(&name.key, mark),
            RowKind::Person => self.users.set_mark(&name.key, mark),
            RowKind::Invitation => self.invitations.set_mark(&name.key, mark),
            RowKind::Clock => self.loose.clock = mark,
            RowKind::Alarms => self.loose.alarms = mark,
            RowKind::Limits => self.loose.limits = mark,
            RowKind::Policy => self.loose.policy = mark,
        }
    }
}

fn content(kind: &str, key: &str, doc: &[u8]) -> Result<Content, serde_json::Error> {
    let only = |name: &str| if key == name { Ok(()) } else { Err(Error::custom("the row of another key")) };
    Ok(match RowKind::read(kind).ok_or_else(unknown)? {
        RowKind::Switch if doc == GONE => Content::Released(key.to_owned()),
        RowKind::Switch => Content::Switch(Box::new(of_key(key, doc)?)),
        RowKind::Invitation if doc == GONE => Content::Uninvited(key.to_owned()),
        RowKind::Invitation => Content::Invitation(of_key(key, doc)?),
        RowKind::Person => Content::Person(of_key(key, doc)?),
        RowKind::Account => Content::Account(of_key(key, doc)?),
        RowKind::Vm => Content::Vm(of_key(key, doc)?),
        RowKind::Credential => Content::Credential(Box::new(of_key(key, doc)?)),
        RowKind::Policy => only("set").and_then(|()| serde_json::from_slice(doc)).map(Content::Policy)?,
        RowKind::Alarms => only("set").and_then(|()| serde_json::from_slice(doc)).map(Content::Alarms)?,
        RowKind::Clock => only("accepted").and_then(|()| serde_json::from_slice(doc)).map(Content::Clock)?,
        RowKind::Limits => only("set").and_then(|()| serde_json::from_slice(doc)).map(Content::Limits)?,
    })
}

fn unknown() -> serde_json::Error {
    Error::custom("not a kind of control state")
}

/// Reads a row, if it is the one that its key says.
fn of_key<R: Row + DeserializeOwned>(key: &str, doc: &[u8]) -> Result<R, serde_json::Error>
where
    R::Id: AsRef<str>,
{
    let row: R = serde_json::from_slice(doc)?;
    if row.id().as_ref() == key { Ok(row) } else { Err(Error::custom("the row of another key")) }
}

/// Puts a row in, and answers what the one in its place counted as.
fn replace<R: Row>(table: &mut Table<R>, row: R, mark: Mark) -> Mark {
    table.put(row.id().clone(), row, mark)
}

/// Takes a row out, and answers what it counted as.
fn remove<R: Row>(table: &mut Table<R>, key: &str) -> Mark {
    let mark = table.mark(key);
    if let Ok(id) = key.parse() {
        table.remove(&id);
    }
    mark
}

fn bytes<T: Serialize>(row: Option<&T>) -> Result<Option<Vec<u8>>, serde_json::Error> {
    row.map(canonical_exact).transpose()
}
