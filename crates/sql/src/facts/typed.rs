//! What type an expression certainly has, and of which types values may fail where they are only
//! carried: by being compared with each other, converted to a common type, or written in a form that
//! not every value has. Beside conditions.

use super::Analyzer;
use super::conditions::{JSONB, MAX_CARRIED};
use super::names::{split, strings, type_name};
use super::scope::{Shape, join, of_column};
use crate::catalog::{Catalog, FIRST_USER_OID};
use pg_query::NodeEnum;
use pg_query::protobuf::{AExprKind, CaseExpr, Node, SqlValueFunctionOp};
use portcullis_core::built_in::element_of;
use portcullis_core::mask::{Origin, UserType};

/// The types `text`, `bigint` and `integer`.
const TEXT: u32 = 25;
const BIGINT: u32 = 20;
const INTEGER: u32 = 23;

/// The types `date`, `timestamp` and `timestamptz`.
const DATE: u32 = 1082;
const TIMESTAMP: u32 = 1114;
const TIMESTAMPTZ: u32 = 1184;

/// The type `json`: a document of it need be none of `jsonb` (`\u0000`, large exponents).
const JSON: u32 = 114;

/// `date`, `timestamp` and `timestamptz`: there is no writing a day that never comes in XML.
const MOMENTS: [u32; 3] = [DATE, TIMESTAMP, TIMESTAMPTZ];

/// Types of which not every value is one of any other that it is converted to unasked: `bigint` (to
/// `oid`), `numeric` (to `double precision`), `date`, `timestamp`, `macaddr8`.
const NARROWED: [u32; 5] = [20, 1700, 1082, 1114, 774];

/// Types that functions of texts take whatever they hold: `bytea`, `"char"`, `name`, `text`, `bpchar`,
/// `varchar`, `bit`, `varbit`, `tsvector`.
const TEXTS: [u32; 9] = [17, 18, 19, 25, 1042, 1043, 1560, 1562, 3614];

/// Types of the server's own of which any two values can be compared.
const ORDERED: [u32; 34] = [
    16, 17, 18, 19, 20, 21, 23, 25, 26, 27, 650, 700, 701, 774, 790, 829, 869, 1042, 1043, 1082,
    1083, 1114, 1184, 1186, 1266, 1560, 1562, 1700, 2950, 3220, 3614, 3802, 5069, 28,
];

/// What is known of the type of an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Typed {
    /// A literal: it becomes whatever the others are, and fails by itself or not at all.
    Literal,
    /// It is this.
    Of(u32),
}

impl Analyzer<'_> {
    /// Values that become of one type: those that may be converted decide.
    pub(super) fn decide_common(&mut self, nodes: &[&Node], origin: &Origin) {
        if self.common(nodes.iter().copied(), MAX_CARRIED).is_none() {
            self.decide_such(origin, |t| NARROWED.contains(&t));
        }
    }

    /// Rows of two queries, or of `VALUES`, whose columns become of one type each: those that may be
    /// converted decide. Of what has no columns that are known, all may be.
    pub(super) fn decide_united(&mut self, left: &Shape, right: &Shape) {
        let narrowed = |t| NARROWED.contains(&t);
        let (Some(mine), Some(other)) = (&left.columns, &right.columns) else {
            self.decide_such(&join(left.whole(), &right.whole()), narrowed);
            return;
        };
        for (one, other) in mine.iter().zip(other) {
            if common_of(one.typed, other.typed).is_none() {
                self.decide_such(&one.origin, narrowed);
                self.decide_such(&other.origin, narrowed);
            }
        }
    }

    /// What is known of the type of an expression.
    pub(super) fn typed(&self, node: &Node) -> Option<Typed> {
        self.known_type(node, MAX_CARRIED)
    }

    /// `CASE`: its results become of one type.
    pub(super) fn decide_results(&mut self, e: &CaseExpr, origin: &Origin) {
        self.decide_common(&results(e), origin);
    }

    /// A call of a function that carries values of some types and not of others.
    pub(super) fn decide_types(&mut self, name: &str, args: &[Node], origin: &Origin) {
        // What is called on a row has no list of arguments.
        let known = |such: &dyn Fn(u32) -> bool| {
            !args.is_empty() && args.iter().all(|arg| self.is_known_as(arg, such))
        };
        match name {
            "min" | "max" if !args.is_empty() && args.iter().all(|arg| self.is_ordered(arg)) => {}
            "min" | "max" => self.decide(origin),
            "to_jsonb" | "jsonb_agg" | "jsonb_build_object" | "jsonb_build_array"
            | "jsonb_object_agg"
                if known(&|t| !holds(self.catalog, t, MAX_CARRIED, &|t| t == JSON)) => {}
            "to_jsonb" | "jsonb_agg" | "jsonb_build_object" | "jsonb_build_array"
            | "jsonb_object_agg" => self.decide_jsonb(origin),
            "length" | "upper" | "lower" | "initcap" | "reverse" | "char_length"
            | "character_length" | "octet_length" | "bit_length" | "md5" | "left" | "right"
            | "btrim" | "ltrim" | "rtrim" | "translate" | "replace" | "substr" | "substring" => {
                // What follows the first are small literals.
                let first = args.get(..1).unwrap_or_default();
                let text = first.iter().all(|arg| self.is_known_as(arg, &|t| t == TEXT));
                if first.is_empty() || !text {
                    let catalog = self.catalog;
                    self.decide_such(origin, |t| !is_like_text(catalog, t));
                }
            }
            _ => {}
        }
    }

    /// What is made `jsonb`: not every document of the other type is one.
    pub(super) fn decide_jsonb(&mut self, origin: &Origin) {
        self.decide_such(origin, |t| t == JSON);
    }

    /// What is written in XML.
    pub(super) fn decide_moments(&mut self, origin: &Origin) {
        self.decide_such(origin, |t| MOMENTS.contains(&t));
    }

    /// Those columns decide that are of such a type, or have it in their rows, lists or domains.
    fn decide_such(&mut self, origin: &Origin, such: impl Fn(u32) -> bool) {
        let Origin::Columns(columns) = origin else { return };
        let catalog = self.catalog;
        let is_such = |type_oid| holds(catalog, type_oid, MAX_CARRIED, &such);
        for column in columns {
            if column.column != 0 {
                if catalog.type_of(column).is_some_and(is_such) {
                    self.decide(&of_column(column.relation, column.column));
                }
                continue;
            }
            // A row may stand for any of its fields.
            let fields = catalog.relation(column.relation).map(|r| r.columns.as_slice());
            for field in fields.unwrap_or_default().iter().filter(|f| is_such(f.type_oid)) {
                self.decide(&of_column(column.relation, field.number));
            }
        }
    }

    /// True where any two values of the expression can be compared: it is a literal or a column of a
    /// type of which that is so, or made of such in a way that leaves them what they are.
    fn is_ordered(&self, node: &Node) -> bool {
        let ordered = |t| is_ordered(self.catalog, t, MAX_CARRIED);
        if let Some(own) = self.stored_by_server(node) {
            let mut columns = own.relation.columns.iter();
            return columns.any(|c| *c.name == *own.column && ordered(c.type_oid));
        }
        match self.known_type(node, MAX_CARRIED) {
            Some(Typed::Literal) => true,
            Some(Typed::Of(type_oid)) => ordered(type_oid),
            None => self.column_types(node).is_some_and(|all| all.into_iter().all(ordered)),
        }
    }

    /// True for a literal, and for what is certainly of such a type.
    fn is_known_as(&self, node: &Node, such: &dyn Fn(u32) -> bool) -> bool {
        match self.known_type(node, MAX_CARRIED) {
            Some(Typed::Literal) => true,
            Some(Typed::Of(type_oid)) => such(type_oid),
            None => false,
        }
    }

    /// The type that all of them have; `None` where it is not known, or they have several.
    fn common<'n>(&self, mut nodes: impl Iterator<Item = &'n Node>, depth: usize) -> Option<Typed> {
        nodes.try_fold(Typed::Literal, |all, node| {
            common_of(Some(all), Some(self.known_type(node, depth)?))
        })
    }

    fn known_type(&self, node: &Node, depth: usize) -> Option<Typed> {
        let depth = depth.checked_sub(1)?;
        match node.node.as_ref()? {
            NodeEnum::AConst(_) => Some(Typed::Literal),
            NodeEnum::ColumnRef(_) => {
                let Some(types) = self.column_types(node) else { return self.typed_column(node) };
                let mut types = types.into_iter();
                let first = types.next()?;
                types.all(|other| other == first).then_some(Typed::Of(first))
            }
            NodeEnum::SqlvalueFunction(e) => match SqlValueFunctionOp::try_from(e.op).ok()? {
                SqlValueFunctionOp::SvfopCurrentDate => Some(Typed::Of(DATE)),
                SqlValueFunctionOp::SvfopCurrentTimestamp => Some(Typed::Of(TIMESTAMPTZ)),
                SqlValueFunctionOp::SvfopLocaltimestamp => Some(Typed::Of(TIMESTAMP)),
                _ => None,
            },
            NodeEnum::CollateClause(e) => self.known_type(e.arg.as_deref()?, depth),
            NodeEnum::CoalesceExpr(e) => self.common(e.args.iter(), depth),
            NodeEnum::CaseExpr(e) => self.common(results(e).into_iter(), depth),
            NodeEnum::TypeCast(e) => {
                let name = e.type_name.as_ref()?;
                if self.is_text(name) {
                    return Some(Typed::Of(TEXT));
                }
                let whole = name.array_bounds.is_empty() && !name.setof;
                let (schema, name) = type_name(name).filter(|_| whole)?;
                let server = match schema {
                    Some(schema) => schema == "pg_catalog",
                    None => self.means_server_type(name),
                };
                let mut found = self.catalog.types_named(name).iter();
                let found = found.find(|t| server && t.oid < FIRST_USER_OID)?;
                Some(Typed::Of(found.oid))
            }
            NodeEnum::AExpr(e) => {
                let concat =
                    matches!(strings(&e.name).as_deref(), Some(["||"] | ["pg_catalog", "||"]));
                let kind = e.kind == AExprKind::AexprOp as i32;
                let (left, right) = (e.lexpr.as_deref()?, e.rexpr.as_deref()?);
                let sides = [self.known_type(left, depth)?, self.known_type(right, depth)?];
                let text = |t: &u32| matches!(*t, TEXT | 1042 | 1043);
                let text = sides.iter().any(|s| matches!(s, Typed::Of(t) if text(t)));
                // A list takes a text as one more in it.
                let single = sides.iter().all(|side| match side {
                    Typed::Literal => true,
                    Typed::Of(t) => TEXTS.contains(t) || ORDERED.contains(t) && *t != 3802,
                });
                (concat && kind && text && single).then_some(Typed::Of(TEXT))
            }
            NodeEnum::FuncCall(e) => {
                let names = strings(&e.funcname)?;
                let (schema, name) = split(&names)?;
                let of_server = schema.is_none_or(|s| s == "pg_catalog")
                    && self.catalog.functions_named(None, name).is_empty();
                of_server.then(|| self.type_of_call(name, &e.args, depth)).flatten()
            }
            _ => None,
        }
    }

    /// What a function of the server's own gives.
    fn type_of_call(&self, name: &str, args: &[Node], depth: usize) -> Option<Typed> {
        match name {
            "min" | "max" | "any_value" | "first_value" | "last_value" => {
                self.known_type(args.first()?, depth)
            }
            // With an encoding, a number or a default in places behind.
            "lag" | "lead" | "nth_value" => {
                (args.len() < 3).then(|| self.known_type(args.first()?, depth)).flatten()
            }
            "count" => Some(Typed::Of(BIGINT)),
            "now" => Some(Typed::Of(TIMESTAMPTZ)),
            "length" | "char_length" | "character_length" | "octet_length" | "bit_length" => {
                Some(Typed::Of(INTEGER))
            }
            "concat" | "concat_ws" | "format" | "quote_literal" | "quote_nullable"
            | "quote_ident" | "md5" | "initcap" | "translate" | "replace" | "string_agg"
            | "array_to_string" => Some(Typed::Of(TEXT)),
            "json_agg" | "json_object_agg" | "json_build_object" | "json_build_array"
            | "to_json" | "row_to_json" | "array_to_json" => Some(Typed::Of(JSON)),
            "jsonb_agg" | "jsonb_object_agg" | "jsonb_build_object" | "jsonb_build_array"
            | "to_jsonb" => Some(Typed::Of(JSONB)),
            // Of others they give others.
            "upper" | "lower" | "reverse" | "left" | "right" | "btrim" | "ltrim" | "rtrim"
            | "substr" | "substring" => {
                let text = matches!(
                    self.known_type(args.first()?, depth)?,
                    Typed::Literal | Typed::Of(TEXT | 1042 | 1043 | 19)
                );
                text.then_some(Typed::Of(TEXT))
            }
            _ => None,
        }
    }
}

/// The type that both have; `None` where it is not known, or they have two.
pub(super) fn common_of(one: Option<Typed>, other: Option<Typed>) -> Option<Typed> {
    match (one?, other?) {
        (same, Typed::Literal) | (Typed::Literal, same) => Some(same),
        (Typed::Of(a), Typed::Of(b)) => (a == b).then_some(Typed::Of(a)),
    }
}

/// The results of a `CASE`.
fn results(e: &CaseExpr) -> Vec<&Node> {
    let given = e.args.iter().filter_map(|node| match node.node.as_ref() {
        Some(NodeEnum::CaseWhen(when)) => when.result.as_deref(),
        _ => None,
    });
    given.chain(e.defresult.as_deref()).collect()
}

/// True for such a type, and for rows, lists, ranges and domains of such.
fn holds(catalog: &Catalog, type_oid: u32, depth: usize, such: &dyn Fn(u32) -> bool) -> bool {
    let Some(depth) = depth.checked_sub(1) else { return true };
    let inner = |t: u32| holds(catalog, t, depth, such);
    match catalog.type_map().get(type_oid) {
        Some(UserType::Domain { base: of, .. } | UserType::Array(of) | UserType::Range(of)) => {
            inner(*of)
        }
        Some(UserType::Composite(fields)) => fields.iter().any(|field| inner(*field)),
        Some(_) => false,
        None => such(type_oid) || element_of(type_oid).is_some_and(such),
    }
}

/// True for a type that functions of texts take as one, and for those that are not known: functions of
/// extensions stand for these.
fn is_like_text(catalog: &Catalog, type_oid: u32) -> bool {
    TEXTS.contains(&type_oid)
        || type_oid >= FIRST_USER_OID && catalog.type_map().get(type_oid).is_none()
}

/// True for a type of which any two values can be compared.
fn is_ordered(catalog: &Catalog, type_oid: u32, depth: usize) -> bool {
    let Some(depth) = depth.checked_sub(1) else { return false };
    match catalog.type_map().get(type_oid) {
        Some(UserType::Domain { base: of, .. } | UserType::Array(of)) => {
            is_ordered(catalog, *of, depth)
        }
        Some(UserType::Enum(_) | UserType::Text) => true,
        Some(_) => false,
        None => ORDERED.contains(&element_of(type_oid).unwrap_or(type_oid)),
    }
}
