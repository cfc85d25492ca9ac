//! Who may vouch for people, as an operator writes it down.
//!
//! INVARIANT: what is not written here lets nobody in. Without `domains` no e-mail address links anybody, without `roles`
//! no claim gives a role, without `create` nobody is made.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

use crate::core::email::{EmailAddress, is_domain};
use crate::core::principal::Side;
use crate::core::role::Role;
use crate::core::secret_text::secret;
use crate::outbound::is_loopback;

/// One issuer. Its name, by which addresses and events call it, is the key that it stands under.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// What the button says after "Sign in with".
    pub title: String,
    /// Its address, as it writes it itself.
    pub issuer: String,
    /// What it calls us.
    pub client_id: String,
    /// What we prove that with; without one we are a public client.
    #[serde(default, deserialize_with = "secret")]
    pub client_secret: Option<SecretString>,
    /// A file that has it.
    #[serde(default)]
    pub client_secret_file: Option<PathBuf>,
    /// Which people it vouches for.
    pub side: Side,
    /// Asked for besides `openid` and `email`.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// Domains whose verified e-mail addresses it is believed.
    #[serde(default)]
    pub domains: Vec<String>,
    /// The claim that `roles` is about.
    #[serde(default = "groups")]
    pub groups_claim: String,
    /// The role that a group gives, at each sign-in. If there are any, nobody comes in without one.
    #[serde(default)]
    pub roles: BTreeMap<String, Role>,
    /// Makes people of the staff who are not there yet.
    #[serde(default)]
    pub create: bool,
    /// How long the keys of people it vouches for live after it last did, in milliseconds.
    #[serde(default = "a_month")]
    pub keys_live_ms: u64,
}

/// The longest that an issuer's word may hold: a year and some days.
const LONGEST_WORD: Duration = Duration::from_hours(400 * 24);

impl Settings {
    /// What makes no sense, said of the issuer called `name`.
    pub fn check(&self, name: &str) -> Result<(), String> {
        let ensure = |holds: bool, why: &str| if holds { Ok(()) } else { Err(format!("has {name:?}, {why}")) };
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
        ensure((1..=32).contains(&name.len()) && name.bytes().all(plain), "a name that is not of a-z, 0-9, - and _ alone")?;
        let is_shown = !self.title.trim().is_empty() && self.title.chars().count() <= 40;
        ensure(is_shown && !self.title.chars().any(char::is_control), "whose title is not 1 … 40 letters")?;
        let fits = address(&self.issuer).is_some();
        ensure(fits, "whose issuer is not an https:// address without user, query and fragment (http:// on loopback only)")?;
        ensure(!self.client_id.is_empty(), "whose client_id is empty")?;
        let both = self.client_secret.is_some() && self.client_secret_file.is_some();
        ensure(!both, "which has both client_secret and client_secret_file")?;
        let word = |text: &String| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        ensure(self.scopes.iter().all(word), "with a scope that is no word")?;
        let are_domains = self.domains.iter().all(|text| is_domain(text));
        ensure(are_domains, "with a domain that is not written like example.com, in lower case and in ASCII")?;
        let holds = (Duration::from_mins(1)..=LONGEST_WORD).contains(&self.holds());
        ensure(holds, "whose keys_live_ms is not a minute to 400 days")?;
        ensure(!self.groups_claim.is_empty(), "whose groups_claim is empty")?;
        let of_the_side = self.roles.values().all(|role| role.side() == Side::Staff && self.side == Side::Staff);
        ensure(of_the_side, "whose roles are not roles of the staff, for side = \"staff\"")?;
        let may_create = !self.create || !(self.roles.is_empty() || self.domains.is_empty());
        ensure(may_create, "which has create, but not both roles and domains")
    }

    /// The role that somebody with these groups has: none without `roles`, and an error if none of them gives one. Of
    /// several the last of reader, responder, exporter and admin counts.
    pub fn role_of(&self, groups: &[String]) -> Result<Option<Role>, NoMatchingRole> {
        if self.roles.is_empty() {
            return Ok(None);
        }
        groups.iter().filter_map(|group| self.roles.get(group)).max().copied().map(Some).ok_or(NoMatchingRole)
    }

    /// How long its word holds for keys.
    #[must_use]
    pub fn holds(&self) -> Duration {
        Duration::from_millis(self.keys_live_ms)
    }

    /// Whether a verified e-mail address is believed.
    #[must_use]
    pub fn believes(&self, email: &EmailAddress) -> bool {
        self.domains.iter().any(|domain| domain == email.domain())
    }

    /// Whether it is on this machine and without TLS.
    #[must_use]
    pub fn is_clear(&self) -> bool {
        self.issuer.starts_with("http://")
    }
}

/// Nobody with these groups comes in.
#[derive(Debug, PartialEq, Eq)]
pub struct NoMatchingRole;

/// An address that an issuer may have. In the clear it has to be on this machine.
fn address(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let is_bare = url.query().is_none() && url.fragment().is_none() && url.username().is_empty() && url.password().is_none();
    let is_safe = url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url));
    (is_bare && is_safe).then_some(url)
}

fn a_month() -> u64 {
    30 * 24 * 60 * 60 * 1000
}

fn groups() -> String {
    "groups".into()
}
