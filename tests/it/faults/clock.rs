//! Nodes whose clock jumps, in this process and over their real HTTP side, beside one whose clock does not.
//!
//! INVARIANT: no time of a node that jumps is held against the clock of this machine; only the log's order and its own
//! times are.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use forelog::ambient::{OsEntropy, SystemClock};
use forelog::app::App;
use forelog::config::{Config, Flags};
use forelog::core::time::{Clock, Micros};

use super::cluster::{Cluster, Setting};
use crate::postgres;

/// The machine's clock, and how far this node believes it to be off.
struct Jumping {
    real: SystemClock,
    off: AtomicI64,
}

impl Clock for Jumping {
    fn now(&self) -> Micros {
        Micros(self.real.now().0 + self.off.load(Ordering::SeqCst))
    }

    fn elapsed(&self) -> Duration {
        self.real.elapsed()
    }
}

async fn jumping(setting: Setting) {
    let mut cluster = Cluster::start(Setting { count: 1, ..setting }).await;
    let flags = Flags { data_dir: Some(cluster.evidence.data.clone()), listen: Some("127.0.0.1:0".parse().expect("an address")) };
    let config = Config::load(Some(&cluster.evidence.data.join("forelog.toml")), &flags).expect("a configuration");
    let (mut apps, mut clocks) = (Vec::new(), Vec::new());
    for _ in 0..2 {
        let clock = Arc::new(Jumping { real: SystemClock::start(), off: AtomicI64::new(0) });
        let app = App::start(&config, clock.clone(), Arc::new(OsEntropy)).await.expect("a node");
        cluster.also_at(format!("http://{}", app.address()));
        apps.push(app);
        clocks.push(clock);
    }
    cluster
        .under_load(6, async |cluster| {
            for seconds in [2, -2, 3600, -3600, 4, -86_400, 86_400, 0] {
                let clock = cluster.load.dice.one_of(&clocks);
                clock.off.store(seconds * 1_000_000, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(200 + cluster.load.dice.below(600))).await;
            }
            for clock in &clocks {
                clock.off.store(0, Ordering::SeqCst);
            }
        })
        .await;
    cluster.settle().await;
    cluster.only_own();
    for app in apps {
        app.shutdown().await;
    }
    let history = cluster.check_without_times().await;
    assert!(history.effects.len() > 10, "the load was real: {} effects", history.effects.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_sqlite_clocks_jump() {
    jumping(Setting::files(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_postgres_clocks_jump() {
    let server = postgres::Cluster::start().await;
    jumping(Setting::postgres(&server).await).await;
}
