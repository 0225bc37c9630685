//! The objects that policies name: paths that there can be none of are mistakes, which would leave a
//! forbid without effect. Before any session.

use crate::load::{Policies, Problem};
use cedar_policy::{EntityUid, Policy};

/// An object that a policy names, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedObject {
    /// Its type in the schema (`Relation`).
    pub kind: String,
    /// Its path as it is written, outermost first: connection, database at the target, schema and so on;
    /// of an environment its name.
    pub path: Vec<String>,
    /// The policy, with nothing said of it.
    pub place: Problem,
}

/// Types of whose path every part has its meaning, with what it is made of.
const PATHS: [(&str, &str); 5] = [
    ("Connection", "connection"),
    ("Database", "connection/database"),
    ("Schema", "connection/database/schema"),
    ("Relation", "connection/database/schema/relation"),
    ("Column", "connection/database/schema/relation/column"),
];

fn parts(uid: &EntityUid) -> Vec<String> {
    let id = uid.id().unescaped();
    id.split('/').map(|part| part.replace("%2F", "/").replace("%25", "%")).collect()
}

/// What is wrong with an object that a policy names, if anything is.
pub(crate) fn misnamed(policy: &Policy) -> Option<String> {
    policy.entity_literals().iter().find_map(|uid| {
        let kind = uid.type_name().to_string();
        let (_, path) = PATHS.iter().find(|(known, _)| *known == kind)?;
        let (wanted, has) = (path.split('/').count(), parts(uid).len());
        (wanted != has).then(|| {
            format!(
                "{uid} names nothing: the id of a {} is its path, {path}, which has {wanted} \
                 part{}, not {has}",
                kind.to_lowercase(),
                if wanted == 1 { "" } else { "s" },
            )
        })
    })
}

impl Policies {
    /// The objects and environments that policies of files name. Names in them need not exist.
    pub fn objects(&self) -> impl Iterator<Item = NamedObject> {
        self.rules.iter().filter(|rule| !rule.of_pack).flat_map(|rule| {
            let place = rule.place();
            rule.policy.entity_literals().into_iter().filter_map(move |uid| {
                let kind = uid.type_name().to_string();
                let object = kind == "Environment" || PATHS.iter().any(|(known, _)| *known == kind);
                let path = if kind == "Environment" {
                    vec![uid.id().unescaped().to_owned()]
                } else {
                    parts(&uid)
                };
                object.then(|| NamedObject { kind, path, place: place.clone() })
            })
        })
    }
}
