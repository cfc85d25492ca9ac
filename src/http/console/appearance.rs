//! How a person wants to see pages: light, dark, or as the system has it; times in UTC or in the browser's zone. Pages say
//! UTC; only the script of a page knows the browser's zone.

use axum::http::HeaderMap;

use super::cookie;

/// What was chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Appearance {
    /// Colours.
    pub theme: Theme,
    /// Times.
    pub zone: Zone,
}

impl Appearance {
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
    /// Reads what [`Theme::as_str`] wrote.
    pub fn named(text: &str) -> Self {
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
    /// Reads what [`Zone::as_str`] wrote.
    pub fn named(text: &str) -> Self {
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
