//! Which values of a statement may vary where people give leave for more like it. Stands beside the
//! analysis: asked only when a request is put to people.
//!
//! *Architecture invariant:* everything is fixed but what is expressly let go: a plain literal (or a
//! parameter) that is compared with a column by `=` or `IN`, that a column is set to, or that limits
//! a query. Arguments of functions, casts, typed literals, ranges, `LIKE`, what stands in inner
//! queries and how many values there are all stay as they were.

use crate::parse::{Limits, parse};
use pg_query::NodeEnum;
use pg_query::protobuf::{AConst, AExprKind, Node, Token, a_const};
use portcullis_core::digest::{Digest, Digester};
use std::collections::{BTreeSet, HashSet};

/// Longest whole number that varies, in digits: all of them are `bigint` or smaller.
const DIGITS: usize = 18;

/// A statement with places for values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// Of all tokens of the text, with what kind of value may stand in each place.
    pub digest: Digest,
    /// The text with every place marked.
    pub shown: String,
    /// The numbers of the parameters whose values may vary: they stand in such places alone.
    pub free: BTreeSet<usize>,
}

/// What may vary in a tree, by place in the text or by number.
#[derive(Default)]
struct Places {
    literals: HashSet<usize>,
    parameters: BTreeSet<usize>,
}

/// The template of a text of one statement that queries or changes rows; `None` for everything else.
#[must_use]
pub fn template(text: &str, limits: &Limits) -> Option<Template> {
    let tree = parse(text, limits).ok()?;
    let [statement] = tree.stmts.as_slice() else { return None };
    let mut places = Places::default();
    match statement.stmt.as_ref()?.node.as_ref()? {
        NodeEnum::UpdateStmt(s) => {
            s.target_list.iter().for_each(|node| places.target(node));
            places.condition(s.where_clause.as_deref());
        }
        NodeEnum::DeleteStmt(s) => places.condition(s.where_clause.as_deref()),
        NodeEnum::InsertStmt(s) => {
            if let Some(NodeEnum::SelectStmt(rows)) =
                s.select_stmt.as_ref().and_then(|n| n.node.as_ref())
            {
                rows.values_lists.iter().for_each(|row| places.list(row));
            }
        }
        NodeEnum::SelectStmt(s) => {
            places.condition(s.where_clause.as_deref());
            s.limit_count.iter().for_each(|node| places.value(node));
        }
        _ => return None,
    }
    filled(text, places)
}

impl Places {
    fn condition(&mut self, node: Option<&Node>) {
        match node.and_then(|n| n.node.as_ref()) {
            Some(NodeEnum::BoolExpr(e)) => {
                e.args.iter().for_each(|node| self.condition(Some(node)));
            }
            Some(NodeEnum::AExpr(e)) if is_equality(&e.name) => {
                let (Some(left), Some(right)) = (e.lexpr.as_deref(), e.rexpr.as_deref()) else {
                    return;
                };
                match AExprKind::try_from(e.kind) {
                    Ok(AExprKind::AexprOp) if is_column(left) => self.value(right),
                    Ok(AExprKind::AexprOp) if is_column(right) => self.value(left),
                    Ok(AExprKind::AexprIn) if is_column(left) => self.list(right),
                    _ => {}
                }
            }
            _ => {}
        }
    }

    fn target(&mut self, node: &Node) {
        if let Some(NodeEnum::ResTarget(target)) = node.node.as_ref()
            && target.indirection.is_empty()
        {
            target.val.iter().for_each(|node| self.value(node));
        }
    }

    fn list(&mut self, node: &Node) {
        if let Some(NodeEnum::List(list)) = node.node.as_ref() {
            list.items.iter().for_each(|node| self.value(node));
        }
    }

    fn value(&mut self, node: &Node) {
        match node.node.as_ref() {
            Some(NodeEnum::AConst(AConst {
                val: Some(a_const::Val::Ival(_) | a_const::Val::Fval(_) | a_const::Val::Sval(_)),
                isnull: false,
                location,
            })) => self.literals.extend(usize::try_from(*location).ok()),
            Some(NodeEnum::ParamRef(p)) => self.parameters.extend(usize::try_from(p.location).ok()),
            _ => {}
        }
    }
}

/// `=`, by no schema in particular: what else a name may stand for is among the effects.
fn is_equality(name: &[Node]) -> bool {
    matches!(name, [one] if matches!(one.node.as_ref(), Some(NodeEnum::String(s)) if s.sval == "="))
}

fn is_column(node: &Node) -> bool {
    matches!(node.node.as_ref(), Some(NodeEnum::ColumnRef(_)))
}

/// The text's tokens with what may vary left out. The lexer is the server's own, so that all that
/// is compared is what the server would read.
fn filled(text: &str, mut places: Places) -> Option<Template> {
    let tokens = std::panic::catch_unwind(|| pg_query::scan(text)).ok()?.ok()?.tokens;
    let mut digester = Digester::new("portcullis/template/1");
    let (mut shown, mut upto) = (String::new(), 0);
    let (mut free, mut fixed) = (BTreeSet::new(), BTreeSet::new());
    for token in &tokens {
        let (start, end) = (usize::try_from(token.start).ok()?, usize::try_from(token.end).ok()?);
        let word = text.get(start..end)?;
        digester.add(&token.token.to_be_bytes());
        if token.token == Token::Param as i32 {
            let number: usize = word.strip_prefix('$')?.parse().ok()?;
            digester.add(word.as_bytes());
            if places.parameters.remove(&start) { &mut free } else { &mut fixed }.insert(number);
            continue;
        }
        let kind = if places.literals.remove(&start) { kind(token.token, word) } else { None };
        let Some(kind) = kind else {
            digester.add(word.as_bytes());
            continue;
        };
        digester.add(b"");
        digester.add(kind.as_bytes());
        shown.push_str(text.get(upto..start)?);
        shown.push_str(kind);
        upto = end;
    }
    shown.push_str(text.get(upto..)?);
    if !places.parameters.is_empty() {
        return None;
    }
    free.retain(|number| !fixed.contains(number));
    Some(Template { digest: digester.finish(), shown, free })
}

/// What may stand in place of a literal; `None` where it stays, such as a number with a sign, whose
/// place is that of the sign.
fn kind(token: i32, word: &str) -> Option<&'static str> {
    let digits = || word.bytes().all(|b| b.is_ascii_digit());
    if token == Token::Sconst as i32 && word.starts_with('\'') {
        return Some("‹any text›");
    }
    if token == Token::Iconst as i32 && digits() {
        return Some("‹any number›");
    }
    if token == Token::Fconst as i32 && digits() && word.len() <= DIGITS {
        return Some("‹any large number›");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<Template> {
        template(text, &Limits::default())
    }

    #[test]
    fn what_varies_is_marked() {
        let check = |text: &str, expect: &str| assert_eq!(of(text).unwrap().shown, expect);
        check("DELETE FROM t WHERE id = 5", "DELETE FROM t WHERE id = ‹any number›");
        check(
            "UPDATE t SET a = 'x', b = 3 WHERE 7 = id AND (c IN ('p', 'q') OR NOT d = 1)",
            "UPDATE t SET a = ‹any text›, b = ‹any number› WHERE ‹any number› = id AND \
             (c IN (‹any text›, ‹any text›) OR NOT d = ‹any number›)",
        );
        check(
            "INSERT INTO t VALUES (1, 'é', now())",
            "INSERT INTO t VALUES (‹any number›, ‹any text›, now())",
        );
        check("SELECT a FROM t LIMIT 5", "SELECT a FROM t LIMIT ‹any number›");
        check("DELETE FROM t WHERE id = 5000000000", "DELETE FROM t WHERE id = ‹any large number›");
    }

    #[test]
    fn all_else_stays() {
        for text in [
            "DELETE FROM t WHERE id < 5",
            "DELETE FROM t WHERE id <> 5",
            "DELETE FROM t WHERE 1 = 1",
            "DELETE FROM t WHERE f(5) = id",
            "DELETE FROM t WHERE id = f('x')",
            "DELETE FROM t WHERE id = 'x'::regclass",
            "DELETE FROM t WHERE d = date '2020-01-01'",
            "DELETE FROM t WHERE id = ANY ('{1,2}')",
            "DELETE FROM t WHERE a LIKE 'x%'",
            "DELETE FROM t WHERE id BETWEEN 1 AND 2",
            "DELETE FROM t WHERE id IN (SELECT b FROM u WHERE c = 5)",
            "DELETE FROM t WHERE id = -5",
            "DELETE FROM t WHERE id = 5.5",
            "DELETE FROM t WHERE a = $$x$$",
            "DELETE FROM t WHERE a = E'x'",
            "DELETE FROM t WHERE a = true",
            "DELETE FROM t WHERE a + 1 = 5",
            "DELETE FROM t WHERE t.a = B'1'",
            "UPDATE t SET a[1] = 2",
            "UPDATE t SET a = a + 1",
            "INSERT INTO t SELECT 5",
            "SELECT set_config('role', 'x', false)",
            "SELECT a FROM t ORDER BY 2",
            "WITH x AS (DELETE FROM t WHERE id = 5) SELECT 1",
        ] {
            assert_eq!(of(text).unwrap().shown, text);
        }
        for text in ["SELECT 1; SELECT 2", "", "DROP TABLE t", "DO 'x'", "SET a = 1", "x"] {
            assert_eq!(of(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_like_and_what_is_not() {
        let digest = |text: &str| of(text).unwrap().digest;
        let one = digest("DELETE FROM t WHERE id = 5");
        for like in ["DELETE FROM t WHERE id = 6", "DELETE  FROM t\nWHERE id=99"] {
            assert_eq!(digest(like), one, "{like}");
        }
        for other in [
            "DELETE FROM t WHERE id = '5'",
            "DELETE FROM t WHERE id = 5000000000",
            "DELETE FROM t WHERE id = -5",
            "DELETE FROM t WHERE id = NULL",
            "DELETE FROM t WHERE id = id",
            "DELETE FROM t WHERE id = 5 OR id = 6",
            "DELETE FROM t WHERE id = 5 OR true",
            "DELETE FROM t WHERE id = 5::int",
            "DELETE FROM t WHERE id = f(5)",
            "DELETE FROM t WHERE id = (SELECT 5)",
            "DELETE FROM t WHERE id IN (5)",
            "DELETE FROM t WHERE id != 5",
            "DELETE FROM t WHERE ID2 = 5",
            "DELETE FROM \"T\" WHERE id = 5",
            "DELETE FROM s.t WHERE id = 5",
            "DELETE FROM ONLY t WHERE id = 5",
            "DELETE FROM t WHERE id = 5 RETURNING *",
            "DELETE FROM t WHERE id = $1",
        ] {
            assert_ne!(digest(other), one, "{other}");
        }
        let two = "DELETE FROM t WHERE id IN (1, 2)";
        assert_ne!(digest(two), digest("DELETE FROM t WHERE id IN (1, 2, 3)"));
        assert_eq!(digest(two), digest("DELETE FROM t WHERE id IN (7, 8)"));
        let set = "UPDATE t SET a = 'x' WHERE id = 1";
        assert_ne!(digest(set), digest("UPDATE t SET a = 'x'::regclass::text WHERE id = 1"));
    }

    #[test]
    fn parameters_vary_where_literals_would() {
        let free = |text: &str| of(text).unwrap().free.into_iter().collect::<Vec<_>>();
        assert_eq!(free("UPDATE t SET a = $2 WHERE id = $1"), [1, 2]);
        assert_eq!(free("UPDATE t SET a = $2 WHERE id = $1 AND f($1) LIKE $2"), [0usize; 0]);
        assert_eq!(free("DELETE FROM t WHERE id < $1 AND b = $2"), [2]);
        assert_eq!(free("DELETE FROM t WHERE id = $1::int"), [0usize; 0]);
        assert_eq!(free("DELETE FROM t WHERE id = ANY($1)"), [0usize; 0]);
    }
}
