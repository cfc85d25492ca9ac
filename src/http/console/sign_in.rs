//! `GET|POST /console/sign-in`.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};

use super::address::{encoded, local};
use super::cookie;
use super::form::Fields;
use super::format::format_approximate;
use super::frame::{Frame, page};
use super::page_error::PageError;
use super::request::AnonymousRequest;
use crate::auth::oidc::issuer::Issuer;
use crate::auth::sign_in::{SignInError, Typed};
use crate::core::id::AccountId;
use crate::http::Http;

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignIn {
    frame: Frame,
    email: String,
    next: String,
    account: String,
    trouble: Option<String>,
    issuers: Vec<Button>,
}

/// A way to sign in with an issuer.
struct Button {
    to: String,
    title: String,
}

/// What the address of the form says.
#[derive(Default, serde::Deserialize)]
pub struct Asked {
    /// Where to go on afterwards.
    #[serde(default)]
    pub next: String,
    /// Which account, for who is a person of several under one e-mail address.
    #[serde(default)]
    pub account: String,
}

/// The form.
pub async fn show(State(http): State<Arc<Http>>, request: AnonymousRequest, Query(asked): Query<Asked>) -> Response {
    let two = "This browser sends two sessions of this console that differ, so neither counts. Delete the cookies of this \
               address, then sign in.";
    let trouble = request.has_two_sessions.then(|| two.to_owned());
    form(&http, &request, String::new(), &asked, trouble)
}

/// Signs in, into a session that did not exist before; the one that the browser had ends.
pub async fn submit(State(http): State<Arc<Http>>, request: AnonymousRequest, fields: Fields) -> Result<Response, PageError> {
    let asked = Asked { next: fields.text("next").to_owned(), account: fields.text("account").to_owned() };
    let unreadable = |_| PageError::Unreadable("The account that the address names is none. Sign in without it.");
    let account: Option<AccountId> =
        Some(asked.account.as_str()).filter(|text| !text.is_empty()).map(str::parse).transpose().map_err(unreadable)?;
    let email = fields.text("email");
    let typed = Typed { email, password: fields.given("password"), account: account.as_ref() };
    let again = |text: String| form(&http, &request, email.to_owned(), &asked, Some(text));
    match http.sessions.sign_in(typed, &request.browser(), &http.issuers).await {
        Ok(entered) => {
            let cookies = AppendHeaders(cookie::entered(&entered, &http.settings));
            Ok((cookies, Redirect::to(local(&asked.next))).into_response())
        }
        Err(SignInError::Refused) => {
            http.gateway.counts().unauthenticated();
            let again = again("That e-mail address and password do not belong together.".to_owned());
            Ok((StatusCode::UNAUTHORIZED, again).into_response())
        }
        Err(SignInError::ByIssuer(title)) => {
            http.gateway.counts().unauthenticated();
            let again = again(format!("{title} says what you may do here. Sign in with {title}."));
            Ok((StatusCode::UNAUTHORIZED, again).into_response())
        }
        Err(SignInError::TooMany(wait)) => {
            let text = format!(
                "There were too many attempts. Try again in {}.",
                format_approximate(wait + std::time::Duration::from_secs(1))
            );
            let after = [(header::RETRY_AFTER, wait.as_secs().saturating_add(1).to_string())];
            Ok((StatusCode::TOO_MANY_REQUESTS, after, again(text)).into_response())
        }
        Err(SignInError::Failed(error)) => Err(error.into()),
    }
}

/// The form, with a button for each issuer.
pub fn form(http: &Http, request: &AnonymousRequest, email: String, asked: &Asked, trouble: Option<String>) -> Response {
    let (next, account) = (local(&asked.next).to_owned(), asked.account.clone());
    // Not where it is now: that may be a callback, with a code in its address.
    let path = format!("/console/sign-in?next={}", encoded(&next));
    let frame = Frame { path, ..Frame::of_anonymous("Sign in", request) };
    let button = |issuer: &Issuer| Button {
        to: format!("/console/sign-in/oidc/{}?next={}", issuer.name, encoded(&next)),
        title: issuer.settings.title.clone(),
    };
    let issuers = http.issuers.all().map(button).collect();
    page(&SignIn { frame, email, next, account, trouble, issuers })
}
