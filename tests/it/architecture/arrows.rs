//! Who may use whom.

use syn::visit::Visit;

use super::paths::Paths;
use super::{Source, sources};

/// From what sees everything to what sees nothing. A module uses what is in a later row, never its own row's neighbours.
const ORDER: &[&[&str]] = &[
    &["main"],
    &["cli"],
    &["app"],
    &["telemetry"],
    &["config", "ambient"],
    &["http", "worker", "views", "export"],
    &["control"],
    &["policy"],
    &["tools"],
    &["providers"],
    &["auth"],
    &["log", "outbound"],
    &["core"],
];

/// The two parts of `http` that show the same in their own ways: what both need is beside them.
const APART: [&str; 2] = ["api", "console"];

/// Which of the two a path leads to.
fn one_of_the_two(path: &[String]) -> Option<&str> {
    let part = path.get(1).map(String::as_str).filter(|part| APART.contains(part))?;
    (path[0] == "http").then_some(part)
}

fn rank(module: &str) -> Option<usize> {
    ORDER.iter().position(|row| row.contains(&module))
}

/// Every arrow of `source` that the order does not have.
fn wrong_arrows(source: &Source) -> Vec<String> {
    let Some(from) = source.module.first() else { return Vec::new() };
    let Some(own) = rank(from) else { return vec![format!("{}: {from} has no place in the order", source.name)] };
    let mut paths = Paths::of(source);
    paths.visit_file(&source.parse());
    let wrong = paths.found.into_iter().filter_map(|(line, path)| {
        let to = path.first()?;
        let right = to == from || rank(to).is_some_and(|rank| rank > own);
        let crosses = one_of_the_two(&source.module).zip(one_of_the_two(&path)).is_some_and(|(one, other)| one != other);
        (!right || crosses).then(|| format!("{}:{line}: {from} may not use {}", source.name, path.join("::")))
    });
    wrong.collect()
}

#[test]
fn every_arrow_points_to_the_right() {
    let wrong: Vec<_> = sources().iter().flat_map(wrong_arrows).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_wrong_arrow_is_found_wherever_it_hides() {
    let planted = [
        ("core/call.rs", "use crate::log::Store;"),
        ("core/call.rs", "use crate::{core::id, http::Router};"),
        ("core/call.rs", "use super::super::worker;"),
        ("core/call.rs", "use super::super::{core, log as journal};"),
        ("core/call.rs", "fn f() { let _ = crate::log::open_calls(); }"),
        ("core/call.rs", "fn f(_: &crate::log::Store) {}"),
        ("core/call.rs", "fn f() { println!(\"{}\", crate::log::open_calls(1)); }"),
        ("core/call.rs", "macro_rules! m { () => { $crate::log::open_calls() }; }"),
        ("core/event/mod.rs", "mod tests { use super::super::super::log::Store; }"),
        ("core/event/mod.rs", "use super::super::log::*;"),
        ("log/mod.rs", "use crate::auth::Key;"),
        ("outbound/mod.rs", "use crate::log::Store;"),
        ("http/mcp.rs", "use crate::worker::Worker;"),
        ("views/calls.rs", "use crate::export::Bundle;"),
        ("control/mod.rs", "use crate::config::Config;"),
        ("http/mod.rs", "use crate::telemetry::count;"),
        ("http/api/list_events.rs", "use crate::http::console::format;"),
        ("http/api/list_events.rs", "use super::super::console;"),
        ("http/console/events.rs", "use crate::http::{api::list_events, Gateway};"),
        ("worker/mod.rs", "use crate::ambient::SystemClock;"),
        ("app.rs", "use crate::cli::Command;"),
        ("cli/serve.rs", "fn f() { forelog::main::f() }"),
        ("core/call.rs", "use crate::nowhere::Thing;"),
        ("attic/old.rs", ""),
    ];
    for (name, text) in planted {
        assert_eq!(wrong_arrows(&Source::new(name, text)).len(), 1, "{name}: {text}");
    }
    let allowed = [
        ("core/event/mod.rs", "use super::code::Code; mod tests { use super::super::code::Code; }"),
        ("core/event/body.rs", "use crate::core::{code::Code, id}; use self::inner::X;"),
        ("http/mod.rs", "use crate::{control, core::id::CallId}; fn f() { println!(\"{}\", crate::log::open_calls()) }"),
        ("http/mod.rs", "use self::{api::router, console::ROOT}; mod api; mod console;"),
        ("http/console/events.rs", "use super::format; use crate::http::{Gateway, impact};"),
        ("main.rs", "use forelog::cli; fn main() { forelog::app::run() }"),
        ("app.rs", "use crate::{ambient, config, http, telemetry, worker};"),
        ("core/mod.rs", "pub(in crate::core) fn f() {} use std::crate_name::x;"),
        ("lib.rs", "pub use crate::core::id;"),
    ];
    for (name, text) in allowed {
        assert_eq!(wrong_arrows(&Source::new(name, text)), [""; 0], "{name}: {text}");
    }
}
