//! Forelog: an audit-first control plane for AI agents that operate servers.
//!
//! Reading order: [`core`] (what a call is), [`log`] (how it is recorded), [`control`] (how it is decided),
//! [`worker`] (how it runs), then [`http`].

pub mod ambient;
pub mod app;
pub mod auth;
pub mod cli;
pub mod config;
pub mod control;
pub mod core;
pub mod export;
pub mod http;
pub mod log;
pub mod outbound;
pub mod policy;
pub mod providers;
pub mod telemetry;
pub mod tools;
pub mod views;
pub mod worker;
