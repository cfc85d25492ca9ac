//! What waits for a person, as counts: on the overview with the list that each is of, and beside the places of the navigation.
//!
//! INVARIANT: a count names nobody, so staff see it before they have said why they look; nothing here keeps a page from being shown.

use std::time::Duration;

use super::address::encoded;
use super::callers::of_agents;
use super::period::periods;
use super::request::SignedInRequest;
use crate::core::approval::Approval;
use crate::core::time::Micros;
use crate::core::visibility::Visibility;
use crate::core::visible::counted;
use crate::http::call_filters::CallFilters;
use crate::http::open_approvals::of_account;
use crate::tools::ActivityQuery;

/// How long a page waits for a count.
const PATIENCE: Duration = Duration::from_secs(1);

/// Something that waits, or went wrong.
pub struct Attention {
    /// How many, in words.
    pub text: String,
    /// The list of them.
    pub href: String,
    /// Class of the style sheet.
    pub class: &'static str,
}

/// How many calls wait for somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// So many.
    Exactly(usize),
    /// So many of those that are counted, and there are more.
    AtLeast(usize),
    /// They could not be counted.
    Unknown,
}

impl Waiting {
    /// As it stands beside a place of the navigation; none if none waits.
    pub fn badge(self) -> Option<(String, &'static str)> {
        match self {
            Self::Exactly(0) => None,
            Self::Exactly(count) => Some((count.to_string(), "waiting")),
            Self::AtLeast(count) => Some((format!("{count}+"), "waiting")),
            Self::Unknown => Some(("?".to_owned(), "waiting, not counted")),
        }
    }

    /// As a sentence; none if none waits.
    fn told(self) -> Option<String> {
        match self {
            Self::Exactly(0) => None,
            Self::Exactly(1) => Some("1 call waits for approval".to_owned()),
            Self::Exactly(count) => Some(format!("{} wait for approval", counted(count as u64, "call"))),
            Self::AtLeast(count) => Some(format!("{count} or more calls wait for approval")),
            Self::Unknown => Some("The calls that wait for approval could not be counted".to_owned()),
        }
    }
}

/// How many calls wait that this person may answer for; none for who may not.
pub async fn waiting(request: &SignedInRequest) -> Waiting {
    if !request.may_approve() {
        return Waiting::Exactly(0);
    }
    let (http, ports) = (&request.http, &request.http.gateway.control().ports);
    let store = &*ports.reader.store;
    let reading = async {
        if request.is_staff() {
            http.open_approvals.of_all(store).await
        } else {
            of_account(store, &request.principal.account).await
        }
    };
    let listed = match tokio::time::timeout(PATIENCE, reading).await {
        Ok(Ok(listed)) => listed,
        Ok(Err(error)) => {
            tracing::warn!(%error, "the calls that wait for a person are not counted");
            return Waiting::Unknown;
        }
        Err(_) => {
            tracing::warn!("the calls that wait for a person were not counted in time");
            return Waiting::Unknown;
        }
    };
    let (state, now) = (request.http.gateway.state(), ports.clock.now());
    let seen = Visibility::of_approver(&request.principal, &state);
    let waits = |row: &&Approval| {
        let is_seen = !row.is_over(now) && seen.call(&row.account, row.credential.as_str());
        is_seen && !Approval::clone(row).standing(&state, now).is_granted()
    };
    match (listed.approvals.iter().filter(waits).count(), listed.is_cut) {
        (count, false) => Waiting::Exactly(count),
        (0, true) => Waiting::Unknown,
        (count, true) => Waiting::AtLeast(count),
    }
}

/// How many switches are in force, and how many of them wait for a second person.
fn switches(request: &SignedInRequest, now: Micros) -> (usize, usize) {
    let state = request.http.gateway.state();
    let in_force: Vec<_> = state.switches_in_force(now).collect();
    let wished = in_force.iter().filter(|switch| state.wish_to_release(switch, now).is_some()).count();
    (in_force.len(), wished)
}

/// What needs somebody, the most urgent first: `waiting` calls, and `vms` on which everything is stopped, and on which some calls are.
pub async fn attention(request: &SignedInRequest, waiting: Waiting, vms: (usize, usize), now: Micros) -> Vec<Attention> {
    let mut found = Vec::new();
    found.extend(waiting.told().map(|text| Attention { text, href: "/console/approvals".into(), class: "held" }));
    let mut add = |count: usize, text: String, href: String, class| {
        if count > 0 {
            found.push(Attention { text, href, class });
        }
    };
    if request.is_staff() {
        let (engaged, wished) = switches(request, now);
        let verb = if wished == 1 { "waits" } else { "wait" };
        add(
            wished,
            format!("{} {verb} for a second person", counted(wished as u64, "release")),
            "/console/switches".into(),
            "held",
        );
        let text = if engaged == 1 { "1 switch is in force".into() } else { format!("{engaged} switches are in force") };
        add(engaged, text, "/console/switches".into(), "stopped");
    }
    let (stopped, partly) = vms;
    let text = match (stopped, partly) {
        (0, _) => format!("{} partly stopped", counted(partly as u64, "VM")),
        (_, 0) => format!("{} stopped", counted(stopped as u64, "VM")),
        _ => format!("{} stopped, {partly} partly", counted(stopped as u64, "VM")),
    };
    add(stopped + partly, text, "#vms".into(), "stopped");
    let refused = refused_today(request, now).await;
    if let Some((text, href)) = refused {
        found.push(Attention { text, href, class: "refused" });
    }
    found
}

/// How many calls of agents were refused today, and where they are listed; none if there are none, or they were not counted in time.
async fn refused_today(request: &SignedInRequest, now: Micros) -> Option<(String, String)> {
    let [today, ..] = periods(now);
    let asked = CallFilters { outcome: Some("refused".into()), from: Some(today.from.clone()), ..CallFilters::default() };
    let asked = of_agents(&asked, request);
    let search = request.http.read_typed(&request.principal, |known| asked.search(now, known)).ok()?;
    let gateway = &request.http.gateway;
    // Nobody's call is read for it, so that it is counted is no event.
    gateway.check_reader_still(&request.principal).await.ok()?;
    let query = ActivityQuery { visibility: request.visibility(), search, limit: 1, ..ActivityQuery::default() };
    let counting = gateway.control().ports.activity.histogram(query, 1);
    let found = tokio::time::timeout(PATIENCE, counting).await.ok()?.ok().filter(|found| found.counted > 0)?;
    let more = if found.capped { "More than " } else { "" };
    let href = if request.is_staff() {
        format!("/console/search?q={}", encoded(&format!("outcome:refused {}", today.item())))
    } else {
        format!("/console/activity?outcome=refused&from={}", today.from)
    };
    let verb = if found.counted == 1 { "was" } else { "were" };
    Some((format!("{more}{} {verb} refused today", counted(found.counted, "call")), href))
}
