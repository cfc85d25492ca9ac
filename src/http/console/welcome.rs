//! `GET|POST /console/welcome/{token}`: the first person of the staff chooses a password.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};

use super::cookie;
use super::fault::Fault;
use super::form::Fields;
use super::frame::{Frame, page};
use super::visit::Stranger;
use crate::auth::password;
use crate::auth::session::Token;
use crate::http::Http;

#[derive(Template)]
#[template(path = "welcome.html")]
struct Welcome {
    frame: Frame,
    email: String,
    shortest: usize,
    trouble: Option<&'static str>,
}

/// The form, as long as the link works.
pub async fn show(State(http): State<Arc<Http>>, stranger: Stranger, Path(link): Path<String>) -> Result<Response, Fault> {
    if !http.sessions.is_invited(&Token::read(&link)).await? {
        return Err(Fault::NotFound);
    }
    Ok(form(&stranger, String::new(), None))
}

/// Makes the person and signs them in.
pub async fn submit(
    State(http): State<Arc<Http>>,
    stranger: Stranger,
    Path(link): Path<String>,
    fields: Fields,
) -> Result<Response, Fault> {
    let (email, chosen) = (fields.text("email"), fields.given("password"));
    if let Some(trouble) = trouble(email, chosen, fields.given("again")) {
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, form(&stranger, email.to_owned(), Some(trouble))).into_response());
    }
    if http.sessions.is_invited(&Token::read(&link)).await? && http.sessions.is_taken(email).await? {
        let trouble = Some("Somebody signs in with that e-mail address already.");
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, form(&stranger, email.to_owned(), trouble)).into_response());
    }
    let accepted = http.sessions.accept(&Token::read(&link), email, chosen, &stranger.origin()).await?;
    let token = accepted.ok_or(Fault::NotFound)?;
    let cookie = cookie::set_session(&token, &http.settings);
    Ok((AppendHeaders([(header::SET_COOKIE, cookie)]), Redirect::to("/console/")).into_response())
}

fn trouble(email: &str, chosen: &str, again: &str) -> Option<&'static str> {
    if !email.contains('@') || email.len() > 254 {
        return Some("That is not an e-mail address.");
    }
    unusable(chosen, again)
}

/// Why a chosen password is not taken.
pub fn unusable(chosen: &str, again: &str) -> Option<&'static str> {
    if !password::is_acceptable(chosen) {
        return Some("The password must have at least 12 characters, and at most 256 bytes.");
    }
    (chosen != again).then_some("The two passwords are not the same.")
}

fn form(stranger: &Stranger, email: String, trouble: Option<&'static str>) -> Response {
    let frame = Frame::of_stranger("Welcome", stranger);
    page(&Welcome { frame, email, shortest: password::SHORTEST, trouble })
}
