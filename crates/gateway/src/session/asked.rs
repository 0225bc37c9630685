//! What reviewers ask about a held request, told to the client that waits. Beside holding: it decides nothing.

use super::{End, Session, reached};
use portcullis_core::gate::Held;
use portcullis_ledger::visible;
use portcullis_store::ReviewDesk;
use portcullis_wire::pg::protocol::Postgres;
use portcullis_wire::pg::server;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How long it is not looked again for what reviewers ask.
const PAUSE: Duration = Duration::from_secs(1);

/// What a client that waits has heard of what was said about its request.
pub(super) struct News {
    changes: watch::Receiver<u64>,
    looked: Option<Instant>,
    /// The number of the last message.
    last: u32,
}

impl News {
    /// It has heard nothing yet, also of what was said before it came to wait.
    pub(super) fn new(desk: &ReviewDesk) -> Self {
        let mut changes = desk.changes();
        changes.mark_changed();
        Self { changes, looked: None, last: 0 }
    }

    /// It is to look again, whether or not anything has changed.
    pub(super) fn again(&mut self) {
        self.changes.mark_changed();
    }

    /// Resolves when something about reviews has changed, and it was not looked just now. Cancel-safe.
    pub(super) async fn come(&mut self) {
        reached(self.looked.map(|looked| looked + PAUSE).or_else(|| Some(Instant::now()))).await;
        if self.changes.changed().await.is_err() {
            std::future::pending().await
        }
    }
}

impl Session {
    /// Tells a held client what reviewers ask about its request.
    pub(super) async fn tell_said(
        &mut self,
        held: &Held<Postgres>,
        news: &mut News,
    ) -> Result<(), End> {
        news.looked = Some(Instant::now());
        // Locks do not wait for a client to read: it is told when they are gone.
        if self.rehearsal.is_some() {
            return Ok(());
        }
        let review = held.ticket().review;
        let messages = self.gate.desk().messages(review, news.last);
        // Without an answer the request goes on waiting, and it is looked again.
        let Ok(Ok(messages)) = tokio::time::timeout(PAUSE, messages).await else {
            news.again();
            return Ok(());
        };
        for message in messages {
            news.last = message.number;
            if !message.asks {
                continue;
            }
            let (name, said) = (visible::escape(&message.name), visible::escape(&message.text));
            let text = format!("portcullis: {name} asks about {review}: {said}");
            let hint = format!("Answer with `portcullis review answer {review} TEXT`.");
            self.author(|out| server::notice(out, "01000", &text, Some(&hint))).await?;
        }
        Ok(())
    }
}
