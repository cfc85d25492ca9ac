//! What is recorded of a list of control state: how long it was, and what was on it by id. The log has every row of it already.
//!
//! INVARIANT: what is recorded of a list has a bound, however long the list is.

use serde_json::{Value, json};

/// Ids that are recorded of one list.
const MAX_COUNT: usize = 64;

/// The longest id that there is, in bytes.
const MAX_LENGTH: usize = 64;

/// A list as it is recorded; what is no list stays what it is.
#[must_use]
pub fn summarize_list(mut document: Value) -> Value {
    let Some(items) = document.get_mut("items").filter(|items| items.is_array()) else { return document };
    let all = items.as_array().map(Vec::as_slice).unwrap_or_default();
    let ids = all.iter().filter_map(|item| item["id"].as_str()).filter(|id| id.len() <= MAX_LENGTH).take(MAX_COUNT);
    *items = json!({ "$count": all.len(), "$ids": ids.collect::<Vec<_>>() });
    document
}

#[cfg(test)]
mod tests {
    use super::{MAX_COUNT, MAX_LENGTH, summarize_list};
    use serde_json::{Value, json};

    #[test]
    fn a_list_is_recorded_as_its_length_and_the_first_ids() {
        let item = |n: usize| json!({ "id": format!("key_{n}"), "label": "x".repeat(1000) });
        let kept = summarize_list(json!({ "account": "a", "items": (0..2).map(item).collect::<Vec<_>>() }));
        assert_eq!(kept, json!({ "account": "a", "items": { "$count": 2, "$ids": ["key_0", "key_1"] } }));
        let long = summarize_list(json!({ "items": (0..10_000).map(item).collect::<Vec<_>>() }));
        assert_eq!((&long["items"]["$count"], long["items"]["$ids"].as_array().map(Vec::len)), (&json!(10_000), Some(MAX_COUNT)));
        let odd = summarize_list(json!({ "items": [{ "id": "x".repeat(MAX_LENGTH + 1) }, 7, { "id": 7 }] }));
        assert_eq!(odd, json!({ "items": { "$count": 3, "$ids": [] } }));
        for other in [Value::Null, json!([]), json!({ "items": 7 }), json!({ "error": {} })] {
            assert_eq!(summarize_list(other.clone()), other);
        }
    }
}
