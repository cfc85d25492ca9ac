//! How long things are, and what they are called.

use std::fs;
use std::path::Path;

use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use super::{Source, sources, sources_below};

const LONGEST_FILE: usize = 400;
const LONGEST_FUNCTION: usize = 80;
const BANNED: &[&str] = &["util", "utils", "helper", "helpers", "manager", "managers"];

/// Collects functions by length, and names of items.
#[derive(Default)]
struct Items {
    functions: Vec<(String, usize)>,
    names: Vec<String>,
}

impl Items {
    fn add(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let lines = block.span().end().line - signature.span().start().line + 1;
        self.functions.push((signature.ident.to_string(), lines));
        self.names.push(signature.ident.to_string());
    }
}

impl<'ast> Visit<'ast> for Items {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.add(&item.sig, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.add(&item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        self.names.push(item.ident.to_string());
    }

    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        self.names.push(item.ident.to_string());
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.names.push(item.ident.to_string());
        visit::visit_item_trait(self, item);
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.names.push(item.ident.to_string());
        visit::visit_item_mod(self, item);
    }
}

fn items(source: &Source) -> Items {
    let mut items = Items::default();
    items.visit_file(&source.parse());
    items
}

fn long_file(source: &Source) -> Option<String> {
    let lines = source.text.lines().count();
    (lines > LONGEST_FILE).then(|| format!("{}: {lines} lines", source.name))
}

fn too_long(source: &Source) -> Vec<String> {
    let functions = items(source).functions.into_iter().filter(|(_, lines)| *lines > LONGEST_FUNCTION);
    let functions = functions.map(|(name, lines)| format!("{}: fn {name} has {lines} lines", source.name));
    long_file(source).into_iter().chain(functions).collect()
}

#[test]
fn files_and_functions_are_short() {
    let long: Vec<_> = sources().iter().flat_map(too_long).collect();
    assert!(long.is_empty(), "{}", long.join("\n"));
}

#[test]
fn a_long_file_and_a_long_function_are_found() {
    let function = |lines: usize| format!("fn f() {{\n{}}}\n", "    ();\n".repeat(lines - 2));
    assert_eq!(too_long(&Source::new("core/a.rs", &function(LONGEST_FUNCTION))), [""; 0]);
    assert_eq!(too_long(&Source::new("core/a.rs", &function(LONGEST_FUNCTION + 1))), ["core/a.rs: fn f has 81 lines"]);
    assert_eq!(too_long(&Source::new("core/a.rs", &"\n".repeat(401))), ["core/a.rs: 401 lines"]);
}

/// The long files among the tests and benches of a crate.
fn long_tests(root: &Path) -> Vec<String> {
    let below = |dir: &'static str| {
        let sources = sources_below(&root.join(dir));
        assert!(!sources.is_empty(), "nothing was found in {dir}");
        sources.into_iter().filter_map(move |source| long_file(&source).map(|long| format!("{dir}/{long}")))
    };
    ["tests/it", "benches"].into_iter().flat_map(below).collect()
}

#[test]
fn tests_and_benches_are_short() {
    let long = long_tests(Path::new(env!("CARGO_MANIFEST_DIR")));
    assert!(long.is_empty(), "{}", long.join("\n"));
}

#[test]
fn a_long_test_and_a_long_bench_are_found() {
    let planted = tempfile::tempdir().expect("a directory");
    let plant = |file: &str, lines: usize| {
        let file = planted.path().join(file);
        fs::create_dir_all(file.parent().expect("a directory")).expect("a directory");
        fs::write(file, "//\n".repeat(lines)).expect("a file");
    };
    plant("tests/it/suite/short.rs", LONGEST_FILE);
    plant("tests/it/suite/long.rs", LONGEST_FILE + 1);
    plant("benches/long/main.rs", LONGEST_FILE + 1);
    assert_eq!(long_tests(planted.path()), ["tests/it/suite/long.rs: 401 lines", "benches/long/main.rs: 401 lines"]);
}

/// The words of a name, however it joins them.
fn words(name: &str) -> Vec<String> {
    let mut spaced = String::new();
    for c in name.chars() {
        if c.is_uppercase() {
            spaced.push('_');
        }
        spaced.extend(c.to_lowercase());
    }
    spaced.split('_').map(str::to_owned).collect()
}

fn banned_names(source: &Source) -> Vec<String> {
    let names = items(source).names.into_iter().chain(source.module.clone());
    names.filter(|name| words(name).iter().any(|word| BANNED.contains(&word.as_str()))).collect()
}

#[test]
fn nothing_is_called_after_nothing() {
    let banned: Vec<_> = sources()
        .iter()
        .flat_map(|source| banned_names(source).into_iter().map(|name| format!("{}: {name}", source.name)))
        .collect();
    assert!(banned.is_empty(), "{}", banned.join("\n"));
    assert_eq!(
        banned_names(&Source::new("log/sql_utils.rs", "struct CallManager; fn helper() {}")),
        ["CallManager", "helper", "sql_utils"]
    );
}

#[test]
fn every_file_says_at_its_head_why_it_exists() {
    let silent: Vec<_> =
        sources().into_iter().filter(|source| !source.text.starts_with("//! ")).map(|source| source.name).collect();
    assert!(silent.is_empty(), "{}", silent.join("\n"));
}
