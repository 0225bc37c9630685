//! What a person says with a passkey (Web Authentication Level 3): to exactly what, and the proof of it
//! that stays in the journal. The cryptography is `identity`'s; what is signed is decided here, so that
//! gateway, store and auditor cannot mean different things by one signature.

use crate::digest::{Digest, Digester};
use crate::id::{BrowserSessionId, GrantId, PasskeyId, ReviewId};
use crate::pattern::Terms;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What people have to show beside their token to approve something.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum StepUp {
    /// A passkey, with user verification, for this one decision.
    Passkey,
}

/// Exactly what is consented to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "to", rename_all = "snake_case")]
pub enum Matter {
    /// That a held request runs, and where there are terms others like it.
    Review {
        /// The review.
        review: ReviewId,
        /// The request, its standing and its basis.
        digest: Digest,
        /// What was shown beside it: the rehearsal, as it stood.
        shown: Digest,
        /// For how long and how often others like it.
        pattern: Option<Terms>,
    },
    /// Access for a time.
    Grant {
        /// The request for it.
        grant: GrantId,
        /// All that is asked for.
        digest: Digest,
    },
    /// That a further passkey is this person's.
    Passkey {
        /// The browser session that registers it.
        browser: BrowserSessionId,
    },
}

/// Who consents to what, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statement<'a> {
    /// To what.
    pub matter: Matter,
    /// Who vouches for the person.
    pub issuer: &'a str,
    /// The person's subject there.
    pub subject: &'a str,
    /// Random, for this one time.
    pub nonce: &'a Digest,
}

impl Statement<'_> {
    /// The challenge a passkey signs for it: nothing else has the same one.
    #[must_use]
    pub fn challenge(&self) -> Digest {
        let digester = Digester::new("portcullis/passkey/1")
            .part(self.nonce.as_bytes())
            .part(self.issuer.as_bytes())
            .part(self.subject.as_bytes());
        match self.matter {
            Matter::Review { review, digest, shown, pattern } => {
                let terms = pattern.map_or_else(Vec::new, |terms| {
                    [terms.seconds.to_be_bytes(), terms.count.to_be_bytes()].concat()
                });
                digester
                    .part(b"approve review")
                    .part(review.to_string().as_bytes())
                    .part(digest.as_bytes())
                    .part(shown.as_bytes())
                    .part(&terms)
            }
            Matter::Grant { grant, digest } => digester
                .part(b"approve grant")
                .part(grant.to_string().as_bytes())
                .part(digest.as_bytes()),
            Matter::Passkey { browser } => {
                digester.part(b"register passkey").part(browser.to_string().as_bytes())
            }
        }
        .finish()
    }
}

/// What a reviewer is shown of a rehearsal, in one digest; `None` where there is none.
#[must_use]
pub fn shown(rehearsal: Option<&str>) -> Digest {
    let digester = Digester::new("portcullis/passkey/shown/1");
    rehearsal.map_or(digester.clone(), |text| digester.part(text.as_bytes())).finish()
}

/// The proof: what the authenticator signed, and by which key. Bytes are in base64url without padding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// The passkey.
    pub passkey: PasskeyId,
    /// The person's issuer: with the subject beside it, who has said it.
    pub issuer: String,
    /// The person's subject.
    pub subject: String,
    /// The id the authenticator knows the passkey by.
    pub credential: String,
    /// Its public key, as a `COSE_Key` (RFC 9052 §7).
    pub public_key: String,
    /// The origin of the page it was asked on.
    pub origin: String,
    /// The relying party's id.
    pub rp_id: String,
    /// What was consented to.
    pub matter: Matter,
    /// Random, for this one time.
    pub nonce: Digest,
    /// Web Authentication §6.1.
    pub authenticator_data: String,
    /// Web Authentication §5.8.1, byte for byte.
    pub client_data: String,
    /// Over both.
    pub signature: String,
}

impl Evidence {
    /// What it has to be a signature of.
    #[must_use]
    pub fn statement(&self) -> Statement<'_> {
        let Self { matter, issuer, subject, nonce, .. } = self;
        Statement { matter: *matter, issuer, subject, nonce }
    }
}

/// An assertion whose signature, origin, relying party and flags were checked, the person verified among
/// them. That it is of the person who decides, of what there is to decide now, and used for the first time
/// is for the store to find, in the transaction that decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asserted {
    evidence: Evidence,
    sign_count: u32,
}

impl Asserted {
    /// Only `identity::passkey` makes one, of what it has checked; a test lists the places.
    #[must_use]
    pub const fn checked_by_identity_assertion(evidence: Evidence, sign_count: u32) -> Self {
        Self { evidence, sign_count }
    }

    /// The proof.
    #[must_use]
    pub const fn evidence(&self) -> &Evidence {
        &self.evidence
    }

    /// The authenticator's counter (§6.1.1); 0 where it has none.
    #[must_use]
    pub const fn sign_count(&self) -> u32 {
        self.sign_count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_else_has_the_same_challenge() {
        let digest = |text: &str| Digester::new("t").part(text.as_bytes()).finish();
        let review = |id, of: &str, seen: &str, pattern| Matter::Review {
            review: ReviewId::from_bits(id),
            digest: digest(of),
            shown: digest(seen),
            pattern,
        };
        let terms = |seconds, count| Some(Terms { seconds, count });
        let matters = [
            review(1, "a", "s", None),
            review(2, "a", "s", None),
            review(1, "b", "s", None),
            review(1, "a", "t", None),
            review(1, "a", "s", terms(60, 2)),
            review(1, "a", "s", terms(2, 60)),
            Matter::Grant { grant: GrantId::from_bits(1), digest: digest("a") },
            Matter::Passkey { browser: BrowserSessionId::from_bits(1) },
        ];
        let mut all = Vec::new();
        for matter in matters {
            for (issuer, subject) in [("i", "ana"), ("ia", "na"), ("j", "ana")] {
                for nonce in [digest("1"), digest("2")] {
                    all.push(Statement { matter, issuer, subject, nonce: &nonce }.challenge());
                }
            }
        }
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
        assert_ne!(shown(None), shown(Some("")));
    }
}
