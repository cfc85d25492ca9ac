//! The pure heart: what a call is and how it is decided. No I/O, no clock, no randomness; they are arguments.

pub mod abridge;
pub mod approval;
pub mod call;
pub mod canonical;
pub mod code;
pub mod dated;
pub mod decide;
pub mod event;
pub mod id;
pub mod job;
pub mod limit;
pub mod member;
pub mod principal;
pub mod ramp;
pub mod redact;
pub mod refusal;
pub mod role;
pub mod scope;
pub mod scrub;
pub mod search;
pub mod shown;
pub mod state;
pub mod switch;
pub mod time;
pub mod tool;
pub mod visible;
