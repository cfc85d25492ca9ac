//! Text in an address and in a form, before anybody reads it.
//!
//! INVARIANT: what is percent-encoded there is UTF-8 without NUL, so that no reader has to guess, and both databases can hold
//! whatever is looked for. An address has no more parameters than somebody writes into one.

use axum::extract::Request;
use axum::http::Uri;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::problem::Problem;

const WHY: &str = "The address holds a NUL, or text that is not UTF-8.";

/// Most parameters of an address. To read one costs a hundred times what it costs to send it.
const MAX_COUNT: usize = 200;
const TOO_MANY: &str = "The address has more than 200 parameters.";

/// Whether percent-encoded text is UTF-8 without NUL.
pub fn is_legible(encoded: &[u8]) -> bool {
    let mut plain = Vec::with_capacity(encoded.len());
    let mut rest = encoded;
    while let Some((first, after)) = rest.split_first() {
        let escaped = after.split_at_checked(2).filter(|_| *first == b'%');
        let byte = escaped.and_then(|(digits, after)| Some((hex::decode(digits).ok()?.first().copied()?, after)));
        let (byte, after) = byte.unwrap_or((*first, after));
        plain.push(byte);
        rest = after;
    }
    !plain.contains(&0) && std::str::from_utf8(&plain).is_ok()
}

/// What is wrong with an address, if anything.
pub fn wrong(uri: &Uri) -> Option<&'static str> {
    let query = uri.query().unwrap_or_default().as_bytes();
    if query.split(|byte| *byte == b'&').count() > MAX_COUNT {
        return Some(TOO_MANY);
    }
    (!is_legible(uri.path().as_bytes()) || !is_legible(query)).then_some(WHY)
}

/// What is wrong with the address of a call, which is recorded before it is refused.
pub fn fault(uri: &Uri) -> Option<Problem> {
    wrong(uri).map(Problem::malformed)
}

/// Refuses an address of the API that cannot be read; one of a call is its [`fault`].
pub async fn check(request: Request, next: Next) -> Response {
    match wrong(request.uri()).filter(|_| request.method().is_safe()) {
        Some(why) => Problem::malformed(why).into_response(),
        None => next.run(request).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_without_nul_in_utf_8_is_legible() {
        for text in ["", "a=b&c=d", "q=%E6%95%B0%E6%8D%AE", "100%", "%zz", "%2", "é", "%25%30%30"] {
            assert!(is_legible(text.as_bytes()), "{text}");
        }
        for text in ["%00", "a%00b", "\0", "%ff", "%c3%28", "%ed%a0%80", "%E6%95"] {
            assert!(!is_legible(text.as_bytes()), "{text}");
        }
    }
}
