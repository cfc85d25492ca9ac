//! Control events are made by commands alone.

use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use super::{Source, sources};

/// Kinds of events that are no change of control state, and come from where they happen: of nodes, of readers, of the one place for
/// a command, and of rows that were mended.
const NO_COMMANDS: [&str; 5] = ["node_started", "node_stopped", "log_read", "claim_cleared", "state_mended"];

/// The variants of `Kind` that a command appends, as they are named in the source.
fn of_commands() -> std::collections::BTreeSet<String> {
    let kinds = crate::kinds::one_of_each();
    let named = kinds.iter().filter(|kind| kind.call().is_none()).map(forelog::core::event::EventKind::name);
    let capital = |word: &str| word[..1].to_uppercase() + &word[1..];
    let variant = |name: &str| name.split('_').map(capital).collect::<String>();
    named.filter(|name| !NO_COMMANDS.contains(name)).map(variant).collect()
}

/// Collects where events are made; where they are only looked at, they are patterns.
#[derive(Default)]
struct Made {
    found: Vec<(usize, String)>,
}

impl Made {
    fn add(&mut self, path: &syn::Path) {
        let mut names = path.segments.iter().rev().map(|segment| segment.ident.to_string());
        if let (Some(variant), Some(kind)) = (names.next(), names.next())
            && kind == "EventKind"
        {
            self.found.push((path.span().start().line, variant));
        }
    }
}

impl<'ast> Visit<'ast> for Made {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if item.ident != "tests" {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_expr_struct(&mut self, made: &'ast syn::ExprStruct) {
        self.add(&made.path);
        visit::visit_expr_struct(self, made);
    }

    /// A tuple variant, called or handed on.
    fn visit_expr_path(&mut self, made: &'ast syn::ExprPath) {
        self.add(&made.path);
    }

    fn visit_macro(&mut self, mac: &'ast syn::Macro) {
        let list = syn::punctuated::Punctuated::<syn::Expr, syn::Token![,]>::parse_terminated;
        if let Ok(made) = mac.parse_body_with(list)
            && !mac.path.is_ident("matches")
        {
            made.iter().for_each(|one| self.visit_expr(one));
        }
    }
}

fn made_events(source: &Source) -> Vec<String> {
    if source.name.starts_with("core/commands/") || source.name.starts_with("log/") {
        return Vec::new();
    }
    made_in(source)
}

fn made_in(source: &Source) -> Vec<String> {
    let (mut made, kinds) = (Made::default(), of_commands());
    made.visit_file(&source.parse());
    let of_commands = made.found.into_iter().filter(|(_, variant)| kinds.contains(variant));
    of_commands.map(|(line, variant)| format!("{}:{line}: EventKind::{variant} is made by no command", source.name)).collect()
}

/// A change of control state is one pure function, in `core/commands/`; anywhere else it would have rules of its own.
#[test]
fn control_events_are_made_by_commands() {
    let made: Vec<_> = sources().iter().flat_map(made_events).collect();
    assert!(made.is_empty(), "{}", made.join("\n"));
    let of_commands = sources().iter().filter(|source| source.name.starts_with("core/commands/")).flat_map(made_in).count();
    assert!(of_commands > 20, "it does not see that the commands make them: {of_commands}");
    for text in [
        "fn f() -> EventKind { EventKind::VmExecSet { vm, enabled } }",
        "fn f() { append(vec![event::EventKind::AccountChanged { account, agents_may_enable_exec }]) }",
        "fn f() { made.map(EventKind::CredentialCreated) }",
        "fn f() { EventKind::DrillCompleted(told); }",
    ] {
        assert_eq!(made_events(&Source::new("auth/a.rs", text)).len(), 1, "{text}");
    }
    for text in [
        "fn f(kind: &EventKind) -> bool { matches!(kind, EventKind::VmExecSet { .. }) }",
        "fn f(kind: &EventKind) { if let EventKind::AccountChanged { account, .. } = kind {} }",
        "fn f() { EventKind::NodeStarted { node, version } }",
    ] {
        assert_eq!(made_events(&Source::new("auth/a.rs", text)), [""; 0], "{text}");
    }
}
