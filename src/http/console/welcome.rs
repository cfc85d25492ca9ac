//! `GET|POST /console/welcome/{token}`: the first person of the staff, or somebody who was invited, chooses a password.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};

use super::cookie;
use super::form::Fields;
use super::form_state::FormState;
use super::format::escape_hidden;
use super::frame::{Frame, page};
use super::page_error::PageError;
use super::request::AnonymousRequest;
use crate::auth::invited::{Joined, Link};
use crate::auth::password;
use crate::auth::session::Token;
use crate::core::email::EmailAddress;
use crate::core::refusal::Refusal;
use crate::http::Http;

/// How a form is answered that has something in it that cannot be taken.
const INVALID: StatusCode = StatusCode::UNPROCESSABLE_ENTITY;

#[derive(Template)]
#[template(path = "welcome.html")]
struct Welcome {
    frame: Frame,
    email: String,
    invited: Option<Invited>,
    shortest: usize,
    draft: FormState,
}

/// What somebody is invited to.
struct Invited {
    account: String,
    role: &'static str,
    email: String,
    /// Where to sign in to this account, for who is a person of several.
    sign_in: String,
}

/// The form, as long as the link works.
pub async fn show(
    State(http): State<Arc<Http>>,
    request: AnonymousRequest,
    Path(link): Path<String>,
) -> Result<Response, PageError> {
    let link = Token::read(&link);
    if http.sessions.is_invited(&link).await? {
        return Ok(form(&request, String::new(), None, FormState::default()));
    }
    let invited = match invited(&http, &link).await? {
        Guest::Invited(invited) => invited,
        Guest::Stopped(refusal) => return Err(PageError::Refused(refusal)),
        Guest::Nobody => return Err(PageError::Link),
    };
    Ok(form(&request, String::new(), Some(invited), FormState::default()))
}

/// Who comes with a link.
enum Guest {
    Nobody,
    Stopped(Refusal),
    Invited(Invited),
}

/// Whom a link is for.
async fn invited(http: &Http, link: &Token) -> Result<Guest, PageError> {
    let (invited, role) = match http.sessions.invited(link).await? {
        Link::Works(invited, role) => (invited, role),
        Link::Stopped(refusal) => return Ok(Guest::Stopped(refusal)),
        Link::Ended => return Ok(Guest::Nobody),
    };
    let name = http.gateway.control().ports.reader.vault.account_name(&invited.account).await.ok().flatten();
    let account = escape_hidden(&name.unwrap_or_else(|| invited.account.to_string()));
    let sign_in = format!("/console/sign-in?account={}", invited.account);
    Ok(Guest::Invited(Invited { account, role: role.as_str(), email: escape_hidden(invited.email.as_str()), sign_in }))
}

/// Makes the person and signs them in.
pub async fn submit(
    State(http): State<Arc<Http>>,
    request: AnonymousRequest,
    Path(link): Path<String>,
    fields: Fields,
) -> Result<Response, PageError> {
    let token = Token::read(&link);
    match invited(&http, &token).await? {
        Guest::Invited(invited) => return join(&http, &request, &token, invited, &fields).await,
        Guest::Stopped(refusal) => return Err(PageError::Refused(refusal)),
        Guest::Nobody => {}
    }
    if !http.sessions.is_invited(&token).await? {
        return Err(PageError::Link);
    }
    let (typed, chosen) = (fields.text("email"), fields.given("password"));
    let email = match (typed.parse::<EmailAddress>(), unusable(chosen, fields.given("again"))) {
        (Ok(email), None) => email,
        (Err(error), _) => {
            let fault = FormState::of_secret("email", &format!("That cannot be taken: {error}."), INVALID);
            return Ok(form(&request, typed.to_owned(), None, fault));
        }
        (Ok(_), Some(fault)) => return Ok(form(&request, typed.to_owned(), None, fault)),
    };
    let accepted = http.sessions.accept(&token, (&email, chosen), &request.browser()).await?;
    let entered = accepted.ok_or(PageError::Link)?;
    Ok((AppendHeaders(cookie::entered(&entered, &http.settings)), Redirect::to("/console/")).into_response())
}

/// Makes a person of whom the link is for, and signs them in.
async fn join(
    http: &Http,
    request: &AnonymousRequest,
    link: &Token,
    invited: Invited,
    fields: &Fields,
) -> Result<Response, PageError> {
    let chosen = fields.given("password");
    if let Some(fault) = unusable(chosen, fields.given("again")) {
        return Ok(form(request, String::new(), Some(invited), fault));
    }
    let entered = match http.sessions.join(link, chosen, &request.browser()).await? {
        Joined::In(entered) => entered,
        Joined::Stopped(refusal) => return Err(PageError::Refused(refusal)),
        Joined::Not => {
            let text = "This invitation cannot be used. Ask whoever sent it for another one.";
            return Ok(form(request, String::new(), Some(invited), FormState::of_secret("", text, INVALID)));
        }
    };
    Ok((AppendHeaders(cookie::entered(&entered, &http.settings)), Redirect::to("/console/")).into_response())
}

/// What is wrong with a chosen password, as a fault of its field.
pub fn unusable(chosen: &str, again: &str) -> Option<FormState> {
    if !password::is_acceptable(chosen) {
        let text = "The password must have at least 12 characters, and at most 256 bytes.";
        return Some(FormState::of_secret("password", text, INVALID));
    }
    (chosen != again).then(|| FormState::of_secret("again", "The two passwords are not the same.", INVALID))
}

fn form(request: &AnonymousRequest, email: String, invited: Option<Invited>, draft: FormState) -> Response {
    let (frame, status) = (Frame::of_anonymous("Welcome", request), draft.status());
    (status, page(&Welcome { frame, email, invited, shortest: password::SHORTEST, draft })).into_response()
}
