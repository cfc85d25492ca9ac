//! Calls over time as bars, drawn here as SVG: no script, and a table that says the same.

use std::collections::BTreeMap;

use super::line::Line;
use crate::core::time::Micros;
use crate::http::console::shown::{When, grouped};
use crate::tools::Histogram;

/// Width of the drawing and of one bar's place, in its own units.
const WIDTH: u64 = 960;
const HEIGHT: u64 = 96;

/// What a bar is made of, from its foot: how calls stand, the class of the style sheet, and the word.
const PARTS: [(&[&str], &str, &str); 5] = [
    (&["succeeded"], "ok", "Succeeded"),
    (&["recorded", "queued", "running", "held"], "open", "Not ended"),
    (&["refused"], "refused", "Refused"),
    (&["failed", "timed_out", "cancelled"], "failed", "Failed or stopped"),
    (&["unknown"], "unknown", "Unknown"),
];

/// The bars, and what they say.
pub struct Bars {
    /// Width of the drawing.
    pub width: u64,
    /// Height of the drawing.
    pub height: u64,
    /// The parts of all bars.
    pub parts: Vec<Part>,
    /// What the colours mean, with how many there are.
    pub legend: Vec<(&'static str, &'static str, String)>,
    /// The parts of the time in which there is a call, newest first.
    pub rows: Vec<Span>,
    /// How many calls are counted.
    pub counted: String,
    /// There are more.
    pub capped: bool,
}

/// A rectangle.
pub struct Part {
    /// Class of the style sheet.
    pub class: &'static str,
    /// Left edge.
    pub x: u64,
    /// Upper edge.
    pub y: u64,
    /// Width.
    pub width: u64,
    /// Height.
    pub height: u64,
}

/// A part of the time in words.
pub struct Span {
    /// Its beginning.
    pub from: When,
    /// The search for it alone.
    pub href: String,
    /// How many calls stand how.
    pub counts: Vec<String>,
}

impl Bars {
    /// The bars of `found`; `line` is what was searched for.
    pub fn of(found: &Histogram, line: &Line, now: Micros) -> Self {
        let counts: Vec<[u64; 5]> = found.buckets.iter().map(|bucket| counts(&bucket.counts)).collect();
        let highest = counts.iter().map(|part| part.iter().sum::<u64>()).max().unwrap_or(0).max(1);
        let place = WIDTH / (counts.len() as u64).max(1);
        let mut parts = Vec::new();
        for (at, bar) in counts.iter().enumerate() {
            let mut foot = HEIGHT;
            for (count, (_, class, _)) in bar.iter().zip(PARTS).filter(|(count, _)| **count > 0) {
                // Whatever is there is seen, if only as a line.
                let height = (count * (HEIGHT - 10) / highest).max(2);
                foot = foot.saturating_sub(height);
                parts.push(Part { class, x: at as u64 * place, y: foot, width: place.saturating_sub(2).max(1), height });
            }
        }
        let sum = |part: usize| counts.iter().map(|bar| bar[part]).sum::<u64>();
        Self {
            width: WIDTH,
            height: HEIGHT,
            parts,
            legend: PARTS.iter().enumerate().map(|(at, (_, class, word))| (*class, *word, number(sum(at)))).collect(),
            rows: spans(found, &counts, line, now),
            counted: number(found.counted),
            capped: found.capped,
        }
    }
}

fn spans(found: &Histogram, counts: &[[u64; 5]], line: &Line, now: Micros) -> Vec<Span> {
    let width =
        found.buckets.get(1).zip(found.buckets.first()).map_or(1, |(second, first)| second.at.0.saturating_sub(first.at.0));
    let filled = found.buckets.iter().zip(counts).rev().filter(|(_, counts)| counts.iter().sum::<u64>() > 0);
    filled
        .map(|(bucket, counts)| {
            let time = format!("created:{}..{}", bucket.at.rfc3339(), Micros(bucket.at.0.saturating_add(width)).rfc3339());
            Span {
                from: When::of(bucket.at, now),
                href: line.over(&time).href(),
                counts: counts.iter().map(|count| number(*count)).collect(),
            }
        })
        .collect()
}

fn counts(bucket: &BTreeMap<&'static str, u64>) -> [u64; 5] {
    PARTS.map(|(statuses, _, _)| statuses.iter().filter_map(|status| bucket.get(status)).sum())
}

fn number(count: u64) -> String {
    grouped(i64::try_from(count).unwrap_or(i64::MAX))
}
