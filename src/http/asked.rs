//! What may be asked of the record of calls: one set of filters, for the API and for the console.

use serde::{Deserialize, Serialize};

use crate::core::search::{Fault, Field, Search};
use crate::core::time::Micros;

/// Calls on a page, if nobody says how many.
pub const PAGE: u32 = 50;

/// Most calls on a page.
pub const LARGEST: u32 = 200;

/// The filters, as they are written in an address.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Asked {
    pub account: Option<String>,
    pub user: Option<String>,
    pub credential: Option<String>,
    pub vm: Option<String>,
    pub session: Option<String>,
    pub tool: Option<String>,
    pub via: Option<String>,
    pub outcome: Option<String>,
    pub code: Option<String>,
    pub ip: Option<String>,
    pub policy: Option<String>,
    pub switch: Option<String>,
    pub from: Option<String>,
    pub to: Option<String>,
    pub q: Option<String>,
    /// Why the staff asks. Written down with the reading, and of no effect.
    pub reason: Option<String>,
    pub limit: Option<u32>,
    pub cursor: Option<String>,
}

/// How many calls a page is to have, or why that cannot be.
pub fn page_size(asked: Option<u32>) -> Result<u32, String> {
    let size = asked.unwrap_or(PAGE);
    if (1..=LARGEST).contains(&size) { Ok(size) } else { Err(format!("limit: a page has from 1 to {LARGEST} items.")) }
}

/// Whether a text can be looked for at all.
pub fn fits(text: &str) -> bool {
    (1..=256).contains(&text.len()) && !text.contains('\0')
}

impl Asked {
    /// The same as one line: what was typed as it was, its times written out, and the fields.
    pub fn line(&self, now: Micros) -> Result<String, String> {
        let typed = self.q.as_deref().unwrap_or_default();
        let typed = Search::written_out(typed, now).map_err(|fault| format!("q: {fault}."))?;
        self.clone().search(now)?;
        let fields = Self { q: None, ..self.clone() }.search(now)?.to_string();
        Ok([typed, fields].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" "))
    }

    /// The fields and the line together: all of it holds. Else says what cannot be read, and why.
    pub fn search(self, now: Micros) -> Result<Search, String> {
        let mut search = Search::parse(&self.q.unwrap_or_default(), now).map_err(|fault| format!("q: {fault}."))?;
        let fields = [
            (Field::Account, self.account),
            (Field::User, self.user),
            (Field::Credential, self.credential),
            (Field::Vm, self.vm),
            (Field::Session, self.session),
            (Field::Tool, self.tool),
            (Field::Via, self.via),
            (Field::Outcome, self.outcome),
            (Field::Code, self.code),
            (Field::Ip, self.ip),
            (Field::Policy, self.policy),
            (Field::Switch, self.switch),
        ];
        for (field, value) in fields {
            if let Some(value) = value {
                let unreadable = |fault: Fault| format!("{}: {}.", field.name(), fault.why);
                search.only(field, value).map_err(unreadable)?;
            }
        }
        let time = |name: &str, text: &str| Micros::read(text).map_err(|error| format!("{name}: {error}."));
        let from = self.from.map(|text| time("from", &text)).transpose()?;
        let to = self.to.map(|text| time("to", &text)).transpose()?;
        search.within(from, to).map_err(|why| format!("{why}."))?;
        Ok(search)
    }
}
