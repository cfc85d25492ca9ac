//! Forelog: an audit-first control plane for AI agents that operate servers.
//!
//! Reading order: [`core`] (what a call is), [`log`] (how it is recorded), [`control`] (how it is decided),
//! [`worker`] (how it runs), then [`http`].
//!
//! The rooms are open to tests alone (feature `testing`). As it ships the binary sees [`cli`] and [`telemetry`],
//! so that the compiler says what nothing uses any more.

cfg_if::cfg_if! {
    if #[cfg(feature = "testing")] {
        pub mod ambient;
        pub mod app;
        pub mod auth;
        pub mod config;
        pub mod control;
        pub mod core;
        pub mod export;
        pub mod http;
        pub mod log;
        pub mod outbound;
        pub mod policy;
        pub mod providers;
        pub mod tools;
        pub mod views;
        pub mod worker;
    } else {
        mod ambient;
        mod app;
        mod auth;
        mod config;
        mod control;
        mod core;
        mod export;
        mod http;
        mod log;
        mod outbound;
        mod policy;
        mod providers;
        mod tools;
        mod views;
        mod worker;
    }
}

pub mod cli;
pub mod telemetry;
