//! Which numbers count that stood before those in force.

use std::time::Duration;

use forelog::core::earlier_terms::TermsInForce;
use forelog::core::terms::Terms;
use forelog::core::time::Micros;
use proptest::prelude::*;

const DAY: u64 = 86_400_000;

fn with(newcomer_ms: u64, staff_reads_shown_after_ms: u64) -> Terms {
    Terms { newcomer_ms, staff_reads_shown_after_ms, ..Terms::default() }
}

fn at(ms: u64) -> Micros {
    Micros(i64::try_from(ms * 1000).expect("a time"))
}

#[test]
fn stood_a_raise_counts_at_once_and_the_rest_when_its_wait_is_over() {
    let terms = TermsInForce::first(1, with(7 * DAY, 0));
    let terms = terms.followed_by(2, with(0, 0), at(DAY), at(DAY));
    assert_eq!(terms.newcomer(at(DAY)), Duration::from_millis(7 * DAY));
    assert_eq!(terms.newcomer_counts_from(at(DAY)), Some(at(8 * DAY)));
    let terms = terms.followed_by(3, with(9 * DAY, 0), at(2 * DAY), at(2 * DAY));
    assert_eq!(terms.newcomer(at(2 * DAY)), Duration::from_millis(9 * DAY));
    assert_eq!(terms.newcomer_counts_from(at(2 * DAY)), None);
    let terms = terms.followed_by(4, with(DAY, 0), at(3 * DAY), at(3 * DAY));
    assert_eq!(terms.newcomer(at(12 * DAY - 1)), Duration::from_millis(9 * DAY));
    assert_eq!(terms.newcomer(at(12 * DAY)), Duration::from_millis(DAY));
    assert_eq!(terms.newcomer_counts_from(at(12 * DAY)), None);
}

fn settings() -> impl Strategy<Value = Vec<(u64, u64, u64)>> {
    proptest::collection::vec((1..50_u64, 0..100_u64, 0..100_u64), 1..40)
}

proptest! {
    /// Held against the definition, which looks at every setting there ever was. Where there were too many, it errs to the safe
    /// side only.
    #[test]
    fn stood_is_what_the_whole_history_says(history in settings(), later in 0..150_u64) {
        let (_, newcomer, reads) = history[0];
        let mut terms = TermsInForce::first(1, with(newcomer, reads));
        let (mut now, mut ended) = (0, Vec::new());
        for pair in history.windows(2) {
            let (stood, next) = (pair[0], pair[1]);
            now += next.0;
            ended.push((now, stood.1, stood.2));
            terms = terms.followed_by(terms.version + 1, with(next.1, next.2), at(now), at(now));
        }
        let (now, last) = (now + later, history[history.len() - 1]);
        let longest = ended.iter().filter(|(until, ms, _)| until + ms > now).map(|(_, ms, _)| *ms).fold(last.1, u64::max);
        let counts = terms.newcomer(at(now));
        prop_assert!(counts >= Duration::from_millis(longest));
        let signed = |ms: u64| i64::try_from(ms).expect("small") * 1000;
        let told = ended.iter().map(|(until, _, ms)| signed(*until).min(signed(now) - signed(*ms)));
        let told = told.fold(signed(now) - signed(last.2), i64::max);
        prop_assert!(terms.reads_disclosed_until(at(now)).0 >= told);
        if history.len() <= 16 {
            prop_assert_eq!(counts, Duration::from_millis(longest));
            prop_assert_eq!(terms.reads_disclosed_until(at(now)).0, told);
        }
        prop_assert!(serde_json::to_vec(&terms).expect("a row").len() < 3000);
        let read: TermsInForce = serde_json::from_slice(&serde_json::to_vec(&terms).expect("a row")).expect("the same");
        prop_assert_eq!(read, terms);
    }
}
