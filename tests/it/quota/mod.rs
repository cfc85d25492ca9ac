//! Quotas: what one account or key makes has a bound, on both databases and under a race, and stopping is never starved by it.

mod calls;
mod made;
mod sessions;
mod stops;

use std::collections::BTreeSet;

use forelog::config::Config;
use reqwest::StatusCode;
use serde_json::Value;

use crate::harness::Answer;

/// A case for both databases, whose house has these quotas.
macro_rules! on_both {
    ($($case:ident, $quotas:literal, $sqlite:ident, $postgres:ident;)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $sqlite() {
            $case(ConsoleServer::with(concat!("[quotas]\n", $quotas)).await).await;
        }

        #[tokio::test(flavor = "multi_thread")]
        async fn $postgres() {
            let url = crate::postgres::fresh_database().await;
            $case(ConsoleServer::with(&format!("database_url = \"{url}\"\n[quotas]\n{}", $quotas)).await).await;
        }
    )*};
}
pub(super) use on_both;

/// What a refusal says of the quota.
fn told(answer: &Answer) -> Value {
    assert_eq!((answer.status, answer.code().as_str()), (StatusCode::TOO_MANY_REQUESTS, "quota_exceeded"), "{answer:?}");
    let error = answer.json()["error"].clone();
    assert_eq!(error["retryable"], false);
    assert!(error["hint"].is_string(), "{error}");
    error["details"].clone()
}

#[test]
fn quota_every_one_is_in_the_reference_with_its_default() {
    let page = include_str!("../../../docs/configuration.md").split("## Quotas").nth(1).expect("the section");
    let page = page.split("\n## ").next().expect("the section");
    let cells = |line: &str| line.split('|').map(|cell| cell.trim().trim_matches('`').to_owned()).collect::<Vec<_>>();
    let rows = page.lines().filter(|line| line.starts_with("| `")).map(cells);
    let stated: BTreeSet<String> =
        rows.map(|cells| format!("{}: Quota {{ account: {}, key: {} }}", cells[1], cells[2], cells[3])).collect();
    let quotas = format!("{:?}", Config::default().quotas);
    for row in &stated {
        assert!(quotas.contains(row), "{row} is not in {quotas}");
    }
    assert_eq!(stated.len(), quotas.matches("Quota {").count(), "each has a row");
    for wrong in ["keys = { account = 0, key = 1 }", "people = 0", "keys = { account = 1 }", "kyes = { account = 1, key = 1 }"] {
        assert!(Config::parse(&format!("[quotas]\n{wrong}")).is_err(), "{wrong}");
    }
}
