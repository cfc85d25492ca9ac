//! `/console/account`: one's own password and sessions.

use askama::Template;
use axum::http::{StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};

use super::cookie;
use super::form::Posted;
use super::format::{DisplayTime, escape_hidden};
use super::frame::{Frame, page};
use super::page_error::PageError;
use super::request::SignedInRequest;
use super::sessions::{Row, own};
use super::welcome::unusable;
use crate::auth::oidc::issuer::Issuer;
use crate::auth::password;
use crate::auth::session::SessionError;
use crate::auth::sign_in::SignInError;
use crate::core::time::Micros;

#[derive(Template)]
#[template(path = "own_account.html")]
struct Account {
    frame: Frame,
    since: DisplayTime,
    ends: DisplayTime,
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
    linked: Option<(String, DisplayTime)>,
}

/// The page.
pub async fn show(request: SignedInRequest) -> Response {
    account(&request, None, false).await
}

/// The page, with what went wrong.
pub async fn with_trouble(request: &SignedInRequest, text: String) -> Response {
    account(request, Some(text), false).await
}

/// The issuers that a person can sign in with.
async fn identities(request: &SignedInRequest, now: Micros) -> Result<Vec<Identity>, SessionError> {
    let linked = request.http.sessions.identities(&request.signed_in).await?;
    let known = |issuer: &Issuer| {
        let identity = linked.iter().find(|identity| identity.issuer == issuer.settings.issuer)?;
        let called = if identity.email.is_empty() { &identity.subject } else { &identity.email };
        Some((escape_hidden(called), DisplayTime::of(identity.since, now)))
    };
    let of_the_side = request.http.issuers.all().filter(|issuer| issuer.settings.side == request.principal.side);
    let shown =
        |issuer: &Issuer| Identity { name: issuer.name.clone(), title: issuer.settings.title.clone(), linked: known(issuer) };
    Ok(of_the_side.map(shown).collect())
}

async fn account(request: &SignedInRequest, trouble: Option<String>, changed: bool) -> Response {
    let now = request.http.gateway.control().ports.clock.now();
    let session = &request.signed_in.session;
    let identities = match identities(request, now).await {
        Ok(identities) => identities,
        Err(error) => return PageError::from(error).into_response(),
    };
    let sessions = match own(request).await {
        Ok(sessions) => sessions,
        Err(error) => return error.into_response(),
    };
    page(&Account {
        frame: Frame::of("Account", "/console/account", request).await,
        since: DisplayTime::of(session.began, now),
        ends: DisplayTime::of(session.ends, now),
        acts_with: session.credential.to_string(),
        user: request.principal.user.to_string(),
        sessions,
        sessions_end: "/console/account/sessions/end",
        shortest: password::SHORTEST,
        trouble,
        changed,
        identities,
    })
}

/// Ends this session.
pub async fn sign_out(posted: Posted) -> Result<Response, PageError> {
    leave(&posted.request, false).await
}

/// Ends every session of the person.
pub async fn sign_out_everywhere(posted: Posted) -> Result<Response, PageError> {
    leave(&posted.request, true).await
}

async fn leave(request: &SignedInRequest, all: bool) -> Result<Response, PageError> {
    request.http.sessions.sign_out(&request.signed_in, all).await?;
    let cookie = cookie::end_session(&request.http.settings);
    Ok((AppendHeaders([(header::SET_COOKIE, cookie)]), Redirect::to("/console/sign-in")).into_response())
}

/// Chooses another password; whoever else is signed in as this person is not any more.
pub async fn set_password(Posted { request, fields }: Posted) -> Result<Response, PageError> {
    let sessions = &request.http.sessions;
    let chosen = fields.given("password");
    let refused = |status, trouble| (status, trouble);
    let trouble = match sessions.confirm(&request.signed_in, fields.given("current"), &request.origin()).await {
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
        return Ok((status, account(&request, Some(text.to_owned()), false).await).into_response());
    }
    if !sessions.change_password(&request.signed_in, chosen, &request.origin()).await? {
        let text = "The current password is not right.".to_owned();
        return Ok((StatusCode::FORBIDDEN, account(&request, Some(text), false).await).into_response());
    }
    Ok(account(&request, None, true).await)
}
