//! The journal's contract: an intent before anything is forwarded, an outcome after.

use crate::access::{AccessAsk, Ending};
use crate::basis::Again;
use crate::digest::Digest;
use crate::freeze::Freeze;
use crate::id::{
    BrowserSessionId, CredentialId, FreezeId, GrantId, PasskeyId, PatternId, RequestId, ReviewId,
    SessionId,
};
use crate::passkey::Evidence;
use crate::pattern::{Terms, Use};
use crate::principal::{Actor, By, Principal};
use crate::protocol::Shown;
use crate::refusal::Refusal;
use crate::review::{Ticket, Withdrawal};
use crate::time::Timestamp;
use crate::verdict::{Ground, Standing};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::future::Future;

/// How safe a record must be before its request is forwarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// Handed to the operating system: survives the end of this process, and is synced within
    /// 10 ms. For requests that change nothing.
    Written,
    /// On stable storage: survives the end of the machine. For everything else.
    Durable,
}

/// One record. Nothing in it is raw: texts have passed the content detectors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When it happened.
    pub at: Timestamp,
    /// In which session, if in one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub session: Option<SessionId>,
    /// Which request, if one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub request: Option<RequestId>,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

impl Entry {
    /// An entry of no session.
    #[must_use]
    pub const fn outside(at: Timestamp, event: Event) -> Self {
        Self { at, session: None, request: None, event }
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The gateway started (or recovered).
    Started {
        /// Its version.
        version: String,
        /// Digest of the policy in force.
        policy: String,
    },
    /// A log-in was refused after the caller was known.
    LoginRefused {
        /// Who, as far as known.
        principal: Option<String>,
        /// Where from.
        peer: String,
        /// The connection asked for.
        connection: String,
        /// What the caller was told.
        refusal: Refusal,
    },
    /// A session was admitted; nothing has been dialed yet.
    SessionOpened {
        /// Who and where.
        standing: Standing,
        /// The client's address.
        peer: String,
        /// Digest of the policy in force.
        policy: String,
        /// What the client says of itself (`application_name`): claimed, not verified.
        claimed: String,
        /// Settings the client asked for at log-in, as `name=value`, redacted.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        settings: Vec<String>,
        /// The grant it stands on, where its connection takes one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        grant: Option<GrantId>,
    },
    /// A session ended.
    SessionClosed {
        /// Why, in words.
        reason: String,
        /// Digest of its recording, if one was kept.
        recording: Option<Digest>,
    },
    /// A request is about to be forwarded.
    Intent {
        /// What it will do.
        operation: String,
        /// Statements and parameters, redacted.
        shown: Shown,
        /// Digest of the exact bytes.
        digest: Digest,
        /// The rules that permit it.
        rules: Vec<String>,
        /// The review that approved it.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        review: Option<ReviewId>,
        /// The pattern that stood for an approval, and which use of it this is.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        pattern: Option<Use>,
        /// True where the gateway asks it by itself, to tell reviewers more: the caller sent no such
        /// request, and sees nothing of the answer.
        #[serde(skip_serializing_if = "std::ops::Not::not", default)]
        of_gateway: bool,
        /// How safe this record is before the request leaves.
        durability: Durability,
    },
    /// A held request is about to be run for show, in a transaction that is rolled back unless it is
    /// approved in time. An intent like any other, under an id of its own.
    Rehearsed {
        /// The review it is shown in.
        review: ReviewId,
        /// What it will do.
        operation: String,
        /// Digest of the exact bytes.
        digest: Digest,
        /// The rules that permit it once it is approved.
        rules: Vec<String>,
        /// When its transaction ends at the latest.
        until: Timestamp,
    },
    /// A request was refused; nothing of it was forwarded.
    Refused {
        /// What it would have done.
        operation: String,
        /// Statements and parameters, redacted.
        shown: Shown,
        /// Digest of the exact bytes.
        digest: Digest,
        /// What the caller was told.
        refusal: Refusal,
    },
    /// What became of a forwarded request.
    Outcome {
        /// How it ended.
        status: Status,
        /// Rows returned to the client.
        rows: u64,
        /// What the target says it did (command tags).
        #[serde(skip_serializing_if = "Vec::is_empty", default)]
        tags: Vec<String>,
        /// The target's error code, if it failed.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        error: Option<String>,
        /// Values that were masked.
        masked: u64,
        /// Microseconds from forwarding to the end of the answer.
        micros: u64,
    },
    /// A request is held.
    Held {
        /// The review.
        ticket: Ticket,
        /// What it would do.
        operation: String,
        /// Statements and parameters, redacted.
        shown: Shown,
        /// Why.
        ground: Ground,
        /// The review it takes the place of, and why.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        again: Option<Again>,
    },
    /// A held request was taken back.
    Withdrawn {
        /// The review.
        review: ReviewId,
        /// Why.
        why: Withdrawal,
    },
    /// A reviewer decided.
    Decided {
        /// The review.
        review: ReviewId,
        /// What it binds.
        digest: Digest,
        /// The reviewer.
        by: By,
        /// For which groups.
        groups: BTreeSet<String>,
        /// `approved` or `rejected`.
        decision: String,
        /// The reviewer's words.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        reason: Option<String>,
        /// That requests like it may follow: for how long, and how many.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        pattern: Option<Terms>,
        /// The proof by passkey, where policy asks for one: `portcullis audit verify` checks it.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        passkey: Option<Box<Evidence>>,
        /// The chat it was said in, and who that is there; `None` where it was the API or the console.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        via: Option<String>,
    },
    /// A reviewer took a pattern back.
    PatternRevoked {
        /// The pattern.
        pattern: PatternId,
        /// The review it was given in.
        review: ReviewId,
        /// The reviewer.
        by: By,
    },
    /// On recovery, bytes were found that the gateway cannot prove to have written. They are kept
    /// as they were found, and nothing in them counts.
    Unproven {
        /// The file that keeps them, below the ledger's directory.
        file: String,
        /// How many there are.
        bytes: u64,
        /// What they hash to (SHA-256).
        digest: Digest,
        /// What they were found to be.
        why: String,
    },
    /// What entries say is about to be removed, as the rules of retention have it. Their hashes stay, so the
    /// record stays whole.
    ContentsRemoved {
        /// The segment, by the number of its first entry.
        segment: u64,
        /// How many of its entries then say nothing more, with those of before.
        entries: u64,
        /// Which: SHA-256 over a line `first-last` for each range of their numbers.
        digest: Digest,
        /// By which rules, of those that are removed now.
        why: Vec<Removal>,
    },
    /// The recording of a session is about to be removed, as the rules of retention have it.
    RecordingRemoved {
        /// Which session's.
        recording: SessionId,
        /// SHA-256 of its file, as it was sealed when the session ended.
        digest: Digest,
        /// By which rule.
        rule: String,
    },
    /// Somebody has ended this session. Recorded beside the end itself and not before it, so that a
    /// full disk keeps nobody from ending one.
    SessionKilled {
        /// The person.
        by: By,
        /// Why; the caller has read it.
        reason: String,
    },
    /// Somebody keeps this session from sending anything more, for a time. Recorded beside the pause
    /// itself, as ending one is.
    SessionPaused {
        /// The person.
        by: By,
        /// Why; the caller reads it.
        reason: String,
        /// When it ends by itself.
        until: Timestamp,
    },
    /// This session may go on.
    SessionResumed {
        /// The person; `None` where its time was over.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        by: Option<By>,
    },
    /// Somebody is about to be shown what is recorded. Of no session, so that it is in none of the
    /// timelines it is about.
    Watched {
        /// Who.
        by: Principal,
        /// In which way.
        how: Watching,
        /// Which session's record; `None` for a search in all that it may see.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        recording: Option<SessionId>,
        /// The first entry that is shown.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        from: Option<u64>,
        /// The last; `None` where that is not known beforehand.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        to: Option<u64>,
        /// What was searched for, with detectors applied.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        searched: Option<String>,
    },
    /// An administrator keeps agents from something, from now on.
    Frozen {
        /// What.
        freeze: Freeze,
        /// The administrator.
        by: By,
    },
    /// A freeze is over before its time.
    Thawed {
        /// Which.
        freeze: FreezeId,
        /// The administrator.
        by: By,
        /// Why, where it was not asked for: it was recorded and could not be kept, so it never was
        /// in force.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        why: Option<String>,
    },
    /// Somebody tried to end sessions, to freeze or to thaw, and may not.
    AdministrationRefused {
        /// The principal.
        by: By,
        /// What it tried.
        what: String,
        /// Why not.
        why: String,
    },
    /// A document is about to be made, changed or removed. Those of one `set` are all in force, or none.
    DocumentChanged {
        /// The revision of all documents by which it is in force.
        set: u64,
        /// What it is about.
        kind: String,
        /// Its name.
        name: String,
        /// Its text before; `None` where there was none. Documents hold no secrets, so it is as it was.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        before: Option<String>,
        /// Its text from then on; `None` where it is removed.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        after: Option<String>,
        /// The administrator.
        by: By,
    },
    /// Documents that were to be changed were not: those entries of that `set` never were in force.
    DocumentsKept {
        /// The revision that there is none of, by that change.
        set: u64,
        /// Who wanted it.
        by: By,
        /// Why not.
        why: String,
    },
    /// From here on this gateway, or with a session this session, goes by other rules.
    Governed {
        /// The revision of all documents; 0 where there were none yet.
        documents: u64,
        /// Digest of the policy in force.
        policy: String,
    },
    /// Somebody asks for access to a connection that takes a grant.
    AccessRequested {
        /// The grant it may become.
        grant: GrantId,
        /// What is asked for, by whom and for whom; the reason is claimed, with detectors applied.
        ask: AccessAsk,
    },
    /// Nobody has decided on a request for so long that a second group is asked as well.
    AccessEscalated {
        /// The request.
        grant: GrantId,
        /// The group.
        to: String,
    },
    /// Somebody decided on a request for access.
    AccessDecided {
        /// The request.
        grant: GrantId,
        /// What an approval of it binds.
        digest: Digest,
        /// Who decided.
        by: Principal,
        /// For which groups.
        groups: BTreeSet<String>,
        /// `approved` or `rejected`.
        decision: String,
        /// The words of whoever decided.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        reason: Option<String>,
        /// The proof by passkey, where the connection asks for one.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        passkey: Option<Box<Evidence>>,
    },
    /// A grant is in force, by the last approval that was wanted.
    AccessBegun {
        /// The grant.
        grant: GrantId,
        /// Who has it.
        principal: Principal,
        /// On which connection.
        connection: String,
        /// As which role.
        role: String,
        /// When it ends by itself.
        until: Timestamp,
        /// Those who have approved it.
        approved_by: Vec<By>,
    },
    /// A grant, or a request for one, is over.
    AccessEnded {
        /// Which.
        grant: GrantId,
        /// Whose.
        principal: Principal,
        /// On which connection.
        connection: String,
        /// True where it had been in force; false for a request that came to nothing.
        was_in_force: bool,
        /// How it ended.
        ending: Ending,
        /// By whom; `None` where it ended by itself.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        by: Option<Principal>,
        /// Why, in that one's words.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        reason: Option<String>,
    },
    /// Somebody tried to ask for access, or to decide on or end somebody's, and may not.
    AccessRefused {
        /// Who.
        by: Principal,
        /// What it tried.
        what: String,
        /// Why not.
        why: String,
    },
    /// A credential of the gateway's own is about to be handed out.
    CredentialIssued {
        /// The credential.
        credential: CredentialId,
        /// Who logs in with it: as a session will show it, with its groups and whom it acts for.
        principal: Principal,
        /// Who acts, the one at work first, where somebody acts for somebody.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        actors: Vec<Actor>,
        /// The only connection it opens.
        connection: String,
        /// What it is for, in the words of whoever asked: claimed, with detectors applied.
        purpose: String,
        /// The provider or trust rule that vouched for each token it was made from.
        vouched_by: Vec<String>,
        /// Where it was asked from.
        peer: String,
    },
    /// A credential of the gateway's own was taken back.
    CredentialRevoked {
        /// The credential.
        credential: CredentialId,
        /// Whoever took it back.
        by: By,
        /// The connection it opened.
        connection: String,
    },
    /// Somebody known asked for a credential and got none.
    ExchangeRefused {
        /// The subjects that are known: whose token was to be exchanged, and who was to act.
        principals: Vec<String>,
        /// The connection asked for.
        connection: String,
        /// Where from.
        peer: String,
        /// Why, without anything of a token.
        why: String,
    },
    /// A person is about to be signed in in a browser.
    SignedIn {
        /// The browser session.
        browser: BrowserSessionId,
        /// Who.
        principal: Principal,
        /// The provider that vouches.
        provider: String,
        /// Where from.
        peer: String,
    },
    /// Somebody whom a provider vouches for tried to sign in, and may not.
    SignInRefused {
        /// The subject.
        principal: String,
        /// The provider that vouches.
        provider: String,
        /// Where from.
        peer: String,
        /// Why not.
        why: String,
    },
    /// A browser session was ended: by its person, by an administrator, or by the provider.
    SignedOut {
        /// The browser session.
        browser: BrowserSessionId,
        /// Whoever ended it.
        by: By,
        /// How it came to that.
        why: String,
    },
    /// A person registers a passkey.
    PasskeyRegistered {
        /// The passkey.
        passkey: PasskeyId,
        /// Whose.
        principal: Principal,
        /// The id the authenticator knows it by, in base64url.
        credential: String,
        /// Its public key, as a `COSE_Key` in base64url.
        public_key: String,
        /// The browser session it is registered in.
        browser: BrowserSessionId,
        /// Where from.
        peer: String,
        /// The proof by a passkey that was there; `None` for the first, which is trusted on first use.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        by: Option<Box<Evidence>>,
    },
    /// A passkey approves nothing any more.
    PasskeyRemoved {
        /// The passkey.
        passkey: PasskeyId,
        /// Whose it was, by subject.
        of: String,
        /// The issuer of that subject.
        issuer: String,
        /// Whoever removed it: its person, or an administrator.
        by: By,
    },
    /// What was shown as a passkey's was refused, where it was not a review or a grant that was to be
    /// decided.
    PasskeyRefused {
        /// The person.
        by: By,
        /// What was tried.
        what: String,
        /// Why not.
        why: String,
    },
    /// Before somebody decided, a reviewer asked something, or the caller answered. It decides nothing.
    ReviewMessage {
        /// The review.
        review: ReviewId,
        /// Whether it is a reviewer who asks.
        asks: bool,
        /// The principal.
        by: By,
        /// What was said, with detectors applied.
        text: String,
    },
    /// What came in from a chat, or claimed to, and decided nothing.
    ChatRefused {
        /// Which: `slack`.
        chat: String,
        /// Who that is there; `None` where it is not known to come from there.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        by: Option<String>,
        /// The review it was about, where it was about one.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        review: Option<ReviewId>,
        /// Where from.
        peer: String,
        /// Why not.
        why: String,
    },
    /// Somebody tried to decide a review and may not.
    DecisionRefused {
        /// The review.
        review: ReviewId,
        /// The principal.
        by: By,
        /// Why not.
        why: String,
    },
}

/// How somebody is shown what is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Watching {
    /// A part of the timeline of a session.
    Timeline,
    /// The file with its masked answers.
    File,
    /// A session while it runs, from here on.
    Live,
    /// The end of that: what was shown last.
    LiveEnded,
    /// A search by text or object: which sessions have it.
    Search,
}

impl Watching {
    /// The word of the journal.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Timeline => "timeline",
            Self::File => "file",
            Self::Live => "live",
            Self::LiveEnded => "live_ended",
            Self::Search => "search",
        }
    }
}

/// How a forwarded request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The target did it.
    Done,
    /// The target answered with an error.
    Failed,
    /// It went beyond a limit, and was stopped; what it changed was rolled back.
    Limited,
    /// What it changed was rolled back: it was rehearsed, or the target did not commit it.
    Undone,
    /// Its COMMIT was sent, and the target did not say what became of it.
    Unknown,
    /// The answer could not be masked or passed on.
    Withheld,
    /// The caller or the target went away in the middle.
    Broken,
    /// The gateway ended between forwarding and the outcome; found on recovery.
    Abandoned,
}

impl Status {
    /// Every status, in the order of their numbers.
    pub const ALL: [Self; 8] = [
        Self::Done,
        Self::Failed,
        Self::Limited,
        Self::Undone,
        Self::Unknown,
        Self::Withheld,
        Self::Broken,
        Self::Abandoned,
    ];

    /// The word of the journal.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Limited => "limited",
            Self::Undone => "undone",
            Self::Unknown => "unknown",
            Self::Withheld => "withheld",
            Self::Broken => "broken",
            Self::Abandoned => "abandoned",
        }
    }
}

/// Entries that one rule of retention removes the contents of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removal {
    /// The rule.
    pub rule: String,
    /// How many.
    pub entries: u64,
}

/// Proof that a record is as safe as was asked.
///
/// Only a journal makes one: [`Receipt::issued_by_journal_assertion`] is called in the ledger (and
/// in test doubles), and a test lists the places.
#[derive(Debug, PartialEq, Eq)]
pub struct Receipt {
    sequence: u64,
}

impl Receipt {
    /// A receipt for the entry with this sequence number.
    #[must_use]
    pub const fn issued_by_journal_assertion(sequence: u64) -> Self {
        Self { sequence }
    }

    /// The entry's number in the journal, from 0.
    #[must_use]
    pub const fn sequence(&self) -> u64 {
        self.sequence
    }
}

/// The record cannot be kept, so nothing may run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// More is waiting to be written than may wait.
    #[error("the journal is overloaded")]
    Full,
    /// The entry is larger than any may be: it will never be taken.
    #[error("its record would be larger than the {0} bytes that one may have")]
    TooLarge(usize),
    /// Writing or syncing failed; the journal accepts nothing more until it is reopened.
    #[error("the journal cannot be written ({0}): nothing runs until the gateway is restarted")]
    Broken(String),
}

/// The disk is nearly full: what room is left is for how things end that have begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the disk that the record is on is nearly full: nothing new runs until there is room")]
pub struct NoRoom;

/// Why nothing new begins.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BeginError {
    /// There is no room for it, and for how it would end.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
    /// Its record cannot be kept.
    #[error(transparent)]
    Unrecorded(#[from] JournalError),
}

/// An append-only, tamper-evident record.
///
/// Contract: when [`Journal::append`] returns `Ok`, the entry and every entry before it are at
/// least as safe as the durability asked for, in an order all readers see. When it returns an
/// error, the entry may or may not be in the journal; the caller must act as if it were not, and
/// recovery closes it as abandoned. After a failed write or sync every later append fails too.
pub trait Journal: Send + Sync {
    /// Records an entry and waits until it is as safe as asked.
    fn append(
        &self,
        entry: Entry,
        durability: Durability,
    ) -> impl Future<Output = Result<Receipt, JournalError>> + Send;

    /// Whether there is room for what begins now, and for how it ends.
    ///
    /// # Errors
    /// [`NoRoom`]: nothing new is to begin.
    fn room(&self) -> Result<(), NoRoom> {
        Ok(())
    }

    /// As [`Journal::append`], for what begins something new: where there is no [`room`](Self::room) for
    /// that, nothing is recorded.
    fn begin(
        &self,
        entry: Entry,
        durability: Durability,
    ) -> impl Future<Output = Result<Receipt, BeginError>> + Send {
        async move {
            self.room()?;
            Ok(self.append(entry, durability).await?)
        }
    }

    /// Records an entry without waiting. It will be durable within 10 ms.
    ///
    /// # Errors
    /// [`JournalError`] where it cannot be taken; the session that reports it must end.
    fn note(&self, entry: Entry) -> Result<(), JournalError>;
}
