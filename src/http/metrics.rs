//! `GET /metrics`: what was counted, and how things stand at this moment, in the text format of OpenMetrics, which Prometheus reads.
//!
//! INVARIANT: no label names a customer, a key or a VM (P9, P10); what cannot be read is left out, never guessed.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeGaugeValue, EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use super::Http;
use crate::core::call::Status;
use crate::core::id::Position;
use crate::core::job::{Claim, Job};
use crate::core::time::Micros;
use crate::log::peers::Peer;
use crate::log::stats::{Histogram, Stats};
use crate::log::store::{Head, StateRow, StoreError};
use crate::tools::Ports;

/// How long the rooms may take to say how they stand.
const TIMEOUT: Duration = Duration::from_secs(2);

const TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Answers a scrape. Those who ask while one is answered share the next answer.
pub(super) async fn metrics(State(http): State<Arc<Http>>) -> impl IntoResponse {
    let text = http.scraped.get(text(&http)).await;
    ([(header::CONTENT_TYPE, TYPE)], text)
}

async fn text(http: &Http) -> Bytes {
    let (page, mut text) = (page(http).await, String::new());
    // Writing to a string does not fail, and every value is a number.
    if let Err(error) = encode(&mut text, &page) {
        tracing::error!(%error, "the metrics cannot be written");
    }
    text.into()
}

async fn page(http: &Http) -> Registry {
    let ports = &http.gateway.control().ports;
    let mut page = Registry::with_prefix("forelog");
    http.gateway.counts().show(&mut page);
    page.register("build", "The version that runs", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
    counted(&mut page, ports.writer.stats());
    gauge(&mut page, "connections", "Open connections", http.connections.open());
    let help = "Connections closed at once because there were too many";
    counter(&mut page, "connections_refused", help, http.connections.refused());
    gauge(&mut page, "body_bytes", "Bytes of larger bodies that are in memory", http.bodies.held());
    let help = "Bodies that were refused because there was no room";
    counter(&mut page, "bodies_refused", help, http.bodies.refused());
    let help = "Lines of the log that were lost, because nobody read them";
    let lost = http.lost_lines.get().map_or(0, |lost| lost.load(Ordering::Relaxed));
    counter(&mut page, "log_lines_lost", help, lost);
    standing(&mut page, ports);
    let room = tokio::time::timeout(TIMEOUT, Room::read(ports)).await;
    let room =
        room.ok().and_then(|read| read.inspect_err(|error| tracing::error!(%error, "the log's state cannot be shown")).ok());
    // What is read may be read while nothing can be written.
    let up = room.is_some() && ports.writer.stats().can_record.load(Ordering::Relaxed);
    let help = "Whether the log could be read for this answer, and was written when that was tried last";
    gauge(&mut page, "store_up", help, u32::from(up));
    if let Some(room) = &room {
        recorded(&mut page, room);
    }
    let lag = Lag::read(ports, room.as_ref().map(|room| room.head));
    lagging(&mut page, &lag.await);
    page
}

fn counted(page: &mut Registry, stats: &Stats) {
    page.register("writer_batch_entries", "Entries of one batch", Distribution::of(&stats.batches));
    page.register("writer_commit_seconds", "How long a batch took, commit included", Distribution::of(&stats.commits));
    let (errors, overloaded) = (stats.store_errors.load(Ordering::Relaxed), stats.overloaded.load(Ordering::Relaxed));
    counter(page, "store_errors", "Batches that were not written", errors);
    counter(page, "writer_overloaded", "Entries that found the writer's queue full", overloaded);
    tally(page, "calls_ended", "Admitted calls that ended", "status", stats.ended.counts());
    let help = "Calls that another node or an earlier start left open";
    tally(page, "recovered", help, "as", stats.recovered.counts());
    tally(page, "reconciled", "Unknown outcomes that a provider was asked about", "answer", stats.reconciled.counts());
    let skewed = u32::from(stats.skewed.load(Ordering::Relaxed));
    gauge(page, "clock_skewed", "Whether this node's clock cannot be trusted", skewed);
}

/// What this node knows without asking anybody.
fn standing(page: &mut Registry, ports: &Ports) {
    let (fence, state) = (ports.fence(), ports.fence().state());
    gauge(page, "writer_fill", "How full the writer's queue is, 0 to 1", ports.writer.fill());
    gauge(page, "control_epoch", "Epoch of control state on this node", state.epoch.0);
    gauge(page, "switches_engaged", "Kill switches in force", state.switches.len());
    let seen = ports.writer.stats();
    let can_stop = !seen.cannot_stop.load(Ordering::Relaxed) && seen.can_record.load(Ordering::Relaxed);
    let help = "Whether a stop could be written when that was last rehearsed, and anything when that was tried last";
    gauge(page, "can_stop", help, u32::from(can_stop));
    let help = "Whether the vault did not answer when it was last asked";
    gauge(page, "vault_away", help, u32::from(ports.reader.vault.is_away()));
    let help = "How long this node has not confirmed its newest epoch";
    gauge(page, "fence_unconfirmed_seconds", help, fence.unconfirmed_for().as_secs_f64());
    let help = "How long this node may still start calls";
    gauge(page, "lease_remaining_seconds", help, fence.lease_left().as_secs_f64());
}

fn recorded(page: &mut Registry, room: &Room) {
    gauge(page, "log_position", "Position of the newest event", room.head.position.0);
    let alive: Vec<&Peer> = room.nodes.iter().filter(|peer| !peer.dead).collect();
    gauge(page, "nodes_alive", "Nodes whose lease has not run out", alive.len());
    let unconfirmed = alive.iter().filter(|peer| peer.node.confirmed < room.head.epoch).count();
    gauge(page, "nodes_unconfirmed", "Of these, nodes that have not confirmed the newest epoch", unconfirmed);
    let open = Family::<Label, Gauge>::default();
    for status in [Status::Queued, Status::Running, Status::Held] {
        let count = room.jobs.iter().filter(|job| job.status == status).count();
        open.get_or_create(&[("status", status.as_str())]).set(i64::try_from(count).unwrap_or(i64::MAX));
    }
    page.register("calls_open", "Calls without a terminal event", open);
    let unknown = room.claims.iter().filter(|claim| claim.unknown).count();
    gauge(page, "claims_unknown", "VMs whose last command may still run", unknown);
}

fn lagging(page: &mut Registry, lag: &Lag) {
    gauge(page, "views_up", "Whether the views could be read for this answer", u32::from(lag.up));
    gauge(page, "views_position", "Position of the newest event in the views", lag.position.0);
    gauge(page, "views_lag_events", "Events that the views do not show yet", lag.events);
    gauge(page, "views_lag_seconds", "Age of the oldest of them", lag.age.as_secs_f64());
}

type Label = [(&'static str, &'static str); 1];

fn gauge<N>(page: &mut Registry, name: &str, help: &str, value: N)
where
    N: EncodeGaugeValue + fmt::Debug + Send + Sync + 'static,
{
    page.register(name, help, ConstGauge::new(value));
}

fn counter(page: &mut Registry, name: &str, help: &str, value: u64) {
    page.register(name, help, ConstCounter::new(value));
}

fn tally(page: &mut Registry, name: &str, help: &str, label: &'static str, counts: impl Iterator<Item = (&'static str, u64)>) {
    let family = Family::<Label, Counter>::default();
    for (value, count) in counts {
        family.get_or_create(&[(label, value)]).inc_by(count);
    }
    page.register(name, help, family);
}

/// A histogram as it was when it was read. The crate's own has a lock, and what is counted must wait for nobody.
#[derive(Debug)]
struct Distribution {
    sum: f64,
    buckets: Vec<(f64, u64)>,
}

impl Distribution {
    fn of(values: &Histogram) -> Self {
        Self { sum: values.sum(), buckets: values.buckets().collect() }
    }
}

impl EncodeMetric for Distribution {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let count = self.buckets.iter().map(|(_, count)| count).sum();
        encoder.encode_histogram::<NoLabelSet>(self.sum, count, &self.buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

/// How the log room stands.
struct Room {
    head: Head,
    nodes: Vec<Peer>,
    jobs: Vec<Job>,
    claims: Vec<Claim>,
}

impl Room {
    async fn read(ports: &Ports) -> Result<Self, StoreError> {
        let store = &ports.reader.store;
        let nodes = ports.fence().peers().observe(&**store).await?;
        let (head, rows) = (store.head().await?, store.state(&["job", "claim"]).await?);
        Ok(Self { head, nodes, jobs: all(&rows, "job:"), claims: all(&rows, "claim:") })
    }
}

/// Those that can be read: a number for a graph is no place to find a row that cannot.
fn all<T: serde::de::DeserializeOwned>(rows: &[StateRow], kind: &str) -> Vec<T> {
    let of_kind = rows.iter().filter(|row| row.name.starts_with(kind));
    of_kind.filter_map(|row| serde_json::from_slice(&row.doc).ok()).collect()
}

/// How far the views are behind; where they cannot be read, behind what was seen of them last.
struct Lag {
    up: bool,
    position: Position,
    events: i64,
    age: Duration,
}

impl Lag {
    async fn read(ports: &Ports, head: Option<Head>) -> Self {
        let asked = tokio::time::timeout(TIMEOUT, ports.activity.position()).await;
        let (up, position) = asked.ok().and_then(Result::ok).map_or((false, ports.activity.seen()), |position| (true, position));
        let events = head.map_or(0, |head| (head.position.0 - position.0).max(0));
        let oldest = if events > 0 {
            let asked = tokio::time::timeout(TIMEOUT, ports.reader.store.events(position, 1)).await;
            asked.ok().and_then(Result::ok).unwrap_or_default()
        } else {
            Vec::new()
        };
        let now: Micros = ports.clock.now();
        Self { up, position, events, age: oldest.first().map_or(Duration::ZERO, |event| now.since(event.at)) }
    }
}
