//! Root of control state: one digest of every row, which each event beside the calls carries, so that a row which was edited,
//! removed or put back in the state table is found when it is loaded, without folding the log (P12).
//!
//! ```text
//! root = SHA-256(bucket 0 ‖ … ‖ bucket 255)      bucket = SHA-256(row ‖ row ‖ …), rows by name
//! row  = SHA-256(name ‖ 0 ‖ document)            a row is in the bucket of the first byte of SHA-256(name)
//! ```
//!
//! INVARIANT: equal rows have equal roots, in whatever order they came. A change hashes one bucket, not all rows.

use std::collections::BTreeMap;
use std::sync::Arc;

use sha2::{Digest, Sha256};

type Hash = [u8; 32];

/// Rows of one bucket: the digest of each, by name.
type Bucket = BTreeMap<String, Hash>;

/// The digests that a root is made of.
#[derive(Clone, Debug)]
pub struct Root {
    /// Shared until one is changed: control state is copied for each batch that changes it.
    buckets: Vec<(Arc<Bucket>, Hash)>,
}

impl Default for Root {
    fn default() -> Self {
        let empty = (Arc::new(Bucket::new()), digest([].iter()));
        Self { buckets: vec![empty; 256] }
    }
}

impl Root {
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

    /// The root, hex.
    #[must_use]
    pub fn hex(&self) -> String {
        hex::encode(digest(self.buckets.iter().map(|(_, hash)| hash)))
    }
}

fn digest<'a>(hashes: impl Iterator<Item = &'a Hash>) -> Hash {
    hashes.fold(Sha256::new(), Sha256::chain_update).finalize().into()
}
