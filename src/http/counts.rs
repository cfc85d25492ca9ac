//! What is counted on this node since it started, for `/metrics`. Nothing that a caller can name becomes a label.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::control::Reply;
use crate::core::call::Status;
use crate::core::code::Code;

/// Tool, status and code of a call.
type Label = (&'static str, &'static str, &'static str);

/// The counters.
#[derive(Debug, Default)]
pub struct Counts {
    calls: Mutex<BTreeMap<Label, u64>>,
    unauthenticated: AtomicU64,
}

impl Counts {
    /// Counts a request whose caller is not known.
    pub fn unauthenticated(&self) {
        self.unauthenticated.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a call of a tool of the catalogue, or of none.
    pub fn answered(&self, tool: Option<&'static str>, reply: &Reply) {
        let (status, code) = match reply {
            Reply::Done { .. } => (Status::Succeeded, None),
            Reply::Running { status, .. } => (*status, None),
            Reply::Failed { refusal, status, .. } => (*status, Some(refusal.code)),
        };
        let label = (tool.unwrap_or("unknown"), status.as_str(), code.map_or("", Code::as_str));
        *self.calls.lock().unwrap_or_else(PoisonError::into_inner).entry(label).or_insert(0) += 1;
    }

    /// The counters in Prometheus' text format.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text =
            String::from("# HELP forelog_calls_total Calls answered by this node.\n# TYPE forelog_calls_total counter\n");
        for ((tool, status, code), count) in &*self.calls.lock().unwrap_or_else(PoisonError::into_inner) {
            // Writing to a string does not fail.
            let _ = writeln!(text, "forelog_calls_total{{tool=\"{tool}\",status=\"{status}\",code=\"{code}\"}} {count}");
        }
        text.push_str("# HELP forelog_unauthenticated_total Requests without a known key.\n");
        text.push_str("# TYPE forelog_unauthenticated_total counter\n");
        let _ = writeln!(text, "forelog_unauthenticated_total {}", self.unauthenticated.load(Ordering::Relaxed));
        text
    }
}
