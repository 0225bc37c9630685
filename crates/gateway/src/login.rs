//! From an accepted socket to a session: start-up, token, admission, target. The first stations on
//! the life of a request.

use crate::judge::{SessionJudge, names_column};
use crate::moment::{Moments, now, random, session_id};
use crate::services::{Cancel, ConnectionServices, Services, stopped};
use crate::session::{End, Session};
use bytes::BytesMut;
use portcullis_core::gate::Gate;
use portcullis_core::id::DecisionId;
use portcullis_core::journal::{Durability, Entry, Event, Journal as _};
use portcullis_core::masked::Masked;
use portcullis_core::principal::Principal;
use portcullis_core::protocol::ProtocolKind;
use portcullis_core::refusal::{Refusal, RefusalClass, Retry};
use portcullis_core::verdict::{ConnectionFacts, Standing};
use portcullis_frontends::{Accepted, ClientStream, Listener};
use portcullis_sql::catalog::Catalog;
use portcullis_sql::facts;
use portcullis_sql::parse::Limits as SqlLimits;
use portcullis_sql::statement::{Analysis, Unreadable};
use portcullis_targets::{DialRequest, Greeting};
use portcullis_wire::pg::conversation::{Analyst, Conversation};
use portcullis_wire::pg::opening::{Opening, Startup, read_opening, read_password};
use portcullis_wire::pg::protocol::Postgres;
use portcullis_wire::pg::server::{self, WireError};
use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tracing::{debug, info, warn};

/// Statement texts whose facts are remembered, per session.
const REMEMBERED_TEXTS: usize = 256;
/// Longer texts are not remembered.
const REMEMBERED_TEXT_BYTES: usize = 16 * 1024;

/// Why a log-in ended without a session.
#[derive(Debug, thiserror::Error)]
enum NoSession {
    /// It was a CancelRequest, or the client left.
    #[error("nothing was asked")]
    Nothing,
    /// The client's socket failed.
    #[error("the client's connection failed: {0}")]
    Client(#[from] io::Error),
    /// The client was told why.
    #[error("{0}")]
    Refused(String),
    /// It took too long.
    #[error("the client did not log in in time")]
    TooSlow,
}

/// Accepts clients until the gateway stops.
pub(crate) async fn accept(listener: Listener, services: Arc<Services>) {
    let mut sessions = JoinSet::new();
    let mut stop = Box::pin(stopped(services.stopping.clone()));
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(connection) => {
                    let services = services.clone();
                    sessions.spawn(async move { client(connection, services).await });
                }
                Err(error) => {
                    warn!(%error, "a client could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
            Some(ended) = sessions.join_next(), if !sessions.is_empty() => {
                if let Err(error) = ended {
                    warn!(%error, "a session ended abnormally; its sockets are closed");
                }
            }
            () = &mut stop => break,
        }
    }
    // Sessions hear of the stop themselves.
    while sessions.join_next().await.is_some() {}
}
