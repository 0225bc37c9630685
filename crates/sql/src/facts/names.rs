//! Small readers of tree nodes: names, literals, options.

use pg_query::NodeEnum;
use pg_query::protobuf::{DefElem, Node, TypeName, a_const};

/// The strings of a list of name parts; `None` where any of them is something else.
pub(super) fn strings(nodes: &[Node]) -> Option<Vec<&str>> {
    nodes.iter().map(string).collect()
}

/// A bare name.
pub(super) fn string(node: &Node) -> Option<&str> {
    match node.node.as_ref()? {
        NodeEnum::String(s) => Some(&s.sval),
        _ => None,
    }
}

/// The text of a string literal.
pub(super) fn literal(node: &Node) -> Option<&str> {
    match node.node.as_ref()? {
        NodeEnum::AConst(c) => match c.val.as_ref()? {
            a_const::Val::Sval(s) if !c.isnull => Some(&s.sval),
            _ => None,
        },
        _ => None,
    }
}

/// The number of a parameter, as it is or as a text.
pub(super) fn parameter(node: &Node) -> Option<u16> {
    match node.node.as_ref()? {
        NodeEnum::ParamRef(parameter) => u16::try_from(parameter.number).ok(),
        NodeEnum::TypeCast(cast) => {
            let name = cast.type_name.as_ref()?;
            let text = matches!(type_name(name)?, (None | Some("pg_catalog"), "text" | "varchar"));
            let whole = name.typmods.is_empty() && name.array_bounds.is_empty() && !name.setof;
            (text && whole).then(|| parameter(cast.arg.as_deref()?)).flatten()
        }
        _ => None,
    }
}

/// The value of a literal of any kind, as it is written.
pub(super) fn literal_text(node: &Node) -> Option<String> {
    match node.node.as_ref()? {
        NodeEnum::AConst(c) => match c.val.as_ref()? {
            a_const::Val::Sval(s) => Some(s.sval.clone()),
            a_const::Val::Ival(i) => Some(i.ival.to_string()),
            a_const::Val::Fval(f) => Some(f.fval.clone()),
            a_const::Val::Boolval(b) => Some(b.boolval.to_string()),
            a_const::Val::Bsval(_) => None,
        },
        _ => None,
    }
}

/// The option in a list of options.
pub(super) fn option(node: &Node) -> Option<&DefElem> {
    match node.node.as_ref()? {
        NodeEnum::DefElem(option) => Some(option),
        _ => None,
    }
}

/// The value of an option as text; `None` where it has none or it is no word or number.
pub(super) fn option_text(option: &DefElem) -> Option<String> {
    match option.arg.as_deref()?.node.as_ref()? {
        NodeEnum::String(s) => Some(s.sval.clone()),
        NodeEnum::Boolean(b) => Some(b.boolval.to_string()),
        NodeEnum::Integer(i) => Some(i.ival.to_string()),
        NodeEnum::Float(f) => Some(f.fval.clone()),
        NodeEnum::TypeName(t) => type_name(t).map(|(_, name)| name.to_owned()),
        _ => None,
    }
}

/// Schema (if written) and name of a type.
pub(super) fn type_name(name: &TypeName) -> Option<(Option<&str>, &str)> {
    split(&strings(&name.names)?)
}

/// Schema (if written) and name out of name parts; a database in front is left out.
pub(super) fn split<'a>(parts: &[&'a str]) -> Option<(Option<&'a str>, &'a str)> {
    match parts {
        [name] => Some((None, name)),
        [schema, name] | [_, schema, name] => Some((Some(schema), name)),
        _ => None,
    }
}
