//! What control state answers by something else than an id. Those of a noun are looked up as its [`Lookup`] says; a new noun has a
//! file here, and a line in `resource.rs`.
//!
//! INVARIANT: it reads, and changes nothing.

mod resource;
mod row;
mod vm;

use std::collections::BTreeSet;

use super::id::AccountId;
use super::noun::Noun;
use super::resource::{Resource, ResourceId};
use super::state::ControlState;

/// Reads every resource of a noun, or those of one account.
type Listed = for<'a> fn(&'a ControlState, Option<&AccountId>) -> Box<dyn Iterator<Item = Resource> + Send + 'a>;

/// How the resources of a noun are found.
struct Lookup {
    noun: &'static Noun,
    /// One by its id.
    get: fn(&ControlState, &ResourceId) -> Option<Resource>,
    /// Those of an account by their exact label.
    labelled: fn(&ControlState, &AccountId, &str) -> Vec<Resource>,
    /// Every one, or those of an account.
    listed: Listed,
    /// The ids that are near to one, itself included if it is there.
    around: fn(&ControlState, &ResourceId) -> BTreeSet<String>,
}
