//! Where values of masked columns go that do not go to the caller: into other columns, partitions and
//! tables. Whether they may, and what masks them there. Part of the judge's answer to a request.

use super::reveal::{SessionReveal, beyond, names_column};
use crate::labels::{Columns, Kept, KeptColumns, Making};
use portcullis_core::mask::{
    ColumnRef, Fill, Lineage, Move, NewColumn, Origin, Refill, Renaming, Reveal as _,
};
use portcullis_sql::catalog::{Catalog, Relation, RelationKind};
use portcullis_store::{LabelKind, LabelSource};
use std::collections::BTreeSet;

impl SessionReveal {
    /// True where nothing that is hidden flows into a column, or nothing but what its label names
    /// already.
    pub(super) fn may_fill(&self, fill: &Fill) -> bool {
        let Origin::Columns(from) = &fill.from.origin else { return !self.hides_anything() };
        let mut hidden = from.iter().filter(|c| self.hides(**c)).peekable();
        if hidden.peek().is_none() {
            return true;
        }
        let kept: Option<Vec<Kept>> = fill.to.iter().map(|to| self.labels.of_column(*to)).collect();
        let Some(kept) = kept.filter(|kept| !kept.is_empty()) else { return false };
        // A column that was worked out may be narrower than the one it was made of.
        let may_be_narrow = |to: &ColumnRef| self.is_limited(*to);
        if fill.from.plain
            && kept.iter().any(|kept| kept.kind != LabelKind::Plain)
            && fill.to.iter().any(may_be_narrow)
        {
            return false;
        }
        hidden.all(|column| {
            kept.iter().all(|kept| {
                let named =
                    |s: &LabelSource| (s.relation, s.column) == (column.relation, column.column);
                (fill.from.plain || kept.kind != LabelKind::Plain) && kept.sources.iter().any(named)
            })
        })
    }

    /// True for a column of a type of which some hold shorter texts than others.
    fn is_limited(&self, column: ColumnRef) -> bool {
        const LIMITED: [u32; 5] = [1042, 1043, 1560, 1562, 1700];
        let catalog = self.known().catalog.clone();
        let type_of = catalog.as_ref().and_then(|catalog| {
            let relation = catalog.relation(column.relation)?;
            relation.columns.iter().find(|own| own.number == column.column).map(|own| own.type_oid)
        });
        type_of.is_none_or(|type_oid| LIMITED.contains(&type_oid))
    }

    /// True where what the target moves on its own stays where it is masked.
    pub(super) fn may_move(&self, way: &Move) -> bool {
        let Some(catalog) = self.known().catalog.clone() else { return false };
        match way {
            Move::Column(Fill { to, from }) => match &from.origin {
                Origin::Columns(from) => {
                    from.iter().all(|from| to.iter().all(|to| self.guards(&catalog, *from, *to)))
                }
                Origin::Untraced => !self.hides_anything(),
            },
            Move::Partitions(table) => match catalog.relation(*table) {
                Some(table) => self.may_mix(&catalog, table),
                None => !self.hides_anything(),
            },
            Move::Named(renaming) => self.may_rename(&catalog, renaming),
        }
    }

    /// True where whatever is masked by its name is masked in the same way by its new one. A label has
    /// no part in that: it stays with its column.
    fn may_rename(&self, catalog: &Catalog, renaming: &Renaming) -> bool {
        let known = |oid: &u32, may: &dyn Fn(&Relation) -> bool| match catalog.relation(*oid) {
            Some(relation) => may(relation),
            None => !self.hides_anything(),
        };
        let all = |r: &Relation, schema: &str, name: &str| {
            let mut columns = r.columns.iter();
            columns.all(|c| self.stays(catalog, r, &c.name, [schema, name, &c.name]))
        };
        match renaming {
            Renaming::Column { relation, from, to } => known(relation, &|r| {
                let mut those = std::iter::once(r).chain(catalog.descendants(r));
                those.all(|r| self.stays(catalog, r, from, [&r.schema, &r.name, to]))
            }),
            Renaming::Relation { relation, to } => known(relation, &|r| all(r, &r.schema, to)),
            Renaming::Place { relation, to } => known(relation, &|r| all(r, to, &r.name)),
            Renaming::Schema { from, to } => {
                let mut those = catalog.relations().filter(|r| r.schema == *from);
                those.all(|r| all(r, to, &r.name))
            }
        }
    }

    /// True where the values of a column are masked by what will be its name as they are by its own.
    fn stays(&self, catalog: &Catalog, relation: &Relation, from: &str, to: [&str; 3]) -> bool {
        let Some(now) = self.ask(catalog, relation, from) else { return true };
        let column = relation.columns.iter().find(|c| &*c.name == from);
        let kept = column.and_then(|column| {
            self.labels.of_column(ColumnRef { relation: relation.oid, column: column.number })
        });
        if kept.is_some_and(|kept| self.hides_kept(catalog, &kept, 0).is_some()) {
            return true;
        }
        let [schema, name, column] = to;
        let rules = self.sensitive.iter();
        let rules: Vec<_> =
            rules.filter(|r| names_column(&r.column, schema, name, column)).collect();
        self.ask_by_name(catalog, to, &rules, None) == Some(now)
    }

    /// True where values of one column, of this or another row, may come to stand in another one:
    /// whoever may not see them there may not see them here.
    fn guards(&self, catalog: &Catalog, from: ColumnRef, to: ColumnRef) -> bool {
        if from.column == 0 {
            let Some(relation) = catalog.relation(from.relation) else { return false };
            let own = relation.columns.iter().map(|c| ColumnRef { column: c.number, ..from });
            return own.into_iter().all(|column| self.guards(catalog, column, to));
        }
        if !self.hides(from) {
            return true;
        }
        self.hides(to)
            && self.labels.of_column(from).is_none_or(|kept| {
                self.labels.of_column(to).is_some_and(|there| there.covers(&kept))
            })
    }

    /// True where rows may go from any partition of a table to any other: each of its columns is
    /// masked in all of them alike, or in none by itself. What masks it in the table itself does so
    /// in all of them.
    fn may_mix(&self, catalog: &Catalog, table: &Relation) -> bool {
        let parts = catalog.descendants(table);
        let parts: Vec<_> = parts.filter(|part| part.kind != RelationKind::Partitioned).collect();
        table.columns.iter().all(|column| {
            let same = parts.iter().filter_map(|part| {
                let own = part.columns.iter().find(|c| c.name == column.name)?;
                Some(ColumnRef { relation: part.oid, column: own.number })
            });
            let same: Vec<ColumnRef> = same.collect();
            // One of each kind stands for all that are masked like it.
            let mut kinds: Vec<(Option<Kept>, ColumnRef)> = Vec::new();
            for one in same.iter().filter(|one| self.hides(**one)) {
                let kept = self.labels.of_column(*one);
                if kinds.iter().all(|(known, _)| *known != kept) {
                    kinds.push((kept, *one));
                }
            }
            kinds.iter().all(|(_, from)| same.iter().all(|to| self.guards(catalog, *from, *to)))
        })
    }

    /// A materialised view that is filled again, where labels are missing of what it is filled with.
    pub(super) fn refilled(&self, refill: &Refill, lineage: &Lineage) -> Option<Making> {
        let catalog = self.known().catalog.clone()?;
        let view = catalog.relation(refill.relation)?;
        let columns = refill.columns.as_ref()?;
        let mut kept = self.kept_of(columns, lineage);
        let known = self.labels.of(view.oid).unwrap_or_default();
        kept.retain(|number, new| !known.get(number).is_some_and(|old| old.covers(new)));
        (!kept.is_empty()).then(|| Making {
            there: Some(view.oid),
            name: view.name.clone(),
            lenient: false,
            columns: Columns::Told(columns.len(), kept),
        })
    }

    /// The labels of new columns, of those that need one.
    pub(super) fn kept_of(&self, columns: &[NewColumn], lineage: &Lineage) -> KeptColumns {
        let Some(catalog) = self.known().catalog.clone() else { return KeptColumns::new() };
        let mut kept = KeptColumns::new();
        for (number, column) in (1i16..).zip(columns) {
            let mut sources = BTreeSet::new();
            let mut add = |from| self.add_sources(&catalog, from, &mut sources);
            let kind = match &column.origin {
                Origin::Columns(from) => {
                    let own = if column.plain { LabelKind::Plain } else { LabelKind::Made };
                    from.iter().fold(own, |kind, from| kind.and(add(*from)))
                }
                Origin::Untraced => {
                    let row = |relation: &u32| ColumnRef { relation: *relation, column: 0 };
                    let all = lineage.relations.iter().map(row);
                    let told =
                        if lineage.unresolved { LabelKind::Untraced } else { LabelKind::Made };
                    all.fold(told, |kind, from| kind.and(add(from)))
                }
            };
            if kind == LabelKind::Untraced && self.masks_for_somebody() || !sources.is_empty() {
                kept.insert(number, Kept { sources: sources.into_iter().collect(), kind });
            }
        }
        kept
    }

    /// Adds a column, or all of a row, as far as somebody may not see it, and says how values of it
    /// came from the sources.
    fn add_sources(
        &self,
        catalog: &Catalog,
        from: ColumnRef,
        sources: &mut BTreeSet<LabelSource>,
    ) -> LabelKind {
        let Some(relation) = catalog.relation(from.relation) else { return LabelKind::Untraced };
        let mut kind = self.add_own_sources(relation, from, sources);
        let name = relation.columns.iter().find(|c| c.number == from.column).map(|c| &c.name);
        for part in beyond(catalog, relation) {
            let same = part.columns.iter().filter(|c| name.is_none_or(|name| c.name == *name));
            for column in same {
                let at = ColumnRef { relation: part.oid, column: column.number };
                kind = kind.and(self.add_own_sources(part, at, sources));
            }
        }
        kind
    }

    fn add_own_sources(
        &self,
        relation: &Relation,
        from: ColumnRef,
        sources: &mut BTreeSet<LabelSource>,
    ) -> LabelKind {
        let labelled = self.labels.of(relation.oid);
        let mut kind = if from.column == 0 { LabelKind::Made } else { LabelKind::Plain };
        for column in relation.columns.iter().filter(|c| [0, c.number].contains(&from.column)) {
            let at = ColumnRef { column: column.number, ..from };
            let kept = labelled.as_ref().and_then(|columns| columns.get(&column.number));
            if let Some(kept) = kept {
                sources.extend(kept.sources.iter().cloned());
                kind = kind.and(kept.kind);
            }
            let masked = self.rules_of(relation, &column.name).next().is_some()
                || relation.shows_elsewhere(&column.name)
                || self.hides(at);
            if masked || kept.is_some() {
                sources.insert(LabelSource {
                    relation: at.relation,
                    column: at.column,
                    schema: relation.schema.clone(),
                    table: relation.name.clone(),
                    name: column.name.clone(),
                });
            }
        }
        kind
    }

    /// True where there are columns that somebody may not see, as far as rules and labels tell.
    pub(super) fn masks_for_somebody(&self) -> bool {
        !self.sensitive.is_empty() || !self.labels.is_empty() || self.hides_anything()
    }

    /// True where every column of an origin is in the catalog.
    pub(super) fn can_name(&self, origin: &Origin) -> bool {
        let Origin::Columns(columns) = origin else { return true };
        let Some(catalog) = self.known().catalog.clone() else { return false };
        columns.iter().all(|c| {
            let relation = catalog.relation(c.relation);
            relation
                .is_some_and(|r| c.column <= 0 || r.columns.iter().any(|o| o.number == c.column))
        })
    }
}
