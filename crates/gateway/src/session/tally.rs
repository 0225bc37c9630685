//! How many rows have changed: the difference of two counts of the target's, table by table.

use portcullis_core::rehearsal::Changed;
use std::collections::HashMap;

/// Rows inserted, updated and deleted so far, by table.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// By the number of the table, which a new name does not change.
    tables: HashMap<u32, (String, [u64; 3])>,
    /// True where the target does not count.
    off: bool,
}

impl Tally {
    /// The rows of a chore that counts; `None` where they are not what it gives.
    pub(super) fn read(rows: &[Vec<Option<String>>]) -> Option<Self> {
        let mut tally = Self::default();
        for row in rows {
            let [schema, name, inserted, updated, deleted, number] = row.as_slice() else {
                return None;
            };
            let number: u32 = number.as_ref()?.parse().ok()?;
            // Stands for a target that counts nothing.
            if number == 0 {
                tally.off = true;
                continue;
            }
            let count = |value: &Option<String>| value.as_ref().map_or(Some(0), |v| v.parse().ok());
            let counts = [count(inserted)?, count(updated)?, count(deleted)?];
            let name = format!("{}.{}", schema.as_deref()?, name.as_deref()?);
            tally.tables.insert(number, (name, counts));
        }
        Some(tally)
    }

    /// What has changed since an earlier count, the most first; `None` where nobody knows: a table
    /// that was counted then is gone, or its count is smaller, or the target does not count.
    pub(super) fn since(&self, before: &Self) -> Option<Vec<Changed>> {
        if self.off || before.off || !before.tables.keys().all(|n| self.tables.contains_key(n)) {
            return None;
        }
        let mut found = Vec::new();
        for (number, (table, [inserted, updated, deleted])) in &self.tables {
            let [i, u, d] = before.tables.get(number).map_or([0; 3], |(_, counts)| *counts);
            let changed = Changed {
                table: table.clone(),
                inserted: inserted.checked_sub(i)?,
                updated: updated.checked_sub(u)?,
                deleted: deleted.checked_sub(d)?,
            };
            if rows(&changed) > 0 {
                found.push(changed);
            }
        }
        found.sort_by_key(|c| (std::cmp::Reverse(rows(c)), c.table.clone()));
        Some(found)
    }
}

const fn rows(changed: &Changed) -> u64 {
    changed.inserted.saturating_add(changed.updated).saturating_add(changed.deleted)
}

/// How many rows that is.
pub(super) fn total(changed: &[Changed]) -> u64 {
    changed.iter().map(rows).fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(table: &str, counts: [&str; 3], number: &str) -> Vec<Option<String>> {
        let words = ["public", table].into_iter().chain(counts).chain([number]);
        words.map(|word| Some(word.to_owned())).collect()
    }

    fn tally(rows: &[Vec<Option<String>>]) -> Tally {
        Tally::read(rows).unwrap()
    }

    #[test]
    fn what_was_changed_is_what_came_between() {
        let before =
            tally(&[row("orders", ["1", "2", "3"], "1"), row("log", ["5", "0", "0"], "2")]);
        let after = tally(&[
            row("renamed", ["1", "4", "4"], "1"),
            row("log", ["5", "0", "0"], "2"),
            row("payments", ["0", "0", "9"], "3"),
        ]);
        let found = after.since(&before).unwrap();
        let words: Vec<String> = found.iter().map(Changed::to_string).collect();
        assert_eq!(words, ["public.payments: 9 gone", "public.renamed: 2 changed, 1 gone"]);
        assert_eq!(total(&found), 12);
        assert!(after.since(&after).unwrap().is_empty());
    }

    /// One table's rows make up for no other's, and what has vanished for nothing.
    #[test]
    fn what_cannot_be_told_apart_is_not_known() {
        let before = tally(&[row("scratch", ["1000", "0", "0"], "7")]);
        let orders = || row("orders", ["0", "0", "20"], "1");
        assert!(tally(&[orders()]).since(&before).is_none());
        assert!(tally(&[orders(), row("scratch", ["0"; 3], "7")]).since(&before).is_none());
        let again = row("scratch", ["1000", "0", "0"], "8");
        assert!(tally(&[orders(), again]).since(&before).is_none());
        let off = tally(&[row("", ["0"; 3], "0")]);
        assert!(off.since(&Tally::default()).is_none() && Tally::default().since(&off).is_none());
        assert!(Tally::read(&[vec![Some("7".to_owned())]]).is_none());
    }
}
