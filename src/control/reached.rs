//! What a call reaches beside the resources that its arguments name: providers, as its tool says and its arguments narrow it, and
//! what another call is about that this one asks the outside for.
//!
//! INVARIANT: what is found here is written down with the intent: switches and policies are held against it for as long as the call
//! is open, and who asks later what became of the call asks there. Only providers that there are, and resources that the caller may
//! see, leave this place.

use std::collections::BTreeSet;

use super::{Control, Request};
use crate::core::bounded::Name;
use crate::core::id::CallId;
use crate::core::resource::{ProviderReach, Resource};
use crate::core::state::ControlState;
use crate::core::tool::ProviderAccess;
use crate::core::visibility::Visibility;

/// What a call reaches without naming it.
#[derive(Default)]
pub(super) struct Reached {
    /// Providers beside those of its resources.
    pub(super) providers: ProviderReach,
    /// What the call that it asks for is about.
    pub(super) resources: Vec<Resource>,
}

impl From<ProviderReach> for Reached {
    fn from(providers: ProviderReach) -> Self {
        Self { providers, resources: Vec::new() }
    }
}

impl Control {
    /// What a request reaches beside what its arguments name.
    pub(super) async fn reached(&self, request: &Request, state: &ControlState) -> Reached {
        let Some(tool) = self.catalogue.get(&request.tool).filter(|_| request.rejected.is_none()) else {
            return Reached::default();
        };
        let said = |argument: &str| request.args[argument].as_str();
        match tool.facts.reaches {
            ProviderAccess::Visible => all_visible(request, state).into(),
            ProviderAccess::VisibleFor(argument, words) if said(argument).is_some_and(|word| words.contains(&word)) => {
                all_visible(request, state).into()
            }
            ProviderAccess::Resources | ProviderAccess::VisibleFor(..) => Reached::default(),
            ProviderAccess::Named(argument) => {
                let known = said(argument).filter(|name| self.ports.provider(name).is_some());
                ProviderReach { providers: known.map(Name::from).into_iter().collect(), visible: false }.into()
            }
            ProviderAccess::OfCall(argument) => match said(argument).and_then(|text| text.parse().ok()) {
                Some(call) => self.of_call(request, &call, state).await,
                None => Reached::default(),
            },
        }
    }

    /// What a call reached that the caller may see. What it may not see, or what cannot be read now, is not reached either: the
    /// handler finds no such call.
    async fn of_call(&self, request: &Request, call: &CallId, state: &ControlState) -> Reached {
        let chain = match self.ports.reader.chain(call).await {
            Ok(chain) => chain,
            Err(error) => {
                tracing::warn!(call_id = %call, %error, "a call that another one is about cannot be read");
                None
            }
        };
        let visibility = Visibility::own(&request.principal, state);
        let asked = chain.map(|chain| chain.asked).filter(|asked| visibility.call(&asked.account, asked.credential.as_str()));
        let Some(asked) = asked else { return Reached::default() };
        let there: Vec<Resource> = asked.resources.iter().filter_map(|id| state.resource(id)).collect();
        let of_resources = there.iter().filter_map(|row| row.provider.as_deref());
        let providers: BTreeSet<Name> = of_resources.map(Name::from).chain(asked.providers).collect();
        let providers = ProviderReach { providers: providers.into_iter().collect(), visible: false };
        Reached { providers, resources: there.into_iter().filter(|row| visibility.resource(row)).collect() }
    }
}

/// Each provider that has a resource which the caller may see.
fn all_visible(request: &Request, state: &ControlState) -> ProviderReach {
    let visibility = Visibility::own(&request.principal, state);
    let seen: BTreeSet<String> = visibility.resources(state).filter_map(|row| row.provider).collect();
    ProviderReach { providers: seen.into_iter().map(Name::from).collect(), visible: true }
}
