//! What may be asked of the record of calls: one set of filters, for the API and for the console.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::core::noun::vm::VM;
use crate::core::principal::{Principal, Side};
use crate::core::search::{Fault, Field, Known, Search};
use crate::core::time::Micros;
use crate::core::visibility::Visibility;
use crate::core::visible::says_something;
use crate::http::Http;
use crate::tools::ActivityQuery;

/// Calls on a page, if nobody says how many.
pub const PAGE: u32 = 50;

/// The filters, as they are written in an address.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CallFilters {
    /// Only calls of this account.
    pub account: Option<String>,
    /// Only calls of this person.
    pub user: Option<String>,
    /// Only calls that came with this key.
    pub credential: Option<String>,
    /// Only calls about this VM id.
    pub vm: Option<String>,
    /// Only calls of this MCP session, by its digest.
    pub session: Option<String>,
    /// Only calls of this tool.
    pub tool: Option<String>,
    /// Only calls that came in so: mcp, stdio, rest, console or cli.
    pub via: Option<String>,
    /// Only calls that stand like this, such as succeeded or refused.
    pub outcome: Option<String>,
    /// Only calls that ended with this code.
    pub code: Option<String>,
    /// Only calls from this address.
    pub ip: Option<String>,
    /// Only calls that this policy refused.
    pub policy: Option<String>,
    /// Only calls that this switch stopped.
    pub switch: Option<String>,
    /// Asked for at or after this. RFC 3339, or a date.
    pub from: Option<String>,
    /// Asked for before this. RFC 3339, or a date.
    pub to: Option<String>,
    /// Words of the public arguments and of commands, and conditions, as in the console's search.
    pub q: Option<String>,
    /// Why the staff asks. Written down with the reading. The words of q are looked for in commands only if it is given, and one account is named.
    pub reason: Option<String>,
    /// At most so many.
    #[schemars(range(min = 1, max = 200))]
    pub limit: Option<u32>,
    /// next_cursor of the page before.
    pub cursor: Option<String>,
}

/// How many calls a page is to have, or why that cannot be.
pub fn page_size(asked: Option<u32>) -> Result<u32, String> {
    let size = asked.unwrap_or(PAGE);
    let largest = ActivityQuery::LARGEST;
    if (1..=largest).contains(&size) { Ok(size) } else { Err(format!("limit: a page has from 1 to {largest} items.")) }
}

/// Whether a text can be looked for at all.
pub fn fits(text: &str) -> bool {
    (1..=256).contains(&text.len()) && !text.contains('\0')
}

impl Http {
    /// Reads what this reader has typed, held against the tools that there are and the labels that they may see.
    pub fn read_typed<T>(&self, who: &Principal, read: impl FnOnce(Known<'_>) -> T) -> T {
        let state = self.gateway.state();
        Visibility::own(who, &state).read_typed(&self.gateway.control().catalogue.names_on_record(), &state, read)
    }
}

impl CallFilters {
    /// The same as one line: what was typed as it was, its times written out, and the fields.
    pub fn line(&self, now: Micros, known: Known<'_>) -> Result<String, String> {
        let typed = self.q.as_deref().unwrap_or_default();
        let typed = Search::written_out(typed, now).map_err(|fault| format!("q: {fault}."))?;
        self.search(now, known)?;
        let fields = Self { q: None, ..self.clone() }.search(now, known)?.to_string();
        Ok([typed, fields].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" "))
    }

    /// Whether who asks this may read the commands of what is found: staff once they have said why.
    pub fn reads_commands(&self, who: &Principal) -> bool {
        who.side == Side::Customer || self.reason.as_deref().is_some_and(says_something)
    }

    /// Each field with what is asked of it.
    pub fn fields(&self) -> [(Field, Option<&str>); 12] {
        [
            (Field::Account, &self.account),
            (Field::User, &self.user),
            (Field::Credential, &self.credential),
            (Field::Resource(&VM), &self.vm),
            (Field::Session, &self.session),
            (Field::Tool, &self.tool),
            (Field::Via, &self.via),
            (Field::Outcome, &self.outcome),
            (Field::Code, &self.code),
            (Field::Ip, &self.ip),
            (Field::Policy, &self.policy),
            (Field::Switch, &self.switch),
        ]
        .map(|(field, value)| (field, value.as_deref()))
    }

    /// Whether anything is asked of a field that is none of these.
    pub fn asks_beside(&self, fields: &[Field]) -> bool {
        self.fields().iter().any(|(field, value)| value.is_some() && !fields.contains(field))
    }

    /// The fields and the line together: all of it holds. Else says what cannot be read, and why.
    pub fn search(&self, now: Micros, known: Known<'_>) -> Result<Search, String> {
        let typed = self.q.as_deref().unwrap_or_default();
        let mut search = Search::parse_of(typed, now, Some(known)).map_err(|fault| format!("q: {fault}."))?;
        for (field, value) in self.fields() {
            let Some(value) = value else { continue };
            let unreadable = |fault: Fault| format!("{}: {}.", field.name(), fault.why);
            search.only_of(field, value, Some(known)).map_err(unreadable)?;
        }
        let time = |name: &str, text: &str| Micros::read(text).map_err(|error| format!("{name}: {error}."));
        let from = self.from.as_deref().map(|text| time("from", text)).transpose()?;
        let to = self.to.as_deref().map(|text| time("to", text)).transpose()?;
        search.within(from, to).map_err(|why| format!("{why}."))?;
        Ok(search)
    }
}
