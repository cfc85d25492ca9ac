//! What a search is made of.

use std::fmt;

use super::words::MAX_LENGTH;
use crate::core::call::Status;
use crate::core::code::Code;
use crate::core::id::{AccountId, CallId, CredentialId, SwitchId, UserId};
use crate::core::near::near;
use crate::core::noun::Noun;
use crate::core::noun::vm::VM;
use crate::core::principal::Via;
use crate::core::resource::ResourceId;
use crate::core::time::Micros;

/// Most conditions, values of one condition, and words.
pub const MAX_COUNT: usize = 20;

/// Most words of the index that a search looks for: each costs a digest for every month (`log::word_digests`), and a bound value.
pub(super) const MAX_PARTS: usize = 64;

/// What of a call can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// Whose call.
    Account,
    /// The person behind the key.
    User,
    /// The key.
    Credential,
    /// What it is about: a VM.
    Resource(&'static Noun),
    /// Digest of the MCP session.
    Session,
    /// The tool.
    Tool,
    /// How it came in.
    Via,
    /// How it stands.
    Outcome,
    /// Why it did not succeed.
    Code,
    /// Address it came from.
    Ip,
    /// The policy that refused it.
    Policy,
    /// The switch that stopped it.
    Switch,
    /// The call itself.
    Call,
}

impl Field {
    /// All of them, in the order that people are told.
    pub const ALL: [Self; 13] = [
        Self::Account,
        Self::User,
        Self::Credential,
        Self::Resource(&VM),
        Self::Session,
        Self::Tool,
        Self::Via,
        Self::Outcome,
        Self::Code,
        Self::Ip,
        Self::Policy,
        Self::Switch,
        Self::Call,
    ];

    /// The field as it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::User => "user",
            Self::Credential => "credential",
            Self::Resource(noun) => noun.field,
            Self::Session => "session",
            Self::Tool => "tool",
            Self::Via => "via",
            Self::Outcome => "outcome",
            Self::Code => "code",
            Self::Ip => "ip",
            Self::Policy => "policy",
            Self::Switch => "switch",
            Self::Call => "call",
        }
    }

    /// The field of this name; a credential is called a key by everybody who has one.
    pub(super) fn named(name: &str) -> Option<Self> {
        let name = if name == "key" { Self::Credential.name() } else { name };
        Self::ALL.into_iter().find(|field| field.name() == name)
    }

    /// Why no call can have this value.
    pub(super) fn fault(self, value: &str, known: Option<Known<'_>>) -> Option<String> {
        let is = |known: bool, why: &str| (!known).then(|| why.to_owned());
        match self {
            _ if value.is_empty() => is(false, "there is no value"),
            _ if value.len() > MAX_LENGTH => is(false, "a value may be at most 256 bytes"),
            _ if value.contains('\0') => is(false, "a value may hold no NUL"),
            Self::Account => is(value.parse::<AccountId>().is_ok(), "an account is named by its id"),
            Self::User => is(value.parse::<UserId>().is_ok(), "a person is named by their id"),
            Self::Credential => {
                let is_id = value.parse::<CredentialId>().is_ok();
                (!is_id).then(|| format!("a key is named by its id{}", ids(self, value, known, "")))
            }
            Self::Resource(noun) => {
                let is_id = value.parse::<ResourceId>().is_ok_and(|id| id.noun() == noun);
                let of =
                    |title: &str| format!("a {title} is named by its id{}", ids(self, value, known, "; a word finds its label"));
                (!is_id).then(|| of(noun.title))
            }
            Self::Switch => is(value.parse::<SwitchId>().is_ok(), "a switch is named by its id"),
            Self::Call => is(value.parse::<CallId>().is_ok(), "a call is named by its id"),
            Self::Ip => is(value.parse::<std::net::IpAddr>().is_ok(), "this is not an address"),
            Self::Via => {
                let [rest @ .., last] = Via::ALL.map(Via::as_str);
                let near = nearest(value, Via::ALL.map(Via::as_str));
                (!word::<Via>(value)).then(|| format!("a call came in over {} or {last}{near}", rest.join(", ")))
            }
            Self::Outcome => {
                let all: Vec<&str> = Status::ALL.iter().map(|status| status.as_str()).collect();
                let near = nearest(value, all.iter().copied());
                (!word::<Status>(value)).then(|| format!("an outcome is a status: {}{near}", all.join(", ")))
            }
            Self::Code => {
                let all = Code::ALL.iter().map(|code| code.as_str());
                (!word::<Code>(value)).then(|| format!("this is not one of the documented codes{}", nearest(value, all)))
            }
            Self::Tool => no_tool(value, known),
            Self::Session | Self::Policy => None,
        }
    }
}

/// What a line that somebody types is held against; a search that was checked when it was recorded is read without.
#[derive(Clone, Copy)]
pub struct Known<'a> {
    /// Names of the tools that calls may have on record.
    pub tools: &'a [&'static str],
    /// The ids of what the reader may see that a field calls so.
    pub ids: &'a (dyn Fn(Field, &str) -> Vec<String> + Sync),
}

/// Which ids a name stands for, among what the reader may see; else what to do instead.
fn ids(field: Field, name: &str, known: Option<Known<'_>>, or: &str) -> String {
    let mut found = known.map(|known| (known.ids)(field, name)).unwrap_or_default();
    found.truncate(MAX_COUNT);
    match found.as_slice() {
        [] => or.to_owned(),
        [one] => format!(": write {one}"),
        several => format!(": {} have this label, so write one of these, or all with commas between", several.join(", ")),
    }
}

/// Why no call on record has this tool.
fn no_tool(value: &str, known: Option<Known<'_>>) -> Option<String> {
    let tools = known.map(|known| known.tools).filter(|tools| !tools.contains(&value))?;
    let near = nearest(value, tools.iter().copied());
    Some(format!("there is no tool of this name{near}; tool:unknown finds the calls of tools that there are not"))
}

/// The names that are near, in brackets; nothing if there are none.
pub(super) fn nearest<'a>(value: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let near = near(value, known);
    if near.is_empty() { String::new() } else { format!(" (near is {})", near.join(" or ")) }
}

fn word<T: serde::de::DeserializeOwned>(text: &str) -> bool {
    serde_json::from_value::<T>(serde_json::Value::String(text.to_owned())).is_ok()
}

/// One condition: the field has one of the values, or has none of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// The field.
    pub field: Field,
    /// Its values, at least one.
    pub values: Vec<String>,
    /// None of them instead of one of them.
    pub without: bool,
}

/// A word of the public arguments, the tool, the VM or its label, or of a command for who may read it, folded (see
/// [`super::words`]): letters and digits alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// The word.
    pub text: String,
    /// It only begins like this.
    pub prefix: bool,
    /// It must not be there.
    pub without: bool,
}

/// Why a line cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: {why}")]
pub struct Fault {
    /// Where, in characters from 1.
    pub column: usize,
    /// Why.
    pub why: String,
}

/// Conditions that all hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search {
    /// Conditions on fields.
    pub terms: Vec<Term>,
    /// Words.
    pub words: Vec<Word>,
    /// Asked for at or after.
    pub from: Option<Micros>,
    /// Asked for before.
    pub to: Option<Micros>,
}

impl Search {
    /// Adds that a call was asked for at or after `from`. Everything that is given holds, so the latest one counts.
    pub fn since(&mut self, from: Micros) {
        self.from = Some(self.from.map_or(from, |own| own.max(from)));
    }

    /// Adds both, as far as they are given; refuses a range that ends before it begins.
    pub fn within(&mut self, from: Option<Micros>, to: Option<Micros>) -> Result<(), &'static str> {
        if from.zip(to).is_some_and(|(from, to)| to < from) {
            return Err("to: it is before from");
        }
        if let Some(from) = from {
            self.since(from);
        }
        if let Some(to) = to {
            self.until(to);
        }
        Ok(())
    }

    /// Adds that a call was asked for before `to`; the earliest one counts.
    pub fn until(&mut self, to: Micros) {
        self.to = Some(self.to.map_or(to, |own| own.min(to)));
    }

    /// Adds that `field` has `value`; refuses a value that no call can have.
    pub fn only(&mut self, field: Field, value: impl Into<String>) -> Result<(), Fault> {
        self.only_of(field, value, None)
    }

    /// The same of a value that somebody gave, which may be mistyped.
    pub fn only_of(&mut self, field: Field, value: impl Into<String>, known: Option<Known<'_>>) -> Result<(), Fault> {
        let value = value.into();
        field.fault(&value, known).map_or(Ok(()), |why| Err(Fault { column: 1, why }))?;
        self.terms.push(Term { field, values: vec![value], without: false });
        Ok(())
    }

    /// The one value that the search allows `field`, if it is one.
    #[must_use]
    pub fn value(&self, field: Field) -> Option<&str> {
        let mut allowed = self.terms.iter().filter(|term| term.field == field && !term.without);
        let (first, second) = (allowed.next()?, allowed.next());
        match first.values.as_slice() {
            [value] if second.is_none() => Some(value),
            _ => None,
        }
    }

    /// Whether it narrows nothing.
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for Search {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = |without: bool| if without { "-" } else { "" };
        let terms = self.terms.iter().map(|term| {
            let values: Vec<String> = term.values.iter().map(|value| quoted(value)).collect();
            format!("{}{}:{}", sign(term.without), term.field.name(), values.join(","))
        });
        let words = self.words.iter().map(|word| {
            let text = format!("{}{}", word.text, if word.prefix { "*" } else { "" });
            format!("{}{text}", sign(word.without))
        });
        let from = self.from.map(|at| format!("created:>={}", at.rfc3339()));
        let to = self.to.map(|at| format!("created:<{}", at.rfc3339()));
        let items: Vec<String> = terms.chain(from).chain(to).chain(words).collect();
        out.write_str(&items.join(" "))
    }
}

fn quoted(value: &str) -> String {
    let plain = !value.contains(|c: char| c.is_whitespace() || c == ',' || c == '"');
    if plain { value.to_owned() } else { format!("\"{}\"", value.replace('"', "")) }
}
