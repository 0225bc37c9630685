//! The HTTP listener: connections bounded in number and time, and calls that are carried out to their
//! end. Before the API.

mod forwarded;

use crate::api::{self, Problem};
use crate::services::{Services, stopped};
use axum::Extension;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, SemaphorePermit, watch};
use tokio::task::JoinSet;
use tokio::time::Sleep;
use tracing::{debug, error, warn};

/// Most connections there are at once; for one more, the one that has been there longest is closed once
/// it has its answer.
pub(crate) const MOST_CONNECTIONS: usize = 256;
/// How long the head of a request may take, and how long a connection may be silent between two.
const HEAD_PATIENCE: Duration = Duration::from_secs(10);
/// How long the body of a request may take.
const BODY_PATIENCE: Duration = Duration::from_secs(10);
/// Longest body of a request, in bytes: two tokens of the largest size there is, and the rest.
const MOST_BODY: usize = 128 * 1024;
/// The same of a call that brings documents: a whole directory of them.
const MOST_DOCUMENTS: usize = 1024 * 1024;
/// Most calls with more than [`MOST_BODY`] at a time.
static LARGE: Semaphore = Semaphore::const_new(4);
/// How long a client may not take what it is sent.
const TAKING_PATIENCE: Duration = Duration::from_secs(30);
/// Bytes of a request's head, at most.
const MOST_HEAD: usize = 64 * 1024;
/// How long to wait where no connection can be taken (`EMFILE`).
const PAUSE: Duration = Duration::from_millis(100);

/// Serves the API until the gateway stops, and what is under way then to its end. So many proxies stand
/// before it.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    proxies: u8,
    stopping: watch::Receiver<bool>,
) {
    let router = router.layer(middleware::from_fn_with_state(proxies, forwarded::told));
    let (room, crowded) = (Arc::new(Semaphore::new(MOST_CONNECTIONS)), Arc::new(Notify::new()));
    let mut connections = JoinSet::new();
    let mut stop = pin!(stopped(stopping.clone()));
    loop {
        let (stream, peer, place) = tokio::select! {
            () = &mut stop => break,
            accepted = accept(&listener, &room, &crowded) => accepted,
            Some(_) = connections.join_next() => continue,
        };
        let router = router.clone().layer(Extension(ConnectInfo(peer)));
        let (stopping, crowded) = (stopping.clone(), crowded.clone());
        connections.spawn(async move {
            connection(stream, router, stopping, crowded).await;
            drop(place);
        });
    }
    while connections.join_next().await.is_some() {}
}

/// The next connection, with its place among those there may be. Cancel-safe.
async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
    crowded: &Notify,
) -> (TcpStream, SocketAddr, Option<OwnedSemaphorePermit>) {
    let place = loop {
        match tokio::time::timeout(PAUSE, room.clone().acquire_owned()).await {
            // It is never closed.
            Ok(place) => break place.ok(),
            // Those that wait for this are asked in the order in which they came.
            Err(_) => crowded.notify_one(),
        }
    };
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return (stream, peer, place),
            Err(error) => {
                warn!(%error, "the API takes no connection");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn connection(
    stream: TcpStream,
    router: Router,
    stopping: watch::Receiver<bool>,
    crowded: Arc<Notify>,
) {
    let service = TowerToHyperService::new(router);
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_PATIENCE)
        .max_buf_size(MOST_HEAD)
        .serve_connection(TokioIo::new(Taken { stream, stuck: None }), service);
    let mut served = pin!(served);
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        () = either(stopped(stopping), crowded.notified()) => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = ended {
        debug!(%error, "an API connection has ended");
    }
}

async fn either(one: impl Future<Output = ()>, other: impl Future<Output = ()>) {
    tokio::select! {
        () = one => {}
        () = other => {}
    }
}

/// A socket whose peer takes what it is sent, or loses it.
struct Taken {
    stream: TcpStream,
    /// When it will have taken nothing for too long.
    stuck: Option<Pin<Box<Sleep>>>,
}

impl AsyncRead for Taken {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl AsyncWrite for Taken {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(written) = Pin::new(&mut self.stream).poll_write(cx, bytes) {
            self.stuck = None;
            return Poll::Ready(written);
        }
        let sleep = || Box::pin(tokio::time::sleep(TAKING_PATIENCE));
        let stuck = self.stuck.get_or_insert_with(sleep);
        stuck.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Whether this is a call that may have to send more than others may, and does.
fn is_large(parts: &Parts) -> bool {
    let length = parts.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let length = length.and_then(|digits| digits.parse::<usize>().ok());
    let path = parts.uri.path();
    path.starts_with("/api/v1/documents/") && length.is_some_and(|length| length > MOST_BODY)
}

/// A turn to send more than others may: for somebody who is known, so that no stranger holds any.
async fn turn(
    services: &Services,
    parts: &Parts,
) -> Result<Option<SemaphorePermit<'static>>, Problem> {
    if !is_large(parts) {
        return Ok(None);
    }
    api::principal(services, &parts.headers).await?;
    let turn = LARGE.try_acquire().map_err(|_| {
        let why = "too many large changes at a time: send it again in a while";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, why)
    })?;
    Ok(Some(turn))
}

/// Reads a call that may change something, and carries it out to its end whether or not its caller
/// waits: no caller chooses at which step it stops.
pub(crate) async fn to_its_end(
    State(services): State<Arc<Services>>,
    request: Request,
    next: Next,
) -> Response {
    if request.method().is_safe() {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let turn = match turn(&services, &parts).await {
        Ok(turn) => turn,
        Err(problem) => return problem.into_response(),
    };
    let most = if turn.is_some() { MOST_DOCUMENTS } else { MOST_BODY };
    let body = match tokio::time::timeout(BODY_PATIENCE, to_bytes(body, most)).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => {
            let why = format!("the body is longer than {most} bytes, or has not come whole");
            return Problem::new(StatusCode::PAYLOAD_TOO_LARGE, why).into_response();
        }
        Err(_) => {
            let why = "the body has not come in time";
            return Problem::new(StatusCode::REQUEST_TIMEOUT, why).into_response();
        }
    };
    let request = Request::from_parts(parts, Body::from(body));
    match tokio::spawn(next.run(request)).await {
        Ok(response) => response,
        Err(ended) => {
            error!(%ended, "a call of the API did not come to its end");
            let why = "the call has failed; the gateway's log says why";
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, why).into_response()
        }
    }
}
