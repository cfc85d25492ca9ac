//! Choosing how pages look: a form and a cookie, so it needs no script.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};

use super::address::local;
use super::appearance::{Theme, Zone};
use super::cookie;
use super::form::Fields;
use crate::http::Http;

/// `POST /console/theme`.
pub async fn choose_theme(State(http): State<Arc<Http>>, fields: Fields) -> Response {
    let theme = Theme::named(fields.text("theme"));
    let cookie = cookie::set_theme(theme.as_str(), &http.settings);
    (AppendHeaders([(header::SET_COOKIE, cookie)]), Redirect::to(local(fields.text("next")))).into_response()
}

/// `POST /console/zone`.
pub async fn choose_zone(State(http): State<Arc<Http>>, fields: Fields) -> Response {
    let zone = Zone::named(fields.text("zone"));
    let cookie = cookie::set_zone(zone.as_str(), &http.settings);
    (AppendHeaders([(header::SET_COOKIE, cookie)]), Redirect::to(local(fields.text("next")))).into_response()
}
