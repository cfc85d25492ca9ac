//! One customer's looks into the record stand behind each other, never in front of another's or of the staff's.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use forelog::core::code::Code;
use forelog::core::id::AccountId;
use forelog::core::visibility::Visibility;
use forelog::log::dialect::{Dialect, Room};
use forelog::log::sql::{Database, Row, SqlError, Transaction, Value};
use forelog::tools::{Activity, ActivityQuery};
use forelog::views::Views;
use forelog::views::activity::Calls;
use tokio::sync::{Notify, watch};

use crate::fixtures::account;
use crate::sample_log::SampleLog;

/// A database in which looks of some accounts take until the gate is opened, and hold what a look holds.
struct Slow {
    inner: Box<dyn Database>,
    gate: Arc<Gate>,
}

struct Gate {
    open: watch::Sender<bool>,
    slow: Vec<String>,
    under_way: AtomicUsize,
    most: AtomicUsize,
    changed: Notify,
}

impl Gate {
    fn for_accounts(slow: &[AccountId]) -> Arc<Self> {
        Arc::new(Self {
            open: watch::Sender::new(false),
            slow: slow.iter().map(ToString::to_string).collect(),
            under_way: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            changed: Notify::new(),
        })
    }

    async fn pass(&self) {
        let now = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        self.changed.notify_one();
        self.open.subscribe().wait_for(|open| *open).await.expect("the gate");
        self.under_way.fetch_sub(1, Ordering::SeqCst);
    }

    async fn until(&self, under_way: usize) {
        while self.under_way.load(Ordering::SeqCst) < under_way {
            tokio::time::timeout(Duration::from_secs(20), self.changed.notified()).await.expect("a look should be under way");
        }
    }
}

#[async_trait]
impl Database for Slow {
    fn dialect(&self) -> &'static Dialect {
        self.inner.dialect()
    }

    async fn query(&self, sql: &str, args: Vec<Value>) -> Result<Vec<Row>, SqlError> {
        self.inner.query(sql, args).await
    }

    async fn query_within(&self, sql: &str, args: Vec<Value>, budget: Duration) -> Result<Vec<Row>, SqlError> {
        let is_slow = args.iter().any(|arg| matches!(arg, Value::Text(text) if self.gate.slow.contains(text)));
        if is_slow {
            self.gate.pass().await;
        }
        self.inner.query_within(sql, args, budget).await
    }

    async fn begin(&self) -> Result<Box<dyn Transaction>, SqlError> {
        self.inner.begin().await
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

async fn open(sample: &SampleLog, gate: &Arc<Gate>) -> Arc<Calls> {
    let database = Slow { inner: sample.room("views.db", Room::Views).await, gate: Arc::clone(gate) };
    Arc::new(Calls::new(Views::open(Box::new(database), sample.reader.clone()).await.expect("the views")))
}

fn newest(visibility: Visibility) -> ActivityQuery {
    ActivityQuery { visibility, limit: 50, ..ActivityQuery::default() }
}

async fn one_asks_for_forty(sample: SampleLog) {
    let gate = Gate::for_accounts(&[account(2)]);
    let calls = open(&sample, &gate).await;
    let asked = |calls: &Arc<Calls>| {
        let calls = Arc::clone(calls);
        tokio::spawn(async move { calls.list(newest(Visibility::Account(account(2)))).await })
    };
    let first = [asked(&calls), asked(&calls)];
    gate.until(2).await;
    let mut more: Vec<_> = (0..38).map(|_| asked(&calls)).collect();
    // What does not fit into its queue is refused while the first two are still under way.
    let mut refused = 0;
    while refused < 22 {
        let ended = more.iter().position(tokio::task::JoinHandle::is_finished);
        let Some(ended) = ended else {
            tokio::task::yield_now().await;
            continue;
        };
        let refusal = more.swap_remove(ended).await.expect("it ends").expect_err("nothing was answered yet");
        assert_eq!((refusal.code, refusal.code.retryable()), (Code::Overloaded, true), "{refusal:?}");
        refused += 1;
    }
    // Nobody else waits for them.
    for visibility in [Visibility::Everything, Visibility::Account(account(1))] {
        let answered = tokio::time::timeout(Duration::from_secs(20), calls.list(newest(visibility))).await;
        answered.expect("nobody waits for another").expect("a page");
    }
    assert_eq!(gate.most.load(Ordering::SeqCst), 2, "one account has two looks under way at once");
    gate.open.send_replace(true);
    for look in first.into_iter().chain(more) {
        look.await.expect("it ends").expect("who waited in the queue is answered");
    }
    calls.list(newest(Visibility::Account(account(2)))).await.expect("its lane is free again");
}

/// However many accounts ask, the staff have connections of their own.
async fn all_customers_ask(sample: SampleLog) {
    let many: Vec<AccountId> = (2..12).map(account).collect();
    let gate = Gate::for_accounts(&many);
    let calls = open(&sample, &gate).await;
    let looks: Vec<_> = many
        .iter()
        .chain(&many)
        .map(|account| {
            let (calls, account) = (Arc::clone(&calls), account.clone());
            tokio::spawn(async move { calls.list(newest(Visibility::Account(account))).await })
        })
        .collect();
    gate.until(4).await;
    let answered = tokio::time::timeout(Duration::from_secs(20), calls.list(newest(Visibility::Everything))).await;
    answered.expect("the staff wait for nobody").expect("a page");
    gate.open.send_replace(true);
    for look in looks {
        look.await.expect("it ends").expect("a page");
    }
    assert_eq!(gate.most.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn turns_of_one_account_stand_behind_each_other() {
    one_asks_for_forty(SampleLog::sqlite().await).await;
}

#[tokio::test]
async fn turns_postgres_of_one_account_stand_behind_each_other() {
    one_asks_for_forty(SampleLog::postgres().await).await;
}

#[tokio::test]
async fn turns_of_all_customers_leave_some_to_the_staff() {
    all_customers_ask(SampleLog::sqlite().await).await;
}

#[tokio::test]
async fn turns_postgres_of_all_customers_leave_some_to_the_staff() {
    all_customers_ask(SampleLog::postgres().await).await;
}
