//! Pages of a list that is in memory whole, by the ids of what it lists, oldest first.
//!
//! INVARIANT: a page begins after the id that the one before it ended with, whether that is still there or not.

/// How many are on a page, unless a caller asks for fewer: the most.
pub fn largest() -> usize {
    200
}

/// The page after `cursor`, and where the next one begins, if there is one.
pub fn page<T, I: Ord + Clone>(mut all: Vec<T>, id: impl Fn(&T) -> &I, limit: usize, cursor: Option<&I>) -> (Vec<T>, Option<I>) {
    all.retain(|row| cursor.is_none_or(|cursor| id(row) > cursor));
    all.sort_by(|one, other| id(one).cmp(id(other)));
    let more = all.len() > limit;
    all.truncate(limit);
    let next = all.last().filter(|_| more).map(|row| id(row).clone());
    (all, next)
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
