//! Looking through views: which base columns each column of a view shows, and what reading it does.

use super::{Analyzer, Result};
use crate::catalog::{Relation, ViewFacts, is_system_schema};
use crate::parse::{Limits, parse};
use portcullis_core::effect::{Effect, ObjectKind, Verb};
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
        let facts = Arc::new(self.read_view(view).unwrap_or_else(|| untraced(view)));
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
        let shape = inner.nested(|a| a.query_node(select)).ok()?;
        let (columns, plain) = match shape.columns {
            Some(columns) if columns.len() == view.columns.len() => {
                columns.into_iter().map(|c| (c.origin, c.plain)).unzip()
            }
            _ => (vec![Origin::Untraced; view.columns.len()], vec![false; view.columns.len()]),
        };
        // What it reads is told by its relations, which tell nothing of views of the system.
        let system = |e: &Effect| e.object.path.get(1).is_some_and(|s| is_system_schema(s));
        let reads = |e: &Effect| e.verb == Verb::Read && e.object.kind == ObjectKind::Relation;
        inner.effects.retain(|effect| !reads(effect) || system(effect));
        Some(ViewFacts {
            columns,
            plain,
            relations: inner.relations.into_iter().collect(),
            effects: inner.effects,
            sinks: inner.sinks,
            conditions: inner.conditions,
            user_code: inner.user_code,
            opaque: inner.opaque,
            unresolved: inner.unresolved,
        })
    }
}

/// A view that cannot be read: it may show and do anything.
fn untraced(view: &Relation) -> ViewFacts {
    let depends = view.view.iter().flat_map(|body| &body.depends);
    ViewFacts {
        columns: vec![Origin::Untraced; view.columns.len()],
        plain: vec![false; view.columns.len()],
        relations: depends.map(|(oid, _)| *oid).collect(),
        effects: vec![Effect::unreadable()],
        sinks: Vec::new(),
        conditions: Origin::Untraced,
        user_code: true,
        opaque: true,
        unresolved: true,
    }
}
