//! Resources of every noun in control state, for everything that knows no noun by itself.

use std::collections::BTreeSet;

use super::Lookup;
use super::vm::VMS;
use crate::core::id::AccountId;
use crate::core::label::canonical;
use crate::core::noun::Noun;
use crate::core::resource::{NOUNS, Resource, ResourceId};
use crate::core::state::ControlState;

/// One for each noun.
static LOOKUPS: [&Lookup; NOUNS.len()] = [&VMS];

fn lookup(noun: &Noun) -> Option<&'static Lookup> {
    LOOKUPS.into_iter().find(|lookup| lookup.noun == noun)
}

impl ControlState {
    /// A resource by its id.
    #[must_use]
    pub fn resource(&self, id: &ResourceId) -> Option<Resource> {
        (lookup(id.noun())?.get)(self, id)
    }

    /// Whether commands are on for one of these.
    #[must_use]
    pub fn takes_commands(&self, ids: &[ResourceId]) -> bool {
        ids.iter().any(|id| self.resource(id).is_some_and(|row| row.exec_enabled))
    }

    /// What `text` names: the resource with that id, whosever it is, or those of the account with exactly that label.
    #[must_use]
    pub fn find(&self, noun: &'static Noun, account: Option<&AccountId>, text: &str) -> Vec<Resource> {
        if let Ok(id) = text.parse::<ResourceId>() {
            return if id.noun() == noun { self.resource(&id).into_iter().collect() } else { Vec::new() };
        }
        let (Some(account), Some(lookup)) = (account, lookup(noun)) else { return Vec::new() };
        let label = canonical(text).ok().filter(|label| label != text);
        let labels = std::iter::once(text).chain(label.as_deref());
        labels.flat_map(|label| (lookup.labelled)(self, account, label)).collect()
    }

    /// The resources of every noun that an account owns, or all there are.
    pub fn resources<'a>(&'a self, account: Option<&'a AccountId>) -> impl Iterator<Item = Resource> + 'a {
        LOOKUPS.into_iter().flat_map(move |lookup| (lookup.listed)(self, account))
    }

    /// The ids of its noun that are near to one, itself included if it is there: what somebody may have meant.
    #[must_use]
    pub fn resources_around(&self, id: &ResourceId) -> BTreeSet<String> {
        lookup(id.noun()).map(|lookup| (lookup.around)(self, id)).unwrap_or_default()
    }
}
