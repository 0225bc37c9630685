//! Cancelling what a target is doing: a further socket to the same server, with the key it gave.

use crate::connect::{Address, open_at};
use crate::error::{DialError, Step};
use crate::tls::TlsPlan;
use bytes::BytesMut;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use zeroize::Zeroizing;

/// `CancelRequest`: length 16, code 80877102.
const CANCEL_REQUEST: [u8; 8] = [0, 0, 0, 16, 0x04, 0xd2, 0x16, 0x2e];

/// Lets whoever holds it cancel what one session is doing at its target; nothing else.
#[derive(Clone)]
pub struct CancelHandle(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) address: Address,
    /// TLS as it was agreed on for the session itself; never less.
    pub(crate) plan: Option<TlsPlan>,
    pub(crate) keepalive: bool,
    pub(crate) timeout: Duration,
    pub(crate) process_id: u32,
    /// `None` where the target gave no key.
    pub(crate) key: Option<Zeroizing<[u8; 4]>>,
}

impl fmt::Debug for CancelHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CancelHandle(…)")
    }
}

impl CancelHandle {
    pub(crate) fn new(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }

    /// Asks the target to cancel what the session is doing, and waits until it has taken notice.
    /// Whether anything was cancelled is told by the session's own answers alone.
    ///
    /// # Errors
    /// [`DialError`] where the target could not be asked.
    pub async fn cancel(&self) -> Result<(), DialError> {
        let Inner { address, plan, keepalive, timeout, process_id, key } = &*self.0;
        let Some(key) = key else {
            return Err(DialError::Protocol("it gave no key to cancel with"));
        };
        let deadline = Instant::now() + *timeout;
        let opened = open_at(address.clone(), plan.as_ref(), *keepalive, deadline).await?;
        let mut transport = opened.transport;
        let mut message = Zeroizing::new(Vec::with_capacity(16));
        message.extend(CANCEL_REQUEST);
        message.extend(process_id.to_be_bytes());
        message.extend(key.as_slice());
        let ask = async {
            transport.write_all(&message).await?;
            // The server answers with nothing and closes once it has sent the signal.
            let _ = transport.read(&mut BytesMut::new()).await;
            let _ = transport.shutdown().await;
            Ok(())
        };
        timeout_at(deadline, ask)
            .await
            .map_err(|_| DialError::Timeout(Step::Cancelling))?
            .map_err(|error| DialError::Io { doing: Step::Cancelling, error })
    }
}
