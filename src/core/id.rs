//! Identifiers. Each is a newtype, so that an account cannot be passed where a VM is meant.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};
use ulid::Ulid;

use super::parsed::parsed;
use super::time::{Entropy, Micros};

/// Place of an event in the log: 1, 2, 3 … without gaps (P6). Zero is "before the first event".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Position(pub i64);

impl Position {
    /// The position after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// Counter that moves whenever control state (switches, policy, credentials, VM rows) changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Epoch(pub i64);

impl Epoch {
    /// More changes than this nobody makes; no leaf holds a greater number exactly.
    pub const MAX_COUNT: Self = Self((1 << 53) - 1);

    /// The epoch after this one. The last one stays.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// As an event tells it, whose leaf holds no greater number.
    #[must_use]
    pub fn clamped(self) -> Self {
        self.min(Self::MAX_COUNT)
    }

    /// No change has made it so great: it was pushed there, and does not tell of changes any more.
    #[must_use]
    pub fn is_spent(self) -> bool {
        self > Self::MAX_COUNT
    }
}

/// A text that is not an identifier of the expected kind.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("an id of this kind is {expected}")]
pub struct IdError {
    expected: &'static str,
}

impl IdError {
    pub(super) fn expecting(expected: &'static str) -> Self {
        Self { expected }
    }
}

/// Makes a ULID from an injected time and injected randomness.
#[must_use]
pub fn ulid(at: Micros, entropy: &dyn Entropy) -> Ulid {
    let mut random = [0; 16];
    entropy.fill(&mut random);
    Ulid::from_parts(u64::try_from(at.0 / 1000).unwrap_or(0), u128::from_be_bytes(random))
}

/// Room for the longest prefix and the 26 characters of a ULID, in place: ids are copied for every event of every call.
pub(super) type Text = arrayvec::ArrayString<32>;

pub(super) fn text(prefix: &str, body: &str) -> Text {
    let mut text = Text::new();
    // A prefix is at most six bytes, so both fit.
    let _ = text.try_push_str(prefix).and_then(|()| text.try_push_str(body));
    text
}

/// `text` as an id with this prefix, if it is one in its one form.
pub(super) fn read(prefix: &str, text: &str) -> Option<Text> {
    let body = text.strip_prefix(prefix)?;
    let parsed = Ulid::from_string(body).ok()?;
    let mut canonical = [0; ulid::ULID_LEN];
    (parsed.array_to_str(&mut canonical) == body).then(|| self::text(prefix, body))
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        pub struct $name(Text);

        impl $name {
            /// A new id, ordered by `at`.
            #[must_use]
            pub fn new(at: Micros, entropy: &dyn Entropy) -> Self {
                let mut body = [0; ulid::ULID_LEN];
                Self(text($prefix, ulid(at, entropy).array_to_str(&mut body)))
            }

            /// The id as text: its prefix and 26 characters of Crockford base 32.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                let wrong = IdError { expected: concat!($prefix, " and 26 characters, as the lists show it") };
                read($prefix, text).map(Self).ok_or(wrong)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                parsed(deserializer)
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": concat!("^", $prefix, "[0-9A-HJKMNP-TV-Z]{26}$") })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

ids! {
    /// One tool call; also its operation, command and MCP task id.
    CallId = "call_";
    /// One event, fixed before its position is known, so that payloads can be bound to it.
    EventId = "evt_";
    /// A customer of the hosting provider.
    AccountId = "acc_";
    /// A person: a member of an account, or staff.
    UserId = "usr_";
    /// An API key.
    CredentialId = "key_";
    /// A virtual machine.
    VmId = "vm_";
    /// A kill switch, from its engagement to its release.
    SwitchId = "swi_";
    /// A run of identical refusals that are counted instead of recorded one by one.
    RunId = "run_";
    /// One process that executes calls.
    NodeId = "node_";
    /// An invitation to be one of an account's people.
    InvitationId = "inv_";
}

impl AccountId {
    /// Nobody's: what is sealed before there is any account is sealed under it.
    #[must_use]
    pub fn nobody() -> Self {
        let mut body = [0; ulid::ULID_LEN];
        Self(text("acc_", Ulid::nil().array_to_str(&mut body)))
    }
}

impl CallId {
    /// When it was made, to the millisecond.
    #[must_use]
    pub fn made_at(&self) -> Micros {
        made_at(self.as_str())
    }
}

impl UserId {
    /// When it was made, to the millisecond.
    #[must_use]
    pub fn made_at(&self) -> Micros {
        made_at(self.as_str())
    }
}

fn made_at(id: &str) -> Micros {
    let body = id.split_once('_').map_or("", |(_, body)| body);
    let millis = Ulid::from_string(body).map_or(0, |ulid| ulid.timestamp_ms());
    Micros(i64::try_from(millis).unwrap_or(0).saturating_mul(1000))
}
