//! What a request would do, in words no protocol owns: verb × object × extent × certainty.

use crate::mask::Lineage;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::fmt;
use std::sync::Arc;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $word)] $variant),+ }
        impl $name {
            /// Every value, in declaration order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            /// The word used in policies, records and messages.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(self.as_str()) }
        }
    };
}

words! {
    /// What is done.
    Verb {
        /// Looks at data or metadata and changes nothing.
        Read = "read",
        /// Adds rows or things of a kind that exists.
        Insert = "insert",
        /// Changes what is there.
        Update = "update",
        /// Removes what is there.
        Delete = "delete",
        /// Removes everything at once.
        Truncate = "truncate",
        /// Defines a new object.
        Create = "create",
        /// Changes a definition.
        Alter = "alter",
        /// Removes a definition and what it holds.
        Drop = "drop",
        /// Changes who may do what.
        Grant = "grant",
        /// Runs code whose own effects are not listed.
        Execute = "execute",
        /// Brings data in from outside the connection (a file, a program, another host).
        TransferIn = "transfer-in",
        /// Sends data out beyond the caller (a file, a program, another host).
        TransferOut = "transfer-out",
        /// Opens a way through to somewhere else.
        Forward = "forward",
        /// Opens a session.
        Connect = "connect",
        /// Changes the session or the server: settings, transactions, locks, other sessions.
        Control = "control",
        /// Could not be read.
        Unknown = "unknown",
    }
}

words! {
    /// How much of the object is touched.
    Extent {
        /// One row or thing.
        One = "one",
        /// A part: there is a condition.
        Some = "some",
        /// Everything: there is no condition.
        All = "all",
        /// Cannot be told.
        Unknown = "unknown",
    }
}

words! {
    /// How far the effect can be relied on.
    Certainty {
        /// Read from the statement and resolved against the target's own catalog.
        Resolved = "resolved",
        /// What it is known to be able to do; it may do less.
        Assumed = "assumed",
        /// The request could not be read.
        Unreadable = "unreadable",
    }
}

words! {
    /// What kind of thing an object is.
    ObjectKind {
        /// The connection as a whole.
        Connection = "connection",
        /// A database.
        Database = "database",
        /// A schema.
        Schema = "schema",
        /// A table, view, materialised view or foreign table.
        Relation = "relation",
        /// A column of a relation.
        Column = "column",
        /// A sequence.
        Sequence = "sequence",
        /// A function, procedure or aggregate.
        Routine = "routine",
        /// A data type, domain, operator or cast.
        Type = "type",
        /// A role or user.
        Role = "role",
        /// A setting of the session or the server.
        Setting = "setting",
        /// A transaction.
        Transaction = "transaction",
        /// A prepared statement, portal or cursor of this session.
        Session = "session",
        /// Another session's backend.
        Backend = "backend",
        /// A file on the target's host.
        File = "file",
        /// A program on the target's host.
        Program = "program",
        /// Another host.
        Host = "host",
        /// A notification channel.
        Channel = "channel",
        /// An extension, language, server, publication or other server-side object.
        Extension = "extension",
        /// A large object.
        LargeObject = "large-object",
        /// A lock.
        Lock = "lock",
        /// Something that could not be read.
        Unknown = "unknown",
    }
}

/// A thing below the connection, by kind and path (`[database, schema, relation, column]`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Object {
    /// What kind of thing it is.
    pub kind: ObjectKind,
    /// Its path, outermost name first, exactly as the target stores the names.
    pub path: SmallVec<[Box<str>; 3]>,
}

impl Object {
    /// An object from its path.
    pub fn new<'a>(kind: ObjectKind, path: impl IntoIterator<Item = &'a str>) -> Self {
        Self { kind, path: path.into_iter().map(Box::from).collect() }
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            return f.write_str(self.kind.as_str());
        }
        for (i, name) in self.path.iter().enumerate() {
            if i > 0 {
                f.write_str(".")?;
            }
            f.write_str(name)?;
        }
        Ok(())
    }
}

/// One thing a request would do.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Effect {
    /// What is done.
    pub verb: Verb,
    /// To what.
    pub object: Object,
    /// To how much of it.
    pub extent: Extent,
    /// How sure that is.
    pub certainty: Certainty,
}

impl Effect {
    /// An effect read and resolved.
    #[must_use]
    pub const fn resolved(verb: Verb, object: Object, extent: Extent) -> Self {
        Self { verb, object, extent, certainty: Certainty::Resolved }
    }

    /// What stands for all that known names may do behind definitions in the same request: nobody can
    /// look at those before they are there.
    #[must_use]
    pub fn behind_definitions() -> Self {
        Self {
            verb: Verb::Execute,
            object: Object::new(ObjectKind::Unknown, []),
            extent: Extent::Unknown,
            certainty: Certainty::Assumed,
        }
    }

    /// What stands for a request, or a part of one, that could not be read.
    #[must_use]
    pub fn unreadable() -> Self {
        Self {
            verb: Verb::Unknown,
            object: Object::new(ObjectKind::Unknown, []),
            extent: Extent::Unknown,
            certainty: Certainty::Unreadable,
        }
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb, self.object)?;
        if self.extent == Extent::All && !matches!(self.verb, Verb::Read) {
            f.write_str(" (all of it)")?;
        }
        if self.certainty != Certainty::Resolved {
            write!(f, " [{}]", self.certainty)?;
        }
        Ok(())
    }
}

/// True where names may mean something else once statements of these kinds, with these effects, have
/// run: the catalog has to be read again. A function called in a query is not taken to change what
/// they mean; that is noticed as what others change is.
pub fn may_redefine<'a>(mut kinds: impl Iterator<Item = &'a str>, effects: &[Effect]) -> bool {
    let block = kinds.any(|kind| matches!(kind, "do" | "call"));
    effects.iter().any(|e| match e.verb {
        Verb::Read
        | Verb::Insert
        | Verb::Update
        | Verb::Delete
        | Verb::Truncate
        | Verb::Control
        | Verb::Connect => false,
        Verb::Execute => block,
        _ => true,
    })
}

/// The protocol-neutral facts of a request: everything a judge decides on.
///
/// Equality is the key under which a verdict may be remembered, so nothing that a verdict may
/// depend on is left out of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Operation {
    /// The kinds of command in it, in order, lower case (`select`, `delete`, `copy to`).
    pub kinds: SmallVec<[Box<str>; 2]>,
    /// What it would do. Never empty: a request that does nothing has a `control session` effect.
    pub effects: SmallVec<[Effect; 2]>,
    /// Where its answers come from: one lineage for each part that can answer, in order.
    pub lineages: SmallVec<[Arc<Lineage>; 1]>,
}

impl Operation {
    /// The operation of a request that could not be read.
    #[must_use]
    pub fn unreadable() -> Self {
        Self {
            kinds: SmallVec::from_iter([Box::from("unreadable")]),
            effects: SmallVec::from_iter([Effect::unreadable()]),
            lineages: SmallVec::new(),
        }
    }

    /// True where it may change what names mean: [`may_redefine`].
    #[must_use]
    pub fn may_redefine(&self) -> bool {
        may_redefine(self.kinds.iter().map(|kind| &**kind), &self.effects)
    }

    /// True where every effect is a read or steers this session alone, and is resolved: the
    /// record of such a request need not be synced before it is forwarded.
    #[must_use]
    pub fn changes_nothing(&self) -> bool {
        self.reads_or_steers(&[ObjectKind::Session, ObjectKind::Transaction])
    }

    /// True where something of it may be there for others, or outlast the session: what a freeze of
    /// writes stops. All that [changes something](Self::changes_nothing), but for settings of the
    /// session, which drivers make before they read.
    #[must_use]
    pub fn writes(&self) -> bool {
        !self.reads_or_steers(&[ObjectKind::Session, ObjectKind::Transaction, ObjectKind::Setting])
    }

    /// True where every effect is a read, or steers one of these, and is resolved.
    fn reads_or_steers(&self, own: &[ObjectKind]) -> bool {
        self.effects.iter().all(|e| {
            e.certainty == Certainty::Resolved
                && (e.verb == Verb::Read || e.verb == Verb::Control && own.contains(&e.object.kind))
        })
    }

    /// True where it does nothing but to undo what its transaction has changed, or a part of that.
    #[must_use]
    pub fn only_rolls_back(&self) -> bool {
        self.changes_nothing()
            && !self.kinds.is_empty()
            && self.kinds.iter().all(|kind| &**kind == "rollback")
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, kind) in self.kinds.iter().enumerate() {
            write!(f, "{}{}", if i > 0 { "; " } else { "" }, kind.to_uppercase())?;
        }
        for (i, effect) in self.effects.iter().enumerate() {
            write!(f, "{}{effect}", if i > 0 { ", " } else { " · " })?;
        }
        Ok(())
    }
}
