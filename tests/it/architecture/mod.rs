//! The house keeps its order (CONTRIBUTING.md): who may use whom, how long things are, and what they are called.
//!
//! Every `crate::`, `super::` and `use` path of the source is read, also inside macros, and each wrong arrow and each circle is named.

mod arrows;
mod circles;
mod commands;
mod operations;
mod paths;
mod shape;
mod templates;
mod words;

use std::fs;
use std::path::{Path, PathBuf};

/// A file of the source: where its module is in the tree, and its text.
struct Source {
    name: String,
    module: Vec<String>,
    text: String,
}

impl Source {
    fn new(name: &str, text: &str) -> Self {
        let mut module: Vec<_> = name.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
        if module.last().is_some_and(|last| last == "mod" || (last == "lib" && module.len() == 1)) {
            module.pop();
        }
        Self { name: name.to_owned(), module, text: text.to_owned() }
    }

    fn parse(&self) -> syn::File {
        syn::parse_file(&self.text).unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }
}

/// Every file of the source, by its path below `src`.
fn sources() -> Vec<Source> {
    let sources = sources_below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    assert!(sources.len() > 10, "the source was not found");
    sources
}

fn sources_below(root: &Path) -> Vec<Source> {
    let mut files = Vec::new();
    find(root, "rs", &mut files);
    files.sort();
    let relative = |file: &Path| file.strip_prefix(root).expect("below the root").to_string_lossy().into_owned();
    files.iter().map(|file| Source::new(&relative(file), &fs::read_to_string(file).expect("a text"))).collect()
}

fn find(dir: &Path, extension: &str, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            find(&path, extension, files);
        } else if path.extension().is_some_and(|found| found == extension) {
            files.push(path);
        }
    }
}
