//! Families of keys that are drawn at random: what holds of every one of them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use forelog::core::decide::Decision;
use forelog::core::limit::{Limit, Window};
use forelog::core::lineage::{alive, check_length};
use forelog::core::principal::Via;
use forelog::core::switch::Target;
use forelog::core::tool::{Class, ToolSpec};
use proptest::prelude::*;

use super::{Family, made};
use crate::fixtures::{Case, command, credential};

/// One step of a random family: who makes, rotates or revokes whom, by number among those that there are.
#[derive(Clone, Debug)]
enum Step {
    Make(usize),
    Rotate(usize, usize),
    RotateAside(usize),
    Revoke(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let any = || 0..1000_usize;
    let step = prop_oneof![
        4 => any().prop_map(Step::Make),
        2 => (any(), any()).prop_map(|(by, old)| Step::Rotate(by, old)),
        1 => any().prop_map(Step::RotateAside),
        2 => any().prop_map(Step::Revoke),
    ];
    proptest::collection::vec(step, 1..14)
}

/// The family as somebody would draw it, without looking at how control state keeps it.
#[derive(Default)]
struct Drawn {
    /// Which key each secret is of.
    key_of: BTreeMap<i64, usize>,
    revoked: BTreeSet<i64>,
    /// Of each key: its secrets in order, which keys it was made with, and whether it has ended.
    keys: Vec<(Vec<i64>, BTreeSet<usize>, bool)>,
}

impl Drawn {
    fn add(&mut self, n: i64, by: Option<i64>, old: Option<i64>) {
        let maker = by.map(|by| self.key_of[&by]);
        let key = old.map_or_else(
            || {
                self.keys.push((Vec::new(), BTreeSet::new(), false));
                self.keys.len() - 1
            },
            |old| self.key_of[&old],
        );
        self.key_of.insert(n, key);
        self.keys[key].0.push(n);
        self.keys[key].1.extend(maker.filter(|maker| *maker != key));
    }

    fn revoke(&mut self, n: i64) {
        let again = !self.revoked.insert(n);
        let key = &mut self.keys[self.key_of[&n]];
        key.2 |= again || key.0.iter().all(|secret| self.revoked.contains(secret));
    }

    fn above(&self, key: usize) -> BTreeSet<usize> {
        let (mut all, mut left) = (BTreeSet::from([key]), vec![key]);
        while let Some(next) = left.pop() {
            left.extend(self.keys[next].1.iter().copied().filter(|maker| all.insert(*maker)).collect::<Vec<_>>());
        }
        all
    }

    fn is_alive(&self, n: i64) -> bool {
        !self.revoked.contains(&n) && self.above(self.key_of[&n]).iter().all(|key| !self.keys[*key].2)
    }
}

/// Runs the steps that the tools would allow; answers the case, the drawing, and how many secrets there are.
fn grow(steps: &[Step]) -> (Case, Drawn, i64) {
    let (mut case, mut drawn, mut n) = (Case::new(), Drawn::default(), 1);
    drawn.add(1, None, None);
    for step in steps {
        let pick = |at: usize| i64::try_from(at).expect("small") % n + 1;
        match *step {
            Step::Make(by) => {
                let by = pick(by);
                if drawn.is_alive(by) && check_length(&case.state, &credential(by), None).is_ok() {
                    n += 1;
                    drawn.add(n, Some(by), None);
                    case.make(made(n, Some(by), None));
                }
            }
            Step::Rotate(by, old) => {
                let (by, old) = (pick(by), pick(old));
                if drawn.is_alive(by) && !drawn.revoked.contains(&old) && drawn.keys[drawn.key_of[&old]].0.last() == Some(&old) {
                    n += 1;
                    drawn.add(n, Some(by), Some(old));
                    drawn.revoke(old);
                    case.rotate(n, Some(by), old);
                }
            }
            Step::RotateAside(old) => {
                let old = pick(old);
                let secrets = &drawn.keys[drawn.key_of[&old]].0;
                let only = secrets.iter().filter(|secret| !drawn.revoked.contains(*secret)).count() == 1;
                if only && secrets.last() == Some(&old) && !drawn.revoked.contains(&old) {
                    n += 1;
                    drawn.add(n, None, Some(old));
                    case.make(made(n, None, Some(old)));
                }
            }
            Step::Revoke(key) => {
                drawn.revoke(pick(key));
                case.revoke(pick(key));
            }
        }
    }
    (case, drawn, n)
}

proptest! {
    #[test]
    fn no_descendant_of_what_has_ended_is_alive_and_every_other_one_is(steps in steps()) {
        let (mut case, drawn, n) = grow(&steps);
        for key in 1..=n {
            case.by(key);
            let decided = case.decide();
            prop_assert_eq!(alive(&case.state, &credential(key), case.now).is_ok(), drawn.is_alive(key), "{} after {:?}", key, steps);
            prop_assert_eq!(matches!(decided, Decision::Admit(_)), drawn.is_alive(key), "{} after {:?}: {:?}", key, steps, decided);
        }
    }

    #[test]
    fn a_switch_on_a_key_covers_its_whole_family(steps in steps(), on in 0..1000_i64) {
        let (mut case, drawn, n) = grow(&steps);
        let on = on % n + 1;
        case.engage(Target::Credential(credential(on)), None);
        for key in (1..=n).filter(|key| drawn.is_alive(*key)) {
            case.by(key);
            let covered = drawn.above(drawn.key_of[&key]).contains(&drawn.key_of[&on]);
            let decided = case.decide();
            prop_assert_eq!(matches!(decided, Decision::Refuse { switch: Some(_), .. }), covered, "{} under {}: {:?}", key, on, decided);
        }
    }

    #[test]
    fn a_family_takes_no_more_than_each_of_its_limits(steps in steps(), calls in proptest::collection::vec((0..1000_i64, 0..40_u64), 1..60), admit in 1..5_u32) {
        let (mut case, drawn, n) = grow(&steps);
        let limit = Limit { admit, window_ms: 60_000 };
        case.limits().credential = limit;
        let mut case = case.with_tool(ToolSpec { class: Class::Read, effect: None, needs_exec: false, ..command() });
        case.proposal.principal.via = Via::Rest;
        // By key, when its family was let through.
        let mut let_through: BTreeMap<usize, Vec<i64>> = BTreeMap::new();
        for (by, after) in calls {
            case.now = case.now.plus(Duration::from_secs(after));
            let by = by % n + 1;
            case.by(by);
            let Decision::Admit(limits) = case.decide() else { continue };
            for (key, limit) in limits {
                let window: &mut Window = case.windows.entry(key).or_default();
                window.take(limit, case.now);
            }
            for key in drawn.above(drawn.key_of[&by]) {
                let_through.entry(key).or_default().push(case.now.0);
            }
        }
        for (key, times) in let_through {
            for from in &times {
                let within = times.iter().filter(|time| (*from..from + 60_000_000).contains(*time)).count();
                prop_assert!(within <= admit as usize, "key {} let {} of its family through in a minute", key, within);
            }
        }
    }
}
