//! Every call against the state machine: legal transitions, one end, links, and a job row while it is open (P2).

use std::collections::{BTreeMap, HashMap};

use super::finding::{Fault, Findings};
use super::stored::Rows;
use crate::core::call::{Status, next};
use crate::core::chain::Chain;
use crate::core::event::{Event, EventKind};
use crate::core::id::{CallId, Position};
use crate::core::job::Job;
use crate::log::admission::job_row;

/// Where a call stands.
#[derive(Clone, Copy)]
struct Standing {
    status: Status,
    last: Position,
    intent: Position,
}

/// The calls so far. Ended ones are kept, because what comes after an end has to be seen too.
#[derive(Default)]
pub(super) struct Calls(HashMap<u128, Standing>);

impl Calls {
    /// Folds one event in.
    pub(super) fn step(&mut self, position: Position, event: &Event, findings: &mut Findings) {
        let Some(call) = event.kind.call() else {
            if event.prev != Position(0) {
                findings.at(position, Fault::PrevLink, format!("prev is {} and there is no call", event.prev.0));
            }
            return;
        };
        let before = self.0.get(&number(call)).copied();
        check_link(position, event, before, findings);
        match next(before.map(|standing| standing.status), &event.kind) {
            Ok(status) => {
                let intent = before.map_or(position, |standing| standing.intent);
                self.0.insert(number(call), Standing { status, last: position, intent });
            }
            Err(error) => {
                let ended = before.is_some_and(|standing| standing.status.is_terminal());
                let ends = matches!(event.kind, EventKind::Refused(_)) || event.kind.end().is_some();
                let fault = if ended && ends { Fault::SecondEnd } else { Fault::IllegalTransition };
                findings.at(position, fault, format!("{call}: {error}"));
            }
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> u64 {
        self.0.len() as u64
    }

    /// The calls that have no end.
    pub(super) fn open(&self) -> Vec<CallId> {
        let open = self.0.iter().filter(|(_, standing)| !standing.status.is_terminal());
        open.filter_map(|(call, _)| format!("call_{}", ulid::Ulid(*call)).parse().ok()).collect()
    }

    /// Open calls against job rows.
    pub(super) fn compare(&self, rows: &Rows, chains: &BTreeMap<CallId, Chain>, findings: &mut Findings) {
        let mut open: HashMap<u128, Standing> =
            self.0.iter().filter(|(_, standing)| !standing.status.is_terminal()).map(|(call, at)| (*call, *at)).collect();
        for (name, row) in rows.iter().filter(|(name, _)| name.starts_with("job:")) {
            let Ok(job) = serde_json::from_slice::<Job>(&row.doc) else {
                findings.about(name, Fault::JobDiffers, "it cannot be read");
                continue;
            };
            let standing = open.remove(&number(&job.call));
            if job_row(&job.call) != *name {
                findings.about(name, Fault::JobDiffers, format!("it is the row of {}", job.call));
            }
            match standing {
                None => findings.about(name, Fault::JobStale, "the call is not open"),
                Some(at) if (job.status, job.last, job.intent) != (at.status, at.last, at.intent) => {
                    let detail = format!("it says {:?} at {}, the log {:?} at {}", job.status, job.last.0, at.status, at.last.0);
                    findings.about(name, Fault::JobDiffers, detail);
                }
                Some(_) => {
                    let unfit = chains.get(&job.call).and_then(|chain| chain.fits(&job, None).err());
                    if let Some(why) =
                        unfit.map(|why| why.to_string()).or_else(|| row.control.then(|| "it is none of control state".into()))
                    {
                        findings.about(name, Fault::JobDiffers, why);
                    }
                }
            }
        }
        for standing in open.into_values() {
            findings.at(standing.intent, Fault::JobMissing, format!("the call is {}", standing.status.as_str()));
        }
    }
}

fn check_link(position: Position, event: &Event, before: Option<Standing>, findings: &mut Findings) {
    let last = before.map_or(Position(0), |standing| standing.last);
    // What annotates a call after its end is written without looking for that end.
    let annotates = matches!(event.kind, EventKind::Reconciled { .. } | EventKind::LateResult { .. });
    if event.prev != last && !(annotates && event.prev == Position(0)) {
        findings.at(position, Fault::PrevLink, format!("prev is {}, the call's event before is at {}", event.prev.0, last.0));
    }
}

/// A call id as its number: a log has millions of them, and this is a quarter of the text.
fn number(call: &CallId) -> u128 {
    let body = call.as_str().get("call_".len()..).unwrap_or_default();
    ulid::Ulid::from_string(body).map_or(0, |ulid| ulid.0)
}
