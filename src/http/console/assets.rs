//! What pages load: one style sheet and two scripts, out of the binary.
//!
//! INVARIANT: an address with a version is of just those bytes, so browsers keep it for ever.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use super::page_error::PageError;

struct Asset {
    name: &'static str,
    kind: &'static str,
    bytes: &'static [u8],
}

/// Written in several files, sent as one.
const STYLE: &str = concat!(
    include_str!("../../../admin-ui/assets/console.css"),
    include_str!("../../../admin-ui/assets/layout.css"),
    include_str!("../../../admin-ui/assets/touch.css"),
);
const SCRIPT: &str =
    concat!(include_str!("../../../admin-ui/assets/console.js"), include_str!("../../../admin-ui/assets/keys.js"));

static SENT_STYLE: LazyLock<String> = LazyLock::new(|| tight(&without_notes(STYLE)));
static SENT_SCRIPT: LazyLock<String> = LazyLock::new(|| without_notes(SCRIPT));

/// The lines that a browser needs: without indentation, and without those that are notes for us.
fn without_notes(source: &str) -> String {
    let is_note = |line: &str| line.is_empty() || line.starts_with("//") || (line.starts_with("/*") && line.ends_with("*/"));
    let lines: Vec<&str> = source.lines().map(str::trim).filter(|line| !is_note(line)).collect();
    lines.join("\n")
}

/// A style sheet without the blanks that only people need.
fn tight(style: &str) -> String {
    let pairs = [(": ", ":"), ("; ", ";"), (" {", "{"), ("{ ", "{"), (";}", "}"), (" }", "}"), (", ", ",")];
    pairs.iter().fold(style.to_owned(), |style, (loose, tight)| style.replace(loose, tight))
}

static ASSETS: LazyLock<[Asset; 5]> = LazyLock::new(|| {
    [
        Asset { name: "console.css", kind: "text/css; charset=utf-8", bytes: SENT_STYLE.as_bytes() },
        Asset {
            name: "htmx.js",
            kind: "text/javascript; charset=utf-8",
            bytes: include_bytes!("../../../admin-ui/assets/vendor/htmx-4.0.1.min.js"),
        },
        Asset {
            name: "htmx-license.txt",
            kind: "text/plain; charset=utf-8",
            bytes: include_bytes!("../../../admin-ui/assets/vendor/htmx-LICENSE.txt"),
        },
        Asset { name: "console.js", kind: "text/javascript; charset=utf-8", bytes: SENT_SCRIPT.as_bytes() },
        Asset { name: "icon.svg", kind: "image/svg+xml", bytes: include_bytes!("../../../admin-ui/assets/icon.svg") },
    ]
});

/// Changes whenever one of them does.
pub fn version() -> &'static str {
    static VERSION: LazyLock<String> = LazyLock::new(|| {
        let mut all = Sha256::new();
        for asset in ASSETS.iter() {
            all.update(asset.bytes);
        }
        hex::encode(all.finalize()).chars().take(12).collect()
    });
    &VERSION
}

/// One of them.
pub async fn serve(Path(name): Path<String>) -> Result<Response, PageError> {
    let asset = ASSETS.iter().find(|asset| asset.name == name).ok_or(PageError::NotFound)?;
    let headers = [(CONTENT_TYPE, asset.kind), (CACHE_CONTROL, "public, max-age=31536000, immutable")];
    Ok((headers, asset.bytes).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tight_style_says_the_same() {
        let loose = "@media (hover: none), (max-width: 4rem) { a > b, c { margin: 0 1px; width: calc(1px + 2px); } }";
        assert_eq!(tight(loose), "@media (hover:none),(max-width:4rem){a > b,c{margin:0 1px;width:calc(1px + 2px)}}");
        assert_eq!(SENT_STYLE.matches('{').count(), SENT_STYLE.matches('}').count());
    }
}
