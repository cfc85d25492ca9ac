//! No circle inside a room: of two files that know each other neither can be read first.
//!
//! ```text
//! arrow      a path from `use`, `crate::`, `super::` or `self::`; what a face re-exports is looked through to where it is declared
//! no arrow   the children that a file names to wire them up, by their bare names; tests; paths in comments
//! ```

use std::collections::{BTreeMap, BTreeSet};

use syn::visit::Visit;

use super::paths::Paths;
use super::{Source, sources};

/// A file's module.
type Module = Vec<String>;

/// Whom each file uses in its own room.
type Arrows = BTreeMap<Module, BTreeSet<Module>>;

/// Where each file is, and what it names for others.
struct Map {
    modules: BTreeSet<Module>,
    named: BTreeMap<Module, BTreeMap<String, Module>>,
}

impl Map {
    /// The file in which that is declared which a path leads to.
    fn file_of(&self, path: &[String]) -> Option<&Module> {
        let length = (1..=path.len()).rev().find(|length| self.modules.contains(&path[..*length]))?;
        let (module, rest) = path.split_at(length);
        let elsewhere =
            rest.split_first().and_then(|(name, rest)| Some([&self.named.get(module)?.get(name)?[..], rest].concat()));
        match elsewhere {
            Some(elsewhere) if elsewhere != path => self.file_of(&elsewhere).or_else(|| self.modules.get(module)),
            _ => self.modules.get(module),
        }
    }
}

fn arrows(sources: &[Source]) -> Arrows {
    let mut map = Map { modules: sources.iter().map(|source| source.module.clone()).collect(), named: BTreeMap::new() };
    let mut found = Vec::new();
    for source in sources {
        let mut paths = Paths::without_tests(source);
        paths.visit_file(&source.parse());
        map.named.entry(source.module.clone()).or_default().extend(paths.named);
        found.extend(paths.found.into_iter().map(|(_, path)| (&source.module, path)));
    }
    let mut arrows = Arrows::new();
    for (from, path) in found {
        let to = map.file_of(&path).filter(|to| *to != from && to.first() == from.first());
        arrows.entry(from.clone()).or_default().extend(to.cloned());
    }
    arrows
}

/// Whom a file uses, whom those use, and so on.
fn reached<'a>(arrows: &'a Arrows, from: &'a Module) -> BTreeSet<&'a Module> {
    let (mut reached, mut left) = (BTreeSet::new(), vec![from]);
    while let Some(module) = left.pop() {
        left.extend(arrows.get(module).into_iter().flatten().filter(|next| reached.insert(*next)));
    }
    reached
}

/// The files of each circle.
fn circles(sources: &[Source]) -> Vec<BTreeSet<String>> {
    let arrows = arrows(sources);
    let reach: BTreeMap<&Module, BTreeSet<&Module>> = arrows.keys().map(|from| (from, reached(&arrows, from))).collect();
    let circle = |(from, to): (&&Module, &BTreeSet<&Module>)| -> BTreeSet<String> {
        let back = |module: &&&Module| reach.get(**module).is_some_and(|reached| reached.contains(*from));
        to.iter().filter(back).map(|module| module.join("/")).collect()
    };
    reach.iter().map(circle).filter(|circle| !circle.is_empty()).collect::<BTreeSet<_>>().into_iter().collect()
}

#[test]
fn no_room_has_a_circle() {
    let lines: Vec<_> = circles(&sources()).iter().map(|circle| circle.iter().cloned().collect::<Vec<_>>().join(" ")).collect();
    assert!(lines.is_empty(), "these files know each other:\n{}", lines.join("\n"));
}

fn planted(files: &[(&str, &str)]) -> Vec<Vec<String>> {
    let sources: Vec<_> = files.iter().map(|(name, text)| Source::new(name, text)).collect();
    circles(&sources).into_iter().map(|circle| circle.into_iter().collect()).collect()
}

#[test]
fn a_circle_is_found_wherever_it_hides() {
    let two = [["core/a", "core/b"]];
    assert_eq!(planted(&[("core/a.rs", "use super::b::B;"), ("core/b.rs", "use crate::core::a::A;")]), two);
    assert_eq!(planted(&[("core/a.rs", "use super::{b, c};"), ("core/b.rs", "fn f() { crate::core::a::f() }")]), two);
    assert_eq!(
        planted(&[
            ("core/a.rs", "fn f(_: &super::b::B) {}"),
            ("core/b.rs", "macro_rules! m { () => { $crate::core::a::f() }; }")
        ]),
        two
    );
    assert_eq!(
        planted(&[("core/a.rs", "mod inner { use super::super::b::B; }"), ("core/b.rs", "fn f() { use super::a::A; }")]),
        two
    );
    let three = [
        ("log/a.rs", "use super::b;"),
        ("log/b.rs", "use super::c;"),
        ("log/c.rs", "use super::a;"),
        ("log/d.rs", "use super::a;"),
    ];
    assert_eq!(planted(&three), [["log/a", "log/b", "log/c"]]);
    // A parent that is used by its child, and uses it.
    assert_eq!(
        planted(&[("core/a/mod.rs", "use self::b::f; struct A;"), ("core/a/b.rs", "use super::A;")]),
        [["core/a", "core/a/b"]]
    );
    // What a face re-exports is where it is declared.
    let faced =
        [("core/a/mod.rs", "mod y; pub use y::Y;"), ("core/a/y.rs", "use crate::core::z::Z;"), ("core/z.rs", "use super::a::Y;")];
    assert_eq!(planted(&faced), [["core/a/y", "core/z"]]);
    let renamed = [
        ("core/a/mod.rs", "mod y; pub use self::y::Y as X;"),
        ("core/a/y.rs", "use super::z::Z;"),
        ("core/a/z.rs", "use super::X;"),
    ];
    assert_eq!(planted(&renamed), [["core/a/y", "core/a/z"]]);
    let apart = [
        ("core/a.rs", "use super::b::B;"),
        ("core/b.rs", "use super::a::A;"),
        ("log/a.rs", "use super::b::B;"),
        ("log/b.rs", "use super::a::A;"),
    ];
    assert_eq!(planted(&apart), [["core/a", "core/b"], ["log/a", "log/b"]]);
}

#[test]
fn what_is_no_circle_is_none() {
    for files in [
        [("core/a.rs", "use super::b::B;"), ("core/b.rs", "mod tests { use crate::core::a::A; }")],
        [("core/a.rs", "use super::b::B;"), ("core/b.rs", "//! See [`crate::core::a`].\nuse super::b::C;")],
        [("core/a/mod.rs", "mod b; fn f() { b::f() }"), ("core/a/b.rs", "use super::Common;")],
        [("core/a.rs", "use self::inner::X;"), ("core/b.rs", "use super::a::A;")],
        [("log/a.rs", "use crate::core::b::B;"), ("core/b.rs", "use crate::log::a::A;")],
    ] {
        assert_eq!(planted(&files), [[""; 0]; 0], "{files:?}");
    }
    let faced =
        [("core/a/mod.rs", "mod x; mod y; pub use x::X; pub use y::Y;"), ("core/a/x.rs", "use super::Y;"), ("core/a/y.rs", "")];
    assert_eq!(planted(&faced), [[""; 0]; 0]);
}
