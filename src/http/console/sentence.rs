//! What an event says, as a sentence: one function from every kind of event to words, with names and without ids.
//!
//! INVARIANT: whom a reader may not know it does not name. A new kind has a place in [`sentence`] or does not compile; that the function
//! which it is handed to words it is held by the test below, over the golden log, which has every kind.

use std::collections::BTreeMap;

use super::format::{escape_hidden, quoted};
use super::reading_words::deed;
use super::target_words::stops;
use crate::core::event::EventKind;
use crate::core::id::{AccountId, CredentialId, SwitchId, UserId, VmId};
use crate::core::resource::ResourceId;
use crate::core::role::Role;
use crate::core::state::ControlState;
use crate::core::switch::{Running, Target};
use crate::core::visibility::Visibility;
use crate::core::visible::{capitalized, counted};

/// What things and people are called by whoever reads.
pub struct Names<'a> {
    /// What there is now.
    pub state: &'a ControlState,
    /// E-mail addresses of the people whom the reader may know.
    pub people: &'a BTreeMap<String, String>,
    /// Names of accounts.
    pub accounts: &'a BTreeMap<String, String>,
    /// What the reader may see.
    pub visibility: &'a Visibility,
    /// What switches stopped that are over by now.
    pub targets: &'a BTreeMap<SwitchId, Target>,
}

impl Names<'_> {
    fn key(&self, id: &CredentialId) -> String {
        let found = self.state.credentials.get(id).filter(|row| self.visibility.key(row));
        let person = found.filter(|row| row.created.role.is_some()).and_then(|row| self.people.get(row.created.user.as_str()));
        match (person, found) {
            (Some(email), _) => format!("the console credential of {email}"),
            (None, Some(row)) => format!("the key {}", quoted(&row.label)),
            (None, None) => "a key".into(),
        }
    }

    fn resource(&self, id: &ResourceId) -> String {
        let found = self.state.resource(id).filter(|row| self.visibility.resource(row));
        found.map_or_else(|| format!("a {}", id.noun().title), |row| format!("the {} {}", id.noun().title, quoted(&row.label)))
    }

    fn vm(&self, id: &VmId) -> String {
        self.resource(&id.into())
    }

    fn person(&self, id: &UserId) -> String {
        self.people.get(id.as_str()).cloned().unwrap_or_else(|| "a person".into())
    }

    fn account(&self, id: &AccountId) -> String {
        self.accounts.get(id.as_str()).map_or_else(|| "the account".into(), |name| format!("the account {name}"))
    }

    /// What a switch stops, in force or not.
    fn switch(&self, id: &SwitchId) -> String {
        let target = self.state.switches.get(id).map(|row| &row.target).or_else(|| self.targets.get(id));
        let target = target.filter(|target| self.visibility.target(target, self.state));
        target.map_or_else(|| "a switch".into(), |target| format!("the switch \u{201c}{}\u{201d}", stops(target, self.state)))
    }
}

/// What happened; `who` did it, if anybody who may be named.
pub fn sentence(kind: &EventKind, who: Option<&str>, names: &Names<'_>) -> String {
    let did = |active: &str, passive: &str| told(who, active, passive);
    match kind {
        EventKind::SwitchEngaged { .. }
        | EventKind::ReleaseRequested { .. }
        | EventKind::SwitchReleased { .. }
        | EventKind::ReleaseRamped { .. }
        | EventKind::SwitchExpired { .. }
        | EventKind::AlarmAcknowledged { .. } => of_switch(kind, who, names),
        EventKind::DrillCompleted(drill) => {
            let how = if drill.failed.is_none() { "passed" } else { "failed" };
            did(&format!("tried the switches: the drill {how}"), &format!("A drill of the switches {how}"))
        }
        EventKind::AccountCreated { account, .. } => capital(&format!("{} was created", names.account(account))),
        EventKind::AccountChanged { agents_may_enable_exec, .. } => {
            let may = if *agents_may_enable_exec { "Agents may" } else { "Agents may no longer" };
            format!("{may} turn command execution on")
        }
        EventKind::CredentialCreated(_)
        | EventKind::CredentialRevoked { .. }
        | EventKind::CredentialAdopted { .. }
        | EventKind::RefusalsCounted { .. } => of_key(kind, who, names),
        EventKind::VmImported { .. } | EventKind::VmExecSet { .. } | EventKind::ClaimCleared { .. } => of_vm(kind, who, names),
        EventKind::PolicyLoaded { version, .. } => did(
            &format!("put version {version} of the policies in force"),
            &format!("Version {version} of the policies is in force"),
        ),
        EventKind::PolicyRejected { .. } => "A set of policies was rejected; the one before stays in force".into(),
        EventKind::LimitsSet { version, .. } => {
            did(&format!("put version {version} of the limits in force"), &format!("Version {version} of the limits is in force"))
        }
        EventKind::NodeStarted { version, .. } => format!("A server started, version {}", escape_hidden(version)),
        EventKind::NodeStopped { .. } => "A server stopped".into(),
        EventKind::LogRead { account, what, .. } => {
            let Reader { who, whose } = reader_of(account.as_ref(), who, names);
            format!("{who} {}", deed(what, &whose))
        }
        EventKind::UserCreated { .. }
        | EventKind::SignedIn { .. }
        | EventKind::SignInRefused { .. }
        | EventKind::SignedOut { .. }
        | EventKind::PasswordSet { .. }
        | EventKind::IdentityLinked { .. }
        | EventKind::IdentityUnlinked { .. }
        | EventKind::VouchedFor { .. }
        | EventKind::RoleChanged { .. }
        | EventKind::RoleWithdrawn { .. }
        | EventKind::PersonInvited { .. }
        | EventKind::InvitationRevoked { .. }
        | EventKind::UserRemoved { .. } => of_person(kind, who, names),
        EventKind::ClockAccepted { .. } => did("accepted the clock as right", "The clock was accepted as right"),
        EventKind::StateMended { rows, .. } => {
            let count: u64 = rows.iter().map(|rows| rows.written + rows.removed).sum();
            format!("Control state was mended from the log: {}", counted(count, "row"))
        }
        EventKind::IntentRecorded(_)
        | EventKind::Admitted(_)
        | EventKind::Refused(_)
        | EventKind::Held { .. }
        | EventKind::Started { .. }
        | EventKind::Succeeded(_)
        | EventKind::Failed(_)
        | EventKind::Cancelled(_)
        | EventKind::TimedOut(_)
        | EventKind::Unknown(_)
        | EventKind::Reconciled { .. }
        | EventKind::LateResult { .. }
        | EventKind::ApprovalDecided { .. }
        | EventKind::CancelRequested { .. } => of_call(kind, who),
    }
}

/// Who read the log, and whose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reader {
    /// Who, as a sentence begins.
    pub who: String,
    /// The account, or several.
    pub whose: String,
}

/// Who read the log, if that is what happened.
pub fn reader(kind: &EventKind, who: Option<&str>, names: &Names<'_>) -> Option<Reader> {
    let EventKind::LogRead { account, .. } = kind else { return None };
    Some(reader_of(account.as_ref(), who, names))
}

fn reader_of(account: Option<&AccountId>, who: Option<&str>, names: &Names<'_>) -> Reader {
    let whose = account.map_or_else(|| "several accounts".into(), |id| names.account(id));
    match (who, names.visibility.is_everything()) {
        (Some(who), _) => Reader { who: who.to_owned(), whose },
        // Who has no name is the command line.
        (None, true) => Reader { who: "Staff".into(), whose },
        // A customer is told of nobody by name.
        (None, false) => Reader { who: "Your provider's staff".into(), whose: "this account".into() },
    }
}

fn told(who: Option<&str>, active: &str, passive: &str) -> String {
    who.map_or_else(|| capital(passive), |who| format!("{who} {active}"))
}

/// What is said of a call: every kind that is left.
fn of_call(kind: &EventKind, who: Option<&str>) -> String {
    let did = |active: &str, passive: &str| told(who, active, passive);
    match kind {
        EventKind::IntentRecorded(intent) => format!("{} was asked for", escape_hidden(&intent.tool)),
        EventKind::Admitted(_) => "A call was checked and admitted".into(),
        EventKind::Refused(refused) => format!("A call was refused with {}", refused.code),
        EventKind::Held { .. } => "A call waits for a person".into(),
        EventKind::Started { .. } => "A worker took a call".into(),
        EventKind::Succeeded(_) => "A call succeeded".into(),
        EventKind::Failed(_) => "A call failed".into(),
        EventKind::Cancelled(_) => "A call was cancelled".into(),
        EventKind::TimedOut(_) => "A call timed out".into(),
        EventKind::Unknown(_) => "The outcome of a call is unknown".into(),
        EventKind::Reconciled { .. } => "The provider was asked what became of a call".into(),
        EventKind::LateResult { .. } => "A result came after the end of a call".into(),
        EventKind::ApprovalDecided { approved, .. } => {
            let deed = if *approved { "approved" } else { "rejected" };
            did(&format!("{deed} a call"), &format!("A call was {deed}"))
        }
        EventKind::CancelRequested { .. } => did("asked for the end of a call", "The end of a call was asked for"),
        _ => String::new(),
    }
}

/// What is said of a VM.
fn of_vm(kind: &EventKind, who: Option<&str>, names: &Names<'_>) -> String {
    let did = |active: &str, passive: &str| told(who, active, passive);
    match kind {
        EventKind::VmImported { vm, account, provider, .. } => capital(&format!(
            "{} was added to {}, at the provider {}",
            names.vm(vm),
            names.account(account),
            escape_hidden(provider)
        )),
        EventKind::VmExecSet { vm, enabled } => {
            format!("Command execution on {} was turned {}", names.vm(vm), if *enabled { "on" } else { "off" })
        }
        EventKind::ClaimCleared { resource, .. } => {
            let what = names.resource(resource);
            did(&format!("freed {what} for the next command"), &capital(&format!("{what} is free for the next command")))
        }
        _ => String::new(),
    }
}

/// What is said of a switch.
fn of_switch(kind: &EventKind, who: Option<&str>, names: &Names<'_>) -> String {
    let did = |active: &str, passive: &str| told(who, active, passive);
    match kind {
        EventKind::SwitchEngaged { target, running, .. } => {
            let end = if *running == Running::Cancel { ", and cancelled what ran" } else { "" };
            let what = stops(target, names.state);
            did(&format!("engaged a switch: {what}{end}"), &format!("A switch was engaged: {what}{end}"))
        }
        EventKind::ReleaseRequested { switch, .. } => {
            let what = names.switch(switch);
            did(&format!("requested the release of {what}"), &format!("The release of {what} was requested"))
        }
        EventKind::SwitchReleased { switch, .. } => {
            let what = names.switch(switch);
            did(&format!("released {what}"), &format!("{what} was released"))
        }
        EventKind::ReleaseRamped { switch, .. } => {
            let what = names.switch(switch);
            did(&format!("released {what} step by step"), &format!("{what} is released step by step"))
        }
        EventKind::SwitchExpired { switch } => format!("{} ended by itself", capital(&names.switch(switch))),
        EventKind::AlarmAcknowledged { switch, .. } => {
            let what = format!("the alarm about {}", names.switch(switch));
            did(&format!("acknowledged {what}"), &format!("{what} was acknowledged"))
        }
        _ => String::new(),
    }
}

/// What is said of a key.
fn of_key(kind: &EventKind, who: Option<&str>, names: &Names<'_>) -> String {
    let did = |active: &str, passive: &str| told(who, active, passive);
    match kind {
        EventKind::CredentialCreated(made) if made.rotates.is_some() => {
            let key = names.key(&made.credential);
            did(&format!("rotated {key}"), &format!("{} was rotated", capital(&key)))
        }
        EventKind::CredentialCreated(made) if made.role.is_some() => {
            format!("{} was created", capital(&names.key(&made.credential)))
        }
        EventKind::CredentialCreated(made) => {
            let key = names.key(&made.credential);
            did(&format!("created {key}"), &format!("{} was created", capital(&key)))
        }
        EventKind::CredentialRevoked { credential, .. } => {
            let key = names.key(credential);
            did(&format!("revoked {key}"), &format!("{} was revoked", capital(&key)))
        }
        EventKind::CredentialAdopted { credential, .. } => {
            let key = names.key(credential);
            did(&format!("keeps {key} as their own"), &format!("{} was taken over by a person", capital(&key)))
        }
        EventKind::RefusalsCounted { credential, tool, resources, code, count, mixed, .. } => {
            let on = resources.first().map_or_else(String::new, |id| format!(" on {}", names.resource(id)));
            let why = if *mixed { "of several kinds".into() } else { format!("with {code}") };
            let calls = counted(*count, "more call");
            format!("{calls} of {}{on} by {} were refused {why}", escape_hidden(tool), names.key(credential))
        }
        _ => String::new(),
    }
}

/// What is said of somebody.
fn of_person(kind: &EventKind, who: Option<&str>, names: &Names<'_>) -> String {
    let did = |active: &str, passive: &str| told(who, active, passive);
    match kind {
        EventKind::UserCreated { user, account, role, .. } => {
            let role = role.map_or_else(String::new, |role| format!(" as {}", role.as_str()));
            capital(&format!("{} joined {}{role}", names.person(user), names.account(account)))
        }
        EventKind::SignedIn { user, issuer, .. } => {
            let by = issuer.as_ref().map_or_else(String::new, |name| format!(" with {}", escape_hidden(name)));
            capital(&format!("{} signed in{by}", names.person(user)))
        }
        EventKind::SignInRefused { user, issuer } => {
            let whose = user.as_ref().map_or_else(|| "somebody".into(), |user| names.person(user));
            let by = issuer.as_ref().map_or_else(String::new, |name| format!(" with {}", escape_hidden(name)));
            format!("A sign-in as {whose}{by} was refused")
        }
        EventKind::SignedOut { user, session, by } => {
            let what = if session.is_some() { "a session" } else { "every session" };
            match by {
                Some(by) if by != user => did(
                    &format!("ended {what} of {}", names.person(user)),
                    &format!("{} of {} was ended", capital(what), names.person(user)),
                ),
                _ => capital(&format!("{} signed out of {what}", names.person(user))),
            }
        }
        EventKind::PasswordSet { user, .. } => capital(&format!("{} chose a password", names.person(user))),
        EventKind::IdentityLinked { user, issuer, .. } => {
            capital(&format!("{} linked their identity at {}", names.person(user), escape_hidden(issuer)))
        }
        EventKind::IdentityUnlinked { user, issuer, .. } => {
            capital(&format!("{} unlinked their identity at {}", names.person(user), escape_hidden(issuer)))
        }
        EventKind::VouchedFor { user, issuer, .. } => match issuer {
            Some(issuer) => capital(&format!("{} vouched for {}", escape_hidden(issuer), names.person(user))),
            None => capital(&format!("{} signs in with a password from now on", names.person(user))),
        },
        EventKind::RoleChanged { user, role, .. } => {
            let (whom, role) = (names.person(user), role_name(*role));
            did(&format!("made {whom} {role}"), &format!("{} is {role} now", capital(&whom)))
        }
        EventKind::RoleWithdrawn { user, issuer, role, .. } => {
            let (whom, role) = (names.person(user), role_name(*role));
            capital(&format!("{whom} is not {role} any more, because {} gives them no role", escape_hidden(issuer)))
        }
        EventKind::PersonInvited { role, account, .. } => {
            let (role, whose) = (role_name(*role), names.account(account));
            did(&format!("invited somebody into {whose} as {role}"), &format!("Somebody was invited into {whose} as {role}"))
        }
        EventKind::InvitationRevoked { .. } => did("took an invitation back", "An invitation ended without being taken"),
        EventKind::UserRemoved { user, account, .. } => {
            let (whom, whose) = (names.person(user), names.account(account));
            did(&format!("removed {whom} from {whose}"), &format!("{} was removed from {whose}", capital(&whom)))
        }
        _ => String::new(),
    }
}

fn role_name(role: Role) -> String {
    let (name, first) = (role.as_str(), role.as_str().chars().next().unwrap_or_default());
    if "aeiou".contains(first) { format!("an {name}") } else { format!("a {name}") }
}

fn capital(text: &str) -> String {
    // An address keeps its own letters.
    let first_word = text.split(' ').next().unwrap_or_default();
    if first_word.contains(['@', '.', '-']) { text.to_owned() } else { capitalized(text) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::code::Code;
    use crate::core::event::Event;
    use crate::tools::spec_of;

    #[test]
    fn every_kind_is_a_sentence_without_an_id() {
        let golden = include_str!("../../../tests/it/golden/leaf-v1.jsonl").lines();
        let leaves: Vec<Event> = golden.map(|leaf| Event::decode(leaf.as_bytes()).unwrap()).collect();
        let (mut state, none) = (ControlState::default(), BTreeMap::new());
        for leaf in leaves.iter().filter(|leaf| matches!(leaf.kind, EventKind::VmImported { .. })) {
            state.apply(leaf.position, leaf.at, &leaf.kind, &serde_json::json!({ "label": "web-1" }));
        }
        let names = Names {
            state: &state,
            people: &none,
            accounts: &none,
            visibility: &Visibility::Everything,
            targets: &BTreeMap::new(),
        };
        let mut kinds = std::collections::BTreeSet::new();
        for Event { kind, .. } in leaves {
            for who in [None, Some("them@example.com")] {
                let said = sentence(&kind, who, &names);
                assert!(said.contains(' ') && !said.contains("  "), "{}: {said}", kind.name());
                // Tools and codes have no other names.
                let is_name = |word: &str| spec_of(word).is_some() || Code::ALL.iter().any(|code| code.as_str() == word);
                assert!(said.split(' ').all(|word| !word.contains('_') || is_name(word)), "{}: {said}", kind.name());
                for id in ["acc_", "key_", "usr_", "swi_", "vm_0", "call_", "nod_", "inv_"] {
                    assert!(!said.contains(id), "{}: {said}", kind.name());
                }
                let first = said.chars().next().unwrap();
                let begins_with_a_name = is_name(said.split(' ').next().unwrap_or_default());
                assert!(
                    begins_with_a_name
                        || first.is_uppercase()
                        || first.is_numeric()
                        || who.is_some_and(|who| said.starts_with(who)),
                    "{}: {said}",
                    kind.name()
                );
            }
            kinds.insert(kind.name());
        }
        assert!(kinds.len() >= 40, "the golden log has only {kinds:?}");
    }
}
