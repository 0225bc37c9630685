//! What a definition evaluates at once: expressions of indexes, new columns and checks over the rows
//! that are there, and bounds of partitions.

use super::scope::{Frame, Item};
use super::{Analyzer, Result};
use pg_query::NodeEnum;
use pg_query::protobuf::{
    AlterTableCmd, AlterTableStmt, ColumnDef, CreateStmt, IndexStmt, Node, PartitionBoundSpec,
    RangeVar,
};

impl Analyzer<'_> {
    /// `CREATE INDEX`.
    pub(super) fn indexed(&mut self, s: &IndexStmt) -> Result<()> {
        let elements = s.index_params.iter().filter_map(|node| match node.node.as_ref() {
            Some(NodeEnum::IndexElem(element)) => element.expr.as_deref(),
            _ => None,
        });
        let all: Vec<&Node> = elements.chain(s.where_clause.as_deref()).collect();
        self.over_rows(s.relation.as_ref(), &all, false)
    }

    /// `ALTER TABLE`: what fills new columns, converts old ones, and is checked.
    pub(super) fn altered(&mut self, s: &AlterTableStmt) -> Result<()> {
        for node in &s.cmds {
            if let Some(NodeEnum::AlterTableCmd(cmd)) = node.node.as_ref() {
                self.altered_by(s.relation.as_ref(), cmd)?;
            }
        }
        Ok(())
    }

    fn altered_by(&mut self, name: Option<&RangeVar>, cmd: &AlterTableCmd) -> Result<()> {
        match cmd.def.as_deref().and_then(|def| def.node.as_ref()) {
            Some(NodeEnum::ColumnDef(column)) => {
                self.type_use(column.type_name.as_ref());
                self.over_rows(name, &checks_of(column), true)?;
                let value: Vec<&Node> = column.raw_default.as_deref().into_iter().collect();
                self.over_rows(name, &value, false)
            }
            Some(NodeEnum::Constraint(constraint)) => {
                let all: Vec<&Node> = constraint.raw_expr.as_deref().into_iter().collect();
                self.over_rows(name, &all, true)
            }
            Some(NodeEnum::PartitionCmd(partition)) => self.bounds(partition.bound.as_ref()),
            _ => Ok(()),
        }
    }

    /// `CREATE TABLE … PARTITION OF … FOR VALUES`.
    pub(super) fn bounded(&mut self, s: &CreateStmt) -> Result<()> {
        self.bounds(s.partbound.as_ref())
    }

    fn bounds(&mut self, bounds: Option<&PartitionBoundSpec>) -> Result<()> {
        let Some(bounds) = bounds else { return Ok(()) };
        for list in [&bounds.listdatums, &bounds.lowerdatums, &bounds.upperdatums] {
            for node in list {
                // `MINVALUE` and `MAXVALUE` look like columns here.
                if !matches!(node.node, Some(NodeEnum::ColumnRef(_))) {
                    self.expr(node)?;
                }
            }
        }
        Ok(())
    }

    /// Evaluates expressions with the columns of a table in sight; `checks`: the statement fails by
    /// them. A column that is new in the same statement is nothing that is missing.
    fn over_rows(&mut self, name: Option<&RangeVar>, all: &[&Node], checks: bool) -> Result<()> {
        let (Some(name), false) = (name, all.is_empty()) else { return Ok(()) };
        let candidates = self.candidates(name);
        let table = self.table(name, &candidates)?;
        let (missing, unresolved) = (self.missing, self.unresolved);
        self.frames.push(Frame { item: Item::table(table), ..Frame::default() });
        for node in all {
            match checks {
                true => self.condition_on(Some(node))?,
                false => self.expr(node)?,
            };
        }
        self.frames.pop();
        (self.missing, self.unresolved) = (missing, unresolved);
        Ok(())
    }
}

/// What is checked of a column, or makes its values.
fn checks_of(column: &ColumnDef) -> Vec<&Node> {
    let constraints = column.constraints.iter().filter_map(|node| match node.node.as_ref() {
        Some(NodeEnum::Constraint(constraint)) => constraint.raw_expr.as_deref(),
        _ => None,
    });
    constraints.collect()
}
