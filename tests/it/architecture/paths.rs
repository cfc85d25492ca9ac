//! The paths of a file: what it uses.

use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use super::Source;

/// Collects every path, as absolute segments within the crate.
pub(super) struct Paths {
    module: Vec<String>,
    /// Each with its line.
    pub(super) found: Vec<(usize, Vec<String>)>,
    /// What is named here for others: under which name, and what it is.
    pub(super) named: Vec<(String, Vec<String>)>,
    with_tests: bool,
}

/// What `path` means in `module`; nothing if it leads out of the crate or to something local.
fn absolute(module: &[String], path: &[String]) -> Option<Vec<String>> {
    let (first, rest) = path.split_first()?;
    match first.as_str() {
        "crate" | "forelog" => Some(rest.to_vec()),
        "self" => Some([module, rest].concat()),
        "super" => {
            let ups = path.iter().take_while(|segment| *segment == "super").count();
            let base = module.len().saturating_sub(ups);
            Some([&module[..base], &path[ups..]].concat())
        }
        _ => None,
    }
}

impl Paths {
    /// None yet, of all that a file holds.
    pub(super) fn of(source: &Source) -> Self {
        Self { module: source.module.clone(), found: Vec::new(), named: Vec::new(), with_tests: true }
    }

    /// The same without its tests, which may look at whoever they like.
    pub(super) fn without_tests(source: &Source) -> Self {
        Self { with_tests: false, ..Self::of(source) }
    }

    fn add(&mut self, line: usize, path: &[String]) {
        self.found.extend(absolute(&self.module, path).map(|path| (line, path)));
    }

    /// What a `pub use` names here. A path that begins with nothing begins with a child, or leads out of the crate.
    fn add_named(&mut self, tree: &syn::UseTree, path: &mut Vec<String>) {
        let (name, last) = match tree {
            syn::UseTree::Path(step) => {
                path.push(step.ident.to_string());
                self.add_named(&step.tree, path);
                path.pop();
                return;
            }
            syn::UseTree::Group(group) => return group.items.iter().for_each(|item| self.add_named(item, path)),
            syn::UseTree::Name(name) => (&name.ident, &name.ident),
            syn::UseTree::Rename(name) => (&name.rename, &name.ident),
            syn::UseTree::Glob(_) => return,
        };
        path.push(last.to_string());
        let named = absolute(&self.module, path).unwrap_or_else(|| [&self.module[..], &path[..]].concat());
        self.named.push((name.to_string(), named));
        path.pop();
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
        if item.ident == "tests" && !self.with_tests {
            return;
        }
        self.module.push(item.ident.to_string());
        visit::visit_item_mod(self, item);
        self.module.pop();
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.add_use(&item.tree, &mut Vec::new());
        if !matches!(item.vis, syn::Visibility::Inherited) {
            self.add_named(&item.tree, &mut Vec::new());
        }
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
