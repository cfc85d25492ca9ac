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
use super::form::Posted;
use super::form_state::FormState;
use super::format::format_approximate;
use super::frame::{Frame, page};
use super::own_account::{account, current_of, form_of, unconfirmed};
use super::page_error::PageError;
use super::request::AnonymousRequest;
use super::sign_in::{Asked, form};
use super::told;
use crate::auth::oidc::attempt::mark;
use crate::auth::oidc::callback::{CallbackCookies, CallbackError, CallbackOutcome, CallbackQuery};
use crate::auth::oidc::decision::DenialReason;
use crate::auth::oidc::issuer::Issuer;
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
    request: AnonymousRequest,
    headers: HeaderMap,
    Path(name): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Response, PageError> {
    let issuer = http.issuers.get(&name).ok_or(PageError::NotFound)?;
    match http.sessions.leave_for(issuer, local(&asked.next), None).await {
        Ok(left) => {
            let cookies = cookie::set_attempt(&left, &headers, &http.settings);
            Ok((AppendHeaders(cookies), Redirect::to(left.authorization_url.as_str())).into_response())
        }
        Err(error) => not_in(&http, &request, issuer, &asked, error),
    }
}

/// Takes the browser back.
pub async fn come_back(
    State(http): State<Arc<Http>>,
    request: AnonymousRequest,
    headers: HeaderMap,
    Path(name): Path<String>,
    back: Result<Query<CallbackQuery>, QueryRejection>,
) -> Result<Response, PageError> {
    let issuer = http.issuers.get(&name).ok_or(PageError::NotFound)?;
    let Query(back) = back.map_err(|_| PageError::Unreadable("What the browser brought back cannot be read."))?;
    let signed_in = match cookie::session(&headers, &http.settings) {
        Some(token) => http.sessions.find(&token).await?,
        None => None,
    };
    let (settings, mark) = (&http.settings, mark(&back.state));
    let others = cookie::attempts(&headers, settings);
    let attempt = cookie::attempt(&headers, &mark, settings);
    let kept = CallbackCookies { attempt, has_others: !others.is_empty(), signed_in: signed_in.as_ref() };
    // Only the attempt that came back is over, whatever came of it.
    let used_up = attempt.map(|_| (header::SET_COOKIE, cookie::end_attempt(&mark, settings)));
    match http.sessions.come_back(issuer, &back, kept, &request.browser()).await {
        Ok(CallbackOutcome::In { entered, next }) => {
            let cookies: Vec<_> = used_up.into_iter().chain(cookie::entered(&entered, settings)).collect();
            Ok((AppendHeaders(cookies), Redirect::to(local(&next))).into_response())
        }
        Ok(CallbackOutcome::Linked) => Ok((AppendHeaders(used_up), Redirect::to("/console/account")).into_response()),
        Err(error) => {
            http.gateway.counts().unauthenticated();
            let shown = not_in(&http, &request, issuer, &Asked::default(), error)?;
            Ok((AppendHeaders(used_up), shown).into_response())
        }
    }
}

/// The sign-in page again, with what went wrong. It does not tell who is known here.
fn not_in(
    http: &Http,
    request: &AnonymousRequest,
    issuer: &Issuer,
    asked: &Asked,
    error: CallbackError,
) -> Result<Response, PageError> {
    let title = &issuer.settings.title;
    let (status, text) = match error {
        CallbackError::Failed(error) => return Err(error.into()),
        CallbackError::TooMany(wait) => {
            let text =
                format!("There were too many attempts. Try again in {}.", format_approximate(wait + Duration::from_secs(1)));
            (StatusCode::TOO_MANY_REQUESTS, text)
        }
        CallbackError::Refused(
            DenialReason::NoAttempt | DenialReason::WrongState | DenialReason::Replayed | DenialReason::Older,
        ) => {
            let text = "That sign-in was not begun in this browser, took too long, or was used already. Begin again.";
            (StatusCode::BAD_REQUEST, text.to_owned())
        }
        CallbackError::Refused(DenialReason::Unavailable) => {
            let text = format!("{title} does not answer now. Sign in with your password, or try again later.");
            (StatusCode::SERVICE_UNAVAILABLE, text)
        }
        CallbackError::Refused(DenialReason::Misanswered(at)) => {
            let text = format!(
                "{title} answers, but what {} says cannot be used. Sign in with your password, or ask whoever runs this service.",
                at.as_str()
            );
            (StatusCode::BAD_GATEWAY, text)
        }
        CallbackError::Refused(DenialReason::NoToken) => {
            let text = format!("{title} gave no token for what your browser brought back, so nobody was signed in. Begin again.");
            (StatusCode::BAD_GATEWAY, text)
        }
        CallbackError::Refused(DenialReason::Untrue(check)) => {
            let text = format!("What {title} answered cannot be believed, so nobody was signed in: {}.", check.in_words());
            (StatusCode::BAD_GATEWAY, text)
        }
        CallbackError::Refused(DenialReason::Denied) => (StatusCode::UNAUTHORIZED, format!("{title} did not sign you in.")),
        CallbackError::Refused(_) => {
            let text = format!("{title} knows you, but that lets nobody in here. Ask whoever runs this service.");
            (StatusCode::FORBIDDEN, text)
        }
    };
    Ok((status, form(http, request, String::new(), asked, Some(text))).into_response())
}

/// Begins to link whoever is signed in and knows their password. A page with a link, because a form may not lead away.
pub async fn link(
    headers: HeaderMap,
    Path(name): Path<String>,
    Posted { request, fields }: Posted,
) -> Result<Response, PageError> {
    let http = Arc::clone(&request.http);
    let issuer = http.issuers.get(&name).filter(|issuer| issuer.settings.side == request.principal.side);
    let issuer = issuer.ok_or(PageError::NotFound)?;
    if let Some(wrong) = unconfirmed(&request, &current_of(&name), fields.given("current")).await? {
        return Ok(account(&request, wrong).await);
    }
    let title = issuer.settings.title.clone();
    match http.sessions.leave_for(issuer, "", Some(request.signed_in.person.id.clone())).await {
        Ok(left) => {
            let cookies = cookie::set_attempt(&left, &headers, &http.settings);
            let frame = Frame::of("Account", "/console/account", &request).await;
            let asked = page(&LinkIdentity { frame, title, to: left.authorization_url.to_string() });
            Ok((AppendHeaders(cookies), asked).into_response())
        }
        Err(CallbackError::Failed(error)) => Err(error.into()),
        Err(refused) => {
            let (status, text) = match refused {
                CallbackError::Refused(DenialReason::Unavailable) => {
                    (StatusCode::SERVICE_UNAVAILABLE, format!("{title} does not answer now. Try again later."))
                }
                _ => (
                    StatusCode::BAD_GATEWAY,
                    format!("{title} answers, but not what linking with it needs. Ask whoever runs this service."),
                ),
            };
            Ok(account(&request, FormState::of_secret(&form_of(&name), &text, status)).await)
        }
    }
}

/// Parts whoever is signed in from what an issuer knows them as.
/// Whoever does it knows a password, and so comes in without it.
pub async fn unlink(Path(name): Path<String>, Posted { request, fields }: Posted) -> Result<Response, PageError> {
    let issuer = request.http.issuers.get(&name).ok_or(PageError::NotFound)?;
    if let Some(wrong) = unconfirmed(&request, &current_of(&name), fields.given("current")).await? {
        return Ok(account(&request, wrong).await);
    }
    request.http.sessions.unlink(&request.signed_in, issuer, &request.origin()).await?;
    let text = format!("{} is unlinked. It no longer signs you in.", issuer.settings.title);
    Ok(told::after(&request, "/console/account", &text))
}
