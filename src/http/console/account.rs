//! `/console/account`: one's own password and sessions.

use askama::Template;
use axum::http::{StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};

use super::cookie;
use super::fault::Fault;
use super::form::Posted;
use super::frame::{Frame, page};
use super::sessions::{Row, own};
use super::shown::{When, visible};
use super::visit::Visit;
use super::welcome::unusable;
use crate::auth::oidc::issuer::Issuer;
use crate::auth::password;
use crate::auth::session::SessionError;
use crate::auth::sign_in::SignInError;
use crate::core::time::Micros;

#[derive(Template)]
#[template(path = "account.html")]
struct Account {
    frame: Frame,
    since: When,
    ends: When,
    acts_with: String,
    user: String,
    sessions: Vec<Row>,
    sessions_end: &'static str,
    shortest: usize,
    trouble: Option<String>,
    changed: bool,
    identities: Vec<Identity>,
}

/// An issuer, and what it knows the person as, if it does.
struct Identity {
    name: String,
    title: String,
    linked: Option<(String, When)>,
}

/// The page.
pub async fn show(visit: Visit) -> Response {
    account(&visit, None, false).await
}

/// The page, with what went wrong.
pub async fn with_trouble(visit: &Visit, text: String) -> Response {
    account(visit, Some(text), false).await
}

/// The issuers that a person can sign in with.
async fn identities(visit: &Visit, now: Micros) -> Result<Vec<Identity>, SessionError> {
    let linked = visit.http.sessions.identities(&visit.visitor).await?;
    let known = |issuer: &Issuer| {
        let identity = linked.iter().find(|identity| identity.issuer == issuer.settings.issuer)?;
        let called = if identity.email.is_empty() { &identity.subject } else { &identity.email };
        Some((visible(called), When::of(identity.since, now)))
    };
    let of_the_side = visit.http.issuers.all().filter(|issuer| issuer.settings.side == visit.principal.side);
    let shown =
        |issuer: &Issuer| Identity { name: issuer.name.clone(), title: issuer.settings.title.clone(), linked: known(issuer) };
    Ok(of_the_side.map(shown).collect())
}

async fn account(visit: &Visit, trouble: Option<String>, changed: bool) -> Response {
    let now = visit.http.door.control().ports.clock.now();
    let session = &visit.visitor.session;
    let identities = match identities(visit, now).await {
        Ok(identities) => identities,
        Err(error) => return Fault::from(error).into_response(),
    };
    page(&Account {
        frame: Frame::of("Account", "/console/account", visit).await,
        since: When::of(session.began, now),
        ends: When::of(session.ends, now),
        acts_with: session.credential.to_string(),
        user: visit.principal.user.to_string(),
        sessions: own(visit).await,
        sessions_end: "/console/account/sessions/end",
        shortest: password::SHORTEST,
        trouble,
        changed,
        identities,
    })
}

/// Ends this session.
pub async fn sign_out(posted: Posted) -> Result<Response, Fault> {
    leave(&posted.visit, false).await
}

/// Ends every session of the person.
pub async fn sign_out_everywhere(posted: Posted) -> Result<Response, Fault> {
    leave(&posted.visit, true).await
}

async fn leave(visit: &Visit, all: bool) -> Result<Response, Fault> {
    visit.http.sessions.sign_out(&visit.visitor, all).await?;
    let cookie = cookie::end_session(&visit.http.settings);
    Ok((AppendHeaders([(header::SET_COOKIE, cookie)]), Redirect::to("/console/sign-in")).into_response())
}

/// Chooses another password; whoever else is signed in as this person is not any more.
pub async fn set_password(Posted { visit, fields }: Posted) -> Result<Response, Fault> {
    let sessions = &visit.http.sessions;
    let chosen = fields.given("password");
    let refused = |status, trouble| (status, trouble);
    let trouble = match sessions.confirm(&visit.visitor, fields.given("current"), &visit.origin()).await {
        Ok(()) => unusable(chosen, fields.given("again")).map(|text| refused(StatusCode::UNPROCESSABLE_ENTITY, text)),
        Err(SignInError::Refused | SignInError::ByIssuer(_)) => {
            Some(refused(StatusCode::FORBIDDEN, "The current password is not right."))
        }
        Err(SignInError::TooMany(_)) => {
            Some(refused(StatusCode::TOO_MANY_REQUESTS, "There were too many attempts. Try again later."))
        }
        Err(SignInError::Failed(error)) => return Err(error.into()),
    };
    if let Some((status, text)) = trouble {
        return Ok((status, account(&visit, Some(text.to_owned()), false).await).into_response());
    }
    if !sessions.change_password(&visit.visitor, chosen, &visit.origin()).await? {
        let text = "The current password is not right.".to_owned();
        return Ok((StatusCode::FORBIDDEN, account(&visit, Some(text), false).await).into_response());
    }
    Ok(account(&visit, None, true).await)
}
