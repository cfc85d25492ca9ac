//! Text from outside as it may be shown: what would not be seen, or would change how the rest is seen, is written out.

use std::fmt::Write;

use icu_properties::props::{DefaultIgnorableCodePoint, GeneralCategory};
use icu_properties::{CodePointMapData, CodePointMapDataBorrowed, CodePointSetData, CodePointSetDataBorrowed};

/// Marks on one letter that are shown: more than any script has, and too few to paint over the lines beside it.
const MAX_MARKS: usize = 6;

/// `text` with what would not be seen, or would change how the rest is seen, written out: control characters, marks of
/// direction, characters without width, and marks that are heaped on one letter.
#[must_use]
pub fn escape_hidden(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut marks = 0;
    for c in text.chars() {
        marks = if is_mark(c) { marks + 1 } else { 0 };
        if is_hidden(c) || marks > MAX_MARKS {
            // Writing to a string does not fail.
            let _ = write!(shown, "\\u{{{:x}}}", u32::from(c));
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Whether there is anything in a text to be read: a reason of spaces and characters without ink is none.
#[must_use]
pub fn says_something(text: &str) -> bool {
    text.chars().any(|c| !c.is_whitespace() && !is_hidden(c))
}

/// Whether a character would not be seen, or changes how its neighbours are seen: what Unicode says may be ignored in display
/// (`Default_Ignorable_Code_Point`: without width, fillers, variation selectors), controls, marks of line and direction,
/// interlinear notes, and two that have width and no ink.
pub(super) fn is_hidden(c: char) -> bool {
    const IGNORABLE: CodePointSetDataBorrowed<'static> = CodePointSetData::new::<DefaultIgnorableCodePoint>();
    !c.is_ascii_graphic()
        && (c.is_control()
            || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2800}' | '\u{fff9}'..='\u{fffb}' | '\u{1d159}')
            || IGNORABLE.contains(c))
}

/// Whether a character is drawn on the one before it.
fn is_mark(c: char) -> bool {
    const CATEGORY: CodePointMapDataBorrowed<'static, GeneralCategory> = CodePointMapData::<GeneralCategory>::new();
    !c.is_ascii() && matches!(CATEGORY.get(c), GeneralCategory::NonspacingMark | GeneralCategory::EnclosingMark)
}

/// So many of something, as people say it.
#[must_use]
pub fn counted(count: impl TryInto<u64>, noun: &str) -> String {
    let count = count.try_into().unwrap_or(u64::MAX);
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// A text as a sentence begins.
#[must_use]
pub fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::{escape_hidden, says_something};

    #[test]
    fn marks_that_are_heaped_on_a_letter_are_written_out() {
        for text in ["Việt", "e\u{301}", "\u{5e9}\u{5c1}\u{5b8}\u{591}", "\u{e01}\u{e34}\u{e48}", "障害"] {
            assert_eq!(escape_hidden(text), text);
        }
        let shown = escape_hidden(&format!("a{}b", "\u{30d}".repeat(500)));
        assert_eq!(shown.matches('\u{30d}').count(), 6);
        assert_eq!(shown.matches("\\u{30d}").count(), 494);
    }

    #[test]
    fn a_text_without_ink_says_nothing() {
        for text in ["", " ", "\t\n", "\u{a0}", "\u{200b}", "\u{2060}\u{3000}", "\u{2800}", "\u{3164}", "\u{feff}\u{202e}"] {
            assert!(!says_something(text), "{text:?}");
        }
        for text in ["x", " 7 ", "障害", "\u{200b}é"] {
            assert!(says_something(text), "{text:?}");
        }
    }
}
