//! Which kinds of answer a client takes, by its `Accept` header (RFC 9110 §12.5.1).

use axum::http::{HeaderMap, HeaderValue, header};

const JSON: (&str, &str) = ("application", "json");
const STREAM: (&str, &str) = ("text", "event-stream");

/// What rmcp wants to read.
pub const BOTH: HeaderValue = HeaderValue::from_static("application/json, text/event-stream");

/// What a client takes of what we have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// A JSON document.
    pub json: bool,
    /// A stream of events.
    pub stream: bool,
}

impl Accepted {
    /// What these headers accept. A client that does not say takes everything.
    pub fn of(headers: &HeaderMap) -> Self {
        let mut values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).peekable();
        if values.peek().is_none() && !headers.contains_key(header::ACCEPT) {
            return Self { json: true, stream: true };
        }
        let ranges: Vec<Range> = values.flat_map(|value| value.split(',')).filter_map(Range::read).collect();
        Self { json: takes(&ranges, JSON), stream: takes(&ranges, STREAM) }
    }

    /// Whether there is anything that can be answered.
    pub fn is_anything(self) -> bool {
        self.json || self.stream
    }
}

/// A media range: its type, its subtype, and whether it is wanted at all.
struct Range {
    of: String,
    kind: String,
    wanted: bool,
}

impl Range {
    fn read(text: &str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let (of, kind) = parts.next()?.split_once('/')?;
        let weight = parts.find_map(|part| {
            let (name, value) = part.split_once('=')?;
            name.trim().eq_ignore_ascii_case("q").then(|| value.trim().parse::<f32>().ok()).flatten()
        });
        let wanted = weight.is_none_or(|weight| weight > 0.0);
        Some(Self { of: of.to_ascii_lowercase(), kind: kind.to_ascii_lowercase(), wanted })
    }

    /// How closely it names a type; none if it does not.
    fn closeness(&self, (of, kind): (&str, &str)) -> Option<u8> {
        match (self.of.as_str(), self.kind.as_str()) {
            (mine, exact) if mine == of && exact == kind => Some(2),
            (mine, "*") if mine == of => Some(1),
            ("*", "*") => Some(0),
            _ => None,
        }
    }
}

/// The closest range decides.
fn takes(ranges: &[Range], media: (&str, &str)) -> bool {
    let naming = ranges.iter().filter_map(|range| Some((range.closeness(media)?, range.wanted)));
    naming.max().is_some_and(|(_, wanted)| wanted)
}

#[cfg(test)]
mod tests {
    use super::{Accepted, HeaderMap, header};

    fn of(text: &str) -> (bool, bool) {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, text.parse().expect("a header"));
        let accepted = Accepted::of(&headers);
        (accepted.json, accepted.stream)
    }

    #[test]
    fn accept_is_read_as_http_says() {
        assert_eq!(Accepted::of(&HeaderMap::new()), Accepted { json: true, stream: true });
        assert_eq!(of("*/*"), (true, true));
        assert_eq!(of("application/json"), (true, false));
        assert_eq!(of("Application/JSON; charset=utf-8"), (true, false));
        assert_eq!(of("text/event-stream"), (false, true));
        assert_eq!(of("application/*, text/*;q=0.1"), (true, true));
        assert_eq!(of("application/json;q=0, */*"), (false, true));
        assert_eq!(of("*/*;q=0.5, text/event-stream;q=0.000"), (true, false));
        assert_eq!(of("text/html"), (false, false));
        assert_eq!(of(""), (false, false));
    }
}
