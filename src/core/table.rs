//! Tables of control state: rows by id, which are cheap to copy whole and to change in one place.
//!
//! ```text
//! clone    shares everything, whatever the size: a batch, the fence and each reader have a table of their own
//! change   copies the way to one row, and what finds the row by other things than its id moves with it
//! ```
//!
//! INVARIANT: what is found by something else than an id follows from the rows and from nothing else: a row enters and leaves
//! it in [`Table::insert`] and [`Table::remove`] alone, so that a fold, a load and a test cannot come to differ in it.

use std::borrow::Borrow;
use std::collections::BTreeSet;
use std::fmt::{Debug, Display};
use std::ops::{Deref, DerefMut, Index, RangeBounds};
use std::str::FromStr;

use rpds::{RedBlackTreeMapSync, RedBlackTreeSetSync};
use serde::Serialize;

use super::canonical::canonical_exact;
use super::root::Mark;

/// A map that is copied by sharing.
pub(super) type Tree<K, V> = RedBlackTreeMapSync<K, V>;

/// So many ids on each side of a wrong one are looked at: whoever asks for it must not cost a look at those of all customers.
const AROUND: usize = 500;

/// A row of control state.
pub trait Row: Clone + Debug + Serialize {
    /// What it is found by.
    type Id: Clone + Debug + Display + FromStr + Ord;
    /// By what else it is found.
    type Finder: Clone + Debug + Default;
    /// Its id.
    fn id(&self) -> &Self::Id;
    /// Makes it found.
    fn enter(&self, finder: &mut Self::Finder);
    /// Makes it not found any more.
    fn leave(&self, finder: &mut Self::Finder);
    /// Whether all that it is found by is as it was in the version before.
    fn is_found_as(&self, was: &Self) -> bool;
}

/// Rows by id, in the order of these.
#[derive(Clone)]
pub struct Table<R: Row> {
    rows: Tree<R::Id, Kept<R>>,
    finder: R::Finder,
}

/// A row, and what the root of control state counts it as.
#[derive(Clone, Debug)]
struct Kept<R> {
    row: R,
    mark: Mark,
}

impl<R: Row> Table<R> {
    /// The row with this id.
    #[must_use]
    pub fn get(&self, id: &R::Id) -> Option<&R> {
        self.rows.get(id).map(|kept| &kept.row)
    }

    /// The row with this id, to be changed; what finds it follows when that is dropped.
    pub fn get_mut(&mut self, id: &R::Id) -> Option<Changing<'_, R>> {
        let Self { rows, finder } = self;
        let kept = rows.get_mut(id)?;
        let was = kept.row.clone();
        Some(Changing { kept, finder, was })
    }

    /// Puts a row in under its id, or in the place of the one with it.
    pub fn insert(&mut self, id: R::Id, row: R) {
        self.put(id, row, Mark::default());
    }

    /// Takes a row out.
    pub fn remove(&mut self, id: &R::Id) -> Option<R> {
        let row = self.get(id)?.clone();
        row.leave(&mut self.finder);
        self.rows.remove_mut(id);
        Some(row)
    }

    /// Whether there is a row with this id.
    #[must_use]
    pub fn contains_key(&self, id: &R::Id) -> bool {
        self.rows.contains_key(id)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.size()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// All rows, of all customers. Never called for the work of a single customer.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &R> + ExactSizeIterator {
        self.rows.values().map(|kept| &kept.row)
    }

    /// All ids, in order.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &R::Id> + ExactSizeIterator {
        self.rows.keys()
    }

    /// The ids in a range, in order.
    pub fn ids_in(&self, range: impl RangeBounds<R::Id>) -> impl DoubleEndedIterator<Item = &R::Id> {
        self.rows.range(range).map(|(id, _)| id)
    }

    /// An id, if there is one, or those that begin as it does: what comes shortly before it and after it.
    pub(super) fn around(&self, id: &R::Id) -> BTreeSet<String> {
        if self.contains_key(id) {
            return BTreeSet::from([id.to_string()]);
        }
        let (before, after) = (self.ids_in(..id).rev().take(AROUND), self.ids_in(id..).take(AROUND));
        before.chain(after).map(ToString::to_string).collect()
    }

    /// What finds rows by something else.
    pub(super) fn index(&self) -> &R::Finder {
        &self.finder
    }

    /// Puts a row in with what the root counts it as; answers what it counted the row in its place as.
    pub(super) fn put(&mut self, id: R::Id, row: R, mark: Mark) -> Mark {
        let was = self.rows.get(&id);
        if was.is_none_or(|was| !row.is_found_as(&was.row)) {
            if let Some(was) = was {
                was.row.leave(&mut self.finder);
            }
            row.enter(&mut self.finder);
        }
        let was = was.map_or_else(Mark::default, |was| was.mark);
        self.rows.insert_mut(id, Kept { row, mark });
        was
    }

    /// The bytes to store for a row; none if there is no such row.
    pub(super) fn document(&self, key: &str) -> Result<Option<Vec<u8>>, serde_json::Error> {
        let kept = key.parse().ok().and_then(|id| self.rows.get(&id));
        kept.map(|kept| canonical_exact(&kept.row)).transpose()
    }

    /// What the root counts a row as.
    pub(super) fn mark(&self, key: &str) -> Mark {
        key.parse().ok().and_then(|id| self.rows.get(&id)).map_or_else(Mark::default, |kept| kept.mark)
    }

    /// Notes what the root counts a row as, if it is there.
    pub(super) fn set_mark(&mut self, key: &str, mark: Mark) {
        if let Some(kept) = key.parse().ok().and_then(|id| self.rows.get_mut(&id)) {
            kept.mark = mark;
        }
    }
}

impl<R: Row> Default for Table<R> {
    fn default() -> Self {
        Self { rows: Tree::default(), finder: R::Finder::default() }
    }
}

impl<R: Row> Debug for Table<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.values()).finish()
    }
}

/// By rows: the rest follows from them.
impl<R: Row + PartialEq> PartialEq for Table<R> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.values().eq(other.values())
    }
}

impl<R: Row + Eq> Eq for Table<R> {}

impl<R: Row> Index<&R::Id> for Table<R> {
    type Output = R;

    fn index(&self, id: &R::Id) -> &R {
        &self.rows[id].row
    }
}

/// A row while it is changed.
#[derive(Debug)]
pub struct Changing<'a, R: Row> {
    kept: &'a mut Kept<R>,
    finder: &'a mut R::Finder,
    was: R,
}

impl<R: Row> Deref for Changing<'_, R> {
    type Target = R;

    fn deref(&self) -> &R {
        &self.kept.row
    }
}

impl<R: Row> DerefMut for Changing<'_, R> {
    fn deref_mut(&mut self) -> &mut R {
        &mut self.kept.row
    }
}

impl<R: Row> Drop for Changing<'_, R> {
    fn drop(&mut self) {
        if !self.kept.row.is_found_as(&self.was) {
            self.was.leave(self.finder);
            self.kept.row.enter(self.finder);
        }
    }
}

/// Many ids under one of something else. Shared when it is copied, as the tables are.
#[derive(Clone, Debug)]
pub struct MultiIndex<A: Ord, B: Ord>(Tree<A, RedBlackTreeSetSync<B>>);

impl<A: Clone + Ord, B: Clone + Ord> MultiIndex<A, B> {
    pub(super) fn add(&mut self, one: A, other: B) {
        if let Some(under) = self.0.get_mut(&one) {
            under.insert_mut(other);
            return;
        }
        self.0.insert_mut(one, RedBlackTreeSetSync::new_sync().insert(other));
    }

    pub(super) fn drop(&mut self, one: &A, other: &B) {
        let Some(under) = self.0.get_mut(one) else { return };
        under.remove_mut(other);
        if under.is_empty() {
            self.0.remove_mut(one);
        }
    }

    pub(super) fn of<Q: Ord + ?Sized>(&self, one: &Q) -> impl DoubleEndedIterator<Item = &B> + use<'_, A, B, Q>
    where
        A: Borrow<Q>,
    {
        self.0.get(one).into_iter().flat_map(RedBlackTreeSetSync::iter)
    }

    /// Those under one from another on.
    pub(super) fn from<'a, 'b, Q: Ord + ?Sized>(
        &'a self,
        one: &Q,
        first: &'b B,
    ) -> impl Iterator<Item = &'a B> + use<'a, 'b, A, B, Q>
    where
        A: Borrow<Q>,
    {
        self.0.get(one).into_iter().flat_map(move |under| under.range(first..))
    }

    pub(super) fn count(&self, one: &A) -> usize {
        self.0.get(one).map_or(0, RedBlackTreeSetSync::size)
    }

    pub(super) fn ones(&self) -> impl ExactSizeIterator<Item = &A> {
        self.0.keys()
    }
}

impl<A: Ord, B: Ord> Default for MultiIndex<A, B> {
    fn default() -> Self {
        Self(Tree::default())
    }
}
