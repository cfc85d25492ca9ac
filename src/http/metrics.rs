//! `GET /metrics`: Prometheus' text format. What was counted, and how things stand at this moment.
//!
//! INVARIANT: no label names a customer, a key or a VM (P9, P10); what cannot be read is left out, never guessed.

use std::fmt::{Display, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;

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
const PATIENCE: Duration = Duration::from_secs(2);

/// Answers a scrape. Those who ask while one is answered share the next answer.
pub(super) async fn metrics(State(http): State<Arc<Http>>) -> impl IntoResponse {
    let page = http.scraped.get(page(&http)).await;
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], page)
}

async fn page(http: &Http) -> Bytes {
    let ports = &http.door.control().ports;
    let mut page = Page(http.door.counts().render());
    page.family("forelog_build_info", "gauge", "The version that runs.", [("version", env!("CARGO_PKG_VERSION"), 1)]);
    counted(&mut page, ports.writer.stats());
    page.gauge("forelog_connections", "Open connections.", http.connections.open());
    let help = "Connections closed at once because there were too many.";
    page.counter("forelog_connections_refused_total", help, http.connections.refused());
    page.gauge("forelog_body_bytes", "Bytes of larger bodies that are in memory.", http.bodies.held());
    let help = "Bodies that were refused because there was no room.";
    page.counter("forelog_bodies_refused_total", help, http.bodies.refused());
    let help = "Lines of the log that were lost, because nobody read them.";
    page.counter("forelog_log_lines_lost_total", help, http.lost_lines.get().map_or(0, |lost| lost.load(Ordering::Relaxed)));
    standing(&mut page, ports);
    let room = tokio::time::timeout(PATIENCE, Room::read(ports)).await;
    let room =
        room.ok().and_then(|read| read.inspect_err(|error| tracing::error!(%error, "the log's state cannot be shown")).ok());
    // What is read may be read while nothing can be written.
    let up = room.is_some() && ports.writer.stats().can_record.load(Ordering::Relaxed);
    let help = "Whether the log could be read for this answer, and was written when that was tried last.";
    page.gauge("forelog_store_up", help, u8::from(up));
    if let Some(room) = &room {
        recorded(&mut page, room);
    }
    let lag = Lag::read(ports, room.as_ref().map(|room| room.head));
    lagging(&mut page, &lag.await);
    page.0.into()
}

fn counted(page: &mut Page, stats: &Stats) {
    page.histogram("forelog_writer_batch_entries", "Entries of one batch.", &stats.batches);
    page.histogram("forelog_writer_commit_seconds", "How long a batch took, commit included.", &stats.commits);
    let (errors, overloaded) = (stats.store_errors.load(Ordering::Relaxed), stats.overloaded.load(Ordering::Relaxed));
    page.counter("forelog_store_errors_total", "Batches that were not written.", errors);
    page.counter("forelog_writer_overloaded_total", "Entries that found the writer's queue full.", overloaded);
    let by = |name| move |(value, count)| (name, value, count);
    page.family("forelog_calls_ended_total", "counter", "Admitted calls that ended.", stats.ended.counts().map(by("status")));
    let help = "Calls that another node or an earlier start left open.";
    page.family("forelog_recovered_total", "counter", help, stats.recovered.counts().map(by("as")));
    let help = "Unknown outcomes that a provider was asked about.";
    page.family("forelog_reconciled_total", "counter", help, stats.reconciled.counts().map(by("answer")));
    let skewed = u8::from(stats.skewed.load(Ordering::Relaxed));
    page.gauge("forelog_clock_skewed", "Whether this node's clock cannot be trusted.", skewed);
}

/// What this node knows without asking anybody.
fn standing(page: &mut Page, ports: &Ports) {
    let (fence, state) = (ports.fence(), ports.fence().state());
    page.gauge("forelog_writer_fill", "How full the writer's queue is, 0 to 1.", ports.writer.fill());
    page.gauge("forelog_control_epoch", "Epoch of control state on this node.", state.epoch.0);
    page.gauge("forelog_switches_engaged", "Kill switches in force.", state.switches.len());
    let seen = ports.writer.stats();
    let can_stop = !seen.cannot_stop.load(Ordering::Relaxed) && seen.can_record.load(Ordering::Relaxed);
    let help = "Whether a stop could be written when that was last rehearsed, and anything when that was tried last.";
    page.gauge("forelog_can_stop", help, u8::from(can_stop));
    let help = "Whether the vault did not answer when it was last asked.";
    page.gauge("forelog_vault_away", help, u8::from(ports.reader.vault.is_away()));
    let help = "How long this node has not confirmed its newest epoch.";
    page.gauge("forelog_fence_unconfirmed_seconds", help, fence.unconfirmed_for().as_secs_f64());
    let help = "How long this node may still start calls.";
    page.gauge("forelog_lease_remaining_seconds", help, fence.lease_left().as_secs_f64());
}

fn recorded(page: &mut Page, room: &Room) {
    page.gauge("forelog_log_position", "Position of the newest event.", room.head.position.0);
    let alive: Vec<&Peer> = room.nodes.iter().filter(|peer| !peer.dead).collect();
    page.gauge("forelog_nodes_alive", "Nodes whose lease has not run out.", alive.len());
    let unconfirmed = alive.iter().filter(|peer| peer.node.confirmed < room.head.epoch).count();
    page.gauge("forelog_nodes_unconfirmed", "Of these, nodes that have not confirmed the newest epoch.", unconfirmed);
    let open = |status: Status| room.jobs.iter().filter(|job| job.status == status).count();
    let statuses = [Status::Queued, Status::Running, Status::Held];
    let by_status = statuses.map(|status| ("status", status.as_str(), open(status)));
    page.family("forelog_calls_open", "gauge", "Calls without a terminal event.", by_status);
    let unknown = room.claims.iter().filter(|claim| claim.unknown).count();
    page.gauge("forelog_claims_unknown", "VMs whose last command may still run.", unknown);
}

fn lagging(page: &mut Page, lag: &Lag) {
    page.gauge("forelog_views_up", "Whether the views could be read for this answer.", u8::from(lag.up));
    page.gauge("forelog_views_position", "Position of the newest event in the views.", lag.position.0);
    page.gauge("forelog_views_lag_events", "Events that the views do not show yet.", lag.events);
    page.gauge("forelog_views_lag_seconds", "Age of the oldest of them.", lag.age.as_secs_f64());
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
        let nodes = ports.fence().peers().look(&**store).await?;
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
        let asked = tokio::time::timeout(PATIENCE, ports.activity.position()).await;
        let (up, position) = asked.ok().and_then(Result::ok).map_or((false, ports.activity.seen()), |position| (true, position));
        let events = head.map_or(0, |head| (head.position.0 - position.0).max(0));
        let oldest = if events > 0 {
            let asked = tokio::time::timeout(PATIENCE, ports.reader.store.events(position, 1)).await;
            asked.ok().and_then(Result::ok).unwrap_or_default()
        } else {
            Vec::new()
        };
        let now: Micros = ports.clock.now();
        Self { up, position, events, age: oldest.first().map_or(Duration::ZERO, |event| now.since(event.at)) }
    }
}

/// The text. Writing to a string does not fail.
struct Page(String);

impl Page {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn single(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.head(name, kind, help);
        let _ = writeln!(self.0, "{name} {value}");
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.single(name, "gauge", help, value);
    }

    fn counter(&mut self, name: &str, help: &str, value: impl Display) {
        self.single(name, "counter", help, value);
    }

    fn family<'a, V: Display>(
        &mut self,
        name: &str,
        kind: &str,
        help: &str,
        samples: impl IntoIterator<Item = (&'a str, &'a str, V)>,
    ) {
        self.head(name, kind, help);
        for (label, text, value) in samples {
            let _ = writeln!(self.0, "{name}{{{label}=\"{text}\"}} {value}");
        }
    }

    fn histogram(&mut self, name: &str, help: &str, values: &Histogram) {
        self.head(name, "histogram", help);
        let mut count = 0;
        for (bound, below) in values.buckets() {
            let bound = if bound.is_finite() { bound.to_string() } else { "+Inf".to_owned() };
            let _ = writeln!(self.0, "{name}_bucket{{le=\"{bound}\"}} {below}");
            count = below;
        }
        let _ = writeln!(self.0, "{name}_sum {}\n{name}_count {count}", values.sum());
    }
}
