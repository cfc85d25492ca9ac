//! Quotas: how much of what a caller makes grow may be there at a time, for each account and for each key of it.
//!
//! INVARIANT: a quota is an account's own: nobody is told "full" because of what another account has. What is control state
//! is counted in the transaction that adds to it, so that no race gets beyond it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::code::Code;
use super::refusal::Refusal;

/// How many an account, and one key of it, may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    /// Of an account.
    #[schemars(range(min = 1, max = 100_000))]
    pub account: u32,
    /// Of one of its keys; of a person, where people and not keys have it.
    #[schemars(range(min = 1, max = 100_000))]
    pub key: u32,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum QuotaKind {
    /// Live keys.
    Keys,
    /// Keys that were made in the last 24 hours, dead ones included.
    KeysADay,
    /// Switches that customers engaged.
    Switches,
    /// Switches that staff engaged.
    StaffSwitches,
    /// MCP sessions on a node.
    Sessions,
    /// Event streams that are open on a node.
    Streams,
    /// Calls that somebody waits for on a node.
    Waits,
    /// Calls that are queued, held, or were.
    OpenCalls,
    /// Exports that are made or downloaded on a node.
    Exports,
    /// Searches that are kept.
    Searches,
    /// Invitations that nobody has taken.
    Invitations,
    /// People.
    People,
}

/// Every quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Quotas {
    /// Live keys; of one key: those that it made.
    pub keys: Quota,
    /// Keys that were made in the last 24 hours.
    pub keys_a_day: Quota,
    /// Switches that an account has engaged on itself.
    pub switches: Quota,
    /// Switches that the staff have engaged.
    pub staff_switches: Quota,
    /// MCP sessions on a node.
    pub sessions: Quota,
    /// Event streams that are open on a node: calls as they happen, and those of MCP sessions.
    pub streams: Quota,
    /// Calls that somebody waits for on a node.
    pub waits: Quota,
    /// Calls that are queued, held, or were and have not ended.
    pub open_calls: Quota,
    /// Exports that are being made or downloaded on a node.
    pub exports: Quota,
    /// Searches that staff keep: all of them, and one person's.
    pub searches: Quota,
    /// Invitations that nobody has taken: an account's, and those of who invites.
    pub invitations: Quota,
    /// People of an account, those who are invited included.
    pub people: u32,
}

impl Default for Quotas {
    fn default() -> Self {
        let of = |account, key| Quota { account, key };
        Self {
            keys: of(250, 100),
            keys_a_day: of(1_000, 500),
            switches: of(1_000, 250),
            staff_switches: of(2_000, 1_000),
            sessions: of(128, 32),
            streams: of(160, 40),
            waits: of(512, 256),
            open_calls: of(1_000, 500),
            exports: of(8, 4),
            searches: of(200, 50),
            invitations: of(100, 50),
            people: 500,
        }
    }
}

impl Quotas {
    /// Refuses numbers that make no sense: names the key, and says what is wrong.
    pub fn check(&self) -> Result<(), (&'static str, &'static str)> {
        let quotas = [
            ("quotas.keys", self.keys),
            ("quotas.keys_a_day", self.keys_a_day),
            ("quotas.switches", self.switches),
            ("quotas.staff_switches", self.staff_switches),
            ("quotas.sessions", self.sessions),
            ("quotas.streams", self.streams),
            ("quotas.waits", self.waits),
            ("quotas.open_calls", self.open_calls),
            ("quotas.exports", self.exports),
            ("quotas.searches", self.searches),
            ("quotas.invitations", self.invitations),
            ("quotas.people", Quota { account: self.people, key: self.people }),
        ];
        let fits = |quota: Quota| [quota.account, quota.key].iter().all(|most| (1..=100_000).contains(most));
        let wrong = quotas.into_iter().find(|(_, quota)| !fits(*quota));
        wrong.map_or(Ok(()), |(key, _)| Err((key, "is not within 1 … 100000")))
    }
}

impl QuotaKind {
    /// Its name, as in the configuration and in errors.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Keys => "keys",
            Self::KeysADay => "keys_a_day",
            Self::Switches => "switches",
            Self::StaffSwitches => "staff_switches",
            Self::Sessions => "sessions",
            Self::Streams => "streams",
            Self::Waits => "waits",
            Self::OpenCalls => "open_calls",
            Self::Exports => "exports",
            Self::Searches => "searches",
            Self::Invitations => "invitations",
            Self::People => "people",
        }
    }

    /// What it is of, in words, and what makes room.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Keys => ("live keys", "Revoke keys that nobody uses."),
            Self::KeysADay => ("keys that were made in 24 hours", "Use a key for longer, or wait."),
            Self::Switches => {
                ("switches that are engaged", "Stop the key or the account instead, or have a person release some.")
            }
            Self::StaffSwitches => ("switches that are engaged", "Release some, or engage one that reaches further."),
            Self::Sessions => ("MCP sessions", "End one with DELETE, or let one idle."),
            Self::Streams => ("event streams", "End some."),
            Self::Waits => ("calls that are waited for", "Wait for some of them."),
            Self::OpenCalls => ("calls that have not ended", "Wait for some of them, or cancel them."),
            Self::Exports => ("exports under way", "Wait for one of them."),
            Self::Searches => ("searches that are kept", "Forget some of them."),
            Self::Invitations => ("invitations that wait", "Revoke some of them."),
            Self::People => ("people", "Remove some, or ask the operator for more."),
        }
    }

    /// Refuses one more if the account or the key has as many as it may.
    pub fn check(self, quota: Quota, used: QuotaUsage) -> Result<(), Refusal> {
        self.check_more(quota, used, 1)
    }

    /// Refuses so many more if the account or the key would have more than it may.
    pub fn check_more(self, quota: Quota, used: QuotaUsage, more: u32) -> Result<(), Refusal> {
        for (of, used, most) in [("key", used.key, quota.key), ("account", used.account, quota.account)] {
            if more > 0 && used.saturating_add(more) > most {
                return Err(self.full(of, used, most));
            }
        }
        Ok(())
    }

    /// There are as many as there may be.
    #[must_use]
    pub fn full(self, of: &'static str, used: u32, most: u32) -> Refusal {
        let (what, hint) = self.words();
        let of = match (self, of) {
            (Self::Searches | Self::Invitations, "key") => "person",
            _ => of,
        };
        Refusal::new(Code::QuotaExceeded, format!("The {of} has {used} {what}, and may have at most {most}."))
            .hint(hint)
            .details(json!({ "quota": self.as_str(), "of": of, "used": used, "most": most }))
    }
}

/// How many there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QuotaUsage {
    /// The account's.
    pub account: u32,
    /// The key's, or the person's.
    pub key: u32,
}

impl QuotaUsage {
    /// Counts what is there; each is the key's or not.
    pub fn of(each: impl Iterator<Item = bool>) -> Self {
        each.fold(Self::default(), |used, is_keys| Self { account: used.account + 1, key: used.key + u32::from(is_keys) })
    }
}
