//! Kill switches: what one stops, and how it is written. Which calls that are is in [`super::covering`].

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::id::{AccountId, CredentialId, Position, SwitchId, UserId};
use super::near::did_you_mean;
use super::noun::Noun;
use super::ramp::Ramp;
use super::resource::{NOUNS, ResourceId};
use super::scrub::holds_token;
use super::time::Micros;
use super::tool::Class;

/// What a switch stops. Written `all`, `class:exec`, `tool:vm_power`, `provider:qemu`, `account:ID`, `credential:ID`,
/// `vm:ID` or `vm:ID/exec`, and likewise `NOUN:ID` for what is of another noun. Capitals and space around it make no difference to a word: whoever types it is in a hurry.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Target {
    /// Every call by a key or grant.
    All,
    /// Every call of a class.
    Class(Class),
    /// Every call of a tool.
    Tool(String),
    /// Every call that reaches a provider.
    Provider(String),
    /// Every call of an account, staff's on its VMs not included.
    Account(AccountId),
    /// Every call of a key, and of what comes from it.
    Credential(CredentialId),
    /// Every call on a VM, with `/exec` its command execution only.
    Resource {
        /// The resource.
        id: ResourceId,
        /// Command execution only.
        exec_only: bool,
    },
}

/// A target that cannot be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("unknown switch target {text:?}. {why}")]
pub struct UnknownTarget {
    /// As it was written.
    pub text: String,
    /// What to write.
    pub why: String,
}

/// Every way to write a target.
const WRITTEN: &str =
    "Use all, class:exec|write|destroy, tool:NAME, provider:NAME, account:ID, credential:ID, vm:ID or vm:ID/exec.";

/// The classes that a target may name.
const CLASSES: [Class; 3] = [Class::Exec, Class::Write, Class::Destroy];

impl FromStr for Target {
    type Err = UnknownTarget;
    fn from_str(text: &str) -> Result<Self, UnknownTarget> {
        let unknown = |why: String| UnknownTarget { text: text.to_owned(), why };
        let target = text.trim();
        if target.eq_ignore_ascii_case("all") {
            return Ok(Self::All);
        }
        let (kind, value) = target.split_once(':').ok_or_else(|| unknown(meant_without_kind(target)))?;
        let (kind, value) = (kind.trim().to_ascii_lowercase(), value.trim());
        let word = value.to_ascii_lowercase();
        match kind.as_str() {
            "class" => CLASSES
                .into_iter()
                .find(|class| class.as_str() == word)
                .map(Self::Class)
                .ok_or_else(|| unknown(meant_class(&word))),
            "tool" if is_name(&word) => Ok(Self::Tool(word)),
            "provider" if is_name(&word) => Ok(Self::Provider(word)),
            "tool" | "provider" => Err(unknown(format!("The name of a {kind} has 1 to 40 letters, digits and _."))),
            "account" => value.parse().map(Self::Account).map_err(|error| unknown(format!("Give the account's id: {error}."))),
            "credential" => value.parse().map(Self::Credential).map_err(|error| unknown(format!("Give the key's id: {error}."))),
            other => {
                let noun = Noun::named(other).ok_or_else(|| unknown(meant_kind(other, value)))?;
                let (id, exec_only) = value.strip_suffix("/exec").map_or((value, false), |id| (id, true));
                let by_id = || unknown(format!("Give the {}'s id, not its label.", noun.title));
                let id: ResourceId = id.parse().map_err(|_| by_id())?;
                let fits = id.noun() == noun && (!exec_only || noun.runs_commands);
                fits.then_some(Self::Resource { id, exec_only }).ok_or_else(by_id)
            }
        }
    }
}

/// What a target without a kind was probably meant to be.
fn meant_without_kind(text: &str) -> String {
    let class = CLASSES.into_iter().find(|class| text.eq_ignore_ascii_case(class.as_str()));
    if let Some(class) = class {
        return format!("Did you mean class:{}?", class.as_str());
    }
    if let Ok(id) = text.parse::<ResourceId>() {
        return format!("Did you mean {}:{id}?", id.noun().name);
    }
    did_you_mean(text, ["all"], str::to_owned).unwrap_or_else(|| WRITTEN.to_owned())
}

fn meant_class(word: &str) -> String {
    let classes = CLASSES.map(Class::as_str);
    let meant = did_you_mean(word, classes, |class| format!("class:{class}"));
    meant.unwrap_or_else(|| "A class is exec, write or destroy; reading and administering are not stopped by class.".into())
}

/// A kind that is none; a credential is called a key by everybody who has one.
fn meant_kind(kind: &str, value: &str) -> String {
    if kind == "key" {
        return format!("Did you mean credential:{value}?");
    }
    let nouns = NOUNS.iter().map(|noun| noun.name);
    let kinds = ["class", "tool", "provider", "account", "credential"].into_iter().chain(nouns);
    did_you_mean(kind, kinds, |kind| format!("{kind}:{value}")).unwrap_or_else(|| WRITTEN.to_owned())
}

/// Targets are in leaves, which nothing is ever taken out of: a token is no name.
fn is_name(text: &str) -> bool {
    (1..=40).contains(&text.len())
        && !holds_token(text)
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Class(class) => write!(f, "class:{}", class.as_str()),
            Self::Tool(name) => write!(f, "tool:{name}"),
            Self::Provider(name) => write!(f, "provider:{name}"),
            Self::Account(id) => write!(f, "account:{id}"),
            Self::Credential(id) => write!(f, "credential:{id}"),
            Self::Resource { id, exec_only } => {
                write!(f, "{}:{id}{}", id.noun().name, if *exec_only { "/exec" } else { "" })
            }
        }
    }
}

impl TryFrom<String> for Target {
    type Error = UnknownTarget;
    fn try_from(text: String) -> Result<Self, UnknownTarget> {
        text.parse()
    }
}

impl From<Target> for String {
    fn from(target: Target) -> Self {
        target.to_string()
    }
}

impl Target {
    /// The two that stop every customer: releasing one takes a second person.
    #[must_use]
    pub fn is_global(&self) -> bool {
        matches!(self, Self::All | Self::Class(_))
    }
}

/// What to do with calls that run when the switch is engaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Running {
    /// Let them end by themselves.
    LetFinish,
    /// Cancel them.
    Cancel,
}

/// An engaged switch. Gone from control state once released or expired.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Switch {
    /// Its id.
    pub id: SwitchId,
    /// What it stops.
    pub target: Target,
    /// Why, for staff.
    pub reason: String,
    /// What the refused caller is told.
    pub message: Option<String>,
    /// The person who engaged it; none for an agent's own stop or the command line.
    pub by: Option<UserId>,
    /// The key or console credential that it was engaged with; none for the command line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<CredentialId>,
    /// The incident it belongs to.
    pub incident: Option<String>,
    /// When it stops by itself.
    pub expires_at: Option<Micros>,
    /// What happens to running calls.
    pub running: Running,
    /// When it was engaged.
    pub engaged_at: Micros,
    /// Where that is written.
    pub position: Position,
    /// The person who asked for its release and waits for a second one.
    pub release_requested_by: Option<UserId>,
    /// What they asked with: the wish ends with their right to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release_requested_with: Option<CredentialId>,
    /// It lets go step by step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ramp: Option<Ramp>,
}

impl Switch {
    /// When a ramp that takes `over` and begins now is at its end: no later than the switch would have ended; none if it
    /// would be over at once.
    #[must_use]
    pub fn ramp_until(&self, now: Micros, over: Duration) -> Option<Micros> {
        let end = self.ends_at().unwrap_or(Micros(i64::MAX));
        Some(now.plus(over).min(end)).filter(|until| *until > now)
    }

    /// When it ends by itself: a ramp ends no later than the switch would have.
    #[must_use]
    pub fn ends_at(&self) -> Option<Micros> {
        self.ramp.map(|ramp| ramp.until).or(self.expires_at)
    }

    /// Whether it stops nothing any more at `now`.
    #[must_use]
    pub fn is_over(&self, now: Micros) -> bool {
        self.ends_at().is_some_and(|end| end <= now)
    }
}
