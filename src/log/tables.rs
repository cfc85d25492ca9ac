//! The tables of the log room, as rows go into them.

use super::sql::{Holds, Insert};

/// Events.
pub static EVENTS: Insert = Insert {
    table: "event",
    columns: &[
        ("position", Holds::Int),
        ("at", Holds::Int),
        ("type", Holds::Text),
        ("call", Holds::Text),
        ("leaf", Holds::Bytes),
    ],
    on_conflict: "",
};

/// Their payloads.
pub static PAYLOADS: Insert = Insert {
    table: "payload",
    columns: &[("position", Holds::Int), ("part", Holds::Text), ("key", Holds::Text), ("body", Holds::Bytes)],
    on_conflict: "",
};

/// State rows, new or changed.
pub static STATE: Insert = Insert {
    table: "state",
    columns: &[("name", Holds::Text), ("control", Holds::Int), ("position", Holds::Int), ("doc", Holds::Bytes)],
    on_conflict: "on conflict (name) do update set control = excluded.control, position = excluded.position, doc = excluded.doc",
};
