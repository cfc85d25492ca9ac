//! What a call is about: resources of nouns. Everything that records, decides, stops, searches and reconciles knows a
//! [`Resource`] and its [`ResourceId`]; what is special about a noun is declared in its [`Noun`] and is in that noun's own files.
//!
//! INVARIANT: an id that no noun in [`NOUNS`] has the prefix of is not read, so nothing is about what nobody knows.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use serde::{Deserialize, Serialize, Serializer};

use super::bounded::Name;
use super::id::{self, AccountId, IdError, Position};
use super::noun::Noun;
use super::noun::vm::VM;

/// Every noun that an account owns something of.
pub static NOUNS: [&Noun; 1] = [&VM];

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
        let wrong = IdError::expecting("the prefix of its kind, such as vm_, and 26 characters, as the lists show it");
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
pub struct ProviderReach {
    /// These providers, as the call was asked for; written down with it.
    pub providers: Vec<Name>,
    /// And each that has a resource which the caller may see when it is decided.
    pub visible: bool,
}

/// The resource of a call in which its command runs, if it names one that runs commands.
#[must_use]
pub fn place_of(resources: &[ResourceId]) -> Option<&ResourceId> {
    resources.iter().find(|id| id.noun().runs_commands)
}
