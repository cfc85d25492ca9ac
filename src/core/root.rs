//! Root of control state: one keyed digest of every row, which each event beside the calls carries, so that a row which was
//! edited, removed or put back in the state table is found when it is loaded, without folding the log (P12).
//!
//! ```text
//! root = HMAC-SHA-256(key, position ‖ bucket 0 ‖ … ‖ bucket 255)
//! bucket = SHA-256(row ‖ row ‖ …), rows by name   row = SHA-256(name ‖ 0 ‖ document), in the bucket of the first byte of SHA-256(name)
//! ```
//!
//! INVARIANT: equal rows have equal roots at one position, in whatever order they came. A change hashes one bucket, not all rows.
//! Whoever writes to the database without the key-encryption key makes no root, and one that was made stands for no other
//! position, so no event of theirs changes what a node goes by.

use std::collections::BTreeMap;
use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::id::Position;

/// What roots are made with. Nodes of one log have the same one, and the database does not.
#[derive(Clone, Default)]
pub struct RootKey(Zeroizing<[u8; 32]>);

impl RootKey {
    /// The one that belongs to a key-encryption key, and tells nothing of it.
    #[must_use]
    pub fn of(wrapping: &[u8; 32]) -> Self {
        Self(Zeroizing::new(keyed(wrapping, [b"forelog control root v1".as_slice()])))
    }
}

/// Hides the key.
impl std::fmt::Debug for RootKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RootKey")
    }
}

type Hash = [u8; 32];

/// Rows of one bucket: the digest of each, by name.
type Bucket = BTreeMap<String, Hash>;

/// The digests that a root is made of.
#[derive(Clone, Debug)]
pub struct Root {
    key: RootKey,
    /// Shared until one is changed: control state is copied for each batch that changes it.
    buckets: Vec<(Arc<Bucket>, Hash)>,
}

impl Default for Root {
    fn default() -> Self {
        Self::under(RootKey::default())
    }
}

impl Root {
    /// Of no rows.
    pub(super) fn under(key: RootKey) -> Self {
        let empty = (Arc::new(Bucket::new()), digest([].iter()));
        Self { key, buckets: vec![empty; 256] }
    }

    /// Of no rows, under the same key.
    pub(super) fn empty(&self) -> Self {
        Self::under(self.key.clone())
    }

    /// Notes what a row holds now; nothing if it is gone. Call [`Root::settle`] after the last of several.
    pub(super) fn note(&mut self, name: &str, document: Option<&[u8]>) {
        let place = usize::from(Sha256::digest(name)[0]);
        let Some((bucket, _)) = self.buckets.get_mut(place) else { return };
        let bucket = Arc::make_mut(bucket);
        match document {
            None => bucket.remove(name),
            Some(document) => {
                let row = Sha256::new().chain_update(name).chain_update([0]).chain_update(document);
                bucket.insert(name.to_owned(), row.finalize().into())
            }
        };
    }

    /// Hashes one bucket again, or all of them.
    pub(super) fn settle(&mut self, name: Option<&str>) {
        let only = name.map(|name| usize::from(Sha256::digest(name)[0]));
        for (place, (bucket, hash)) in self.buckets.iter_mut().enumerate() {
            if only.is_none_or(|only| only == place) {
                *hash = digest(bucket.values());
            }
        }
    }

    /// The root as the event at a position says it, hex.
    #[must_use]
    pub fn hex(&self, at: Position) -> String {
        let place = at.0.to_be_bytes();
        let buckets = self.buckets.iter().map(|(_, hash)| hash.as_slice());
        hex::encode(keyed(&self.key.0, [place.as_slice()].into_iter().chain(buckets)))
    }
}

fn keyed<'a>(key: &[u8; 32], pieces: impl IntoIterator<Item = &'a [u8]>) -> Hash {
    // A key of any length is one.
    let Ok(mac) = Hmac::<Sha256>::new_from_slice(key) else { return [0; 32] };
    pieces.into_iter().fold(mac, Mac::chain_update).finalize().into_bytes().into()
}

fn digest<'a>(hashes: impl Iterator<Item = &'a Hash>) -> Hash {
    hashes.fold(Sha256::new(), Sha256::chain_update).finalize().into()
}
