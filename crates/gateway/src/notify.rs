//! Telling people that somebody waits for them: webhooks, signed as Standard Webhooks has it, e-mail, and
//! channels of Slack.
//! Beside the life of a request: a request waits for people, and never for a message to them.
//!
//! What is sent names what is asked and where it is decided ([`case`]). It holds no text of a request, no
//! literal, no bound value and no row: those are on the page of what is asked, for whoever may see it. A
//! channel of Slack in which people decide (`api/slack.rs`) is set up to have the texts of what is decided
//! there.

mod case;
mod email;
mod slack;
mod webhook;

use crate::api::slack::{claimed, shown_in_chat};
use crate::moment::{now, random};
use crate::services::Services;
use case::Case;
pub(crate) use email::Email;
use email::Mailer;
use portcullis_core::principal::Principal;
use portcullis_core::time::Timestamp;
use portcullis_ledger::visible;
use portcullis_store::{About, Delivery, NotificationError, NotificationRow};
use schemars::JsonSchema;
use serde::Deserialize;
pub(crate) use slack::{
    Slack, SlackClient, decided_here, read as read_button, written as written_button,
};
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tracing::{info, warn};
use webhook::Client;
pub(crate) use webhook::Webhook;

/// How often it is looked whether something is due, where nothing says that anything has changed: what
/// lapses does so by itself.
const LOOK: Duration = Duration::from_secs(3);
/// How long is waited between looks, however much happens.
const PAUSE: Duration = Duration::from_millis(250);
/// How long is waited at most between attempts while people are waited for.
const URGENT: Duration = Duration::from_secs(60);
/// How many requests of one caller a channel is told of, and within what time. The others wait as they
/// do, and are in the queue.
const MOST_OF_ONE: (usize, Duration) = (20, Duration::from_secs(10 * 60));
/// Longest name or reason that is sent, in characters.
const MAX_NAME: usize = 200;
/// How long is waited after each failed attempt; after the last one it is given up.
const AGAIN: [Duration; 7] = [
    Duration::from_secs(5),
    Duration::from_secs(15),
    Duration::from_secs(60),
    Duration::from_secs(5 * 60),
    Duration::from_secs(15 * 60),
    Duration::from_secs(60 * 60),
    Duration::from_secs(4 * 60 * 60),
];
/// How long is waited at most because a server asked for it.
const ASKED: Duration = Duration::from_secs(60 * 60);
/// How long one gateway has for an attempt.
const LEASE: Duration = Duration::from_secs(60);
/// After how long it is given up what nobody has tried though it was due: no gateway has the channel. Looked
/// for as often, and not when a gateway starts: others may be about to.
const FORSAKEN: Duration = Duration::from_secs(15 * 60);

/// Who is told that somebody waits for people.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Notify {
    /// Servers that are sent a signed message when a request is held, and when that is over.
    pub(crate) webhooks: Vec<Webhook>,
    /// People who are sent an e-mail then.
    pub(crate) email: Vec<Email>,
    /// Channels of Slack that are told then, and in which people may decide.
    pub(crate) slack: Vec<Slack>,
}

impl Notify {
    /// Files that are named relative to the configuration.
    pub(crate) fn files_mut(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let webhooks = self.webhooks.iter_mut().filter_map(|webhook| webhook.secret_file.as_mut());
        let email = self.email.iter_mut();
        let email = email.flat_map(|one| one.password_file.iter_mut().chain(&mut one.certificate));
        webhooks.chain(email).chain(self.slack.iter_mut().flat_map(Slack::files_mut))
    }

    /// What is wrong with it.
    pub(crate) fn check(&self) -> Result<(), String> {
        let (mut names, mut users) = (BTreeSet::new(), HashMap::new());
        for channel in self.channels() {
            let (kind, name) = (channel.kind(), channel.name());
            let wrong = |why: String| format!("notify.{kind}: \"{name}\": {why}");
            if name.is_empty() || name.len() > 64 {
                return Err(wrong("name must be 1 to 64 bytes long".to_owned()));
            }
            match &channel {
                Channel::Webhook(webhook) => webhook.check(),
                Channel::Email(email) => email.check(),
                Channel::Slack(slack) => slack.check(),
            }
            .map_err(wrong)?;
            // Who decides in several channels is one person in all.
            if let Channel::Slack(slack) = &channel {
                for person in &slack.people {
                    let user = (slack.team.clone(), person.user.clone());
                    let who = (person.issuer.clone(), person.subject.clone());
                    if users.entry(user).or_insert_with(|| who.clone()) != &who {
                        let why =
                            format!("people: {} is another person in another channel", person.user);
                        return Err(wrong(why));
                    }
                }
            }
            // Deliveries are kept by name.
            if !names.insert(name.to_owned()) {
                return Err(wrong("there is another channel of this name".to_owned()));
            }
        }
        Ok(())
    }

    /// What works not yet, or weakens.
    pub(crate) fn doubts(&self) -> Vec<String> {
        let doubts = self.channels().flat_map(|channel| {
            let (kind, name) = (channel.kind(), channel.name().to_owned());
            let doubts = match &channel {
                Channel::Webhook(webhook) => webhook.doubts(),
                Channel::Email(email) => email.doubts(),
                Channel::Slack(slack) => slack.doubts(),
            };
            doubts.into_iter().map(move |why| format!("notify.{kind}: \"{name}\": {why}"))
        });
        doubts.collect()
    }

    /// All that is told.
    pub(crate) fn channels(&self) -> impl Iterator<Item = Channel> {
        let webhooks = self.webhooks.iter().cloned().map(Channel::Webhook);
        let email = self.email.iter().cloned().map(Channel::Email);
        webhooks.chain(email).chain(self.slack.iter().cloned().map(Channel::Slack))
    }
}

/// Who is told.
pub(crate) enum Channel {
    Webhook(Webhook),
    Email(Email),
    Slack(Slack),
}

impl Channel {
    /// Its table of the configuration.
    const fn kind(&self) -> &'static str {
        match self {
            Self::Webhook(_) => "webhooks",
            Self::Email(_) => "email",
            Self::Slack(_) => "slack",
        }
    }

    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Webhook(webhook) => &webhook.name,
            Self::Email(email) => &email.name,
            Self::Slack(slack) => &slack.name,
        }
    }

    /// The groups it is for; none: all.
    const fn groups(&self) -> &BTreeSet<String> {
        match self {
            Self::Webhook(webhook) => &webhook.groups,
            Self::Email(email) => &email.groups,
            Self::Slack(slack) => &slack.groups,
        }
    }
}

/// Why a message was not taken.
#[derive(Debug)]
struct NotTaken {
    why: String,
    /// It will not be taken later either.
    for_good: bool,
    /// How long the server asks to wait.
    after: Option<Duration>,
}

impl NotTaken {
    /// This time.
    const fn once(why: String) -> Self {
        Self { why, for_good: false, after: None }
    }
}

impl fmt::Display for NotTaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

/// What sends to one channel.
enum Sender {
    Webhook(Webhook, Client),
    Email(Email, Mailer),
    Slack(Slack, SlackClient),
}

/// What tells one channel.
pub(crate) struct Notifier {
    services: Arc<Services>,
    channel: Channel,
    sender: Sender,
    /// When it was told of requests of each caller.
    lately: Lately,
}

/// When a channel was told of requests of each caller, by issuer and subject.
type Lately = Mutex<HashMap<(String, String), VecDeque<Timestamp>>>;

/// Gives up what is due to channels that no gateway has any more, now and then, until the gateway stops.
/// What another gateway of the store has, that one tries in time.
pub(crate) async fn forsake(
    services: Arc<Services>,
    known: Vec<String>,
    mut stopping: watch::Receiver<bool>,
) {
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    loop {
        tokio::select! {
            // An error means the sender is gone, which is a stop as well.
            _ = stopping.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(FORSAKEN) => {}
        }
        let forsaken = i64::try_from(FORSAKEN.as_micros()).unwrap_or(i64::MAX);
        let since = Timestamp::from_micros(now().as_micros() - forsaken);
        match services.notifications.forsake(&known, since, now()).await {
            Ok(0) => {}
            Ok(count) => warn!(count, "notifications to channels there are no more were given up"),
            Err(error) => warn!(%error, "notifications to channels there are no more stay due"),
        }
    }
}

impl Notifier {
    pub(crate) fn new(services: Arc<Services>, channel: Channel) -> anyhow::Result<Self> {
        let sender = match &channel {
            Channel::Webhook(webhook) => Sender::Webhook(webhook.clone(), Client::new(webhook)?),
            Channel::Email(email) => Sender::Email(email.clone(), Mailer::new(email)?),
            Channel::Slack(slack) => Sender::Slack(slack.clone(), SlackClient::new(slack)?),
        };
        Ok(Self { services, channel, sender, lately: Lately::default() })
    }

    /// Tells it whatever there is to tell, until the gateway stops.
    pub(crate) async fn keep_telling(self, mut stopping: watch::Receiver<bool>) {
        let [mut reviews, mut grants] = self.services.notifications.changes();
        let mut known = true;
        loop {
            // Not broken off where it may be in the middle of an attempt.
            let done = self.round(&stopping).await;
            match &done {
                Err(error) if known => {
                    warn!(channel = self.channel.name(), %error, "nobody is told")
                }
                Ok(()) if !known => info!(channel = self.channel.name(), "people are told again"),
                _ => {}
            }
            known = done.is_ok();
            tokio::time::sleep(PAUSE).await;
            tokio::select! {
                // An error means the sender is gone, which is a stop as well.
                _ = stopping.wait_for(|stop| *stop) => return,
                Ok(()) = reviews.changed(), if known => {}
                Ok(()) = grants.changed(), if known => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// Looks what there is to tell, and tells it, until there is nothing left.
    async fn round(&self, stopping: &watch::Receiver<bool>) -> Result<(), NotificationError> {
        let (store, channel) = (&self.services.notifications, self.channel.name());
        loop {
            for about in store.untold(channel, now()).await? {
                let Some(case) = self.case(about).await else { continue };
                // People who are asked later are told later.
                let planned = match case.asks(self.channel.groups()) {
                    Some(from) => (Delivery::Due, from.max(now())),
                    None => (Delivery::Void, now()),
                };
                store.keep(&fresh_id(), (channel, about, about.waiting()), planned, now()).await?;
            }
            for about in store.over(channel, now()).await? {
                let planned = (Delivery::Due, now());
                store.keep(&fresh_id(), (channel, about, about.ended()), planned, now()).await?;
            }
            let due = store.due(channel, now()).await?;
            if due.is_empty() {
                return Ok(());
            }
            for row in due {
                if *stopping.borrow() {
                    return Ok(());
                }
                self.tell(&row).await?;
            }
        }
    }

    /// What a message is about; `None` where that is no more, or cannot be read: others are told of all the
    /// same.
    async fn case(&self, about: About) -> Option<Case> {
        let found = match about {
            About::Review(id) => {
                let found = self.services.desk.get(id).await.map_err(|error| error.to_string());
                found.map(|row| row.map(|row| Case::Review(Box::new(row))))
            }
            About::Grant(id) => {
                let found = self.services.grants.find(id).await.map_err(|error| error.to_string());
                found.map(|row| row.map(|row| Case::Access(Box::new(row))))
            }
        };
        found.unwrap_or_else(|error| {
            warn!(%about, error, "it cannot be read, so nobody is told of it");
            None
        })
    }

    /// Whether the channel is told of one more request of this caller.
    fn may_tell(&self, principal: &Principal) -> bool {
        let (most, within) = MOST_OF_ONE;
        let since = now().as_micros() - i64::try_from(within.as_micros()).unwrap_or(i64::MAX);
        // A panic leaves nothing half done in it.
        let mut lately = self.lately.lock().unwrap_or_else(PoisonError::into_inner);
        lately.retain(|_, told| {
            told.retain(|at| at.as_micros() > since);
            !told.is_empty()
        });
        let who = (principal.issuer.clone(), principal.subject.clone());
        let told = lately.entry(who).or_default();
        let may = told.len() < most;
        if may {
            told.push_back(now());
        }
        may
    }

    /// One attempt.
    async fn tell(&self, row: &NotificationRow) -> Result<(), NotificationError> {
        let store = &self.services.notifications;
        if !store.take(row, LEASE, now()).await? {
            return Ok(());
        }
        let waits = row.event.waits();
        let case = self.case(row.about).await.filter(|case| !waits || case.waits());
        let Some(case) = case else {
            // Those who would have been asked later are not asked any more.
            let early = row.attempts == 0 && row.next > row.made;
            let state = if early { Delivery::Void } else { Delivery::Failed };
            let nothing = Some("it was over before it could be told");
            return store.settle(row, state, (now(), nothing), now()).await;
        };
        if waits && row.attempts == 0 && !self.may_tell(case.caller()) {
            let many = Some("too many requests of this caller: look at the queue");
            return store.settle(row, Delivery::Failed, (now(), many), now()).await;
        }
        let public = self.services.sign_in.public();
        let told = self.send(&case, row, public.map(|public| public.origin.as_str())).await;
        let why = match told {
            Err(why) => why,
            Ok(but) => {
                if let Some(but) = &but {
                    warn!(channel = self.channel.name(), about = %row.about, but, "told, but not all");
                }
                let told = (now(), but.as_deref());
                return store.settle(row, Delivery::Delivered, told, now()).await;
            }
        };
        let pause = AGAIN.get(row.attempts as usize);
        let pause = if waits { Some(pause.unwrap_or(&URGENT).min(&URGENT)) } else { pause };
        // A server that asks for time gets it.
        let asked = why.after.map(|after| after.min(ASKED));
        let pause = pause.map(|pause| asked.map_or(*pause, |asked| asked.max(*pause)));
        let again = pause.filter(|_| !why.for_good);
        let (state, next) = match again {
            Some(pause) => (Delivery::Due, now().plus(pause)),
            None => (Delivery::Failed, now()),
        };
        let (channel, attempt, why) = (self.channel.name(), row.attempts + 1, why.to_string());
        warn!(channel, about = %row.about, attempt, why, "a notification was not taken");
        store.settle(row, state, (next, Some(&why)), now()).await
    }
}

impl Notifier {
    async fn send(
        &self,
        case: &Case,
        row: &NotificationRow,
        origin: Option<&str>,
    ) -> Result<Option<String>, NotTaken> {
        match &self.sender {
            Sender::Webhook(webhook, client) => {
                let body = case.message(row, origin).to_string();
                client.send(webhook, &row.id, &body, now()).await.map(|()| None)
            }
            Sender::Email(email, mailer) => mailer.send(email, (case, row), origin).await,
            Sender::Slack(slack, client) => {
                let store = &self.services.notifications;
                let words = self.words(slack, case, row, origin).await;
                let posted = match row.event.waits() {
                    true => Ok(None),
                    false => store.receipt(&slack.name, row.about).await,
                };
                let posted = posted.map_err(|error| NotTaken::once(error.to_string()))?;
                let receipt = client.send(slack, &words, posted.as_deref()).await?;
                if let Some(receipt) = receipt
                    && let Err(error) = store.receive(&row.id, &receipt).await
                {
                    // It is there; that it is over will be another message.
                    warn!(channel = slack.name, %error, "it is not kept where a message is");
                }
                Ok(None)
            }
        }
    }

    async fn words<'a>(
        &self,
        slack: &Slack,
        case: &'a Case,
        row: &NotificationRow,
        origin: Option<&'a str>,
    ) -> slack::Words<'a> {
        let words = slack::Words { case, waits: row.event.waits(), origin, decided: None };
        // Access is not given from a channel: it is good for more than one look.
        let Case::Review(review) = case else { return words };
        if !slack.is_interactive() || !words.waits {
            return words;
        }
        let Ok(text) = shown_in_chat(&self.services, review) else { return words };
        let purpose = claimed(&self.services, review).await;
        slack::Words { decided: Some(slack::Decided { review, text, purpose }), ..words }
    }
}

/// An id that no other notification has.
fn fresh_id() -> String {
    let bytes: [u8; 16] = random();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("msg_{hex}")
}

/// A name or sentence of others: nothing invisible, nothing that is obeyed, and not without end.
fn shown(text: &str) -> String {
    let mut shown: String = visible::escape(text).chars().take(MAX_NAME + 1).collect();
    if let Some((cut, _)) = shown.char_indices().nth(MAX_NAME) {
        shown.truncate(cut);
        shown.push('…');
    }
    shown
}
