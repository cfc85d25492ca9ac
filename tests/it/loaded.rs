//! A start: what is loaded at once, by all processors, is what was folded change by change, for every kind of row; and one forged
//! row among thousands is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use forelog::core::event::{CredentialCreated, Event, EventKind, LEAF_VERSION};
use forelog::core::id::{Epoch, Position};
use forelog::core::root::RootKey;
use forelog::core::state::{ControlState, RowKind, RowName};
use forelog::core::switch::{Running, Target};
use forelog::core::time::Clock;
use forelog::log::fence::Fence;
use forelog::log::sql_store::SqlStore;
use forelog::log::store::{Batch, EventRow, Head, StateRow, Store, Want};
use forelog::log::writer::Writer;
use serde_json::json;

use crate::fixtures::{NEW_YEAR, account, credential, event, key_made, node, switch, user, vm};
use crate::test_node::{Site, on_both};
use crate::{kinds, tables, witness};

on_both! {
    a_start_loads_what_was_folded, what_was_folded_is_loaded, postgres_what_was_folded_is_loaded;
}

/// More than are read at a time.
const KEYS: i64 = 4500;
const VMS: i64 = 150;

fn said() -> impl Iterator<Item = EventKind> {
    let keys = (100..100 + KEYS).map(|n| {
        let made =
            CredentialCreated { account: account(n % 4), user: user(n % 4), hash: format!("{n:064x}").into(), ..key_made(n) };
        EventKind::CredentialCreated(CredentialCreated { made_by: (n % 9 == 0).then(|| credential(n / 2)), ..made })
    });
    let vms = (100..100 + VMS).map(|n| EventKind::VmImported {
        vm: vm(n),
        account: account(n % 4),
        provider: format!("sim-{}", n % 2).into(),
        machine: format!("m-{n}").into(),
    });
    // Done on the data itself: it raises an alarm.
    let engaged = EventKind::SwitchEngaged {
        switch: switch(2),
        target: Target::All,
        by: None,
        credential: None,
        running: Running::LetFinish,
        expires_at: None,
    };
    let all = kinds::one_of_each().into_iter().filter(|kind| kind.call().is_none());
    all.chain(keys).chain(vms).chain([engaged])
}

fn folded() -> (ControlState, BTreeMap<RowName, Vec<u8>>) {
    let (mut state, mut rows) = (ControlState::under(RootKey::of(&[7; 32])), BTreeMap::new());
    for kind in said() {
        for name in state.apply(Position(1), NEW_YEAR, &kind, &json!({ "label": "web", "reason": "a test" })) {
            let doc = state.row(&name).expect("a row");
            rows.insert(name, doc);
        }
    }
    (state, rows)
}

/// A log whose newest event says that its control state has these rows.
async fn store_with(site: &Site, state: &ControlState, rows: &BTreeMap<RowName, Vec<u8>>) -> SqlStore {
    let store = SqlStore::new(site.room().await);
    store.migrate().await.expect("migrate");
    let leaf = Event {
        v: LEAF_VERSION,
        log: 1,
        position: Position(1),
        at: NEW_YEAR,
        id: event(1),
        prev: Position(0),
        kind: EventKind::NodeStopped { node: node(1) },
        parts: Vec::new(),
        control: Some(state.root(Position(1)).into()),
    };
    let (kind, encoded) = (leaf.kind.name().to_owned(), leaf.encode().expect("a leaf"));
    let event = EventRow { position: leaf.position, at: leaf.at, kind, call: None, leaf: encoded };
    let row = |(name, doc): (&RowName, &Vec<u8>)| StateRow {
        name: name.to_string(),
        control: true,
        position: Position(1),
        doc: doc.clone(),
    };
    let batch = Batch { events: vec![event], puts: rows.iter().map(row).collect(), epoch: Epoch(1), ..Batch::default() };
    store.transact(&Want::default(), &mut |_: &Head, _| Ok(batch.clone())).await.expect("a log");
    store
}

async fn a_start_loads_what_was_folded(site: Site) {
    let (mut folded, rows) = folded();
    let kinds: BTreeSet<RowKind> = rows.keys().map(|name| name.kind).collect();
    assert_eq!(kinds, RowKind::ALL.into_iter().collect());
    let store = Arc::new(store_with(&site, &folded, &rows).await);
    let clock = Arc::clone(&site.clock) as Arc<dyn Clock>;
    let fence = Fence::new(Arc::clone(&clock), RootKey::of(&[7; 32]));
    let (writer, _task) = Writer::start(store, Arc::clone(&fence), clock);
    writer.write(Want::default(), |_| Ok(())).await.expect("control state");
    let loaded = fence.state();
    folded.epoch = Epoch(1);
    assert!(*loaded == folded, "the same rows");
    assert_eq!(loaded.root(Position(9)), folded.root(Position(9)));
    tables::check(&loaded);

    let name = format!("credential:{}", credential(100 + KEYS / 2));
    let mut forged = witness::document(&site, &name).await;
    forged["scopes"] = json!(["staff:switch"]);
    witness::put(&site, &name, &forged).await;
    let refused = witness::opens(&site).await.expect_err("a forged row");
    assert!(refused.contains("control state is not what the log says it is"), "{refused}");
}
