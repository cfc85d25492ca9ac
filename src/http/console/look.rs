//! How a person wants to see pages: light, dark, or as the system has it; times in UTC or in the browser's zone. A choice is
//! a form and a cookie, so it needs no script. Pages say UTC; only the script of a page knows the browser's zone.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};

use super::cookie;
use super::form::Fields;
use super::sign_in::local;
use crate::http::Http;

/// What was chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// Colours.
    pub theme: Theme,
    /// Times.
    pub zone: Zone,
}

impl Look {
    /// What a request's cookies name.
    pub fn of(headers: &HeaderMap) -> Self {
        let theme = cookie::theme(headers).map(Theme::named).unwrap_or_default();
        Self { theme, zone: cookie::zone(headers).map(Zone::named).unwrap_or_default() }
    }
}

/// How a page is coloured.
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

/// In which zone times are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Zone {
    /// The log's own.
    #[default]
    Utc,
    /// The browser's.
    Local,
}

impl Zone {
    fn named(text: &str) -> Self {
        if text == "local" { Self::Local } else { Self::Utc }
    }

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Utc => "utc",
            Self::Local => "local",
        }
    }
}

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
