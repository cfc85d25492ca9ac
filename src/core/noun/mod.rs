//! A noun: a kind of thing that an account owns and that calls are about, as everything else may know it. Each has a file beside
//! this one, and a line in [`NOUNS`](super::resource::NOUNS); how control state finds those of it is in `core/lookup/`.

pub mod vm;

use super::refusal::Refusal;

/// A kind of thing that an account owns and that calls are about, as everything else may know it.
#[derive(Debug)]
pub struct Noun {
    /// The word of its switch target: `vm` in `vm:ID`.
    pub name: &'static str,
    /// What people call one.
    pub title: &'static str,
    /// The argument that names one, wherever it stands.
    pub argument: &'static str,
    /// What its ids begin with.
    pub prefix: &'static str,
    /// Its type in Cedar, without the namespace.
    pub entity: &'static str,
    /// That type as the schema declares it.
    pub schema: &'static str,
    /// What calls about it are searched by.
    pub field: &'static str,
    /// Commands run in it, one at a time, and can be stopped by themselves: `vm:ID/exec`.
    pub runs_commands: bool,
    /// What a caller is told of one that is absent, not owned, or not on the allow-list: all look the same (P9).
    pub absent: fn() -> Refusal,
}

impl PartialEq for Noun {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Noun {}

/// An argument that names a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Of which noun.
    pub noun: &'static Noun,
    /// The argument.
    pub argument: &'static str,
}
