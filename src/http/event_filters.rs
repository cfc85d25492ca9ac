//! What may be asked of the record of what happened outside of calls, and the page that answers it: for the API and for the console.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Http;
use super::call_filters::{PAGE, fits, page_size};
use crate::core::code::Code;
use crate::core::engagement::WHY_STAFF_ASK;
use crate::core::id::{AccountId, UserId};
use crate::core::principal::Principal;
use crate::core::refusal::Refusal;
use crate::core::state::ControlState;
use crate::core::time::Micros;
use crate::core::visibility::Visibility;
use crate::tools::{AdministrationPage, AdministrationQuery};

/// What may be asked for.
#[derive(Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EventFilters {
    /// Only what affects this account.
    pub account: Option<String>,
    /// Only events of this type, such as switch_engaged.
    pub r#type: Option<String>,
    /// Only what this person did.
    pub user: Option<String>,
    /// Only what is about this switch, key, VM or node.
    pub subject: Option<String>,
    /// Happened at or after this. RFC 3339, or a date.
    pub from: Option<String>,
    /// Happened before this. RFC 3339, or a date.
    pub to: Option<String>,
    /// Why the staff asks.
    #[schemars(description = WHY_STAFF_ASK)]
    pub reason: Option<String>,
    /// At most so many.
    #[schemars(range(min = 1, max = 200))]
    pub limit: Option<u32>,
    /// next_cursor of the page before.
    pub cursor: Option<String>,
}

impl EventFilters {
    /// Whose all events are that they let through, if they are one account's.
    pub fn owner(&self, state: &ControlState) -> Option<AccountId> {
        [&self.account, &self.subject].into_iter().flatten().find_map(|id| state.owner_of(id))
    }

    /// What of it no event can have, or cannot be asked for.
    pub fn fault(&self) -> Option<String> {
        let is = |name: &str, value: &Option<String>, fits: fn(&str) -> bool, what: &str| {
            value.as_ref().filter(|value| !fits(value)).map(|_| format!("{name}: {what}."))
        };
        let unfit = is("account", &self.account, |text| text.parse::<AccountId>().is_ok(), "an account is named by its id")
            .or_else(|| is("user", &self.user, |text| text.parse::<UserId>().is_ok(), "a person is named by their id"))
            .or_else(|| {
                is("type", &self.r#type, |text| AdministrationQuery::TYPES.contains(&text), "this is not a type of event")
            })
            .or_else(|| is("subject", &self.subject, fits, "from 1 to 256 bytes, without NUL"));
        unfit.or_else(|| self.bounds().err()).or_else(|| page_size(self.limit).err())
    }

    /// From when on, and up to when.
    fn bounds(&self) -> Result<(Option<Micros>, Option<Micros>), String> {
        let read = |name: &str, text: &Option<String>| {
            text.as_ref().map(|text| Micros::read(text).map_err(|error| format!("{name}: {error}."))).transpose()
        };
        let (from, to) = (read("from", &self.from)?, read("to", &self.to)?);
        if from.zip(to).is_some_and(|(from, to)| to < from) { Err("to: it is before from.".into()) } else { Ok((from, to)) }
    }
}

impl Http {
    /// A page of what happened outside of calls, as `who` may see it. An account learns of staff's reading once an
    /// investigation need not be kept from it any more, and never which of the staff it was.
    pub async fn events(&self, who: &Principal, asked: EventFilters) -> Result<AdministrationPage, Refusal> {
        let (ports, state) = (&self.gateway.control().ports, self.gateway.state());
        let visibility = Visibility::of(who, &state);
        let now = state.in_log(ports.clock.now());
        let reads_until = state.reads_disclosed_until(now).filter(|_| !visibility.is_everything());
        let (from, to) = asked.bounds().map_err(|why| Refusal::new(Code::ValidationFailed, why))?;
        let query = AdministrationQuery {
            from,
            to,
            concerns: visibility.concerns(&state),
            state: Arc::clone(&state),
            visibility: visibility.clone(),
            about: asked.account,
            kind: asked.r#type,
            // A person whom the reader may not know did nothing that it could find.
            user: asked.user.map(|user| visibility.user_name(user, &state)),
            subject: asked.subject,
            before: None,
            reads_until,
            cursor: asked.cursor,
            limit: asked.limit.unwrap_or(PAGE),
        };
        let mut page = ports.activity.administration(query).await?;
        for record in &mut page.items {
            record.user = record.user.take().map(|user| visibility.user_name(user, &state));
        }
        Ok(page)
    }
}
