//! What files of a room may not say: a word that is there would be a way around what everything else goes through.

use syn::visit::{self, Visit};

use super::{Source, sources};

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
fn tools_change_only_by_record() {
    let mut looked_at = 0;
    for source in sources().into_iter().filter(|source| source.name.starts_with("tools/") && source.name != "tools/record.rs") {
        looked_at += 1;
        let code: String = source.text.split_whitespace().collect();
        for past in ["writer.write", "writer.change", "Author::Node", "Author::Operator"] {
            assert!(!code.contains(past), "{} writes past tools/record.rs: {past}", source.name);
        }
    }
    assert!(looked_at > 40, "the tools were not found");
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

/// Rooms that know tools by their facts alone. `core/user.rs` has the name of the tool that invites: an invitation is held against
/// a switch on that tool where no catalogue is in sight.
const KNOW_NO_TOOL: [&str; 9] = ["core", "log", "policy", "control", "worker", "views", "export", "auth", "providers"];

fn named_tools(source: &Source) -> Vec<String> {
    let events: std::collections::BTreeSet<&str> =
        crate::kinds::one_of_each().iter().map(forelog::core::event::EventKind::name).collect();
    let tools: std::collections::BTreeSet<&str> = forelog::tools::specs().iter().map(|tool| tool.name).collect();
    let mut texts = Texts::default();
    texts.visit_file(&source.parse());
    let is_tool = |(_, text): &(usize, String)| tools.contains(text.as_str()) && !events.contains(text.as_str());
    let room = source.module.first().map_or("", String::as_str);
    let found = texts.found.into_iter().filter(|_| KNOW_NO_TOOL.contains(&room) && source.name != "core/user.rs");
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
        ("http/a.rs", r#"fn f(request: &SignedInRequest) { request.call("vm_power", args) }"#),
        ("tools/vm/power.rs", r#"static SPEC: ToolSpec = spec::write("vm_power");"#),
        ("worker/a.rs", r#"fn f(kind: &str) -> bool { kind == "vm_imported" }"#),
    ] {
        assert_eq!(named_tools(&Source::new(name, text)), [""; 0], "{name}: {text}");
    }
    assert_eq!(named_tools(&Source::new("tools/a.rs", r#"const COMMANDS: [&str; 2] = ["command_start", "vm_exec"];"#)).len(), 2);
}

/// They get at no provider by the ports: the one is what the fence is in, the other asks only whether there is one of a name.
const PROVIDERS_UNTOUCHED: [&str; 2] = ["tools/execution.rs", "tools/vm/import.rs"];

/// A handler that took a provider past `Execution::provider` would ask it behind a switch that is engaged.
#[test]
fn tools_reach_providers_by_their_execution() {
    for source in sources().into_iter().filter(|source| source.name.starts_with("tools/") && source.name != "tools/mod.rs") {
        let code: String = source.text.split_whitespace().collect();
        for past in ["ports.compute.get(", "ports.provider("] {
            assert!(
                !code.contains(past) || PROVIDERS_UNTOUCHED.contains(&source.name.as_str()),
                "{} takes a provider past the fence",
                source.name
            );
        }
    }
}

/// The pipeline knows resources, and no VM: the row's own file, what says which VMs a key may touch, and events about the row do.
#[test]
fn the_pipeline_knows_no_vm() {
    let may = [
        "core/vm.rs",
        "core/noun/vm.rs",
        "core/lookup/vm.rs",
        "core/fold/vm.rs",
        "core/commands/vm.rs",
        "core/id.rs",
        "core/visibility.rs",
        "core/lineage.rs",
        "core/row.rs",
        "core/state.rs",
        "core/stored.rs",
    ];
    let rooms = ["core/", "log/", "control/", "worker/", "policy/"];
    let others = ["core/event/body.rs", "core/event/kind.rs", "policy/cases.rs"];
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
