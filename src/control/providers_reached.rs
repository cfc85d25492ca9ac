//! Which providers a call reaches beside those of its resources, as its tool's facts say and its arguments narrow it.
//!
//! INVARIANT: what is found here is written down with the intent: switches are held against it for as long as the call is open,
//! and who asks later what became of the call asks there. Only names of providers that there are leave this place.

use std::collections::BTreeSet;

use super::{Control, Request};
use crate::core::bounded::Name;
use crate::core::id::CallId;
use crate::core::resource::ProviderReach;
use crate::core::state::ControlState;
use crate::core::tool::ProviderAccess;
use crate::core::visibility::Visibility;

impl Control {
    /// What a request reaches beside the providers of its resources.
    pub(super) async fn reach(&self, request: &Request, state: &ControlState) -> ProviderReach {
        let Some(tool) = self.catalogue.get(&request.tool).filter(|_| request.rejected.is_none()) else {
            return ProviderReach::default();
        };
        let said = |argument: &str| request.args[argument].as_str();
        match tool.facts.reaches {
            ProviderAccess::Visible => all_visible(request, state),
            ProviderAccess::VisibleFor(argument, words) if said(argument).is_some_and(|word| words.contains(&word)) => {
                all_visible(request, state)
            }
            ProviderAccess::Resources | ProviderAccess::VisibleFor(..) => ProviderReach::default(),
            ProviderAccess::Named(argument) => {
                let known = said(argument).filter(|name| self.ports.provider(name).is_some());
                ProviderReach { providers: known.map(Name::from).into_iter().collect(), visible: false }
            }
            ProviderAccess::OfCall(argument) => match said(argument).and_then(|text| text.parse().ok()) {
                Some(call) => self.of_call(request, &call, state).await,
                None => ProviderReach::default(),
            },
        }
    }

    /// Those that a call reached which the caller may see. What it may not see, or what cannot be read now, is not reached either:
    /// the handler finds no such call.
    async fn of_call(&self, request: &Request, call: &CallId, state: &ControlState) -> ProviderReach {
        let chain = match self.ports.reader.chain(call).await {
            Ok(chain) => chain,
            Err(error) => {
                tracing::warn!(call_id = %call, %error, "a call that another one is about cannot be read");
                None
            }
        };
        let visibility = Visibility::own(&request.principal, state);
        let asked = chain.map(|chain| chain.asked).filter(|asked| visibility.call(&asked.account, asked.credential.as_str()));
        let Some(asked) = asked else { return ProviderReach::default() };
        let of_resources = asked.resources.iter().filter_map(|id| state.resource(id)?.provider);
        let providers: BTreeSet<Name> = of_resources.map(Name::from).chain(asked.providers).collect();
        ProviderReach { providers: providers.into_iter().collect(), visible: false }
    }
}

/// Each provider that has a resource which the caller may see.
fn all_visible(request: &Request, state: &ControlState) -> ProviderReach {
    let visibility = Visibility::own(&request.principal, state);
    let seen: BTreeSet<String> = visibility.resources(state).filter_map(|row| row.provider).collect();
    ProviderReach { providers: seen.into_iter().map(Name::from).collect(), visible: true }
}
