//! Statements about the session itself: settings, transactions, prepared statements, cursors,
//! channels.

use super::names::literal_text;
use super::scope::Shape;
use super::{Analyzer, Result};
use crate::statement::{NameChange, TransactionChange};
use pg_query::protobuf::{
    DeclareCursorStmt, DiscardMode, DiscardStmt, ExecuteStmt, FetchStmt, Node, PrepareStmt,
    TransactionStmt, TransactionStmtKind, VariableSetKind, VariableSetStmt,
};
use portcullis_core::effect::{Certainty, Effect, Extent, Object, ObjectKind, Verb};
use portcullis_core::mask::{Lineage, NewTable, Origin};
use smallvec::SmallVec;
use std::sync::Arc;

/// `CURSOR_OPT_HOLD` (PostgreSQL `src/include/nodes/parsenodes.h`).
const CURSOR_HOLD: i32 = 0x0020;

type Facts = (&'static str, Option<Shape>);

/// Encoding names are compared by letters and digits alone (`pg_char_to_encoding`).
fn is_utf8(value: &str) -> bool {
    let plain: String = value.chars().filter(char::is_ascii_alphanumeric).collect();
    ["utf8", "unicode"].iter().any(|name| plain.eq_ignore_ascii_case(name))
}

/// Words that `parse_bool` takes for true; of its abbreviations only what is written out.
fn is_on(value: &str) -> bool {
    ["on", "true", "yes", "1"].iter().any(|word| value.eq_ignore_ascii_case(word))
}

/// What decides whether transactions may write.
const READ_ONLY: [&str; 2] = ["default_transaction_read_only", "transaction_read_only"];

/// What giving a setting (by its lower-case name) this value does: it is a matter of the session's
/// transactions, as `SET TRANSACTION READ ONLY` is, where they are made to read only.
#[must_use]
pub fn effect_of_setting(name: &str, value: &str) -> Effect {
    let object = if READ_ONLY.contains(&name) && is_on(value) {
        Object::new(ObjectKind::Transaction, [])
    } else {
        Object::new(ObjectKind::Setting, [name])
    };
    Effect::resolved(Verb::Control, object, Extent::One)
}

/// What a mode of the session's transactions does: it gives the default of a setting. `None` for what is
/// no such mode, or lets transactions write.
fn effect_of_mode(mode: &Node) -> Option<Effect> {
    let mode = super::names::option(mode)?;
    let name = match mode.defname.as_str() {
        "transaction_isolation" => "default_transaction_isolation",
        "transaction_deferrable" => "default_transaction_deferrable",
        "transaction_read_only" => "default_transaction_read_only",
        _ => return None,
    };
    let value = mode.arg.as_deref().and_then(literal_text).unwrap_or_default();
    let effect = effect_of_setting(name, &value);
    let lets_write = READ_ONLY.contains(&name) && effect.object.kind == ObjectKind::Setting;
    (!lets_write).then_some(effect)
}

/// True where transactions are made to read only, or to be again what they were at log-in.
fn only_reads(name: &str, kind: VariableSetKind, args: &[Node]) -> bool {
    let on = || matches!(args, [one] if literal_text(one).is_some_and(|value| is_on(&value)));
    READ_ONLY.contains(&name)
        && match kind {
            VariableSetKind::VarSetValue => on(),
            VariableSetKind::VarReset | VariableSetKind::VarSetDefault => true,
            _ => false,
        }
}

impl Analyzer<'_> {
    pub(super) fn transaction_statement(&mut self, s: &TransactionStmt) -> Facts {
        use TransactionStmtKind as Kind;
        let control = |a: &mut Self, change, kind| {
            let object = Object::new(ObjectKind::Transaction, []);
            a.push(Effect::resolved(Verb::Control, object, Extent::One));
            // What was put off until the transaction ends runs now: constraints, held cursors.
            a.unresolved |= change == TransactionChange::Commit;
            a.transaction = change;
            (kind, None)
        };
        match TransactionStmtKind::try_from(s.kind) {
            Ok(Kind::TransStmtBegin) => control(self, TransactionChange::Begin, "begin"),
            Ok(Kind::TransStmtStart) => {
                control(self, TransactionChange::Begin, "start transaction")
            }
            Ok(Kind::TransStmtCommit) => control(self, TransactionChange::Commit, "commit"),
            Ok(Kind::TransStmtRollback) => control(self, TransactionChange::Rollback, "rollback"),
            Ok(Kind::TransStmtSavepoint) => {
                control(self, TransactionChange::Savepoint, "savepoint")
            }
            Ok(Kind::TransStmtRelease) => control(self, TransactionChange::Savepoint, "release"),
            Ok(Kind::TransStmtRollbackTo) => {
                control(self, TransactionChange::Savepoint, "rollback")
            }
            Ok(Kind::TransStmtPrepare) => {
                self.two_phase(&s.gid);
                control(self, TransactionChange::Commit, "prepare transaction")
            }
            // These end a transaction of any session: what it does was decided elsewhere.
            Ok(Kind::TransStmtCommitPrepared) => {
                self.two_phase(&s.gid);
                ("commit prepared", None)
            }
            Ok(Kind::TransStmtRollbackPrepared) => {
                self.two_phase(&s.gid);
                ("rollback prepared", None)
            }
            _ => {
                self.unreadable();
                ("unreadable", None)
            }
        }
    }

    fn two_phase(&mut self, gid: &str) {
        let object = Object::new(ObjectKind::Transaction, ["prepared", gid]);
        self.effect(Verb::Control, object, Extent::One, Certainty::Assumed);
    }

    /// `SET` and `RESET`.
    pub(super) fn set(&mut self, s: &VariableSetStmt) -> Facts {
        let name = s.name.to_ascii_lowercase();
        match VariableSetKind::try_from(s.kind) {
            Ok(VariableSetKind::VarSetMulti) => self.set_multi(&name, &s.args),
            Ok(VariableSetKind::VarResetAll) => {
                let object = Object::new(ObjectKind::Setting, []);
                self.effect(Verb::Control, object, Extent::All, Certainty::Resolved);
                ("reset", None)
            }
            Ok(kind) => {
                if matches!(name.as_str(), "role" | "session_authorization") {
                    self.identity(kind, &s.args);
                } else if only_reads(&name, kind, &s.args) {
                    // As `SET TRANSACTION READ ONLY` does it.
                    let object = Object::new(ObjectKind::Transaction, []);
                    self.effect(Verb::Control, object, Extent::One, Certainty::Resolved);
                } else {
                    self.control_setting(Some(&name));
                }
                if kind == VariableSetKind::VarSetValue {
                    let value = match s.args.as_slice() {
                        [one] => literal_text(one),
                        _ => None,
                    };
                    self.speech(Some(&name), value.as_deref());
                }
                (if kind == VariableSetKind::VarReset { "reset" } else { "set" }, None)
            }
            Err(_) => {
                self.unreadable();
                ("unreadable", None)
            }
        }
    }

    /// Who the session is at the target: somebody, or again who it was when it began, as `DISCARD ALL`
    /// has it too.
    fn identity(&mut self, kind: VariableSetKind, args: &[Node]) {
        let object = if kind == VariableSetKind::VarSetValue {
            let role = args.first().and_then(literal_text);
            Object::new(ObjectKind::Role, [role.as_deref().unwrap_or("?")])
        } else {
            Object::new(ObjectKind::Role, [])
        };
        self.effect(Verb::Control, object, Extent::One, Certainty::Resolved);
    }

    /// A setting gets a value; `None` for what is known at run time alone. Of a name that is not
    /// written out the policy decides, and the server reports what became of these two; but only when
    /// it is ready for more, and what it reads before then it may read otherwise.
    pub(super) fn speech(&mut self, name: Option<&str>, value: Option<&str>) {
        self.respeaks |= name.is_none();
        match name {
            Some("client_encoding") if !value.is_some_and(is_utf8) => {
                self.unspoken = Some("client_encoding");
            }
            Some("standard_conforming_strings") if !value.is_some_and(is_on) => {
                self.unspoken = Some("standard_conforming_strings");
            }
            _ => {}
        }
    }

    /// `SET TRANSACTION …`, `SET SESSION CHARACTERISTICS …`, `SET TRANSACTION SNAPSHOT …`.
    fn set_multi(&mut self, name: &str, modes: &[Node]) -> Facts {
        let of_modes = match name {
            "transaction" | "transaction snapshot" => {
                let object = Object::new(ObjectKind::Transaction, []);
                Some(vec![Effect::resolved(Verb::Control, object, Extent::One)])
            }
            "session characteristics" => modes.iter().map(effect_of_mode).collect(),
            _ => None,
        };
        match of_modes {
            Some(effects) => effects.into_iter().for_each(|effect| self.push(effect)),
            None => self.control_setting(Some(name)),
        }
        ("set", None)
    }

    pub(super) fn show(&mut self, name: &str) -> Facts {
        let name = name.to_ascii_lowercase();
        let all = name == "all";
        let object = Object::new(ObjectKind::Setting, (!all).then_some(name.as_str()));
        let extent = if all { Extent::All } else { Extent::One };
        self.effect(Verb::Read, object, extent, Certainty::Resolved);
        let value = self.value_of_setting((!all).then_some(&*name));
        ("show", Some(Shape::uniform(if all { 3 } else { 1 }, &value)))
    }

    pub(super) fn prepare(&mut self, s: &PrepareStmt) -> Result<Facts> {
        let before = self.effects.len();
        for node in &s.argtypes {
            match node.node.as_ref() {
                Some(pg_query::NodeEnum::TypeName(name)) => {
                    self.type_use(Some(name));
                }
                _ => {
                    self.unreadable();
                }
            }
        }
        let Some(query) = s.query.as_deref() else {
            self.unreadable();
            return Ok(("prepare", None));
        };
        // Whenever it is executed, arguments are read as values of the types.
        let mut inner = self.inner(query)?;
        inner.effects.extend(self.effects.iter().skip(before).cloned());
        if let (true, Some(lineage)) = (self.effects.len() > before, &mut inner.lineage) {
            Arc::make_mut(lineage).user_code = true;
        }
        let inner = Arc::new(inner);
        self.names = NameChange::Prepare { name: s.name.as_str().into(), inner };
        self.control_session();
        Ok(("prepare", None))
    }

    /// `EXECUTE`: what the name stands for is known to the session, not to the text.
    pub(super) fn execute_prepared(&mut self, s: &ExecuteStmt) -> Result<Facts> {
        let arguments = self.all(&s.params)?;
        self.written_all(&s.params, &SmallVec::new())?;
        self.names = NameChange::Execute { name: s.name.as_str().into() };
        self.control_session();
        self.unresolved = true;
        // The arguments reach wherever the prepared statement puts its parameters.
        self.sink(arguments);
        Ok(("execute", Some(Shape::unknown())))
    }

    pub(super) fn declare(&mut self, s: &DeclareCursorStmt) -> Result<Facts> {
        let Some(query) = s.query.as_deref() else {
            self.unreadable();
            return Ok(("declare cursor", None));
        };
        let inner = Arc::new(self.inner(query)?);
        self.control_session();
        if s.options & CURSOR_HOLD != 0 {
            // It runs to its end at COMMIT, fetched from or not.
            inner.effects.iter().for_each(|e| self.push(e.clone()));
            inner.lineage.iter().for_each(|lineage| self.behind(lineage, true));
        }
        self.names = NameChange::Declare { name: s.portalname.as_str().into(), inner };
        Ok(("declare cursor", None))
    }

    /// What another statement reads and shows in its errors, this one does too; where it `runs` it,
    /// what flows elsewhere as well.
    pub(super) fn behind(&mut self, lineage: &Lineage, runs: bool) {
        self.relate(&lineage.relations);
        if runs {
            lineage.sinks.iter().for_each(|origin| self.sink(origin.clone()));
            lineage.fills.iter().for_each(|fill| self.sink(fill.from.origin.clone()));
            self.moves.extend(lineage.moves.iter().cloned());
            // Nobody looks for the view either.
            for refill in &lineage.refills {
                match &refill.columns {
                    Some(all) => all.iter().for_each(|column| self.sink(column.origin.clone())),
                    None => self.sink(Origin::Untraced),
                }
            }
            // Nobody looks for the table that a statement inside another one makes.
            match lineage.makes.as_deref() {
                Some(NewTable { columns: Some(columns), .. }) => {
                    columns.iter().for_each(|column| self.sink(column.origin.clone()));
                }
                Some(NewTable { columns: None, .. }) => self.sink(Origin::Untraced),
                None => {}
            }
        }
        self.decide(&lineage.conditions);
        self.decide_by_null(&lineage.nulls);
        self.user_code |= lineage.user_code;
        self.unresolved |= lineage.unresolved;
        self.missing |= lineage.missing;
    }

    pub(super) fn fetch(&mut self, s: &FetchStmt) -> Facts {
        self.names = NameChange::Fetch { name: s.portalname.as_str().into() };
        self.control_session();
        self.unresolved = true;
        if s.ismove { ("move", None) } else { ("fetch", Some(Shape::unknown())) }
    }

    pub(super) fn discard(&mut self, s: &DiscardStmt) -> Facts {
        match DiscardMode::try_from(s.target) {
            Ok(DiscardMode::DiscardAll) => {
                self.names = NameChange::DiscardAll;
                // It resets every setting, the role included, and drops temporary tables.
                let object = Object::new(ObjectKind::Setting, []);
                self.effect(Verb::Control, object, Extent::All, Certainty::Resolved);
                self.control_session();
                ("discard all", None)
            }
            Ok(DiscardMode::DiscardTemp) => {
                let object = self.object(ObjectKind::Schema, ["pg_temp"]);
                self.effect(Verb::Drop, object, Extent::All, Certainty::Resolved);
                ("discard temp", None)
            }
            Ok(DiscardMode::DiscardPlans | DiscardMode::DiscardSequences) => {
                self.control_session();
                ("discard", None)
            }
            _ => {
                self.unreadable();
                ("unreadable", None)
            }
        }
    }
}
