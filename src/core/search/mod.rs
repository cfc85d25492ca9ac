//! What is searched for among calls: conditions on fields, words, and a range of time. The same from one typed line
//! (`tool:vm_power -outcome:succeeded web`) as from the fields of a form.
//!
//! INVARIANT: a search only ever narrows; whose calls may be seen at all is decided elsewhere. [`Search`] shown as a line
//! and read again is the same search.

mod line;
mod terms;
pub mod words;

pub use terms::{Fault, Field, Known, MAX_COUNT, Search, Term, Word};
