//! The bearer token of a request: one, in its `Authorization` header, and nowhere else.

use axum::http::{HeaderMap, header};

use super::problem::Problem;

/// The token, or what is wrong with the header.
pub(super) fn bearer(headers: &HeaderMap) -> Result<&str, Problem> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next().ok_or_else(|| Problem::unauthenticated("No key was given."))?;
    if values.next().is_some() {
        return Err(Problem::unauthenticated("More than one key was given."));
    }
    let (scheme, token) = value.to_str().ok().and_then(|text| text.split_once(' ')).unwrap_or_default();
    if scheme.eq_ignore_ascii_case("bearer") {
        Ok(token.trim())
    } else {
        Err(Problem::unauthenticated("That is not a bearer key."))
    }
}
