//! Appending: positions without gaps, one head for all, all or nothing, and never another past.

use std::collections::BTreeSet;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use forelog::core::id::{Epoch, Position};
use forelog::core::time::Micros;
use forelog::log::sql::SqlError;
use forelog::log::store::{Batch, EventRow, Found, Head, Store, StoreError, Want};

use super::{Backend, all, append, event, next, on_both, payload, put, row};

on_both! {
    gapless, store_positions_have_no_gaps, postgres_store_positions_have_no_gaps;
    concurrent, store_two_instances_write_one_log, postgres_store_two_instances_write_one_log;
    locked, store_locks_the_head_while_deciding, postgres_store_locks_the_head_while_deciding;
    rolled_back, store_rolls_back_what_is_not_whole, postgres_store_rolls_back_what_is_not_whole;
    refusing, store_refuses_to_change_the_past, postgres_store_refuses_to_change_the_past;
    large, store_takes_large_batches, postgres_store_takes_large_batches;
}

async fn gapless(backend: Backend) {
    let store = backend.store().await;
    assert_eq!(store.head().await.expect("the head"), Head::default());
    for count in [1, 3, 4, 17, 64, 65] {
        let before = store.head().await.expect("the head");
        let head = append(&store, count).await;
        assert_eq!(
            head,
            Head { position: Position(before.position.0 + count), at: Micros(head.position.0 * 10), epoch: Epoch(0) }
        );
        assert_eq!(store.head().await.expect("the head"), head);
    }
    let expected: Vec<EventRow> = (1..=154).map(event).collect();
    assert_eq!(all(&store).await, expected);
    assert_eq!(store.events(Position(10), 3).await.expect("a page"), expected[10..13]);
    // Nothing to write moves nothing.
    let same = store.transact(&Want::default(), &mut |_, _| Ok(Batch { epoch: Epoch(9), ..Batch::default() })).await;
    assert_eq!(same.expect("the head"), store.head().await.expect("the head"));
}

async fn concurrent(backend: Backend) {
    let seen = Arc::new(Mutex::new(BTreeSet::new()));
    let mut writers = Vec::new();
    for _ in 0..2 {
        let (store, seen) = (Arc::new(backend.store().await), Arc::clone(&seen));
        for _ in 0..2 {
            let (store, seen) = (Arc::clone(&store), Arc::clone(&seen));
            writers.push(tokio::spawn(async move {
                for _ in 0..15 {
                    let head = store.transact(&Want::default(), &mut |head, _| Ok(next(head, 2))).await.expect("an append");
                    assert!(seen.lock().expect("the set").insert(head.position), "{head:?} was answered twice");
                }
            }));
        }
    }
    for writer in writers {
        writer.await.expect("a writer");
    }
    let expected: Vec<EventRow> = (1..=120).map(event).collect();
    assert_eq!(all(&backend.store().await).await, expected);
}

async fn locked(backend: Backend) {
    let (one, two) = (backend.store().await, backend.store().await);
    let (enter, entered) = mpsc::sync_channel(1);
    let (intrude, intruded) = mpsc::sync_channel(1);
    let first = tokio::spawn(async move {
        let decide = &mut move |head: &Head, _: Found| {
            enter.send(()).expect("the test listens");
            // The other one may not decide while this one does, however long that takes.
            assert!(intruded.recv_timeout(Duration::from_millis(300)).is_err(), "two decided at once");
            Ok(next(head, 1))
        };
        one.transact(&Want::default(), decide).await.expect("an append")
    });
    entered.recv_timeout(Duration::from_secs(10)).expect("the first decides");
    let decide = &mut |head: &Head, _: Found| {
        // Nobody listens any more, if all is well.
        let _ = intrude.send(());
        assert_eq!(head.position, Position(1));
        Ok(next(head, 1))
    };
    let head = two.transact(&Want::default(), decide).await.expect("an append");
    assert_eq!((first.await.expect("the first").position, head.position), (Position(1), Position(2)));
}

async fn rolled_back(backend: Backend) {
    let store = backend.store().await;
    let head = append(&store, 3).await;
    let refused = store.transact(&Want::default(), &mut |_, _| Err(StoreError::Unreadable("no".into()))).await;
    assert!(matches!(refused, Err(StoreError::Unreadable(_))), "{refused:?}");
    // The second event leaves a gap: the row, the first event and its payload go with it.
    let gap = store
        .transact(&Want::default(), &mut |head, _| {
            let events = vec![event(head.position.0 + 1), event(head.position.0 + 3)];
            let payloads = vec![payload(head.position.0 + 1, "note")];
            Ok(Batch { events, payloads, puts: vec![row("vm:a", true, 4, "1")], epoch: Epoch(1), ..Batch::default() })
        })
        .await;
    assert!(matches!(gap, Err(StoreError::Sql(SqlError::Statement(_)))), "{gap:?}");
    assert_eq!(store.head().await.expect("the head"), head);
    assert_eq!(all(&store).await.len(), 3);
    assert!(store.payloads(Position(0), Position(99)).await.expect("the payloads").is_empty());
    assert!(store.state(&["vm"]).await.expect("the rows").is_empty());
    assert_eq!(append(&store, 1).await.position, Position(4));
}

async fn refusing(backend: Backend) {
    let store = backend.store().await;
    let decide = &mut |head: &Head, _: Found| Ok(Batch { payloads: vec![payload(1, "note")], ..next(head, 2) });
    store.transact(&Want::default(), decide).await.expect("an append");
    let mut refused = vec![
        ("update event set at = 0", "events are never updated"),
        ("delete from event where position = 2", "events are never deleted"),
        (
            "insert into event (position, at, type, leaf) select 4, 99, type, leaf from event where position = 1",
            "positions have no gaps",
        ),
        ("update payload set body = body", "payloads are never updated"),
        ("delete from payload", "payloads are never deleted"),
        ("delete from log_head", "the head is never deleted"),
        ("update log_head set position = position - 1", "the head never goes back"),
        ("update log_head set at = at - 1", "the head never goes back"),
        ("update log_head set epoch = epoch - 1", "the head never goes back"),
    ];
    if let Backend::Postgres(_) = backend {
        refused.push(("truncate event", "events are never deleted"));
        refused.push(("truncate payload", "payloads are never deleted"));
        refused.push(("truncate log_head", "the head is never deleted"));
    }
    for (sql, why) in refused {
        let mut transaction = store.database().begin().await.expect("a transaction");
        let error = transaction.execute(sql, Vec::new()).await.expect_err(sql);
        let text = format!("{:?}", std::error::Error::source(&error));
        assert!(text.contains(why), "{sql}: {text}");
    }
    if let Backend::Postgres(_) = backend {
        // A session that plays a replica skips ordinary triggers.
        let mut transaction = store.database().begin().await.expect("a transaction");
        transaction.script("set local session_replication_role = replica").await.expect("the superuser may");
        let error = transaction.execute("delete from event", Vec::new()).await.expect_err("deleted");
        assert!(format!("{error:?}").contains("events are never deleted"), "{error:?}");
    }
    assert_eq!(all(&store).await, [event(1), event(2)]);
}

async fn large(backend: Backend) {
    let store = backend.store().await;
    put(&store, vec![row("job:0", false, 0, "0")], Vec::new()).await;
    let decide = &mut |head: &Head, _: Found| {
        let payloads = (1..=1000).flat_map(|n| [payload(n, "arguments"), payload(n, "result")]).collect();
        let puts = (1..=1000).map(|n| row(&format!("job:{n}"), false, n, "1")).collect();
        Ok(Batch { payloads, puts, deletes: vec!["job:0".into()], ..next(head, 1000) })
    };
    let head = store.transact(&Want::default(), decide).await.expect("a large batch");
    assert_eq!(head.position, Position(1000));
    assert_eq!(all(&store).await, (1..=1000).map(event).collect::<Vec<_>>());
    assert_eq!(store.state(&["job"]).await.expect("the rows").len(), 1000);
    let some = store.payloads(Position(999), Position(2000)).await.expect("the payloads");
    let expected = [payload(999, "arguments"), payload(999, "result"), payload(1000, "arguments"), payload(1000, "result")];
    assert_eq!(some, expected);
    assert_eq!(store.payloads(Position(1), Position(1000)).await.expect("the payloads").len(), 2000);
}
