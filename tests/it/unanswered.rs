//! A commit whose answer is lost: whoever waits for it is told what the log says, never that it was not written when it was.

use std::time::Duration;

use forelog::core::commands::switch::{Again, Asked, Engage};
use forelog::core::engagement::{Names, Proposed};
use forelog::core::id::SwitchId;
use forelog::core::switch::{Running, Target};
use forelog::log::changing::{Author, Ids};
use forelog::log::writer::WriteError;
use serde_json::Value;

use crate::cli::{command, text};
use crate::faults::proxy::{Cut, Proxy};
use crate::local_admin::{Data, id};
use crate::postgres;
use crate::test_node::{Site, TestNode, on_both};

on_both! {
    is_looked_up, unanswered_a_change_is_looked_up_in_the_log, postgres_unanswered_a_change_is_looked_up_in_the_log;
}

async fn is_looked_up(site: Site) {
    let test_node = TestNode::idle(&site).await.0;
    let ports = &test_node.control.ports;
    let switch = SwitchId::new(test_node.clock.after(Duration::ZERO), &*ports.entropy);
    let target: Target = "class:exec".parse().expect("a target");
    let proposed = Proposed { target, reason: "an incident".into(), message: None, incident: None, expires_at: None };
    let (again, running) = (Again::SameWords, Running::LetFinish);
    let asked = vec![Asked { switch: switch.clone(), proposed, running, again, event: test_node.event_id() }];
    let names = Names::default();
    site.forgets.store(true, std::sync::atomic::Ordering::SeqCst);
    let ids = Ids::new(&ports.clock, &ports.entropy);
    let changed = test_node.writer.change(Author::Operator, ids, Vec::new(), Engage { asked, by: None, names }).await;
    let changed = changed.expect("it is in the log").expect("it is allowed");
    assert_eq!(changed.answer, vec![switch.clone()]);
    assert!(!site.forgets.load(std::sync::atomic::Ordering::SeqCst), "the answer was lost");
    assert!(ports.fence().state().switches.contains_key(&switch), "this node goes by it");
}

#[test]
fn unanswered_is_said_as_that() {
    let said = |uncertain| WriteError::Store { text: "the connection broke".into(), uncertain }.to_string();
    assert!(said(true).contains("may or may not") && !said(true).contains("cannot be written"), "{}", said(true));
    assert!(said(false).contains("cannot be written"), "{}", said(false));
}

/// What a command has done on the data, and whether it says that it has.
#[tokio::test(flavor = "multi_thread")]
async fn postgres_unanswered_commands_on_the_data_say_what_is_in_force() {
    let server = postgres::Cluster::start().await;
    let (url, proxy) = (server.fresh_database().await, Proxy::start(&server.socket()).await);
    let data = Data::new(Some(&url));
    let run = async |event: &'static str, args: &[&str]| -> Value {
        let done = proxy.done();
        proxy.cut_event(Cut::After, event);
        let mut asked = command(&[data.at(args), vec!["--json"]].concat());
        asked.env("FORELOG_DATABASE_URL", proxy.url(&url));
        let output = tokio::task::spawn_blocking(move || asked.output().expect("running forelog")).await.expect("it ran");
        let said = text(&output.stderr);
        assert!(output.status.success() && !said.contains("not written"), "{args:?}: {said}");
        assert!(proxy.done() > done, "{args:?}: no answer was lost");
        serde_json::from_slice(&output.stdout).expect("one JSON document")
    };
    let switch = id(&run("switch_engaged", &["switch", "engage", "class:exec", "--reason", "an incident"]).await);
    assert_eq!(data.answer(&["switch", "list"])["items"][0]["id"], switch.as_str());
    run("switch_released", &["switch", "release", &switch, "--break-glass", "--reason", "over"]).await;
    assert_eq!(data.answer(&["switch", "list"])["items"].as_array().map(Vec::len), Some(0));
    let key = id(&run("credential_created", &["key", "create", "--account", &data.account, "--label", "a key"]).await);
    assert_eq!(data.answer(&["key", "list"])["items"][0]["id"], key.as_str());
}
