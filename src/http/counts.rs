//! What is counted on this node since it started, for `/metrics`. Nothing that a caller can name becomes a label.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use crate::control::Reply;
use crate::core::call::Status;
use crate::core::code::Code;

/// Tool, status and code of a call, with their names.
type Labels = [(&'static str, &'static str); 3];

/// The counters.
#[derive(Debug, Default)]
pub struct Counts {
    calls: Family<Labels, Counter>,
    unauthenticated: Counter,
}

impl Counts {
    /// Counts a request whose caller is not known.
    pub fn unauthenticated(&self) {
        self.unauthenticated.inc();
    }

    /// Counts a call of a tool of the catalogue, or of none.
    pub fn answered(&self, tool: Option<&'static str>, reply: &Reply) {
        let (status, code) = match reply {
            Reply::Done { .. } => (Status::Succeeded, None),
            Reply::Running { status, .. } => (*status, None),
            Reply::Failed { refusal, status, .. } => (*status, Some(refusal.code)),
        };
        let code = code.map_or("", Code::as_str);
        let labels = [("tool", tool.unwrap_or("unknown")), ("status", status.as_str()), ("code", code)];
        self.calls.get_or_create(&labels).inc();
    }

    /// Adds the counters to a page of metrics.
    pub fn show(&self, page: &mut Registry) {
        page.register("calls", "Calls answered by this node", self.calls.clone());
        page.register("unauthenticated", "Requests without a known key", self.unauthenticated.clone());
    }
}
