//! Stops: who engages one, and what takes two.

use std::time::Duration;

use forelog::core::code::Code;
use forelog::core::commands::switch::{Again, Asked, Engage, Engager, Release, Released, Releaser};
use forelog::core::engagement::Names;
use forelog::core::event::EventKind;
use forelog::core::principal::Principal;
use forelog::core::role::Role;
use forelog::core::switch::Target;
use forelog::core::tool::{Class, ToolSpec};

use super::{House, asked, engage, who};
use crate::fixtures::{account, credential, event, switch, user};

#[test]
fn a_switch_is_engaged_again_only_if_it_is_another_one() {
    let mut house = House::new();
    assert_eq!(house.refused(&engage(Target::Tool("nothing".into()), Again::Another)), Code::NotFound);
    house.run(&engage(Target::All, Again::SameWords)).expect("a switch");
    let again =
        |again| Engage { asked: vec![Asked { switch: switch(6), ..asked(Target::All, again) }], ..engage(Target::All, again) };
    assert_eq!(house.run(&again(Again::AsMuch)).expect("it stands"), (Vec::new(), vec![switch(5)]));
    // The row has no words, as if it had been engaged without the vault.
    assert_eq!(house.run(&again(Again::SameWords)).expect("it stands"), (Vec::new(), vec![switch(5)]));
    let by = Some(Engager { who: who(3), is_named: true });
    let (kinds, switches) = house.run(&Engage { by, ..again(Again::Another) }).expect("another one");
    assert!(matches!(&kinds[..], [EventKind::SwitchEngaged { by: Some(by), .. }] if *by == user(3)), "{kinds:?}");
    assert_eq!(switches, [switch(6)]);
}

#[test]
fn what_stops_everybody_takes_two_or_the_data_and_a_reason() {
    let mut house = House::new();
    house.person(4, 3, Role::Admin);
    let release = |by, reason: Option<&str>| Release {
        switch: switch(5),
        by,
        over: None,
        reason: reason.map(str::to_owned),
        event: event(1),
    };
    let person = |n: i64| Releaser::Person(user(n), credential(13));
    assert_eq!(house.refused(&release(person(3), None)), Code::NotFound);
    house.run(&engage(Target::All, Again::Another)).expect("a switch");
    assert_eq!(house.refused(&release(Releaser::Operator, None)), Code::ValidationFailed);
    assert_eq!(house.refused(&release(Releaser::Operator, Some(" "))), Code::ValidationFailed);
    assert_eq!(house.refused(&release(person(3), Some(" "))), Code::ValidationFailed, "one that is given says something");
    assert_eq!(house.names(&release(person(3), None)), ["release_requested"]);
    assert_eq!(house.run(&release(person(3), None)).expect("again"), (Vec::new(), Released::Asked));
    let over = Some(Duration::from_mins(5));
    let (kinds, answer) = house.run(&Release { over, ..release(person(4), None) }).expect("a second person");
    assert_eq!(kinds[0].name(), "release_ramped");
    assert!(
        matches!(&answer, Released::Now { by: Some(by), second: Some(second), until: Some(_) } if (by, second) == (&user(3), &user(4)))
    );
    assert_eq!(house.refused(&Release { over, ..release(Releaser::Operator, Some("x")) }), Code::Conflict, "it lets go already");
    let (kinds, _) = house.run(&release(Releaser::Operator, Some("x"))).expect("at once");
    assert!(matches!(&kinds[..], [EventKind::SwitchReleased { break_glass: true, by: None, .. }]));
}

/// Whoever engaged a switch has reason to let it go, so it does in the place of nobody else's.
#[test]
fn a_switch_that_stands_does_for_whoever_engaged_it() {
    let mut house = House::new();
    let by = |n: i64| Some(Engager { who: Principal { credential: credential(n), ..who(1) }, is_named: false });
    let stop = |n: i64, id: i64| Engage {
        asked: vec![Asked { switch: switch(id), ..asked(Target::Account(account(1)), Again::AsMuch) }],
        by: by(n),
        names: Names::default(),
    };
    house.run(&engage(Target::Account(account(1)), Again::Another)).expect("on the data");
    assert_eq!(house.run(&stop(1, 6)).expect("a key's").1, [switch(6)]);
    assert_eq!(house.run(&stop(11, 7)).expect("a person's").1, [switch(7)]);
    for (n, there) in [(1, 6), (11, 7)] {
        assert_eq!(house.run(&stop(n, 8)).expect("it stands"), (Vec::new(), vec![switch(there)]));
    }
}

#[test]
fn what_is_never_stopped_is_not_engaged() {
    static STOPS: ToolSpec = ToolSpec { stops: true, class: Class::Destroy, ..ToolSpec::reading("key_end") };
    static READS: ToolSpec = ToolSpec::reading("vm_get");
    let mut house = House::new();
    let engage = |target, tools: &[&'static ToolSpec]| {
        let names = Names { tools: tools.to_vec(), ..Names::default() };
        Engage { names, ..engage(target, Again::Another) }
    };
    let both = [&STOPS, &READS];
    assert_eq!(house.refused(&engage(Target::Tool("key_end".into()), &both)), Code::ValidationFailed);
    assert_eq!(house.refused(&engage(Target::Class(Class::Destroy), &both)), Code::ValidationFailed, "all of its tools stop");
    for target in [Target::Tool("vm_get".into()), Target::Class(Class::Read), Target::Class(Class::Write)] {
        assert_eq!(house.names(&engage(target, &both)), ["switch_engaged"]);
    }
}
