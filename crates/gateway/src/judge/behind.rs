//! Which columns the values of a column may come from, as far as the catalog tells: the columns of the
//! same name in every relation that shares rows with its own, and what it is generated from there. The
//! one closure by which the judge finds what is hidden.

use portcullis_sql::catalog::{Catalog, Column, Relation, RelationKind};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// A column that values of another one may come from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Behind<'c> {
    pub(super) relation: &'c Relation,
    pub(super) column: &'c Column,
    /// The values are worked out from it, and do not stand in it.
    pub(super) made: bool,
}

/// Walks of the closure. What was walked once is not told again by the same walk, so that cycles end.
pub(super) struct Walk<'c> {
    catalog: &'c Catalog,
    sharing: HashMap<u32, Rc<[&'c Relation]>>,
    seen: HashSet<(u32, i16, bool)>,
    /// The columns whose relatives were looked at: by the relation they stand for, and their name.
    spread: HashSet<(u32, &'c str, bool)>,
}

impl<'c> Walk<'c> {
    pub(super) fn new(catalog: &'c Catalog) -> Self {
        let (sharing, seen, spread) = Default::default();
        Self { catalog, sharing, seen, spread }
    }

    /// Forgets what was walked.
    pub(super) fn anew(&mut self) {
        self.seen.clear();
        self.spread.clear();
    }

    /// The column itself and all that its values may come from, of which this walk has not told yet.
    pub(super) fn from(&mut self, relation: &'c Relation, column: &'c Column) -> Vec<Behind<'c>> {
        let mut found = Vec::new();
        let mut open = vec![Behind { relation, column, made: false }];
        while let Some(next) = open.pop() {
            let whole = partitioned_root(self.catalog, next.relation).unwrap_or(next.relation);
            if !self.spread.insert((whole.oid, &next.column.name, next.made)) {
                continue;
            }
            let sharing = self.sharing(whole);
            for one in std::iter::once(next.relation).chain(sharing.iter().copied()) {
                let Some(same) = one.columns.iter().find(|c| c.name == next.column.name) else {
                    continue;
                };
                if !self.seen.insert((one.oid, same.number, next.made)) {
                    continue;
                }
                found.push(Behind { relation: one, column: same, made: next.made });
                let sources = one.columns.iter().filter(|c| same.made_of.contains(&c.number));
                open.extend(sources.map(|c| Behind { relation: one, column: c, made: true }));
            }
        }
        found
    }

    /// The relations that share rows with one: itself, its parts, and all that those are parts of.
    fn sharing(&mut self, relation: &'c Relation) -> Rc<[&'c Relation]> {
        if let Some(known) = self.sharing.get(&relation.oid) {
            return known.clone();
        }
        let mut all = vec![relation];
        all.extend(self.catalog.descendants(relation));
        let mut seen: HashSet<u32> = all.iter().map(|r| r.oid).collect();
        for part in all.clone() {
            // What the part of one table alone is part of is among them.
            let others = part.oid == relation.oid || part.parents.len() > 1;
            let above = self.catalog.ancestors(part).filter(|_| others);
            all.extend(above.filter(|r| seen.insert(r.oid)));
        }
        let all: Rc<[&Relation]> = all.into();
        self.sharing.insert(relation.oid, all.clone());
        all
    }
}

/// The partitioned table that a partition belongs to in the end: rows go from any of its partitions to
/// any other.
pub(super) fn partitioned_root<'c>(
    catalog: &'c Catalog,
    relation: &'c Relation,
) -> Option<&'c Relation> {
    let above = catalog.ancestors(relation);
    above.filter(|r| r.kind == RelationKind::Partitioned).find(|r| r.parents.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_sql::catalog::QUERIES;

    /// Relations by number, name, kind and columns; parents with children; and what generated columns
    /// are made of.
    fn catalog(
        relations: &[(u32, &str, &str, &[&str])],
        inherits: &[(u32, u32)],
        made_of: &[(u32, u16, u16)],
    ) -> Catalog {
        let texts = |texts: &[&str]| texts.iter().map(|t| Some((*t).to_owned())).collect();
        let mut rows = vec![Vec::new(); QUERIES.len()];
        rows[0].push(texts(&["160000", "f", "f"]));
        for (oid, name, kind, columns) in relations {
            let oid = oid.to_string();
            let mut row: Vec<_> = texts(&[&oid, "public", name, kind, "0", "f"]);
            row.resize(9, None);
            rows[2].push(row);
            for (n, column) in (1..).zip(*columns) {
                let number = n.to_string();
                let made = made_of.iter().any(|(of, c, _)| of.to_string() == oid && *c == n);
                rows[3].push(texts(&[&oid, &number, column, "25", if made { "t" } else { "f" }]));
            }
        }
        let number = |n: &dyn ToString| Some(n.to_string());
        rows[11] = inherits.iter().map(|(of, part)| vec![number(of), number(part)]).collect();
        rows[16] =
            made_of.iter().map(|(r, c, of)| vec![number(r), number(c), number(of)]).collect();
        Catalog::from_rows("shop", &rows).unwrap()
    }

    fn behind(catalog: &Catalog, oid: u32, column: &str) -> Vec<String> {
        let relation = catalog.relation(oid).unwrap();
        let own = relation.columns.iter().find(|c| &*c.name == column).unwrap();
        let found = Walk::new(catalog).from(relation, own);
        let name = |b: &Behind<'_>| {
            let made = if b.made { "made of " } else { "" };
            format!("{made}{}.{}", b.relation.name, b.column.name)
        };
        let mut names: Vec<String> = found.iter().map(name).collect();
        names.sort();
        names
    }

    #[test]
    fn a_column_that_a_child_generates_comes_from_what_the_child_makes_it_of() {
        let relations: &[(u32, &str, &str, &[&str])] = &[
            (16_500, "folk", "r", &["email", "g"]),
            (16_501, "crew", "r", &["email", "g"]),
            (16_502, "others", "r", &["email", "g"]),
        ];
        let inherits = [(16_500, 16_501), (16_500, 16_502)];
        let catalog = catalog(relations, &inherits, &[(16_501, 2, 1)]);
        assert_eq!(
            behind(&catalog, 16_500, "g"),
            ["crew.g", "folk.g", "made of crew.email", "made of folk.email", "others.g"]
        );
        // A sibling's rows are no rows of it.
        assert_eq!(behind(&catalog, 16_502, "g"), ["folk.g", "others.g"]);
    }

    #[test]
    fn rows_of_a_child_are_rows_of_each_of_its_parents() {
        let relations: &[(u32, &str, &str, &[&str])] = &[
            (16_500, "da", "r", &["x"]),
            (16_501, "db", "r", &["x"]),
            (16_502, "dc", "r", &["x"]),
        ];
        let catalog = catalog(relations, &[(16_500, 16_502), (16_501, 16_502)], &[]);
        for one in [16_500, 16_501, 16_502] {
            assert_eq!(behind(&catalog, one, "x"), ["da.x", "db.x", "dc.x"]);
        }
    }

    #[test]
    fn rows_go_from_one_partition_to_another_and_cycles_end() {
        let relations: &[(u32, &str, &str, &[&str])] = &[
            (16_500, "whole", "p", &["a", "b"]),
            (16_501, "one", "r", &["b", "a"]),
            (16_502, "two", "r", &["a", "b"]),
        ];
        let inherits = [(16_500, 16_501), (16_500, 16_502)];
        let catalog = catalog(relations, &inherits, &[(16_501, 2, 1), (16_502, 2, 1)]);
        let of = |oid| behind(&catalog, oid, "a");
        assert_eq!(of(16_500).len(), 9, "{:?}", of(16_500));
        assert_eq!(of(16_501), of(16_500));
        assert_eq!(of(16_502), of(16_500));
    }
}
