//! How far long work is, on a terminal; nothing anywhere else.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar on standard error.
pub struct Bar(ProgressBar);

impl Bar {
    /// A bar for so-called things, of which it is not known yet how many there are.
    pub fn new(things: &'static str) -> Self {
        let style = ProgressStyle::with_template("{bar:40} {pos}/{len} {msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
        Self(ProgressBar::new(0).with_style(style).with_message(things))
    }

    /// So many are done, of so many.
    pub fn reach(&self, done: i64, of: i64) {
        self.0.set_length(u64::try_from(of).unwrap_or(0));
        self.0.set_position(u64::try_from(done).unwrap_or(0));
    }

    /// Takes the bar away.
    pub fn clear(self) {
        self.0.finish_and_clear();
    }
}
