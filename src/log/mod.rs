//! The event log: how a call is written down before it happens.
//!
//! ```text
//! submit ──▶ Writer ──▶ Store::transact { lock head · read state · decide (pure) · append · move head · commit }
//!                 │└──▶ Admitted (proof that the leave to execute is durable) · Fence (the newest control state)
//!                 └──▶ Fresh ◀── Store::read { one moment, no lock }
//! ```
//!
//! INVARIANT: nothing but [`store::Store::transact`] writes to the log room, and every append goes through the writer.

mod accepting;
mod account_names;
pub mod admission;
mod admitted;
mod appender;
pub mod binding;
pub mod blockers;
pub mod call_rows;
pub mod call_write;
pub mod cancel;
mod certain;
pub mod changing;
pub mod claim;
pub mod clearing;
pub mod closing;
mod cursor;
mod data_key;
pub mod decision_inputs;
pub mod dialect;
pub mod draft;
pub mod draining;
pub mod fence;
pub mod file_watch;
pub mod fresh;
pub mod guess;
pub mod hold;
pub mod identity;
pub mod loading;
pub mod lock_holders;
pub mod migration;
pub mod nodes;
mod notices;
mod open_calls;
pub mod pair;
mod parts;
pub mod peers;
pub mod postgres;
pub mod private;
mod readback;
mod readers;
pub mod reading;
mod refusals;
pub mod refusing;
pub mod rehearsal;
mod repeat;
pub mod role_powers;
pub mod roles;
mod row_names;
mod rows;
pub mod saved_search;
mod seen;
pub mod server_error;
pub mod session;
mod session_setup;
pub mod signed_in;
pub mod signet;
pub mod sql;
pub mod sql_store;
pub mod sqlite;
pub mod stats;
pub mod stop_sealing;
pub mod store;
mod submission;
pub mod tables;
mod time;
mod transaction_reads;
pub mod users;
pub mod vault;
mod want;
mod word_digests;
mod write_error;
pub mod writer;
