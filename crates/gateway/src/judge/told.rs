//! What of an answer is masked, in words, as far as a statement says: to explain requests, and to compare
//! rules. Answers themselves are masked by the redactor, which also knows what the target says of them.

use super::reveal::SessionReveal;
use portcullis_core::mask::{ColumnRef, Lineage, Origin, Reveal as _};
use portcullis_sql::catalog::Catalog;
use std::collections::BTreeSet;
use std::sync::Arc;

impl SessionReveal {
    /// The columns of the answers whose values are masked, with where they come from and how: one line each.
    pub(super) fn masked(&self, lineages: &[Arc<Lineage>]) -> BTreeSet<String> {
        let catalog = self.known().catalog.clone();
        let mut all = BTreeSet::new();
        for (at, lineage) in lineages.iter().enumerate() {
            let part =
                if lineages.len() > 1 { format!("statement {}, ", at + 1) } else { String::new() };
            let Some(outputs) = &lineage.outputs else {
                if self.touches(lineage) {
                    all.insert(format!("{part}every column that cannot be told from masked ones"));
                }
                continue;
            };
            for (number, origin) in outputs.iter().enumerate() {
                let place = format!("{part}column {}", number + 1);
                match origin {
                    Origin::Untraced if self.touches(lineage) => {
                        all.insert(format!("{place}: where it comes from cannot be told (redact)"));
                    }
                    Origin::Untraced => {}
                    Origin::Columns(columns) => {
                        let hidden =
                            columns.iter().filter_map(|c| self.line(catalog.as_deref(), *c));
                        all.extend(hidden.map(|line| format!("{place}: {line}")));
                    }
                }
            }
        }
        all
    }

    /// True where the part reads, or may read, a relation with a hidden column.
    fn touches(&self, lineage: &Lineage) -> bool {
        lineage.unresolved && self.hides_anything()
            || lineage.relations.iter().any(|relation| self.relation_hides(*relation))
    }

    /// A hidden column by its name, and how it is masked.
    fn line(&self, catalog: Option<&Catalog>, column: ColumnRef) -> Option<String> {
        if !self.hides(column) {
            return None;
        }
        let strategy = self.hidden(column);
        let strategy =
            strategy.map_or_else(|| "redact".to_owned(), |strategy| strategy.to_string());
        let relation = catalog.and_then(|catalog| catalog.relation(column.relation));
        let Some(relation) = relation else {
            return Some(format!("an unknown relation ({strategy})"));
        };
        let name = relation.columns.iter().find(|one| one.number == column.column);
        let name = name.map_or("*", |one| &one.name);
        Some(format!("{}.{}.{name} ({strategy})", relation.schema, relation.name))
    }
}
