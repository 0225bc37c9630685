//! The proof that a request was judged and recorded, and what is left of it once it was sent.

use crate::access::Clear;
use crate::digest::Digest;
use crate::id::RequestId;
use crate::journal::Receipt;
use crate::limits::Limits;
use crate::mask::MaskFailure;
use crate::masked::{Masked, Raw};
use crate::protocol::{Masker, Protocol, Request as _};
use crate::verdict::Obligations;
use std::sync::Arc;

/// A judged, recorded request. A [`crate::link::Link`] accepts nothing else from a caller.
///
/// It is made in one place, the gate, in the `Ok` arm of the journal's append. It cannot be made
/// elsewhere, cloned, or spent twice: sending takes it by value.
#[must_use = "a permit that is not sent leaves a request recorded and never run"]
pub struct Permit<P: Protocol> {
    request: P::Request,
    obligations: Obligations,
    clear: Clear,
    receipt: Receipt,
    id: RequestId,
}

impl<P: Protocol> Permit<P> {
    pub(crate) fn issue(
        request: P::Request,
        (obligations, clear): (Obligations, Clear),
        receipt: Receipt,
        id: RequestId,
    ) -> Self {
        Self { request, obligations, clear, receipt, id }
    }

    /// That nothing was in the way: no freeze, no want of a grant.
    pub(crate) const fn clear(&self) -> Clear {
        self.clear
    }

    /// The request's id in the journal.
    #[must_use]
    pub const fn id(&self) -> RequestId {
        self.id
    }

    /// What was judged.
    #[must_use]
    pub const fn request(&self) -> &P::Request {
        &self.request
    }

    /// The rules that permitted it.
    #[must_use]
    pub fn rules(&self) -> &[String] {
        &self.obligations.rules
    }

    /// What the request and its answer may not go beyond.
    #[must_use]
    pub const fn limits(&self) -> Option<&Arc<Limits>> {
        self.obligations.limits.as_ref()
    }

    pub(crate) fn depart(self) -> (P::Request, InFlight<P>) {
        let masker = P::masker(&self.request, &self.obligations);
        let (receipt, id) = (Some(self.receipt), Some(self.id));
        (self.request, InFlight { masker, receipt, id, clear: Some(self.clear) })
    }
}

/// A judged, recorded request that may be run before people have decided on it, because what it
/// changes can be undone. A link takes it as a rehearsal and as nothing else: what it changes is
/// kept, and its answer passed on, under a [`Permit`] for the same request alone.
///
/// Made in one place, the gate, as a permit is.
#[must_use = "a rehearsal that is not run leaves a request recorded and never run"]
pub struct RehearsalPermit<P: Protocol> {
    permit: Permit<P>,
}

impl<P: Protocol> RehearsalPermit<P> {
    pub(crate) fn issue(
        request: P::Request,
        (obligations, clear): (Obligations, Clear),
        receipt: Receipt,
        id: RequestId,
    ) -> Self {
        Self { permit: Permit { request, obligations, clear, receipt, id } }
    }

    /// The rehearsal's own id in the journal.
    #[must_use]
    pub const fn id(&self) -> RequestId {
        self.permit.id
    }

    pub(crate) fn depart(self) -> (P::Request, Rehearsing<P>) {
        let bytes = self.permit.request.wire_bytes().into();
        let digest = self.permit.request.digest();
        let (request, flight) = self.permit.depart();
        (request, Rehearsing { flight, digest, bytes, answers: Vec::new(), kept: 0 })
    }
}

/// Most bytes of an answer that are kept until people have decided: 512 KiB.
const MAX_WITHHELD: usize = 512 << 10;

/// A rehearsal on its way. What the target answers goes in and does not come out: it is kept, raw,
/// for the one permit that may send the same request.
#[must_use = "a rehearsal has to be rolled back, or kept under a permit"]
pub struct Rehearsing<P: Protocol> {
    flight: InFlight<P>,
    digest: Digest,
    bytes: Box<[u8]>,
    answers: Vec<P::Answer>,
    kept: usize,
}

impl<P: Protocol> Rehearsing<P> {
    /// Takes in what the target answered.
    ///
    /// # Errors
    /// A [`MaskFailure`] ends the session.
    pub fn withhold(&mut self, raw: Raw<P::Answer>) -> Result<(), MaskFailure> {
        let answer = raw.open();
        self.kept = self.kept.saturating_add(answer.as_ref().len());
        if self.fits() {
            self.answers.push(answer.clone());
        } else {
            self.answers.clear();
        }
        self.flight.masker.mask(answer).map(drop)
    }

    /// True where all of the answer is kept; one that is too long cannot be passed on later.
    #[must_use]
    pub const fn fits(&self) -> bool {
        self.kept <= MAX_WITHHELD
    }

    /// The masker, for how far the answer has come and how it ended.
    #[must_use]
    pub const fn masker(&self) -> &P::Masker {
        &self.flight.masker
    }

    /// What it answered, where that may be passed on under a permit for `request`.
    pub(crate) fn answers_to(self, request: &P::Request) -> Option<Vec<P::Answer>> {
        let same = self.digest == request.digest() && *self.bytes == *request.wire_bytes();
        (same && self.fits()).then_some(self.answers)
    }
}

/// A request on its way: the only place where what a target answers is opened and masked.
#[must_use = "answers to a request in flight must be masked and passed on"]
pub struct InFlight<P: Protocol> {
    pub(crate) masker: P::Masker,
    receipt: Option<Receipt>,
    id: Option<RequestId>,
    clear: Option<Clear>,
}

impl<P: Protocol> InFlight<P> {
    pub(crate) fn standing(obligations: &Obligations) -> Self {
        let masker = P::standing_masker(obligations);
        Self { masker, receipt: None, id: None, clear: None }
    }

    /// Masks what the target answered, under the obligations of the permit it was sent with.
    ///
    /// # Errors
    /// A [`MaskFailure`] ends the session: nothing of this answer is passed on.
    pub fn mask(&mut self, raw: Raw<P::Answer>) -> Result<Masked<P::Answer>, MaskFailure> {
        self.masker.mask(raw.open()).map(Masked::from_masker)
    }

    /// The masker, for what it has seen of the answer (progress, counts, masked samples).
    #[must_use]
    pub const fn masker(&self) -> &P::Masker {
        &self.masker
    }

    /// The masker, to take masked samples and state out of it.
    #[must_use]
    pub const fn masker_mut(&mut self) -> &mut P::Masker {
        &mut self.masker
    }

    /// What was kept of the answer for the recording.
    pub fn take_sample(&mut self) -> Masked<<P::Masker as Masker>::Sample> {
        Masked::from_masker(self.masker.take_sample())
    }

    /// What was kept back of the answer until the request's end is decided.
    pub fn take_kept(&mut self) -> Option<Masked<P::Answer>> {
        self.masker.take_kept().map(Masked::from_masker)
    }

    /// That nothing was in the way when it was permitted; `None` for what a target says unasked.
    pub(crate) const fn clear(&self) -> Option<Clear> {
        self.clear
    }

    /// The request's id; `None` for what a target says unasked.
    #[must_use]
    pub const fn id(&self) -> Option<RequestId> {
        self.id
    }

    /// Where its record is; `None` for what a target says unasked.
    #[must_use]
    pub const fn receipt(&self) -> Option<&Receipt> {
        self.receipt.as_ref()
    }
}
