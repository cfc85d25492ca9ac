//! The host name of this node, so that an operator can find its process.
//!
//! INVARIANT: it has the characters of a host name only, and a bounded length: pages show it.

/// As long as the name of a machine may be.
const MAX_LENGTH: usize = 64;

/// This machine's name.
pub(super) fn host() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    Some(named(&name)).filter(|name| !name.is_empty())
}

/// What of a text can be the name of a machine.
fn named(text: &str) -> String {
    text.trim().chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')).take(MAX_LENGTH).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_bounded_and_moves_no_cursor() {
        assert_eq!(named("web-1.example.com\n"), "web-1.example.com");
        assert_eq!(named("a\u{1b}[2Jb <c>"), "a2Jbc");
        assert_eq!(named(&"a".repeat(1000)).len(), MAX_LENGTH);
    }
}
