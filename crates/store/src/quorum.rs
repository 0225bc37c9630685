//! Who may decide, and how many have to: four eyes by person, and different people for everything that is
//! to be approved. The one home of it, for reviews and for grants.

use crate::rows::Reviewed;
use portcullis_core::principal::{Principal, reads_alike, shares_email};
use std::collections::BTreeSet;

/// Longest reason of somebody who decides, in characters.
const MAX_REASON: usize = 500;

/// One approval that is wanted: of a person in any of these groups.
pub(crate) type Seat = BTreeSet<String>;

/// Why a person's decision is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Objection {
    /// Four eyes.
    Own(&'static str),
    /// The person is in none of the groups asked.
    NotAsked(BTreeSet<String>),
    /// The person has approved already; these are still to.
    AlreadyYours(BTreeSet<String>),
    /// The person's groups have approved already; these are still to.
    NotNeeded(BTreeSet<String>),
    /// Everybody has approved.
    Approved,
}

/// True where nobody can tell that two people have said it: two issuers may know the same one.
fn could_be(one: &Reviewed, other: &Reviewed) -> bool {
    reads_alike(&one.subject, &other.subject)
        || shares_email(one.email.as_deref(), other.email.as_deref())
}

/// The approvals of so many different people: of those that could be one person's, the first.
fn of_different_people(said: &[Reviewed]) -> Vec<&Reviewed> {
    let mut different: Vec<&Reviewed> = Vec::new();
    for approval in said.iter().filter(|r| r.approved) {
        if !different.iter().any(|other| could_be(approval, other)) {
            different.push(approval);
        }
    }
    different
}

/// The seats that are left when each approval takes one and each wants a person of its own: a maximum
/// matching, so that nobody's approval is spent where another person could have stood.
pub(crate) fn unfilled<'s>(seats: &'s [Seat], said: &[Reviewed]) -> Vec<&'s Seat> {
    let approvals = of_different_people(said);
    let mut taken: Vec<Option<usize>> = vec![None; seats.len()];
    for person in 0..approvals.len() {
        let mut tried = vec![false; seats.len()];
        place(person, &approvals, seats, &mut taken, &mut tried);
    }
    seats.iter().zip(&taken).filter(|(_, by)| by.is_none()).map(|(seat, _)| seat).collect()
}

/// Finds a seat for a person, moving others where they can take another one.
fn place(
    person: usize,
    approvals: &[&Reviewed],
    seats: &[Seat],
    taken: &mut [Option<usize>],
    tried: &mut [bool],
) -> bool {
    let Some(own) = approvals.get(person).map(|approval| &approval.groups) else { return false };
    for (i, seat) in seats.iter().enumerate() {
        let fresh = tried.get_mut(i).is_some_and(|tried| !std::mem::replace(tried, true));
        if !fresh || own.is_disjoint(seat) {
            continue;
        }
        let holder = taken.get(i).copied().flatten();
        if holder.is_none_or(|other| place(other, approvals, seats, taken, tried)) {
            if let Some(taken) = taken.get_mut(i) {
                *taken = Some(person);
            }
            return true;
        }
    }
    false
}

/// All groups that seats ask.
pub(crate) fn groups_of<'s>(seats: impl IntoIterator<Item = &'s Seat>) -> BTreeSet<String> {
    seats.into_iter().flatten().cloned().collect()
}

/// The asked groups for which this person may decide on what somebody else asks.
pub(crate) fn asked_of(
    person: &Principal,
    asks: &Principal,
    groups: &BTreeSet<String>,
) -> Result<BTreeSet<String>, Objection> {
    other_person(person, asks)?;
    let own: BTreeSet<String> = groups.intersection(&person.groups).cloned().collect();
    if own.is_empty() { Err(Objection::NotAsked(groups.clone())) } else { Ok(own) }
}

/// Four eyes by person: neither who asks nor whom it acts for decides, nor whoever could be one of them. A
/// subject that reads alike at another issuer may be the same human being: four eyes do not rest on its
/// not being so.
fn other_person(reviewer: &Principal, asks: &Principal) -> Result<(), Objection> {
    if !reviewer.could_be(asks) {
        return Ok(());
    }
    let itself = reads_alike(&reviewer.subject, &asks.subject);
    Err(Objection::Own(match asks.acting_for {
        Some(_) if !itself => "this request was made on your behalf: somebody else decides it",
        _ => "this is your own request, by what is known of you: somebody else decides it",
    }))
}

/// The seats that would be left after this approval, which has to be of use.
pub(crate) fn after(
    seats: &[Seat],
    mut said: Vec<Reviewed>,
    approval: Reviewed,
) -> Result<Vec<&Seat>, Objection> {
    let before = unfilled(seats, &said);
    if before.is_empty() {
        return Err(Objection::Approved);
    }
    if said.iter().any(|other| could_be(other, &approval)) {
        return Err(Objection::AlreadyYours(groups_of(before)));
    }
    said.push(approval);
    let after = unfilled(seats, &said);
    if after.len() == before.len() {
        return Err(Objection::NotNeeded(groups_of(before)));
    }
    Ok(after)
}

/// One line of plain text: it reaches callers and terminals.
pub(crate) fn plain(reason: &str) -> String {
    let visible = |c: char| if c.is_control() { ' ' } else { c };
    reason.trim().chars().take(MAX_REASON).map(visible).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_core::time::Timestamp;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|n| (*n).to_owned()).collect()
    }

    fn by(subject: &str, of: &[&str]) -> Reviewed {
        Reviewed {
            approved: true,
            issuer: String::new(),
            subject: subject.to_owned(),
            name: String::new(),
            email: None,
            groups: set(of),
            reason: String::new(),
            at: Timestamp::from_micros(0),
            pattern: None,
        }
    }

    fn check(seats: &[&[&str]], persons: &[&[&str]], expect: &[&[&str]]) {
        let said: Vec<_> =
            persons.iter().enumerate().map(|(n, of)| by(&format!("p{n}"), of)).collect();
        let seats: Vec<Seat> = seats.iter().map(|names| set(names)).collect();
        let left: Vec<Seat> = unfilled(&seats, &said).into_iter().cloned().collect();
        let expect: Vec<Seat> = expect.iter().map(|names| set(names)).collect();
        assert_eq!(left, expect, "{seats:?} {persons:?}");
    }

    #[test]
    fn each_group_wants_a_person_of_its_own() {
        check(&[&["a"]], &[], &[&["a"]]);
        check(&[&["a"]], &[&["a"]], &[]);
        check(&[&["a"], &["b"]], &[&["a", "b"]], &[&["b"]]);
        check(&[&["a"], &["b"]], &[&["a", "b"], &["a", "b"]], &[]);
        // The first steps aside for one who can stand for `a` only.
        check(&[&["a"], &["b"]], &[&["a", "b"], &["a"]], &[]);
        check(&[&["a"], &["b"]], &[&["a"], &["a"]], &[&["b"]]);
        check(&[&["a"], &["b"], &["c"]], &[&["a", "b"], &["b", "c"], &["a"]], &[]);
        check(&[&["a"], &["b"], &["c"]], &[&["a", "b"], &["a", "b"], &["a", "b"]], &[&["c"]]);
    }

    #[test]
    fn several_of_one_group_are_several_people() {
        check(&[&["a"], &["a"]], &[&["a"]], &[&["a"]]);
        check(&[&["a"], &["a"]], &[&["a"], &["a"]], &[]);
        // A second group that is asked as well counts as the first.
        check(&[&["a", "b"], &["a", "b"]], &[&["b"], &["a"]], &[]);
        check(&[&["a", "b"], &["a", "b"]], &[&["c"], &["a"]], &[&["a", "b"]]);
    }

    /// Of whatever issuers: those who cannot be told apart are one.
    #[test]
    fn who_could_be_one_person_takes_one_seat() {
        let seats = vec![set(&["a"]); 2];
        let known = |subject: &str, email: &str| Reviewed {
            email: Some(email.to_owned()),
            ..by(subject, &["a"])
        };
        let elsewhere = Reviewed { issuer: "https://other".to_owned(), ..by("BO", &["a"]) };
        for (one, other, left) in [
            (by("bo", &["a"]), by("mia", &["a"]), 0),
            (by("bo", &["a"]), elsewhere, 1),
            (known("bo", "bo@x"), known("b.o", "Bo@x"), 1),
            (known("bo", "bo@x"), known("mia", "mia@x"), 0),
            (known("bo", "bo@x"), by("mia", &["a"]), 0),
        ] {
            let said = [one.clone(), other.clone()];
            assert_eq!(unfilled(&seats, &said).len(), left, "{said:?}");
            let second = after(&seats, vec![one], other);
            let refused = matches!(second, Err(Objection::AlreadyYours(_)));
            assert_eq!(refused, left == 1, "{second:?}");
        }
    }

    #[test]
    fn a_reason_is_one_plain_line() {
        assert_eq!(plain(" no\n\u{1b}[31mred "), "no  [31mred");
        assert_eq!(plain(&"x".repeat(900)).len(), MAX_REASON);
    }
}
