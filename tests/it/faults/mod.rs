//! Faults, one at a time, under load, on the real binary: what the database, the clients and the provider then say is
//! held against each other by a checker of its own ([`rules`], [`reach`]), which [`forged`] shows to find what it looks
//! for.
//!
//! A run prints its seed; `FORELOG_FAULT_SEED` repeats what the clients and the faults throw with it.

mod clock;
pub mod cluster;
mod database;
mod disk;
pub mod evidence;
mod forged;
pub mod history;
pub mod load;
mod nodes;
mod provider;
pub mod proxy;
mod reach;
mod rules;
mod seeding;
