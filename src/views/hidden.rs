//! The words of a search as commands are found by them: the text of a command is encrypted, and nothing of it lies in the views but
//! digests under the key that it is encrypted with.
//!
//! INVARIANT: they are made only for who may read the commands, of one account at a time, and under keys that were not erased.

use std::collections::{BTreeSet, HashMap};

use super::{ViewError, Views};
use crate::core::id::AccountId;
use crate::core::search::Field;
use crate::core::search::words::looked_for;
use crate::core::time::Micros;
use crate::tools::ActivityQuery;

/// Digests by the part of a word that is looked for.
#[derive(Default)]
pub(super) struct HiddenWords(HashMap<String, Vec<String>>);

impl HiddenWords {
    /// What the commands have that have this part of a word.
    pub(super) fn of(&self, part: &str) -> &[String] {
        self.0.get(part).map(Vec::as_slice).unwrap_or_default()
    }
}

impl Views {
    /// The words of a search as commands are found by them; `newest` is when the newest event was.
    pub(super) async fn hidden_words(&self, query: &ActivityQuery, newest: Micros) -> Result<HiddenWords, ViewError> {
        let named = || query.search.value(Field::Account).and_then(|account| account.parse::<AccountId>().ok());
        let Some(account) = query.visibility.account().cloned().or_else(named) else { return Ok(HiddenWords::default()) };
        if !query.commands || query.search.words.is_empty() {
            return Ok(HiddenWords::default());
        }
        let vault = &self.reader.vault;
        // Each once; how many there may be, the line says (`core::search`).
        let parts: BTreeSet<String> = query.search.words.iter().flat_map(|word| looked_for(&word.text)).collect();
        let parts: Vec<String> = parts.into_iter().collect();
        let until = query.search.to.map_or(newest, |to| to.min(newest));
        let mut found: HashMap<String, Vec<String>> = HashMap::new();
        for key in vault.month_keys(&account, query.search.from, until).await? {
            let digests = vault.word_digests(&key, &account, &parts).await?;
            for (part, digest) in parts.iter().zip(digests) {
                found.entry(part.clone()).or_default().push(digest);
            }
        }
        Ok(HiddenWords(found))
    }
}
