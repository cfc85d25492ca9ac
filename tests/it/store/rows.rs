//! Rows of control state: found by name and kind, and told once they have changed.

use std::collections::BTreeSet;
use std::time::Duration;

use forelog::core::id::{Epoch, Position};
use forelog::log::store::{Batch, Found, Head, Store, Want};

use super::{Backend, append, next, on_both, put, row};

on_both! {
    changed, store_tells_what_changed_since_an_epoch, postgres_store_tells_what_changed_since_an_epoch;
    named, store_finds_rows_by_name, postgres_store_finds_rows_by_name;
    by_kind, store_finds_rows_by_kind, postgres_store_finds_rows_by_kind;
    telling, store_tells_of_a_new_epoch_and_of_nothing_else, postgres_store_tells_of_a_new_epoch_and_of_nothing_else;
}

async fn changed(backend: Backend) {
    let (store, other) = (backend.store().await, backend.store().await);
    for (name, position, doc) in [("switch:a", 1, "{}"), ("vm:a", 2, "1"), ("switch:a", 3, "null")] {
        let decide = &mut |head: &Head, _: Found| {
            let puts = vec![row(name, true, position, doc), row("limit:x", false, position, "7")];
            Ok(Batch { puts, epoch: Epoch(head.epoch.0 + 1), ..next(head, 1) })
        };
        store.transact(&Want::default(), decide).await.expect("a change");
    }
    let look = |known_epoch: i64, known_position: i64| {
        let other = &other;
        async move {
            let want = Want { known_epoch: Epoch(known_epoch), known_position: Position(known_position), ..Want::default() };
            let mut found = Found::default();
            let decide = &mut |_: &Head, seen: Found| {
                found = seen;
                Ok(Batch::default())
            };
            assert_eq!(other.transact(&want, decide).await.expect("a look").epoch, Epoch(3));
            found.changed
        }
    };
    // A row that is gone is told of too, and what is no control state is not.
    assert_eq!(look(0, 0).await, [row("vm:a", true, 2, "1"), row("switch:a", true, 3, "null")]);
    assert_eq!(look(2, 2).await, [row("switch:a", true, 3, "null")]);
    assert_eq!(look(3, 0).await, []);
}

async fn named(backend: Backend) {
    let store = backend.store().await;
    put(&store, (0..300).map(|n| row(&format!("k:{n:03}"), false, 0, &n.to_string())).collect(), Vec::new()).await;
    for count in [1, 2, 4, 5, 16, 17, 64, 65, 256, 257, 300] {
        let mut names: Vec<String> = (0..count).map(|n| format!("k:{n:03}")).collect();
        names.push("k:absent".into());
        names.push("k:000".into());
        let mut found = BTreeSet::new();
        let decide = &mut |_: &Head, seen: Found| {
            found = seen.rows.into_iter().map(|row| row.name).collect();
            Ok(Batch::default())
        };
        store.transact(&Want { names: names.clone(), ..Want::default() }, decide).await.expect("a look");
        let expected: BTreeSet<String> = (0..count).map(|n| format!("k:{n:03}")).collect();
        assert_eq!(found, expected, "{count}");
        if names.len() <= 256 {
            let rows = store.state_rows(&names).await.expect("the rows");
            assert_eq!(rows.into_iter().map(|row| row.name).collect::<BTreeSet<_>>(), expected);
        }
    }
    put(&store, vec![row("k:000", true, 5, "new")], (1..299).map(|n| format!("k:{n:03}")).collect()).await;
    assert_eq!(store.state(&["k"]).await.expect("the rows"), [row("k:000", true, 5, "new"), row("k:299", false, 0, "299")]);
}

async fn by_kind(backend: Backend) {
    let store = backend.store().await;
    let names = ["vm:a", "vm:Z", "vm:ä", "vm", "vmx:a", "vm;a", "v:a", "wm:a", "vm:"];
    put(&store, names.iter().map(|name| row(name, false, 0, "1")).collect(), Vec::new()).await;
    // By bytes on both, whatever the database's language.
    let expected = ["vm:", "vm:Z", "vm:a", "vm:ä"];
    let rows = store.state(&["vm"]).await.expect("the rows");
    assert_eq!(rows.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(), expected);
    for (most, first) in [(0, 0), (2, 2), (9, 4)] {
        assert_eq!(store.page_under("vm:", None, most).await.expect("the first of them"), rows[..first]);
    }
    for (after, left) in [("vm:", 1), ("vm:Z", 2), ("vm:Y", 1), ("vm:a", 3), ("vm:ä", 4)] {
        assert_eq!(store.page_under("vm:", Some(after), 9).await.expect("those after it"), rows[left..], "{after}");
    }
    let mut found = Found::default();
    let decide = &mut |_: &Head, seen: Found| {
        found = seen;
        Ok(Batch::default())
    };
    store.transact(&Want { kinds: vec!["vm", "absent"], ..Want::default() }, decide).await.expect("a look");
    assert_eq!(found.rows, rows);
}

async fn telling(backend: Backend) {
    let (store, other) = (backend.store().await, backend.store().await);
    if let Backend::Sqlite(_) = backend {
        assert!(tokio::time::timeout(Duration::from_millis(50), store.next_epoch()).await.is_err(), "there is nobody to tell");
        return;
    }
    assert_eq!(store.next_epoch().await.expect("it listens"), None, "whoever begins to listen looks");
    append(&other, 3).await;
    for epoch in [1, 2] {
        let decide = &mut |head: &Head, _: Found| Ok(Batch { epoch: Epoch(epoch), ..next(head, 1) });
        other.transact(&Want::default(), decide).await.expect("a change");
    }
    append(&other, 1).await;
    // Two that come one after the other may be told as one; the newest is.
    let mut told = Vec::new();
    while told.last() != Some(&Epoch(2)) {
        let next = tokio::time::timeout(Duration::from_secs(20), store.next_epoch()).await.expect("in time");
        told.extend(next.expect("it is told"));
    }
    assert!(told.is_sorted() && told.len() <= 2, "{told:?}");
    assert!(tokio::time::timeout(Duration::from_millis(100), store.next_epoch()).await.is_err(), "nothing else is told");
}
