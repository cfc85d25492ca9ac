//! Whether the VMs of the overview run: asked of their providers when the page is opened, by one call of `vm_list` as the person who
//! looks, recorded and decided as any other.
//!
//! INVARIANT: whatever is not answered in time is not known; the page is shown without it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::request::SignedInRequest;
use crate::control::Reply;

/// How long the page waits for the providers.
const PATIENCE: Duration = Duration::from_millis(800);

/// The power of VMs, in a word, by id.
pub async fn power(request: &SignedInRequest) -> BTreeMap<String, String> {
    let asked = request.call_within("vm_list", json!({ "limit": 200 }), PATIENCE);
    let Ok(Reply::Done { result, .. }) = tokio::time::timeout(PATIENCE, asked).await else { return BTreeMap::new() };
    let text = |row: &Value, name: &str| row[name].as_str().map(str::to_owned);
    let rows = result["items"].as_array().into_iter().flatten();
    let known = rows.filter_map(|row| Some((text(row, "vm_id")?, text(row, "power")?)));
    known.filter(|(_, power)| power != "unknown").map(|(vm, power)| (vm, power.replace('_', " "))).collect()
}
