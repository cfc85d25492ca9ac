//! What `doctor` calls what it looks at.
//!
//! INVARIANT: the same is named whether the log can be read or not: what needs it and cannot be looked at is said as that.

/// Whether a switch could be engaged.
pub(super) const CAN_STOP: &str = "a switch could be engaged now";
/// Whether anybody keeps others from writing the log.
pub(super) const NOT_HELD: &str = "nobody holds the log";
/// Whether the rows by which a switch is seen to be fenced were written by the nodes.
pub(super) const NODE_ROWS: &str = "the rows of nodes are theirs";
/// Whether the key file is the vault's.
pub(super) const VAULT_OPENS: &str = "the vault opens with the key file";
/// Whether each data key opens.
pub(super) const DATA_KEYS: &str = "each data key opens";
/// Whether the vault has nobody whom the log does not have.
pub(super) const PEOPLE: &str = "everybody in the vault is somebody in the log";
/// Whether there are views to look at.
pub(super) const VIEWS_OPEN: &str = "the views can be opened";
/// Whether they were pulled from this log.
pub(super) const VIEWS_FIT: &str = "the views are of this log";
/// Whether each row says what its events say.
pub(super) const VIEWS_ROWS: &str = "the views say what the log says";
/// Whether the chain of events is whole.
pub(super) const LOG_ORDER: &str = "the log is in order";
/// Whether folding the log again makes the same rows.
pub(super) const STATE_FOLLOWS: &str = "control state follows from the log";
/// Whether a node would start on it.
pub(super) const STATE_LOADS: &str = "a node takes control state from the log";
/// Whether a node could change what is written.
pub(super) const GUARDED: &str = "the database refuses to change events";
/// Whether a commit survives a crash of the machine.
pub(super) const DURABLE: &str = "what is committed is on disk";
/// Whether files are their owner's.
pub(super) const PRIVATE: &str = "nobody but its owner reads what is kept";
/// Whether files that the configuration names are.
pub(super) const SECRETS: &str = "nobody else reads the files with secrets";
/// Whether time does not run backwards.
pub(super) const CLOCK: &str = "the clock agrees with the log";
/// Whether a node could serve the recorded policies.
pub(super) const POLICIES_SERVED: &str = "the policies in force can be served";
/// Whether the files that are configured are policies.
pub(super) const POLICIES_READ: &str = "the configured policies can be read";
/// Whether TLS could be served.
pub(super) const CERTIFICATE: &str = "the certificate can be served";
/// Whether VMs could be reached.
pub(super) const PROVIDERS: &str = "the providers can be opened";
/// Whether people could sign in by them.
pub(super) const ISSUERS: &str = "the issuers can be set up";
/// Whether a server could begin.
pub(super) const ADDRESS: &str = "the address can be listened at";
/// Whether anybody could act in an emergency.
pub(super) const STAFF: &str = "there is staff";
/// Whether that was tried.
pub(super) const DRILLED: &str = "the switches were drilled";

/// What needs the log.
pub(super) const OF_LOG: [&str; 17] = [
    NOT_HELD,
    NODE_ROWS,
    VAULT_OPENS,
    DATA_KEYS,
    PEOPLE,
    VIEWS_OPEN,
    VIEWS_FIT,
    VIEWS_ROWS,
    LOG_ORDER,
    STATE_FOLLOWS,
    STATE_LOADS,
    GUARDED,
    DURABLE,
    CLOCK,
    POLICIES_SERVED,
    STAFF,
    DRILLED,
];
