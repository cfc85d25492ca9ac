//! The one integration test binary: a file per subject. Tests are named `<group>_<what holds>`, because the groups in
//! `.config/nextest.toml` go by the prefix.
#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod architecture;
mod backup;
mod bad_input;
mod book;
mod call;
mod canary;
mod catalogue;
mod cli;
mod cli_postgres;
mod clients;
mod conformance;
mod decide;
mod demo;
mod export;
mod failover;
mod faults;
mod fleet;
mod forgetful;
mod gates;
mod given;
mod guest;
mod guest_demo;
mod harness;
mod inject;
mod kill;
mod kinds;
mod leaf;
mod limit;
mod mcp;
mod metrics;
mod model;
mod nodes;
mod operate;
mod packaging;
mod plant;
mod policy;
mod postgres;
mod promises;
mod proxy;
mod redact;
mod reference;
#[cfg(not(feature = "conformance"))]
mod release;
mod rest;
mod rest_admin;
mod sim;
mod state;
mod store;
mod tls;
mod tools;
mod traces;
mod usage;
mod verify;
mod views;
