//! Lists a page at a time: newest first, from a place on. What comes before a page is not read to find it.

use portcullis_core::time::Timestamp;

/// Most rows of one page.
pub const MAX_PAGE: u32 = 500;

/// A place in a list that is ordered by time, newest first, and by id where that is the same: behind a
/// row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The time by which the list is ordered.
    pub at: Timestamp,
    /// The row's id.
    pub id: String,
}

/// Which part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// At most so many rows; 0 and everything above [`MAX_PAGE`] stand for that.
    pub limit: u32,
    /// From behind this row; from the beginning where there is none.
    pub after: Option<Place>,
}

impl Default for Page {
    fn default() -> Self {
        Self { limit: MAX_PAGE, after: None }
    }
}

impl Page {
    fn most(&self) -> u32 {
        if self.limit == 0 { MAX_PAGE } else { self.limit.min(MAX_PAGE) }
    }

    /// As many rows as are read: one more tells whether there are more.
    pub(crate) fn rows(&self) -> i64 {
        i64::from(self.most()) + 1
    }

    /// What is bound for the row it begins behind, for
    /// `at <= $1 AND (at < $1 OR id > $2)`: an index on `at` finds that.
    pub(crate) fn bounds(&self) -> (i64, &str) {
        self.after.as_ref().map_or((i64::MAX, ""), |place| (place.at.as_micros(), &place.id))
    }
}

/// A page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed<T> {
    /// Its rows, newest first.
    pub rows: Vec<T>,
    /// Whether the list goes on behind them.
    pub more: bool,
}

impl<T> Listed<T> {
    /// Of the rows that were read, of which there were `found`.
    pub(crate) fn of(mut rows: Vec<T>, found: usize, page: &Page) -> Self {
        rows.truncate(page.most() as usize);
        Self { more: found > rows.len(), rows }
    }
}
