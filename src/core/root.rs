//! Root of control state: one keyed digest of every row, which each event beside the calls carries, so that a row which was
//! edited, removed or put back in the state table is found when it is loaded, without folding the log (P12).
//!
//! ```text
//! root = "02" ‖ HMAC-SHA-256(key, "root" ‖ position ‖ sum)
//! sum = mark + mark + … modulo 2^256, over all rows   mark = HMAC-SHA-256(key, "row" ‖ name ‖ 0 ‖ document)
//! ```
//!
//! INVARIANT: equal rows have equal roots at one position, in whatever order they came. A change takes the old row's mark away
//! and adds the new one's, however many rows there are. Whoever writes to the database without the key-encryption key makes no
//! root and knows no mark, so no rows of theirs have the sum of others, and a root that was made stands for no other position.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::id::Position;

/// What roots are made with. Nodes of one log have the same one, and the database does not.
#[derive(Clone, Default)]
pub struct RootKey(Zeroizing<[u8; 32]>);

impl RootKey {
    /// The one that belongs to a key-encryption key, and tells nothing of it.
    #[must_use]
    pub fn of(wrapping: &[u8; 32]) -> Self {
        Self(Zeroizing::new(keyed(wrapping, [b"forelog control root v2"])))
    }

    /// What shows of a document that somebody with the key has written it as a thing of that kind, hex.
    #[must_use]
    pub fn signet(&self, kind: &str, document: &[u8]) -> String {
        hex::encode(keyed(&self.0, [b"signet", kind.as_bytes(), &[0], document]))
    }
}

/// Hides the key.
impl std::fmt::Debug for RootKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RootKey")
    }
}

/// How a root begins: what it is made of.
const FORM: &str = "02";

/// What one row adds to the sum: a number below 2^256, its lowest digits first. Of a row that is not there, zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark([u64; 4]);

impl Mark {
    fn of(hash: [u8; 32]) -> Self {
        let mut digits = [0; 4];
        for (digit, bytes) in digits.iter_mut().zip(hash.as_chunks().0) {
            *digit = u64::from_le_bytes(*bytes);
        }
        Self(digits)
    }

    fn plus(self, other: Self) -> Self {
        let mut carry = false;
        let mut digits = [0; 4];
        for ((digit, one), other) in digits.iter_mut().zip(self.0).zip(other.0) {
            let (sum, first) = one.overflowing_add(other);
            let (sum, second) = sum.overflowing_add(u64::from(carry));
            (*digit, carry) = (sum, first || second);
        }
        Self(digits)
    }

    /// What adds up to zero with it.
    fn negative(self) -> Self {
        Self(self.0.map(|digit| !digit)).plus(Self([1, 0, 0, 0]))
    }
}

/// What the root counts the rows as of which there is one.
#[derive(Clone, Debug, Default)]
pub(super) struct Loose {
    pub(super) policy: Mark,
    pub(super) limits: Mark,
    pub(super) clock: Mark,
    pub(super) alarms: Mark,
}

/// The sum that a root is made of.
#[derive(Clone, Debug, Default)]
pub struct Root {
    key: RootKey,
    sum: Mark,
}

impl Root {
    /// Of no rows.
    pub(super) fn under(key: RootKey) -> Self {
        Self { key, sum: Mark::default() }
    }

    /// Of no rows, under the same key.
    pub(super) fn empty(&self) -> Self {
        Self::under(self.key.clone())
    }

    /// What a row counts as.
    pub(super) fn mark(&self, name: [&str; 2], document: &[u8]) -> Mark {
        let [kind, key] = name.map(str::as_bytes);
        Mark::of(keyed(&self.key.0, [b"row", kind, b":", key, &[0], document]))
    }

    /// A row that counted as one mark counts as another.
    pub(super) fn replace(&mut self, was: Mark, is: Mark) {
        self.sum = self.sum.plus(was.negative()).plus(is);
    }

    /// The root as the event at a position says it, hex.
    #[must_use]
    pub fn hex(&self, at: Position) -> String {
        let sum = self.sum.0.map(u64::to_le_bytes);
        format!("{FORM}{}", hex::encode(keyed(&self.key.0, [b"root", &at.0.to_be_bytes(), sum.as_flattened()])))
    }

    /// Whether a root was made by an earlier version, with which none of this one's agrees.
    #[must_use]
    pub fn is_earlier(root: &str) -> bool {
        root.len() == 64
    }
}

fn keyed<const N: usize>(key: &[u8; 32], pieces: [&[u8]; N]) -> [u8; 32] {
    // A key of any length is one.
    let Ok(mac) = Hmac::<Sha256>::new_from_slice(key) else { return [0; 32] };
    pieces.into_iter().fold(mac, Mac::chain_update).finalize().into_bytes().into()
}
