//! New names: masking goes by names, so what gets another one may be masked no more. What the values of
//! which columns are called afterwards is told here, and judged as a way that values go.

use super::ddl_names::is_relation_word;
use super::{Analyzer, MAX_SINKS, Result};
use crate::catalog::{Relation, RelationKind};
use pg_query::protobuf::{AlterObjectSchemaStmt, DropBehavior, ObjectType, RangeVar, RenameStmt};
use portcullis_core::mask::{Move, Origin, Renaming};

impl Analyzer<'_> {
    /// `ALTER … RENAME`.
    pub(super) fn renamed(&mut self, s: &RenameStmt) -> Result<()> {
        let to = || Box::<str>::from(s.newname.as_str());
        match (ObjectType::try_from(s.rename_type), s.relation.as_ref()) {
            (Ok(ObjectType::ObjectColumn), Some(name)) => {
                let (from, to) = (s.subname.as_str(), to());
                let column = |relation: &Relation| {
                    let (from, to) = (from.into(), to.clone());
                    Renaming::Column { relation: relation.oid, from, to }
                };
                let told = self.earlier.knows_name(name);
                self.goes_by(name, told, column);
            }
            // Those of tables that are made of the type are renamed with it. Which, is not known.
            (Ok(ObjectType::ObjectAttribute), _)
                if s.behavior == DropBehavior::DropCascade as i32 =>
            {
                self.renamed_wherever(&s.subname, &s.newname)?;
            }
            // A table goes by the kind of statement, whatever it is. Indexes are not in the catalog.
            (Ok(word), Some(name)) if is_relation_word(word) => {
                let told = self.earlier.knows_columns(name);
                let index = word == ObjectType::ObjectIndex;
                if index && told && self.candidates(name).is_empty() {
                    return Ok(());
                }
                let to = to();
                let table = |r: &Relation| Renaming::Relation { relation: r.oid, to: to.clone() };
                self.goes_by(name, told, table);
            }
            (Ok(ObjectType::ObjectSchema), _) => {
                let from = s.subname.as_str().into();
                match self.earlier.untame {
                    true => self.untold_names(),
                    false => self.moves.push(Move::Named(Renaming::Schema { from, to: to() })),
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// `ALTER … SET SCHEMA`.
    pub(super) fn placed(&mut self, s: &AlterObjectSchemaStmt) {
        let to = s.newschema.as_str();
        match (ObjectType::try_from(s.object_type), s.relation.as_ref()) {
            // Which tables it has is not known.
            (Ok(ObjectType::ObjectExtension), _) => self.untold_names(),
            (_, Some(name)) => {
                let told = self.earlier.knows_columns(name);
                self.goes_by(name, told, |relation| Renaming::Place {
                    relation: relation.oid,
                    to: to.into(),
                });
            }
            _ => {}
        }
    }

    /// New names for whatever a name may mean; `told`: it means what the catalog says.
    fn goes_by(&mut self, name: &RangeVar, told: bool, new: impl Fn(&Relation) -> Renaming) {
        let candidates = self.candidates(name);
        if candidates.is_empty() && self.earlier.names_new(name) {
            return;
        }
        if candidates.is_empty() || !told {
            return self.untold_names();
        }
        self.moves.extend(candidates.iter().map(|relation| Move::Named(new(relation))));
    }

    /// A column may get a new name in any table that has one of this name.
    fn renamed_wherever(&mut self, from: &str, to: &str) -> Result<()> {
        if self.earlier.untame {
            self.untold_names();
            return Ok(());
        }
        let stores = |r: &&Relation| !r.is_system() && r.kind != RelationKind::Composite;
        let mut those = Vec::new();
        for relation in self.catalog.relations().filter(stores) {
            self.charge(1 + relation.columns.len() / 8)?;
            if relation.columns.iter().any(|c| &*c.name == from) {
                those.push(relation.oid);
            }
        }
        if those.len() > MAX_SINKS {
            self.untold_names();
            return Ok(());
        }
        those.sort_unstable();
        let column = |relation| Renaming::Column { relation, from: from.into(), to: to.into() };
        self.moves.extend(those.into_iter().map(column).map(Move::Named));
        Ok(())
    }

    /// Whose names change cannot be told.
    fn untold_names(&mut self) {
        self.unresolved = true;
        self.sink(Origin::Untraced);
    }
}
