//! Light, dark, or as the system has it. A choice is a form and a cookie, so it needs no script.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};

use super::cookie;
use super::form::Fields;
use super::sign_in::local;
use crate::http::Http;

/// How a page is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    /// As the system has it.
    #[default]
    Auto,
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

impl Theme {
    /// The theme that a request's cookie names.
    pub fn of(headers: &HeaderMap) -> Self {
        cookie::theme(headers).map(Self::named).unwrap_or_default()
    }

    fn named(text: &str) -> Self {
        match text {
            "light" => Self::Light,
            "dark" => Self::Dark,
            _ => Self::Auto,
        }
    }

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }
}

/// `POST /console/theme`.
pub async fn choose(State(http): State<Arc<Http>>, fields: Fields) -> Response {
    let theme = Theme::named(fields.text("theme"));
    let cookie = cookie::set_theme(theme.as_str(), &http.settings);
    (AppendHeaders([(header::SET_COOKIE, cookie)]), Redirect::to(local(fields.text("next")))).into_response()
}
