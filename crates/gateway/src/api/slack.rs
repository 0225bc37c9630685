//! `POST /api/v1/slack/interactions`: what users of Slack press and write in messages of the gateway.
//!
//! A session or a token says nothing here: Slack signs what it sends. That makes a user of a workspace out
//! of it, and no more. The user is a person whom the configuration names, with the groups their provider
//! vouches for now; that person decides as in the console, by the same code, and where anything of it
//! cannot be known, the page is what is left.

use super::problem::Body;
use super::{Approval, Problem, Said, context, decide_as, front, messages};
use crate::moment::now;
use crate::notify::{Slack, SlackClient, decided_here, read_button, written_button};
use crate::rate::Rates;
use crate::services::Services;
use aws_lc_rs::hmac;
use axum::Json;
use axum::extract::{ConnectInfo, FromRequest as _, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Form, Router};
use portcullis_core::digest::Digest;
use portcullis_core::id::ReviewId;
use portcullis_core::journal::{Durability, Entry, Event, Journal as _};
use portcullis_core::time::Timestamp;
use portcullis_store::{BrowserSession, ReviewRow, Status};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tracing::{info, warn};

/// How far the time of a signature may be from now.
const WINDOW: Duration = Duration::from_secs(5 * 60);
/// How long Slack waits for an answer is 3 s; what takes longer goes on behind it.
const ANSWER: Duration = Duration::from_millis(2_500);
/// How many of them one user may send within a minute.
const PER_MINUTE: u64 = 60;
/// How many refusals of those who are not known to be Slack are recorded within a minute. All are in the
/// log.
const RECORDED: u64 = 10;
/// What stands for Slack where it is kept which signatures were used.
const KEPT: &str = "portcullis:slack";

/// Its route.
pub(super) fn routes() -> Router<Arc<Services>> {
    Router::new().route("/api/v1/slack/interactions", post(interactions))
}

/// The channels of Slack in which something is decided.
#[derive(Default)]
pub(crate) struct SlackDesk {
    channels: Vec<(Slack, SlackClient)>,
    by_user: Rates,
    unknown: Rates,
}

impl SlackDesk {
    pub(crate) fn new<'a>(all: impl Iterator<Item = &'a Slack>) -> anyhow::Result<Self> {
        let all = all.filter(|slack| slack.is_interactive());
        let channels = all.map(|slack| Ok((slack.clone(), SlackClient::new(slack)?)));
        Ok(Self { channels: channels.collect::<anyhow::Result<_>>()?, ..Self::default() })
    }
}

type Channel<'a> = &'a (Slack, SlackClient);

/// What Slack sends: a form with JSON in it.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "SlackInteraction")]
pub(super) struct Sent {
    /// `block_actions` or `view_submission`, as Slack documents them.
    payload: String,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Payload {
    BlockActions(Clicked),
    ViewSubmission(Submitted),
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Named {
    id: String,
}

#[derive(Deserialize)]
struct User {
    id: String,
    #[serde(default)]
    team_id: Option<String>,
}

#[derive(Deserialize)]
struct Clicked {
    team: Option<Named>,
    user: User,
    channel: Option<Named>,
    #[serde(default)]
    trigger_id: String,
    actions: Vec<Action>,
}

#[derive(Deserialize)]
struct Action {
    action_id: String,
    #[serde(default)]
    value: String,
}

#[derive(Deserialize)]
struct Submitted {
    team: Option<Named>,
    user: User,
    view: View,
}

#[derive(Deserialize)]
struct View {
    callback_id: String,
    private_metadata: String,
    state: Values,
}

#[derive(Deserialize)]
struct Values {
    values: ReasonBlock,
}

#[derive(Deserialize)]
struct ReasonBlock {
    reason: ReasonInput,
}

#[derive(Deserialize)]
struct ReasonInput {
    reason: Reason,
}

#[derive(Deserialize)]
struct Reason {
    #[serde(default)]
    value: Option<String>,
}

/// What somebody wants, by a button or a form.
enum Wanted {
    Approve,
    /// They are asked why first.
    AskWhy {
        trigger: String,
    },
    Reject {
        reason: String,
    },
}

/// A decision that may be one.
struct Asked<'a> {
    channel: Channel<'a>,
    user: String,
    about: (ReviewId, Digest),
    wanted: Wanted,
}

/// Why nothing was decided, and what is known of who wanted it.
#[derive(Debug, Default)]
struct Refused {
    why: String,
    user: Option<String>,
    review: Option<ReviewId>,
    /// It is recorded already, as that of a person.
    recorded: bool,
}

impl Refused {
    fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), ..Self::default() }
    }
}

async fn interactions(
    State(services): State<Arc<Services>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Body(body): Body,
) -> Response {
    if services.slack.channels.is_empty() {
        return front::no_such_route().into_response();
    }
    let signed = match signed(&services, &headers, &body).await {
        Ok(signed) => signed,
        Err((status, why)) => {
            let [_, minute, _] = services.slack.unknown.of("", "").count(Instant::now(), 1);
            let refused = Refused::new(why.clone());
            record(&services, peer, &refused, minute < RECORDED).await;
            return Problem::new(status, why).into_response();
        }
    };
    let asked = match payload(&body).await.and_then(|payload| asked(signed, payload)) {
        Ok(Some(asked)) => asked,
        Ok(None) => return StatusCode::OK.into_response(),
        Err(refused) => {
            record(&services, peer, &refused, true).await;
            // Slack shows its user that it failed.
            return Problem::new(StatusCode::FORBIDDEN, refused.why).into_response();
        }
    };
    // By who presses: an address may be that of a proxy, which everybody has.
    let [_, minute, _] =
        services.slack.by_user.of(&asked.channel.0.team, &asked.user).count(Instant::now(), 1);
    if minute >= PER_MINUTE {
        let why = "too many interactions within a minute; ask later";
        let refused = Problem::new(StatusCode::TOO_MANY_REQUESTS, why);
        return ([(header::RETRY_AFTER, "60")], refused).into_response();
    }
    let from = asked.channel.0.name.clone();
    let (user, by_form) = (asked.user.clone(), matches!(asked.wanted, Wanted::Reject { .. }));
    // A form is answered in the form, as long as there is somebody to read it.
    let in_form = Arc::new(AtomicBool::new(by_form));
    let (asking, review) = (asked.wanted, asked.about);
    let at_work = tokio::spawn({
        let (services, in_form) = (services.clone(), in_form.clone());
        async move { work(&services, peer, (&from, &user), (review, asking), &in_form).await }
    });
    let why = match tokio::time::timeout(ANSWER, at_work).await {
        Ok(Ok(why)) => why,
        Ok(Err(_)) => Some("Nothing is known of what became of it: look at its page".to_owned()),
        // The form closes, and what becomes of it is told in the channel.
        Err(_) if in_form.swap(false, Ordering::SeqCst) => None,
        // It came to its end at this moment, with nobody told.
        Err(_) if by_form => Some("It took too long: look at its page".to_owned()),
        Err(_) => None,
    };
    match why.filter(|_| by_form) {
        Some(why) => {
            let errors = json!({ "reason": why.chars().take(500).collect::<String>() });
            Json(json!({ "response_action": "errors", "errors": errors })).into_response()
        }
        None => StatusCode::OK.into_response(),
    }
}

/// Decides, and tells who pressed a button what came of it. Gives why nothing did.
async fn work(
    services: &Services,
    peer: SocketAddr,
    (from, user): (&str, &str),
    (about, wanted): ((ReviewId, Digest), Wanted),
    in_form: &AtomicBool,
) -> Option<String> {
    let channel = services.slack.channels.iter().find(|(slack, _)| slack.name == from)?;
    let asked = Asked { channel, user: user.to_owned(), about, wanted };
    let (words, refused) = match decided(services, &asked).await {
        Ok(words) => (words, None),
        Err(mut refused) => {
            refused.user = Some(named(&channel.0, user));
            refused.review = Some(about.0);
            record(services, peer, &refused, !refused.recorded).await;
            let page = services.sign_in.public();
            let page = page.map(|public| format!("{}/reviews/{}", public.origin, about.0));
            let page = page.unwrap_or_else(|| format!("portcullis review show {}", about.0));
            let words = format!("Nothing was decided: {}. Its page: {page}", refused.why);
            (Some(words.clone()), Some(words))
        }
    };
    let told_there = in_form.swap(false, Ordering::SeqCst);
    if let (Some(words), false) = (words, told_there) {
        channel.1.whisper(&channel.0, user, &words).await;
    }
    refused
}

/// How a user of Slack is called in the record.
fn named(slack: &Slack, user: &str) -> String {
    format!("slack:{}/{user}", slack.team)
}

/// The channels whose app has signed this, now and for the first time.
async fn signed<'a>(
    services: &'a Services,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Vec<Channel<'a>>, (StatusCode, String)> {
    let no = |why: &str| (StatusCode::FORBIDDEN, why.to_owned());
    let header = |name: &str| {
        let mut all = headers.get_all(name).into_iter();
        let only = all.next().filter(|_| all.next().is_none());
        only.and_then(|value| value.to_str().ok())
    };
    let (Some(at), Some(signature)) =
        (header("x-slack-request-timestamp"), header("x-slack-signature"))
    else {
        return Err(no("it is not signed by Slack: X-Slack-Signature and -Request-Timestamp"));
    };
    let tag = tag(signature).ok_or_else(|| no("X-Slack-Signature cannot be read"))?;
    let mut found = Vec::new();
    for channel in &services.slack.channels {
        match channel.0.signing_secret() {
            Ok(secret) if is_signed(&secret, at, body, &tag) => found.push(channel),
            Ok(_) => {}
            Err(why) => warn!(channel = channel.0.name, why, "nothing is decided in this channel"),
        }
    }
    if found.is_empty() {
        return Err(no("the signature is not that of an app of this gateway"));
    }
    let until = within(at, now()).ok_or_else(|| no("its time is more than 5 minutes off"))?;
    let id: String = tag.iter().fold(String::new(), |mut id, byte| {
        // Writing to a string does not fail.
        let _ = write!(id, "{byte:02x}");
        id
    });
    match services.sign_in.saml.assertions.use_once((KEPT, &id, until)).await {
        Ok(true) => Ok(found),
        Ok(false) => Err(no("it was used already: it is a replay")),
        Err(error) => Err((StatusCode::SERVICE_UNAVAILABLE, error.to_string())),
    }
}

/// The bytes of a signature, in its one spelling.
fn tag(text: &str) -> Option<[u8; 32]> {
    // A digest is written in the same way.
    let digest: Digest = text.strip_prefix("v0=")?.parse().ok()?;
    Some(*digest.as_bytes())
}

/// HMAC-SHA256 over version, time and body, compared in constant time.
fn is_signed(secret: &str, at: &str, body: &[u8], tag: &[u8; 32]) -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let message = [b"v0:", at.as_bytes(), b":", body].concat();
    hmac::verify(&key, &message, tag).is_ok()
}

/// Until when a signature of this time is to be remembered, where it is taken now.
fn within(at: &str, now: Timestamp) -> Option<Timestamp> {
    if at.is_empty() || at.len() > 12 || !at.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let at = Timestamp::from_micros(at.parse::<i64>().ok()? * 1_000_000);
    let off = at.as_micros().abs_diff(now.as_micros());
    (u128::from(off) <= WINDOW.as_micros()).then(|| at.plus(WINDOW * 2))
}

async fn payload(body: &[u8]) -> Result<Payload, Refused> {
    let unreadable = || Refused::new("it cannot be read, though it is signed");
    let form = Request::builder()
        .method("POST")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(axum::body::Body::from(body.to_vec()))
        .map_err(|_| unreadable())?;
    let Form(sent) = Form::<Sent>::from_request(form, &()).await.map_err(|_| unreadable())?;
    serde_json::from_str(&sent.payload).map_err(|_| unreadable())
}

/// What is asked for, in which channel; `None` where it is nothing of ours.
fn asked(signed: Vec<Channel<'_>>, payload: Payload) -> Result<Option<Asked<'_>>, Refused> {
    let (team, user, place, value, wanted) = match payload {
        Payload::Other => return Ok(None),
        Payload::BlockActions(Clicked { team, user, channel, trigger_id, actions }) => {
            let Ok([action]) = <[Action; 1]>::try_from(actions) else { return Ok(None) };
            let wanted = match action.action_id.as_str() {
                "approve" => Wanted::Approve,
                "reject" => Wanted::AskWhy { trigger: trigger_id },
                _ => return Ok(None),
            };
            let place = channel.map(|channel| channel.id).unwrap_or_default();
            (team, user, Err(place), action.value, wanted)
        }
        Payload::ViewSubmission(Submitted { team, user, view }) => {
            if view.callback_id != "reject" {
                return Ok(None);
            }
            let (name, value) = view.private_metadata.split_once('\n').unwrap_or_default();
            let reason = view.state.values.reason.reason.value.unwrap_or_default();
            let wanted = Wanted::Reject { reason };
            (team, user, Ok(name.to_owned()), value.to_owned(), wanted)
        }
    };
    let known = read_button(&value);
    let no = |why: &str| {
        let team = team.as_ref().map_or("?", |team| &*team.id);
        let clean =
            |text: &str| text.chars().filter(char::is_ascii_alphanumeric).take(32).collect();
        let (team, id): (String, String) = (clean(team), clean(&user.id));
        let review = known.map(|(review, _)| review);
        Refused { user: Some(format!("slack:{team}/{id}")), review, ..Refused::new(why) }
    };
    let of_team = |slack: &Slack| {
        let theirs = user.team_id.as_ref().is_none_or(|id| *id == slack.team);
        theirs && team.as_ref().is_some_and(|team| team.id == slack.team)
    };
    let mut found = signed.into_iter().filter(|(slack, _)| of_team(slack)).peekable();
    if found.peek().is_none() {
        return Err(no("it comes from another workspace"));
    }
    let is_there = |slack: &Slack| match &place {
        Ok(name) => slack.name == *name,
        Err(channel) => slack.channel == *channel,
    };
    let channel = found.find(|(slack, _)| is_there(slack));
    let channel = channel.ok_or_else(|| no("it comes from a channel that is told nothing"))?;
    let about = known.ok_or_else(|| no("it is about no review"))?;
    Ok(Some(Asked { channel, user: user.id, about, wanted }))
}

/// Decides as the person that the user is; what they are told.
async fn decided(services: &Services, asked: &Asked<'_>) -> Result<Option<String>, Refused> {
    let (slack, client) = asked.channel;
    let person = slack.person(&asked.user).ok_or_else(|| {
        Refused::new("this user of Slack is nobody the gateway knows: an administrator maps them")
    })?;
    super::current(services).map_err(|behind| Refused::new(behind.detail))?;
    let who = (person.issuer.as_str(), person.subject.as_str());
    let vouching = services.now().vouching.clone();
    let signed_in = services.sign_in.signed_in(&vouching, who, now()).await;
    let signed_in = signed_in.map_err(|error| Refused::new(error.to_string()))?;
    // Not by a provider that was taken back, where the store was not told yet.
    let owed = |session: &BrowserSession| services.documents.owed.is_of([&session.vouched_as]);
    let person = signed_in.filter(|session| !owed(session)).ok_or_else(|| {
        Refused::new(
            "what you may do is known only while you are signed in: sign in at the console, then \
             press again",
        )
    })?;
    let (id, digest) = asked.about;
    let found = services.desk.get(id).await.map_err(|error| Refused::new(error.to_string()))?;
    let row = found.ok_or_else(|| Refused::new("there is no such review any more"))?;
    if row.ask.digest != digest {
        return Err(Refused::new("it is not about what was shown"));
    }
    may_be_decided(services, &row).map_err(Refused::new)?;
    let said = match &asked.wanted {
        Wanted::Approve => Said::Approved(Approval::default()),
        Wanted::AskWhy { trigger } => {
            // Whoever may not decide is told so behind the form, by the same code.
            let about = format!("{}\n{}", slack.name, written_button(id, digest));
            let asked = client.ask_why(slack, trigger, &about).await;
            return asked.map(|()| None).map_err(Refused::new);
        }
        Wanted::Reject { reason } if reason.trim().is_empty() || reason.len() > 1_000 => {
            return Err(Refused::new("say why in 1 to 1000 bytes: the caller reads it"));
        }
        Wanted::Reject { reason } => Said::Rejected(reason.clone()),
    };
    let via = named(slack, &asked.user);
    let by = (person.person.into(), Some(via), vouching);
    let decided = decide_as(services, &id.to_string(), &HeaderMap::new(), by, said).await;
    let row = decided.map_err(|problem| Refused {
        recorded: problem.status != StatusCode::NOT_FOUND,
        ..Refused::new(problem.detail)
    })?;
    let waits: Vec<&str> = row.waiting_for.iter().map(String::as_str).collect();
    let told = (row.status == Status::Pending)
        .then(|| format!("Your approval is noted. It still waits for {}.", waits.join(", ")));
    Ok(told)
}

/// Whether this review may be decided in a channel, as it stands now.
fn may_be_decided(services: &Services, row: &ReviewRow) -> Result<(), &'static str> {
    shown_in_chat(services, row).map(drop)
}

/// Its text, where a review may be decided in a channel: whole, and with nothing in it that detectors find.
pub(crate) fn shown_in_chat(services: &Services, row: &ReviewRow) -> Result<String, &'static str> {
    let text = decided_here(row)?;
    match messages::scrubbed(services, row, &text) == text {
        true => Ok(text),
        false => Err("something in its text is for its page alone"),
    }
}

/// What the caller of a review claims to be here for.
pub(crate) async fn claimed(services: &Services, row: &ReviewRow) -> Option<String> {
    context::purpose(services, &row.ask.standing.principal).await
}

/// Records that nothing was decided. What is not known to come from Slack is recorded sparingly, so that
/// nobody fills a disk by it.
async fn record(services: &Services, peer: SocketAddr, refused: &Refused, recorded: bool) {
    let Refused { why, user, review, .. } = refused;
    info!(%peer, why, user, "an interaction of Slack was refused");
    if recorded {
        let (by, peer, why) = (user.clone(), peer.to_string(), why.clone());
        let event = Event::ChatRefused { chat: "slack".into(), by, review: *review, peer, why };
        // The refusal stands whether or not it could be recorded.
        let entry = Entry::outside(now(), event);
        let _ = services.ledger.append(entry, Durability::Durable).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of Slack's own documentation, "Verifying requests from Slack".
    const SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
    const AT: &str = "1531420618";
    const BODY: &[u8] = b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    const SIGNATURE: &str = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";

    #[test]
    fn a_signature_is_that_of_slacks_documentation() {
        let signature = tag(SIGNATURE).unwrap();
        assert!(is_signed(SECRET, AT, BODY, &signature));
        assert!(!is_signed("8f742231b10e8888abcd99yyyzzz85a6", AT, BODY, &signature));
        assert!(!is_signed(SECRET, "1531420619", BODY, &signature));
        assert!(!is_signed(SECRET, AT, &BODY[1..], &signature));
        let upper = SIGNATURE.to_uppercase();
        for text in ["", "v0=", "v1=00", &SIGNATURE[3..], &SIGNATURE[..66], &upper] {
            assert_eq!(tag(text), None, "{text}");
        }
    }

    #[test]
    fn a_time_is_good_for_five_minutes() {
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        for (now, good) in [
            (1_531_420_618, true),
            (1_531_420_918, true),
            (1_531_420_919, false),
            (1_531_420_318, true),
            (1_531_420_317, false),
        ] {
            assert_eq!(within(AT, at(now)).is_some(), good, "{now}");
        }
        // It is remembered for as long as it would be taken.
        assert_eq!(within(AT, at(1_531_420_318)), Some(at(1_531_421_218)));
        for text in ["", "-1", "1531420618.0", "+1531420618", "99999999999999999999"] {
            assert_eq!(within(text, at(1_531_420_618)), None, "{text}");
        }
    }
}
