//! How much one page shows, so that no file makes a page of more than a few MB, contents aside.

/// Columns of one row: about as many as a wide screen has distinguishable pixel columns.
pub(super) const N_COLUMNS: u64 = 1000;

/// The most rows of one table or list.
pub(super) const MAX_ROWS: usize = 1000;

/// How many more memories, rectangles and rows of tables may be shown for one file.
#[derive(Debug)]
pub(super) struct Budget {
    pub(super) memories: usize,
    pub(super) rectangles: usize,
    pub(super) rows: usize,
}

impl Budget {
    pub(super) const fn new() -> Self {
        Self {
            memories: 500,
            rectangles: 60_000,
            rows: 4 * MAX_ROWS,
        }
    }

    /// Takes as many rows of a table of this length as may be shown.
    pub(super) fn take_rows(&mut self, n_rows: usize) -> usize {
        let n_shown = n_rows.min(MAX_ROWS).min(self.rows);
        self.rows -= n_shown;
        n_shown
    }
}
