//! The house keeps its order (CONTRIBUTING.md): who may use whom, how long things are, and what they are called.
//!
//! Every `crate::`, `super::` and `use` path of the source is read, also inside macros, and each wrong arrow is named.

use std::fs;
use std::path::{Path, PathBuf};

use syn::spanned::Spanned;
use syn::visit::{self, Visit};

/// From what sees everything to what sees nothing. A module uses what is in a later row, never its own row's neighbours.
const ORDER: &[&[&str]] = &[
    &["main"],
    &["cli"],
    &["app"],
    &["telemetry"],
    &["config", "ambient"],
    &["http", "worker", "views", "export"],
    &["control"],
    &["policy"],
    &["tools"],
    &["providers"],
    &["auth"],
    &["log"],
    &["core"],
];

const LONGEST_FILE: usize = 400;
const LONGEST_FUNCTION: usize = 80;
const BANNED: &[&str] = &["util", "utils", "helper", "helpers", "manager", "managers"];

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

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    find(&root, &mut files);
    files.sort();
    let relative = |file: &Path| file.strip_prefix(&root).expect("below the root").to_string_lossy().into_owned();
    let sources = files.iter().map(|file| Source::new(&relative(file), &fs::read_to_string(file).expect("a text")));
    let sources: Vec<_> = sources.collect();
    assert!(sources.len() > 10, "the source was not found");
    sources
}

fn find(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            find(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Collects every path, as absolute segments within the crate.
struct Paths {
    module: Vec<String>,
    found: Vec<(usize, Vec<String>)>,
}

impl Paths {
    /// What `path` means here; nothing if it leads out of the crate or to something local.
    fn add(&mut self, line: usize, path: &[String]) {
        let Some((first, rest)) = path.split_first() else { return };
        let absolute = match first.as_str() {
            "crate" | "forelog" => rest.to_vec(),
            "self" => [&self.module, rest].concat(),
            "super" => {
                let ups = path.iter().take_while(|segment| *segment == "super").count();
                let base = self.module.len().saturating_sub(ups);
                [&self.module[..base], &path[ups..]].concat()
            }
            _ => return,
        };
        self.found.push((line, absolute));
    }

    fn add_use(&mut self, tree: &syn::UseTree, path: &mut Vec<String>) {
        match tree {
            syn::UseTree::Path(step) => {
                path.push(step.ident.to_string());
                self.add_use(&step.tree, path);
                path.pop();
            }
            syn::UseTree::Group(group) => group.items.iter().for_each(|item| self.add_use(item, path)),
            syn::UseTree::Name(name) => self.add_leaf(name.ident.span().start().line, path, &name.ident.to_string()),
            syn::UseTree::Rename(name) => self.add_leaf(name.ident.span().start().line, path, &name.ident.to_string()),
            syn::UseTree::Glob(glob) => self.add_leaf(glob.span().start().line, path, "*"),
        }
    }

    fn add_leaf(&mut self, line: usize, path: &mut Vec<String>, name: &str) {
        path.push(name.to_owned());
        self.add(line, path);
        path.pop();
    }

    /// Macros keep their tokens to themselves, so paths are read from the text of the tokens.
    fn add_tokens(&mut self, line: usize, tokens: &str) {
        let spaced = tokens.replace("::", " :: ");
        let words: Vec<_> =
            spaced.split(|c: char| c.is_whitespace() || "(){}[],;&*!.".contains(c)).filter(|word| !word.is_empty()).collect();
        for (at, word) in words.iter().enumerate() {
            let starts = matches!(*word, "crate" | "super" | "self" | "forelog") && (at == 0 || words[at - 1] != "::");
            if !starts || words.get(at + 1) != Some(&"::") {
                continue;
            }
            let steps = words[at..].chunks(2).take_while(|step| step.len() == 1 || step[1] == "::" || step[0] != "::");
            let mut path = Vec::new();
            for step in steps {
                path.push(step[0].to_owned());
                if step.get(1) != Some(&"::") {
                    break;
                }
            }
            self.add(line, &path);
        }
    }
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.module.push(item.ident.to_string());
        visit::visit_item_mod(self, item);
        self.module.pop();
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.add_use(&item.tree, &mut Vec::new());
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<_> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if segments.len() > 1 {
            self.add(path.span().start().line, &segments);
        }
        visit::visit_path(self, path);
    }

    fn visit_vis_restricted(&mut self, _: &'ast syn::VisRestricted) {}

    fn visit_macro(&mut self, mac: &'ast syn::Macro) {
        self.add_tokens(mac.span().start().line, &mac.tokens.to_string());
        visit::visit_macro(self, mac);
    }
}

fn rank(module: &str) -> Option<usize> {
    ORDER.iter().position(|row| row.contains(&module))
}

/// Every arrow of `source` that the order does not have.
fn wrong_arrows(source: &Source) -> Vec<String> {
    let Some(from) = source.module.first() else { return Vec::new() };
    let Some(own) = rank(from) else { return vec![format!("{}: {from} has no place in the order", source.name)] };
    let mut paths = Paths { module: source.module.clone(), found: Vec::new() };
    paths.visit_file(&source.parse());
    let wrong = paths.found.into_iter().filter_map(|(line, path)| {
        let to = path.first()?;
        let right = to == from || rank(to).is_some_and(|rank| rank > own);
        (!right).then(|| format!("{}:{line}: {from} may not use {}", source.name, path.join("::")))
    });
    wrong.collect()
}

#[test]
fn every_arrow_points_to_the_right() {
    let wrong: Vec<_> = sources().iter().flat_map(wrong_arrows).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_wrong_arrow_is_found_wherever_it_hides() {
    let planted = [
        ("core/call.rs", "use crate::log::Store;"),
        ("core/call.rs", "use crate::{core::id, http::Router};"),
        ("core/call.rs", "use super::super::worker;"),
        ("core/call.rs", "use super::super::{core, log as journal};"),
        ("core/call.rs", "fn f() { let _ = crate::log::open(); }"),
        ("core/call.rs", "fn f(_: &crate::log::Store) {}"),
        ("core/call.rs", "fn f() { println!(\"{}\", crate::log::open(1)); }"),
        ("core/call.rs", "macro_rules! m { () => { $crate::log::open() }; }"),
        ("core/event/mod.rs", "mod tests { use super::super::super::log::Store; }"),
        ("core/event/mod.rs", "use super::super::log::*;"),
        ("log/mod.rs", "use crate::auth::Key;"),
        ("http/mcp.rs", "use crate::worker::Worker;"),
        ("views/calls.rs", "use crate::export::Bundle;"),
        ("control/mod.rs", "use crate::config::Config;"),
        ("http/mod.rs", "use crate::telemetry::count;"),
        ("worker/mod.rs", "use crate::ambient::SystemClock;"),
        ("app.rs", "use crate::cli::Command;"),
        ("cli/serve.rs", "fn f() { forelog::main::f() }"),
        ("core/call.rs", "use crate::nowhere::Thing;"),
        ("attic/old.rs", ""),
    ];
    for (name, text) in planted {
        assert_eq!(wrong_arrows(&Source::new(name, text)).len(), 1, "{name}: {text}");
    }
    let allowed = [
        ("core/event/mod.rs", "use super::code::Code; mod tests { use super::super::code::Code; }"),
        ("core/event/body.rs", "use crate::core::{code::Code, id}; use self::inner::X;"),
        ("http/mod.rs", "use crate::{control, core::id::CallId}; fn f() { println!(\"{}\", crate::log::open()) }"),
        ("main.rs", "use forelog::cli; fn main() { forelog::app::run() }"),
        ("app.rs", "use crate::{ambient, config, http, telemetry, worker};"),
        ("core/mod.rs", "pub(in crate::core) fn f() {} use std::crate_name::x;"),
        ("lib.rs", "pub use crate::core::id;"),
    ];
    for (name, text) in allowed {
        assert_eq!(wrong_arrows(&Source::new(name, text)), [""; 0], "{name}: {text}");
    }
}

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

fn too_long(source: &Source) -> Vec<String> {
    let lines = source.text.lines().count();
    let file = (lines > LONGEST_FILE).then(|| format!("{}: {lines} lines", source.name));
    let functions = items(source).functions.into_iter().filter(|(_, lines)| *lines > LONGEST_FUNCTION);
    file.into_iter().chain(functions.map(|(name, lines)| format!("{}: fn {name} has {lines} lines", source.name))).collect()
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

/// A page of the console reads, and asks for tools: what it changed by itself would be a change that nobody decided.
#[test]
fn pages_change_nothing_by_themselves() {
    let forbidden = ["writer", "append", "begin", "execute", "Draft", "NewEvent"];
    let mut looked_at = 0;
    for source in sources().into_iter().filter(|source| source.name.starts_with("http/console/")) {
        looked_at += 1;
        let code = source.text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
        let used: Vec<_> =
            code.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| forbidden.contains(word)).collect();
        assert!(used.is_empty(), "{} uses {used:?}", source.name);
    }
    assert!(looked_at > 15, "the console was not found");
}

/// A tool that wrote past `record` would land its change behind a switch that is engaged.
#[test]
fn tools_write_only_by_record() {
    let mut looked_at = 0;
    for source in sources().into_iter().filter(|source| source.name.starts_with("tools/") && source.name != "tools/record.rs") {
        looked_at += 1;
        let code: String = source.text.split_whitespace().collect();
        assert!(!code.contains("writer.write"), "{} writes past tools/record.rs", source.name);
    }
    assert!(looked_at > 40, "the tools were not found");
}

/// Files that still write to the log by closures of their own. None is added.
const CLOSURES: &[&str] = &[
    "app/clock.rs",
    "app/desk.rs",
    "app/limits.rs",
    "app/mend.rs",
    "auth/begun.rs",
    "auth/invited.rs",
    "auth/oidc/before.rs",
    "auth/oidc/giving.rs",
    "auth/oidc/linking.rs",
    "auth/session.rs",
    "auth/welcome.rs",
    "control/limits.rs",
    "control/policies/recording.rs",
    "tools/clock/accept.rs",
    "tools/limits.rs",
    "tools/record.rs",
    "tools/switch/asked.rs",
    "tools/switch/drain.rs",
    "tools/switch/release.rs",
    "tools/vm/claim.rs",
];

/// Whoever runs a closure in the transaction of an append keeps everybody waiting: `log` has named operations. A closure needs a
/// `Draft`, and says with a `Want` what is read for it; the verifier's only reads.
#[test]
fn nobody_but_the_log_runs_closures_under_its_lock() {
    let mut listed = Vec::new();
    for source in sources().into_iter().filter(|source| !source.name.starts_with("log/") && source.name != "export/verify/mod.rs")
    {
        let code = source.text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
        if code.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == "Draft" || word == "Want") {
            listed.push(source.name);
        }
    }
    assert_eq!(listed, CLOSURES, "what no longer runs a closure leaves the list");
}

/// Collects texts in a file, and those that something is compared with.
#[derive(Default)]
struct Texts {
    found: Vec<(usize, String)>,
    compared: Vec<(usize, String)>,
}

impl Texts {
    fn compare(&mut self, expression: &syn::Expr) {
        if let syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) = expression {
            self.compared.push((text.span().start().line, text.value()));
        }
    }

    /// Macros keep their tokens to themselves.
    fn add_tokens(&mut self, tokens: proc_macro2::TokenStream, compares: bool) {
        for token in tokens {
            match token {
                proc_macro2::TokenTree::Group(group) => self.add_tokens(group.stream(), compares),
                proc_macro2::TokenTree::Literal(literal) => {
                    if let Ok(text) = syn::parse_str::<syn::LitStr>(&literal.to_string()) {
                        let (line, text) = (literal.span().start().line, text.value());
                        self.compared.extend(compares.then(|| (line, text.clone())));
                        self.found.push((line, text));
                    }
                }
                _ => {}
            }
        }
    }
}

impl<'ast> Visit<'ast> for Texts {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if item.ident != "tests" {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_lit_str(&mut self, text: &'ast syn::LitStr) {
        self.found.push((text.span().start().line, text.value()));
    }

    fn visit_expr_binary(&mut self, binary: &'ast syn::ExprBinary) {
        if matches!(binary.op, syn::BinOp::Eq(_) | syn::BinOp::Ne(_)) {
            self.compare(&binary.left);
            self.compare(&binary.right);
        }
        visit::visit_expr_binary(self, binary);
    }

    fn visit_pat(&mut self, pattern: &'ast syn::Pat) {
        if let syn::Pat::Lit(literal) = pattern {
            self.compare(&syn::Expr::Lit(literal.clone()));
        }
        visit::visit_pat(self, pattern);
    }

    /// What is looked for among several.
    fn visit_expr_array(&mut self, array: &'ast syn::ExprArray) {
        if array.elems.len() > 1 {
            array.elems.iter().for_each(|one| self.compare(one));
        }
        visit::visit_expr_array(self, array);
    }

    fn visit_macro(&mut self, mac: &'ast syn::Macro) {
        self.add_tokens(mac.tokens.clone(), mac.path.is_ident("matches"));
    }
}

/// Rooms that know tools by their facts alone. `core/member.rs` has the name of the tool that invites: an invitation is held against
/// a switch on that tool where no catalogue is in sight.
const KNOW_NO_TOOL: [&str; 9] = ["core", "log", "policy", "control", "worker", "views", "export", "auth", "providers"];

fn named_tools(source: &Source) -> Vec<String> {
    let events: std::collections::BTreeSet<&str> =
        crate::kinds::one_of_each().iter().map(forelog::core::event::Kind::name).collect();
    let tools = forelog::tools::names();
    let mut texts = Texts::default();
    texts.visit_file(&source.parse());
    let is_tool = |(_, text): &(usize, String)| tools.contains(text) && !events.contains(text.as_str());
    let room = source.module.first().map_or("", String::as_str);
    let found = texts.found.into_iter().filter(|_| KNOW_NO_TOOL.contains(&room) && source.name != "core/member.rs");
    found.chain(texts.compared).filter(is_tool).map(|(line, text)| format!("{}:{line}: {text}", source.name)).collect()
}

/// What is special about a tool is in its facts: a place that matched its name would not know the next one of its kind.
#[test]
fn no_tool_is_told_by_its_name() {
    let named: Vec<_> = sources().iter().flat_map(named_tools).collect();
    assert!(named.is_empty(), "{}", named.join("\n"));
    for (name, text) in [
        ("worker/a.rs", r#"fn f(job: &Job) -> bool { job.tool == "vm_power" }"#),
        ("worker/a.rs", r#"fn f() { g("vm_power") }"#),
        ("http/a.rs", r#"fn f(tool: &str) -> bool { tool != "vm_power" }"#),
        ("http/a.rs", r#"fn f(tool: &str) -> bool { matches!(tool, "vm_power") }"#),
        ("cli/a.rs", r#"fn f(tool: &str) -> u8 { match tool { "vm_power" => 1, _ => 0 } }"#),
    ] {
        assert!(!named_tools(&Source::new(name, text)).is_empty(), "{name}: {text}");
    }
    for (name, text) in [
        ("http/a.rs", r#"fn f(visit: &Visit) { visit.call("vm_power", args) }"#),
        ("tools/vm/power.rs", r#"static FACTS: ToolFacts = facts::write("vm_power");"#),
        ("worker/a.rs", r#"fn f(kind: &str) -> bool { kind == "vm_imported" }"#),
    ] {
        assert_eq!(named_tools(&Source::new(name, text)), [""; 0], "{name}: {text}");
    }
    assert_eq!(named_tools(&Source::new("tools/a.rs", r#"const COMMANDS: [&str; 2] = ["command_start", "vm_exec"];"#)).len(), 2);
}

/// A handler that took a provider past `Execution::provider` would ask it behind a switch that is engaged.
#[test]
fn tools_reach_providers_by_their_execution() {
    for source in sources().into_iter().filter(|source| source.name.starts_with("tools/") && source.name != "tools/mod.rs") {
        let code: String = source.text.split_whitespace().collect();
        assert!(!code.contains("ports.compute.get("), "{} takes a provider past the fence", source.name);
    }
}

/// The pipeline knows resources, and no VM: the row's own file, what says which VMs a key may touch, and events about the row do.
#[test]
fn the_pipeline_knows_no_vm() {
    let may = [
        "core/vm.rs",
        "core/importing.rs",
        "core/id.rs",
        "core/sight.rs",
        "core/lineage.rs",
        "core/row.rs",
        "core/state.rs",
        "core/stored.rs",
    ];
    let rooms = ["core/", "log/", "control/", "worker/", "policy/"];
    let others = ["core/event/body.rs", "core/event/mod.rs", "policy/cases.rs"];
    let of_rooms =
        |name: &str| rooms.iter().any(|room| name.starts_with(room)) && !may.contains(&name) && !others.contains(&name);
    let mut looked_at = 0;
    for source in sources().into_iter().filter(|source| of_rooms(&source.name)) {
        looked_at += 1;
        let code = source.text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
        let words = code.split(|c: char| !c.is_alphanumeric() && c != '_');
        let used: Vec<_> = words.filter(|word| ["Vm", "VmId", "vm_id", "owned_vm"].contains(word)).collect();
        assert!(used.is_empty(), "{} uses {used:?}", source.name);
    }
    assert!(looked_at > 80, "the pipeline was not found");
}
