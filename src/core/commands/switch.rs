//! Switches: engaged, released, and over.
//!
//! INVARIANT: what is engaged already is answered only to whoever engaged it, and how many there may be is said by
//! [`crate::core::stop`]. What stops every customer is released by two persons, or on the data itself.

use std::time::Duration;

use super::{Change, Command, Snapshot};
use crate::core::code::Code;
use crate::core::engagement::{Names, Proposed, check_reason};
use crate::core::event::EventKind;
use crate::core::id::{CredentialId, EventId, SwitchId, UserId};
use crate::core::near::did_you_mean;
use crate::core::principal::Principal;
use crate::core::refusal::Refusal;
use crate::core::scrub::ScrubbedText;
use crate::core::second_person::InviteHistory;
use crate::core::state::ControlState;
use crate::core::stop::{as_much, check_room, is_always, standing};
use crate::core::switch::{Running, Switch};
use crate::core::time::Micros;

/// When a switch that is there already will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// Never: another one is engaged beside it.
    Another,
    /// If the same key, or person, engaged it and it stops as much, for ever.
    AsMuch,
    /// If it was engaged on the data in the same words: whoever is not sure whether it was done repeats it.
    SameWords,
}

/// A switch that is asked for.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Its id, if it is engaged.
    pub switch: SwitchId,
    /// What it is to be.
    pub proposed: Proposed,
    /// What becomes of calls that run.
    pub running: Running,
    /// When one that is there will do.
    pub again: Again,
    /// The id of its event, whose text has the reason.
    pub event: EventId,
}

impl Asked {
    /// The switch that will do in its place, if whoever has this credential asks.
    #[must_use]
    pub fn standing<'a>(&self, state: &'a ControlState, by: Option<&CredentialId>) -> Option<&'a Switch> {
        match self.again {
            Again::Another => None,
            Again::AsMuch => standing(state, by, &self.proposed.target, self.running),
            Again::SameWords => same_words(state, &self.proposed, self.running),
        }
    }
}

/// Who engages switches by a call.
#[derive(Clone, Debug)]
pub struct Engager {
    /// Who calls.
    pub who: Principal,
    /// They are named as the person; an agent that stops itself is not.
    pub is_named: bool,
}

/// Engages switches: all of them, or none.
#[derive(Clone, Debug)]
pub struct Engage {
    /// Which.
    pub asked: Vec<Asked>,
    /// Who; none on the data itself.
    pub by: Option<Engager>,
    /// Tools and providers that may be named.
    pub names: Names,
}

impl Command for Engage {
    /// The switches, in the order they were asked for: new ones, and those that will do.
    type Answer = Vec<SwitchId>;

    fn decide(&self, at: &Snapshot<'_>) -> Result<Change<Self::Answer>, Refusal> {
        self.asked.iter().try_for_each(|asked| asked.proposed.check(at.state, &self.names, at.now))?;
        if let Some(by) = &self.by {
            self.check_quota(at.state, &by.who)?;
        }
        let (mut change, mut switches) = (Change::none(), Vec::new());
        for asked in &self.asked {
            if let Some(there) = asked.standing(at.state, self.credential()) {
                switches.push(there.id.clone());
                continue;
            }
            change = change.and_noted(&asked.event, self.engaged(asked));
            switches.push(asked.switch.clone());
        }
        Ok(change.answering(switches))
    }
}

impl Engage {
    fn credential(&self) -> Option<&CredentialId> {
        self.by.as_ref().map(|by| &by.who.credential)
    }

    fn engaged(&self, asked: &Asked) -> EventKind {
        EventKind::SwitchEngaged {
            switch: asked.switch.clone(),
            target: asked.proposed.target.clone(),
            by: self.by.as_ref().filter(|by| by.is_named).map(|by| by.who.user.clone()),
            credential: self.credential().cloned(),
            running: asked.running,
            expires_at: asked.proposed.expires_at,
        }
    }

    /// Refuses more than the caller's side may have. What stands already needs no room, unless another one is asked for beside it.
    fn check_quota(&self, state: &ControlState, who: &Principal) -> Result<(), Refusal> {
        let adds = |asked: &&Asked| {
            let target = &asked.proposed.target;
            let is_free = is_always(state, who, target);
            match asked.again {
                Again::Another => !is_free || as_much(state, target, asked.running).next().is_some(),
                Again::AsMuch | Again::SameWords => !is_free && asked.standing(state, self.credential()).is_none(),
            }
        };
        check_room(state, who, self.asked.iter().filter(adds).count())
    }
}

/// The switch that was engaged on the data in the same words, for as long.
fn same_words<'a>(state: &'a ControlState, asked: &Proposed, running: Running) -> Option<&'a Switch> {
    let said = |text: &Option<String>| text.as_deref().map(|text| ScrubbedText::of(text).as_str().to_owned());
    let reason = said(&Some(asked.reason.clone()));
    let is_same = |row: &&Switch| {
        let by_us = row.by.is_none() && row.credential.is_none() && row.ramp.is_none();
        let for_ever = row.expires_at.is_none() && asked.expires_at.is_none();
        let as_wide = row.target == asked.target && row.running == running;
        let words = (row.message.clone(), row.incident.clone()) == (said(&asked.message), said(&asked.incident));
        // Of what was engaged without the vault no words are kept.
        let is_mute = row.reason.is_empty() && row.message.is_none() && row.incident.is_none();
        by_us && for_ever && as_wide && (is_mute || (words && Some(&row.reason) == reason.as_ref()))
    };
    state.switches.values().find(is_same)
}

/// Looks whether all that is asked for is engaged already, and changes nothing.
pub struct Standing {
    /// Which.
    pub asked: Vec<Asked>,
    /// What whoever asks has.
    pub by: CredentialId,
}

impl Command for Standing {
    /// The switches, if all of them are there.
    type Answer = Option<Vec<SwitchId>>;

    fn decide(&self, at: &Snapshot<'_>) -> Result<Change<Self::Answer>, Refusal> {
        let there = self.asked.iter().map(|asked| asked.standing(at.state, Some(&self.by)).map(|row| row.id.clone()));
        Ok(Change::none().answering(there.collect()))
    }
}

/// Who releases a switch.
#[derive(Clone, Debug)]
pub enum Releaser {
    /// A person of the staff, with what they act with.
    Person(UserId, CredentialId),
    /// Whoever owns the data, alone: on the record as break-glass.
    Operator,
}

/// Releases a switch, at once or step by step.
pub struct Release {
    /// Which.
    pub switch: SwitchId,
    /// Who.
    pub by: Releaser,
    /// How long a ramp takes; at once, if it is not said.
    pub over: Option<Duration>,
    /// Why. Whoever needs no second person has to say it.
    pub reason: Option<String>,
    /// The id of its event, whose text has the reason.
    pub event: EventId,
}

/// What a wish to release came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Released {
    /// It is released; at this time, if step by step.
    Now {
        /// Who released it, or asked for it first.
        by: Option<UserId>,
        /// The second person, if it took two.
        second: Option<UserId>,
        /// When it stops nobody any more.
        until: Option<Micros>,
    },
    /// The wish is noted, and a second person has to release it.
    Asked,
}

impl Command for Release {
    type Answer = Released;

    fn decide(&self, at: &Snapshot<'_>) -> Result<Change<Released>, Refusal> {
        match (&self.reason, &self.by) {
            (Some(reason), _) => check_reason(reason)?,
            (None, Releaser::Operator) => check_reason("")?,
            (None, Releaser::Person(..)) => {}
        }
        let row = at.state.switches.get(&self.switch).ok_or_else(|| absent(&self.switch, at.state))?;
        if self.over.is_some() && row.ramp.is_some() {
            // Beginning anew would stop whom it has let through.
            return Err(Refusal::new(Code::Conflict, "The switch lets go step by step already.")
                .hint("Release it at once, or engage the same again to stop everybody."));
        }
        let until = self.over.and_then(|over| row.ramp_until(at.now, over));
        let (by, second) = match &self.by {
            Releaser::Operator => (None, None),
            Releaser::Person(who, credential) => match step(row, who, at) {
                Step::Release(by, second) => (Some(by), second),
                Step::Wait => return Ok(Change::none().answering(Released::Asked)),
                Step::Request => {
                    let (switch, by, credential) = (self.switch.clone(), who.clone(), Some(credential.clone()));
                    let wish = EventKind::ReleaseRequested { switch, by, credential };
                    return Ok(Change::noted(&self.event, wish).answering(Released::Asked));
                }
            },
        };
        let kind = self.released(by.clone(), second.clone(), until);
        Ok(Change::noted(&self.event, kind).answering(Released::Now { by, second, until }))
    }
}

/// Switches are the staff's, so each may be named to whoever releases one.
fn absent(switch: &SwitchId, state: &ControlState) -> Refusal {
    let known = state.switches.values().map(|row| row.id.as_str());
    let hint = did_you_mean(switch.as_str(), known, str::to_owned)
        .unwrap_or_else(|| "It may have ended. switch_list, GET /api/v1/switches and the console name those in force.".into());
    Refusal::new(Code::NotFound, "There is no such switch in force.").hint(hint)
}

impl Release {
    fn released(&self, by: Option<UserId>, second: Option<UserId>, until: Option<Micros>) -> EventKind {
        let (switch, break_glass) = (self.switch.clone(), matches!(self.by, Releaser::Operator));
        match until {
            Some(until) => EventKind::ReleaseRamped { switch, by, second, until, break_glass },
            None => EventKind::SwitchReleased { switch, by, second, break_glass },
        }
    }
}

enum Step {
    /// Released, by this person and perhaps a second one.
    Release(UserId, Option<UserId>),
    /// The first of two persons has asked.
    Request,
    /// The same person has asked again.
    Wait,
}

/// What a person's wish to release means. The wish of who may not release any more is none.
fn step(switch: &Switch, who: &UserId, at: &Snapshot<'_>) -> Step {
    if !switch.target.is_global() {
        return Step::Release(who.clone(), None);
    }
    let known = InviteHistory { state: at.state, now: at.now, newcomer: at.state.newcomer(at.now) };
    match (at.state.wish_to_release(switch, at.now), &switch.by) {
        (Some(first), _) if known.are_two(first, who) => Step::Release(first.clone(), Some(who.clone())),
        (_, Some(engager)) if known.are_two(engager, who) => Step::Release(who.clone(), None),
        (Some(_), _) => Step::Wait,
        (None, _) => Step::Request,
    }
}

/// The end of every switch that is over at `now`.
#[must_use]
pub fn expired(state: &ControlState, now: Micros) -> Vec<EventKind> {
    let over = state.switches.values().filter(|switch| switch.is_over(now));
    over.map(|switch| EventKind::SwitchExpired { switch: switch.id.clone() }).collect()
}
