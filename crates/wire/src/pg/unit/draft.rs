//! A unit while its messages come in: each is read, resolved by what the session's names stand for, and
//! written as the target will get it. Before the gate.

use super::facts::{Facts, Seen, lineage, outdated, own_lineage, session_effect, untold};
use super::{Analyst, Run, Shape, Suspendable, Unbound, Unit, Why, text_of};
use crate::pg::message::{self, Frontend, Target};
use crate::pg::names::{
    MAX_NAME, Names, Origin, Prepared, Resolved, Respoken, Unusable, empty_statement,
};
use crate::pg::script::{Part, Script, Step};
use crate::pg::{bound, call};
use bytes::{BufMut as _, Bytes, BytesMut};
use portcullis_core::effect::{Certainty, Effect, Extent, Object, ObjectKind, Verb, may_redefine};
use portcullis_core::mask::{CopyFormat, Lineage};
use portcullis_core::protocol::Shown;
use portcullis_sql::parse::reads_alike;
use portcullis_sql::statement::{
    Analysis, Copy, NameChange, Statement, TransactionChange, uses_names,
};
use smallvec::SmallVec;
use std::collections::HashMap;
use std::iter;
use std::sync::Arc;

/// Assembles a unit, message by message.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    wire: BytesMut,
    script: Script,
    facts: Facts,
    runs: Vec<Run>,
    /// Statements parsed, bound or described, with what names in them stood for.
    touched: Vec<(Arc<Prepared>, Resolved)>,
    touched_set: Seen,
    run_set: Seen,
    /// Portals described by the client: the step, and the statement.
    portals_described: Vec<(usize, Arc<Prepared>)>,
    suspendable: Vec<Suspendable>,
    /// The portal that the last step describes. No other description governs rows: whatever stands
    /// between may end that portal and make another of its name, or change what a `FETCH` in it reads.
    described: Option<Described>,
    messages: usize,
    /// True after the `Execute` of a `COPY … FROM STDIN`.
    copies_in: bool,
    /// True after the `Execute` of what may change definitions: what comes behind it was analysed by
    /// those there were before.
    redefined: bool,
    /// True once something runs by which known names may do something else.
    disturbed: bool,
    /// Why nobody can approve it.
    unbound: Option<Unbound>,
    failed: Option<Why>,
    /// Texts of a unit that failed, for the record.
    texts: Vec<Bytes>,
}

/// A portal that the client has described.
#[derive(Debug)]
struct Described {
    step: usize,
    /// [`Portal::id`](crate::pg::names::Portal::id).
    portal: u64,
}

impl Draft {
    pub(crate) const fn is_empty(&self) -> bool {
        self.messages == 0
    }

    /// True where something came, all of it read, and it prepares and describes statements alone.
    pub(crate) fn only_prepares(&self) -> bool {
        let prepares = |step: &Step| matches!(step, Step::Parse { .. } | Step::DescribeStatement);
        !self.is_empty() && !self.has_failed() && self.script.steps.iter().all(prepares)
    }

    pub(crate) const fn copies_in(&self) -> bool {
        self.copies_in
    }

    pub(crate) const fn has_failed(&self) -> bool {
        self.failed.is_some()
    }

    /// Gives the unit up: what it holds is let go, all but the texts.
    pub(crate) fn fail(&mut self, why: Why) {
        if self.failed.is_none() {
            self.failed = Some(why);
            let texts = self.runs.iter().map(|run| run.prepared.text.clone());
            let texts = texts.chain(self.touched.iter().map(|(prepared, _)| prepared.text.clone()));
            let texts = texts.chain(std::mem::take(&mut self.texts)).take(64).collect();
            let (failed, messages) = (self.failed.take(), self.messages);
            *self = Self { failed, messages, texts, ..Self::default() };
        }
    }

    /// Room for one more message of this size?
    pub(crate) fn admit(&mut self, size: usize, limits: &message::Limits) -> Result<(), Why> {
        self.messages += 1;
        if self.messages > limits.max_unit_messages {
            return Err(Why::Limit {
                what: "messages before a Sync",
                limit: limits.max_unit_messages,
            });
        }
        if self.wire.len() + size > limits.max_unit_bytes {
            return Err(Why::Limit { what: "bytes before a Sync", limit: limits.max_unit_bytes });
        }
        Ok(())
    }

    /// A simple query.
    pub(crate) fn query(
        &mut self,
        text: Bytes,
        names: &mut Names,
        analyst: &dyn Analyst,
        aborted: bool,
    ) -> Result<(), Why> {
        self.texts.push(text.clone());
        let analysis = analyse(analyst, &text, names)?;
        names.begin_query(0);
        let parts = analysis.statements.len();
        self.script.steps.push(Step::Query { first_part: 0, parts });
        let epoch = analyst.epoch();
        let prepared = |place, statement, made| {
            let (text, types) = (text.clone(), Vec::new());
            Arc::new(Prepared { text, statement, types, sql_level: false, place, epoch, made })
        };
        for (index, statement) in shared(&analysis).enumerate() {
            let place = analysis.place(index, text.len()).ok_or(Why::Encoding)?;
            let prepared = prepared(place, statement, names.reading());
            names.freshen_behind(&prepared.statement, analyst)?;
            self.run(&prepared, Bytes::new(), 0, (names, aborted))?;
            if let (true, Some(run)) = (index > 0, self.runs.last_mut()) {
                run.same_text = true;
            }
        }
        if parts == 0 {
            self.facts.kind("empty");
            self.touch(&prepared(0..text.len(), empty_statement(), 0), names)?;
        }
        Ok(())
    }

    /// A call of a function by number, as the statement that does the same.
    pub(crate) fn call(
        &mut self,
        body: &Bytes,
        names: &mut Names,
        analyst: &dyn Analyst,
        aborted: bool,
    ) -> Result<(), Why> {
        for (message, bytes) in call::messages(body).ok_or(Why::FunctionCall)? {
            self.extended(message, &bytes, names, analyst, aborted)?;
        }
        self.script.calls = true;
        Ok(())
    }

    /// A message of the extended protocol. `bytes` are the message itself.
    pub(crate) fn extended(
        &mut self,
        message: Frontend,
        bytes: &Bytes,
        names: &mut Names,
        analyst: &dyn Analyst,
        aborted: bool,
    ) -> Result<(), Why> {
        if self.copies_in {
            return Err(Why::CopyNotLast);
        }
        let at = Origin { step: self.script.steps.len(), part: None };
        match message {
            Frontend::Parse { name, text, types } => {
                self.parse(name, text, types, names, analyst, at)?;
            }
            Frontend::Bind { portal, statement, values } => {
                short(&portal)?;
                names.freshen(&statement, analyst)?;
                let (prepared, doubtful) = names.to_bind(&statement).map_err(|unusable| {
                    why(unusable, &statement, |name| Why::UnknownStatement { name })
                })?;
                let prepared = Arc::clone(prepared);
                names.bind(&portal, (Arc::clone(&prepared), doubtful), &values, at)?;
                self.touch(&prepared, names)?;
                self.script.steps.push(Step::Bind);
            }
            Frontend::Describe(Target::Statement, name) => {
                names.freshen(&name, analyst)?;
                let (prepared, _) = names.to_bind(&name).map_err(|unusable| {
                    why(unusable, &name, |name| Why::UnknownStatement { name })
                })?;
                let prepared = Arc::clone(prepared);
                self.touch(&prepared, names)?;
                self.script.steps.push(Step::DescribeStatement);
            }
            Frontend::Describe(Target::Portal, name) => {
                let portal = Arc::clone(names.portal(&name).map_err(|unusable| {
                    why(unusable, &name, |name| Why::UnknownPortal { name })
                })?);
                self.touch(&portal.prepared, names)?;
                self.portals_described.push((at.step, Arc::clone(&portal.prepared)));
                self.described = Some(Described { step: at.step, portal: portal.id });
                self.script.steps.push(Step::DescribePortal { part: None, injected: false });
            }
            Frontend::Execute { portal, rows } => {
                self.execute(portal, rows, names, analyst, aborted)?;
            }
            Frontend::Close(target, name) => {
                short(&name)?;
                match target {
                    Target::Statement => names.close_statement(&name, at),
                    Target::Portal => names.close_portal(&name, at),
                }
                self.script.steps.push(Step::Close);
            }
            // Everything else is dealt with before it comes here.
            _ => return Ok(()),
        }
        self.wire.extend_from_slice(bytes);
        Ok(())
    }

    fn parse(
        &mut self,
        name: Bytes,
        text: Bytes,
        types: Vec<u32>,
        names: &mut Names,
        analyst: &dyn Analyst,
        at: Origin,
    ) -> Result<(), Why> {
        self.texts.push(text.clone());
        short(&name)?;
        let analysis = analyse(analyst, &text, names)?;
        let mut statements = shared(&analysis);
        let statement = statements.next().unwrap_or_else(empty_statement);
        if statements.next().is_some() {
            return Err(Why::Syntax {
                message: "cannot insert multiple commands into a prepared statement".to_owned(),
                at: None,
            });
        }
        let text = Bytes::copy_from_slice(&text);
        let statement = with_code_of(&types, statement, analyst);
        let epoch = analyst.epoch();
        let place = 0..text.len();
        let made = names.reading();
        let new = Prepared { text, statement, types, sql_level: false, place, epoch, made };
        names.prepare(&name, new, at)?;
        if let Ok(prepared) = names.statement(&name).map(Arc::clone) {
            self.touch(&prepared, names)?;
        }
        self.texts.pop();
        self.script.steps.push(Step::Parse { name });
        Ok(())
    }

    /// `Execute`, with the `Describe` before it that tells its columns.
    fn execute(
        &mut self,
        name: Bytes,
        rows: u32,
        names: &mut Names,
        analyst: &dyn Analyst,
        aborted: bool,
    ) -> Result<(), Why> {
        let portal = Arc::clone(
            names
                .portal(&name)
                .map_err(|unusable| why(unusable, &name, |name| Why::UnknownPortal { name }))?,
        );
        if !portal.suspended {
            // Before anything of it is written: it may not be one that can be run.
            names.freshen_behind(&portal.prepared.statement, analyst)?;
        }
        let part = self.script.parts.len();
        let described = self.described.take();
        let described = described.is_some_and(|described| {
            described.portal == portal.id && described.step + 1 == self.script.steps.len()
        });
        match self.script.steps.last_mut() {
            Some(Step::DescribePortal { part: governs, .. }) if described => *governs = Some(part),
            _ => {
                describe_portal(&mut self.wire, &name);
                let part = Some(part);
                self.script.steps.push(Step::DescribePortal { part, injected: true });
            }
        }
        if names.is_older(&portal) {
            self.facts.add(Effect::behind_definitions());
        }
        // The step comes first: it is the origin of what the statement does to names.
        self.script.steps.push(Step::Execute { part });
        let at = Origin { step: self.script.steps.len() - 1, part: Some(part) };
        let running = names.running(std::iter::once(&*name));
        if portal.suspended {
            self.proceed(&portal.prepared, portal.resolved.as_ref(), portal.values.clone(), rows);
            let statement = portal.resolved.as_ref().unwrap_or(&portal.prepared.statement);
            if portal.doubtful {
                self.outdate(statement);
            }
            names.proceed(statement, at);
        } else {
            if names.is_misbound(&portal) {
                self.unbound = self.unbound.max(Some(Unbound::Misread));
            }
            let values = portal.values.clone();
            let resolved = self.run(&portal.prepared, values, rows, (names, aborted))?;
            if self.redefined || portal.doubtful {
                self.outdate(&resolved.statement);
            }
            self.redefined |= resolved.chain.iter().any(|statement| {
                may_redefine(std::iter::once(&*statement.kind), &statement.effects)
            });
            if resolved.chain.len() > 1 {
                names.remember(&name, &resolved.statement, at);
            }
        }
        names.have_run(running);
        if rows > 0 {
            self.suspendable.push(Suspendable { part, name, portal: portal.id });
        }
        Ok(())
    }

    /// The answer of the last statement may come from anywhere.
    fn outdate(&mut self, statement: &Statement) {
        let updates = statement.effects.iter().any(|e| e.verb == Verb::Update);
        if let Some(last) = self.facts.lineages.last_mut() {
            *last = Arc::new(outdated(last, updates));
        }
    }

    /// One execution of a statement.
    fn run(
        &mut self,
        prepared: &Arc<Prepared>,
        values: Bytes,
        rows: u32,
        (names, aborted): (&mut Names, bool),
    ) -> Result<Resolved, Why> {
        let part = self.script.parts.len();
        let at = Origin { step: self.script.steps.len().saturating_sub(1), part: Some(part) };
        let resolved = names.resolve(&prepared.statement);
        for (place, statement) in resolved.chain.iter().enumerate() {
            self.facts.count(statement, false);
            // The values are those of the statement that was bound, not of one behind its name.
            let (bound, types) = (place == 0).then_some((&values, &*prepared.types)).unzip();
            self.facts.count_named(statement, |number| {
                bound::name(bound?, types?, usize::from(number).checked_sub(1)?)
            });
        }
        if let Some((name, _)) = &resolved.unusable {
            self.facts.add(Effect {
                verb: Verb::Unknown,
                object: Object::new(ObjectKind::Session, [&**name]),
                extent: Extent::Unknown,
                certainty: Certainty::Unreadable,
            });
        }
        let goes_by = resolved.chain.iter().filter_map(|statement| statement.goes_by).max();
        let misread = resolved.misread.then_some(Unbound::Misread);
        self.unbound = self.unbound.max(goes_by.map(Unbound::GoesBy)).max(misread);
        self.follow(&resolved, names)?;
        let commits = resolved.chain.iter().any(|s| s.transaction == TransactionChange::Commit);
        if commits && names.holds_older() {
            self.facts.add(Effect::behind_definitions());
        }
        if resolved.chain.iter().any(|statement| statement.disturbs) {
            self.disturbed = true;
            names.disturb();
        }
        if resolved.chain.iter().any(|statement| statement.respeaks) {
            names.respeak(Respoken::Run);
        }
        resolved.chain.iter().for_each(|statement| self.facts.kind(&statement.kind));
        self.facts.lineages.push(lineage(&resolved));
        if resolved.doubtful {
            self.outdate(&resolved.statement);
        }
        let (copy_in, copy_out) = copies(&resolved.statement);
        self.copies_in |= copy_in;
        self.script.parts.push(Part {
            statement: Arc::clone(&resolved.statement),
            copy_out,
            copy_in,
        });
        self.run_set.insert(prepared);
        self.runs.push(Run {
            prepared: Arc::clone(prepared),
            values,
            behind: resolved.behind.clone(),
            rows,
            continues: false,
            same_text: false,
        });
        let fetched = resolved.chain.iter().filter_map(|statement| match &statement.names {
            NameChange::Fetch { name } => Some(name.as_bytes()),
            _ => None,
        });
        let running = names.running(fetched);
        // Each is prepared from the text it stands in, which is not that of the name it was run by.
        let texts = resolved.behind.iter().map(|behind| &behind.prepared);
        for (statement, from) in resolved.chain.iter().zip(iter::once(prepared).chain(texts)) {
            names.apply(statement, from, aborted, at)?;
        }
        names.have_run(running);
        Ok(resolved)
    }

    /// More rows of a portal whose statement was permitted and has started.
    fn proceed(
        &mut self,
        prepared: &Arc<Prepared>,
        resolved: Option<&Arc<Statement>>,
        values: Bytes,
        rows: u32,
    ) {
        let statement = resolved.unwrap_or(&prepared.statement);
        self.facts.kind("fetch");
        self.facts.add(session_effect());
        // What an indirect statement stands for was remembered when it started, if it was known.
        let lineage = match statement.names {
            NameChange::Execute { .. } | NameChange::Fetch { .. } => untold(),
            _ => own_lineage(statement),
        };
        self.facts.lineages.push(lineage);
        let statement = Arc::clone(statement);
        self.script.parts.push(Part { statement, copy_out: None, copy_in: false });
        self.run_set.insert(prepared);
        self.runs.push(Run {
            prepared: Arc::clone(prepared),
            values,
            behind: SmallVec::new(),
            rows,
            continues: true,
            same_text: false,
        });
    }

    fn touch(&mut self, prepared: &Arc<Prepared>, names: &mut Names) -> Result<(), Why> {
        let new = self.touched_set.insert(prepared);
        if !new && !self.disturbed && names.respoken() != Respoken::Run {
            return Ok(());
        }
        let resolved = names.resolve(&prepared.statement);
        // It is planned, which runs what claims to be immutable, each time that it is bound.
        self.follow(&resolved, names)?;
        if resolved.chain.iter().any(|statement| statement.respeaks) {
            names.respeak(Respoken::Planned);
        }
        if new {
            self.touched.push((Arc::clone(prepared), resolved));
        }
        Ok(())
    }

    /// Takes note of a statement that comes behind definitions, or goes on with what was made before
    /// them. The texts of functions are read when they are called.
    fn follow(&mut self, resolved: &Resolved, names: &Names) -> Result<(), Why> {
        if names.respoken() == Respoken::Run
            && resolved.chain.iter().any(|statement| statement.rereads)
        {
            return Err(Why::Respoken);
        }
        let behind = self.disturbed || resolved.older;
        if behind && resolved.chain.iter().any(|statement| uses_names(&statement.kind)) {
            self.facts.add(Effect::behind_definitions());
        }
        Ok(())
    }

    /// Ends the unit. `bytes` is the query, or the `Sync` or `Flush` that ends it, if the client
    /// sent one; a unit that ends otherwise is given a `Flush`, so that its answers come.
    pub(crate) fn finish(mut self, shape: Shape, bytes: Option<&Bytes>) -> Unit {
        let extended = shape != Shape::Simple;
        // In copy-in mode the server ignores a Sync; where the COPY fails before that mode, it does
        // not (manual, "COPY Operations"). So that both read alike, it is held back.
        let holds_sync = shape == Shape::Sync && self.copies_in;
        if extended {
            let (step, own) = if shape == Shape::Sync && !holds_sync {
                (Step::Sync, &SYNC)
            } else {
                (Step::Flush, &FLUSH)
            };
            self.script.steps.push(step);
            match bytes {
                Some(bytes) if !holds_sync => self.wire.extend_from_slice(bytes),
                _ => self.wire.extend_from_slice(own),
            }
        }
        let run_set = &self.run_set;
        self.touched.retain(|(prepared, _)| !run_set.contains(prepared));
        let prepares_only = extended && self.runs.is_empty() && !self.touched.is_empty();
        if extended && !self.touched.is_empty() {
            self.facts.kind("prepare");
            for statement in self.touched.iter().flat_map(|(_, resolved)| &resolved.chain) {
                self.facts.count(statement, true);
            }
        }
        if prepares_only {
            self.plan_parts();
        }
        let wire = match bytes {
            Some(bytes) if !extended => bytes.clone(),
            _ => self.wire.freeze(),
        };
        Unit {
            wire,
            shape,
            operation: self.facts.finish(),
            script: self.script,
            prepares_only,
            unbound: self.unbound,
            runs: self.runs,
            prepared: self.touched.into_iter().map(|(prepared, _)| prepared).collect(),
            suspendable: self.suspendable,
            holds_sync,
            sent: Vec::new(),
        }
    }

    /// Gives each statement of a unit that runs none a part, so that descriptions can be planned.
    fn plan_parts(&mut self) {
        let mut parts = HashMap::new();
        for (n, (prepared, resolved)) in self.touched.iter().enumerate() {
            let (copy_in, copy_out) = copies(&resolved.statement);
            let statement = Arc::clone(&resolved.statement);
            self.facts.lineages.push(lineage(resolved));
            self.script.parts.push(Part { statement, copy_out, copy_in });
            parts.insert(Arc::as_ptr(prepared), n);
        }
        for (step, prepared) in &self.portals_described {
            if let Some(Step::DescribePortal { part, .. }) = self.script.steps.get_mut(*step) {
                *part = parts.get(&Arc::as_ptr(prepared)).copied();
            }
        }
    }

    /// Ends a unit that failed.
    pub(crate) fn give_up(self) -> (Why, Shown) {
        let statements: Vec<String> = self.texts.iter().map(text_of).collect();
        let parameters = vec![Vec::new(); statements.len()];
        let why = self.failed.unwrap_or(Why::Encoding);
        (why, Shown { statements, parameters, ..Shown::default() })
    }
}

/// A whole `Sync` message.
pub(crate) const SYNC: [u8; 5] = *b"S\0\0\0\x04";

/// A whole `Flush` message.
pub(crate) const FLUSH: [u8; 5] = *b"H\0\0\0\x04";

fn describe_portal(wire: &mut BytesMut, name: &[u8]) {
    // A name in use has at most MAX_NAME bytes.
    let length = u32::try_from(4 + 1 + name.len() + 1).unwrap_or(u32::MAX);
    wire.put_u8(b'D');
    wire.put_u32(length);
    wire.put_u8(b'P');
    wire.put_slice(name);
    wire.put_u8(0);
}

fn analyse(analyst: &dyn Analyst, text: &Bytes, names: &Names) -> Result<Arc<Analysis>, Why> {
    let text = std::str::from_utf8(text).map_err(|_| Why::Encoding)?;
    if names.respoken() != Respoken::No && !reads_alike(text) {
        return Err(Why::Respoken);
    }
    let analysis = analyst.analyse(text)?;
    match analysis.statements.iter().find_map(|s| s.unspoken) {
        Some(setting) => Err(Why::Unspoken { setting }),
        None => Ok(analysis),
    }
}

/// The statement, and what reading parameters of these types does.
pub(crate) fn with_code_of(
    types: &[u32],
    statement: Arc<Statement>,
    analyst: &dyn Analyst,
) -> Arc<Statement> {
    let code: Vec<Object> = types.iter().filter_map(|t| analyst.code_of_literals(*t)).collect();
    if code.is_empty() {
        return statement;
    }
    let mut statement = Arc::unwrap_or_clone(statement);
    statement.effects.extend(code.into_iter().map(|object| Effect {
        verb: Verb::Execute,
        object,
        extent: Extent::Unknown,
        certainty: Certainty::Assumed,
    }));
    statement.respeaks = true;
    let lineage = statement.lineage.as_deref().cloned().unwrap_or_default();
    statement.lineage = Some(Arc::new(Lineage { user_code: true, ..lineage }));
    Arc::new(statement)
}

fn short(name: &Bytes) -> Result<(), Why> {
    if name.len() > MAX_NAME { Err(Why::LongName) } else { Ok(()) }
}

fn why(unusable: Unusable, name: &[u8], unknown: impl Fn(String) -> Why) -> Why {
    let name = String::from_utf8_lossy(name).into_owned();
    match unusable {
        Unusable::Unknown => unknown(name),
        Unusable::Ambiguous => Why::Ambiguous { name },
        Unusable::TooLong => Why::LongName,
    }
}

fn copies(statement: &Statement) -> (bool, Option<CopyFormat>) {
    match &statement.copy {
        Some(Copy::In(_)) => (true, None),
        Some(Copy::Out(format)) => (false, Some(*format)),
        None => (false, None),
    }
}

/// The statements of a text, shared, so that names, parts and facts can keep them.
fn shared(analysis: &Analysis) -> impl Iterator<Item = Arc<Statement>> + '_ {
    analysis.statements.iter().cloned().map(Arc::new)
}
