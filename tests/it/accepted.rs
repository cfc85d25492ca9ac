//! Accepting a clock: on the data, and by staff; where nothing else says what time it is, and where the log is ahead (P5, P6, P15).

use std::sync::Arc;
use std::time::Duration;

use forelog::ambient::{OsEntropy, SystemClock};
use forelog::app::App;
use forelog::app::local_admin::{LocalAdmin, LocalAdminError};
use forelog::config::Config;
use forelog::core::engagement::{Names, Proposed};
use forelog::core::event::EventKind;
use forelog::core::principal::Side;
use forelog::core::switch::{Running, Target};
use forelog::core::time::{Clock, Micros};
use forelog::core::tool::Class;
use forelog::export::verify::{Extent, verify};
use forelog::log::store::{Store, Want};
use reqwest::{Method, StatusCode};
use serde_json::json;
use tempfile::TempDir;

use crate::console::ConsoleServer;
use crate::harness::send;
use crate::postgres::{fresh_database, simulate};
use crate::test_node::TestClock;
use crate::voices::{Wrong, skewed};

const HOUR: Duration = Duration::from_hours(1);

struct Place {
    _dir: TempDir,
    config: Config,
    postgres: bool,
}

impl Place {
    async fn on(url: Option<String>) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        if let Some(url) = &url {
            simulate(url).await;
        }
        let database = url.as_ref().map(|url| format!("database_url = \"{url}\"\n")).unwrap_or_default();
        let data = dir.path().display();
        let text =
            format!("data_dir = \"{data}\"\nlisten = \"127.0.0.1:0\"\n{database}[providers.sim]\nmachines = [\"web-1\"]\n");
        Self { _dir: dir, config: Config::parse(&text).expect("a configuration"), postgres: url.is_some() }
    }

    async fn local_admin(&self, clock: Arc<dyn Clock>) -> LocalAdmin {
        LocalAdmin::make(&self.config, clock, Arc::new(OsEntropy)).await.expect("a desk")
    }

    /// With a clock that nothing is held against.
    async fn desk_at(&self, now: Micros) -> LocalAdmin {
        self.local_admin(TestClock::at(now)).await
    }
}

fn now() -> Micros {
    SystemClock::start().now()
}

fn days_ago(days: i64) -> Micros {
    Micros(now().0 - days * Micros::DAY)
}

async fn is_skewed(local_admin: &LocalAdmin) -> bool {
    local_admin.clocks().await.expect("the clocks").skewed
}

async fn engage(local_admin: &LocalAdmin, target: Class, lasts: Option<Duration>) {
    let (reason, target) = ("a test".to_owned(), Target::Class(target));
    let proposed = Proposed { target, reason, message: None, incident: None, expires_at: None };
    local_admin.engage(proposed, lasts, Running::LetFinish, Names::default()).await.expect("engaged");
}

async fn log_that_was_left_alone(place: Place) {
    let old = place.desk_at(days_ago(40)).await;
    old.create_account("Hosting", "staff@example.com", Side::Staff).await.expect("an account");
    engage(&old, Class::Exec, None).await;
    old.close().await;
    let local_admin = place.local_admin(Wrong::by(0)).await;
    assert_eq!(is_skewed(&local_admin).await, !place.postgres, "a database's clock says the same; a file has none");
    let wrong = local_admin.accept_clock(days_ago(1), "a test").await;
    assert!(matches!(wrong, Err(LocalAdminError::Against(_))), "the time named is another");
    assert!(matches!(local_admin.accept_clock(now(), " ").await, Err(LocalAdminError::Against(_))), "it says no reason");
    let before = local_admin.rooms.store.head().await.expect("the head").at;
    assert!(before < days_ago(39), "nothing was written");
    let log = local_admin.accept_clock(now(), "it was in store").await.expect("accepted");
    assert!(now().since(log) < HOUR);
    assert!(!is_skewed(&local_admin).await);
    assert_eq!(local_admin.state().await.expect("control state").switches.len(), 1, "what has no end holds");
    local_admin.close().await;
    let app = App::start(&place.config, Wrong::by(0), Arc::new(OsEntropy)).await.expect("a server");
    assert!(!skewed(&app).await, "everybody goes on from there");
    app.shutdown().await;
}

async fn log_that_is_ahead(place: Place) {
    let begun = now();
    let local_admin = place.desk_at(begun).await;
    local_admin.create_account("Hosting", "staff@example.com", Side::Staff).await.expect("an account");
    engage(&local_admin, Class::Exec, Some(HOUR * 3)).await;
    engage(&local_admin, Class::Destroy, None).await;
    local_admin.close().await;
    // A wrong clock was followed for two days.
    for hours in [20, 40] {
        let local_admin = place.desk_at(begun.plus(HOUR * hours)).await;
        engage(&local_admin, Class::Write, Some(HOUR)).await;
        local_admin.close().await;
    }
    let app = App::start(&place.config, Wrong::by(0), Arc::new(OsEntropy)).await.expect("a server");
    assert!(skewed(&app).await, "it is behind the log");
    app.shutdown().await;

    let local_admin = place.local_admin(Wrong::by(0)).await;
    let before = local_admin.rooms.store.head().await.expect("the head").at;
    let log = local_admin.accept_clock(now(), "its clock was two days ahead").await.expect("accepted");
    assert!(log >= before && log.since(before) < Duration::from_mins(1), "it goes on from there: {before:?} {log:?}");
    let judged =
        local_admin.writer.write(Want::default(), |draft| Ok((draft.now, draft.at, draft.skewed))).await.expect("a look");
    assert!(!judged.2 && now().since(judged.0) < Duration::from_mins(1) && judged.0 <= now().plus(Duration::from_secs(5)));
    assert!(judged.1 >= log, "the time of events does not run back");
    let state = local_admin.state().await.expect("control state");
    assert_eq!(state.switches.values().filter(|switch| !switch.is_over(judged.0)).count(), 4, "no end has come yet");
    local_admin.close().await;

    let app = App::start(&place.config, Wrong::by(0), Arc::new(OsEntropy)).await.expect("a server");
    assert!(!skewed(&app).await, "calls go on");
    let expired = app.node().control.ports.fence().state().switches.len();
    assert_eq!(expired, 4, "none of them has ended by a beat");
    app.shutdown().await;
    // Whoever has the wrong clock still, and whoever comes a day later with the right one.
    let wrong = App::start(&place.config, Wrong::by(25 * 3_600_000_000), Arc::new(OsEntropy)).await.expect("a server");
    assert!(skewed(&wrong).await);
    wrong.shutdown().await;

    let local_admin = place.local_admin(Wrong::by(0)).await;
    let report =
        verify(&*local_admin.rooms.store, Some(&local_admin.rooms.vault), Extent::Whole, |_, _| ()).await.expect("a walk");
    assert!(report.is_clean(), "{:?}", report.findings);
    let accepted = local_admin.rooms.reader().events(forelog::core::id::Position(0), 1000).await.expect("the log");
    let is_it =
        |kind: &EventKind| matches!(kind, EventKind::ClockAccepted { by: None, ahead, .. } if *ahead > 39 * 3_600_000_000);
    assert_eq!(accepted.iter().filter(|event| is_it(&event.kind)).count(), 1, "it is recorded");
    local_admin.close().await;
}

macro_rules! on_each {
    ($($case:ident, $sqlite:ident, $postgres:ident;)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $sqlite() {
            $case(Place::on(None).await).await;
        }

        #[tokio::test(flavor = "multi_thread")]
        async fn $postgres() {
            $case(Place::on(Some(fresh_database().await)).await).await;
        }
    )*};
}

on_each! {
    log_that_was_left_alone, accepted_a_clock_that_nothing_vouches_for, postgres_accepted_a_clock_that_nothing_vouches_for;
    log_that_is_ahead, accepted_a_clock_that_is_behind_the_log, postgres_accepted_a_clock_that_is_behind_the_log;
}

async fn staff_accept(house: ConsoleServer) {
    let (staff, customer) = (house.key_of_staff().await, house.one.key.clone());
    let (base, client) = (house.base.clone(), reqwest::Client::new());
    let accept = async |key: &str, time: &str, reason: &str| {
        let request = client.request(Method::POST, format!("{base}/api/v1/clock")).bearer_auth(key);
        send(request.json(&json!({ "time": time, "reason": reason }))).await
    };
    // A node whose clock jumped refuses calls, and this is none of them.
    house.clock.jump(3_600_000_000);
    let right = house.clock.now().rfc3339();
    let listed = async || {
        let request = client.request(Method::POST, format!("{base}/api/v1/tools/vm_list")).bearer_auth(&customer);
        send(request.json(&json!({}))).await
    };
    assert_eq!(listed().await.code(), "clock_skew");
    assert_eq!(accept(&customer, &right, "a test").await.code(), "forbidden_scope");
    let early = accept(&staff, &house.clock.after(HOUR).rfc3339(), "a test").await;
    assert_eq!((early.status, early.code().as_str()), (StatusCode::UNPROCESSABLE_ENTITY, "validation_failed"), "{early:?}");
    let accepted = accept(&staff, &right, "it was set right").await;
    assert_eq!(accepted.status, StatusCode::OK, "{accepted:?}");
    assert_eq!(listed().await.status, StatusCode::OK, "calls go on");
    assert_eq!(house.events("clock_accepted").await.len(), 1);
    // That the log is ahead is its owner's to say.
    house.clock.jump(-2 * 3_600_000_000);
    let behind = accept(&staff, &house.clock.now().rfc3339(), "a test").await;
    assert_eq!((behind.status, behind.code().as_str()), (StatusCode::CONFLICT, "conflict"), "{behind:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn accepted_by_staff_over_rest() {
    staff_accept(ConsoleServer::open().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_accepted_by_staff_over_rest() {
    staff_accept(ConsoleServer::on_postgres().await).await;
}
