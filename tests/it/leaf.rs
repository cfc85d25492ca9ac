//! The leaf schema, version 1, is frozen: a leaf that was ever written is read for ever, and hashed as it was (P7).
//!
//! A golden line that no longer fits is never edited. The schema gets a new version beside it.

use std::time::Duration;

use forelog::core::event::{Event, LEAF_MAX, LEAF_VERSION, LeafError, Part};
use forelog::core::id::Position;
use forelog::core::time::Micros;
use serde_json::Value;

use crate::fixtures::{NEW_YEAR, event};
use crate::kinds;

const GOLDEN: &str = include_str!("golden/leaf-v1.jsonl");

fn leaves() -> Vec<Event> {
    kinds::one_of_each().into_iter().zip(1..).map(|(kind, n)| leaf(n, kind)).collect()
}

fn leaf(n: i64, kind: forelog::core::event::EventKind) -> Event {
    let part = |part: &str, truncated| Part {
        part: part.into(),
        size: 4096,
        truncated,
        sha256: "aa".repeat(32).into(),
        commit: "bb".repeat(32).into(),
        left_out: None,
    };
    let parts = vec![part("arguments", false), part("note", true)];
    Event {
        v: LEAF_VERSION,
        log: 1,
        position: Position(n),
        at: NEW_YEAR,
        id: event(n),
        prev: Position(n - 1),
        kind,
        parts,
        control: None,
    }
}

/// RFC 8785 for what a leaf may hold: integers, plain names, and nothing that the serializer under test decides.
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let mut names: Vec<_> = fields.keys().collect();
            names.sort_by_key(|name| name.encode_utf16().collect::<Vec<_>>());
            let fields: Vec<_> =
                names.iter().map(|name| format!("{}:{}", Value::from(name.as_str()), canonical(&fields[*name]))).collect();
            format!("{{{}}}", fields.join(","))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(",")),
        Value::Number(number) => {
            let number = number.as_i64().expect("only integers");
            assert!(number.unsigned_abs() < 1 << 53, "a reader whose numbers are doubles would lose {number}");
            number.to_string()
        }
        other => other.to_string(),
    }
}

#[test]
fn every_kind_of_event_is_written_as_it_always_was() {
    let golden: Vec<_> = GOLDEN.lines().collect();
    let leaves = leaves();
    assert_eq!(golden.len(), leaves.len(), "one line for each kind");
    for (leaf, golden) in leaves.iter().zip(golden) {
        let bytes = leaf.encode().expect("a leaf");
        assert_eq!(String::from_utf8_lossy(&bytes), golden, "{}", leaf.kind.name());
    }
}

#[test]
fn every_leaf_that_was_written_is_read_back() {
    for (leaf, golden) in leaves().into_iter().zip(GOLDEN.lines()) {
        assert_eq!(Event::decode(golden.as_bytes()).expect("a leaf"), leaf);
    }
}

#[test]
fn every_leaf_is_canonical_and_small() {
    for golden in GOLDEN.lines() {
        let value: Value = serde_json::from_str(golden).expect("JSON");
        assert_eq!(canonical(&value), golden);
        assert!(golden.len() < 2048, "{} bytes: {golden}", golden.len());
    }
}

#[test]
fn every_kind_is_among_them() {
    let source = include_str!("../../src/core/event/kind.rs");
    let file = syn::parse_file(source).expect("Rust");
    let kinds = file.items.iter().find_map(|item| match item {
        syn::Item::Enum(item) if item.ident == "EventKind" => Some(&item.variants),
        _ => None,
    });
    let written = kinds.expect("the enum of kinds").iter().map(|variant| snake(&variant.ident.to_string()));
    let ours = kinds::one_of_each();
    assert_eq!(written.collect::<Vec<_>>(), ours.iter().map(|kind| kind.name().to_owned()).collect::<Vec<_>>());
    for (kind, golden) in ours.iter().zip(GOLDEN.lines()) {
        let value: Value = serde_json::from_str(golden).expect("JSON");
        assert_eq!(value["type"], kind.name());
    }
}

fn snake(name: &str) -> String {
    let mut snake = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
}

#[test]
fn an_optional_field_that_is_absent_leaves_no_trace() {
    let bare = r#"{"at":1767225600000000,"call":"call_01KDTN0G000000000000000000","epoch":4,"id":"evt_01KDTN0G000000000000000000","log":1,"policy":1,"position":9,"prev":8,"type":"admitted","v":1}"#;
    let leaf = Event::decode(bare.as_bytes()).expect("a leaf");
    assert_eq!(String::from_utf8_lossy(&leaf.encode().expect("a leaf")), bare);
}

#[test]
fn a_leaf_that_is_too_large_is_not_written() {
    let Some(mut huge) = leaves().pop() else { panic!("there are leaves") };
    let part = huge.parts.first().expect("a part").clone();
    while serde_json::to_vec(&huge).expect("JSON").len() <= LEAF_MAX {
        huge.parts.extend(vec![part.clone(); 50]);
    }
    assert!(matches!(huge.encode(), Err(LeafError::TooLarge(size)) if size > LEAF_MAX));
}

#[test]
fn what_is_no_leaf_is_not_read() {
    let whole = GOLDEN.lines().next().expect("a line");
    for cut in 0..whole.len() {
        assert!(Event::decode(&whole.as_bytes()[..cut]).is_err(), "cut at {cut}");
    }
    assert!(Event::decode(whole.replace("\"type\":\"intent_recorded\"", "\"type\":\"intent_forgotten\"").as_bytes()).is_err());
    assert!(Event::decode(whole.replace("\"account\":\"acc_", "\"account\":\"vm_").as_bytes()).is_err());
}

#[test]
fn leaf_of_an_older_development_version_is_refused_and_never_misread() {
    let mut refused = 0;
    for golden in GOLDEN.lines().filter(|line| line.contains("\"resources\":[")) {
        let named = golden.split("\"resources\":[").nth(1).and_then(|rest| rest.split(']').next()).expect("a resource");
        for older in [format!("\"vm\":{named}"), "\"vm\":null".to_owned()] {
            let line = golden.replace(&format!("\"resources\":[{named}]"), &older);
            let error = Event::decode(line.as_bytes()).expect_err(&line);
            assert!(error.to_string().contains("older development version"), "{error}");
            refused += 1;
        }
    }
    assert_eq!(refused, 4, "intents and counted refusals");
}

proptest::proptest! {
    #[test]
    fn canonical_json_is_what_the_library_writes(value in any_json()) {
        let ours = forelog::core::canonical::canonical(&value).expect("bytes");
        let theirs = serde_json_canonicalizer::to_vec(&value).expect("bytes");
        proptest::prop_assert_eq!(String::from_utf8_lossy(&ours), String::from_utf8_lossy(&theirs));
    }
}

/// Any JSON: every kind of number, keys and texts of any characters.
fn any_json() -> impl proptest::strategy::Strategy<Value = Value> {
    use proptest::prelude::*;
    let number = prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_filter_map("finite", |number| serde_json::Number::from_f64(number).map(Value::Number)),
    ];
    let text = prop_oneof![any::<String>(), "[\\x00-\\x7f]{0,8}", "[\u{ff5e}\u{1f600}a-c]{0,4}"];
    let scalar = prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from), number, text.clone().prop_map(Value::from)];
    scalar.prop_recursive(3, 24, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(text.clone(), inner, 0..6).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// What would be read back as another number, or as none, is not written: the log would never be readable again.
#[test]
fn leaf_with_a_number_that_no_double_holds_is_not_written() {
    let mut event = leaves().into_iter().next().expect("an event");
    for (at, holds) in [(Micros::LAST.0, true), (1 << 53, true), ((1 << 53) + 1, false), (i64::MAX, false)] {
        event.at = Micros(at);
        let encoded = event.encode();
        assert_eq!(encoded.is_ok(), holds, "{at}");
        assert!(encoded.is_err() || Event::decode(&encoded.expect("bytes")).expect("readable").at == event.at);
    }
    assert_eq!(Micros(5).plus(Duration::MAX), Micros::LAST, "time ends where it can still be written");
}
