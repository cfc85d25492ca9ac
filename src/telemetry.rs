//! What operators see while it runs: lines on standard error, and traces and metrics over OTLP if an endpoint is set.
//!
//! Standard output stays free: `--json` and `forelog stdio` own it. Secrets hardly get here, because what is logged are
//! ids and codes, and what leaves is said by Forelog and not by libraries; none get out, because lines and spans are scrubbed (P10). One canonical line per call has the target `forelog::call`; it comes from `control`.

mod collector;
mod durations;
mod lines;
mod scrubbing;

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use opentelemetry::metrics::MeterProvider;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{MetricExporter, Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::runtime::Handle;
use tracing::{Level, Metadata};
use tracing_subscriber::filter::{FilterExt, dynamic_filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use self::collector::Collector;
use self::durations::Durations;
use self::lines::Lines;
pub use self::lines::last_word;
use self::scrubbing::Scrubbing;
use crate::core::time::Clock;
use crate::outbound::OutboundError;

/// What is shown unless `RUST_LOG` says otherwise.
const SHOWN: &str = "info,sqlx=warn,rmcp=warn,hyper=warn,tower_http=warn,opentelemetry=warn,opentelemetry_sdk=warn";

/// What commands other than servers show: only what went wrong.
const QUIET: &str = "warn,opentelemetry=error,opentelemetry_sdk=error";

/// Bounds of the duration histogram, in seconds, as the MCP conventions fix them.
const BOUNDS: [f64; 14] = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0];

/// Where traces and metrics go.
#[derive(Clone, Copy, Debug)]
pub struct Export<'a> {
    /// OTLP over HTTP.
    pub endpoint: &'a str,
    /// `service.name`.
    pub service: &'a str,
}

/// Telemetry that cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The OTLP exporter cannot be built.
    #[error("starting the export of traces and metrics")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
    /// The client that reaches the collector cannot be built.
    #[error("starting the export of traces and metrics")]
    Collector(#[from] OutboundError),
    /// Lines cannot be written.
    #[error("opening standard error for the log")]
    Lines(#[source] std::io::Error),
    /// Somebody has installed a subscriber already.
    #[error("starting the log")]
    Subscriber(#[from] tracing_subscriber::util::TryInitError),
}

/// Keeps the exporters; what is still in them is sent by [`Guard::flush`].
#[derive(Default)]
pub struct Guard {
    lines: Option<Lines>,
    traces: Option<SdkTracerProvider>,
    metrics: Option<SdkMeterProvider>,
}

impl Guard {
    /// Sends what has not been sent, and writes what has not been written. A collector that does not answer costs a warning, a
    /// reader of the log that stands still a second, nothing else.
    pub fn flush(self) {
        let traces = self.traces.map_or(Ok(()), |provider| provider.shutdown());
        let metrics = self.metrics.map_or(Ok(()), |provider| provider.shutdown());
        for error in [traces.err(), metrics.err()].into_iter().flatten() {
            tracing::warn!(%error, "traces or metrics were not sent");
        }
        if let Some(lines) = self.lines {
            lines.end();
        }
    }
}

/// Starts the log, and the export if there is somewhere to send it. `quiet` is for commands that answer and end. Lines that
/// nobody reads are counted in `lost`. What is exported is sent on `runtime`, which has to live until [`Guard::flush`] is done.
pub fn start(
    export: Option<Export<'_>>,
    runtime: &Handle,
    quiet: bool,
    clock: &Arc<dyn Clock>,
    lost: Arc<AtomicU64>,
) -> Result<Guard, TelemetryError> {
    let written = Lines::start(lost).map_err(TelemetryError::Lines)?;
    let (mut guard, mut layers) = (Guard::default(), vec![lines(quiet, written.clone())]);
    if let Some(Export { endpoint, service }) = export.filter(|_| !quiet) {
        let resource = Resource::builder().with_service_name(service.to_owned()).build();
        let collector = Collector::new(runtime.clone())?;
        let traces = export_traces(endpoint, &collector, resource.clone())?;
        let metrics = export_metrics(endpoint, &collector, resource)?;
        layers.push(
            tracing_opentelemetry::layer()
                .with_tracer(traces.tracer("forelog"))
                .with_filter(dynamic_filter_fn(|metadata, _| is_ours(metadata)))
                .boxed(),
        );
        let histogram = metrics.meter("forelog").f64_histogram(durations::NAME).with_unit("s").build();
        layers.push(Durations { histogram, clock: Arc::clone(clock) }.boxed());
        opentelemetry::global::set_text_map_propagator(opentelemetry_sdk::propagation::TraceContextPropagator::new());
        guard = Guard { traces: Some(traces), metrics: Some(metrics), ..guard };
    }
    guard.lines = Some(written);
    tracing_subscriber::registry().with(layers).try_init()?;
    Ok(guard)
}

fn lines(quiet: bool, written: Lines) -> Box<dyn Layer<Registry> + Send + Sync> {
    let shown = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(if quiet { QUIET } else { SHOWN }));
    // A line says all there is to say of its call: writing every span down for it too would cost as much again.
    // Asked of each event, not once of each place: what a library asks about without saying anything (sqlx, of slow statements) would
    // else be taken for the answer to the next event, which would be lost (tokio-rs/tracing#2448).
    let shown = shown.and(dynamic_filter_fn(|metadata, _| !metadata.is_span() && !holds_bodies(metadata)));
    let layer = tracing_subscriber::fmt::layer().with_writer(written);
    // Without colours on a terminal too: nothing that it would obey passes `lines.rs`.
    if quiet || std::io::stderr().is_terminal() {
        layer.compact().with_ansi(false).with_filter(shown).boxed()
    } else {
        layer.json().flatten_event(true).with_filter(shown).boxed()
    }
}

/// Whether Forelog itself says it. Only that leaves as a trace: libraries say at their finest levels what went over the wire.
fn is_ours(metadata: &Metadata<'_>) -> bool {
    (metadata.target() == "forelog" || metadata.target().starts_with("forelog::")) && *metadata.level() <= Level::INFO
}

/// Whether arguments and results may be in it, which no line has, whatever `RUST_LOG` asks for (P10).
fn holds_bodies(metadata: &Metadata<'_>) -> bool {
    let carries = ["rmcp", "hyper", "h2", "openidconnect"];
    let of =
        |name: &&str| metadata.target().strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(['_', ':']));
    carries.iter().any(of) && *metadata.level() > Level::INFO
}

fn export_traces(endpoint: &str, collector: &Collector, resource: Resource) -> Result<SdkTracerProvider, TelemetryError> {
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(collector.clone())
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
        .build()?;
    Ok(SdkTracerProvider::builder().with_batch_exporter(Scrubbing(exporter)).with_resource(resource).build())
}

fn export_metrics(endpoint: &str, collector: &Collector, resource: Resource) -> Result<SdkMeterProvider, TelemetryError> {
    use opentelemetry_sdk::metrics::{Aggregation, Instrument, Stream};
    let exporter = MetricExporter::builder()
        .with_http()
        .with_http_client(collector.clone())
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(format!("{}/v1/metrics", endpoint.trim_end_matches('/')))
        .build()?;
    let durations = |instrument: &Instrument| {
        let buckets = Aggregation::ExplicitBucketHistogram { boundaries: BOUNDS.to_vec(), record_min_max: true };
        let named = instrument.name() == durations::NAME;
        named.then(|| Stream::builder().with_aggregation(buckets).build().ok()).flatten()
    };
    Ok(SdkMeterProvider::builder().with_periodic_exporter(exporter).with_view(durations).with_resource(resource).build())
}
