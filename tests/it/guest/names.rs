//! What a guest is called: it learns a new name when it starts, and a lost answer is told from its file.

use std::time::Duration;

use forelog::providers::Permit;
use forelog::providers::compute::{Compute, Effect, PowerAction, ProviderError};
use serde_json::json;

use super::Bench;

#[tokio::test]
async fn guest_is_told_its_new_name_when_it_starts() {
    let mut bench = Bench::on().await;
    assert_eq!(bench.hostname().await, "web1");
    let call = bench.rename("shop.example.com").await;
    assert_eq!((bench.hostname().await.as_str(), bench.find(&call).await), ("shop.example.com", Effect::Happened));
    assert_eq!(bench.run("hostname").await, "web1\n", "nothing is run in a guest to rename it");
    bench.reopen();
    assert_eq!(bench.hostname().await, "shop.example.com", "it is in the machine's file");
    bench.power(PowerAction::Stop).await.unwrap();
    bench.power(PowerAction::Start).await.unwrap();
    assert_eq!(bench.run("hostname").await, "shop.example.com\n");
}

#[tokio::test]
async fn guest_renaming_that_nobody_saw_end_is_told_from_the_machines_file() {
    let mut bench = Bench::off().await;
    let first = bench.rename("shop").await;
    let again = bench.qemu.rename(&bench.web1, &"other".parse().unwrap(), &first, Permit::unfenced()).await;
    assert!(matches!(again, Err(ProviderError::State(_))), "{again:?}");
    bench.pass(Duration::from_millis(1));
    let never = bench.crash_before(json!({ "rename": "store" }), &first);
    assert_eq!((bench.find(&never).await, bench.hostname().await.as_str()), (Effect::DidNotHappen, "shop"));
    bench.pass(Duration::from_millis(1));
    let done = bench.crash_before(json!({ "rename": "shop" }), &first);
    assert_eq!(bench.find(&done).await, Effect::Happened);
    assert_eq!(bench.find(&never).await, Effect::CannotTell, "another name was given since");
    assert_eq!(bench.find(&bench.call()).await, Effect::DidNotHappen);
    // A change of the power in between changes no name.
    bench.pass(Duration::from_millis(1));
    let power = bench.crash_before(PowerAction::Stop, &first);
    assert_eq!(bench.find(&done).await, Effect::Happened);
    assert_ne!(bench.find(&power).await, Effect::Happened);
    // One that does not end keeps others out, whatever they change.
    let lock = std::fs::File::options().append(true).open(bench.home().join("lock")).unwrap();
    lock.try_lock().unwrap();
    assert_eq!(bench.find(&never).await, Effect::Running);
    let busy = bench.qemu.rename(&bench.web1, &"late".parse().unwrap(), &bench.call(), Permit::unfenced()).await;
    assert!(matches!(busy, Err(ProviderError::State(_))), "{busy:?}");
}
