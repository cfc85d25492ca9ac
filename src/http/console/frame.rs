//! What is around every page: who is signed in, where to go, the switches in force ([`super::engaged`]), and how new the page is.
//!
//! A page is a struct that has `frame: Frame` and its own fields, shown by a template of its file's name that begins with
//! `{% extends "shared/frame.html" %}`; forms begin with the macro `parts::token`. What else a new one touches is in CONTRIBUTING.md,
//! "Where a new thing goes".

use std::time::Duration;

use askama::Template;
use axum::http::{HeaderValue, header};
use axum::response::{Html, IntoResponse, Response};

use super::alarms::{Notices, notices};
use super::appearance::Appearance;
use super::attention::{Waiting, waiting};
use super::engaged::{Engaged, engaged, widest_first};
use super::format::{DisplayTime, escape_hidden, group_digits};
use super::request::{AnonymousRequest, SignedInRequest};
use crate::core::id::Position;
use crate::core::principal::Side;
use crate::core::scope::Scope;
use crate::core::time::Micros;

/// Everything around a page.
pub struct Frame {
    /// The page's name.
    pub title: String,
    /// How it is shown.
    pub appearance: Appearance,
    /// Where it is, so that a form can lead back.
    pub path: String,
    /// Who is signed in.
    pub who: Option<CurrentUser>,
    /// Where to go.
    pub nav: Vec<Link>,
    /// How many calls wait that whoever looks may answer for.
    pub waiting: Waiting,
    /// The switches in force that concern whoever looks.
    pub switches: Vec<Engaged>,
    /// How many more there are.
    pub more_switches: usize,
    /// What the staff are told on every page.
    pub notices: Notices,
    /// What the form before it has done.
    pub told: Option<String>,
    /// How new it is.
    pub as_of: Option<AsOf>,
    /// Changes with the assets.
    pub assets: &'static str,
}

/// Who is signed in.
pub struct CurrentUser {
    /// E-mail address.
    pub email: String,
    /// Role.
    pub role: &'static str,
    /// The account's name.
    pub account: String,
    /// Of the staff.
    pub is_staff: bool,
    /// May engage and release switches.
    pub may_switch: bool,
    /// What every form of the session carries.
    pub form_token: String,
}

/// A place in the navigation.
pub struct Link {
    /// Where it leads.
    pub href: &'static str,
    /// What it says.
    pub text: &'static str,
    /// It is where we are.
    pub is_here: bool,
    /// How many wait there, and what that is called; nothing if none does.
    pub badge: Option<(String, &'static str)>,
}

/// How new a page is.
pub struct AsOf {
    /// The newest event that it shows.
    pub position: String,
    /// When that was.
    pub at: DisplayTime,
    /// Events that it should show and does not; none if it shows all, or the others are only just written.
    pub missing: Option<String>,
}

/// The views are pulled from the log several times a second. An event that they do not show after this long is missed.
const LATE: Duration = Duration::from_secs(2);

const CUSTOMER: [(&str, &str); 7] = [
    ("/console/", "Overview"),
    ("/console/activity", "Activity"),
    ("/console/approvals", "Approvals"),
    ("/console/events", "Events"),
    ("/console/keys", "Keys"),
    ("/console/people", "People"),
    ("/console/account", "Account"),
];
const STAFF: [(&str, &str); 10] = [
    ("/console/", "Overview"),
    ("/console/search", "Search"),
    ("/console/tail", "Live"),
    ("/console/approvals", "Approvals"),
    ("/console/switches", "Switches"),
    ("/console/events", "Events"),
    ("/console/rules", "Rules"),
    ("/console/accounts", "Accounts"),
    ("/console/people", "People"),
    ("/console/account", "Account"),
];

impl Frame {
    /// The frame of a page that needs nobody to be signed in.
    pub fn of_anonymous(title: &str, request: &AnonymousRequest) -> Self {
        Self { appearance: request.appearance, path: request.path.clone(), ..Self::bare(title) }
    }

    /// The frame of a page that knows nothing.
    pub fn bare(title: &str) -> Self {
        Self {
            title: title.to_owned(),
            appearance: Appearance::default(),
            path: "/console/".to_owned(),
            who: None,
            nav: Vec::new(),
            waiting: Waiting::Exactly(0),
            switches: Vec::new(),
            more_switches: 0,
            notices: Notices::default(),
            told: None,
            as_of: None,
            assets: super::assets::version(),
        }
    }

    /// The frame of a page for somebody; `here` is its place in the navigation.
    pub async fn of(title: impl Into<String>, here: &str, request: &SignedInRequest) -> Self {
        let gateway = &request.http.gateway;
        let (ports, state) = (&gateway.control().ports, gateway.state());
        let name = ports.reader.vault.account_name(&request.principal.account).await.ok().flatten();
        let links: &[_] = if request.is_staff() { &STAFF } else { &CUSTOMER };
        let now = ports.clock.now();
        let person = &request.signed_in.person;
        let concerning = if request.is_staff() {
            widest_first(state.switches_in_force(now))
        } else {
            widest_first(state.switches_touching(&request.principal.account, now))
        };
        let badges = Badges { waiting: waiting(request).await, switches: concerning.len() };
        Self {
            title: title.into(),
            appearance: request.appearance,
            path: request.path.clone(),
            who: Some(CurrentUser {
                email: escape_hidden(person.email.as_str()),
                role: request.role().as_str(),
                account: escape_hidden(&name.unwrap_or_else(|| request.principal.account.to_string())),
                is_staff: request.principal.side == Side::Staff,
                may_switch: request.may(Scope::StaffSwitch),
                form_token: request.signed_in.token.form_token(),
            }),
            nav: links.iter().map(|(href, text)| Link { href, text, is_here: *href == here, badge: badges.of(href) }).collect(),
            waiting: badges.waiting,
            more_switches: concerning.len().saturating_sub(MAX_SWITCHES),
            switches: concerning
                .into_iter()
                .take(MAX_SWITCHES)
                .map(|row| engaged(row, &state, request.is_staff(), now))
                .collect(),
            notices: if request.is_staff() { notices(request, &state, now).await } else { Notices::default() },
            told: request.told.as_deref().map(escape_hidden),
            as_of: as_of(request, now).await,
            assets: super::assets::version(),
        }
    }

    /// The name of the browser's tab.
    pub fn tab(&self) -> String {
        format!("{} · Forelog", self.title)
    }

    /// What every form of the session carries; nothing, if nobody is signed in.
    pub fn form_token(&self) -> &str {
        self.who.as_ref().map_or("", |who| who.form_token.as_str())
    }
}

/// How many wait behind the places of the navigation.
struct Badges {
    waiting: Waiting,
    switches: usize,
}

impl Badges {
    fn of(&self, href: &str) -> Option<(String, &'static str)> {
        match href {
            "/console/approvals" => self.waiting.badge(),
            "/console/switches" => (self.switches > 0).then(|| (self.switches.to_string(), "in force")),
            _ => None,
        }
    }
}

async fn as_of(request: &SignedInRequest, now: Micros) -> Option<AsOf> {
    let ports = &request.http.gateway.control().ports;
    let head = ports.reader.store.head().await.ok()?;
    let position = ports.activity.position().await.ok()?;
    if head.position <= position {
        return Some(AsOf { position: group_digits(position.0), at: DisplayTime::of(head.at, now), missing: None });
    }
    let around = ports.reader.events(Position(position.0 - 1), 2).await.ok()?;
    let at = |wanted: Position| around.iter().find(|event| event.position == wanted).map_or(head.at, |event| event.at);
    let is_late = now.since(at(position.next())) >= LATE;
    let missing = is_late.then(|| group_digits(head.position.0 - position.0));
    Some(AsOf { position: group_digits(position.0), at: DisplayTime::of(at(position), now), missing })
}

/// Switches that every page names; a tenant can make a thousand.
const MAX_SWITCHES: usize = 5;

/// A rendered page.
pub fn page(template: &impl Template) -> Response {
    match template.render() {
        Ok(text) => ([(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))], Html(text)).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page was not rendered");
            axum::http::StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
