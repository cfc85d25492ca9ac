//! How many of the calls that a search finds stand how, over time.
//!
//! INVARIANT: it counts the newest calls only, as many as can be counted at once, and says so if there are more.

use std::collections::BTreeMap;

use super::ViewError;
use super::activity::Calls;
use super::call::meaning;
use super::filter::select_standing;
use super::page::Cursor;
use crate::core::call::Status;
use crate::core::time::Micros;
use crate::log::sql::Row;
use crate::tools::{ActivityQuery, Bucket, Histogram};

/// Calls that are counted.
const COUNTED: u32 = 5000;

impl Calls {
    pub(super) async fn count(&self, query: &ActivityQuery, buckets: u32) -> Result<Histogram, ViewError> {
        let reached = self.views().reach().await?;
        let from = Cursor { as_of: reached.position, before: reached.position.next() };
        let turn = self.turn(&query.visibility).await?;
        let hidden = self.hidden_words(&turn, query).await?;
        let (sql, args) = select_standing((query, &hidden), from, COUNTED + 1, self.views().database.dialect());
        let rows = self.query_rows(&turn, &sql, args).await?;
        drop(turn);
        let counted = usize::try_from(COUNTED).unwrap_or(usize::MAX);
        let calls: Vec<(Micros, Status)> = rows.iter().take(counted).map(standing).collect::<Result<_, _>>()?;
        let (newest, oldest) = (calls.first().map_or(Micros(0), |call| call.0), calls.last().map_or(Micros(0), |call| call.0));
        let capped = rows.len() > counted;
        // Of what was not counted nothing is shown, not even as zero.
        let begin = query.search.from.filter(|_| !capped).unwrap_or(oldest);
        let end = query.search.to.unwrap_or(Micros(newest.0 + 1)).max(Micros(begin.0.saturating_add(1)));
        Ok(Histogram { buckets: spread(&calls, begin, end, buckets), counted: calls.len() as u64, capped, as_of: from.as_of })
    }
}

fn standing(row: &Row) -> Result<(Micros, Status), ViewError> {
    let status = row.text(1)?;
    let known = meaning(status).ok_or_else(|| ViewError::Unreadable(format!("a call that is {status}")))?;
    Ok((Micros(row.int(0)?), known))
}

/// Counts calls into equal parts of `begin` up to `end`.
fn spread(calls: &[(Micros, Status)], begin: Micros, end: Micros, buckets: u32) -> Vec<Bucket> {
    // Who asks may name any instant, so the sums saturate.
    let (parts, whole) = (i64::from(buckets.max(1)), end.0.saturating_sub(begin.0));
    let width = (whole / parts).max(1).saturating_add(i64::from(whole % parts != 0));
    let starts = (0..parts).map(|part| Micros(begin.0.saturating_add(part.saturating_mul(width))));
    let mut filled: Vec<Bucket> = starts.map(|at| Bucket { at, counts: BTreeMap::new() }).collect();
    for (at, status) in calls {
        let part = usize::try_from(at.0.saturating_sub(begin.0) / width).unwrap_or(0);
        if let Some(bucket) = filled.get_mut(part) {
            *bucket.counts.entry(status.as_str()).or_insert(0) += 1;
        }
    }
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_spread_over_the_whole_range() {
        let calls = [(Micros(109), Status::Failed), (Micros(100), Status::Failed), (Micros(100), Status::Succeeded)];
        let buckets = spread(&calls, Micros(100), Micros(110), 3);
        assert_eq!(buckets.iter().map(|bucket| bucket.at.0).collect::<Vec<_>>(), [100, 104, 108]);
        assert_eq!(buckets[0].counts, BTreeMap::from([("failed", 1), ("succeeded", 1)]));
        assert_eq!(buckets[2].counts, BTreeMap::from([("failed", 1)]));
        assert_eq!(spread(&[], Micros(0), Micros(1), 0).len(), 1, "at least one part");
        for (begin, end) in [(i64::MIN, i64::MAX), (i64::MIN, 110), (100, i64::MAX), (i64::MAX, i64::MAX)] {
            assert_eq!(spread(&calls, Micros(begin), Micros(end), 60).len(), 60, "{begin} to {end}");
        }
    }
}
