//! Control state as it is stored: the bytes of each row, the rows that are read back, and the root of all of them.
//!
//! INVARIANT: a row is taken over as its name says, or refused; what the root counts a row as is of the bytes that are stored,
//! also where this version would write the same row in other ones.

use serde::Serialize;
use serde::de::{DeserializeOwned, Error};

use super::canonical::canonical_exact;
use super::clock::Accepted;
use super::id::Position;
use super::member::{Invitation, Member};
use super::root::Mark;
use super::row::{Account, Credential, PolicySet, RowName, UnreadableRow, Vm};
use super::state::ControlState;
use super::switch::Switch;
use super::table::{Row, Table};
use super::terms::TermsInForce;

/// What is stored for a row that is gone. Not nothing: a row that somebody blanked must not pass for a released switch (P12).
const GONE: &[u8] = b"null";

/// What the root counts the rows as of which there is one.
#[derive(Clone, Debug, Default)]
pub(super) struct Loose {
    policy: Mark,
    limits: Mark,
    clock: Mark,
}

/// A stored row that was read, to be taken over.
#[derive(Debug)]
pub struct ReadRow {
    content: Content,
    mark: Mark,
}

#[derive(Debug)]
enum Content {
    Account(Account),
    Person(Member),
    Invitation(Invitation),
    Uninvited(String),
    Credential(Box<Credential>),
    Vm(Vm),
    Switch(Box<Switch>),
    Released(String),
    Policy(PolicySet),
    Limits(TermsInForce),
    Clock(Accepted),
}

impl ControlState {
    /// The bytes to store for a row; `null` if it is gone, so that a reader of changes sees that too.
    pub fn row(&self, name: &RowName) -> Result<Vec<u8>, serde_json::Error> {
        Ok(self.document(name)?.unwrap_or_else(|| GONE.to_vec()))
    }

    fn document(&self, name: &RowName) -> Result<Option<Vec<u8>>, serde_json::Error> {
        match name.kind {
            "account" => self.accounts.document(&name.key),
            "credential" => self.credentials.document(&name.key),
            "vm" => self.vms.document(&name.key),
            "switch" => self.switches.document(&name.key),
            "person" => self.people.document(&name.key),
            "invitation" => self.invitations.document(&name.key),
            "clock" => bytes(self.clock.as_ref()),
            "limits" => bytes(self.terms.as_ref()),
            "policy" => bytes(self.policy.as_ref()),
            _ => Err(unknown()),
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
            Content::Person(row) => replace(&mut self.people, row, mark),
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
            let mark = document.map_or_else(Mark::default, |document| self.root.mark([name.kind, &name.key], &document));
            self.root.replace(before.mark(name), mark);
            self.set_mark(name, mark);
        }
    }

    fn mark(&self, name: &RowName) -> Mark {
        match name.kind {
            "account" => self.accounts.mark(&name.key),
            "credential" => self.credentials.mark(&name.key),
            "vm" => self.vms.mark(&name.key),
            "switch" => self.switches.mark(&name.key),
            "person" => self.people.mark(&name.key),
            "invitation" => self.invitations.mark(&name.key),
            "clock" => self.loose.clock,
            "limits" => self.loose.limits,
            "policy" => self.loose.policy,
            _ => Mark::default(),
        }
    }

    fn set_mark(&mut self, name: &RowName, mark: Mark) {
        match name.kind {
            "account" => self.accounts.set_mark(&name.key, mark),
            "credential" => self.credentials.set_mark(&name.key, mark),
            "vm" => self.vms.set_mark(&name.key, mark),
            "switch" => self.switches.set_mark(&name.key, mark),
            "person" => self.people.set_mark(&name.key, mark),
            "invitation" => self.invitations.set_mark(&name.key, mark),
            "clock" => self.loose.clock = mark,
            "limits" => self.loose.limits = mark,
            "policy" => self.loose.policy = mark,
            _ => {}
        }
    }
}

fn content(kind: &str, key: &str, doc: &[u8]) -> Result<Content, serde_json::Error> {
    Ok(match kind {
        "switch" if doc == GONE => Content::Released(key.to_owned()),
        "switch" => Content::Switch(Box::new(of_key(key, doc)?)),
        "invitation" if doc == GONE => Content::Uninvited(key.to_owned()),
        "invitation" => Content::Invitation(of_key(key, doc)?),
        "person" => Content::Person(of_key(key, doc)?),
        "account" => Content::Account(of_key(key, doc)?),
        "vm" => Content::Vm(of_key(key, doc)?),
        "credential" => Content::Credential(Box::new(of_key(key, doc)?)),
        "policy" if key == "set" => Content::Policy(serde_json::from_slice(doc)?),
        "clock" if key == "accepted" => Content::Clock(serde_json::from_slice(doc)?),
        "limits" if key == "set" => Content::Limits(serde_json::from_slice(doc)?),
        _ => return Err(unknown()),
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
