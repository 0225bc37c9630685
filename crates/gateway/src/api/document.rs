//! `/api/v1/openapi.json`: the API as OpenAPI 3.1 has it. Schemas are derived from what handlers answer and
//! read, paths and rights from `routes.rs`; what a route does is said here, and a test fails where a route is
//! not described or the committed document (`docs/reference/openapi.json`) is another.

use super::auth::saml::{MetadataQuery, Ticket};
use super::auth::{EndedBrowser, LoginQuery, Me, Offered, SignedOut};
use super::connections::ConnectionShown;
use super::context::Context;
use super::documents::{Listed, Shown, Text};
use super::grants::{End, GrantApproval};
use super::health::Health;
use super::identity::Identity;
use super::live::{Ended, KillMany, Reason};
use super::messages;
use super::page::ListQuery;
use super::passkeys::{Added, Challenge, Creation, RemovedPasskey};
use super::pauses;
use super::problem::{Told, WORDS};
use super::record::Record;
use super::recordings::{RecordingShown, RecordingsQuery, TimelineQuery};
use super::routes::{ROUTES, Route, Who};
use super::rules::RulesInForce;
use super::settings::Effective;
use super::token::{Asked, Given, ToldNot};
use super::trials;
use super::watch::WatchQuery;
use super::{Approval, Consent, Problem, Rejection, idempotency, slack, tag};
use crate::documents::{Applied, Plan, Wanted};
use crate::live::LiveSession;
use crate::manifest::Manifest;
use crate::recordings::Recording;
use crate::rejudge::Rejudged;
use crate::{freezes, grants};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use portcullis_store::{
    BrowserSession, CredentialRow, DocumentChanged, FreezeRow, GrantRow, NotificationRow,
    PasskeyRow, PatternRow, ReviewMessage, ReviewRow,
};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};
use std::sync::LazyLock;

/// Made once.
static DOCUMENT: LazyLock<Value> = LazyLock::new(document);

/// The document, for whoever asks: it says nothing of anybody.
pub(super) async fn serve(headers: HeaderMap) -> Result<Response, Problem> {
    tag::tagged(&headers, &*DOCUMENT)
}

type Schema = fn(&mut SchemaGenerator) -> Value;
/// A media type, and what stands in it.
type Content = (&'static str, Schema);

fn one<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
    generator.subschema_for::<T>().to_value()
}

fn list<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
    json!({ "type": "array", "items": one::<T>(generator) })
}

/// RFC 7517 §5.
fn key_set(_: &mut SchemaGenerator) -> Value {
    let key =
        json!({ "type": "object", "required": ["kty", "kid", "x"], "additionalProperties": true });
    json!({
        "type": "object", "required": ["keys"],
        "properties": { "keys": { "type": "array", "items": key } },
    })
}

fn anything(_: &mut SchemaGenerator) -> Value {
    json!({ "type": "object", "additionalProperties": true })
}

fn text(_: &mut SchemaGenerator) -> Value {
    json!({ "type": "string" })
}

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";
const TEXT: &str = "text/plain";

/// What a route does.
struct Described {
    route: (&'static str, &'static str),
    id: &'static str,
    summary: &'static str,
    query: Option<Schema>,
    pages: bool,
    body: Option<(&'static str, Schema, bool)>,
    /// Status, what that means, and of what kind the body is, where there is one.
    answers: Vec<(u16, &'static str, Option<Content>)>,
    refusals: Vec<u16>,
}

fn does(route: (&'static str, &'static str), id: &'static str, summary: &'static str) -> Described {
    let (answers, refusals) = (Vec::new(), Vec::new());
    Described { route, id, summary, query: None, pages: false, body: None, answers, refusals }
}

impl Described {
    fn query<T: JsonSchema>(self) -> Self {
        Self { query: Some(one::<T>), ..self }
    }

    fn pages<T: JsonSchema>(self) -> Self {
        Self { pages: true, ..self.query::<ListQuery>().gives(200, "A page", JSON, list::<T>) }
    }

    /// A list that is asked for by more than its part.
    fn lists<Q: JsonSchema, T: JsonSchema>(self) -> Self {
        self.linked::<Q>(list::<T>)
    }

    /// Pages that are linked.
    fn linked<Q: JsonSchema>(self, of: Schema) -> Self {
        Self { pages: true, ..self.query::<Q>().gives(200, "A page", JSON, of) }
    }

    fn takes<T: JsonSchema>(self, kind: &'static str) -> Self {
        Self { body: Some((kind, one::<T>, true)), ..self }
    }

    fn may_take<T: JsonSchema>(self) -> Self {
        Self { body: Some((JSON, one::<T>, false)), ..self }
    }

    fn gives(mut self, status: u16, what: &'static str, kind: &'static str, of: Schema) -> Self {
        self.answers.push((status, what, Some((kind, of))));
        self
    }

    fn answers<T: JsonSchema>(self) -> Self {
        self.gives(200, "Done", JSON, one::<T>)
    }

    fn sends_on(mut self) -> Self {
        self.answers.push((303, "Goes on at `Location`", None));
        self
    }

    /// What came of it is told elsewhere.
    fn taken(mut self) -> Self {
        self.answers.push((200, "It was taken; who did it is told in Slack what came of it", None));
        self
    }

    /// It has an entity tag.
    fn tagged(mut self) -> Self {
        self.answers.push((304, "It is what `If-None-Match` says", None));
        self
    }

    fn refuses(mut self, with: &[u16]) -> Self {
        self.refusals.extend(with);
        self
    }
}

fn signing_in() -> Vec<Described> {
    vec![
        does(("GET", "/auth/providers"), "listProviders", "The providers people sign in with")
            .gives(200, "All of them", JSON, list::<Offered<'_>>),
        does(("GET", "/auth/login"), "signIn", "Sends a browser to a provider to sign in")
            .query::<LoginQuery>()
            .sends_on()
            .refuses(&[400, 404, 421]),
        does(
            ("GET", "/auth/callback"),
            "finishSignIn",
            "Where an OIDC provider sends a browser back",
        )
        .sends_on()
        .refuses(&[400, 404]),
        does(("POST", "/auth/logout"), "signOut", "Ends the session of this browser")
            .answers::<SignedOut>(),
        does(
            ("POST", "/auth/saml/acs"),
            "takeAssertion",
            "Where the page of a SAML provider posts",
        )
        .sends_on()
        .refuses(&[400, 404]),
        does(
            ("GET", "/auth/saml/finish"),
            "finishSamlSignIn",
            "Lets in who has begun here, or asks",
        )
        .query::<Ticket>()
        .gives(200, "A page that asks", "text/html", text)
        .sends_on()
        .refuses(&[400]),
        does(("POST", "/auth/saml/finish"), "confirmSamlSignIn", "Lets in who was asked")
            .takes::<Ticket>(FORM)
            .sends_on()
            .refuses(&[400, 415]),
        does(
            ("GET", "/auth/saml/metadata"),
            "getSamlMetadata",
            "What a SAML provider has to know of this gateway",
        )
        .query::<MetadataQuery>()
        .gives(200, "Metadata of SAML 2.0", "application/samlmetadata+xml", text)
        .refuses(&[400, 404]),
        does(("GET", "/api/v1/me"), "getMe", "Who is asking, and what that may do").answers::<Me>(),
        does(
            ("GET", "/api/v1/browser-sessions"),
            "listBrowserSessions",
            "The caller's sessions in browsers; with `all`, for administrators, everybody's",
        )
        .pages::<BrowserSession>(),
        does(
            ("DELETE", "/api/v1/browser-sessions/{id}"),
            "endBrowserSession",
            "Ends a session in a browser",
        )
        .answers::<EndedBrowser>()
        .refuses(&[409]),
    ]
}

fn passkeys() -> Vec<Described> {
    vec![
        does(
            ("GET", "/api/v1/passkeys"),
            "listPasskeys",
            "The caller's passkeys, newest first; with `all`, for administrators, everybody's",
        )
        .pages::<PasskeyRow>(),
        does(
            ("POST", "/api/v1/passkeys/challenge"),
            "challengePasskey",
            "What a browser needs to make a passkey, and what one that is there has to sign first",
        )
        .answers::<Creation>(),
        does(("POST", "/api/v1/passkeys"), "registerPasskey", "Registers a passkey")
            .takes::<Added>(JSON)
            .gives(201, "It is registered", JSON, one::<PasskeyRow>)
            .refuses(&[409]),
        does(("DELETE", "/api/v1/passkeys/{id}"), "removePasskey", "Removes a passkey")
            .answers::<RemovedPasskey>(),
    ]
}

fn reviews() -> Vec<Described> {
    vec![
        does(
            ("GET", "/api/v1/reviews"),
            "listReviews",
            "Reviews that are to be decided, newest first; with `all` those that are over too",
        )
        .pages::<ReviewRow>(),
        does(("GET", "/api/v1/reviews/{id}"), "getReview", "One review")
            .answers::<ReviewRow>()
            .tagged(),
        does(
            ("POST", "/api/v1/reviews/{id}/approve"),
            "approveReview",
            "Approves this request, or others like it as well",
        )
        .may_take::<Approval>()
        .answers::<ReviewRow>()
        .refuses(&[409, 412]),
        does(
            ("POST", "/api/v1/reviews/{id}/challenge"),
            "challengeReview",
            "What a passkey has to sign to approve this request as it stands now",
        )
        .may_take::<Consent>()
        .answers::<Challenge>()
        .refuses(&[409, 422]),
        does(
            ("POST", "/api/v1/reviews/{id}/reject"),
            "rejectReview",
            "Rejects this request, with a reason",
        )
        .takes::<Rejection>(JSON)
        .answers::<ReviewRow>()
        .refuses(&[409, 412]),
        does(
            ("GET", "/api/v1/reviews/{id}/context"),
            "getReviewContext",
            "What happened around a request",
        )
        .answers::<Context>(),
        does(
            ("POST", "/api/v1/reviews/{id}/messages"),
            "sayAboutReview",
            "Asks something about a request before deciding, or answers",
        )
        .takes::<messages::Wanted>(JSON)
        .answers::<ReviewMessage>()
        .refuses(&[409, 422]),
        does(
            ("GET", "/api/v1/events"),
            "listen",
            "What waits, runs and is frozen, whenever it changes, as server-sent events",
        )
        .gives(200, "Events", "text/event-stream", text)
        .refuses(&[429]),
        does(
            ("GET", "/api/v1/patterns"),
            "listPatterns",
            "Patterns people have given, newest first",
        )
        .pages::<PatternRow>(),
        does(("POST", "/api/v1/patterns/{id}/revoke"), "revokePattern", "Takes a pattern back")
            .answers::<PatternRow>()
            .refuses(&[409]),
    ]
}

fn access() -> Vec<Described> {
    vec![
        does(
            ("GET", "/api/v1/grants"),
            "listGrants",
            "Access that waits for people or is granted, newest first; with `all` what is over too",
        )
        .pages::<GrantRow>(),
        does(("POST", "/api/v1/grants"), "requestAccess", "Asks people for access, for a time")
            .takes::<grants::Wanted>(JSON)
            .gives(201, "People are asked", JSON, one::<GrantRow>)
            .gives(200, "The same waits already", JSON, one::<GrantRow>)
            .refuses(&[404, 409, 429]),
        does(("GET", "/api/v1/grants/{id}"), "getGrant", "One grant, or request for one")
            .answers::<GrantRow>()
            .refuses(&[422]),
        does(
            ("POST", "/api/v1/grants/{id}/approve"),
            "approveGrant",
            "Approves a request for access",
        )
        .may_take::<GrantApproval>()
        .answers::<GrantRow>()
        .refuses(&[409, 422, 429]),
        does(
            ("POST", "/api/v1/grants/{id}/challenge"),
            "challengeGrant",
            "What a passkey has to sign to approve this request for access",
        )
        .answers::<Challenge>()
        .refuses(&[409, 429]),
        does(
            ("POST", "/api/v1/grants/{id}/reject"),
            "rejectGrant",
            "Rejects a request for access, with a reason",
        )
        .takes::<Rejection>(JSON)
        .answers::<GrantRow>()
        .refuses(&[409, 429]),
        does(
            ("POST", "/api/v1/grants/{id}/end"),
            "endGrant",
            "Ends a grant and its sessions, or takes a request back",
        )
        .may_take::<End>()
        .answers::<GrantRow>()
        .refuses(&[409]),
    ]
}

/// How the gateway itself stands.
fn inside() -> Vec<Described> {
    vec![
        does(
            ("GET", "/api/v1/connections"),
            "listConnections",
            "The connections that let the caller in; to administrators all of them, with where they lead",
        )
        .gives(200, "All of them", JSON, list::<ConnectionShown>)
        .refuses(&[429]),
        does(("GET", "/api/v1/health"), "getHealth", "What was found when it was looked at everything last")
            .answers::<Health>(),
        does(("POST", "/api/v1/health"), "checkHealth", "Looks at everything, unless somebody is at it")
            .gives(202, "It is being looked at", JSON, one::<Health>),
        does(("GET", "/api/v1/settings"), "getSettings", "The configuration, without secrets")
            .answers::<Effective>(),
        does(("GET", "/api/v1/rules"), "getRules", "Every rule in force, with its text")
            .answers::<RulesInForce>(),
        does(("GET", "/api/v1/audit"), "getRecord", "What was found when the record was verified last")
            .answers::<Record>(),
        does(("POST", "/api/v1/audit"), "verifyRecord", "Verifies the record, unless that is being done")
            .gives(202, "It is being verified", JSON, one::<Record>),
        does(("GET", "/api/v1/identity"), "getIdentity", "Who vouches for callers, and who may do what")
            .answers::<Identity>(),
    ]
}

fn control() -> Vec<Described> {
    vec![
        does(("GET", "/healthz"), "isAlive", "Whether the gateway runs").gives(200, "It does", TEXT, text),
        does(("GET", "/readyz"), "isReady", "Whether requests are taken")
            .gives(200, "They are", TEXT, text)
            .gives(503, "They are not, and why: a line for each reason", TEXT, text),
        does(("GET", "/agent.md"), "getAgentPage", "What the caller may reach, as a page for language models")
            .gives(200, "Markdown", "text/markdown", text),
        does(("GET", "/api/v1/manifest"), "getManifest", "What the caller may reach, and what becomes of its requests")
            .answers::<Manifest>(),
        does(("GET", "/api/v1/openapi.json"), "getDocument", "This document")
            .gives(200, "OpenAPI 3.1", JSON, anything)
            .tagged(),
        does(("GET", "/api/v1/sessions"), "listSessions", "Sessions there are now, oldest first")
            .pages::<LiveSession>(),
        does(("POST", "/api/v1/sessions/kill"), "endSessions", "Ends sessions of an agent, or on a connection")
            .takes::<KillMany>(JSON)
            .answers::<Ended>(),
        does(("POST", "/api/v1/sessions/{id}/kill"), "endSession", "Ends a session")
            .takes::<Reason>(JSON)
            .answers::<Ended>(),
        does(
            ("GET", "/api/v1/notifications"),
            "listNotifications",
            "What people were told of what waits for them, and whether it was taken, newest first",
        )
        .pages::<NotificationRow>(),
        does(("GET", "/api/v1/freezes"), "listFreezes", "What is frozen, newest first; with `all` what was too")
            .pages::<FreezeRow>(),
        does(("POST", "/api/v1/freezes"), "freeze", "Keeps agents from something, for a time")
            .takes::<freezes::Wanted>(JSON)
            .gives(201, "It is frozen", JSON, one::<FreezeRow>)
            .refuses(&[409]),
        does(("DELETE", "/api/v1/freezes/{id}"), "thaw", "Ends a freeze").answers::<FreezeRow>(),
        does(("POST", "/api/v1/slack/interactions"), "interact", "What somebody presses or writes in Slack, signed by Slack; nowhere where nothing is decided there")
            .takes::<slack::Sent>(FORM)
            .taken()
            .refuses(&[404, 429]),
        does(("POST", "/api/v1/token"), "exchangeToken", "Exchanges tokens for a credential (RFC 8693)")
            .takes::<Asked>(FORM)
            .answers::<Given<'_>>()
            .gives(400, "No credential (RFC 6749 §5.2)", JSON, one::<ToldNot>)
            .gives(429, "Too many requests", JSON, one::<ToldNot>)
            .gives(503, "Not now", JSON, one::<ToldNot>),
        does(("GET", "/api/v1/credentials"), "listCredentials", "The caller's credentials and those of who acts for it, newest first; with `all` those that are over too")
            .pages::<CredentialRow>(),
        does(("GET", "/api/v1/credentials/keys"), "listKeys", "The public keys credentials are signed with (RFC 7517)")
            .gives(200, "A JWK set", JSON, key_set)
            .tagged(),
        does(("DELETE", "/api/v1/credentials/{id}"), "revokeCredential", "Takes a credential back, and ends its sessions")
            .answers::<CredentialRow>()
            .refuses(&[409]),
    ]
}

fn documents() -> Vec<Described> {
    let list =
        "The documents there are: connections and policies that are changed while the gateway runs";
    vec![
        does(("GET", "/api/v1/documents"), "listDocuments", list).answers::<Listed>(),
        does(
            ("POST", "/api/v1/documents/plan"),
            "planDocuments",
            "Checks a change of documents as a whole, and says what it would change",
        )
        .takes::<Wanted>(JSON)
        .answers::<Plan>()
        .refuses(&[412]),
        does(
            ("POST", "/api/v1/documents/apply"),
            "applyDocuments",
            "Changes documents, all or none, where they are at `revision` still",
        )
        .takes::<Wanted>(JSON)
        .answers::<Applied>()
        .refuses(&[409, 412]),
        does(
            ("POST", "/api/v1/documents/rejudge"),
            "rejudgeDocuments",
            "Judges a part of what is recorded again, as if a change of documents were in force",
        )
        .takes::<trials::RejudgeWanted>(JSON)
        .answers::<Rejudged>()
        .refuses(&[412, 429]),
        does(
            ("POST", "/api/v1/explain"),
            "explain",
            "Why something is said to a request, by which rules, and how that could change",
        )
        .takes::<trials::ExplainWanted>(JSON)
        .answers::<trials::Explained>()
        .refuses(&[403, 404, 409, 429]),
        does(("GET", "/api/v1/documents/{id}"), "getOneDocument", "A document, by `KIND.NAME`")
            .answers::<Shown>()
            .tagged(),
        does(
            ("GET", "/api/v1/documents/{id}/history"),
            "getDocumentHistory",
            "What became of a document, the newest change first: the last hundred",
        )
        .gives(200, "Its changes", JSON, list_of_changes),
        does(
            ("PUT", "/api/v1/documents/{id}"),
            "putDocument",
            "Makes a document, or changes the one that `If-Match` says",
        )
        .takes::<Text>(JSON)
        .answers::<Applied>()
        .refuses(&[409, 412, 428]),
        does(
            ("DELETE", "/api/v1/documents/{id}"),
            "removeDocument",
            "Removes the document that `If-Match` says",
        )
        .answers::<Applied>()
        .refuses(&[409, 412, 422, 428]),
    ]
}

fn list_of_changes(generator: &mut SchemaGenerator) -> Value {
    list::<DocumentChanged>(generator)
}

/// Moments of a session: what is in them is as the journal and recordings have it (`FORMAT.md` of the ledger).
fn moments(_: &mut SchemaGenerator) -> Value {
    let moment = json!({
        "type": "object", "required": ["at", "offset", "what"],
        "properties": {
            "at": { "type": "integer", "description": "Microseconds since 1970" },
            "offset": { "type": "integer", "description": "Microseconds since the session began" },
            "request": { "type": "string" },
            "entry": { "type": "integer", "description": "The number of the entry; absent for what was recorded" },
            "what": { "type": "object", "required": ["event"], "additionalProperties": true },
        },
    });
    json!({ "type": "array", "items": moment })
}

fn recorded() -> Vec<Described> {
    vec![
        does(
            ("GET", "/api/v1/recordings"),
            "searchRecordings",
            "Recorded sessions the caller may see, newest first; a search by text or object is recorded",
        )
        .lists::<RecordingsQuery, Recording>()
        .refuses(&[429]),
        does(("GET", "/api/v1/recordings/{id}"), "getRecording", "A recorded session, and who was shown what of it")
            .answers::<RecordingShown>()
            .refuses(&[429]),
        does(
            ("GET", "/api/v1/recordings/{id}/timeline"),
            "getTimeline",
            "What happened in a session, with masked samples of what was answered; recorded before it is given",
        )
        .linked::<TimelineQuery>(moments)
        .refuses(&[429]),
        does(
            ("GET", "/api/v1/recordings/{id}/file"),
            "getRecordingFile",
            "The file of a recording, whose digest the journal has; recorded before it is given",
        )
        .gives(
            200,
            "JSON lines while the session runs, then compressed with zstd, or also sealed as age does",
            "application/jsonl, application/zstd, application/octet-stream",
            text,
        )
        .refuses(&[429]),
        does(
            ("GET", "/api/v1/sessions/{id}/watch"),
            "watchSession",
            "A session's timeline as it happens, as server-sent events; recorded before it is given",
        )
        .query::<WatchQuery>()
        .gives(200, "Events", "text/event-stream", text)
        .refuses(&[429]),
        does(
            ("POST", "/api/v1/sessions/{id}/pause"),
            "pauseSession",
            "Keeps a session from sending anything more, for a time",
        )
        .takes::<pauses::PauseWanted>(JSON)
        .answers::<pauses::PauseStanding>(),
        does(("POST", "/api/v1/sessions/{id}/resume"), "resumeSession", "Lets a paused session go on")
            .answers::<pauses::PauseStanding>()
            .refuses(&[409]),
    ]
}

fn described() -> Vec<Described> {
    let mut all = control();
    all.extend(inside());
    all.extend(recorded());
    all.extend(access());
    all.extend(documents());
    all.extend(reviews());
    all.extend(signing_in());
    all.extend(passkeys());
    all
}

/// Parameters of a query, from the type it is read into.
fn parameters(schema: &Value) -> Vec<Value> {
    let none = Map::new();
    let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&none);
    let parameter = |(name, schema): (&String, &Value)| {
        let mut schema = schema.clone();
        let described = schema.as_object_mut().and_then(|schema| schema.remove("description"));
        // What is not in a query is not there: no text stands for null.
        if let Some(kinds) = schema.get("type").and_then(Value::as_array)
            && let Some(kind) = kinds.iter().find(|kind| *kind != "null").cloned()
            && let Some(schema) = schema.as_object_mut()
        {
            schema.insert("type".to_owned(), kind);
            schema.remove("default");
        }
        json!({ "name": name, "in": "query", "description": described, "schema": schema })
    };
    properties.iter().map(parameter).collect()
}

/// The statuses every route like this may refuse with, and its own.
fn refusals(route: &Route, does: &Described) -> Vec<u16> {
    let mut all = vec![403, 503];
    all.extend(&does.refusals);
    if route.who != Who::Anyone {
        all.push(401);
    }
    if route.path.contains("{id}") {
        all.push(404);
    }
    if does.query.is_some() {
        all.push(400);
    }
    if route.path.starts_with("/auth/") {
        all.push(429);
    }
    if route.method != "GET" {
        all.extend([408, 413]);
    }
    if idempotency::applies(route.method, route.path) {
        all.extend([400, 409, 422, 429]);
    }
    if does.body.is_some() {
        all.push(422);
    }
    all.sort_unstable();
    all.dedup();
    all.retain(|status| !does.answers.iter().any(|(known, ..)| known == status));
    all
}

/// Schemas of what is answered, and of what is read.
struct Generators {
    answered: SchemaGenerator,
    read: SchemaGenerator,
}

fn put(object: &mut Value, name: &str, value: Value) {
    if let Some(object) = object.as_object_mut() {
        object.insert(name.to_owned(), value);
    }
}

fn operation(route: &Route, does: &Described, generators: &mut Generators) -> Value {
    let mut answers = Map::new();
    for (status, what, body) in &does.answers {
        let mut answer = json!({ "description": what });
        if let Some((kind, schema)) = body {
            let schema = schema(&mut generators.answered);
            let content =
                kind.split(", ").map(|kind| (kind.to_owned(), json!({ "schema": schema })));
            put(&mut answer, "content", Value::Object(content.collect()));
        }
        if does.pages {
            let link = "The next page, with `rel=\"next\"` (RFC 8288); absent on the last";
            put(
                &mut answer,
                "headers",
                json!({ "Link": { "description": link, "schema": { "type": "string" } } }),
            );
        }
        answers.insert(status.to_string(), answer);
    }
    for status in refusals(route, does) {
        let reference = format!("#/components/responses/{status}");
        answers.insert(status.to_string(), json!({ "$ref": reference }));
    }
    let mut parameters =
        does.query.map(|of| parameters(&of(&mut generators.read))).unwrap_or_default();
    if route.path.contains("{id}") {
        let schema = json!({ "type": "string", "minLength": 1, "maxLength": 64 });
        parameters.push(json!({ "name": "id", "in": "path", "required": true, "schema": schema }));
    }
    if idempotency::applies(route.method, route.path) {
        let what = "The same call with the same key is made once: what was answered is answered again, to the \
                    same caller, for an hour or until the gateway is restarted";
        let schema = json!({ "type": "string", "pattern": "^[!-~]{1,255}$" });
        parameters.push(
            json!({ "name": "Idempotency-Key", "in": "header", "description": what, "schema": schema }),
        );
    }
    for (name, status) in [("If-None-Match", 304), ("If-Match", 412)] {
        let has = does.answers.iter().any(|(known, ..)| *known == status);
        if has || does.refusals.contains(&status) {
            let what = "Entity tags (RFC 9110 §13.1)";
            let schema = json!({ "type": "string" });
            parameters.push(
                json!({ "name": name, "in": "header", "description": what, "schema": schema }),
            );
        }
    }
    let by_whom = match route.who {
        Who::Anyone => json!([]),
        _ => json!([{ "token": [] }, { "session": [], "page": [] }]),
    };
    let mut operation = json!({
        "operationId": does.id,
        "summary": does.summary,
        "tags": [tag_of(route.path)],
        "security": by_whom,
        "x-portcullis-who": format!("{:?}", route.who).to_lowercase(),
        "parameters": parameters,
        "responses": answers,
    });
    if let Some((kind, schema, required)) = &does.body {
        let schema = schema(&mut generators.read);
        put(
            &mut operation,
            "requestBody",
            json!({ "required": required, "content": { *kind: { "schema": schema } } }),
        );
    }
    operation
}

/// What a path is about.
fn tag_of(path: &str) -> &str {
    match path.strip_prefix("/api/v1/") {
        Some(below) => below.split(['/', '.']).next().unwrap_or(below),
        None if path.starts_with("/auth/") => "sign-in",
        None if path.ends_with(".md") => "manifest",
        None => "health",
    }
}

fn document() -> Value {
    let settings = || {
        SchemaSettings::draft2020_12().with(|s| {
            s.definitions_path = "/components/schemas".into();
            s.meta_schema = None;
        })
    };
    let mut generators = Generators {
        answered: settings().for_serialize().into_generator(),
        read: settings().for_deserialize().with(|s| s.inline_subschemas = true).into_generator(),
    };
    let (all, mut paths) = (described(), Map::new());
    for route in ROUTES {
        let Some(does) = all.iter().find(|d| d.route == (route.method, route.path)) else {
            continue;
        };
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        put(path, &route.method.to_lowercase(), operation(route, does, &mut generators));
    }
    let problem = one::<Told<'_>>(&mut generators.answered);
    let refused = |(status, word): &(StatusCode, &str)| {
        let what = status.canonical_reason().unwrap_or_default();
        let content = json!({ "application/problem+json": { "schema": problem } });
        let answer = json!({ "description": format!("{what} (`{word}`)"), "content": content });
        (status.as_u16().to_string(), answer)
    };
    let responses: Map<String, Value> = WORDS.iter().map(refused).collect();
    let by_cookie = "Of a browser that has signed in; with `X-Portcullis: 1` and an `Origin` of the gateway's \
                     own on whatever changes something";
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Portcullis",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "The gateway's API: reviews, sessions, freezes, credentials, and signing in.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "paths": paths,
        "components": {
            "schemas": generators.answered.take_definitions(true),
            "responses": responses,
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer", "description": "A token of your identity provider" },
                "session": { "type": "apiKey", "in": "cookie", "name": "portcullis", "description": by_cookie },
                "page": { "type": "apiKey", "in": "header", "name": "X-Portcullis" },
            },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn every_route_is_described_and_nothing_else_is() {
        let all = described();
        for Route { method, path, .. } in ROUTES {
            let count = all.iter().filter(|d| d.route == (*method, *path)).count();
            assert_eq!(count, 1, "{method} {path} is described {count} times (api/document.rs)");
        }
        assert_eq!(all.len(), ROUTES.len(), "what is described is a route (api/routes.rs)");
        let mut ids: Vec<_> = all.iter().map(|d| d.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all.len(), "two routes have one id");
    }

    /// `PORTCULLIS_BLESS=1` writes it anew.
    #[test]
    fn the_committed_document_is_that_of_the_code() {
        let text = format!("{:#}\n", document());
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/openapi.json");
        if std::env::var_os("PORTCULLIS_BLESS").is_some() {
            std::fs::write(&file, &text).unwrap();
        }
        let committed = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(
            text == committed,
            "docs/reference/openapi.json: PORTCULLIS_BLESS=1 writes it anew"
        );
    }
}
