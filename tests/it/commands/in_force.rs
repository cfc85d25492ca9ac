//! Limits and policies that are put in force.

use forelog::core::code::Code;
use forelog::core::commands::limits::{SetLimits, Wanted};
use forelog::core::commands::policy::PutPolicies;
use forelog::core::terms::Terms;
use serde_json::json;

use super::House;
use crate::fixtures::event;

#[test]
fn what_is_in_force_makes_sense_and_has_one_version() {
    let mut house = House::new();
    let set = |wanted, configured| SetLimits { wanted, configured, by: None, event: None };
    let bad = Terms { approval_ms: 0, ..Terms::default() };
    assert_eq!(house.refused(&set(Wanted::Configured, bad)), Code::ValidationFailed);
    assert_eq!(house.refused(&set(Wanted::Numbers(json!({ "approval_ms": 0 })), Terms::default())), Code::ValidationFailed);
    assert!(house.run(&set(Wanted::Unless, bad)).expect("some are").0.is_empty());
    let (kinds, before) = house.run(&set(Wanted::Configured, Terms::default())).expect("limits");
    assert_eq!((kinds[0].name(), before.map(|before| before.version)), ("limits_set", Some(1)));
    assert!(house.run(&set(Wanted::Configured, Terms::default())).expect("the same").0.is_empty());
    let put = |only_first| PutPolicies { sha256: "11".repeat(32), only_first, by: None, event: event(1) };
    assert!(house.run(&put(true)).expect("a set is in force").0.is_empty());
    let (_, (set, before)) = house.run(&put(false)).expect("a set");
    assert_eq!((set.version, before.map(|set| set.version)), (2, Some(1)));
}
