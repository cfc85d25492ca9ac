//! Addresses within the console: how they are written, and which ones a page goes on to.

/// As a value in a query.
pub fn encoded(text: &str) -> String {
    let mut written = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => written.push(char::from(byte)),
            _ => {
                written.push('%');
                written.push_str(&hex::encode_upper([byte]));
            }
        }
    }
    written
}

/// A place in the console, and nowhere else: what comes from outside never leads away.
pub fn local(next: &str) -> &str {
    let is_plain = next.starts_with("/console/") && next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let leads_back = next.starts_with("/console/sign-in") || next.starts_with("/console/welcome");
    if is_plain && !leads_back { next } else { "/console/" }
}
