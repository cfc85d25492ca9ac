//! Alarms: raised by what is done on the data itself, acknowledged by persons, and pushed out by nobody.

use std::time::Duration;

use forelog::core::code::Code;
use forelog::core::commands::alarm::Acknowledge;
use forelog::core::commands::switch::{Again, Asked, Engage, Engager};
use forelog::core::engagement::Names;
use forelog::core::id::Position;
use forelog::core::switch::Target;

use super::{House, asked, engage, who};
use crate::fixtures::{account, credential, event, switch, user};

fn acknowledge(alarm: Position, person: i64, with: i64) -> Acknowledge {
    Acknowledge { alarm, by: user(person), credential: credential(with), event: event(1) }
}

#[test]
fn an_alarm_is_acknowledged_once_by_each_person_and_by_no_key() {
    let mut house = House::new();
    house.run(&engage(Target::Account(account(1)), Again::Another)).expect("on the data");
    let raised = house.state.alarms.lasting(house.now).next().expect("an alarm").position;
    assert_eq!(house.refused(&acknowledge(Position(raised.0 - 1), 3, 13)), Code::NotFound);
    assert_eq!(house.refused(&acknowledge(raised, 1, 1)), Code::ForbiddenRole, "a key is nobody's eyes");
    assert_eq!(house.names(&acknowledge(raised, 3, 13)), ["alarm_acknowledged"]);
    assert_eq!(house.run(&acknowledge(raised, 3, 13)).expect("again").0, [], "said again it is nothing new");
    assert_eq!(house.state.alarms.find(raised, house.now).expect("it stays").acknowledged, [user(3)]);
    house.now = house.now.plus(Duration::from_hours(24));
    assert_eq!(house.refused(&acknowledge(raised, 3, 13)), Code::NotFound, "its day is over");
}

/// Whatever is engaged over the wire raises none, and makes none go.
#[test]
fn an_alarm_is_pushed_out_by_nobody() {
    let mut house = House::new();
    house.run(&engage(Target::Account(account(1)), Again::Another)).expect("on the data");
    for n in 0..200 {
        let by = Some(Engager { who: who(1), is_named: false });
        let stop = Asked { switch: switch(100 + n), ..asked(Target::Account(account(1)), Again::Another) };
        house.run(&Engage { asked: vec![stop], by, names: Names::default() }).expect("a switch");
    }
    assert_eq!(house.state.alarms.lasting(house.now).count(), 1);
}
