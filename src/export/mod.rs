//! Taking the log away, and finding out whether it is what was written.
//!
//! ```text
//! jsonl: a filtered range, leaf by leaf, as bytes ──▶ events.jsonl ─┐
//! manifest: filter, count, digests, head at export ─▶ manifest.json ┴─▶ what an auditor takes away
//! verify: the whole log against itself, its payloads and the state beside it ──▶ findings, each with a name
//! ```

pub mod bundle;
mod check;
pub mod filter;
pub mod jsonl;
mod line;
mod lines;
pub mod manifest;
pub mod verify;
