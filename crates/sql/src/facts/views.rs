//! Looking through views: which base columns each column of a view shows.

use super::scope::{add, nothing, of_column};
use super::{Analyzer, Result};
use crate::catalog::{Relation, ViewFacts};
use crate::parse::{Limits, parse};
use portcullis_core::mask::Origin;
use std::sync::Arc;

/// Views of views deeper than this are not looked through.
const MAX_VIEW_DEPTH: usize = 16;

/// Levels of nesting in one view.
const MAX_VIEW_NESTING: usize = 250;

/// Longest definition of a view that is read.
const MAX_VIEW_TEXT: usize = 128 << 10;

impl<'c> Analyzer<'c> {
    /// What stands behind a view. Kept in the catalog once it is known.
    pub(super) fn view_facts(&mut self, view: &'c Relation) -> Result<Arc<ViewFacts>> {
        if let Some(facts) = self.catalog.view_facts(view.oid) {
            return Ok(facts);
        }
        let cut_short = self.views.contains(&view.oid) || self.views.len() >= MAX_VIEW_DEPTH;
        if cut_short {
            return Ok(Arc::new(untraced(view)));
        }
        let facts = Arc::new(match self.read_view(view) {
            Some(facts) => facts,
            None => self.by_dependencies(view)?,
        });
        // What was found on the way down a deep or circular chain may be less than there is.
        if self.views.is_empty() {
            self.catalog.keep_view_facts(view.oid, Arc::clone(&facts));
        }
        Ok(facts)
    }

    /// By analysing its definition; `None` on any trouble.
    fn read_view(&mut self, view: &'c Relation) -> Option<ViewFacts> {
        let body = view.view.as_ref()?;
        // Not what is left of the caller's allowance: what is kept must not depend on the caller.
        let limits = Limits {
            text: MAX_VIEW_TEXT,
            statements: 1,
            depth: MAX_VIEW_NESTING,
            ..Limits::default()
        };
        let tree = parse(&body.text, &limits).ok()?;
        let select = tree.stmts.first()?.stmt.as_deref()?;
        let mut inner = Analyzer::new(self.catalog, &limits, limits.work);
        inner.views.clone_from(&self.views);
        inner.views.push(view.oid);
        let shape = inner.nested(|a| a.query_node(select));
        let columns = shape.ok()?.columns?;
        let usable = columns.len() == view.columns.len() && !inner.unresolved;
        usable.then(|| ViewFacts {
            columns: columns.into_iter().map(|c| c.origin).collect(),
            relations: inner.relations.into_iter().collect(),
        })
    }

    /// By what the server noted: every column depends on everything the view mentions. Whole
    /// relations, because the server notes no column for a reference to a whole row.
    fn by_dependencies(&mut self, view: &'c Relation) -> Result<ViewFacts> {
        let Some(body) = view.view.as_ref() else { return Ok(untraced(view)) };
        let mut all =
            if body.user_code || body.depends.is_empty() { Origin::Untraced } else { nothing() };
        let mut relations = Vec::new();
        for (oid, _) in &body.depends {
            relations.push(*oid);
            add(&mut all, &of_column(*oid, 0));
            let Some(behind) = self.catalog.relation(*oid) else {
                all = Origin::Untraced;
                continue;
            };
            self.views.push(view.oid);
            let shape = self.nested(|a| a.relation_shape(behind, true));
            self.views.pop();
            add(&mut all, &shape?.whole());
        }
        relations.sort_unstable();
        relations.dedup();
        Ok(ViewFacts { columns: vec![all; view.columns.len()], relations })
    }
}

/// A view of which nothing is known but what the server noted.
fn untraced(view: &Relation) -> ViewFacts {
    let depends = view.view.iter().flat_map(|body| &body.depends);
    ViewFacts {
        columns: vec![Origin::Untraced; view.columns.len()],
        relations: depends.map(|(oid, _)| *oid).collect(),
    }
}
