//! `/console/account`: one's own password and sessions.

use askama::Template;
use axum::http::{StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};

use super::cookie;
use super::form::Posted;
use super::form_state::FormState;
use super::format::{DisplayTime, escape_hidden};
use super::frame::{Frame, page};
use super::page_error::PageError;
use super::request::SignedInRequest;
use super::sessions::{Row, own};
use super::told;
use super::welcome::unusable;
use crate::auth::oidc::issuer::Issuer;
use crate::auth::password;
use crate::auth::session::SessionError;
use crate::auth::sign_in::SignInError;
use crate::core::time::Micros;

const HERE: &str = "/console/account";

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
    draft: FormState,
    identities: Vec<Identity>,
}

/// An issuer, and what it knows the person as, if it does.
struct Identity {
    name: String,
    /// What its form, and the field for the password in it, are called when something is wrong there.
    form: String,
    current: String,
    title: String,
    linked: Option<(String, DisplayTime)>,
}

/// The page.
pub async fn show(request: SignedInRequest) -> Response {
    account(&request, FormState::default()).await
}

/// The form of an issuer, as what is wrong with it names it.
pub fn form_of(issuer: &str) -> String {
    format!("identity-{issuer}")
}

/// The field for the password in it.
pub fn current_of(issuer: &str) -> String {
    format!("current-{issuer}")
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
    let shown = |issuer: &Issuer| Identity {
        name: issuer.name.clone(),
        form: form_of(&issuer.name),
        current: current_of(&issuer.name),
        title: issuer.settings.title.clone(),
        linked: known(issuer),
    };
    Ok(of_the_side.map(shown).collect())
}

/// The page, with what is wrong in one of its forms.
pub async fn account(request: &SignedInRequest, draft: FormState) -> Response {
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
    let status = draft.status();
    let shown = page(&Account {
        frame: Frame::of("Account", HERE, request).await,
        since: DisplayTime::of(session.began, now),
        ends: DisplayTime::of(session.ends, now),
        acts_with: session.credential.to_string(),
        user: request.principal.user.to_string(),
        sessions,
        sessions_end: "/console/account/sessions/end",
        shortest: password::SHORTEST,
        draft,
        identities,
    });
    (status, shown).into_response()
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
    let chosen = fields.given("password");
    let fault = match unconfirmed(&request, "current", fields.given("current")).await? {
        None => unusable(chosen, fields.given("again")),
        wrong => wrong,
    };
    if let Some(fault) = fault {
        return Ok(account(&request, fault).await);
    }
    if !request.http.sessions.change_password(&request.signed_in, chosen, &request.origin()).await? {
        return Ok(account(&request, wrong_password("current")).await);
    }
    Ok(told::after(&request, HERE, "Password changed. All your other sessions have ended."))
}

/// What is wrong with the current password, as a fault of the field it was typed into; none if it is the right one.
pub async fn unconfirmed(request: &SignedInRequest, field: &str, current: &str) -> Result<Option<FormState>, PageError> {
    match request.http.sessions.confirm(&request.signed_in, current, &request.origin()).await {
        Ok(()) => Ok(None),
        Err(SignInError::Refused | SignInError::ByIssuer(_)) => Ok(Some(wrong_password(field))),
        Err(SignInError::TooMany(_)) => {
            let text = "There were too many attempts. Try again later.";
            Ok(Some(FormState::of_secret(field, text, StatusCode::TOO_MANY_REQUESTS)))
        }
        Err(SignInError::Failed(error)) => Err(error.into()),
    }
}

fn wrong_password(field: &str) -> FormState {
    FormState::of_secret(field, "The current password is not right.", StatusCode::FORBIDDEN)
}
