//! What staff asked a moment ago: a page that is looked at again asks the same question, which is one reading.
//!
//! INVARIANT: a question that is not known here is written down before it is answered, and one that goes on was. Another reason, other
//! words and another key are another question.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::Gateway;
use crate::core::principal::Principal;
use crate::core::reading::Reading;
use crate::core::refusal::Refusal;
use crate::core::time::Micros;

/// How long a question that was written down goes on.
const GOES_ON: Duration = Duration::from_mins(1);

/// Questions that are known; of more, each is written down as often as it is asked.
const MAX_KNOWN: usize = 1000;

/// Digests of questions, with when they were written down.
#[derive(Default)]
pub struct Questions(Mutex<HashMap<[u8; 32], Micros>>);

impl Questions {
    /// Leave to be answered. The question is written down, unless its asker was given leave for it a moment ago.
    pub async fn check(&self, gateway: &Gateway, who: &Principal, what: Reading, asked: Value) -> Result<(), Refusal> {
        let now = gateway.control().ports.clock.now();
        let question = json!([who.credential, what.to_string(), asked]).to_string();
        let question: [u8; 32] = Sha256::digest(question).into();
        if self.goes_on(&question, now) {
            return gateway.check_reader_still(who).await;
        }
        gateway.check_reader(who, what, None, asked).await?;
        self.remember(question, now);
        Ok(())
    }

    fn goes_on(&self, question: &[u8; 32], now: Micros) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(question).is_some_and(|since| now.since(*since) < GOES_ON)
    }

    fn remember(&self, question: [u8; 32], now: Micros) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, since| now.since(*since) < GOES_ON);
        if known.len() < MAX_KNOWN {
            known.insert(question, now);
        }
    }
}
