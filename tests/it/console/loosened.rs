//! A number that guards something is not loosened by one person with effect for what stands already: who counts as a second
//! person, and what an account was told.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::second::PASSWORD;
use super::{Browser, ConsoleServer};

on_both! {
    guests, console_one_person_does_not_make_a_second_one_by_a_number, postgres_console_one_person_does_not_make_a_second_one_by_a_number;
    told, console_what_an_account_was_told_stays_told, postgres_console_what_an_account_was_told_stays_told;
}

impl ConsoleServer {
    async fn set(&self, key: &str, change: Value) -> Value {
        let set = self.rest(key, Method::PATCH, "/limits", Some(change)).await;
        assert_eq!(set.status, StatusCode::OK, "{set:?}");
        set.json()
    }
}

async fn guests(console: ConsoleServer) {
    let (boss, key) = (console.signed_in(&console.staff).await, console.key_of_staff().await);
    let guest = console.guest_of(&boss, "puppet@example.com").await;
    let engage = async |target: &str| {
        let engaged = boss.submit("/console/switches", &[("target", target), ("reason", "a test")]).await;
        engaged.header("location").to_owned()
    };
    let release = async |browser: &Browser, switch: &str, target: &str| {
        browser.submit(&format!("{switch}/release"), &[("reason", "over"), ("typed", target)]).await;
        console.events("switch_released").await.len()
    };
    let standing = engage("class:exec").await;
    assert_eq!(release(&guest, &standing, "class:exec").await, 0);
    let set = console.set(&key, json!({ "newcomer_ms": 0 })).await;
    assert_eq!(set["newcomer_ms"], 0);
    assert!(set["newcomer_counts_from"].is_string(), "{set}");
    let shown = console.rest(&key, Method::GET, "/limits", None).await.json();
    assert_eq!(shown["newcomer_counts_from"], set["newcomer_counts_from"]);
    assert!(boss.page("/console/rules").await.contains("the longer one that was in force before"));
    assert_eq!(release(&guest, &standing, "class:exec").await, 0, "one admin and their guest have released it");
    // Nor by small steps, nor whoever is invited afterwards, nor for a switch that is engaged afterwards.
    for ms in [1000, 5, 0] {
        console.set(&key, json!({ "newcomer_ms": ms })).await;
    }
    let late = console.guest_of(&boss, "late@example.com").await;
    let fresh = engage("class:write").await;
    for (browser, switch, target) in
        [(&guest, &fresh, "class:write"), (&late, &standing, "class:exec"), (&late, &fresh, "class:write")]
    {
        assert_eq!(release(browser, switch, target).await, 0, "{target}");
    }
    // What waiting would have given them anyway, it gives.
    console.clock.pass(Duration::from_hours(7 * 24));
    let again = console.browser();
    assert_eq!(again.sign_in("late@example.com", PASSWORD).await.status, StatusCode::SEE_OTHER);
    assert_eq!(release(&again, &standing, "class:exec").await, 1);
}

async fn told(console: ConsoleServer) {
    let key = console.key_of_staff().await;
    let look = async || console.rest(&key, Method::GET, &format!("/calls?account={}", console.one.account), None).await.status;
    let told = async || {
        let page = console.rest(&console.one.key, Method::GET, "/events?type=log_read", None).await.json();
        page["items"].as_array().expect("items").clone()
    };
    let until = async |count: usize| {
        let waits = async {
            while told().await.len() < count {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), waits).await.expect("it is told in time");
    };
    assert_eq!(look().await, StatusCode::OK);
    until(1).await;
    let before = told().await;
    console.clock.pass(Duration::from_secs(1));
    console.set(&key, json!({ "staff_reads_shown_after_ms": 31_622_400_000_u64 })).await;
    assert_eq!(told().await, before, "a page of history that was read has changed");
    console.clock.pass(Duration::from_secs(1));
    assert_eq!(look().await, StatusCode::OK);
    console.clock.pass(Duration::from_hours(24));
    assert_eq!(told().await, before, "what is read from now on is told late");
    // Told as soon as any number says so that was in force since.
    console.set(&key, json!({ "staff_reads_shown_after_ms": 3_600_000 })).await;
    until(2).await;
    console.set(&key, json!({ "staff_reads_shown_after_ms": 31_622_400_000_u64 })).await;
    assert_eq!(told().await.len(), 2);
}
