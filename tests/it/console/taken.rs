//! What an issuer takes away ends, at every door: a role with no group, also beside a password, and keys of people for whom it
//! has not vouched for too long.

use std::time::Duration;

use forelog::app::App;
use forelog::core::time::Clock;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::issuer::{Issuer, Running};
use super::{BEGINNING, Browser, ConsoleServer};

const STAFF: &str = "domains = [\"example.com\"]\nroles = { ops = \"admin\", noc = \"responder\" }\ncreate = true";
const DOMAIN: &str = "domains = [\"example.com\"]";
const DAY: Duration = Duration::from_hours(24);

macro_rules! on_both {
    ($($case:ident, $name:literal, $side:literal, $more:expr, $sqlite:ident, $postgres:ident;)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $sqlite() {
            let issuer = Issuer::start(BEGINNING).await;
            $case(ConsoleServer::with(&issuer.configured($name, $side, $more)).await, issuer).await;
        }

        #[tokio::test(flavor = "multi_thread")]
        async fn $postgres() {
            let issuer = Issuer::start(BEGINNING).await;
            let database = format!("database_url = \"{}\"", crate::postgres::fresh_database().await);
            $case(ConsoleServer::with(&format!("{database}\n{}", issuer.configured($name, $side, $more))).await, issuer).await;
        }
    )*};
}

on_both! {
    password_beside, "corp", "staff", STAFF, oidc_who_has_no_group_any_more_does_not_come_in_with_a_password, postgres_oidc_who_has_no_group_any_more_does_not_come_in_with_a_password;
    lifted, "corp", "staff", STAFF, oidc_the_staff_let_in_whom_the_issuer_gives_no_role, postgres_oidc_the_staff_let_in_whom_the_issuer_gives_no_role;
    unconfirmed, "them", "customer", DOMAIN, oidc_keys_end_with_the_issuers_last_word_and_live_again_with_the_next, postgres_oidc_keys_end_with_the_issuers_last_word_and_live_again_with_the_next;
    parted, "them", "customer", DOMAIN, oidc_parting_from_an_issuer_does_not_make_its_last_word_hold_for_ever, postgres_oidc_parting_from_an_issuer_does_not_make_its_last_word_hold_for_ever;
}

impl ConsoleServer {
    async fn with_password(&self) -> StatusCode {
        self.browser().sign_in(&self.staff.email, &self.staff.password).await.status
    }

    async fn by(&self, issuer: &Running, groups: Value) -> (Browser, StatusCode) {
        issuer.vouches_for("boss", "staff@example.com", &json!({ "groups": groups }));
        let browser = self.browser();
        let status = browser.signs_in_by("corp").await.status;
        (browser, status)
    }

    /// Time goes by, and the node renews its lease.
    async fn waits(&self, time: Duration) {
        self.clock.pass(time);
        let fence = self.app.node().control.ports.fence();
        let renewed = async {
            while !fence.holds_lease() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), renewed).await.expect("the lease is renewed");
    }

    /// What a key is answered, and with which code.
    async fn asked(&self, key: &str) -> (u16, String) {
        let answer = self.call(key, "vm_list", json!({})).await;
        (answer.status.as_u16(), if answer.status.is_success() { String::new() } else { answer.code() })
    }
}

async fn at(app: &App, key: &str) -> u16 {
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let answer =
        client.post(format!("http://{}/api/v1/tools/vm_list", app.address())).bearer_auth(key).json(&json!({})).send().await;
    answer.expect("an answer").status().as_u16()
}

async fn password_beside(console: ConsoleServer, issuer: Running) {
    let key = super::staff_key(&console).await;
    assert_eq!(console.with_password().await, StatusCode::SEE_OTHER);
    for nothing in [json!([]), json!(["elsewhere"]), Value::Null, json!({ "ops": true }), json!([""])] {
        let (_, status) = console.by(&issuer, json!(["ops"])).await;
        assert_eq!(status, StatusCode::SEE_OTHER, "a group gives it back");
        let (beside, _) = console.by(&issuer, json!(["ops"])).await;
        assert!(beside.is_signed_in().await);
        assert_eq!(console.with_password().await, StatusCode::UNAUTHORIZED, "the issuer says their role, and can be asked");
        let (_, status) = console.by(&issuer, nothing.clone()).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{nothing}");
        assert!(!beside.is_signed_in().await, "{nothing}: a session lives");
        assert_eq!(console.with_password().await, StatusCode::UNAUTHORIZED, "{nothing}: the old role comes in with a password");
        let state = console.app.node().control.ports.fence().state();
        assert!(state.credentials.values().all(|row| row.created.user != console.staff.user || row.revoked_at.is_some()));
    }
    assert!(console.read(&key, "/api/v1/activity").await.status.is_client_error());
    let withdrawn = console.events("role_withdrawn").await;
    assert_eq!(withdrawn.len(), 5, "{withdrawn:?}");
    // Said once; a second refusal changes nothing.
    console.by(&issuer, json!([])).await;
    assert_eq!(console.events("role_withdrawn").await.len(), 5);
    let beside = console.beside().await;
    let elsewhere = Browser::at(&format!("http://{}", beside.address()));
    assert_eq!(elsewhere.sign_in(&console.staff.email, &console.staff.password).await.status, StatusCode::UNAUTHORIZED);
    beside.shutdown().await;
}

async fn lifted(console: ConsoleServer, issuer: Running) {
    issuer.vouches_for("second", "second@example.com", &json!({ "groups": ["ops"] }));
    let second = console.browser();
    assert_eq!(second.signs_in_by("corp").await.status, StatusCode::SEE_OTHER);
    assert_eq!(console.by(&issuer, json!(["ops"])).await.1, StatusCode::SEE_OTHER);
    assert_eq!(console.by(&issuer, json!([])).await.1, StatusCode::FORBIDDEN);
    let page = format!("/console/people/{}", console.staff.user);
    let given = second.submit(&format!("{page}/role"), &[("role", "admin")]).await;
    assert_eq!(given.status, StatusCode::SEE_OTHER, "{given:?}");
    assert_eq!(console.with_password().await, StatusCode::SEE_OTHER, "somebody of the staff has given it back");
    assert_eq!(console.by(&issuer, json!([])).await.1, StatusCode::FORBIDDEN);
    assert_eq!(console.with_password().await, StatusCode::UNAUTHORIZED, "and the issuer takes it again");
}

async fn unconfirmed(console: ConsoleServer, issuer: Running) {
    let local = console.other.key.clone();
    let before = console.one.key.clone();
    issuer.vouches_for("first", "one@example.com", &json!({}));
    let browser = console.browser();
    assert_eq!(browser.signs_in_by("them").await.status, StatusCode::SEE_OTHER);
    let key = console.key_with(&browser, &["vms:read"]).await;
    console.waits(29 * DAY).await;
    for key in [&key, &before, &local] {
        assert_eq!(console.asked(key).await.0, 200, "the issuer has vouched for a month");
    }
    console.waits(2 * DAY).await;
    for key in [&key, &before] {
        let answer = console.call(key, "vm_list", json!({})).await;
        assert_eq!((answer.status, answer.code().as_str()), (StatusCode::UNAUTHORIZED, "token_expired"), "{answer:?}");
        assert!(answer.json()["error"]["hint"].as_str().is_some_and(|hint| hint.contains("issuer")), "{answer:?}");
        assert_eq!(console.call(key, "vm_list", json!({})).await.status, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(console.asked(&local).await.0, 200, "nobody of elsewhere vouches for them");
    let beside = console.beside().await;
    assert_eq!((at(&beside, &key).await, at(&beside, &local).await), (401, 200), "another node says the same");
    beside.shutdown().await;
    // A password is not the issuer's word.
    assert_eq!(console.browser().sign_in("one@example.com", &console.one.owner.password).await.status, StatusCode::SEE_OTHER);
    assert_eq!(console.asked(&key).await.0, 401);
    let at = console.clock.now().0 / 1_000_000;
    issuer.vouches_for("first", "one@example.com", &json!({ "iat": at, "exp": at + 300 }));
    assert_eq!(console.browser().signs_in_by("them").await.status, StatusCode::SEE_OTHER);
    assert_eq!(console.asked(&key).await.0, 200, "it has vouched again");
    // What is written of that does not grow with each sign-in.
    let said = console.events("vouched_for").await.len();
    for _ in 0..3 {
        assert_eq!(console.browser().signs_in_by("them").await.status, StatusCode::SEE_OTHER);
    }
    assert_eq!(console.events("vouched_for").await.len(), said);
}

async fn parted(console: ConsoleServer, issuer: Running) {
    issuer.vouches_for("first", "one@example.com", &json!({}));
    let browser = console.browser();
    assert_eq!(browser.signs_in_by("them").await.status, StatusCode::SEE_OTHER);
    let key = console.key_with(&browser, &["vms:read"]).await;
    let unlink = [("current", console.one.owner.password.as_str())];
    let unlinked = browser.submit("/console/account/identities/them/unlink", &unlink).await;
    assert_eq!(unlinked.status, StatusCode::SEE_OTHER);
    console.waits(31 * DAY).await;
    assert_eq!(console.asked(&key).await.0, 401, "whoever lets an issuer go keeps no key by that");
    // With a password of their own they are one of the people here; what has ended has ended.
    let back = console.signed_in(&console.one.owner).await;
    assert_eq!(console.asked(&key).await.0, 401, "a password revives what the issuer's silence ended");
    let fresh = console.key_with(&back, &["vms:read"]).await;
    console.waits(31 * DAY).await;
    assert_eq!((console.asked(&key).await.0, console.asked(&fresh).await.0), (401, 200));
}

#[test]
fn oidc_how_long_keys_live_is_a_sensible_time() {
    let with = |line: &str| {
        let text = "title = \"Example\"\nissuer = \"https://login.example.com\"\nclient_id = \"forelog\"\nside = \"staff\"\n";
        forelog::config::Config::parse(&format!("[sign_in.oidc.corp]\n{text}{line}\n"))
            .map(|_| ())
            .map_err(|error| error.to_string())
    };
    with("keys_live_ms = 86400000").expect("a day");
    for line in ["keys_live_ms = 0", "keys_live_ms = 59999", "keys_live_ms = 34560000001", "keys_live_ms = -1"] {
        with(line).expect_err(line);
    }
}
