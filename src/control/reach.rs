//! Which providers a call reaches beside those of its resources, as its tool's facts say and its arguments narrow it.
//!
//! INVARIANT: what is found here is written down with the intent: switches are held against it for as long as the call is open,
//! and who asks later what became of the call asks there. Only names of providers that there are leave this place.

use std::collections::BTreeSet;

use super::{Control, Request};
use crate::core::bounded::Name;
use crate::core::id::CallId;
use crate::core::resource::Reach;
use crate::core::sight::Sight;
use crate::core::state::ControlState;
use crate::core::tool::Reaches;

impl Control {
    /// What a request reaches beside the providers of its resources.
    pub(super) async fn reach(&self, request: &Request, state: &ControlState) -> Reach {
        let Some(tool) = self.catalogue.get(&request.tool).filter(|_| request.rejected.is_none()) else {
            return Reach::default();
        };
        let said = |argument: &str| request.args[argument].as_str();
        match tool.facts.reaches {
            Reaches::Visible => all_visible(request, state),
            Reaches::VisibleFor(argument, words) if said(argument).is_some_and(|word| words.contains(&word)) => {
                all_visible(request, state)
            }
            Reaches::Resources | Reaches::VisibleFor(..) => Reach::default(),
            Reaches::Named(argument) => {
                let known = said(argument).filter(|name| self.ports.provider(name).is_some());
                Reach { providers: known.map(Name::from).into_iter().collect(), visible: false }
            }
            Reaches::OfCall(argument) => match said(argument).and_then(|text| text.parse().ok()) {
                Some(call) => self.of_call(request, &call, state).await,
                None => Reach::default(),
            },
        }
    }

    /// Those that a call reached which the caller may see. What it may not see, or what cannot be read now, is not reached either:
    /// the handler finds no such call.
    async fn of_call(&self, request: &Request, call: &CallId, state: &ControlState) -> Reach {
        let chain = match self.ports.reader.chain(call).await {
            Ok(chain) => chain,
            Err(error) => {
                tracing::warn!(call_id = %call, %error, "a call that another one is about cannot be read");
                None
            }
        };
        let sight = Sight::own(&request.principal, state);
        let asked = chain.map(|chain| chain.asked).filter(|asked| sight.call(&asked.account, asked.credential.as_str()));
        let Some(asked) = asked else { return Reach::default() };
        let of_resources = asked.resources.iter().filter_map(|id| state.resource(id)?.provider);
        let providers: BTreeSet<Name> = of_resources.map(Name::from).chain(asked.providers).collect();
        Reach { providers: providers.into_iter().collect(), visible: false }
    }
}

/// Each provider that has a resource which the caller may see.
fn all_visible(request: &Request, state: &ControlState) -> Reach {
    let sight = Sight::own(&request.principal, state);
    let seen: BTreeSet<String> = sight.resources(state).filter_map(|row| row.provider).collect();
    Reach { providers: seen.into_iter().map(Name::from).collect(), visible: true }
}
