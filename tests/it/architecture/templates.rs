//! Templates mirror pages: who looks for a page's template finds it by the page's name.

use std::fs;
use std::path::Path;

use super::{find, sources};

/// The page of a template's name, or the page that its folder is of; `shared` of what several pages have.
fn page_of(template: &str) -> &str {
    template.split_once('/').map_or_else(|| template.trim_end_matches(".html"), |(folder, _)| folder)
}

/// The templates that a text names, between this and a quotation mark.
fn templates_named<'a>(text: &'a str, before: &'a [&str]) -> impl Iterator<Item = &'a str> {
    before.iter().flat_map(move |before| text.split(*before).skip(1).filter_map(|rest| rest.split('"').next()))
}

/// `http/console/X.rs` is shown by `X.html`, its parts by `X/….html`, and what several pages have is in `shared`.
#[test]
fn templates_mirror_the_pages() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("admin-ui/templates");
    let mut named: Vec<(String, String)> = Vec::new();
    for source in sources() {
        let Some(page) = source.module.strip_prefix(&["http".to_owned(), "console".to_owned()]).and_then(<[_]>::first) else {
            continue;
        };
        let templates = templates_named(&source.text, &["#[template(path = \""]);
        named.extend(templates.map(|template| (page.clone(), template.to_owned())));
    }
    assert!(named.len() > 25, "the console was not found");
    let pages: Vec<String> = named.iter().map(|(page, _)| page.clone()).collect();
    let mut unread: Vec<String> = named.iter().map(|(_, template)| template.clone()).collect();
    let mut read = Vec::new();
    while let Some(template) = unread.pop() {
        if read.contains(&template) {
            continue;
        }
        let text = fs::read_to_string(root.join(&template)).unwrap_or_else(|error| panic!("{template}: {error}"));
        let page = page_of(&template).to_owned();
        named.extend(
            templates_named(&text, &["include \"", "extends \"", "import \""]).map(|used| (page.clone(), used.to_owned())),
        );
        unread.extend(named.iter().map(|(_, template)| template.clone()));
        read.push(template);
    }
    for (page, template) in &named {
        let of = page_of(template);
        assert!(of == page || of == "shared", "the page {page} is shown by {template}, which is of {of}");
    }
    for page in pages {
        assert!(read.contains(&format!("{page}.html")), "the page {page} has no template of its name");
    }
    let mut there = Vec::new();
    find(&root, "html", &mut there);
    let there = there.iter().map(|file| file.strip_prefix(&root).expect("below the root").to_string_lossy().into_owned());
    let unused: Vec<String> = there.filter(|template| !read.contains(template)).collect();
    assert!(unused.is_empty(), "no page is shown by {unused:?}");
}
