//! Sliding windows against a list of everything that was ever admitted, which is what they must be as good as (P5).

use std::time::Duration;

use forelog::core::limit::{Limit, Window};
use forelog::core::time::Micros;
use proptest::prelude::*;

fn younger(admitted: &[i64], limit: Limit, now: i64) -> usize {
    admitted.iter().filter(|at| now - **at < i64::from(limit.window_ms) * 1000).count()
}

/// Times that never run backwards, many of them equal or just at the edge of a window of a few milliseconds.
fn times() -> impl Strategy<Value = Vec<i64>> {
    let step = prop_oneof![Just(0), 1..4_i64, 900..1_100_i64, Just(1_000), 0..20_000_i64];
    proptest::collection::vec(step, 0..200).prop_map(|steps| {
        steps
            .into_iter()
            .scan(1_700_000_000_000_000, |now, step| {
                *now += step;
                Some(*now)
            })
            .collect()
    })
}

fn limits() -> impl Strategy<Value = Limit> {
    (1..8_u32, 1..12_u32).prop_map(|(admit, window_ms)| Limit { admit, window_ms })
}

proptest! {
    #[test]
    fn a_window_admits_exactly_what_the_whole_history_would(limit in limits(), times in times()) {
        let mut window = Window::default();
        let mut admitted = Vec::new();
        for now in times {
            let fits = younger(&admitted, limit, now) < limit.admit as usize;
            prop_assert_eq!(window.full_for(limit, Micros(now)).is_none(), fits);
            prop_assert_eq!(window.used(limit, Micros(now)), younger(&admitted, limit, now));
            if fits {
                window.take(limit, Micros(now));
                admitted.push(now);
            }
            prop_assert_eq!(&Window::decode(&window.encode()), &Ok(window.clone()));
            prop_assert!(window.encode().len() <= 8 * (limit.admit as usize).max(32), "the row stays small");
        }
        for start in &admitted {
            let end = start + i64::from(limit.window_ms) * 1000;
            let within = admitted.iter().filter(|at| (*start..end).contains(*at)).count();
            prop_assert!(within <= limit.admit as usize, "{within} in one window");
        }
    }

    #[test]
    fn a_refused_caller_is_told_the_first_moment_that_fits(limit in limits(), times in times()) {
        let mut window = Window::default();
        for now in times {
            let Some(after) = window.full_for(limit, Micros(now)) else {
                window.take(limit, Micros(now));
                continue;
            };
            let free = Micros(now).plus(after);
            prop_assert_eq!(window.full_for(limit, free), None);
            prop_assert!(window.full_for(limit, Micros(free.0 - 1)).is_some(), "it could have been sooner");
        }
    }

    #[test]
    fn a_limit_that_becomes_narrower_holds_at_once(wide in limits(), narrow in limits(), times in times(), at in 0..200_usize) {
        let narrow = Limit { admit: narrow.admit.min(wide.admit), window_ms: narrow.window_ms.min(wide.window_ms) };
        let mut window = Window::default();
        let mut admitted = Vec::new();
        for (count, now) in times.into_iter().enumerate() {
            let limit = if count < at { wide } else { narrow };
            let fits = younger(&admitted, limit, now) < limit.admit as usize;
            prop_assert_eq!(window.full_for(limit, Micros(now)).is_none(), fits);
            if fits {
                window.take(limit, Micros(now));
                admitted.push(now);
            }
        }
    }

    #[test]
    fn a_limit_that_becomes_another_counts_what_came_before(one in limits(), other in limits(), times in times(), at in 0..200_usize) {
        let (mut window, mut admitted) = (Window::default(), Vec::new());
        for (place, now) in times.into_iter().enumerate() {
            let limit = if place < at { one } else { other };
            let fits = younger(&admitted, limit, now) < limit.admit as usize;
            prop_assert_eq!(window.full_for(limit, Micros(now)).is_none(), fits);
            if fits {
                window.take(limit, Micros(now));
                admitted.push(now);
            }
        }
    }

    #[test]
    fn a_row_is_read_as_it_is_or_not_at_all(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let ordered = bytes.chunks(8).map(<[u8; 8]>::try_from).collect::<Result<Vec<_>, _>>()
            .is_ok_and(|times| times.iter().map(|time| i64::from_be_bytes(*time)).is_sorted());
        match Window::decode(&bytes) {
            Ok(window) => prop_assert!(ordered && window.encode() == bytes),
            Err(_) => prop_assert!(!ordered),
        }
    }

    #[test]
    fn a_row_that_lost_bytes_or_order_is_refused(limit in limits(), cut in 1..8_usize) {
        let mut window = Window::default();
        window.take(limit, Micros(1));
        window.take(limit, Micros(2));
        let mut bytes = window.encode();
        bytes.rotate_left(8);
        prop_assert!(Window::decode(&bytes).is_err(), "out of order");
        bytes.truncate(bytes.len() - cut);
        prop_assert!(Window::decode(&bytes).is_err(), "cut off");
    }
}

#[test]
fn a_limit_of_zero_admits_nothing() {
    let limit = Limit { admit: 0, window_ms: 1000 };
    assert!(!limit.is_valid());
    assert_eq!(Window::default().full_for(limit, Micros(5)), Some(Duration::from_secs(1)));
}

#[test]
fn a_limit_has_a_range() {
    let valid = |admit, window_ms| Limit { admit, window_ms }.is_valid();
    assert!(valid(1, 1) && valid(Limit::MAX_COUNT, 86_400_000));
    assert!(!valid(0, 1) && !valid(1, 0) && !valid(Limit::MAX_COUNT + 1, 1) && !valid(1, 86_400_001));
    assert!(serde_json::from_str::<Limit>(r#"{"admit":1}"#).is_err(), "half a limit");
    assert!(serde_json::from_str::<Limit>(r#"{"admit":1,"window_ms":1,"burst":9}"#).is_err(), "more than a limit");
}
