//! The part of `portcullis audit verify` that is about people's passkeys: each signature in the journal is
//! checked again, with nothing but the journal. It has to be of the very decision it stands beside, by the
//! person who is said to have made it, and by the key that was registered.

use portcullis_core::id::PasskeyId;
use portcullis_core::journal::Event;
use portcullis_core::passkey::{Evidence, Matter};
use portcullis_identity::passkey::verify_evidence;
use portcullis_ledger::read::entries;
use portcullis_ledger::verify::{Finding, Problem};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// A key, and whose it is by issuer and subject.
struct Registered {
    public_key: String,
    of: (String, String),
}

/// How many signatures there are, all of them right.
///
/// # Errors
/// [`Finding`]: the first that is not.
pub(super) fn verified(directory: &Path) -> Result<u64, Finding> {
    let finding = |sequence, detail: String| Finding {
        problem: Problem::BadSignature,
        sequence,
        file: PathBuf::from("journal"),
        line: None,
        detail,
    };
    let unreadable = |error: portcullis_ledger::read::ReadError| Finding {
        problem: Problem::Unreadable,
        ..finding(None, error.to_string())
    };
    let mut known = HashMap::new();
    let mut count = 0;
    for entry in entries(directory).map_err(unreadable)? {
        let (sequence, entry) = entry.map_err(unreadable)?;
        match proven(&entry.event, &mut known) {
            Ok(false) => {}
            Ok(true) => count += 1,
            Err(why) => return Err(finding(Some(sequence), why)),
        }
    }
    Ok(count)
}

/// True where an entry is proven by a signature, which is right.
fn proven(event: &Event, known: &mut HashMap<PasskeyId, Registered>) -> Result<bool, String> {
    let evidence = match event {
        Event::Decided {
            passkey: Some(evidence), review, digest, decision, by, pattern, ..
        } => {
            let fits = |matter: &Matter| {
                matches!(matter, Matter::Review { review: r, digest: d, pattern: p, .. }
                    if (r, d, p) == (review, digest, pattern))
            };
            let what = format!("the approval of {review} by {by}");
            beside(
                evidence,
                &what,
                (decision == "approved", by.issuer.as_deref(), &by.subject),
                fits,
            )?;
            evidence
        }
        Event::AccessDecided { passkey: Some(evidence), grant, digest, decision, by, .. } => {
            let fits = |matter: &Matter| matches!(matter, Matter::Grant { grant: g, digest: d } if (g, d) == (grant, digest));
            let what = format!("the approval of {grant} by {}", by.subject);
            let of = (decision == "approved", Some(&*by.issuer), &*by.subject);
            beside(evidence, &what, of, fits)?;
            evidence
        }
        Event::PasskeyRegistered { passkey, principal, public_key, browser, by, .. } => {
            let of = (principal.issuer.clone(), principal.subject.clone());
            if let Some(evidence) = by {
                let fits = |matter: &Matter| *matter == Matter::Passkey { browser: *browser };
                let what = format!("the registration of {passkey}");
                beside(evidence, &what, (true, Some(&of.0), &of.1), fits)?;
                checked(evidence, known)?;
            }
            known.insert(*passkey, Registered { public_key: public_key.clone(), of });
            return Ok(by.is_some());
        }
        _ => return Ok(false),
    };
    checked(evidence, known)?;
    Ok(true)
}

/// That a signature is of what it stands beside.
fn beside(
    evidence: &Evidence,
    what: &str,
    (approves, issuer, subject): (bool, Option<&str>, &str),
    fits: impl Fn(&Matter) -> bool,
) -> Result<(), String> {
    let own = evidence.subject == subject && issuer.is_none_or(|issuer| evidence.issuer == issuer);
    if approves && own && fits(&evidence.matter) {
        return Ok(());
    }
    Err(format!("{what} has a passkey's signature of something else, or of somebody else"))
}

/// That a signature is right, and by the key that was registered. Where that was at another gateway of a
/// fleet, its journal has it.
fn checked(evidence: &Evidence, known: &HashMap<PasskeyId, Registered>) -> Result<(), String> {
    let passkey = evidence.passkey;
    if let Some(registered) = known.get(&passkey) {
        let of = (evidence.issuer.as_str(), evidence.subject.as_str());
        if registered.public_key != evidence.public_key
            || (registered.of.0.as_str(), registered.of.1.as_str()) != of
        {
            return Err(format!("{passkey} was registered with another key, or for somebody else"));
        }
    }
    verify_evidence(evidence).map(drop).map_err(|why| format!("by {passkey}: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_core::digest::{Digest, Digester};
    use portcullis_core::id::ReviewId;
    use portcullis_core::passkey::Statement;
    use portcullis_core::pattern::Terms;
    use portcullis_core::principal::By;
    use portcullis_identity::passkey::{Known, Site, encoded, verify};
    use portcullis_testkit::authenticator::Authenticator;

    fn digest(text: &str) -> Digest {
        Digester::new("test").part(text.as_bytes()).finish()
    }

    fn signed(own: &Authenticator) -> Evidence {
        let site = Site { origin: "https://p.example", rp_id: "p.example" };
        let (nonce, shown) = (digest("nonce"), digest("shown"));
        let review = ReviewId::from_bits(1);
        let matter = Matter::Review { review, digest: digest("a"), shown, pattern: None };
        let statement = Statement { matter, issuer: "https://idp", subject: "bo", nonce: &nonce };
        let assertion = own.sign(&encoded(statement.challenge().as_bytes())).unwrap();
        let assertion = serde_json::from_value(assertion).unwrap();
        let public_key = own.public_key();
        let known = Known { passkey: PasskeyId::from_bits(1), public_key: &public_key };
        verify(&site, &statement, known, &assertion).unwrap().evidence().clone()
    }

    fn decided(evidence: Evidence) -> serde_json::Value {
        let event = Event::Decided {
            review: ReviewId::from_bits(1),
            digest: digest("a"),
            by: By { subject: "bo".to_owned(), issuer: Some("https://idp".to_owned()) },
            groups: std::collections::BTreeSet::new(),
            decision: "approved".to_owned(),
            reason: None,
            pattern: None,
            passkey: Some(Box::new(evidence)),
            via: None,
        };
        serde_json::to_value(event).unwrap()
    }

    #[test]
    fn a_signature_of_something_else_is_named() {
        let own = Authenticator::new("https://p.example", "p.example").unwrap();
        let right = decided(signed(&own));
        let look = |event: &serde_json::Value, known: &mut HashMap<_, _>| {
            proven(&serde_json::from_value(event.clone()).unwrap(), known)
        };
        assert_eq!(look(&right, &mut HashMap::new()), Ok(true));
        let terms = serde_json::to_value(Terms { seconds: 60, count: 2 }).unwrap();
        let other = ReviewId::from_bits(2).to_string();
        for (pointer, value, why) in [
            ("/by/subject", "ana".into(), "of something else, or of somebody else"),
            ("/by/issuer", "https://other".into(), "of something else, or of somebody else"),
            ("/digest", digest("b").to_string().into(), "of something else"),
            ("/review", other.into(), "of something else"),
            ("/decision", "rejected".into(), "of something else"),
            ("/pattern", terms, "of something else"),
            ("/passkey/nonce", digest("x").to_string().into(), "signed something else"),
            ("/passkey/signature", "AAAA".into(), "signature is not right"),
        ] {
            let mut edited = right.clone();
            let (above, name) = pointer.rsplit_once('/').unwrap();
            edited.pointer_mut(above).unwrap()[name] = value;
            let found = look(&edited, &mut HashMap::new()).unwrap_err();
            assert!(found.contains(why), "{pointer}: {found}");
        }
        // The key of somebody else, or another key.
        for (public_key, subject, is_right) in [
            (encoded(&own.public_key()), "bo", true),
            (encoded(&own.public_key()), "ana", false),
            ("AAAA".to_owned(), "bo", false),
        ] {
            let of = ("https://idp".to_owned(), subject.to_owned());
            let known = Registered { public_key, of };
            let found = look(&right, &mut HashMap::from([(PasskeyId::from_bits(1), known)]));
            assert_eq!(found.is_ok(), is_right, "{found:?}");
        }
    }
}
