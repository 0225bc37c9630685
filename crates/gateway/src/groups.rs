//! Groups of people that are said here, beside those that providers tell of. Beside the life of a request.
//!
//! *Architecture invariant:* what gives a group takes a [`Person`], a type that no agent, no workload and
//! nobody who acts for somebody can become. So none of these is ever in one of them, whatever it is named
//! after, and whoever is written into it.

use portcullis_core::principal::{Person, Principal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Longest name of a group, and of what is said of a member, in bytes.
const LONGEST: usize = 255;

/// A group of people. Agents and workloads are never in it: theirs are said by their provider's claims, or
/// by their trust rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Group")]
pub(crate) struct GroupSettings {
    /// Its name: what policies, connections and `[administration]` call it. A group that a provider tells
    /// of may have the same: then those are in it as well.
    pub(crate) name: String,
    /// The people in it.
    #[serde(default)]
    pub(crate) members: Vec<Member>,
    /// Groups whose people are in it too: those that providers tell of, and others of these. None includes
    /// itself, not by way of others either.
    #[serde(default)]
    pub(crate) includes: BTreeSet<String>,
}

/// One person, as a provider names them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "GroupMember")]
pub(crate) struct Member {
    /// The issuer of the provider, or the entity id of one by SAML.
    pub(crate) issuer: String,
    /// The subject there: what `GET /api/v1/me` calls `subject`.
    pub(crate) subject: String,
}

impl GroupSettings {
    /// Why it makes no sense, if so; begins with the key.
    pub(crate) fn fault(&self) -> Option<String> {
        let good = |text: &str| {
            let has_end = text.trim() == text && !text.is_empty() && text.len() <= LONGEST;
            has_end && !portcullis_identity::has_invisible(text)
        };
        if !good(&self.name) {
            return Some(format!("name: it has 1 to {LONGEST} visible characters"));
        }
        if self.members.is_empty() && self.includes.is_empty() {
            return Some("members: nobody is in it: name `members` or `includes`".to_owned());
        }
        let bad = |member: &&Member| !good(&member.issuer) || !good(&member.subject);
        if self.members.iter().any(|member| bad(&member)) {
            let why = "members: `issuer` and `subject` have 1 to 255 visible characters each";
            return Some(why.to_owned());
        }
        if !self.includes.iter().all(|name| good(name)) {
            return Some("includes: a group has a name of 1 to 255 visible characters".to_owned());
        }
        None
    }
}

/// All groups there are, as they are asked.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    /// The groups each member is written into.
    members: BTreeMap<Member, BTreeSet<String>>,
    /// The groups that include this one.
    within: BTreeMap<String, BTreeSet<String>>,
}

impl Groups {
    /// # Errors
    /// Which group makes no sense, and why.
    pub(crate) fn of(settings: &[GroupSettings]) -> Result<Self, String> {
        let mut groups = Self::default();
        let mut names = BTreeSet::new();
        for GroupSettings { name, members, includes } in settings {
            if !names.insert(name.as_str()) {
                return Err(format!("groups: \"{name}\" is there twice"));
            }
            for member in members {
                groups.members.entry(member.clone()).or_default().insert(name.clone());
            }
            for included in includes {
                groups.within.entry(included.clone()).or_default().insert(name.clone());
            }
        }
        // Where two include one another, whoever leaves one would stay by way of the other.
        for group in settings {
            if groups.above([group.name.as_str()]).contains(&group.name) {
                let name = &group.name;
                return Err(format!(
                    "groups: \"{name}\": includes: it includes itself, or by others"
                ));
            }
        }
        Ok(groups)
    }

    /// The groups that include one of these, or one that does.
    fn above<'g>(&self, of: impl IntoIterator<Item = &'g str>) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut open: Vec<String> = of.into_iter().map(str::to_owned).collect();
        while let Some(name) = open.pop() {
            for above in self.within.get(&name).into_iter().flatten() {
                if found.insert(above.clone()) {
                    open.push(above.clone());
                }
            }
        }
        found
    }

    /// What is given to a person beside the groups it has from its provider.
    pub(crate) fn given(&self, person: &Person) -> BTreeSet<String> {
        let who = person.principal();
        let member = Member { issuer: who.issuer.clone(), subject: who.subject.clone() };
        let own = self.members.get(&member).cloned().unwrap_or_default();
        let above = self.above(own.iter().chain(&who.groups).map(String::as_str));
        own.into_iter().chain(above).collect()
    }

    /// A principal in all groups it is in.
    pub(crate) fn join(&self, principal: Principal) -> Principal {
        let Ok(person) = Person::new(principal.clone()) else { return principal };
        let given = self.given(&person);
        let mut principal = Principal::from(person);
        principal.groups.extend(given);
        principal
    }

    /// Whether these give somebody less than those before did. Whoever it is has what those gave already:
    /// as no group includes itself, the first that is lost is seen.
    pub(crate) fn take_from(&self, principal: &Principal, before: &Self) -> bool {
        let Ok(person) = Person::new(principal.clone()) else { return false };
        !before.given(&person).is_subset(&self.given(&person))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_core::principal::{Administrator, PrincipalKind, Reviewer};
    use portcullis_core::time::Timestamp;

    fn groups(text: &str) -> Result<Groups, String> {
        #[derive(Deserialize)]
        struct All {
            groups: Vec<GroupSettings>,
        }
        let all: All = toml::from_str(text).unwrap();
        match all.groups.iter().find_map(GroupSettings::fault) {
            Some(fault) => Err(fault),
            None => Groups::of(&all.groups),
        }
    }

    fn principal(kind: PrincipalKind, subject: &str, claims: &[&str]) -> Principal {
        Principal {
            kind,
            subject: subject.to_owned(),
            name: subject.to_owned(),
            issuer: "https://corp".to_owned(),
            acting_for: None,
            acting_for_issuer: None,
            email: None,
            groups: claims.iter().map(|&group| group.to_owned()).collect(),
            token_id: None,
            expires: Timestamp::from_micros(0),
        }
    }

    const ALL: &str = "[[groups]]\nname = \"dba\"\nincludes = [\"eng-db\"]\n\
        members = [{ issuer = \"https://corp\", subject = \"bo\" }]\n\
        [[groups]]\nname = \"admins\"\nincludes = [\"dba\"]\n";

    #[test]
    fn members_and_those_of_included_groups_are_in_it_and_namesakes_are_not() {
        let all = groups(ALL).unwrap();
        let of = |subject: &str, claims: &[&str]| {
            let joined = all.join(principal(PrincipalKind::Person, subject, claims));
            joined.groups.into_iter().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(of("bo", &[]), "admins dba");
        assert_eq!(of("mia", &["eng-db"]), "admins dba eng-db");
        assert_eq!(of("mia", &["x"]), "x");
        let elsewhere = Principal {
            issuer: "https://other".to_owned(),
            ..principal(PrincipalKind::Person, "bo", &[])
        };
        assert!(all.join(elsewhere).groups.is_empty());
    }

    #[test]
    fn no_agent_is_ever_in_one_that_gives_review_or_administration() {
        let all = groups(ALL).unwrap();
        let rights = ["admins".to_owned(), "dba".to_owned()];
        for kind in [PrincipalKind::Agent, PrincipalKind::Workload] {
            // Written into it by name, and in a group that is included.
            let joined = all.join(principal(kind, "bo", &["eng-db"]));
            assert_eq!(joined.groups, ["eng-db".to_owned()].into(), "{kind:?}");
            assert!(Reviewer::new(joined.clone()).is_err());
            assert!(Administrator::new(joined, &rights).is_err());
        }
        let acting = Principal {
            acting_for: Some("mia".to_owned()),
            ..principal(PrincipalKind::Person, "bo", &["eng-db"])
        };
        assert_eq!(all.join(acting).groups, ["eng-db".to_owned()].into());
        let person = all.join(principal(PrincipalKind::Person, "bo", &[]));
        assert!(Administrator::new(person, &rights).is_ok());
    }

    #[test]
    fn who_loses_a_group_is_found_and_who_gains_one_is_not() {
        let all = groups(ALL).unwrap();
        let bo = all.join(principal(PrincipalKind::Person, "bo", &[]));
        let mia = all.join(principal(PrincipalKind::Person, "mia", &["eng-db"]));
        let without_bo = groups(&ALL.replace("members", "#")).unwrap();
        assert!(without_bo.take_from(&bo, &all) && !without_bo.take_from(&mia, &all));
        let without_eng = groups(&ALL.replace("\"eng-db\"", "\"x\"")).unwrap();
        assert!(!without_eng.take_from(&bo, &all) && without_eng.take_from(&mia, &all));
        assert!(Groups::default().take_from(&bo, &all));
        assert!(!all.take_from(&principal(PrincipalKind::Person, "bo", &[]), &Groups::default()));
    }

    #[test]
    fn what_cannot_be_meant_is_told() {
        for (text, what) in [
            ("[[groups]]\nname = \"a\"", "nobody is in it"),
            ("[[groups]]\nname = \" \"\nincludes = [\"b\"]", "name"),
            ("[[groups]]\nname = \"a\"\nincludes = [\"a\"]", "includes itself"),
            (
                "[[groups]]\nname = \"a\"\nincludes = [\"b\"]\n[[groups]]\nname = \"b\"\nincludes = [\"a\"]",
                "includes itself",
            ),
            (
                "[[groups]]\nname = \"a\"\nincludes = [\"b\"]\n[[groups]]\nname = \"a\"\nincludes = [\"c\"]",
                "twice",
            ),
            (
                "[[groups]]\nname = \"a\"\nmembers = [{ issuer = \"\", subject = \"x\" }]",
                "visible characters",
            ),
        ] {
            let why = groups(text).unwrap_err();
            assert!(why.contains(what), "{text}: {why}");
        }
    }
}
