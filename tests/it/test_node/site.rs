//! Where a test's nodes run: a log, a vault, a clock, and what its terms are.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use forelog::core::decide::Limits;
use forelog::core::limit::Limit;
use forelog::core::quota::Quotas;
use forelog::core::terms::Terms;
use forelog::core::time::{Clock, Micros};
use forelog::log::dialect::Room;
use forelog::log::postgres::open_postgres;
use forelog::log::sql::Database;
use forelog::log::sqlite::open_sqlite;
use forelog::providers::compute::Compute;
use forelog::providers::compute::sim::{Faults, Sim};
use forelog::tools::Tool;

use super::clock::TestClock;
use super::probes::World;

use crate::forgetful::Asked;

/// How long a held call waits.
pub const HOLD: Duration = Duration::from_hours(1);

/// What a test node is built from.
pub struct Site {
    pub log: String,
    pub clock: Arc<TestClock>,
    pub world: Arc<World>,
    pub limits: Limits,
    pub quotas: Quotas,
    /// Who was invited counts for themselves after this long.
    pub newcomer_ms: u64,
    pub seed: u64,
    pub lease: Duration,
    /// The next commit is reported lost, and is kept.
    pub forgets: Arc<AtomicBool>,
    /// Bytes that were written to the log room.
    pub written: Arc<AtomicU64>,
    /// The names of each read of rows by name.
    pub asked: Asked,
    pub vault: tempfile::TempDir,
    /// Nodes that start from now on have a simulated fleet, and the tools that act on it.
    pub fleet: Option<SimFleet>,
    /// And these tools, which a test declares.
    pub declared: fn() -> Vec<Tool>,
}

/// A simulated fleet: where its journal is, and what goes wrong.
#[derive(Clone)]
pub struct SimFleet {
    pub dir: std::path::PathBuf,
    pub machines: Vec<String>,
    pub faults: Faults,
}

impl SimFleet {
    /// The machines, as a node opens them.
    pub fn open(&self, clock: Arc<dyn Clock>) -> Arc<dyn Compute> {
        let machines =
            forelog::app::fleet::simulated(&forelog::config::SimConfig { machines: self.machines.clone(), faults: Vec::new() });
        Sim::open(self.dir.clone(), machines, self.faults.clone(), clock).expect("the simulation")
    }
}

impl Site {
    /// A site on a fresh SQLite directory.
    pub fn sqlite() -> Self {
        Self::on(String::new())
    }

    /// A site on a fresh PostgreSQL database.
    pub async fn postgres() -> Self {
        Self::on(crate::postgres::fresh_database().await)
    }

    /// A site on a log that a URL names; on SQLite in the site's own directory if it is empty.
    pub fn on(log: String) -> Self {
        let ample = Limit { admit: 10_000, window_ms: 60_000 };
        let now = beginning();
        Self {
            log,
            clock: TestClock::at(now),
            world: Arc::default(),
            limits: Limits { credential: ample, exec: ample, write: ample },
            quotas: Quotas::default(),
            newcomer_ms: 168 * 3_600_000,
            seed: 7,
            lease: Duration::from_secs(3),
            forgets: Arc::default(),
            written: Arc::default(),
            asked: Arc::default(),
            vault: tempfile::tempdir().expect("a directory"),
            fleet: None,
            declared: Vec::new,
        }
    }

    /// What the log's first node records.
    pub fn terms(&self) -> Terms {
        let approval_ms = u64::try_from(HOLD.as_millis()).expect("a while");
        Terms { limits: self.limits, quotas: self.quotas, approval_ms, newcomer_ms: self.newcomer_ms, ..Terms::default() }
    }

    /// Where the files are.
    pub fn dir(&self) -> &Path {
        self.vault.path()
    }

    /// How often rows were read by name that begin so.
    pub fn reads(&self, start: &str) -> usize {
        let asked = self.asked.lock().expect("what is asked");
        asked.iter().filter(|names| names.iter().any(|name| name.starts_with(start))).count()
    }

    /// Opens the log room once more, as another process would.
    pub async fn room(&self) -> Box<dyn Database> {
        let opened = if self.log.is_empty() {
            open_sqlite(&crate::store::made(self.dir().join("log.db")), Room::Log).await
        } else {
            open_postgres(&self.log, Room::Log).await
        };
        opened.expect("the log room")
    }
}

pub fn beginning() -> Micros {
    Micros(1_800_000_000_000_000)
}
