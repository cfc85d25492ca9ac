//! What a call is about: resources of nouns. Everything that records, decides, stops, searches and reconciles knows a
//! [`Resource`] and its [`ResourceId`]; what is special about a noun is in that noun's own file, and is declared in its [`Noun`].
//!
//! INVARIANT: an id that no noun in [`NOUNS`] has the prefix of is not read, so nothing is about what nobody knows.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use serde::{Deserialize, Serialize, Serializer};

use super::bounded::Name;
use super::id::{self, AccountId, IdError, Position};
use super::refusal::Refusal;
use super::state::ControlState;
use super::vm::VM;

/// Every noun that an account owns something of.
pub static NOUNS: [&Noun; 1] = [&VM];

/// Reads every resource of a noun, or those of one account.
pub type Listed = for<'a> fn(&'a ControlState, Option<&AccountId>) -> Box<dyn Iterator<Item = Resource> + Send + 'a>;

/// A kind of thing that an account owns and that calls are about, as everything else may know it.
#[derive(Debug)]
pub struct Noun {
    /// The word of its switch target: `vm` in `vm:ID`.
    pub name: &'static str,
    /// What people call one.
    pub title: &'static str,
    /// The argument that names one, wherever it stands.
    pub argument: &'static str,
    /// What its ids begin with.
    pub prefix: &'static str,
    /// Its type in Cedar, without the namespace.
    pub entity: &'static str,
    /// That type as the schema declares it.
    pub schema: &'static str,
    /// What calls about it are searched by.
    pub field: &'static str,
    /// Commands run in it, one at a time, and can be stopped by themselves: `vm:ID/exec`.
    pub runs_commands: bool,
    /// What a caller is told of one that is absent, not owned, or not on the allow-list: all look the same (P9).
    pub absent: fn() -> Refusal,
    /// Finds one by its id.
    pub get: fn(&ControlState, &ResourceId) -> Option<Resource>,
    /// Finds those of an account by their exact label.
    pub labelled: fn(&ControlState, &AccountId, &str) -> Vec<Resource>,
    /// Every one, or those of an account.
    pub listed: Listed,
    /// The ids that are near to one, itself included if it is there: what somebody may have meant.
    pub around: fn(&ControlState, &ResourceId) -> BTreeSet<String>,
}

impl PartialEq for Noun {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Noun {}

impl Noun {
    /// The noun with this word in a switch target.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        NOUNS.into_iter().find(|noun| noun.name == name)
    }

    /// The noun whose ids begin like this text.
    #[must_use]
    pub fn of(id: &str) -> Option<&'static Self> {
        NOUNS.into_iter().find(|noun| id.starts_with(noun.prefix))
    }
}

/// An argument that names a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Of which noun.
    pub noun: &'static Noun,
    /// The argument.
    pub argument: &'static str,
}

/// The id of a resource of any noun, which its prefix tells.
#[derive(Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct ResourceId {
    noun: &'static Noun,
    text: id::Text,
}

impl ResourceId {
    /// An id that is one of this noun's already.
    pub(super) fn of(noun: &'static Noun, id: &str) -> Self {
        Self { noun, text: id::text("", id) }
    }

    /// Which noun it is of.
    #[must_use]
    pub fn noun(&self) -> &'static Noun {
        self.noun
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for ResourceId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let wrong = IdError::expecting("the id of a resource: its noun's prefix and 26 characters of Crockford base 32");
        let Some(noun) = Noun::of(text) else { return Err(wrong) };
        id::read(noun.prefix, text).map(|text| Self { noun, text }).ok_or(wrong)
    }
}

impl TryFrom<String> for ResourceId {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl Serialize for ResourceId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ResourceId({self})")
    }
}

impl PartialEq for ResourceId {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for ResourceId {}

impl PartialOrd for ResourceId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ResourceId {
    fn cmp(&self, other: &Self) -> Ordering {
        self.text.cmp(&other.text)
    }
}

impl Hash for ResourceId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

/// What policies may look at of a resource.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Attribute {
    /// A text.
    Text(String),
    /// A yes or no.
    Flag(bool),
}

/// What control state says of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Its id.
    pub id: ResourceId,
    /// Whose it is.
    pub account: AccountId,
    /// Name shown to people, and typed to confirm destruction.
    pub label: String,
    /// Which provider has it, if one does.
    pub provider: Option<String>,
    /// The provider's name for it, or for the machine that it is of.
    pub machine: Option<String>,
    /// Commands may be run in it.
    pub exec_enabled: bool,
    /// What policies may look at, by name.
    pub attributes: Vec<(&'static str, Attribute)>,
    /// Position of the event that last changed it.
    pub version: Position,
}

/// What a call reaches outside, beside the providers of its resources.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// These providers, as the call was asked for; written down with it.
    pub providers: Vec<Name>,
    /// And each that has a resource which the caller may see when it is decided.
    pub visible: bool,
}

impl ControlState {
    /// A resource by its id.
    #[must_use]
    pub fn resource(&self, id: &ResourceId) -> Option<Resource> {
        (id.noun().get)(self, id)
    }

    /// What `text` names: the resource with that id, whosever it is, or those of the account with exactly that label.
    #[must_use]
    pub fn find(&self, noun: &'static Noun, account: Option<&AccountId>, text: &str) -> Vec<Resource> {
        if let Ok(id) = text.parse::<ResourceId>() {
            return if id.noun() == noun { self.resource(&id).into_iter().collect() } else { Vec::new() };
        }
        let Some(account) = account else { return Vec::new() };
        let label = super::label::canonical(text).ok().filter(|label| label != text);
        let labels = std::iter::once(text).chain(label.as_deref());
        labels.flat_map(|label| (noun.labelled)(self, account, label)).collect()
    }

    /// The resources of every noun that an account owns, or all there are.
    pub fn resources<'a>(&'a self, account: Option<&'a AccountId>) -> impl Iterator<Item = Resource> + 'a {
        NOUNS.into_iter().flat_map(move |noun| (noun.listed)(self, account))
    }
}

/// The resource of a call in which its command runs, if it names one that runs commands.
#[must_use]
pub fn place_of(resources: &[ResourceId]) -> Option<&ResourceId> {
    resources.iter().find(|id| id.noun().runs_commands)
}
