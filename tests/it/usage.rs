//! A key's use is counted where the key is listed.

use serde_json::{Value, json};

use crate::demo::Demo;

#[tokio::test]
async fn usage_of_a_key_is_counted_with_every_recorded_call() {
    let demo = Demo::start().await;
    let client = reqwest::Client::new();
    let url = |path: &str| format!("{}/api/v1/{path}", demo.text("/base_url"));
    let listed = || async {
        let answer = client.get(url("keys")).bearer_auth(demo.customer_key()).send().await.expect("an answer");
        let keys: Value = answer.json().await.expect("a document");
        keys["items"][0].clone()
    };
    let before = listed().await;
    for args in [json!({}), json!({ "unknown": 1 })] {
        client.post(url("tools/vm_list")).bearer_auth(demo.customer_key()).json(&args).send().await.expect("an answer");
    }
    let after = listed().await;
    // The two calls, refused or not, and the second listing itself.
    assert_eq!(after["uses"].as_u64(), before["uses"].as_u64().map(|uses| uses + 3), "{before} {after}");
    assert!(after["last_used_at"].as_str() > before["last_used_at"].as_str(), "{before} {after}");
}
