//! Lineage: what a credential comes from. What ends or stops or limits one of them does so for everything that it made or
//! rotated, and for everything that those made.
//!
//! ```text
//! made      K ──▶ its maker
//! rotated   N ──▶ is the same key as the first one that it replaces, with another secret; comes from who rotated it, too
//! adopted   K ──▶ the person who keeps it, and nothing else any more
//! ```
//!
//! INVARIANT: a lineage holds each key once, even if rows form a circle. A lineage with a missing part, or with too many parts,
//! is unreadable, and calls that depend on it are refused (P12).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::code::Code;
use super::id::{CredentialId, VmId};
use super::limit::Limit;
use super::principal::Principal;
use super::refusal::Refusal;
use super::row::Credential;
use super::state::ControlState;
use super::time::Micros;

/// A key that nobody used for this long is dead.
pub const INACTIVITY: Duration = Duration::from_hours(90 * 24);

/// From so many a credential may come when it is made, itself included. Each of them is looked at for each of its calls.
pub const MAX_COUNT: usize = 16;

/// So many are looked at: rotating what a key comes from can make its lineage longer than it was.
const READ: usize = 4 * MAX_COUNT;

/// A key with all that replace it.
#[derive(Clone, Copy, Debug)]
struct Stem<'a> {
    first: &'a Credential,
    newest: &'a Credential,
}

impl<'a> Stem<'a> {
    fn id(&self) -> &'a CredentialId {
        &self.first.created.credential
    }

    fn is_over(&self) -> bool {
        self.first.descent.ended_at.is_some() || (self.newest.revoked_at.is_some() && !self.newest.descent.stays)
    }

    /// What the console acts with is nobody's secret: not using it ends nothing, and people do not share a window.
    fn is_key(&self) -> bool {
        self.newest.created.role.is_none()
    }
}

/// A credential and everything that it comes from.
#[derive(Clone, Debug)]
pub struct Lineage<'a> {
    state: &'a ControlState,
    own: &'a Credential,
    /// Its own stem, then those that it comes from.
    stems: Vec<Stem<'a>>,
}

/// Whose rows a decision looks up. If the lineage has changed since it was asked what they are, it is asked again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LineageRows {
    /// When these were last used.
    pub uses: Vec<CredentialId>,
    /// What these have taken of their limits.
    pub windows: Vec<CredentialId>,
}

impl<'a> Lineage<'a> {
    /// The credential itself.
    #[must_use]
    pub fn own(&self) -> &'a Credential {
        self.own
    }

    fn ancestors(&self) -> impl Iterator<Item = &Stem<'a>> {
        self.stems.iter().skip(1)
    }

    /// The credential's row, and that of everything that it comes from.
    fn rows(&self) -> impl Iterator<Item = &'a Credential> {
        std::iter::once(self.own).chain(self.ancestors().map(|stem| stem.newest))
    }

    /// Whether it is so of the first of any key in it.
    pub(super) fn any(&self, is: impl Fn(&Credential) -> bool) -> bool {
        self.stems.iter().any(|stem| is(stem.first))
    }

    fn firsts(&self) -> BTreeSet<&CredentialId> {
        self.stems.iter().map(|stem| &stem.first.created.credential).collect()
    }

    /// Refuses what was revoked or has expired, or what comes from such a one.
    pub fn check_alive(&self, now: Micros) -> Result<(), Refusal> {
        if self.own.revoked_at.is_some() || self.stems.first().is_none_or(Stem::is_over) {
            return Err(Refusal::new(Code::TokenRevoked, "The key was revoked."));
        }
        if is_expired(self.own, now) {
            return Err(Refusal::new(Code::TokenExpired, "The key has expired."));
        }
        if self.ancestors().any(Stem::is_over) {
            return Err(kept(Code::TokenRevoked, "What this key was made with was revoked."));
        }
        if self.ancestors().any(|stem| is_expired(stem.newest, now)) {
            return Err(kept(Code::TokenExpired, "What this key was made with has expired."));
        }
        Ok(())
    }

    /// Refuses a key that nobody used for long, or that comes from such a one. That a key is used keeps no other one alive.
    pub fn check_used(&self, uses: &BTreeMap<CredentialId, Micros>, now: Micros) -> Result<(), Refusal> {
        let is_forgotten = |row: &Credential| {
            let last = uses.get(&row.created.credential).copied().unwrap_or(row.created_at);
            now.since(last.max(row.created_at)) > INACTIVITY
        };
        if is_forgotten(self.own) {
            return Err(Refusal::new(Code::TokenExpired, "The key was not used for 90 days and has ended."));
        }
        if self.ancestors().any(|stem| stem.is_key() && is_forgotten(stem.newest)) {
            return Err(kept(Code::TokenExpired, "What this key was made with was not used for 90 days and has ended."));
        }
        Ok(())
    }

    /// Refuses an address that the key, or one that it comes from, may not be used from.
    pub fn check_address(&self, who: &Principal) -> Result<(), Refusal> {
        if self.rows().all(|row| address_allowed(row, who)) {
            return Ok(());
        }
        Err(Refusal::new(Code::IpNotAllowed, "The key may not be used from this address."))
    }

    /// It only reads, or comes from one that does.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.rows().any(|row| row.created.read_only)
    }

    /// The only VMs that it may touch: those on its allow-list and on that of each that it comes from.
    #[must_use]
    pub fn vms(&self) -> Option<Vec<VmId>> {
        let listed = self.rows().find_map(|row| row.created.vms.as_ref())?;
        Some(listed.iter().filter(|vm| self.may_touch(vm.as_str())).cloned().collect())
    }

    /// Whether a resource is on every allow-list. A key that is limited to some VMs touches nothing else.
    #[must_use]
    pub fn may_touch(&self, id: &str) -> bool {
        self.rows().all(|row| row.created.vms.as_ref().is_none_or(|vms| vms.iter().any(|vm| vm.as_str() == id)))
    }

    /// The windows that its calls count in, by the first key of each: its own, and those of the keys that it comes from.
    fn windows(&self) -> impl Iterator<Item = (&'a CredentialId, Option<Limit>)> {
        let own = self.stems.first().map(|stem| (self.state.counted_as(stem.id()), self.own.created.limit));
        let others = self.ancestors().filter(|stem| stem.is_key());
        own.into_iter().chain(others.map(|stem| (&stem.first.created.credential, stem.newest.created.limit)))
    }

    /// The limits of those windows.
    #[must_use]
    pub fn limits(&self, usual: Limit) -> Vec<(String, Limit)> {
        self.windows().map(|(first, limit)| (limit_key(first), limit.unwrap_or(usual))).collect()
    }

    /// Whose rows a decision about its calls looks up.
    #[must_use]
    pub fn lineage_rows(&self) -> LineageRows {
        let keys = self.ancestors().filter(|stem| stem.is_key()).map(|stem| stem.newest);
        let uses = std::iter::once(self.own).chain(keys).map(|row| row.created.credential.clone()).collect();
        LineageRows { uses, windows: self.windows().map(|(first, _)| first.clone()).collect() }
    }
}

/// Name of the limit of a key, and of all that replace it.
#[must_use]
pub fn limit_key(first: &CredentialId) -> String {
    format!("credential:{first}")
}

pub(super) fn is_expired(row: &Credential, now: Micros) -> bool {
    row.created.expires_at.is_some_and(|end| end <= now)
}

fn kept(code: Code, text: &str) -> Refusal {
    Refusal::new(code, text).hint("A person who is signed in may keep this key, with key_adopt or in the console.")
}

fn unreadable() -> Refusal {
    Refusal::new(Code::ControlStateUnreadable, "What the key comes from cannot be read.")
}

/// A network that cannot be read allows nothing (P12); a key with networks and a caller without address neither.
fn address_allowed(row: &Credential, who: &Principal) -> bool {
    let Some(networks) = &row.ips else { return true };
    // A listener for both families sees IPv4 clients as mapped addresses.
    let Some(ip) = who.ip.map(|ip| ip.to_canonical()) else { return false };
    networks.iter().any(|text| {
        let network = text.parse::<ipnet::IpNet>().or_else(|_| text.parse::<std::net::IpAddr>().map(ipnet::IpNet::from));
        network.is_ok_and(|network| network.contains(&ip))
    })
}

/// A credential with everything that it comes from, if all of them are alive as far as control state says; else why not.
pub fn alive<'a>(state: &'a ControlState, id: &CredentialId, now: Micros) -> Result<Lineage<'a>, Refusal> {
    let lineage = state.lineage(id)?;
    lineage.check_alive(now)?;
    if state.has_left(lineage.own()) {
        return Err(Refusal::new(Code::TokenRevoked, "The person whose key it is has left."));
    }
    if lineage.rows().any(|row| state.has_left(row)) {
        return Err(kept(Code::TokenRevoked, "The person whose key this one was made with has left."));
    }
    if lineage.rows().any(|row| state.is_unvouched(row, now)) {
        let text = "The issuer of the person whose key it is has not vouched for them for too long.";
        let hint = "It works again when that person has signed in to the console with their issuer.";
        return Err(Refusal::new(Code::TokenExpired, text).hint(hint));
    }
    Ok(lineage)
}

/// Whether a key was revoked itself, alone or with all that replace it: of all ends the one that nothing brings back, so that
/// a copy of control state which is behind cannot be wrong about it.
#[must_use]
pub fn is_revoked(state: &ControlState, id: &CredentialId) -> bool {
    state.credentials.get(id).is_some_and(|row| row.revoked_at.is_some())
}

/// Refuses to make a credential that would come from more than [`MAX_COUNT`]: with `maker`, and in the place of `rotates`.
pub fn check_length(state: &ControlState, maker: &CredentialId, rotates: Option<&CredentialId>) -> Result<(), Refusal> {
    let (maker, old) = (state.lineage(maker)?, rotates.map(|old| state.lineage(old)).transpose()?);
    let mut all = maker.firsts();
    all.extend(old.iter().flat_map(Lineage::firsts));
    if all.len() + usize::from(old.is_none()) <= MAX_COUNT {
        return Ok(());
    }
    let text = format!("The key would come from more than {} others.", MAX_COUNT - 1);
    Err(Refusal::new(Code::Conflict, text).hint("Make it with a key that comes from fewer, or have a person adopt one of them."))
}

impl ControlState {
    /// A credential with everything that it comes from.
    pub fn lineage(&self, id: &CredentialId) -> Result<Lineage<'_>, Refusal> {
        let unknown = || Refusal::new(Code::Unauthenticated, "The key is not known.");
        let own = self.credentials.get(id).ok_or_else(unknown)?;
        let mut stems = vec![self.stem(own.descent.first.as_ref().unwrap_or(&own.created.credential))?];
        let mut next = 0;
        while let Some(first) = stems.get(next).map(|stem| stem.first) {
            next += 1;
            for maker in &first.descent.makers {
                if stems.iter().any(|known| known.id() == maker) {
                    continue;
                }
                if stems.len() == READ {
                    return Err(unreadable());
                }
                stems.push(self.stem(maker)?);
            }
        }
        Ok(Lineage { state: self, own, stems })
    }

    /// Whose rows a decision about the credential's calls looks up; nobody's if it is refused anyway.
    #[must_use]
    pub fn lineage_rows(&self, id: &CredentialId) -> LineageRows {
        self.lineage(id).map(|lineage| lineage.lineage_rows()).unwrap_or_default()
    }

    fn stem(&self, id: &CredentialId) -> Result<Stem<'_>, Refusal> {
        let first = self.credentials.get(id).filter(|row| row.descent.first.is_none()).ok_or_else(unreadable)?;
        let Some(newest) = &first.descent.newest else { return Ok(Stem { first, newest: first }) };
        let newest = self.credentials.get(newest).filter(|row| self.first_of(&row.created.credential) == id);
        Ok(Stem { first, newest: newest.ok_or_else(unreadable)? })
    }

    /// What it, and those that it replaces, were made with: the newest of each.
    #[must_use]
    pub fn makers(&self, id: &CredentialId) -> Vec<&Credential> {
        let first = self.credentials.get(self.first_of(id));
        let makers = first.iter().flat_map(|row| &row.descent.makers);
        makers.filter_map(|maker| self.stem(maker).ok()).map(|stem| stem.newest).collect()
    }

    /// Whether a key was revoked with all that replace it.
    pub(super) fn has_ended(&self, id: &CredentialId) -> bool {
        self.stem(self.first_of(id)).map_or(true, |stem| stem.is_over())
    }

    /// Whether revoking it, once more if it was replaced, would end nothing.
    #[must_use]
    pub fn is_over(&self, id: &CredentialId) -> bool {
        self.credentials.get(id).is_none_or(|row| row.revoked_at.is_some()) && self.has_ended(id)
    }
}
