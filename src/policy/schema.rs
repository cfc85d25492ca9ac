//! The Cedar schema, generated from the catalogue, so that a policy which names a tool that does not exist is refused.
//!
//! Invariant: the same tools give the same text, whatever their order; `policies/schema.cedarschema` is that text.

use std::fmt::Write;

use crate::core::resource::NOUNS;
use crate::core::tool::{Class, Risk, ToolSpec};

const ENTITIES: &str = "\
// Generated from the catalogue of tools. Do not edit: a test compares it with the catalogue.
namespace Forelog {
  /// A customer, or the provider's own staff.
  entity Account;

  /// A person.
  entity User;

  /// A key: whoever holds it is the caller.
  entity Credential in [Account] {
    account: Account,
    user: User,
    side: String, // customer | staff
    scopes: Set<String>,
    read_only: Bool,
  };

";

const CALLS: &str = "
  /// What staff act on where no VM is named: Forelog::Log::\"log\".
  entity Log;

  type Call = {
    via: String, // mcp | stdio | rest | cli | console
    tool: String,
    class: String,
    risk: String, // r0 | r1 | r2 | r3 | r3p | r4
    ip?: ipaddr,
  };

  // Tools by class, and those that need a staff scope.
";

/// The group of the tools that need a staff scope.
const STAFF: &str = "staff";

/// The schema of a catalogue, in Cedar's own syntax.
#[must_use]
pub fn schema(tools: &[&'static ToolSpec]) -> String {
    let mut text = String::from(ENTITIES);
    let declared: Vec<&str> = NOUNS.iter().map(|noun| noun.schema).collect();
    text.push_str(&declared.join("\n"));
    text.push_str(CALLS);
    let nouns: Vec<&str> = NOUNS.iter().map(|noun| noun.entity).collect();
    let nouns = nouns.join(", ");
    for class in Class::ALL {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  action \"class:{}\";", class.as_str());
    }
    let _ = writeln!(text, "  action \"{STAFF}\";\n");
    let mut tools: Vec<_> = tools.to_vec();
    tools.sort_by_key(|tool| tool.name);
    for tool in tools {
        let groups: Vec<String> = groups(tool).iter().map(|group| format!("\"{group}\"")).collect();
        let _ = writeln!(text, "  action \"{}\" in [{}] appliesTo {{", tool.name, groups.join(", "));
        let _ = writeln!(text, "    principal: [Credential],\n    resource: [Account, {nouns}, Log],\n    context: Call,\n  }};");
    }
    text.push_str("}\n");
    text
}

/// The action groups that a tool is in.
pub(super) fn groups(tool: &ToolSpec) -> Vec<String> {
    let mut groups = vec![format!("class:{}", tool.class.as_str())];
    if tool.scope.is_some_and(crate::core::scope::Scope::is_staff) {
        groups.push(STAFF.into());
    }
    groups
}

/// A risk as policies write it.
pub(super) fn risk_name(risk: Risk) -> &'static str {
    match risk {
        Risk::R0 => "r0",
        Risk::R1 => "r1",
        Risk::R2 => "r2",
        Risk::R3 => "r3",
        Risk::R3p => "r3p",
        Risk::R4 => "r4",
    }
}
