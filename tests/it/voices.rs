//! Processes with a wrong clock, over the real rooms: they do not move the log's time, alone or beside others, whatever they
//! write; what they stop is stopped for as long as was asked; and a log is gone on with where another clock says the same (P15).

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use forelog::ambient::{OsEntropy, SystemClock};
use forelog::app::App;
use forelog::app::local_admin::LocalAdmin;
use forelog::config::Config;
use forelog::core::engagement::{Names, Proposed};
use forelog::core::job::Node;
use forelog::core::root::RootKey;
use forelog::core::switch::{Running, Target};
use forelog::core::time::{Boot, Clock, Micros};
use forelog::core::tool::Class;
use forelog::log::dialect::Room;
use forelog::log::fence::Fence;
use forelog::log::postgres::open_postgres;
use forelog::log::sql_store::SqlStore;
use forelog::log::sqlite::open_sqlite;
use forelog::log::store::{Store, Want};
use forelog::log::writer::Writer;
use tempfile::TempDir;

use crate::postgres::fresh_database;
use crate::test_node::{Site, TestClock, TestNode, on_both};

const HOUR: i64 = 3_600_000_000;
const SWITCH: Duration = Duration::from_hours(1);

/// This machine's clock, if it was set wrong, or if it runs too fast.
pub struct Wrong {
    real: SystemClock,
    set: i64,
    drifted: AtomicI64,
}

impl Wrong {
    /// Set to so many microseconds from now.
    pub fn by(set: i64) -> Arc<Self> {
        Arc::new(Self { real: SystemClock::start(), set, drifted: AtomicI64::new(0) })
    }

    fn drifted(&self) -> Duration {
        Duration::from_micros(u64::try_from(self.drifted.load(Ordering::SeqCst)).expect("it runs too fast"))
    }
}

impl Clock for Wrong {
    fn now(&self) -> Micros {
        Micros(self.real.now().0 + self.set).plus(self.drifted())
    }

    fn elapsed(&self) -> Duration {
        self.real.elapsed() + self.drifted()
    }

    fn is_real(&self) -> bool {
        true
    }

    fn boot(&self) -> Option<Boot> {
        self.real.boot().map(|boot| Boot { up: boot.up + self.drifted(), ..boot })
    }
}

/// A data directory, whose rooms are files or a database.
pub struct Place {
    _dir: TempDir,
    pub config: Config,
    url: Option<String>,
    file: std::path::PathBuf,
}

impl Place {
    async fn on(url: String) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let url = Some(url).filter(|url| !url.is_empty());
        let database = url.as_ref().map(|url| format!("database_url = \"{url}\"\n")).unwrap_or_default();
        let data = dir.path().display();
        let text = format!(
            "data_dir = \"{data}\"\nlisten = \"127.0.0.1:0\"\nlease_ms = 1500\n{database}[providers.sim]\nmachines = [\"web-1\"]\n"
        );
        let file = dir.path().join("log.db");
        let place = Self { _dir: dir, config: Config::parse(&text).expect("a configuration"), url, file };
        // The first node of it had the right time.
        place.serve(0).await.shutdown().await;
        place
    }

    /// A server whose clock is so many hours off.
    pub async fn serve(&self, hours: i64) -> App {
        self.serve_off(hours * HOUR).await
    }

    /// A server whose clock is so many microseconds off.
    async fn serve_off(&self, micros: i64) -> App {
        App::start(&self.config, Wrong::by(micros), Arc::new(OsEntropy)).await.expect("a server")
    }

    /// The command line with such a clock.
    pub async fn local_admin(&self, hours: i64) -> LocalAdmin {
        LocalAdmin::make(&self.config, Wrong::by(hours * HOUR), Arc::new(OsEntropy)).await.expect("a desk")
    }

    async fn store(&self) -> SqlStore {
        let opened = match &self.url {
            Some(url) => open_postgres(url, Room::Log).await,
            None => open_sqlite(&self.file, Room::Log).await,
        };
        SqlStore::new(opened.expect("the log room"))
    }

    pub async fn newest(&self) -> Micros {
        self.store().await.head().await.expect("the head").at
    }
}

macro_rules! on_each {
    ($($case:ident, $sqlite:ident, $postgres:ident;)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $sqlite() {
            $case(Place::on(String::new()).await).await;
        }

        #[tokio::test(flavor = "multi_thread")]
        async fn $postgres() {
            $case(Place::on(fresh_database().await).await).await;
        }
    )*};
}

pub async fn skewed(app: &App) -> bool {
    app.node().control.ports.writer.write(Want::default(), |draft| Ok(draft.skewed)).await.expect("a transaction")
}

/// Stops commands for an hour.
async fn stop(local_admin: &LocalAdmin) {
    let proposed =
        Proposed { target: Target::Class(Class::Exec), reason: "a test".into(), message: None, incident: None, expires_at: None };
    local_admin.engage(proposed, Some(SWITCH), Running::LetFinish, Names::default()).await.expect("engaged");
}

/// The time has not been moved, and what was engaged holds for its hour.
async fn is_right(place: &Place, begun: Micros, switches: usize) {
    let now = SystemClock::start().now();
    let newest = place.newest().await;
    assert!(newest >= begun && newest <= now.plus(Duration::from_secs(5)), "{begun:?} {newest:?} {now:?}");
    let local_admin = place.local_admin(0).await;
    let state = local_admin.state().await.expect("control state");
    assert_eq!(state.switches.len(), switches, "they hold");
    for switch in state.switches.values() {
        let end = switch.expires_at.expect("it ends");
        let (first, last) = (begun.plus(SWITCH), now.plus(SWITCH + Duration::from_secs(5)));
        assert!(end >= first && end <= last, "{first:?} {end:?} {last:?}");
    }
    local_admin.close().await;
}

async fn command_lines_alone(place: Place) {
    let begun = place.newest().await;
    for (count, hours) in [(1, 25), (2, -25), (3, 24 * 100)] {
        let local_admin = place.local_admin(hours).await;
        stop(&local_admin).await;
        local_admin.close().await;
        is_right(&place, begun, count).await;
    }
    let server = place.serve(0).await;
    assert!(!skewed(&server).await, "it goes on");
    server.shutdown().await;
    is_right(&place, begun, 3).await;
}

async fn command_lines_beside_a_node(place: Place) {
    let (begun, server) = (place.newest().await, place.serve(0).await);
    for (count, hours) in [(1, 25), (2, -25)] {
        let local_admin = place.local_admin(hours).await;
        stop(&local_admin).await;
        local_admin.close().await;
        is_right(&place, begun, count).await;
        assert!(!skewed(&server).await, "it goes on");
    }
    server.shutdown().await;
}

/// Each is within what is tolerated of the log's time as the last one left it.
async fn command_lines_one_ahead_of_the_other(place: Place) {
    let (begun, server) = (place.newest().await, place.serve(0).await);
    for step in 1..=4 {
        let ahead = step * 4_500_000;
        let local_admin = LocalAdmin::make(&place.config, Wrong::by(ahead), Arc::new(OsEntropy)).await.expect("a desk");
        stop(&local_admin).await;
        local_admin.close().await;
        assert!(!skewed(&server).await, "it goes on after the one that is {ahead} us ahead");
    }
    server.shutdown().await;
    is_right(&place, begun, 4).await;
}

/// One as fast as is tolerated, and one a little slow: the database's clock says that the second one is right.
#[tokio::test(flavor = "multi_thread")]
async fn postgres_voices_two_tolerances_do_not_add_up() {
    let place = Place::on(fresh_database().await).await;
    let (fast, slow) = (place.serve_off(4_800_000).await, place.serve_off(-600_000).await);
    for _ in 0..3 {
        assert!(!skewed(&fast).await, "it is within what is tolerated");
        let local_admin = LocalAdmin::make(&place.config, Wrong::by(4_800_000), Arc::new(OsEntropy)).await.expect("a desk");
        stop(&local_admin).await;
        local_admin.close().await;
        assert!(!skewed(&slow).await, "it is right");
    }
    let far = place.serve_off(-5_500_000).await;
    assert!(skewed(&far).await, "the database says something else");
    far.shutdown().await;
    slow.shutdown().await;
    fast.shutdown().await;
}

/// A node that ended in order leaves what it knew of the time, and nobody sweeps that away who does not know better.
async fn a_node_after_one_that_ended_in_order(place: Place) {
    let begun = place.newest().await;
    let wrong = place.serve(1).await;
    let (node, store) = (wrong.node().control.ports.node.clone(), place.store().await);
    let beats = async || {
        let rows = store.state(&["node"]).await.expect("the nodes");
        let mut nodes = rows.iter().filter_map(|row| serde_json::from_slice::<Node>(&row.doc).ok());
        nodes.find(|row| row.id == node).map_or(0, |row| row.beat)
    };
    let several = async {
        while beats().await < 6 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), several).await.expect("it beats");
    assert!(skewed(&wrong).await, "the machine has not run for an hour since then");
    wrong.shutdown().await;
    is_right(&place, begun, 0).await;
    let right = place.serve(0).await;
    assert!(!skewed(&right).await, "and nobody has moved the time");
    right.shutdown().await;
}

async fn nodes_alone(place: Place) {
    let begun = place.newest().await;
    for hours in [25, -25] {
        let wrong = place.serve(hours).await;
        assert!(skewed(&wrong).await, "nothing says what its clock says");
        wrong.shutdown().await;
    }
    let server = place.serve(0).await;
    assert!(!skewed(&server).await, "it is not behind");
    // Nor is one that joins believed, nor does it trouble the others.
    let wrong = place.serve(25).await;
    assert!(skewed(&wrong).await && !skewed(&server).await);
    wrong.shutdown().await;
    server.shutdown().await;
    is_right(&place, begun, 0).await;
}

on_each! {
    command_lines_alone, voices_a_command_line_with_a_wrong_clock_moves_nothing,
        postgres_voices_a_command_line_with_a_wrong_clock_moves_nothing;
    command_lines_beside_a_node, voices_a_command_line_beside_a_node_moves_nothing,
        postgres_voices_a_command_line_beside_a_node_moves_nothing;
    command_lines_one_ahead_of_the_other, voices_command_lines_that_follow_each_other_move_nothing,
        postgres_voices_command_lines_that_follow_each_other_move_nothing;
    a_node_after_one_that_ended_in_order, voices_a_node_after_one_that_ended_in_order,
        postgres_voices_a_node_after_one_that_ended_in_order;
    nodes_alone, voices_a_node_with_a_wrong_clock_moves_nothing, postgres_voices_a_node_with_a_wrong_clock_moves_nothing;
}

/// Whether a process with this clock follows it, on a log that was left alone for a month.
async fn goes_on(site: &Site, clock: Arc<Wrong>) -> bool {
    let store: Arc<dyn Store> = Arc::new(SqlStore::new(site.room().await));
    let (writer, _task) = Writer::start(store, Fence::new(clock.clone(), RootKey::of(&[7; 32])), clock);
    !writer.write(Want::default(), |draft| Ok(draft.skewed)).await.expect("a transaction")
}

async fn month_old(mut site: Site) {
    let now = SystemClock::start().now().0;
    site.clock = TestClock::at(Micros(now - 30 * 24 * HOUR));
    let (old, _, _) = TestNode::idle(&site).await;
    drop(old);
    assert_eq!(
        goes_on(&site, Wrong::by(0)).await,
        !site.log.is_empty(),
        "a database says that it is a month later; a file does not"
    );
    assert!(!goes_on(&site, Wrong::by(25 * HOUR)).await);
    assert!(!goes_on(&site, Wrong::by(-25 * HOUR)).await);
}

on_both! {
    month_old, voices_of_a_month_old_log, postgres_voices_of_a_month_old_log;
}

/// Alone with the database, a clock that runs too fast is not followed either.
#[tokio::test(flavor = "multi_thread")]
async fn postgres_voices_a_clock_that_drifts_from_the_databases_is_not_followed() {
    let store: Arc<dyn Store> = Arc::new(SqlStore::new(open_postgres(&fresh_database().await, Room::Log).await.expect("a room")));
    store.migrate().await.expect("a schema");
    let clock = Wrong::by(0);
    let (writer, _task) = Writer::start(store, Fence::new(clock.clone(), RootKey::of(&[7; 32])), clock.clone());
    let skewed = async || writer.write(Want::default(), |draft| Ok(draft.skewed)).await.expect("a transaction");
    assert!(!skewed().await);
    clock.drifted.store(60_000_000, Ordering::SeqCst);
    assert!(skewed().await, "it is a minute ahead of the database");
}
