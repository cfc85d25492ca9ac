//! Words of a text, the same for what is indexed as for what is looked for.
//!
//! Text is folded first (NFKC, and case), so that `ＷＥＢ` is `web`. A word is a run of letters and digits of scripts that put
//! spaces between words, or a run of a script that does not, such as Chinese, Japanese or Thai. Of the latter every two
//! neighbours are a word of the index, and so is each character alone: a part of any length is found without a dictionary.
//!
//! INVARIANT: words hold letters, digits and their marks alone, so nothing in them is a sign to a database.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use unicode_script::{Script, UnicodeScript};

/// Longest value or word, in bytes.
pub(super) const MAX_LENGTH: usize = 256;

/// The words of a text in order, as they are shown: a run without spaces is one.
pub fn words(text: &str) -> Vec<String> {
    let (mut found, mut open) = (Vec::new(), None::<(bool, String)>);
    for c in folded(text).chars() {
        let is_mark = is_combining_mark(c);
        if !(c.is_alphanumeric() || is_mark && open.is_some()) {
            found.extend(open.take().map(|(_, run)| run));
            continue;
        }
        // A mark is of the letter before it.
        let spaceless = if is_mark { open.as_ref().is_some_and(|(spaceless, _)| *spaceless) } else { is_spaceless(c) };
        match &mut open {
            Some((kind, run)) if *kind == spaceless => run.push(c),
            _ => found.extend(open.replace((spaceless, c.to_string())).map(|(_, run)| run)),
        }
    }
    found.extend(open.map(|(_, run)| run));
    found
}

/// What the index has of a text.
pub fn indexed(text: &str) -> impl Iterator<Item = String> {
    words(text).into_iter().flat_map(|word| {
        let parts = if is_run(&word) { parts(&word, 1).chain(parts(&word, 2)).collect() } else { vec![cut(&word)] };
        parts.into_iter()
    })
}

/// What of the index a call has to have to have this word.
pub fn looked_for(word: &str) -> Vec<String> {
    if !is_run(word) {
        return vec![cut(word)];
    }
    let pairs: Vec<String> = parts(word, 2).collect();
    if pairs.is_empty() { vec![word.to_owned()] } else { pairs }
}

/// Whether a word is a run of a script without spaces.
pub fn is_run(word: &str) -> bool {
    word.chars().next().is_some_and(is_spaceless)
}

fn parts(run: &str, length: usize) -> impl Iterator<Item = String> {
    let letters: Vec<char> = run.chars().collect();
    let parts: Vec<String> = letters.windows(length).map(|part| part.iter().collect()).collect();
    parts.into_iter()
}

/// The beginning of a word that is longer than anybody looks for.
fn cut(word: &str) -> String {
    let mut end = word.len().min(MAX_LENGTH);
    while !word.is_char_boundary(end) {
        end -= 1;
    }
    word[..end].to_owned()
}

/// One form for what people take for the same: width, composition and case. Upper case in between also makes `ß` into `ss`
/// and the final sigma into the other one.
fn folded(text: &str) -> String {
    let upper = text.nfkc().flat_map(char::to_uppercase);
    upper.flat_map(char::to_lowercase).collect::<String>().nfkc().collect()
}

/// Scripts that are written without spaces between words; Korean has spaces, but not before its endings.
fn is_spaceless(c: char) -> bool {
    matches!(
        c.script(),
        Script::Han
            | Script::Hiragana
            | Script::Katakana
            | Script::Bopomofo
            | Script::Hangul
            | Script::Thai
            | Script::Lao
            | Script::Khmer
            | Script::Myanmar
            | Script::Tibetan
            | Script::Yi
    ) || matches!(c, 'ー' | '々' | '〆')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_where_scripts_have_spaces_or_none() {
        for (text, expected) in [
            ("生产数据库-01", &["生产数据库", "01"][..]),
            ("Web数据01", &["web", "数据", "01"]),
            ("ＷＥＢ－１ STRASSE straße ΣΟΦΟΣ", &["web", "1", "strasse", "strasse", "σοφοσ"]),
            ("ﾃﾞｰﾀﾍﾞｰｽ", &["データベース"]),
            ("e\u{301}cole école", &["école", "école"]),
            ("ฐานข้อมูล", &["ฐานข้อมูล"]),
            ("데이터베이스를 web", &["데이터베이스를", "web"]),
            ("\u{301} % \0 -", &[]),
        ] {
            assert_eq!(words(text), expected, "{text}");
        }
    }

    #[test]
    fn every_part_of_a_run_is_found() {
        let text = "生产数据库-01";
        let index: Vec<String> = indexed(text).collect();
        let run: Vec<char> = "生产数据库".chars().collect();
        for (from, to) in (0..run.len()).flat_map(|from| (from + 1..=run.len()).map(move |to| (from, to))) {
            let part: String = run[from..to].iter().collect();
            assert!(looked_for(&part).iter().all(|word| index.contains(word)), "{part}");
        }
        for absent in ["数库", "测试", "据数", "0"] {
            assert!(!looked_for(absent).iter().all(|word| index.contains(word)), "{absent}");
        }
        assert_eq!(indexed(&"x".repeat(3000)).next().map(|word| word.len()), Some(MAX_LENGTH));
    }
}
