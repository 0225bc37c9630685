//! Looking through views: which base columns each column of a view shows, and what reading it does.

use super::{Analyzer, Result};
use crate::catalog::{Relation, ViewFacts, is_system_schema};
use crate::parse::{Limits, parse};
use pg_query::protobuf::{Node, ParseResult};
use portcullis_core::effect::{Effect, ObjectKind, Verb};
use portcullis_core::mask::Origin;
use std::sync::Arc;

/// Views and functions within each other deeper than this are not looked through.
const MAX_DEPTH: usize = 16;

/// Levels of nesting in one view or function.
pub(super) const MAX_NESTING: usize = 250;

/// Longest definition of a view that is read.
const MAX_VIEW_TEXT: usize = 128 << 10;

impl<'c> Analyzer<'c> {
    /// What stands behind a view. Kept in the catalog once it is known.
    pub(super) fn view_facts(&mut self, view: &'c Relation) -> Result<Arc<ViewFacts>> {
        if let Some(facts) = self.catalog.view_facts(view.oid) {
            return Ok(facts);
        }
        if self.is_cut_short(view.oid) {
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
        let limits =
            Limits { text: MAX_VIEW_TEXT, statements: 1, depth: MAX_NESTING, ..Limits::default() };
        self.within(view.oid, &limits, |inner| {
            let tree = inner.read(&body.text, &limits)?;
            inner.shown_by(view, tree.stmts.first()?.stmt.as_deref()?)
        })
    }

    /// True where a view or function of this number is not looked through: it is on the way already, or
    /// the way is too long.
    pub(super) fn is_cut_short(&self, oid: u32) -> bool {
        self.views.contains(&oid) || self.views.len() >= MAX_DEPTH
    }

    /// Looks at what stands behind a view or function of this number, apart from what calls it. The
    /// allowance is not what is left of the caller's, because what is kept must not depend on the
    /// caller; but all that stands behind one of them has one together.
    pub(super) fn within<T>(
        &mut self,
        oid: u32,
        limits: &Limits,
        look: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<T> {
        let outermost = self.views.is_empty();
        let work = if outermost { limits.work } else { self.work };
        let mut inner = Analyzer::new(self.catalog, limits, work);
        inner.views.clone_from(&self.views);
        inner.views.push(oid);
        let found = look(&mut inner);
        if !outermost {
            self.work = inner.work;
        }
        found
    }

    /// Parses a definition.
    pub(super) fn read(&mut self, text: &str, limits: &Limits) -> Option<ParseResult> {
        self.charge(1 + text.len() / 4).ok()?;
        parse(text, limits).ok()
    }

    fn shown_by(&mut self, view: &Relation, select: &Node) -> Option<ViewFacts> {
        let shape = self.nested(|a| a.query_node(select)).ok()?;
        if self.unspoken.is_some() || self.respeaks {
            return None;
        }
        let (columns, plain) = match shape.columns {
            Some(columns) if columns.len() == view.columns.len() => {
                columns.into_iter().map(|c| (c.origin, c.plain)).unzip()
            }
            _ => (vec![Origin::Untraced; view.columns.len()], vec![false; view.columns.len()]),
        };
        // What it reads is told by its relations, which tell nothing of views of the system.
        let system = |e: &Effect| e.object.path.get(1).is_some_and(|s| is_system_schema(s));
        let reads = |e: &Effect| e.verb == Verb::Read && e.object.kind == ObjectKind::Relation;
        self.effects.retain(|effect| !reads(effect) || system(effect));
        Some(ViewFacts {
            columns,
            plain,
            relations: std::mem::take(&mut self.relations).into_iter().collect(),
            effects: std::mem::take(&mut self.effects),
            sinks: std::mem::take(&mut self.sinks),
            conditions: std::mem::take(&mut self.conditions),
            goes_by: self.goes_by.take(),
            user_code: self.user_code,
            rereads: self.rereads,
            opaque: self.opaque,
            unresolved: self.unresolved,
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
        goes_by: None,
        user_code: true,
        rereads: true,
        opaque: true,
        unresolved: true,
    }
}
