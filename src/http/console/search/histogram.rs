//! Calls over time as bars, drawn here as SVG: a bar leads to its part of the time, a
//! script lets several be drawn over, and a table says the same.

use std::collections::BTreeMap;

use super::line::Line;
use crate::core::time::Micros;
use crate::http::console::format::{DisplayTime, group_digits};
use crate::tools::{Bucket, Histogram};

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
    /// The bars in which there is a call.
    pub drawn: Vec<Bar>,
    /// Width of a bar's place.
    pub place: u64,
    /// Its beginning.
    pub start: DisplayTime,
    /// Its end.
    pub end: DisplayTime,
    /// The beginning, in milliseconds.
    pub from_ms: i64,
    /// How long one bar's place is, in milliseconds.
    pub place_ms: f64,
    /// The search for a part of the time, for a script: `{from}` and `{to}` are to be replaced.
    pub zoom: String,
    /// What the colours mean, with how many there are.
    pub legend: Vec<(&'static str, &'static str, String)>,
    /// The parts of the time in which there is a call, newest first.
    pub rows: Vec<Span>,
    /// How many calls are counted.
    pub counted: String,
    /// There are more.
    pub capped: bool,
}

/// One bar, which leads to its part of the time.
pub struct Bar {
    /// The search for it alone.
    pub href: String,
    /// What it says.
    pub label: String,
    /// Left edge.
    pub x: u64,
    /// What it is made of.
    pub parts: Vec<Part>,
}

/// A rectangle.
pub struct Part {
    /// Class of the style sheet.
    pub class: &'static str,
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
    pub from: DisplayTime,
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
        let start = found.buckets.first().map_or(now, |bucket| bucket.at);
        let length = length(found);
        let end = found.buckets.last().map_or(now, |bucket| Micros(bucket.at.0.saturating_add(length)));
        let mut rows = spans(found, &counts, line, now);
        let bars = rows.iter().map(|(at, span)| Bar {
            href: span.href.clone(),
            label: said(span),
            x: *at as u64 * place,
            parts: parts(&counts[*at], highest, place),
        });
        let sum = |part: usize| counts.iter().map(|bar| bar[part]).sum::<u64>();
        Self {
            width: WIDTH,
            height: HEIGHT,
            drawn: bars.collect(),
            place,
            start: DisplayTime::of(start, now),
            end: DisplayTime::of(end, now),
            from_ms: start.0 / 1000,
            place_ms: micros_to_ms(length),
            zoom: line.over("created:{from}..{to}").href(),
            legend: PARTS.iter().enumerate().map(|(at, (_, class, word))| (*class, *word, number(sum(at)))).collect(),
            rows: rows.drain(..).rev().map(|(_, span)| span).collect(),
            counted: number(found.counted),
            capped: found.capped,
        }
    }
}

/// How long a bar's part of the time is.
fn length(found: &Histogram) -> i64 {
    let (first, second) = (found.buckets.first(), found.buckets.get(1));
    second.zip(first).map_or(1, |(second, first)| second.at.0.saturating_sub(first.at.0))
}

/// The rectangles of a bar, from its foot.
fn parts(counts: &[u64; 5], highest: u64, place: u64) -> Vec<Part> {
    let mut foot = HEIGHT;
    let filled = counts.iter().zip(PARTS).filter(|(count, _)| **count > 0);
    let part = |(count, (_, class, _)): (&u64, (_, &'static str, _))| {
        // Whatever is there is seen, if only as a line.
        let height = (count * (HEIGHT - 10) / highest).max(2);
        foot = foot.saturating_sub(height);
        Part { class, y: foot, width: place.saturating_sub(2).max(1), height }
    };
    filled.map(part).collect()
}

/// The parts of the time in which there is a call, with their bar's number.
fn spans(found: &Histogram, counts: &[[u64; 5]], line: &Line, now: Micros) -> Vec<(usize, Span)> {
    let length = length(found);
    let filled = found.buckets.iter().zip(counts).enumerate().filter(|(_, (_, counts))| counts.iter().sum::<u64>() > 0);
    let span = |(at, (bucket, counts)): (usize, (&Bucket, &[u64; 5]))| {
        let time = format!("created:{}..{}", bucket.at.rfc3339(), Micros(bucket.at.0.saturating_add(length)).rfc3339());
        let counts = counts.iter().map(|count| number(*count)).collect();
        (at, Span { from: DisplayTime::of(bucket.at, now), href: line.over(&time).href(), counts })
    };
    filled.map(span).collect()
}

/// A bar in words.
fn said(span: &Span) -> String {
    let counted = span.counts.iter().zip(PARTS).filter(|(count, _)| *count != "0");
    let counts: Vec<String> = counted.map(|(count, (_, _, word))| format!("{} {count}", word.to_lowercase())).collect();
    format!("From {} UTC: {}", span.from.utc, counts.join(", "))
}

#[expect(clippy::cast_precision_loss, reason = "a drawing is not finer than its pixels")]
fn micros_to_ms(micros: i64) -> f64 {
    micros as f64 / 1000.0
}

fn counts(bucket: &BTreeMap<&'static str, u64>) -> [u64; 5] {
    PARTS.map(|(statuses, _, _)| statuses.iter().filter_map(|status| bucket.get(status)).sum())
}

fn number(count: u64) -> String {
    group_digits(i64::try_from(count).unwrap_or(i64::MAX))
}
