//! `mcp.server.operation.duration`: how long each MCP operation took, read off the spans that the protocol side opens.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::Histogram;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::core::time::Clock;

/// The name that the MCP conventions give it; seconds.
pub(super) const NAME: &str = "mcp.server.operation.duration";

/// The span field that marks an MCP operation.
const METHOD: &str = "mcp.method.name";

/// The span field with the tool's name; only names of the catalogue get there, so their number is bounded.
const TOOL: &str = "gen_ai.tool.name";

/// Records the duration of every span that names an MCP method.
pub(super) struct Durations {
    /// Where they go.
    pub histogram: Histogram<f64>,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

struct Timed {
    since: Duration,
    labels: Vec<KeyValue>,
}

#[derive(Default)]
struct Labels(Vec<KeyValue>);

impl Labels {
    fn add(&mut self, field: &Field, value: String) {
        if let Some(name) = [METHOD, TOOL].into_iter().find(|name| *name == field.name()) {
            self.0.push(KeyValue::new(name, value));
        }
    }
}

impl Visit for Labels {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.add(field, format!("{value:?}"));
    }
}

impl<S: tracing::Subscriber + for<'span> LookupSpan<'span>> Layer<S> for Durations {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if attributes.metadata().fields().field(METHOD).is_none() {
            return;
        }
        let mut labels = Labels::default();
        attributes.record(&mut labels);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(Timed { since: self.clock.elapsed(), labels: labels.0 });
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        let extensions = span.extensions();
        let Some(timed) = extensions.get::<Timed>() else { return };
        let took = self.clock.elapsed().saturating_sub(timed.since);
        self.histogram.record(took.as_secs_f64(), &timed.labels);
    }
}
