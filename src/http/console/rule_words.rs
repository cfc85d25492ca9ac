//! The limits in words, with their numbers in the units that people count in.
//!
//! INVARIANT: every number of the terms has words here, or the crate does not compile.

use super::format::group_digits;
use crate::core::limit::Limit;
use crate::core::quota::{Quota, Quotas};
use crate::core::terms::{Limits, Terms};
use crate::core::visible::counted;

/// A number that binds callers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What it limits.
    pub name: &'static str,
    /// The number with its unit.
    pub value: String,
}

/// A rule that this node was started with otherwise.
pub struct Differing {
    /// The rule in force.
    pub in_force: Rule,
    /// What the node's configuration says.
    pub configured: String,
}

/// Units from the largest to the smallest, in milliseconds.
const UNITS: [(u64, &str); 5] =
    [(86_400_000, "day"), (3_600_000, "hour"), (60_000, "minute"), (1000, "second"), (1, "millisecond")];

/// All of them.
pub fn rules(terms: &Terms) -> Vec<Rule> {
    let Terms { limits, quotas, approval_ms, newcomer_ms, staff_reads_shown_after_ms } = terms;
    let Limits { credential, exec, write } = limits;
    let rule = |name, value| Rule { name, value };
    let windows = [
        rule("Calls by one key", per(*credential)),
        rule("Commands on one VM", per(*exec)),
        rule("Changes by one account", per(*write)),
        rule("Time to approve a held call", length(*approval_ms)),
        rule("Time until an invited person counts as a second person", wait(*newcomer_ms)),
        rule("Time until an account is shown that staff read its log", wait(*staff_reads_shown_after_ms)),
    ];
    windows.into_iter().chain(quota_rules(quotas)).collect()
}

fn quota_rules(quotas: &Quotas) -> [Rule; 12] {
    let Quotas {
        keys,
        keys_a_day,
        switches,
        staff_switches,
        sessions,
        streams,
        waits,
        open_calls,
        exports,
        searches,
        invitations,
        people,
    } = quotas;
    let of = |name, quota: &Quota, whole: &str, one: &str| {
        let (all, each) = (group_digits(quota.account.into()), group_digits(quota.key.into()));
        Rule { name, value: format!("{all} per {whole}, {each} per {one}") }
    };
    [
        of("Live keys", keys, "account", "key that made them"),
        of("Keys made in 24 hours", keys_a_day, "account", "key that made them"),
        of("Switches engaged by customers", switches, "account", "key"),
        of("Switches engaged by staff", staff_switches, "account", "key"),
        of("MCP sessions on a node", sessions, "account", "key"),
        of("Open event streams on a node", streams, "account", "key"),
        of("Calls that are waited for on a node", waits, "account", "key"),
        of("Queued and held calls", open_calls, "account", "key"),
        of("Exports under way on a node", exports, "account", "key"),
        of("Saved searches", searches, "account", "person"),
        of("Open invitations", invitations, "account", "person"),
        Rule { name: "People, invited ones included", value: format!("{} per account", group_digits((*people).into())) },
    ]
}

/// Where a node that was started with `configured` differs.
pub fn differing(in_force: &Terms, configured: &Terms) -> Vec<Differing> {
    let pairs = rules(in_force).into_iter().zip(rules(configured));
    let differs = pairs.filter(|(own, other)| own.value != other.value);
    differs.map(|(in_force, other)| Differing { in_force, configured: other.value }).collect()
}

/// A sliding window: `600 per minute`, `5 in 10 minutes`.
pub fn per(limit: Limit) -> String {
    let (count, window) = (group_digits(limit.admit.into()), length(limit.window_ms.into()));
    match window.strip_prefix("1 ") {
        Some(unit) => format!("{count} per {unit}"),
        None => format!("{count} in {window}"),
    }
}

/// A length of time in the largest unit that tells it exactly.
pub fn length(millis: u64) -> String {
    let fits = |(unit, _): &&(u64, &str)| millis >= *unit && millis.is_multiple_of(*unit);
    let (unit, name) = UNITS.iter().find(fits).unwrap_or(&UNITS[4]);
    counted(millis / unit, name)
}

fn wait(millis: u64) -> String {
    if millis == 0 { "none".to_owned() } else { length(millis) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_and_waits_are_told_exactly_in_plain_units() {
        let told = |admit, window_ms| per(Limit { admit, window_ms });
        assert_eq!(told(600, 60_000), "600 per minute");
        assert_eq!(told(1, 1000), "1 per second");
        assert_eq!(told(5000, 90_000), "5,000 in 90 seconds");
        assert_eq!(length(7 * 86_400_000), "7 days");
        assert_eq!(length(1500), "1500 milliseconds");
        assert_eq!(wait(0), "none");
    }

    #[test]
    fn every_number_of_the_terms_changes_what_is_told() {
        let usual = Terms::default();
        for key in usual.numbers().keys() {
            let other = if key.rsplit('.').next() == Some("admit") {
                7
            } else if key.starts_with("quotas") {
                77_777
            } else {
                3_660_000
            };
            let change = key.rsplit('.').fold(serde_json::json!(other), |below, name| serde_json::json!({ name: below }));
            let changed = usual.with(&change).unwrap_or_else(|fault| panic!("{key}: {fault:?}"));
            assert_eq!(differing(&usual, &changed).len(), 1, "{key}");
        }
    }
}
