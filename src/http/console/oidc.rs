//! `GET /console/sign-in/oidc/{name}` and its callback, and linking at `/console/account`: OpenID Connect, seen from a browser.
//!
//! Leaving is a link and no form: browsers hold what follows a form against `form-action` too, and it changes nothing here.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};

use super::address::local;
use super::cookie;
use super::fault::Fault;
use super::form::Posted;
use super::frame::{Frame, page};
use super::shown::rough;
use super::sign_in::{Asked, form};
use super::visit::{Stranger, Visit};
use crate::auth::oidc::attempt::mark;
use crate::auth::oidc::entry::{Arrived, Back, EntryError, Kept};
use crate::auth::oidc::issuer::Issuer;
use crate::auth::oidc::judge::Why;
use crate::auth::sign_in::SignInError;
use crate::http::Http;

#[derive(Template)]
#[template(path = "oidc.html")]
struct LinkIdentity {
    frame: Frame,
    title: String,
    to: String,
}

/// Sends the browser to an issuer.
pub async fn leave(
    State(http): State<Arc<Http>>,
    stranger: Stranger,
    headers: HeaderMap,
    Path(name): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Response, Fault> {
    let issuer = http.issuers.get(&name).ok_or(Fault::NotFound)?;
    match http.sessions.leave_for(issuer, local(&asked.next), None).await {
        Ok(left) => {
            let cookies = cookie::set_attempt(&left, &headers, &http.settings);
            Ok((AppendHeaders(cookies), Redirect::to(left.door.as_str())).into_response())
        }
        Err(error) => not_in(&http, &stranger, issuer, &asked, error),
    }
}

/// Takes the browser back.
pub async fn come_back(
    State(http): State<Arc<Http>>,
    stranger: Stranger,
    headers: HeaderMap,
    Path(name): Path<String>,
    back: Result<Query<Back>, QueryRejection>,
) -> Result<Response, Fault> {
    let issuer = http.issuers.get(&name).ok_or(Fault::NotFound)?;
    let Query(back) = back.map_err(|_| Fault::Unreadable("What the browser brought back cannot be read."))?;
    let visitor = match cookie::session(&headers, &http.settings) {
        Some(token) => http.sessions.find(&token).await?,
        None => None,
    };
    let (settings, mark) = (&http.settings, mark(&back.state));
    let others = cookie::attempts(&headers, settings);
    let attempt = cookie::attempt(&headers, &mark, settings);
    let kept = Kept { attempt, has_others: !others.is_empty(), visitor: visitor.as_ref() };
    // Only the attempt that came back is over, whatever came of it.
    let used_up = attempt.map(|_| (header::SET_COOKIE, cookie::end_attempt(&mark, settings)));
    match http.sessions.come_back(issuer, &back, kept, &stranger.browser()).await {
        Ok(Arrived::In { entered, next }) => {
            let cookies: Vec<_> = used_up.into_iter().chain(cookie::entered(&entered, settings)).collect();
            Ok((AppendHeaders(cookies), Redirect::to(local(&next))).into_response())
        }
        Ok(Arrived::Linked) => Ok((AppendHeaders(used_up), Redirect::to("/console/account")).into_response()),
        Err(error) => {
            http.door.counts().unauthenticated();
            let told = not_in(&http, &stranger, issuer, &Asked::default(), error)?;
            Ok((AppendHeaders(used_up), told).into_response())
        }
    }
}

/// The sign-in page again, with what went wrong. It does not tell who is known here.
fn not_in(http: &Http, stranger: &Stranger, issuer: &Issuer, asked: &Asked, error: EntryError) -> Result<Response, Fault> {
    let title = &issuer.settings.title;
    let (status, text) = match error {
        EntryError::Failed(error) => return Err(error.into()),
        EntryError::TooMany(wait) => {
            let text = format!("There were too many attempts. Try again in {}.", rough(wait + Duration::from_secs(1)));
            (StatusCode::TOO_MANY_REQUESTS, text)
        }
        EntryError::Refused(Why::NoAttempt | Why::WrongState | Why::Replayed | Why::Older) => {
            let text = "That sign-in was not begun in this browser, took too long, or was used already. Begin again.";
            (StatusCode::BAD_REQUEST, text.to_owned())
        }
        EntryError::Refused(Why::Unavailable) => {
            let text = format!("{title} does not answer now. Sign in with your password, or try again later.");
            (StatusCode::SERVICE_UNAVAILABLE, text)
        }
        EntryError::Refused(Why::Misanswered(at)) => {
            let text = format!(
                "{title} answers, but what {} says cannot be used. Sign in with your password, or ask whoever runs this service.",
                at.as_str()
            );
            (StatusCode::BAD_GATEWAY, text)
        }
        EntryError::Refused(Why::NoToken) => {
            let text = format!("{title} gave no token for what your browser brought back, so nobody was signed in. Begin again.");
            (StatusCode::BAD_GATEWAY, text)
        }
        EntryError::Refused(Why::Untrue(check)) => {
            let text = format!("What {title} answered cannot be believed, so nobody was signed in: {}.", check.in_words());
            (StatusCode::BAD_GATEWAY, text)
        }
        EntryError::Refused(Why::Denied) => (StatusCode::UNAUTHORIZED, format!("{title} did not sign you in.")),
        EntryError::Refused(_) => {
            let text = format!("{title} knows you, but that lets nobody in here. Ask whoever runs this service.");
            (StatusCode::FORBIDDEN, text)
        }
    };
    Ok((status, form(http, stranger, String::new(), asked, Some(text))).into_response())
}

/// Begins to link whoever is signed in and knows their password. A page with a link, because a form may not lead away.
pub async fn link(headers: HeaderMap, Path(name): Path<String>, Posted { visit, fields }: Posted) -> Result<Response, Fault> {
    let http = Arc::clone(&visit.http);
    let issuer = http.issuers.get(&name).filter(|issuer| issuer.settings.side == visit.principal.side);
    let issuer = issuer.ok_or(Fault::NotFound)?;
    if let Some(told) = unconfirmed(&visit, fields.given("current")).await? {
        return Ok(told);
    }
    let title = issuer.settings.title.clone();
    match http.sessions.leave_for(issuer, "", Some(visit.visitor.person.id.clone())).await {
        Ok(left) => {
            let cookies = cookie::set_attempt(&left, &headers, &http.settings);
            let frame = Frame::of("Account", "/console/account", &visit).await;
            let asked = page(&LinkIdentity { frame, title, to: left.door.to_string() });
            Ok((AppendHeaders(cookies), asked).into_response())
        }
        Err(EntryError::Failed(error)) => Err(error.into()),
        Err(EntryError::Refused(Why::Unavailable)) => {
            again(&visit, StatusCode::SERVICE_UNAVAILABLE, &format!("{title} does not answer now. Try again later.")).await
        }
        Err(_) => {
            let text = format!("{title} answers, but not what linking with it needs. Ask whoever runs this service.");
            again(&visit, StatusCode::BAD_GATEWAY, &text).await
        }
    }
}

/// What somebody is told who does not know their password.
async fn unconfirmed(visit: &Visit, current: &str) -> Result<Option<Response>, Fault> {
    let told = match visit.http.sessions.confirm(&visit.visitor, current, &visit.origin()).await {
        Ok(()) => return Ok(None),
        Err(SignInError::Refused | SignInError::ByIssuer(_)) => (StatusCode::FORBIDDEN, "The current password is not right."),
        Err(SignInError::TooMany(_)) => (StatusCode::TOO_MANY_REQUESTS, "There were too many attempts. Try again later."),
        Err(SignInError::Failed(error)) => return Err(error.into()),
    };
    again(visit, told.0, told.1).await.map(Some)
}

async fn again(visit: &Visit, status: StatusCode, text: &str) -> Result<Response, Fault> {
    Ok((status, super::account::with_trouble(visit, text.to_owned()).await).into_response())
}

/// Parts whoever is signed in from what an issuer knows them as.
/// Whoever does it knows a password, and so comes in without it.
pub async fn unlink(Path(name): Path<String>, Posted { visit, fields }: Posted) -> Result<Response, Fault> {
    let issuer = visit.http.issuers.get(&name).ok_or(Fault::NotFound)?;
    if let Some(told) = unconfirmed(&visit, fields.given("current")).await? {
        return Ok(told);
    }
    visit.http.sessions.unlink(&visit.visitor, issuer, &visit.origin()).await?;
    Ok(Redirect::to("/console/account").into_response())
}
