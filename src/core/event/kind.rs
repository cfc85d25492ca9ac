//! Every kind of event. INVARIANT: kinds are frozen with the leaf; one is only ever added, and so is a field, which is then optional.

use serde::{Deserialize, Serialize};

use super::body::{Admitted, CredentialCreated, DrillCompleted, Ended, IntentRecorded, MendedRows, Refused};
use crate::core::bounded::{Hex, Name, ToolName};
use crate::core::code::Code;
use crate::core::hold::HoldTerms;
use crate::core::id::{AccountId, CallId, CredentialId, Epoch, InvitationId, NodeId, Position, RunId, SwitchId, UserId, VmId};
use crate::core::principal::Side;
use crate::core::resource::ResourceId;
use crate::core::role::Role;
use crate::core::switch::{Running, Target};
use crate::core::terms::Terms;
use crate::core::time::Micros;

/// What happened. The names are the `type` of the leaf.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[cfg_attr(feature = "testing", expect(missing_docs, reason = "the fields say what the variants' docs do not"))]
pub enum EventKind {
    /// A call was asked for.
    IntentRecorded(IntentRecorded),
    /// It was refused. Terminal.
    Refused(Refused),
    /// It may run.
    Admitted(Admitted),
    /// It waits for a person.
    Held {
        call: CallId,
        /// When the wait ends without an answer.
        expires_at: Micros,
        /// What is asked for. Where it is not said nobody can say yes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        terms: Option<HoldTerms>,
    },
    /// A worker took a queued call.
    Started {
        call: CallId,
        node: NodeId,
        /// Epoch that control state had then.
        epoch: Epoch,
    },
    /// It was done. Terminal.
    Succeeded(Ended),
    /// It was not done, or failed. Terminal.
    Failed(Ended),
    /// It was stopped. Terminal.
    Cancelled(Ended),
    /// Its time was over and it was ended. Terminal.
    TimedOut(Ended),
    /// Nobody can say whether it was done. Terminal.
    Unknown(Ended),
    /// What the provider said later of a call that ended `unknown`.
    Reconciled {
        call: CallId,
        /// Whether it was done; left out where the provider cannot say either.
        happened: Option<bool>,
    },
    /// A result that came after the end.
    LateResult { call: CallId },
    /// A run of identical refusals ended.
    RefusalsCounted {
        run: RunId,
        /// Whose calls.
        account: AccountId,
        /// The key that they came with.
        credential: CredentialId,
        tool: ToolName,
        /// What they named of what is the caller's.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        resources: Vec<ResourceId>,
        /// Why they were refused.
        code: Code,
        /// How many.
        count: u64,
        /// When the first of them was refused.
        first: Micros,
        /// When the last one was.
        last: Micros,
        /// Tools, resources and codes were of many kinds; the code is that of the first.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        mixed: bool,
    },
    /// A kill switch was engaged: from here on no call that its target covers is admitted.
    SwitchEngaged {
        switch: SwitchId,
        target: Target,
        by: Option<UserId>,
        credential: Option<CredentialId>,
        running: Running,
        /// When it ends by itself.
        expires_at: Option<Micros>,
    },
    /// One person asked for the release of a global switch; a second one has to ask too.
    ReleaseRequested {
        switch: SwitchId,
        by: UserId,
        /// What they asked with; without it the wish counts no more when the second one comes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        credential: Option<CredentialId>,
    },
    /// A switch stops nothing any more.
    SwitchReleased { switch: SwitchId, by: Option<UserId>, second: Option<UserId>, break_glass: bool },
    /// The time of a switch was over, and it stops nothing any more.
    SwitchExpired { switch: SwitchId },
    /// An account was made.
    AccountCreated { account: AccountId, side: Side },
    /// Staff set whether keys of an account may turn command execution on.
    AccountChanged { account: AccountId, agents_may_enable_exec: bool },
    /// A person was made one of an account's people.
    UserCreated {
        user: UserId,
        /// Whose.
        account: AccountId,
        side: Side,
        /// What they may do; left out by versions from before roles were events.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        role: Option<Role>,
        /// The invitation that they took, which is none any more.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        invitation: Option<InvitationId>,
        /// Who made that invitation.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        invited_by: Option<UserId>,
        /// Keyed digest of their e-mail address in that account: nobody else is made under it there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        address: Option<Hex>,
    },
    /// A key was made, or what the console acts with for a person who has signed in.
    CredentialCreated(CredentialCreated),
    /// A key was revoked: no call that comes with it, or with what it made, is admitted any more.
    CredentialRevoked {
        /// The key.
        credential: CredentialId,
        by: Option<UserId>,
    },
    /// A machine of a provider was given to an account as a VM.
    VmImported { vm: VmId, account: AccountId, provider: Name, machine: Name },
    /// Command execution was turned on or off for a VM.
    VmExecSet { vm: VmId, enabled: bool },
    /// A person or reconcile freed the place for a command in a resource.
    ClaimCleared { resource: ResourceId, call: CallId, by: Option<UserId> },
    /// A set of policies was put in force on every node.
    PolicyLoaded {
        /// Which set in force: one more than the one before.
        version: i64,
        sha256: Hex,
        /// Who put it in force; nobody at the first start of a log, and on the data itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<UserId>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        credential: Option<CredentialId>,
    },
    /// A set of policies was refused, and the one in force stayed.
    PolicyRejected { sha256: Hex },
    /// A node started to serve.
    NodeStarted {
        node: NodeId,
        /// The version of Forelog that it runs.
        version: Name,
    },
    /// A node stopped in order.
    NodeStopped { node: NodeId },
    /// Staff read the log or took an export from it.
    LogRead {
        /// Who read; left out where it was done on the data itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        user: Option<UserId>,
        /// Whose events; left out where that is no single account.
        account: Option<AccountId>,
        /// What was read, as the path of a page or of the API says it.
        what: Name,
    },
    /// A person signed in to the console.
    SignedIn {
        user: UserId,
        /// The session, as a digest; calls made in it carry the same.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        session: Option<Hex>,
        /// Who vouched for them, by its name in the configuration; none after a password.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        issuer: Option<Name>,
    },
    /// Somebody tried to sign in to the console, and was refused.
    SignInRefused {
        /// Whom they tried to sign in as, if that is known.
        user: Option<UserId>,
        /// Whom they tried to come in by.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        issuer: Option<Name>,
    },
    /// A clock is right, which nothing else said. From then on the log's time is so far ahead of the clocks.
    ClockAccepted {
        by: Option<UserId>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        credential: Option<CredentialId>,
        /// In microseconds.
        #[serde(default, skip_serializing_if = "is_nothing")]
        ahead: i64,
    },
    /// A session of a person was ended, or all of them.
    SignedOut {
        user: UserId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        session: Option<Hex>,
        /// Who ended it, if that was somebody else.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<UserId>,
    },
    /// A person chose a password, by an invitation or in the place of another one.
    PasswordSet {
        user: UserId,
        /// The session in which they did, as a digest: it goes on, and every other one of theirs has ended.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        session: Option<Hex>,
    },
    /// A person answered a held call; what becomes of it is an event of its own. No person is named if it was done on the
    /// data itself.
    ApprovalDecided { call: CallId, by: Option<UserId>, credential: Option<CredentialId>, approved: bool },
    /// A switch lets go of one key after the other, of all of them at `until`.
    ReleaseRamped {
        switch: SwitchId,
        by: Option<UserId>,
        second: Option<UserId>,
        /// When it has let go of all of them.
        until: Micros,
        break_glass: bool,
    },
    /// A person has another role from now on.
    RoleChanged {
        user: UserId,
        account: AccountId,
        /// The role from now on.
        role: Role,
        by: Option<UserId>,
    },
    /// From now on an issuer may vouch for a person.
    IdentityLinked {
        user: UserId,
        issuer: Name,
        /// Keyed digest of what the issuer calls them: whoever else it calls so is the same human.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        known_as: Option<Hex>,
    },
    /// It may not any more.
    IdentityUnlinked {
        user: UserId,
        issuer: Name,
        /// As [`EventKind::IdentityLinked`] said; if it is not said, they are linked with nobody any more.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        known_as: Option<Hex>,
    },
    /// The staff asked for the end of a call; how it ended is an event of its own.
    CancelRequested { call: CallId, by: UserId, credential: CredentialId },
    /// The switches were tried on a key of the house's own.
    DrillCompleted(DrillCompleted),
    /// Somebody may become one of an account's people by a link.
    PersonInvited {
        invitation: InvitationId,
        account: AccountId,
        /// The role that they get.
        role: Role,
        by: Option<UserId>,
        /// What they invited with. The link works no longer than that lives.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        credential: Option<CredentialId>,
        /// When the link ends.
        expires_at: Micros,
        /// Keyed digest of the e-mail address in that account: another invitation for it takes this one's place.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        address: Option<Hex>,
    },
    /// An invitation was taken back, or its time was over.
    InvitationRevoked { invitation: InvitationId, account: AccountId, by: Option<UserId> },
    /// A person is none of an account's people any more.
    UserRemoved { user: UserId, account: AccountId, by: Option<UserId> },
    /// A person keeps a key that another one made: from now on it comes from what they act with, and from nothing else.
    CredentialAdopted {
        /// The key that is kept.
        credential: CredentialId,
        by: Option<UserId>,
        /// What it comes from now on.
        with: CredentialId,
    },
    /// Rows beside the log that were not what it says were written anew as it says, or removed. From here on control state has
    /// at least this epoch.
    StateMended {
        /// How many rows of each kind.
        rows: Vec<MendedRows>,
        /// The epoch that control state has at least.
        epoch: Epoch,
    },
    /// An issuer vouched for a person: their keys live until then, unless it does so again. Without an issuer: they came in with a
    /// password, no issuer knows them any more, and their keys live as those of people here do.
    VouchedFor {
        user: UserId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        issuer: Option<Name>,
        /// Until when their keys live.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Micros>,
        /// Its groups say their role from now on, as long as they are linked with what it calls them: the digest of that.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        gives: Option<Hex>,
        /// It made them a person: there is no role that they had before.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        alone: bool,
    },
    /// The issuer that gives a person their role gives them none any more: nobody lets them in, until it gives them one again or
    /// the staff do. `role` is the one that they had.
    RoleWithdrawn {
        user: UserId,
        account: AccountId,
        issuer: Name,
        /// The role that they had.
        role: Role,
    },
    /// These are the limits from now on, and the other numbers that decide for callers.
    LimitsSet {
        /// Which limits in force: one more than those before.
        version: i64,
        terms: Box<Terms>,
        /// Who set them; nobody at the first start of a log, and on the data itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<UserId>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        credential: Option<CredentialId>,
    },
    /// A person of the staff has seen that a switch was engaged or released on the data itself (`alarm`, the position of that
    /// event).
    AlarmAcknowledged {
        switch: SwitchId,
        /// Position of the event that raised the alarm.
        alarm: Position,
        by: UserId,
        credential: CredentialId,
    },
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_nothing(number: &i64) -> bool {
    *number == 0
}
