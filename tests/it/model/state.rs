//! Where a call, two nodes and the log can stand, and what can happen next.

/// The call in the log: its job row, and then its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Job {
    Unasked,
    Queued,
    Running(usize),
    Ended(End),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    Refused,
    Succeeded,
    Cancelled,
    /// Cancelled, because nobody was ever given leave to start it.
    NeverBegun,
    Unknown,
}

/// The call on a node: `InFlight`, `Admitted`, `Section`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hand {
    Empty,
    /// A transaction that may give leave is under way; it began under this lease.
    Writing(Aim, u8),
    Leave(u8),
    Section,
    Sent,
    Stopped,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Aim {
    Admit,
    Claim,
    /// From the node that had it.
    TakeOver(usize),
}

/// What dies with a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "what a process knows, each apart")]
pub struct Node {
    pub up: bool,
    /// Its newest control state has the switch.
    pub knows: bool,
    pub lease_until: u8,
    /// Which unbroken lease that is.
    pub lease: u8,
    pub hand: Hand,
    /// Its newest control state has the switch letting go.
    pub knows_ramp: bool,
    /// Its leave was decided when the call's turn had come.
    pub let_through: bool,
    /// A beat is written and not yet answered: since when it counts, and whether it saw the switch, and that it lets go.
    pub beat: Option<(u8, [bool; 2])>,
    pub beat_again: bool,
    /// It was found that the call is to end so, while this node had it.
    pub verdict: Option<(End, usize)>,
}

/// A node that is no more.
pub const DEAD: Node = Node {
    up: false,
    knows: false,
    lease_until: 0,
    lease: 0,
    hand: Hand::Empty,
    knows_ramp: false,
    let_through: false,
    beat: None,
    beat_again: false,
    verdict: None,
};

/// Whether the switch lets go, and whether the call's turn has come by the time of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ramp {
    No,
    Begun,
    Reached,
}

/// A node's row in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Row {
    pub confirmed: bool,
    pub written: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fenced {
    No,
    Waiting {
        by: usize,
        other_dead: bool,
    },
    /// Which nodes are said to have confirmed; the others are said to have expired.
    Reported([bool; 2]),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "what has been seen to happen, each apart")]
pub struct State {
    pub time: u8,
    pub asked: bool,
    pub engaged: bool,
    pub ramp: Ramp,
    pub job: Job,
    /// Which nodes were given leave, by the events of the call.
    pub ran_on: [bool; 2],
    pub admitted: bool,
    pub ends: u8,
    pub rows: [Row; 2],
    pub nodes: [Node; 2],
    pub sent: u8,
    pub fenced: Fenced,
    pub admitted_after_engaging: bool,
    pub started_after_fenced: bool,
    pub started_what_was_taken: bool,
    pub landed_behind_the_switch: bool,
}

/// What becomes of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Told,
    LostButKept,
    Lost,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Tick,
    Ask,
    Take(usize),
    Commit(usize, Fate),
    Enter(usize),
    Send(usize),
    Land(usize, Fate),
    Finish(usize, Fate),
    Beat(usize),
    Beaten(usize),
    Poll(usize),
    Engage(usize),
    Report(usize),
    LetGo(usize),
    Turn,
    Look(usize),
    End(usize),
    Crash(usize),
}

impl State {
    /// `core/switch.rs`, `Switch::covers`, at the time of the log.
    pub fn covered(&self) -> bool {
        self.engaged && self.ramp != Ramp::Reached
    }

    /// The node that has it.
    pub fn owner(&self) -> Option<usize> {
        if let Job::Running(owner) = self.job { Some(owner) } else { None }
    }

    /// Nothing can happen to a call any more that has ended, or was never recorded, and is on its way nowhere.
    pub fn is_over(&self) -> bool {
        let open = if self.asked { matches!(self.job, Job::Queued | Job::Running(_)) } else { self.time == 0 };
        !open && self.nodes.iter().all(|node| matches!(node.hand, Hand::Empty | Hand::Stopped))
    }

    /// `log/closing.rs`: the first end is the end.
    pub fn become_of(&mut self, job: Job) {
        if !matches!(self.job, Job::Ended(_)) {
            self.ends += u8::from(matches!(job, Job::Ended(_)));
            self.job = job;
        }
    }
}
