//! Lineage (P14): what ends, stops, limits or confines a key does so for everything that it made or rotated.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use forelog::core::code::Code;
use forelog::core::commands::key::adopt::adoption;
use forelog::core::commands::role_change;
use forelog::core::decide::{Decision, INACTIVITY};
use forelog::core::event::{CredentialCreated, EventKind};
use forelog::core::limit::{Limit, Window};
use forelog::core::lineage::{MAX_COUNT, alive, check_length};
use forelog::core::principal::{Principal, Via};
use forelog::core::role::Role;
use forelog::core::state::ControlState;
use forelog::core::switch::Target;
use forelog::core::table::Table;
use forelog::core::tool::{Class, ToolSpec};
use forelog::core::user::User;
use proptest::prelude::*;
use serde_json::Value;

use crate::fixtures::{Case, NEW_YEAR, account, command, credential, key_made, user, vm};

/// A key of the first account, as it is recorded.
pub fn made(n: i64, made_by: Option<i64>, rotates: Option<i64>) -> CredentialCreated {
    CredentialCreated {
        hash: format!("{n:064}").into(),
        rotates: rotates.map(credential),
        made_by: made_by.map(credential),
        ..key_made(n)
    }
}

/// A case whose key 1 has made 2, and 2 has made 3; the third one calls.
fn grandchild() -> Case {
    let mut case = Case::new();
    case.make(made(2, Some(1), None));
    case.make(made(3, Some(2), None));
    case.by(3);
    case
}

trait Family {
    fn make(&mut self, created: CredentialCreated);
    fn rotate(&mut self, n: i64, made_by: Option<i64>, old: i64);
    fn revoke(&mut self, n: i64);
    fn by(&mut self, n: i64);
}

impl Family for Case {
    fn make(&mut self, created: CredentialCreated) {
        self.uses.insert(created.credential.clone(), self.now);
        apply(&mut self.state, EventKind::CredentialCreated(created));
    }

    fn rotate(&mut self, n: i64, made_by: Option<i64>, old: i64) {
        let row = self.state.credentials.get(&credential(old)).expect("a key").created.clone();
        let fresh = made(n, made_by, Some(old));
        self.make(CredentialCreated { limit: row.limit, vms: row.vms, expires_at: row.expires_at, ..fresh });
        self.revoke(old);
    }

    fn revoke(&mut self, n: i64) {
        apply(&mut self.state, EventKind::CredentialRevoked { credential: credential(n), by: None });
    }

    fn by(&mut self, n: i64) {
        self.proposal.principal.credential = credential(n);
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the event is made where it is applied")]
fn apply(state: &mut ControlState, kind: EventKind) {
    let position = state.position.next();
    state.apply(position, NEW_YEAR, &kind, &Value::Null);
}

#[test]
fn what_ends_a_key_ends_what_it_made() {
    type Ends = fn(&mut Case, i64);
    let ways: [(&str, Code, Ends); 6] = [
        ("revoked", Code::TokenRevoked, Case::revoke),
        ("expired", Code::TokenExpired, |case, n| {
            let now = case.now;
            case.state.credentials.get_mut(&credential(n)).expect("a key").created.expires_at = Some(now);
        }),
        ("forgotten", Code::TokenExpired, |case, n| {
            case.last_used = Some(NEW_YEAR);
            case.uses.insert(credential(n), NEW_YEAR);
            case.now = NEW_YEAR.plus(INACTIVITY + Duration::from_micros(1));
            for other in (1..4).filter(|other| *other != n) {
                case.uses.insert(credential(other), case.now);
            }
        }),
        ("of somebody who has left", Code::TokenRevoked, |case, n| {
            case.state.credentials.get_mut(&credential(n)).expect("a key").created.user = user(9);
            case.state.users.insert(
                user(9),
                User {
                    id: user(9),
                    account: account(1),
                    role: None,
                    invited: None,
                    known_as: std::collections::BTreeSet::new(),
                    vouched_until: None,
                    withdrawn_by: None,
                    linked: std::collections::BTreeSet::new(),
                    sessions: std::collections::BTreeMap::new(),
                    address: None,
                    given: None,
                    role_at: forelog::core::id::Position(0),
                },
            );
        }),
        ("of somebody whom no issuer vouches for any more", Code::TokenExpired, |case, n| {
            case.state.credentials.get_mut(&credential(n)).expect("a key").created.user = user(9);
            case.state.users.insert(
                user(9),
                User {
                    id: user(9),
                    account: account(1),
                    role: Some(forelog::core::role::Role::Owner),
                    invited: None,
                    known_as: std::collections::BTreeSet::new(),
                    vouched_until: Some(case.now),
                    withdrawn_by: None,
                    linked: std::collections::BTreeSet::new(),
                    sessions: std::collections::BTreeMap::new(),
                    address: None,
                    given: None,
                    role_at: forelog::core::id::Position(0),
                },
            );
        }),
        ("gone", Code::ControlStateUnreadable, |case, n| drop(case.state.credentials.remove(&credential(n)))),
    ];
    for (name, code, end) in ways {
        for ancestor in [1, 2] {
            let mut case = grandchild();
            case.last_used = Some(case.now);
            assert!(matches!(case.decide(), Decision::Admit(_)), "{name}: {:?}", case.decide());
            end(&mut case, ancestor);
            case.last_used = Some(case.now);
            assert_eq!(case.refusal().code, code, "{name}, key {ancestor}");
        }
    }
}

#[test]
fn what_a_key_may_not_its_descendants_may_not() {
    type Confinement = (&'static str, Code, fn(&mut Case));
    let confine: [Confinement; 3] = [
        ("read-only", Code::ReadOnlyMode, |case| case.key().expect("a key").created.read_only = true),
        ("another VM", Code::VmNotFound, |case| case.key().expect("a key").created.vms = Some(vec![vm(2)])),
        ("another network", Code::IpNotAllowed, |case| case.key().expect("a key").ips = Some(vec!["10.0.0.0/8".into()])),
    ];
    for (name, code, confine) in confine {
        let mut case = grandchild();
        confine(&mut case);
        assert_eq!(case.refusal().code, code, "{name}");
        case.by(2);
        assert_eq!(case.refusal().code, code, "{name}, one step down");
    }
}

#[test]
fn a_switch_on_a_key_reaches_what_comes_from_it_and_nothing_else() {
    for (target, covered) in [(1, true), (2, true), (3, true), (4, false), (5, false)] {
        let mut case = grandchild();
        case.make(made(4, Some(2), None));
        case.make(made(5, Some(3), None));
        case.engage(Target::Credential(credential(target)), None);
        assert_eq!(matches!(case.decide(), Decision::Refuse { switch: Some(_), .. }), covered, "a switch on {target}");
    }
}

#[test]
fn a_rotated_key_is_the_same_key_with_another_secret() {
    let mut case = grandchild();
    case.rotate(4, Some(1), 3);
    case.by(3);
    assert_eq!(case.refusal().code, Code::TokenRevoked, "the old secret is over");
    case.by(4);
    assert!(matches!(case.decide(), Decision::Admit(_)), "the new one goes on: {:?}", case.decide());
    for target in [1, 2, 3, 4] {
        case.engage(Target::Credential(credential(target)), None);
        assert_eq!(case.refusal().code, Code::KillSwitchEngaged, "a switch on {target}");
        case.state.switches = Table::default();
    }
    let windows = |case: &Case| match case.decide() {
        Decision::Admit(limits) => limits.into_iter().map(|(key, _)| key).collect::<BTreeSet<_>>(),
        other => panic!("{other:?}"),
    };
    let expected: BTreeSet<String> = [1, 2, 3]
        .map(|n| format!("credential:{}", credential(n)))
        .into_iter()
        .chain([format!("exec:{}/{}", account(1), vm(1))])
        .collect();
    assert_eq!(windows(&case), expected, "it counts where the one that it replaces counted");
    // Revoked once more, the old one ends what took its place.
    let mut other = case.clone();
    other.revoke(3);
    assert_eq!(other.refusal().code, Code::TokenRevoked);
    case.revoke(2);
    assert_eq!(case.refusal().code, Code::TokenRevoked, "what the old one came from is what the new one comes from");
}

#[test]
fn what_a_key_made_follows_it_through_rotations_and_ends_with_the_last() {
    let mut case = grandchild();
    case.rotate(10, Some(2), 2);
    case.rotate(11, Some(10), 10);
    assert!(matches!(case.decide(), Decision::Admit(_)), "{:?}", case.decide());
    for end in [2, 10, 11] {
        let mut case = case.clone();
        case.revoke(end);
        assert_eq!(case.refusal().code, Code::TokenRevoked, "{end} was revoked");
    }
}

#[test]
fn a_rotation_that_leaves_the_old_secret_alive_ends_it_later_and_nothing_else() {
    let mut case = Case::new();
    case.make(made(2, None, Some(1)));
    let alive = |case: &mut Case, n| {
        case.by(n);
        matches!(case.decide(), Decision::Admit(_))
    };
    assert!(alive(&mut case, 1) && alive(&mut case, 2), "both, until the old one is revoked");
    let mut undone = case.clone();
    undone.revoke(2);
    assert!(alive(&mut undone, 1) && !alive(&mut undone, 2), "the rotation was taken back");
    undone.revoke(1);
    assert!(!alive(&mut undone, 1));
    case.revoke(1);
    assert!(!alive(&mut case, 1) && alive(&mut case, 2), "the rotation is complete");
    case.revoke(1);
    assert!(!alive(&mut case, 2), "revoked once more, it ends what replaced it");
}

#[test]
fn who_rotates_another_key_does_not_get_out_of_a_limit_or_an_end() {
    let mut case = Case::new();
    let tight = Limit { admit: 2, window_ms: 60_000 };
    case.key().expect("a key").created.limit = Some(tight);
    case.make(made(2, None, None));
    case.rotate(3, Some(1), 2);
    case.by(3);
    let Decision::Admit(limits) = case.decide() else { panic!("{:?}", case.decide()) };
    assert!(limits.contains(&(format!("credential:{}", credential(1)), tight)), "{limits:?}");
    case.revoke(1);
    assert_eq!(case.refusal().code, Code::TokenRevoked);
}

#[test]
fn a_person_shares_no_window_and_need_not_sign_in_but_ends_what_they_made() {
    let mut case = Case::new();
    case.make(CredentialCreated { role: Some(Role::Owner), ..made(2, None, None) });
    case.make(made(3, Some(2), None));
    case.by(3);
    case.uses.remove(&credential(2));
    let Decision::Admit(limits) = case.decide() else { panic!("{:?}", case.decide()) };
    assert_eq!(limits.iter().filter(|(key, _)| key.starts_with("credential:")).count(), 1, "{limits:?}");
    case.revoke(2);
    assert_eq!(case.refusal().code, Code::TokenRevoked, "the person was removed, or has the role no more");
}

#[test]
fn what_the_console_acts_with_next_is_under_the_same_switches_and_limits() {
    let person = |n, role| CredentialCreated { role: Some(role), ..made(n, None, None) };
    let mut case = Case::new();
    case.make(person(2, Role::Owner));
    case.make(made(3, Some(2), None));
    case.revoke(2);
    case.make(person(4, Role::Member));
    case.make(person(5, Role::Owner));
    case.make(made(6, Some(5), None));
    case.make(CredentialCreated { user: user(2), ..person(7, Role::Owner) });
    case.make(CredentialCreated { account: account(2), ..person(8, Role::Owner) });
    for (target, n, covered) in [
        (2, 4, true),
        (2, 5, true),
        (2, 6, true),
        (4, 5, true),
        (5, 4, true),
        (2, 7, false),
        (2, 1, false),
        (6, 5, false),
        (2, 8, false),
    ] {
        assert_eq!(case.state.comes_from(&credential(n), &credential(target)), covered, "a switch on {target}, and {n}");
    }
    for n in [4, 5] {
        case.by(n);
        let Decision::Admit(limits) = case.decide() else { panic!("{:?}", case.decide()) };
        let windows: Vec<_> = limits.into_iter().map(|(key, _)| key).filter(|key| key.starts_with("credential:")).collect();
        assert_eq!(windows, [format!("credential:{}", credential(2))], "they take a fresh window");
    }
    case.by(3);
    assert_eq!(case.refusal().code, Code::TokenRevoked, "what an ended one made comes back with the next one");
    case.by(6);
    case.engage(Target::Credential(credential(2)), None);
    assert_eq!(case.refusal().code, Code::KillSwitchEngaged);
}

/// Key 2, that key 1 made, and a person, who is 3.
fn to_be_kept() -> (Case, Principal) {
    let mut case = Case::new();
    case.make(made(2, Some(1), None));
    case.make(CredentialCreated { role: Some(Role::Owner), ..made(3, None, None) });
    case.by(2);
    let person = Principal { credential: credential(3), via: Via::Console, ..case.proposal.principal.clone() };
    (case, person)
}

fn adopt(case: &mut Case, who: &Principal, n: i64) -> Result<bool, Code> {
    let kind = adoption(&case.state, &credential(n), who, case.now).map_err(|refusal| refusal.code)?;
    let is_new = kind.is_some();
    if let Some(kind) = kind {
        apply(&mut case.state, kind);
    }
    Ok(is_new)
}

#[test]
fn a_person_keeps_what_another_key_made_before_and_after_that_one_ends() {
    for ended_before in [false, true] {
        let (mut case, person) = to_be_kept();
        if ended_before {
            case.revoke(1);
            assert_eq!(case.refusal().code, Code::TokenRevoked);
        }
        assert_eq!(adopt(&mut case, &person, 2), Ok(true));
        assert_eq!(adopt(&mut case, &person, 2), Ok(false), "it is kept already");
        case.revoke(1);
        let Decision::Admit(limits) = case.decide() else { panic!("{:?}", case.decide()) };
        assert!(!limits.iter().any(|(key, _)| key.contains(credential(1).as_str())), "{limits:?}");
        case.revoke(3);
        assert_eq!(case.refusal().code, Code::TokenRevoked, "it ends with the person who kept it");
    }
}

#[test]
fn nobody_else_keeps_anything_and_nothing_gets_out_from_under_a_switch() {
    let (mut case, person) = to_be_kept();
    let key = Principal { credential: credential(1), ..person.clone() };
    assert_eq!(adopt(&mut case, &key, 2), Err(Code::ForbiddenRole), "a key keeps nothing");
    let stranger = Principal { account: account(2), ..person.clone() };
    assert_eq!(adopt(&mut case, &stranger, 2), Err(Code::NotFound));
    assert_eq!(adopt(&mut case, &person, 3), Err(Code::NotFound), "what the console acts with is no key");
    assert_eq!(adopt(&mut case, &person, 9), Err(Code::NotFound));
    case.engage(Target::Credential(credential(1)), None);
    assert_eq!(adopt(&mut case, &person, 2), Err(Code::KillSwitchEngaged));
    case.engage(Target::Credential(credential(2)), None);
    assert_eq!(adopt(&mut case, &person, 2), Ok(true), "the switch on the key itself goes on covering it");
    assert_eq!(case.refusal().code, Code::KillSwitchEngaged);
    case.revoke(2);
    assert_eq!(adopt(&mut case, &person, 2), Err(Code::Conflict), "it has ended itself");
    case.revoke(3);
    assert_eq!(adopt(&mut case, &person, 2), Err(Code::TokenRevoked), "the person is gone");
    let (mut case, person) = to_be_kept();
    case.state.credentials.get_mut(&credential(3)).expect("a person").created.role = Some(Role::Member);
    assert_eq!(adopt(&mut case, &person, 2), Err(Code::ForbiddenRole), "who administers no keys");
}

#[test]
fn another_role_is_not_the_end_of_a_person_but_their_removal_is() {
    let (mut case, person) = to_be_kept();
    assert_eq!(adopt(&mut case, &person, 2), Ok(true));
    let lost = role_change(&case.state, &user(1), &account(1), Role::Member, None);
    assert!(lost.contains(&EventKind::CredentialRevoked { credential: credential(3), by: None }), "{lost:?}");
    for kind in lost.into_iter().filter(|kind| *kind != EventKind::CredentialRevoked { credential: credential(2), by: None }) {
        apply(&mut case.state, kind);
    }
    assert!(matches!(case.decide(), Decision::Admit(_)), "what the new role may do goes on: {:?}", case.decide());
    apply(&mut case.state, EventKind::UserRemoved { user: user(1), account: account(1), by: None });
    assert_eq!(case.refusal().code, Code::TokenRevoked);
}

#[test]
fn circles_and_loose_ends_are_total() {
    let mut case = Case::new();
    case.make(made(2, Some(1), None));
    case.rotate(3, Some(2), 1);
    case.by(3);
    assert!(matches!(case.decide(), Decision::Admit(_)), "each made the other: {:?}", case.decide());
    case.revoke(2);
    assert_eq!(case.refusal().code, Code::TokenRevoked);
    let mut broken = Case::new();
    broken.key().expect("a key").descent.makers = vec![credential(1), credential(9)];
    assert_eq!(broken.refusal().code, Code::ControlStateUnreadable, "one is missing");
    let mut broken = Case::new();
    broken.key().expect("a key").descent.first = Some(credential(1));
    assert_eq!(broken.refusal().code, Code::ControlStateUnreadable, "it replaces itself");
    let mut broken = Case::new();
    broken.key().expect("a key").descent.newest = Some(credential(9));
    assert_eq!(broken.refusal().code, Code::ControlStateUnreadable, "what replaces it is missing");
    let mut broken = Case::new();
    for n in 2..100 {
        broken.make(made(n, Some(n - 1), None));
    }
    broken.by(99);
    assert_eq!(broken.refusal().code, Code::ControlStateUnreadable, "it comes from more than anybody may");
}

#[test]
fn a_lineage_has_an_end_and_rotations_do_not_make_it_longer() {
    let (mut state, mut n) = (Case::new().state, 1);
    while check_length(&state, &credential(n), None).is_ok() {
        apply(&mut state, EventKind::CredentialCreated(made(n + 1, Some(n), None)));
        n += 1;
    }
    assert_eq!(usize::try_from(n).expect("few"), MAX_COUNT);
    for _ in 0..1000 {
        check_length(&state, &credential(n), Some(&credential(n))).expect("the same key with another secret");
        apply(&mut state, EventKind::CredentialCreated(made(n + 1, Some(n), Some(n))));
        apply(&mut state, EventKind::CredentialRevoked { credential: credential(n), by: None });
        n += 1;
    }
    let lineage = alive(&state, &credential(n), NEW_YEAR).expect("alive");
    assert_eq!(lineage.lineage_rows().windows.len(), MAX_COUNT);
    // A stranger who rotates it would be one more.
    apply(&mut state, EventKind::CredentialCreated(made(n + 1, None, None)));
    assert_eq!(check_length(&state, &credential(n + 1), Some(&credential(n))).expect_err("too many").code, Code::Conflict);
}

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
