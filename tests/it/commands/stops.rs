//! Stops: who engages one, and what takes two.

use std::time::Duration;

use forelog::core::code::Code;
use forelog::core::commands::switch::{Again, Asked, Engage, Engager, Release, Released, Releaser};
use forelog::core::event::EventKind;
use forelog::core::role::Role;
use forelog::core::switch::Target;

use super::{House, asked, engage, who};
use crate::fixtures::{credential, event, switch, user};

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
