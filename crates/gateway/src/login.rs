//! From an accepted socket to a session: start-up, token, admission, target. The first stations on
//! the life of a request.

use crate::catalog::Inside;
use crate::credentials::NotAdmitted;
use crate::fleet::Telling;
use crate::generation::{ConnectionServices, Generation, Governed, MENDED};
use crate::grants;
use crate::judge::{SessionJudge, uncovered};
use crate::lanes::Lanes;
use crate::live::{Entered, Killed, Noting, Owner, State};
use crate::metrics::{Kind, Outcome};
use crate::moment::{Moments, now, random, session_id};
use crate::rate::RateMeter;
use crate::room::{Place, Share};
use crate::services::{Cancel, CancelCount, Services, stopped};
use crate::session::{End, Lease, Session, killed_error};
use crate::vouching::{self, Vouching};
use bytes::BytesMut;
use portcullis_core::access::Entitlement;
use portcullis_core::effect::{Effect, Object};
use portcullis_core::gate::{Gate, LogIn};
use portcullis_core::id::{CredentialId, SessionId};
use portcullis_core::journal::{Durability, Entry, Event, Journal as _, NoRoom};
use portcullis_core::limits::{Limits, Used};
use portcullis_core::masked::Masked;
use portcullis_core::principal::Principal;
use portcullis_core::protocol::ProtocolKind;
use portcullis_core::refusal::{Refusal, RefusalClass, Retry, rule};
use portcullis_core::verdict::{ConnectionFacts, Standing};
use portcullis_frontends::{ClientStream, Incoming, Listener, Opening};
use portcullis_identity::IdentityError;
use portcullis_identity::own::is_credential;
use portcullis_ledger::Kept;
use portcullis_policy::GrantFacts;
use portcullis_sql::catalog::Catalog;
use portcullis_sql::facts::effect_of_setting;
use portcullis_sql::statement::{Analysis, Unreadable};
use portcullis_sql::{Known, Limits as SqlLimits};
use portcullis_targets::{CancelHandle, DialRequest, Greeting, StartupSettings};
use portcullis_wire::pg::conversation::{Analyst, Conversation};
use portcullis_wire::pg::message::Limits as WireLimits;
use portcullis_wire::pg::opening::{self, Startup, read_opening, read_password};
use portcullis_wire::pg::protocol::Postgres;
use portcullis_wire::pg::server::{self, WireError};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tracing::{debug, info, warn};

/// How long a target may take to hear that what it runs for a session that ended is to stop.
const CANCEL_PATIENCE: Duration = Duration::from_secs(5);
/// After how long it is told again, each after the one before: what it had received and not begun when
/// it heard the first time would run on.
const CANCEL_AGAIN: [Duration; 3] =
    [Duration::from_millis(100), Duration::from_millis(400), Duration::from_secs(2)];
/// How long that may keep the socket of a session open that somebody has ended.
const CANCEL_PATIENCE_KILLED: Duration = Duration::from_millis(500);
/// How long a session that somebody has ended may take to end by itself, with everything told and
/// recorded.
const KILL_GRACE: Duration = Duration::from_secs(1);

/// Why a log-in ended without a session.
#[derive(Debug, thiserror::Error)]
enum NoSession {
    /// It was a CancelRequest, or the client left.
    #[error("nothing was asked")]
    Nothing,
    /// The client's socket failed, or its time was up.
    #[error("the client's connection failed: {0}")]
    Client(#[from] io::Error),
    /// The client was told why.
    #[error("{0}")]
    Refused(String),
}

/// Accepts clients until the gateway stops.
pub(crate) async fn accept(listener: Listener, lanes: Lanes, services: Arc<Services>) {
    let mut sessions = JoinSet::new();
    let mut stop = Box::pin(stopped(services.stopping.clone()));
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(incoming) => {
                    let services = services.clone();
                    lanes.spawn(&mut sessions, async move { Box::pin(client(incoming, &services)).await });
                }
                Err(error) => {
                    warn!(%error, "the listening socket has failed");
                    break;
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

/// One client, from its first byte to its last.
async fn client(incoming: Incoming, services: &Arc<Services>) {
    let peer = incoming.peer();
    // What comes before and after the session is on the heap for as long as it takes, so that an idle
    // session is nothing of it.
    let accepted = match Box::pin(incoming.negotiate()).await {
        Ok(accepted) => accepted,
        Err(error) => {
            debug!(%peer, %error, "no session");
            return;
        }
    };
    let mut door = Door { stream: accepted.stream, buffer: accepted.start, peer };
    if accepted.opening == Opening::Cancel {
        if let Ok(Some(opening::Opening::Cancel(key))) = read_opening(&mut door.buffer) {
            services.cancels.cancel(key.pid, &key.key).await;
        }
        return;
    }
    match Box::pin(open(door, services)).await {
        Ok(mut opened) => {
            let (id, mut stop) = (opened.session.id, Box::pin(stopped(services.stopping.clone())));
            info!(session = %id, %peer, who = %opened.who, "session opened");
            let overdue = overdue(&opened.entered);
            let ended = tokio::select! {
                ended = Box::pin(opened.session.run()) => Some(ended),
                () = &mut stop => None,
                killed = overdue => {
                    warn!(session = %id, "a session that was killed did not end by itself");
                    let end = End::Killed(killed);
                    let told = Box::pin(opened.session.say_goodbye(&end)).await;
                    Some((end, told))
                }
            };
            let (end, told) = match ended {
                Some(ended) => ended,
                None => (End::Stopping, Box::pin(opened.session.say_goodbye(&End::Stopping)).await),
            };
            Box::pin(opened.close(services, (&end, told))).await;
        }
        Err(NoSession::Nothing) => {}
        Err(error) => debug!(%peer, %error, "no session"),
    }
}

/// Resolves when a session that somebody has ended should be over.
fn overdue(entered: &Entered) -> impl Future<Output = Arc<Killed>> + Send + use<> {
    let killed = entered.killed();
    async move {
        let killed = killed.await;
        tokio::time::sleep(KILL_GRACE).await;
        killed
    }
}

/// Asks a target to stop what it does for a session that ends; where that came at `once`, a few times
/// more in the background, since a request that the target had not begun by then it would run to its
/// end for nobody.
async fn call_off(target: CancelHandle, once: bool) {
    let again = target.clone();
    if let Ok(Err(error)) = tokio::time::timeout(CANCEL_PATIENCE, target.cancel()).await {
        warn!(%error, "what runs for a session that has ended could not be called off");
    }
    if !once {
        return;
    }
    tokio::spawn(async move {
        for pause in CANCEL_AGAIN {
            tokio::time::sleep(pause).await;
            // Where the first one could not be sent, that was told.
            let _ = tokio::time::timeout(CANCEL_PATIENCE, again.cancel()).await;
        }
    });
}

/// A client that has not logged in yet.
struct Door {
    stream: ClientStream,
    buffer: BytesMut,
    peer: SocketAddr,
}

impl Door {
    async fn read<T, E: std::fmt::Display>(
        &mut self,
        take: impl Fn(&mut BytesMut) -> Result<Option<T>, E>,
    ) -> Result<T, NoSession> {
        loop {
            match take(&mut self.buffer) {
                Ok(Some(taken)) => return Ok(taken),
                Ok(None) => {}
                Err(error) => {
                    let text = format!("portcullis: {error}");
                    return Err(self.refuse(&WireError::new("08P01", text)).await);
                }
            }
            if self.stream.read(&mut self.buffer).await? == 0 {
                return Err(NoSession::Nothing);
            }
        }
    }

    async fn author(&mut self, write: impl FnOnce(&mut BytesMut)) -> io::Result<()> {
        let mut out = BytesMut::new();
        write(&mut out);
        self.stream.write(&Masked::authored_assertion(out)).await?;
        self.stream.flush().await
    }

    /// Tells the client why it gets no session.
    async fn refuse(&mut self, error: &WireError) -> NoSession {
        let fatal = error.clone().fatal();
        // The client may be gone already; it gets no session either way.
        let _ = self.author(|out| server::error(out, &fatal)).await;
        let _ = self.stream.close().await;
        NoSession::Refused(fatal.message)
    }
}

/// A session, with what has to be undone when it ends.
struct Opened {
    session: Session,
    who: String,
    /// The session's place in the list of those there are.
    entered: Arc<Entered>,
    cancel_key: (u32, Vec<u8>),
    /// The session's place among those of its principal.
    place: Option<Place>,
}

impl Opened {
    /// Closes the sockets of a session, and makes its last entries. `told`: the client has heard why.
    async fn close(self: Box<Self>, services: &Services, (end, told): (&End, bool)) {
        let Self { session, entered, cancel_key: (process, key), place, who: _ } = *self;
        entered.is(State::Ending);
        let killed = end.killed().is_some();
        let in_flight = session.in_flight();
        let Session { id, client, link, labels, recorder, lease, target_cancel, telling, .. } =
            session;
        let mut client = Some(client);
        if killed && let Some(client) = client.take() {
            // It is not to have more than it has, but for why.
            if told { drop(client) } else { client.abort() }
        }
        if in_flight || killed {
            // Nobody waits for it any more, and its caller may have lost the right to it.
            // A target that is slow to answer hears of it all the same.
            let once = killed || matches!(end, End::TokenExpired);
            let cancelling = tokio::spawn(call_off(target_cancel, once));
            let patience = if killed { CANCEL_PATIENCE_KILLED } else { CANCEL_PATIENCE };
            let _ = tokio::time::timeout(patience, cancelling).await;
        }
        services.cancels.leave(process, &key);
        let link = (!killed).then_some(link);
        drop((lease, entered));
        labels.leave(id);
        if let Some(changing) = telling.changing {
            changing.end().await;
        }
        // What people gave leave for in this session ends with it; the next start ends the rest.
        if let Err(error) = services.desk.end_patterns(id).await {
            warn!(session = %id, %error, "its patterns were not ended");
        }
        // It is no session any more that could be counted.
        drop(place);
        info!(session = %id, reason = %end, "session closed");
        let recording = match recorder.finish().await {
            Ok(kept) => kept,
            Err(error) => {
                warn!(session = %id, %error, "the recording was not finished");
                None
            }
        };
        let digest = recording.as_ref().map(Kept::digest);
        let event = Event::SessionClosed { reason: end.to_string(), recording: digest };
        let entry = Entry { at: now(), session: Some(id), request: None, event };
        // A journal that cannot take this closes the session on recovery.
        match (services.ledger.append(entry, Durability::Durable).await, recording) {
            (Err(error), _) => {
                warn!(session = %id, %error, "the end of a session was not recorded")
            }
            (Ok(_), Some(kept)) => kept.settle().await,
            (Ok(_), None) => {}
        }
        drop((client, link));
    }
}

/// Start-up, token, connection, admission, target: in this order, each before the next.
///
/// What it gives is moved about, and large.
async fn open(mut door: Door, services: &Arc<Services>) -> Result<Box<Opened>, NoSession> {
    let startup = match door.read(read_opening).await? {
        opening::Opening::Startup(startup) => startup,
        _ => return Err(NoSession::Nothing),
    };
    if startup.needs_negotiation() {
        let unsupported: Vec<&str> = startup.unsupported.iter().map(String::as_str).collect();
        let minor = startup.spoken_minor();
        door.author(|out| server::negotiate_protocol_version(out, minor, &unsupported)).await?;
    }
    door.author(server::authentication_cleartext).await?;
    let password = door.read(read_password).await?;
    let mut moments = Moments::new();
    let presented = (startup.database(), password.expose());
    has_room(&mut door, services, &mut moments).await?;
    let (principal, by) = identify(&mut door, services, &mut moments, presented).await?;
    drop(password);
    let place = find_place(&mut door, services, &startup, &principal, &mut moments).await?;
    let goes_by = Governed::begin(&services.governing);
    let (connection, standing) =
        find_connection(&mut door, (services, &goes_by.0), &startup, principal, &mut moments)
            .await?;
    let (id, standing) = (session_id(), Arc::new(standing));
    let peer = door.peer.to_string();
    let owner = Owner { standing: standing.clone() };
    let entered = Arc::new(services.sessions.enter(id, owner, peer, now()));
    ask_again(&mut door, services, &mut moments, (&by, &standing)).await?;
    let entitlement = entitle(&mut door, services, &mut moments, (&standing, &entered)).await?;
    still_leads_there(&mut door, services, &mut moments, (&goes_by.0, &standing)).await?;
    let ready = (&*entered, entitlement, moments, goes_by);
    let opened = admit(&mut door, services, &connection, standing, &startup, ready);
    let (session, greeting, who) = match opened.await {
        Ok(opened) => opened,
        Err(error) => return Err(door.refuse(&error).await),
    };
    let comes = (startup.spoken_minor(), entered);
    let mut opened = Box::pin(welcome(door, services, session, &greeting, who, comes)).await?;
    opened.session.share = place.share();
    opened.place = Some(place);
    Ok(opened)
}

/// There is room on the disk to record what a session does. Where there is none nobody is let in, and that is
/// not recorded either.
async fn has_room(
    door: &mut Door,
    services: &Services,
    moments: &mut Moments,
) -> Result<(), NoSession> {
    if !services.disk.is_full() {
        return Ok(());
    }
    let class = RefusalClass::Unavailable;
    services.metrics.log_in_refused(class);
    let refusal = Refusal {
        decision: moments.next().decision,
        class,
        rule: rule::RECORD_BEFORE_RUN.to_owned(),
        what: "log-in".to_owned(),
        why: NoRoom.to_string(),
        retry: Retry::Later,
        next: Some("tell the operator of this gateway to make room on its disk".to_owned()),
        review: None,
    };
    Err(door.refuse(&server::refusal(&refusal)).await)
}

/// A place among the sessions of this principal.
async fn find_place(
    door: &mut Door,
    services: &Services,
    startup: &Startup,
    principal: &Principal,
    moments: &mut Moments,
) -> Result<Place, NoSession> {
    if let Some(place) = services.places.take(&principal.issuer, &principal.subject) {
        return Ok(place);
    }
    let refusal = Refusal {
        decision: moments.next().decision,
        class: RefusalClass::Limit,
        rule: rule::SESSIONS_PER_PRINCIPAL.to_owned(),
        what: "another session".to_owned(),
        why: format!("you have {} open already", services.places.most()),
        retry: Retry::Later,
        next: Some("close some of your sessions first".to_owned()),
        review: None,
    };
    Err(turn_away(door, services, startup.database(), &principal.subject, refusal).await)
}

/// Records that somebody known gets no session, and says so.
async fn turn_away(
    door: &mut Door,
    services: &Services,
    connection: &str,
    subject: &str,
    refusal: Refusal,
) -> NoSession {
    services.metrics.log_in_refused(refusal.class);
    let event = Event::LoginRefused {
        principal: Some(subject.to_owned()),
        peer: door.peer.to_string(),
        connection: connection.chars().take(128).collect(),
        refusal: refusal.clone(),
    };
    let entry = Entry::outside(now(), event);
    // The refusal stands whether or not its record could be kept.
    let _ = services.ledger.append(entry, Durability::Durable).await;
    door.refuse(&server::refusal(&refusal)).await
}

/// By whose word somebody logs in.
struct By {
    /// Who vouched, as it was then.
    vouching: Arc<Vouching>,
    /// The credential of the gateway's own, where it was one.
    credential: Option<CredentialId>,
}

/// Who logs in: by a token of an issuer that is configured, or by a credential of the gateway's own,
/// and then which.
async fn identify(
    door: &mut Door,
    services: &Services,
    moments: &mut Moments,
    (connection, token): (&str, &[u8]),
) -> Result<(Principal, By), NoSession> {
    let verified = match std::str::from_utf8(token) {
        Ok(token) => {
            let verifying = verified(services, token.trim(), connection);
            match door.stream.deadline() {
                Some(deadline) => tokio::time::timeout_at(deadline, verifying)
                    .await
                    .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?,
                None => verifying.await,
            }
            .map_err(|NotAdmitted { who, why }| (who, why.public(), why.retry()))
        }
        Err(_) => Err((None, "the token is not text".to_owned(), Retry::AfterChange)),
    };
    let kind = std::str::from_utf8(token).is_ok_and(|token| is_credential(token.trim()));
    let kind = if kind { Kind::Credential } else { Kind::Token };
    services.metrics.authenticated(
        kind,
        match &verified {
            Ok(_) => Outcome::Accepted,
            Err((_, _, Retry::Later)) => Outcome::Unavailable,
            Err(_) => Outcome::Refused,
        },
    );
    match verified {
        Ok(verified) => Ok(verified),
        Err(why) => Err(unidentified(door, services, moments, connection, why).await),
    }
}

/// Whoever vouched still does, and a credential is good still, now that its session is in the list of those
/// there are: whoever has taken it back before that did not find the session there.
async fn ask_again(
    door: &mut Door,
    services: &Services,
    moments: &mut Moments,
    (By { vouching, credential }, standing): (&By, &Standing),
) -> Result<(), NoSession> {
    let stands = services.now().vouching.stands_by(vouching, &standing.principal);
    let why = match credential {
        _ if !stands => Err(IdentityError::Revoked),
        Some(credential) => services.credentials.check(*credential).await,
        None => Ok(()),
    };
    let Err(why) = why else { return Ok(()) };
    let who = Some(Box::new(standing.principal.clone()));
    let why = (who, why.public(), why.retry());
    Err(unidentified(door, services, moments, &standing.connection.name, why).await)
}

/// The right to be on the connection, where that takes a grant.
async fn entitle(
    door: &mut Door,
    services: &Services,
    moments: &mut Moments,
    (standing, entered): (&Standing, &Entered),
) -> Result<Entitlement, NoSession> {
    let why = match services.grants.entitle(standing, entered).await {
        Ok(entitlement) => return Ok(entitlement),
        Err(why) => why,
    };
    let refusal = grants::refusal(moments.next().decision, standing, &why);
    let (connection, subject) = (&standing.connection.name, &standing.principal.subject);
    Err(turn_away(door, services, connection, subject, refusal).await)
}

/// Tells a client that its token is not good, and records that where it is known whose it is.
async fn unidentified(
    door: &mut Door,
    services: &Services,
    moments: &mut Moments,
    connection: &str,
    (who, what, retry): (Option<Box<Principal>>, String, Retry),
) -> NoSession {
    let next = match retry {
        Retry::Later => "log in again in a while",
        _ if who.is_some() => {
            "ask for a credential for this connection (`portcullis credential create`)"
        }
        _ => "send a valid token of your identity provider as the password",
    };
    let refusal = Refusal {
        decision: moments.next().decision,
        class: RefusalClass::Identity,
        rule: rule::VERIFIED_TOKEN.to_owned(),
        what,
        why: String::new(),
        retry,
        next: Some(next.to_owned()),
        review: None,
    };
    info!(peer = %door.peer, reason = %refusal.what, "log-in refused");
    match who {
        Some(who) => turn_away(door, services, connection, &who.subject, refusal).await,
        None => {
            services.metrics.log_in_refused(refusal.class);
            door.refuse(&server::refusal(&refusal)).await
        }
    }
}

async fn verified(
    services: &Services,
    token: &str,
    connection: &str,
) -> Result<(Principal, By), NotAdmitted> {
    let generation = services.now();
    let vouching = generation.vouching.clone();
    if is_credential(token) {
        let row = services.credentials.present(token, connection, now()).await?;
        let credential = Some(row.id);
        let principal = vouching::admitted(services, &generation, row)?;
        return Ok((principal, By { vouching, credential }));
    }
    let principal = vouching.verify(token, now()).await?;
    Ok((principal, By { vouching, credential: None }))
}

/// The connection asked for as the database, and the role: the connection's own, unless the user
/// name asks for another one the connection has.
async fn find_connection(
    door: &mut Door,
    (services, generation): (&Services, &Generation),
    startup: &Startup,
    principal: Principal,
    moments: &mut Moments,
) -> Result<(Arc<ConnectionServices>, Standing), NoSession> {
    let (name, user) = (startup.database(), startup.user());
    let found = generation.connections.get(name).cloned();
    let role = found.as_ref().and_then(|c| role_for(c, &principal, user));
    let why = match (&found, &role) {
        (Some(connection), Some(role)) => {
            let standing = Standing {
                principal,
                connection: ConnectionFacts {
                    name: name.to_owned(),
                    environment: connection.settings.environment.clone(),
                    protocol: ProtocolKind::Postgres,
                    database: connection.settings.target.database.clone(),
                    role: role.clone(),
                },
            };
            return Ok((connection.clone(), standing));
        }
        (None, _) => "there is no such connection for you: the database name says which",
        (Some(_), None) => {
            "the user name is neither your own nor a role of this connection: use your own name"
        }
    };
    let refusal = Refusal {
        decision: moments.next().decision,
        class: RefusalClass::Identity,
        rule: rule::KNOWN_CONNECTION.to_owned(),
        what: why.to_owned(),
        why: String::new(),
        retry: Retry::AfterChange,
        next: Some(
            "ask the administrator which connections you may use, and by what name".to_owned(),
        ),
        review: None,
    };
    Err(turn_away(door, services, name, &principal.subject, refusal).await)
}

fn role_for(connection: &ConnectionServices, principal: &Principal, user: &str) -> Option<String> {
    let target = &connection.settings.target;
    if target.role_names().any(|role| role == user) {
        return Some(user.to_owned());
    }
    let own = user == principal.name || user == principal.subject;
    own.then(|| target.user.clone())
}

/// Through the gate and on to the target. An error is what the client is told.
async fn admit(
    door: &mut Door,
    services: &Arc<Services>,
    connection: &Arc<ConnectionServices>,
    standing: Arc<Standing>,
    startup: &Startup,
    (entered, entitlement, mut moments, (generation, number)): Ready<'_>,
) -> Result<(HalfSession, Greeting, String), WireError> {
    let id = entered.id();
    let grant = entitlement.tenure().map(|tenure| GrantFacts::of(tenure));
    let judge = judge_of(&generation, connection, &standing, grant.clone());
    let moment = moments.next();
    let (who, expires) = (standing.principal.to_string(), standing.principal.expires);
    let name = standing.connection.name.clone();
    let settings = StartupSettings::read(&startup.parameters);
    let (gate, admission) = Gate::admit::<Postgres>(
        id,
        standing,
        (
            judge.clone(),
            services.freezes.view(),
            noting(services, entered, &name),
            services.desk.clone(),
        ),
        entitlement,
        services.gate,
        LogIn {
            peer: door.peer.to_string(),
            claimed: startup.get("application_name").unwrap_or_default().to_owned(),
            settings: settings.as_ref().map(asked).unwrap_or_default(),
        },
        moment,
    )
    .await
    .map_err(|refusal| server::refusal(&refusal))?;
    let unasked = admission.standing_flight();
    let dialed = match settings {
        Ok(settings) => {
            let application_name = format!("portcullis:{id}");
            let request =
                DialRequest { application_name: Some(&application_name), settings: &settings };
            tokio::select! {
                dialed = generation.dialer.dial(admission, &request) => dialed,
                killed = entered.killed() => {
                    closed_unopened(services, id, killed.to_string()).await;
                    return Err(killed_error(&killed));
                }
            }
        }
        Err(error) => Err(error),
    };
    let dialed = match dialed {
        Ok(dialed) => dialed,
        Err(error) => {
            warn!(session = %id, connection = name, %error, decision = %moment.decision, "no target");
            closed_unopened(services, id, error.to_string()).await;
            return Err(WireError::new("58000", error.public(moment.decision)));
        }
    };
    let rate = rate_of(&judge, connection, &gate.standing().principal);
    let analyst = Arc::new(SessionAnalyst::default());
    let half = HalfSession {
        id,
        link: dialed.link,
        gate,
        judge,
        conversation: Conversation::new(analyst.clone(), WireLimits::default()),
        analyst,
        unasked,
        connection: connection.clone(),
        governed: Governed::of(&services.governing, number, connection, grant),
        expires,
        moments,
        rate,
    };
    Ok((half, dialed.greeting, who))
}

/// The journal of a session on this connection.
fn noting(services: &Services, entered: &Entered, connection: &str) -> Noting {
    let meters = services.metrics.of(connection);
    entered.noting(services.ledger.clone(), meters, services.disk.clone())
}

/// What a log-in has when it comes to the gate, and what it goes by.
type Ready<'a> = (&'a Entered, Entitlement, Moments, (Arc<Generation>, u64));

/// The connection leads where it did, now that its session is in the list of those there are: whoever has
/// changed it before that did not find the session there. And this gateway can go by the rules there are.
async fn still_leads_there(
    door: &mut Door,
    services: &Services,
    moments: &mut Moments,
    (generation, standing): (&Generation, &Standing),
) -> Result<(), NoSession> {
    let name = &standing.connection.name;
    let (class, rule, what, next) = if services.governing.is_behind() {
        let what = "this gateway cannot take up the rules that are in force";
        (RefusalClass::Unavailable, rule::CURRENT_RULES, what, MENDED)
    } else if !services.now().leads_where(name, generation) {
        let what = "this connection is being changed or removed";
        (RefusalClass::Identity, rule::KNOWN_CONNECTION, what, "log in again")
    } else {
        return Ok(());
    };
    let refusal = Refusal {
        decision: moments.next().decision,
        class,
        rule: rule.to_owned(),
        what: what.to_owned(),
        why: String::new(),
        retry: Retry::Later,
        next: Some(next.to_owned()),
        review: None,
    };
    Err(turn_away(door, services, name, &standing.principal.subject, refusal).await)
}

/// How often a principal asks on a connection, where a rule limits that.
pub(crate) fn rate_of(
    judge: &SessionJudge,
    connection: &ConnectionServices,
    principal: &Principal,
) -> Option<Arc<RateMeter>> {
    let rate = || connection.rates.of(&principal.issuer, &principal.subject);
    judge.limits_rates().then(rate)
}

/// The judge of a session, which sees the grant it stands on.
pub(crate) fn judge_of(
    generation: &Generation,
    connection: &ConnectionServices,
    standing: &Standing,
    grant: Option<GrantFacts>,
) -> SessionJudge {
    let policy = generation.policies.for_session(standing, &connection.settings.groups);
    SessionJudge::new(policy.with_grant(grant), &standing.principal, connection)
}

/// Records that an admitted session came to nothing.
async fn closed_unopened(services: &Services, id: SessionId, reason: String) {
    let event = Event::SessionClosed { reason, recording: None };
    let entry = Entry { at: now(), session: Some(id), request: None, event };
    // A journal that cannot take this closes the session on recovery.
    let _ = services.ledger.append(entry, Durability::Durable).await;
}

/// What the settings of a start-up message would do as statements, which the policy decides about.
fn asked(settings: &StartupSettings) -> Vec<(Effect, String)> {
    let effect = |name: &str, value: &str| effect_of_setting(name, value);
    let judged = settings.judged();
    judged.map(|(name, value)| (effect(&name, value), format!("{name}={value}"))).collect()
}

/// A session whose client has not been told yet that it is in.
struct HalfSession {
    id: SessionId,
    link: portcullis_core::link::Link<Postgres, portcullis_targets::PgTransport>,
    gate: Gate<SessionJudge, Noting, portcullis_store::ReviewDesk>,
    judge: SessionJudge,
    conversation: Conversation,
    analyst: Arc<SessionAnalyst>,
    unasked: portcullis_core::permit::InFlight<Postgres>,
    connection: Arc<ConnectionServices>,
    governed: Governed,
    expires: portcullis_core::time::Timestamp,
    moments: Moments,
    rate: Option<Arc<RateMeter>>,
}

/// A cancel key of the gateway's own, that nobody has.
fn key_of(services: &Services, process: u32, minor: u16, cancel: &Cancel) -> Vec<u8> {
    loop {
        // Protocol 3.0 and 3.1 have keys of four bytes, 3.2 has longer ones.
        let key = random::<32>();
        let key = key.get(..if minor >= 2 { 32 } else { 4 }).unwrap_or(&key).to_vec();
        if services.cancels.enter(process, &key, cancel.clone()) {
            return key;
        }
    }
}

/// Tells the client that it is in, with the server's own settings and process id, and a cancel key
/// of the gateway's own.
async fn welcome(
    mut door: Door,
    services: &Arc<Services>,
    half: HalfSession,
    greeting: &Greeting,
    who: String,
    (minor, entered): (u16, Arc<Entered>),
) -> Result<Box<Opened>, NoSession> {
    let asked = CancelCount::default();
    let cancelled = asked.watch();
    let cancel = Cancel { asked, target: greeting.cancel.clone() };
    let cancel_key = (greeting.process_id, key_of(services, greeting.process_id, minor, &cancel));
    let mut session = Session {
        id: half.id,
        client: door.stream,
        inbox: door.buffer,
        link: half.link,
        gate: half.gate,
        judge: half.judge,
        governed: half.governed,
        conversation: half.conversation,
        analyst: half.analyst,
        unasked: half.unasked,
        copies: None,
        recorder: services.ledger.recorder(half.id),
        sample_rows: services.sample_rows,
        catalog: half.connection.catalog.clone(),
        inside: Inside::default(),
        labels: half.connection.labels.clone(),
        makes_labelled: false,
        telling: Telling::default(),
        // Until its place is known, it keeps nothing.
        share: Share::new(services.budget.clone(), Arc::default()),
        cancelled,
        lease: Lease::new(half.expires, entered.clone()),
        moments: half.moments,
        refused: HashMap::new(),
        used: Used::default(),
        counted: 0,
        put_off: Limits::default(),
        rate: half.rate,
        pipeline_ran: false,
        unkept: false,
        target_cancel: greeting.cancel.clone(),
        left: None,
        rehearsal: None,
        unwaited: None,
        began: Instant::now(),
    };
    let ready = prepare(&mut session, &half.connection).await;
    let mut opened = Box::new(Opened { session, who, entered, cancel_key, place: None });
    door = Door { stream: opened.session.client, buffer: BytesMut::new(), peer: door.peer };
    if let Err(error) = ready {
        let refused = door.refuse(&error).await;
        opened.session.client = door.stream;
        let end = match opened.entered.is_killed() {
            Some(killed) => End::Killed(killed),
            None => End::Unprepared(error.message),
        };
        opened.close(services, (&end, true)).await;
        return Err(refused);
    }
    let told = greet(&mut door, greeting, &opened.cancel_key).await;
    door.stream.logged_in();
    opened.session.client = door.stream;
    if let Err(error) = told {
        let reason = error.to_string();
        opened.close(services, (&End::Client(error), false)).await;
        return Err(NoSession::Refused(reason));
    }
    Ok(opened)
}

/// Tells a client that it is in, and what the target has said.
async fn greet(
    door: &mut Door,
    greeting: &Greeting,
    (process, key): &(u32, Vec<u8>),
) -> io::Result<()> {
    door.author(|out| {
        server::authentication_ok(out);
        for (name, value) in &greeting.parameters {
            server::parameter_status(out, name, value);
        }
        server::backend_key_data(out, process.cast_signed(), key);
        server::ready(out, greeting.transaction_status);
    })
    .await
}

/// Reads the catalog where nobody has, and checks that every mask rule names a column: one that
/// names none would mask nothing, silently.
async fn prepare(session: &mut Session, connection: &ConnectionServices) -> Result<(), WireError> {
    let failed = |error: &End| {
        if let Some(killed) = error.killed() {
            return killed_error(killed);
        }
        warn!(%error, "the target's catalog cannot be read");
        WireError::new("58000", "portcullis: the target's catalog cannot be read")
    };
    session.refresh_catalog().await.map_err(|e| failed(&e))?;
    let Some(catalog) = session.analyst.catalog() else { return Ok(()) };
    let missing = uncovered(&connection.sensitive, &catalog);
    match missing {
        None => Ok(()),
        Some(rule) => {
            warn!(column = rule.column, "a mask rule names no column of the target");
            let text = "portcullis: a mask rule of this connection names no column of the target; \
                        tell the operator of this gateway";
            Err(WireError::new("58000", text))
        }
    }
}

/// Takes statements apart with the session's catalog, and remembers short ones.
#[derive(Default)]
pub(crate) struct SessionAnalyst {
    state: Mutex<AnalystState>,
    epoch: AtomicU64,
}

#[derive(Default)]
struct AnalystState {
    catalog: Option<Arc<Catalog>>,
    known: Known,
}

impl SessionAnalyst {
    fn state(&self) -> std::sync::MutexGuard<'_, AnalystState> {
        // A cache: a panic leaves nothing half written that matters.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The catalog statements are taken apart with.
    pub(crate) fn catalog(&self) -> Option<Arc<Catalog>> {
        self.state().catalog.clone()
    }

    /// Uses this catalog from now on; true where it is another one than before.
    pub(crate) fn use_catalog(&self, catalog: &Arc<Catalog>) -> bool {
        let mut state = self.state();
        if state.catalog.as_ref().is_some_and(|c| Arc::ptr_eq(c, catalog)) {
            return false;
        }
        *state = AnalystState { catalog: Some(catalog.clone()), ..AnalystState::default() };
        self.epoch.fetch_add(1, Ordering::Relaxed);
        true
    }
}

impl Analyst for SessionAnalyst {
    fn analyse(&self, text: &str) -> Result<Arc<Analysis>, Unreadable> {
        let mut state = self.state();
        let AnalystState { catalog, known } = &mut *state;
        let Some(catalog) = catalog else {
            return Err(Unreadable::TooLarge { what: "the catalog not yet read", limit: 0 });
        };
        known.analyse(text, catalog, &SqlLimits::default())
    }

    fn code_of_literals(&self, type_oid: u32) -> Option<Object> {
        self.state().catalog.as_ref()?.code_of_literals(type_oid)
    }

    fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Relaxed)
    }
}
