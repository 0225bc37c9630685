//! One channel of Slack: which, by which bot, who decides there as whom, and what a message looks like.
//!
//! Texts of others stand in `rich_text` elements alone, which Slack shows as they are: nothing in them is
//! markup, a mention or a link. The text of a request is shown only where it is decided in the channel, and
//! then whole.

use super::case::Case;
use super::{NotTaken, shown};
use crate::outbound::{PATIENCE, busy_until, caller, is_safe, open_to_others, secret_text};
use anyhow::Context as _;
use portcullis_core::digest::Digest;
use portcullis_core::id::ReviewId;
use portcullis_core::review::Risk;
use portcullis_ledger::visible;
use portcullis_store::ReviewRow;
use reqwest::Url;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;
use zeroize::Zeroizing;

/// Longest text of a request that is decided in a channel, in characters.
const MOST_TEXT: usize = 2_900;
/// Most lines, and most blanks in a row, of such a text.
const MOST_LINES: usize = 40;
const MOST_BLANKS: usize = 40;
/// Most characters of what it does in full and what it rests on.
const MOST_BASIS: usize = 2_000;
/// Longest answer of Slack that is read, in bytes.
const MOST_ANSWER: usize = 1024 * 1024;
/// What a bot's token begins with.
const BOT: &str = "xoxb-";
/// The refusals of `chat.postMessage` and `chat.update` that another attempt does not change.
const FOR_GOOD: [&str; 6] = [
    "invalid_blocks",
    "msg_too_long",
    "no_text",
    "message_not_found",
    "cant_update_message",
    "edit_window_closed",
];

/// A channel of Slack that is told.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Slack {
    /// What the gateway calls it, in its record and to administrators.
    pub(crate) name: String,
    /// The id of the workspace: `T…`.
    pub(crate) team: String,
    /// The id of the channel: `C…` or `G…`. The bot has to be in it.
    pub(crate) channel: String,
    /// File with the token of the bot (`xoxb-…`), which needs the scope `chat:write`. Read for every
    /// message, so it can be changed. Relative to this file.
    #[serde(default)]
    pub(crate) token_file: Option<PathBuf>,
    /// Environment variable of the gateway with the token.
    #[serde(default)]
    pub(crate) token_env: Option<String>,
    /// File with the signing secret of the app. With it, requests that are short and of low risk show
    /// their text in the channel, to whoever reads it, and are decided there by `people`. Without it,
    /// messages have no text of a request and only lead to its page. Relative to this file.
    #[serde(default)]
    pub(crate) signing_secret_file: Option<PathBuf>,
    /// Environment variable of the gateway with the signing secret.
    #[serde(default)]
    pub(crate) signing_secret_env: Option<String>,
    /// Only of what asks one of these groups, held requests and requests for access; empty: of all.
    #[serde(default)]
    pub(crate) groups: BTreeSet<String>,
    /// Where the methods of Slack are: https, or http to an address of loopback.
    #[serde(default = "slack_api")]
    pub(crate) api: String,
    /// Who decides in the channel as whom. Nobody else does.
    #[serde(default)]
    pub(crate) people: Vec<SlackPerson>,
}

/// A user of the workspace, and the person that is.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SlackPerson {
    /// The id of the user: `U…` or `W…`.
    pub(crate) user: String,
    /// Who vouches for the person: the issuer of its provider, or its entity id.
    pub(crate) issuer: String,
    /// The person's subject there.
    pub(crate) subject: String,
}

fn slack_api() -> String {
    "https://slack.com/api".to_owned()
}

fn is_id(text: &str, kinds: &[char]) -> bool {
    let rest = text.strip_prefix(kinds).unwrap_or_default();
    (2..=32).contains(&rest.len())
        && rest.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
}

impl Slack {
    /// What is wrong with it.
    pub(super) fn check(&self) -> Result<(), String> {
        for (key, id, kinds, like) in [
            ("team", &self.team, &['T', 'E'][..], "T0123ABCD"),
            ("channel", &self.channel, &['C', 'G'][..], "C0123ABCD"),
        ] {
            if !is_id(id, kinds) {
                return Err(format!("{key} must be an id, such as {like}, and no name"));
            }
        }
        let url = Url::parse(&self.api).map_err(|error| format!("api is no URL: {error}"))?;
        if !is_safe(&url) || url.query().is_some() || url.fragment().is_some() {
            let why = "api must be https (http only to 127.0.0.1 or [::1]), with no password and \
                       no query";
            return Err(why.to_owned());
        }
        match (&self.token_file, &self.token_env) {
            (None, None) => return Err("set token_file or token_env".to_owned()),
            (Some(_), Some(_)) => return Err("set token_file or token_env, not both".to_owned()),
            _ => {}
        }
        if self.signing_secret_file.is_some() && self.signing_secret_env.is_some() {
            let why = "set signing_secret_file or signing_secret_env, not both";
            return Err(why.to_owned());
        }
        self.check_people()
    }

    fn check_people(&self) -> Result<(), String> {
        if self.is_interactive() == self.people.is_empty() {
            let why = "people and a signing secret go together: who is known may decide in the \
                       channel, and what Slack says of them is signed";
            return Err(why.to_owned());
        }
        let mut users = BTreeSet::new();
        for person in &self.people {
            if !is_id(&person.user, &['U', 'W']) {
                return Err("people: user must be an id, such as U0123ABCD".to_owned());
            }
            if person.issuer.is_empty() || person.subject.is_empty() {
                return Err(format!("people: {}: issuer or subject is empty", person.user));
            }
            if !users.insert(&person.user) {
                return Err(format!("people: {} is there twice", person.user));
            }
        }
        Ok(())
    }

    /// Whether anything is decided in the channel.
    pub(crate) const fn is_interactive(&self) -> bool {
        self.signing_secret_file.is_some() || self.signing_secret_env.is_some()
    }

    /// Files that are named relative to the configuration.
    pub(super) fn files_mut(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        self.token_file.iter_mut().chain(&mut self.signing_secret_file)
    }

    fn token(&self) -> Result<Zeroizing<String>, String> {
        let names = ("token_file", "token_env");
        let text = secret_text(names, self.token_file.as_deref(), self.token_env.as_deref())?;
        let token = text.trim();
        let plain = token.bytes().all(|byte| byte.is_ascii_graphic());
        match token.strip_prefix(BOT) {
            Some(rest) if !rest.is_empty() && plain => Ok(Zeroizing::new(token.to_owned())),
            _ => Err(format!("the token must be that of a bot: {BOT}…")),
        }
    }

    /// What Slack signs with.
    pub(crate) fn signing_secret(&self) -> Result<Zeroizing<String>, String> {
        let names = ("signing_secret_file", "signing_secret_env");
        let file = self.signing_secret_file.as_deref();
        let text = secret_text(names, file, self.signing_secret_env.as_deref())?;
        let secret = text.trim();
        let good = (16..=256).contains(&secret.len())
            && secret.bytes().all(|byte| byte.is_ascii_graphic());
        match good {
            true => Ok(Zeroizing::new(secret.to_owned())),
            false => {
                Err("the signing secret must be that of the app, as Slack shows it".to_owned())
            }
        }
    }

    /// What works not yet, or weakens.
    pub(super) fn doubts(&self) -> Vec<String> {
        let mut doubts: Vec<String> = self.token().err().into_iter().collect();
        if self.is_interactive() {
            doubts.extend(self.signing_secret().err());
        }
        let files = [&self.token_file, &self.signing_secret_file];
        doubts.extend(files.into_iter().flatten().filter_map(|file| open_to_others(file)));
        doubts
    }

    /// The person that a user is.
    pub(crate) fn person(&self, user: &str) -> Option<&SlackPerson> {
        self.people.iter().find(|person| person.user == user)
    }
}

/// The text of a request that may be decided in a channel, whole; else why it may not.
pub(crate) fn decided_here(review: &ReviewRow) -> Result<String, &'static str> {
    let ask = &review.ask;
    if ask.step_up.is_some() {
        return Err("it asks for a passkey");
    }
    if ask.risk != Risk::Low {
        return Err("it is of high risk");
    }
    if review.rehearsal.is_some() {
        return Err("it was rehearsed, and its page has what it did");
    }
    if ask.again.is_some() {
        return Err("it takes the place of another one, and its page has what has changed");
    }
    if ask.shown.elided || !ask.shown.beyond.is_empty() {
        return Err("there is more to it than its text");
    }
    let text = text_of(review);
    if text.chars().count() > MOST_TEXT || rests_on(review).is_none() {
        return Err("it is too long to judge here");
    }
    // Nothing is pushed out of sight.
    let gap = " ".repeat(MOST_BLANKS);
    if text.lines().count() > MOST_LINES || text.contains("\n\n\n") || text.contains(&gap) {
        return Err("it is laid out so that not all of it is seen at once");
    }
    Ok(text)
}

/// What it does in whole, and the settings that its meaning rests on; `None` where that is too long.
fn rests_on(review: &ReviewRow) -> Option<String> {
    let (ask, basis) = (&review.ask, &review.ask.basis);
    let settings = basis.settings.iter().map(|(name, value)| format!("{name} = {value}"));
    let settings: Vec<String> = settings.collect();
    let text = format!(
        "in full: {}\nrests on: {}; {} more settings, {} definitions\n",
        visible::escape(&ask.operation),
        visible::escape(&settings.join("; ")),
        basis.more_settings,
        basis.definitions.len() + basis.more_definitions
    );
    (text.chars().count() <= MOST_BASIS).then_some(text)
}

/// Statements, with everything invisible but line feeds written out, and values, on one line each: no value
/// looks like another one, or like none.
fn text_of(review: &ReviewRow) -> String {
    let shown = &review.ask.shown;
    let escaped = |text: &str| {
        let lines: Vec<_> = text.split('\n').map(visible::escape).collect();
        lines.join("\n")
    };
    let mut text = String::new();
    for (at, statement) in shown.statements.iter().enumerate() {
        if at > 0 {
            text.push('\n');
        }
        text += &escaped(statement);
        for (number, value) in shown.parameters.get(at).into_iter().flatten().enumerate() {
            let quoted = |value: &str| format!("'{}'", visible::escape(&value.replace('\'', "''")));
            let value = value.as_deref().map_or("NULL".to_owned(), quoted);
            // Writing to a string does not fail.
            let _ = write!(text, "\n${} = {value}", number + 1);
        }
    }
    text
}

/// What a button is about: the review, and the digest of what was shown.
pub(crate) fn written(review: ReviewId, digest: Digest) -> String {
    format!("{review}:{digest}")
}

/// What [`written`] has made.
pub(crate) fn read(value: &str) -> Option<(ReviewId, Digest)> {
    let (review, digest) = value.split_once(':')?;
    Some((review.parse().ok()?, digest.parse().ok()?))
}

/// What a message is made of.
pub(crate) struct Words<'a> {
    pub(super) case: &'a Case,
    /// That it waits; else that it is over.
    pub(super) waits: bool,
    pub(super) origin: Option<&'a str>,
    /// What is decided in the channel.
    pub(super) decided: Option<Decided<'a>>,
}

/// A review that is decided in the channel.
pub(crate) struct Decided<'a> {
    pub(super) review: &'a ReviewRow,
    /// Its text, whole.
    pub(super) text: String,
    /// What the caller said it is here for.
    pub(super) purpose: Option<String>,
}

/// Where a message is, once it is there.
#[derive(Debug, PartialEq, Eq)]
struct Posted {
    channel: String,
    ts: String,
}

impl Posted {
    fn read(text: &str) -> Option<Self> {
        let (channel, ts) = text.split_once(' ')?;
        Some(Self { channel: channel.to_owned(), ts: ts.to_owned() })
    }

    /// Of an answer to `chat.postMessage`.
    fn of(answer: &Value) -> Option<Self> {
        let field = |name: &str| answer.get(name).and_then(Value::as_str);
        let (channel, ts) = (field("channel")?, field("ts")?);
        let plain = ts.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let good = is_id(channel, &['C', 'G', 'D']) && plain && (1..=32).contains(&ts.len());
        good.then(|| Self { channel: channel.to_owned(), ts: ts.to_owned() })
    }
}

fn plain(text: &str) -> Value {
    json!({ "type": "text", "text": text })
}

fn button(action: &str, label: &str, style: &str, value: &str) -> Value {
    let text = json!({ "type": "plain_text", "text": label });
    json!({ "type": "button", "action_id": action, "style": style, "text": text, "value": value })
}

impl Words<'_> {
    /// What stands in the notification of a device: markup is possible there, so there is none.
    fn summary(&self) -> String {
        let text = match self.waits {
            true => self.case.title(shown),
            false => format!("{}: {}", self.case.title(shown), self.case.state(false, shown)),
        };
        text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
    }

    fn facts(&self) -> String {
        let facts = self.case.facts(shown).into_iter();
        facts.map(|(name, value)| format!("{name}: {value}\n")).collect()
    }

    fn blocks(&self) -> Value {
        let heading = format!("{}\n", self.case.state(self.waits, shown));
        let heading = json!({ "type": "text", "text": heading, "style": { "bold": true } });
        let section =
            |elements: Value| json!({ "type": "rich_text_section", "elements": elements });
        let mut elements = vec![section(json!([heading, plain(&self.facts())]))];
        if let Some(Decided { review, text, purpose }) = &self.decided {
            elements.push(json!({ "type": "rich_text_preformatted", "elements": [plain(text)] }));
            let touches = shown(&review.ask.estimate.to_string());
            let rests_on = rests_on(review).unwrap_or_default();
            let more = format!("touches, by the target's own estimate: {touches}\n{rests_on}");
            let claimed = purpose.as_deref().map(shown);
            let claimed = claimed.map(|text| format!("claimed, not verified: {text}\n"));
            elements.push(section(json!([plain(&(more + &claimed.unwrap_or_default()))])));
        }
        elements.push(section(match self.origin {
            Some(origin) => {
                let url = self.case.url(origin);
                let whole = self.decided.is_some();
                let label = if whole { "All of it" } else { "Look and decide there" };
                json!([{ "type": "link", "url": url, "text": label }])
            }
            None => json!([plain(&format!("Look and decide: {}", self.case.command()))]),
        }));
        let mut blocks = vec![json!({ "type": "rich_text", "elements": elements })];
        if let Some(Decided { review, .. }) = &self.decided {
            let value = written(review.id, review.ask.digest);
            blocks.push(json!({ "type": "actions", "block_id": "decide", "elements": [
                button("approve", "Approve once", "primary", &value),
                button("reject", "Reject…", "danger", &value),
            ] }));
        }
        Value::from(blocks)
    }
}

/// What speaks to Slack for one channel.
#[derive(Debug, Clone)]
pub(crate) struct SlackClient(reqwest::Client);

impl SlackClient {
    pub(crate) fn new(slack: &Slack) -> anyhow::Result<Self> {
        let client = caller(&slack.api, PATIENCE);
        Ok(Self(client.with_context(|| format!("notify.slack: \"{}\"", slack.name))?))
    }

    /// One attempt: a new message, or the old one changed where that is known (`posted`). Gives where it
    /// is, to be kept.
    pub(super) async fn send(
        &self,
        slack: &Slack,
        words: &Words<'_>,
        posted: Option<&str>,
    ) -> Result<Option<String>, NotTaken> {
        let (text, blocks) = (words.summary(), words.blocks());
        let posted = posted.and_then(Posted::read);
        if let Some(Posted { channel, ts }) = posted.filter(|_| !words.waits) {
            let body = json!({ "channel": channel, "ts": ts, "text": text, "blocks": blocks });
            return self.call(slack, "chat.update", &body).await.map(|_| None);
        }
        let body = json!({ "channel": slack.channel, "text": text, "blocks": blocks,
            "unfurl_links": false, "unfurl_media": false });
        let answer = self.call(slack, "chat.postMessage", &body).await?;
        Ok(Posted::of(&answer).map(|it| format!("{} {}", it.channel, it.ts)))
    }

    /// Says something that one user alone sees.
    pub(crate) async fn whisper(&self, slack: &Slack, user: &str, text: &str) {
        let words =
            json!({ "type": "plain_text", "text": text.chars().take(2_000).collect::<String>() });
        let body = json!({
            "channel": slack.channel,
            "user": user,
            "text": "Portcullis",
            "blocks": [{ "type": "section", "text": words }],
        });
        if let Err(error) = self.call(slack, "chat.postEphemeral", &body).await {
            tracing::info!(channel = slack.name, %error, "somebody was not told why");
        }
    }

    /// Asks whoever has pressed a button for a reason. `about` comes back with it.
    pub(crate) async fn ask_why(
        &self,
        slack: &Slack,
        trigger: &str,
        about: &str,
    ) -> Result<(), String> {
        let text = |text: &str| json!({ "type": "plain_text", "text": text });
        let element = json!({ "type": "plain_text_input", "action_id": "reason",
            "multiline": true, "min_length": 1, "max_length": 250 });
        let view = json!({
            "type": "modal",
            "callback_id": "reject",
            "private_metadata": about,
            "title": text("Reject"),
            "submit": text("Reject"),
            "close": text("Cancel"),
            "blocks": [{ "type": "input", "block_id": "reason", "element": element,
                "label": text("Why? The caller reads it.") }],
        });
        let body = json!({ "trigger_id": trigger, "view": view });
        self.call(slack, "views.open", &body).await.map(drop).map_err(|error| error.to_string())
    }

    /// One call of a method. Slack answers 200 to what it refuses as well.
    async fn call(&self, slack: &Slack, method: &str, body: &Value) -> Result<Value, NotTaken> {
        let token = slack.token().map_err(NotTaken::once)?;
        let url = format!("{}/{method}", slack.api.trim_end_matches('/'));
        let request = self.0.post(url).bearer_auth(token.as_str());
        let request = request.header("content-type", "application/json; charset=utf-8");
        let failed = |_| NotTaken::once("Slack cannot be reached, or did not answer".to_owned());
        let mut sent = request.body(body.to_string()).send().await.map_err(failed)?;
        let status = sent.status();
        if !status.is_success() {
            let after = busy_until(&sent, crate::moment::now());
            let why = format!("Slack answered {}", status.as_u16());
            return Err(NotTaken { why, for_good: false, after });
        }
        let mut text = Vec::new();
        while let Some(part) = sent.chunk().await.map_err(failed)? {
            if text.len() + part.len() > MOST_ANSWER {
                return Err(NotTaken::once("the answer of Slack is too long".to_owned()));
            }
            text.extend_from_slice(&part);
        }
        let answer: Value = serde_json::from_slice(&text)
            .map_err(|_| NotTaken::once("the answer of Slack cannot be read".to_owned()))?;
        match answer.get("ok").and_then(Value::as_bool) {
            Some(true) => Ok(answer),
            _ => Err(refused(answer.get("error").and_then(Value::as_str).unwrap_or_default())),
        }
    }
}

/// By the word Slack has for it, where it is one.
fn refused(word: &str) -> NotTaken {
    let is_word = (1..=64).contains(&word.len())
        && word
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'_' || byte.is_ascii_digit());
    let why = if is_word { format!("Slack refused: {word}") } else { "Slack refused".to_owned() };
    NotTaken { why, for_good: FOR_GOOD.contains(&word), after: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slack(more: &str) -> Result<Slack, String> {
        let text = format!("name = \"dba\"\nteam = \"T0123ABCD\"\nchannel = \"C0123ABCD\"\n{more}");
        let slack: Slack = toml::from_str(&text).map_err(|error| error.to_string())?;
        slack.check().map(|()| slack)
    }

    const PERSON: &str =
        "[[people]]\nuser = \"U0123ABCD\"\nissuer = \"https://i\"\nsubject = \"bo\"\n";

    #[test]
    fn what_cannot_be_meant_is_told() {
        assert!(slack("token_env = \"T\"").is_ok());
        let signed = "token_env = \"T\"\nsigning_secret_env = \"S\"\n";
        assert!(slack(&format!("{signed}{PERSON}")).is_ok());
        assert!(slack("token_env = \"T\"\napi = \"http://127.0.0.1:1/api\"").is_ok());
        for (more, why) in [
            ("", "set token_file or token_env"),
            ("token_env = \"T\"\ntoken_file = \"t\"", "not both"),
            ("token_env = \"T\"\napi = \"http://slack.com/api\"", "api must be https"),
            ("token_env = \"T\"\napi = \"https://u:p@slack.com/api\"", "api must be https"),
            ("token_env = \"T\"\napi = \"https://slack.com/api?x\"", "api must be https"),
            (signed, "go together"),
            (&format!("token_env = \"T\"\n{PERSON}"), "go together"),
            (&format!("{signed}{PERSON}{PERSON}"), "is there twice"),
            (&format!("{signed}{}", PERSON.replace("U0123ABCD", "bo")), "user must be an id"),
            (&format!("{signed}{}", PERSON.replace("\"bo\"", "\"\"")), "is empty"),
            ("token_env = \"T\"\nbutton = true", "unknown field"),
        ] {
            let said = slack(more).unwrap_err();
            assert!(said.contains(why), "{more}: {said}");
        }
        let named = toml::from_str::<Slack>(
            "name = \"x\"\nteam = \"acme\"\nchannel = \"#dba\"\ntoken_env = \"T\"",
        );
        assert!(named.unwrap().check().unwrap_err().contains("team must be an id"));
    }

    #[test]
    fn a_button_is_about_one_review_and_one_digest() {
        let review: ReviewId = "rev_00000000000g1".parse().unwrap();
        let digest = Digest::from_bytes([7; 32]);
        assert_eq!(read(&written(review, digest)), Some((review, digest)));
        for value in ["", "rev_00000000000g1", "rev_00000000000g1:", "x:00", "rev_00000000000g1:07"]
        {
            assert_eq!(read(value), None, "{value}");
        }
    }

    #[test]
    fn answers_of_slack_are_read_and_nothing_else_is_shown_of_them() {
        let posted = Posted::of(&json!({ "channel": "C1AB", "ts": "17.01" })).unwrap();
        assert_eq!(Posted::read("C1AB 17.01"), Some(posted));
        assert_eq!(Posted::of(&json!({ "channel": "C1AB x", "ts": "17.01" })), None);
        assert_eq!(Posted::of(&json!({ "channel": "C1AB", "ts": "17.01 " })), None);
        assert_eq!(refused("not_in_channel").why, "Slack refused: not_in_channel");
        assert!(!refused("not_in_channel").for_good && refused("invalid_blocks").for_good);
        assert_eq!(refused("token is xoxb-1").why, "Slack refused");
    }
}
