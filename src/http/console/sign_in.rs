//! `GET|POST /console/sign-in`.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};

use super::cookie;
use super::fault::{Fault, encoded};
use super::form::Fields;
use super::frame::{Frame, page};
use super::shown::rough;
use super::visit::Stranger;
use crate::auth::oidc::issuer::Issuer;
use crate::auth::sign_in::SignInError;
use crate::http::Http;

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignIn {
    frame: Frame,
    email: String,
    next: String,
    trouble: Option<String>,
    issuers: Vec<Button>,
}

/// A way to sign in with an issuer.
struct Button {
    to: String,
    title: String,
}

/// Where to go on afterwards.
#[derive(serde::Deserialize)]
pub struct Asked {
    #[serde(default)]
    pub next: String,
}

/// The form.
pub async fn show(State(http): State<Arc<Http>>, stranger: Stranger, Query(Asked { next }): Query<Asked>) -> Response {
    form(&http, &stranger, String::new(), &next, None)
}

/// Signs in, into a session that did not exist before.
pub async fn submit(State(http): State<Arc<Http>>, stranger: Stranger, fields: Fields) -> Result<Response, Fault> {
    let (email, next) = (fields.text("email"), fields.text("next"));
    match http.sessions.sign_in(email, fields.given("password"), &stranger.origin()).await {
        Ok(token) => {
            let cookie = cookie::set_session(&token, &http.settings);
            Ok((AppendHeaders([(header::SET_COOKIE, cookie)]), Redirect::to(local(next))).into_response())
        }
        Err(SignInError::Refused) => {
            http.door.counts().unauthenticated();
            let text = "That e-mail address and password do not belong together.".to_owned();
            let again = form(&http, &stranger, email.to_owned(), next, Some(text));
            Ok((StatusCode::UNAUTHORIZED, again).into_response())
        }
        Err(SignInError::TooMany(wait)) => {
            let text = format!("There were too many attempts. Try again in {}.", rough(wait + std::time::Duration::from_secs(1)));
            let again = form(&http, &stranger, email.to_owned(), next, Some(text));
            let after = [(header::RETRY_AFTER, wait.as_secs().saturating_add(1).to_string())];
            Ok((StatusCode::TOO_MANY_REQUESTS, after, again).into_response())
        }
        Err(SignInError::Failed(error)) => Err(error.into()),
    }
}

/// The form, with a button for each issuer.
pub fn form(http: &Http, stranger: &Stranger, email: String, next: &str, trouble: Option<String>) -> Response {
    let next = local(next).to_owned();
    // Not where it is now: that may be a callback, with a code in its address.
    let path = format!("/console/sign-in?next={}", encoded(&next));
    let frame = Frame { path, ..Frame::of_stranger("Sign in", stranger) };
    let button = |issuer: &Issuer| Button {
        to: format!("/console/sign-in/oidc/{}?next={}", issuer.name, encoded(&next)),
        title: issuer.settings.title.clone(),
    };
    let issuers = http.issuers.all().map(button).collect();
    page(&SignIn { frame, email, next, trouble, issuers })
}

/// A place in the console, and nowhere else: what comes from outside never leads away.
pub fn local(next: &str) -> &str {
    let is_plain = next.starts_with("/console/") && next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let leads_back = next.starts_with("/console/sign-in") || next.starts_with("/console/welcome");
    if is_plain && !leads_back { next } else { "/console/" }
}
