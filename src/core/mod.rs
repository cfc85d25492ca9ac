//! The pure heart: what a call is and how it is decided. No I/O, no clock, no randomness; they are arguments.

pub mod id;
pub mod time;
