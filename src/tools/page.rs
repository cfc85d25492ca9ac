//! Pages of a list that is in memory whole, by the ids of what it lists.
//!
//! INVARIANT: a page begins after the id that the one before it ended with, whether that is still there or not.

/// How many are on a page, unless a caller asks for fewer: the most.
pub fn largest() -> usize {
    200
}

/// The page after `cursor`, oldest first, and where the next one begins, if there is one.
pub fn page<T, I: Ord + Clone>(mut all: Vec<T>, id: impl Fn(&T) -> &I, limit: usize, cursor: Option<&I>) -> (Vec<T>, Option<I>) {
    all.sort_by(|one, other| id(one).cmp(id(other)));
    cut(all.into_iter().filter(|row| cursor.is_none_or(|cursor| id(row) > cursor)), &id, limit)
}

/// The first of what is left, in the order in which it comes, and the id that the next page goes on after, if there is one.
pub fn cut<T, I: Clone>(left: impl Iterator<Item = T>, id: impl Fn(&T) -> &I, limit: usize) -> (Vec<T>, Option<I>) {
    let mut page: Vec<T> = left.take(limit.saturating_add(1)).collect();
    let is_cut = page.len() > limit;
    page.truncate(limit);
    let next = page.last().filter(|_| is_cut).map(|row| id(row).clone());
    (page, next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_goes_on_after_what_it_showed_and_ends() {
        let of = |cursor: Option<&i32>| page(vec![3, 1, 5, 2], |row| row, 2, cursor);
        assert_eq!(of(None), (vec![1, 2], Some(2)));
        assert_eq!(of(Some(&2)), (vec![3, 5], None));
        assert_eq!(of(Some(&4)), (vec![5], None), "4 was there, and is not any more");
        assert_eq!(of(Some(&5)), (vec![], None));
    }
}
