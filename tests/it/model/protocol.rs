//! Admission, claim, fence, lease and recovery, small enough to be searched whole: one call, two nodes, one log, one provider.
//!
//! ```text
//! Ask ─▶ Commit ─▶ Enter ─▶ Send ─▶ Finish      one node and the call (Take ─▶ Commit ─▶ … if it was queued)
//!               └▶ Land ─────────┘              the same, if what the call does is a change of control state
//! Beat ─▶ Beaten · Poll                         lease, confirmation, what is known of the switch
//! Engage ─▶ Report ─▶ LetGo ─▶ Turn             the switch, which covers the call until its turn comes
//! Look ─▶ End | Commit                          what the other node left open when it died
//! ```
//!
//! Between any two actions everything else may happen: a node that does nothing while time ticks is frozen, and wakes when
//! it goes on. A transaction is one moment, and may be reported lost although it was kept.
//!
//! INVARIANT: each decision mirrors the one in `src/` that is named beside it. Who changes that changes this.

use stateright::{Model, Property};

use super::state::{Action, Aim, DEAD, End, Fate, Fenced, Hand, Job, Node, Ramp, Row, State};

/// How long a lease lasts, in ticks.
const LEASE: u8 = 2;
/// No node beats after this tick, so that every lease runs out in the end.
const LAST_BEAT: u8 = 2;
const THE_END: u8 = LAST_BEAT + LEASE;

/// How the protocol is broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    StartsBeforeCommit,
    DecidesFromCache,
    FenceNotAskedAgain,
    FencedWithoutSections,
    LeaseFromAfterTheWrite,
    LeaseReadFromTheWall,
    LeaveOutlivesLease,
    RunsAgainWhatItMayNot,
    TurnReadFromTheWall,
    LandsUnasked,
    NeverBegunByItsRow,
    EndsWhatOthersHave,
}

/// One call and what is wrong with the nodes that it meets.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "what a call is like, each apart")]
pub struct Protocol {
    pub queued: bool,
    pub idempotent: bool,
    /// The switch may be released step by step.
    pub ramped: bool,
    /// It does nothing but change control state, in a transaction of its own.
    pub records: bool,
    pub flaw: Option<Flaw>,
}

impl Protocol {
    fn has(self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }

    /// `log/admission.rs` and `log/claim.rs`: what the transaction makes of the job, and whether it gives leave.
    fn decide(self, state: &State, node: usize, aim: Aim) -> (Job, bool) {
        let covered = if self.has(Flaw::DecidesFromCache) { state.nodes[node].knows } else { state.covered() };
        match (aim, state.job) {
            (Aim::Admit, Job::Unasked) if covered => (Job::Ended(End::Refused), false),
            (Aim::Claim, Job::Queued) if covered => (Job::Ended(End::Cancelled), false),
            (Aim::TakeOver(from), Job::Running(owner)) if owner == from && covered => (Job::Ended(End::Cancelled), false),
            (Aim::Admit, Job::Unasked) | (Aim::Claim, Job::Queued) => (Job::Running(node), true),
            (Aim::TakeOver(from), Job::Running(owner)) if owner == from => (Job::Running(node), true),
            (_, job) => (job, false),
        }
    }

    fn commit(self, state: &mut State, node: usize, fate: Fate) {
        let Hand::Writing(aim, decided_under) = state.nodes[node].hand else { return };
        state.nodes[node].hand = Hand::Empty;
        if fate == Fate::Lost {
            return;
        }
        let (job, leave) = self.decide(state, node, aim);
        state.admitted |= leave;
        state.ran_on[node] |= leave;
        state.admitted_after_engaging |= leave && state.covered();
        state.become_of(job);
        if leave && fate == Fate::Told {
            state.nodes[node].hand = Hand::Leave(decided_under);
            state.nodes[node].let_through = state.ramp == Ramp::Reached;
        }
    }

    /// `log/fence.rs`, `Fence::enter`.
    fn enter(self, state: &mut State, node: usize) {
        let me = &mut state.nodes[node];
        let leave =
            self.has(Flaw::LeaveOutlivesLease) || me.hand == Hand::Leave(me.lease) || matches!(me.hand, Hand::Writing(..));
        // The clock on the first node's wall is fast.
        let turn_has_come = me.let_through || (node == 0 && self.has(Flaw::TurnReadFromTheWall));
        let stopped = me.knows && !(me.knows_ramp && turn_has_come) && !self.has(Flaw::FenceNotAskedAgain);
        if !leave || stopped || state.time >= me.lease_until {
            me.hand = Hand::Stopped;
            return;
        }
        me.hand = Hand::Section;
        state.started_after_fenced |= matches!(state.fenced, Fenced::Reported(_)) && !me.let_through;
        state.started_what_was_taken |= state.admitted && state.job != Job::Running(node);
    }

    /// `log/call_write.rs`, `CallWrite::check`, and the change in the same transaction.
    fn land(self, state: &mut State, node: usize, fate: Fate) {
        let is_open = state.job == Job::Running(node);
        let allowed = (is_open && !state.covered()) || self.has(Flaw::LandsUnasked);
        let lands = allowed && fate != Fate::Lost;
        state.nodes[node].hand = if lands { Hand::Sent } else { Hand::Stopped };
        state.sent += u8::from(lands);
        state.landed_behind_the_switch |= lands && state.covered();
        state.started_what_was_taken |= lands && !is_open;
    }

    /// `log/fence.rs`, `Fence::confirmed`.
    fn drained(self, node: &Node) -> bool {
        node.hand != Hand::Section || self.has(Flaw::FencedWithoutSections)
    }

    /// `worker/heartbeat.rs`: published before it is answered; the lease counts from before it was written.
    fn beaten(self, state: &mut State, node: usize) {
        let (time, me) = (state.time, &mut state.nodes[node]);
        let Some((since, saw)) = me.beat.take() else { return };
        me.knows |= saw[0];
        me.knows_ramp |= saw[1];
        me.lease += u8::from(time >= me.lease_until);
        me.lease_until = LEASE + if self.has(Flaw::LeaseFromAfterTheWrite) { time } else { since };
    }

    /// `log/peers.rs`: its row has stood still for a lease, by the watcher's own measure of time. Here it is seen as soon as
    /// it is written; who sees it later believes it dead later.
    fn other_is_dead(self, state: &State, node: usize) -> bool {
        // The clock on the second node's wall is fast, by less than is tolerated.
        let ahead = u8::from(node == 1 && self.has(Flaw::LeaseReadFromTheWall));
        state.time + ahead >= state.rows[1 - node].written + LEASE
    }

    /// `tools/switch/fenced.rs`.
    fn report(self, state: &State, node: usize) -> Option<[bool; 2]> {
        let Fenced::Waiting { by, other_dead } = state.fenced else { return None };
        let confirmed = state.rows[1 - node].confirmed;
        let settled = confirmed || other_dead || self.other_is_dead(state, node);
        let mut nodes = [true; 2];
        nodes[1 - node] = confirmed;
        (by == node && settled && self.drained(&state.nodes[node])).then_some(nodes)
    }

    /// `worker/orphans.rs`: what this node would do with an open call that it has not in hand.
    fn look(self, state: &State, node: usize) -> Option<Result<End, Aim>> {
        let (Job::Running(owner), me) = (state.job, &state.nodes[node]) else { return None };
        let nobody_else_ran_it = !state.ran_on[1 - node] || self.has(Flaw::NeverBegunByItsRow);
        match () {
            () if me.hand != Hand::Empty || me.verdict.is_some() => None,
            () if owner == node && nobody_else_ran_it => Some(Ok(End::NeverBegun)),
            () if owner != node && !self.other_is_dead(state, node) => None,
            () if self.idempotent || self.has(Flaw::RunsAgainWhatItMayNot) => Some(Err(Aim::TakeOver(owner))),
            () => Some(Ok(End::Unknown)),
        }
    }

    fn actions_of(self, state: &State, node: usize, actions: &mut Vec<Action>) {
        let me = &state.nodes[node];
        let early = self.has(Flaw::StartsBeforeCommit) && matches!(me.hand, Hand::Writing(Aim::Admit, _));
        let fates = [Fate::Told, Fate::LostButKept, Fate::Lost];
        match me.hand {
            Hand::Writing(..) => actions.extend(fates.map(|fate| Action::Commit(node, fate))),
            Hand::Sent | Hand::Stopped => actions.extend(fates[..2].iter().map(|fate| Action::Finish(node, *fate))),
            Hand::Leave(_) if self.records => actions.extend(fates.map(|fate| Action::Land(node, fate))),
            _ => {}
        }
        let others = [
            (me.hand == Hand::Empty && state.job == Job::Queued, Action::Take(node)),
            (early || (!self.records && matches!(me.hand, Hand::Leave(_))), Action::Enter(node)),
            (me.hand == Hand::Section, Action::Send(node)),
            (me.beat_again && (1..=LAST_BEAT).contains(&state.time), Action::Beat(node)),
            (me.beat.is_some(), Action::Beaten(node)),
            (state.engaged && !(me.knows && (me.knows_ramp || state.ramp == Ramp::No)), Action::Poll(node)),
            (!state.engaged, Action::Engage(node)),
            (self.ramped && state.engaged && state.ramp == Ramp::No, Action::LetGo(node)),
            (self.report(state, node).is_some(), Action::Report(node)),
            (self.look(state, node).is_some(), Action::Look(node)),
            (me.verdict.is_some(), Action::End(node)),
            (me.hand != Hand::Empty && state.nodes[1 - node].up, Action::Crash(node)),
        ];
        actions.extend(others.into_iter().filter_map(|(may, action)| may.then_some(action)));
    }
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let node = Node { up: true, lease_until: LEASE, beat_again: true, ..DEAD };
        vec![State {
            time: 0,
            asked: self.queued,
            engaged: false,
            ramp: Ramp::No,
            job: if self.queued { Job::Queued } else { Job::Unasked },
            ran_on: [false; 2],
            admitted: self.queued,
            ends: 0,
            rows: [Row::default(); 2],
            nodes: [node; 2],
            sent: 0,
            fenced: Fenced::No,
            admitted_after_engaging: false,
            started_after_fenced: false,
            started_what_was_taken: false,
            landed_behind_the_switch: false,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.is_over() {
            return;
        }
        if state.time < THE_END {
            actions.push(Action::Tick);
        }
        if state.ramp == Ramp::Begun {
            actions.push(Action::Turn);
        }
        if !state.asked && state.time == 0 {
            actions.push(Action::Ask);
        }
        [0, 1].into_iter().filter(|node| state.nodes[*node].up).for_each(|node| self.actions_of(state, node, actions));
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Tick => state.time += 1,
            Action::Ask => {
                state.asked = true;
                state.nodes[0].hand = Hand::Writing(Aim::Admit, state.nodes[0].lease);
            }
            Action::Take(node) => state.nodes[node].hand = Hand::Writing(Aim::Claim, state.nodes[node].lease),
            Action::Commit(node, fate) => self.commit(&mut state, node, fate),
            Action::Enter(node) => self.enter(&mut state, node),
            Action::Land(node, fate) => self.land(&mut state, node, fate),
            Action::Send(node) => {
                state.sent += 1;
                state.nodes[node].hand = Hand::Sent;
                state.started_after_fenced |=
                    matches!(state.fenced, Fenced::Reported(confirmed) if confirmed[node]) && !state.nodes[node].let_through;
            }
            Action::Finish(node, fate) => {
                let end = if state.nodes[node].hand == Hand::Sent { End::Succeeded } else { End::Cancelled };
                state.become_of(Job::Ended(end));
                if fate == Fate::Told {
                    state.nodes[node].hand = Hand::Empty;
                }
            }
            Action::Beat(node) => {
                let me = &state.nodes[node];
                let confirmed = me.knows && self.drained(me);
                state.rows[node] = Row { confirmed, written: state.time };
                state.nodes[node].beat = Some((state.time, [state.engaged, state.ramp != Ramp::No]));
                state.nodes[node].beat_again = false;
            }
            Action::Beaten(node) => self.beaten(&mut state, node),
            Action::Poll(node) => {
                state.nodes[node].knows = true;
                state.nodes[node].knows_ramp = state.ramp != Ramp::No;
            }
            Action::Engage(node) => {
                state.engaged = true;
                state.nodes[node].knows = true;
                if state.job == Job::Queued {
                    state.become_of(Job::Ended(End::Cancelled));
                }
                state.fenced = Fenced::Waiting { by: node, other_dead: self.other_is_dead(last, node) };
            }
            Action::LetGo(node) => {
                state.ramp = Ramp::Begun;
                (state.nodes[node].knows, state.nodes[node].knows_ramp) = (true, true);
            }
            Action::Turn => state.ramp = Ramp::Reached,
            Action::Report(node) => state.fenced = Fenced::Reported(self.report(last, node)?),
            Action::Look(node) => match self.look(last, node)? {
                Ok(end) => state.nodes[node].verdict = state.owner().map(|owner| (end, owner)),
                Err(aim) => state.nodes[node].hand = Hand::Writing(aim, state.nodes[node].lease),
            },
            Action::End(node) => {
                let (end, owner) = state.nodes[node].verdict.take()?;
                // `log/closing.rs`, `run_by`.
                if state.owner() == Some(owner) || self.has(Flaw::EndsWhatOthersHave) {
                    state.become_of(Job::Ended(end));
                }
            }
            Action::Crash(node) => state.nodes[node] = DEAD,
        }
        if state.is_over() {
            state.nodes = [DEAD; 2];
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        super::properties()
    }
}
