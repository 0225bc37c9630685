//! Looking through functions of users that are written in SQL and change nothing: what calling one
//! does is what the queries in it do. Beside views, where a call is looked at.

use super::names::string;
use super::scope::{add, nothing};
use super::views::MAX_NESTING;
use super::{Analyzer, Result};
use crate::catalog::{BodyFacts, Function};
use crate::parse::{Limits, reads_alike};
use pg_query::NodeEnum;
use pg_query::protobuf::{CreateFunctionStmt, FunctionParameterMode, Node};
use portcullis_core::effect::{Effect, Extent, ObjectKind, Verb};
use portcullis_core::mask::Origin;
use std::sync::Arc;

/// The types `text`, `varchar` and `void`, to which anything that is converted can be.
const TEXT: u32 = 25;
const VARCHAR: u32 = 1043;
const VOID: u32 = 2278;

/// Queries in one function.
const MAX_QUERIES: usize = 64;

impl<'c> Analyzer<'c> {
    /// What calling a function does and gives, beside what its arguments come from; `None` where that
    /// cannot be told, and so it may do anything.
    pub(super) fn body_facts(&mut self, function: &Function) -> Option<Arc<BodyFacts>> {
        let definition = function.definition.as_deref()?;
        if let Some(known) = self.catalog.body_facts(function.oid) {
            return known;
        }
        let mut types = function.arguments.iter().chain(&function.all_arguments);
        let coded =
            self.catalog.runs_code(function.gives) || types.any(|t| self.catalog.runs_code(*t));
        if coded || self.is_cut_short(function.oid) {
            return None;
        }
        let limits = Limits { statements: MAX_QUERIES, depth: MAX_NESTING, ..Limits::default() };
        let facts = self
            .within(function.oid, &limits, |inner| inner.read_body(function, definition, &limits));
        let facts = facts.map(Arc::new);
        // What was found on the way down a deep or circular chain may be less than there is.
        if self.views.is_empty() {
            self.catalog.keep_body_facts(function.oid, facts.clone());
        }
        facts
    }

    /// By analysing its definition, as the server writes it; `None` on any trouble.
    fn read_body(
        &mut self,
        function: &Function,
        definition: &str,
        limits: &Limits,
    ) -> Option<BodyFacts> {
        let tree = self.read(definition, limits)?;
        let made = match tree.stmts.first()?.stmt.as_ref()?.node.as_ref()? {
            NodeEnum::CreateFunctionStmt(made) => made,
            _ => return None,
        };
        self.arguments = (function.name.clone(), arguments(made)?);
        let mut gives = nothing();
        // Those that a call leaves out.
        for parameter in parameters(made) {
            if let Some(default) = parameter?.defexpr.as_deref() {
                add(&mut gives, &self.nested(|a| a.expr(default)).ok()?);
            }
        }
        self.rereads |= !reads_alike(source(made)?);
        for statement in &self.read(source(made)?, limits)?.stmts {
            add(&mut gives, &self.query(statement.stmt.as_deref()?).ok()??);
        }
        // Arguments and results are converted to the types they have.
        self.may_cast(|_| true);
        if ![TEXT, VARCHAR, VOID].contains(&function.gives) {
            self.decide(&gives);
        }
        self.body(gives)
    }

    /// True for what a call gives, by the name of the function: of tables there is none of that name.
    pub(super) fn is_argument(&mut self, function: &str, name: &str) -> bool {
        let (own, names) = &self.arguments;
        **own == *function
            && names.iter().any(|argument| **argument == *name)
            && self.find_tables(function).is_empty()
    }

    /// What a statement of a body gives; `None` where it is no query.
    fn query(&mut self, node: &Node) -> Result<Option<Origin>> {
        let plain = matches!(node.node.as_ref(),
            Some(NodeEnum::SelectStmt(query)) if query.into_clause.is_none());
        if !plain {
            return Ok(None);
        }
        let shape = self.nested(|a| a.query_node(node))?;
        let mut gives = shape.filter;
        match shape.columns {
            Some(columns) => columns.iter().for_each(|c| add(&mut gives, &c.origin)),
            None => gives = Origin::Untraced,
        }
        Ok(Some(gives))
    }

    /// What was collected of a body; `None` where it does what a call cannot be taken to do.
    fn body(&mut self, gives: Origin) -> Option<BodyFacts> {
        let reads = self.makes.is_none()
            && self.fills.is_empty()
            && self.moves.is_empty()
            && self.refills.is_empty()
            && self.unspoken.is_none()
            && !self.respeaks;
        let told = !self.missing && !self.effects.iter().any(|e| e.verb == Verb::Unknown);
        // Its parameters are not those of the statement that calls it.
        self.parameters.clear();
        self.settle_parameters();
        (reads && told).then(|| BodyFacts {
            gives,
            conditions: std::mem::take(&mut self.conditions),
            nulls: std::mem::take(&mut self.nulls),
            goes_by: self.goes_by.take(),
            rereads: self.rereads,
            relations: std::mem::take(&mut self.relations).into_iter().collect(),
            effects: std::mem::take(&mut self.effects),
            sinks: std::mem::take(&mut self.sinks),
            opaque: self.opaque,
            unresolved: self.unresolved,
        })
    }

    /// Notes what calling a function does, and what it gives.
    pub(super) fn run_body(&mut self, function: &Function, facts: &BodyFacts) -> Result<Origin> {
        let named = facts.gives.named() + facts.conditions.named() + facts.nulls.named();
        self.charge(1 + facts.effects.len() + facts.relations.len() + named / 8)?;
        let object = self.object(ObjectKind::Routine, [&*function.schema, &*function.name]);
        self.push(Effect::resolved(Verb::Read, object, Extent::One));
        facts.effects.iter().for_each(|effect| self.push(effect.clone()));
        self.relate(&facts.relations);
        // Errors and notices within it have no place in the caller's text.
        self.user_code = true;
        self.opaque |= facts.opaque;
        self.unresolved |= facts.unresolved;
        self.rereads |= facts.rereads;
        facts.sinks.iter().for_each(|origin| self.sink(origin.clone()));
        // Other than those of a view, its conditions may be about what it is called with.
        self.decide(&facts.conditions);
        self.decide_by_null(&facts.nulls);
        self.goes_by = self.goes_by.max(facts.goes_by);
        Ok(facts.gives.clone())
    }
}

/// The parameters of a function; `None` for what is none.
fn parameters(
    made: &CreateFunctionStmt,
) -> impl Iterator<Item = Option<&pg_query::protobuf::FunctionParameter>> {
    made.parameters.iter().map(|node| match node.node.as_ref() {
        Some(NodeEnum::FunctionParameter(parameter)) => Some(&**parameter),
        _ => None,
    })
}

/// The names of what a function is called with.
fn arguments(made: &CreateFunctionStmt) -> Option<Vec<Box<str>>> {
    let mut names = Vec::new();
    for parameter in parameters(made) {
        let parameter = parameter?;
        let result = matches!(
            FunctionParameterMode::try_from(parameter.mode),
            Ok(FunctionParameterMode::FuncParamOut | FunctionParameterMode::FuncParamTable)
        );
        if !result && !parameter.name.is_empty() {
            names.push(parameter.name.as_str().into());
        }
    }
    Some(names)
}

/// The text of a function, where it is given as one string.
fn source(made: &CreateFunctionStmt) -> Option<&str> {
    let mut all = made.options.iter().filter_map(|node| match node.node.as_ref() {
        Some(NodeEnum::DefElem(option)) if option.defname == "as" => option.arg.as_deref(),
        _ => None,
    });
    let Some(NodeEnum::List(texts)) = all.next()?.node.as_ref() else { return None };
    match texts.items.as_slice() {
        [one] => string(one),
        _ => None,
    }
}
