//! A set that is rejected: whatever shows the configured set says that, and why.

use reqwest::Method;
use serde_json::{Value, json};

use super::{ALL, ONE, TIMEOUT, ask, at, on_both, own, read, set, write};
use crate::cli::{command, text};
use crate::console::{Browser, ConsoleServer};
use crate::harness::until;
use crate::local_admin::Data;

on_both! {
    a_rejected_set_is_shown_as_that, in_force_a_rejected_set_is_shown_as_that, postgres_in_force_a_rejected_set_is_shown_as_that;
}

const BROKEN: &str = "@id(\"one\")\npermit (principal, action == Forelog::Action::\"vm_gte\", resource);\n";

async fn a_rejected_set_is_shown_as_that(database: String) {
    let files = set(ONE);
    let house = ConsoleServer::with(&own(&database, &files, 100)).await;
    let staff = house.key_of_staff().await;
    write(files.path(), BROKEN);
    let policies = read(&house.base, &staff, "/api/v1/policies").await;
    let why = policies["node"]["files_trouble"].as_str().unwrap_or_default();
    assert!(why.starts_with("own.cedar:2:") && why.contains("Did you mean Forelog::Action::\"vm_get\"?"), "{policies}");
    assert_eq!((&policies["version"], &policies["node"]["files_sha256"]), (&json!(1), &Value::Null), "{policies}");
    let reloaded = ask(&house.base, &staff, Method::POST, "/api/v1/policies/reload", Some(json!({}))).await;
    let message = reloaded.json()["error"]["message"].as_str().unwrap_or_default().to_owned();
    assert!(message.contains("version 1 stays in force: own.cedar:2:") && message.contains("\n  2 | permit"), "{message}");
    let browser = Browser::at(&house.base);
    assert!(browser.sign_in(&house.staff.email, &house.staff.password).await.status.is_redirection());
    let page = browser.page("/console/rules").await;
    assert!(page.contains("are rejected") && page.contains("vm_gte") && !page.contains("puts them in force"), "{page}");
    // A set that is another one, and in order, is shown as before.
    write(files.path(), ALL);
    let differs = async || read(&house.base, &staff, "/api/v1/policies").await["node"]["files_sha256"].is_string();
    until(TIMEOUT, "the set in order is told", differs).await;
    let other = house.beside_with(&own(&database, &files, 100)).await;
    assert!(read(&at(&other), &staff, "/api/v1/policies").await["node"]["files_trouble"].is_null());
    other.shutdown().await;
}

#[tokio::test]
async fn in_force_the_command_line_shows_a_rejected_set_as_that() {
    let (data, files) = (Data::new(None), set(BROKEN));
    let show = |args: &[&str]| {
        let mut shown = command(&data.at(args));
        let output = shown.env("FORELOG_POLICIES_DIR", files.path()).output().expect("running forelog");
        text(&output.stdout) + &text(&output.stderr)
    };
    let rejected = |said: &str| {
        assert!(said.contains("the configured set is rejected: own.cedar:2:") && said.contains("vm_gte"), "{said}");
        assert!(!said.contains("puts it in force"), "{said}");
    };
    rejected(&show(&["policy", "show"]));
    data.in_force();
    rejected(&show(&["policy", "show"]));
    let doctor = show(&["doctor"]);
    assert!(doctor.contains("the configured policies are broken: own.cedar:2:") && doctor.contains(" | permit"), "{doctor}");
}
