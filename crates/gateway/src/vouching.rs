//! Who vouches for callers, as it is gone by in one generation: providers, trust rules, and the groups that
//! are said here. And what becomes of those whom nobody vouches for any more. Before the life of a request.
//!
//! *Architecture invariant:* whatever was believed of somebody rests on the settings by which it was
//! believed, and what is kept says by which: credentials and sessions in browsers have a mark of them.
//! Where they are changed or gone, also while no gateway ran, all of it opens nothing, and ends: that, and
//! sessions on the wire. Whoever comes in meanwhile is looked at once more when it is where it can be found.

use crate::config::Identity;
use crate::credentials::NotAdmitted;
use crate::fleet;
use crate::generation::Generation;
use crate::groups::{GroupSettings, Groups};
use crate::live::Owner;
use crate::moment::now;
use crate::services::Services;
use portcullis_core::digest::Digester;
use portcullis_core::journal::{Entry, Event, Journal as _};
use portcullis_core::principal::{By, Principal};
use portcullis_core::review::Withdrawal;
use portcullis_core::time::Timestamp;
use portcullis_identity::relying::RelyingParty;
use portcullis_identity::saml::SamlParties;
use portcullis_identity::{IdentityError, Provider, Verifier, http_client};
use portcullis_store::CredentialRow;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tracing::warn;

/// How long those that are new may take to answer when a change of them was made.
const REACHED: Duration = Duration::from_secs(6);
/// Who takes back what rests on what is gone.
const BY: &str = "portcullis:documents";

/// Who vouches for callers.
pub(crate) struct Vouching {
    identity: Identity,
    said: Vec<GroupSettings>,
    groups: Groups,
    /// What stands for the settings of each of those who vouch, by name.
    marks: BTreeMap<String, String>,
    verifier: Verifier,
    /// Where people sign in by OpenID Connect.
    pub(crate) party: RelyingParty,
    /// Where they do by SAML.
    pub(crate) saml: Arc<SamlParties>,
}

/// One that vouches no more, or not as it did.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TakenBack {
    /// Its name; no two have the same.
    name: String,
    issuer: String,
    /// What stands for its settings of before.
    mark: String,
    /// It is a trust rule, which may share its issuer with others.
    is_rule: bool,
}

impl TakenBack {
    /// Whether a principal is what it is by its word.
    fn concerns(&self, principal: &Principal) -> bool {
        let by_it = principal.issuer == self.issuer;
        let by_it = by_it && (!self.is_rule || principal.name == self.name);
        let for_whom = principal.person().is_some_and(|(issuer, _)| issuer == self.issuer);
        by_it || for_whom && !self.is_rule
    }
}

impl Vouching {
    /// Those of a configuration, in the place of those before: what these know of providers that are the
    /// same stays known.
    ///
    /// # Errors
    /// Which of them makes no sense, and why.
    pub(crate) fn of(
        (identity, said): (&Identity, &[GroupSettings]),
        before: Option<&Arc<Self>>,
    ) -> anyhow::Result<Arc<Self>> {
        if let Some(before) = before
            && before.identity.is_same(identity)
            && before.said == said
        {
            return Ok(Arc::clone(before));
        }
        let before = before.map(|before| &**before);
        let providers = identity.all_providers();
        let (known, rules) = (before.map(|before| &before.verifier), identity.rules());
        let verifier = Verifier::after(known, providers.clone(), rules, http_client)?;
        let party = RelyingParty::after(before.map(|b| &b.party), &providers, http_client)?;
        let saml = SamlParties::after(before.map(|b| &*b.saml), &identity.saml)?;
        let groups = Groups::of(said).map_err(anyhow::Error::msg)?;
        let (identity, said, saml) = (identity.clone(), said.to_vec(), Arc::new(saml));
        let marks = marks(&identity);
        Ok(Arc::new(Self { identity, said, groups, marks, verifier, party, saml }))
    }

    /// As the configuration would write them.
    pub(crate) const fn settings(&self) -> (&Identity, &Vec<GroupSettings>) {
        (&self.identity, &self.said)
    }

    /// The providers by OpenID Connect, with the one for development.
    pub(crate) fn providers(&self) -> Vec<Provider> {
        self.identity.all_providers()
    }

    /// What checks signatures. Groups that are said here are not in what it gives.
    pub(crate) const fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// The principal a bearer token stands for, in all groups it is in.
    ///
    /// # Errors
    /// As [`Verifier::verify`].
    pub(crate) async fn verify(
        &self,
        token: &str,
        now: Timestamp,
    ) -> Result<Principal, IdentityError> {
        Ok(self.join(self.verifier.verify(token, now).await?))
    }

    /// A principal in all groups it is in.
    pub(crate) fn join(&self, principal: Principal) -> Principal {
        self.groups.join(principal)
    }

    fn all(&self) -> impl Iterator<Item = TakenBack> + '_ {
        let one = |name: &str, issuer: &str, is_rule| TakenBack {
            name: name.to_owned(),
            issuer: issuer.to_owned(),
            mark: self.mark(name),
            is_rule,
        };
        let identity = &self.identity;
        let providers = identity.providers.iter().chain(&identity.development);
        let providers = providers.map(move |p| one(&p.name, &p.issuer, false));
        let saml = identity.saml.iter().map(move |p| one(&p.name, &p.entity_id, false));
        let rules = identity.workloads.iter().map(|rule| rule.get_ref());
        providers.chain(saml).chain(rules.map(move |rule| one(&rule.name, &rule.issuer, true)))
    }

    /// Everybody's by whom people or workloads are known.
    fn issuers(&self) -> BTreeSet<String> {
        self.all().map(|one| one.issuer).collect()
    }

    /// What stands for the settings of the one of this name; nothing where there is none.
    pub(crate) fn mark(&self, name: &str) -> String {
        self.marks.get(name).cloned().unwrap_or_default()
    }

    /// Whether the one of this name vouches by the settings that this mark stands for.
    pub(crate) fn vouches_as(&self, name: &str, mark: &str) -> bool {
        !mark.is_empty() && self.marks.get(name).is_some_and(|own| own == mark)
    }

    /// Whether one vouches as it did in `other`, to the last setting.
    fn vouches_as_in(&self, other: &Self, one: &TakenBack) -> bool {
        let (own, others, name) = (&self.identity, &other.identity, &one.name);
        if one.is_rule {
            let of = |all: &Identity| {
                let mut rules = all.workloads.iter().map(|rule| rule.get_ref());
                rules.find(|rule| rule.name == *name).cloned()
            };
            return of(own) == of(others);
        }
        let oidc = |all: &Identity| {
            let mut providers = all.providers.iter().chain(&all.development);
            providers.find(|provider| provider.name == *name).cloned()
        };
        let saml =
            |all: &Identity| all.saml.iter().find(|provider| provider.name == *name).cloned();
        oidc(own) == oidc(others) && saml(own) == saml(others)
    }

    /// Those of before that are gone, or are not what they were.
    pub(crate) fn taken_back(&self, before: &Self) -> BTreeSet<TakenBack> {
        before.all().filter(|one| !self.vouches_as_in(before, one)).collect()
    }

    /// Whether what was believed of somebody before is believed still, with all groups it had.
    pub(crate) fn stands_by(&self, before: &Arc<Self>, principal: &Principal) -> bool {
        let same = std::ptr::eq(self, Arc::as_ptr(before));
        same || !self.taken_back(before).iter().any(|one| one.concerns(principal))
            && !self.groups.take_from(principal, &before.groups)
    }

    /// Which of those that are new, or not what they were, cannot be asked now, and why: whom they vouch for
    /// is let in once they answer.
    pub(crate) async fn unreachable(&self, before: &Self) -> Vec<String> {
        let fresh = before.taken_back(self);
        let is_fresh = |issuer: &str| fresh.iter().any(|one| one.issuer == issuer);
        let asked = self.verifier.warm_those(is_fresh, now());
        let told = |name: &str, why: &str| {
            format!("\"{name}\": nobody it vouches for is let in before it can be asked: {why}")
        };
        match tokio::time::timeout(REACHED, asked).await {
            Ok(failures) => {
                failures.iter().map(|(name, error)| told(name, &error.to_string())).collect()
            }
            Err(_) if fresh.is_empty() => Vec::new(),
            Err(_) => vec![format!(
                "not all providers that are new here could be asked within {} s",
                REACHED.as_secs()
            )],
        }
    }
}

/// A mark of the settings of each who vouches: the same at every gateway that goes by them, wherever its
/// files are, so that files count by their names alone.
fn marks(identity: &Identity) -> BTreeMap<String, String> {
    let providers = identity.providers.iter().chain(&identity.development);
    let providers = providers.map(|one| {
        let mut one = one.clone();
        if let Some(client) = &mut one.sign_in {
            // The gateway says by it who it is, and believes nobody by it.
            (client.client_secret_file, client.client_secret_env) = (None, None);
        }
        (one.name.clone(), mark("oidc", &one))
    });
    let saml = identity.saml.iter().map(|one| {
        let mut one = one.clone();
        for file in one.files_mut() {
            *file = file.file_name().map(Into::into).unwrap_or_default();
        }
        (one.name.clone(), mark("saml", &one))
    });
    let rules = identity.workloads.iter().map(|rule| rule.get_ref());
    let rules = rules.map(|rule| (rule.name.clone(), mark("rule", rule)));
    providers.chain(saml).chain(rules).collect()
}

fn mark(kind: &str, settings: &impl Serialize) -> String {
    // INVARIANT: settings are texts, numbers and maps by text, which all can be written as JSON; were one
    // not, its mark would be of no settings, and nobody is believed by one that is empty.
    serde_json::to_vec(settings).map_or_else(
        |_| String::new(),
        |settings| {
            let digester = Digester::new("portcullis/vouching/1").part(kind.as_bytes());
            digester.part(&settings).finish().to_string()
        },
    )
}

/// Marks of settings by which nobody is believed any more, until the store knows.
#[derive(Debug, Default)]
pub(crate) struct Owed {
    marks: Mutex<BTreeSet<String>>,
    /// Issuers of people whose word does not count any more, until the store knows.
    issuers: Mutex<BTreeSet<String>>,
}

impl Owed {
    fn marks(&self) -> MutexGuard<'_, BTreeSet<String>> {
        // The set is whole after every operation on it.
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn issuers(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.issuers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True where what was vouched for by one of these settings may still stand in the store as good.
    pub(crate) fn is_of<'n>(&self, marks: impl IntoIterator<Item = &'n String>) -> bool {
        let owed = self.marks();
        marks.into_iter().any(|mark| owed.contains(mark))
    }
}

/// Who logs in with a credential: with the groups it has now, where all who vouched for it still do.
pub(crate) fn admitted(
    services: &Services,
    generation: &Generation,
    row: CredentialRow,
) -> Result<Principal, NotAdmitted> {
    let CredentialRow { mut principal, connection, vouched_by, vouched_as, .. } = row;
    let vouching = &generation.vouching;
    let mut each = vouched_by.iter().zip(&vouched_as);
    let stand = !vouched_by.is_empty()
        && vouched_by.len() == vouched_as.len()
        && each.all(|(name, mark)| vouching.vouches_as(name, mark));
    if !stand || services.documents.owed.is_of(&vouched_as) {
        return Err(NotAdmitted { who: Some(Box::new(principal)), why: IdentityError::Revoked });
    }
    // By two tokens: it has a person's groups, as far as the connection lends them.
    if vouched_by.len() > 1 {
        let lent = generation.connections.get(&connection).map(|c| &c.settings.lend_groups);
        principal.groups.retain(|group| lent.is_some_and(|lent| lent.contains(group)));
    }
    Ok(vouching.join(principal))
}

/// What a generation does not believe any more, before it takes the place of another.
pub(crate) fn owe(services: &Services, before: &Generation, after: &Generation) {
    let gone = after.vouching.taken_back(&before.vouching);
    let people = gone.iter().filter(|one| !one.is_rule).map(|one| one.issuer.clone());
    services.documents.owed.issuers().extend(people);
    services.documents.owed.marks().extend(gone.into_iter().map(|one| one.mark));
}

/// At the start: owes what stands on the word of people whom nobody vouches for, as the settings are now.
/// False where the store did not say on whose word anything stands.
pub(crate) async fn owe_of_before(services: &Services) -> bool {
    let known = services.now().vouching.issuers();
    let heard = async {
        let mut heard = services.desk.heard().await.map_err(|e| e.to_string())?;
        heard.extend(services.grants.heard().await.map_err(|e| e.to_string())?);
        Ok::<_, String>(heard)
    };
    match heard.await {
        Ok(heard) => {
            services.documents.owed.issuers().extend(heard.difference(&known).cloned());
            true
        }
        Err(error) => {
            warn!(error, "on whose word open approvals stand could not be asked");
            false
        }
    }
}

/// Looks once more at somebody who has just decided something, and was believed by `believed`: where that
/// is not gone by any more, its word is taken back.
///
/// # Errors
/// Nobody vouches for it any more.
pub(crate) async fn stands_yet(
    services: &Services,
    believed: &Arc<Vouching>,
    principal: &Principal,
) -> Result<(), IdentityError> {
    if services.now().vouching.stands_by(believed, principal) {
        return Ok(());
    }
    services.documents.owed.issuers().insert(principal.issuer.clone());
    unhear(services).await;
    Err(IdentityError::Revoked)
}

/// Takes back what is open on the word of people whom nobody vouches for any more: reviews that wait or
/// were not used yet, patterns, and grants, with the sessions that stand on them.
async fn unhear(services: &Services) {
    let issuers = services.documents.owed.issuers().clone();
    if issuers.is_empty() {
        return;
    }
    let unheard = match services.desk.unhear(&issuers, now()).await {
        Ok(unheard) => unheard,
        Err(error) => return warn!(%error, "approvals of people are not taken back yet"),
    };
    for review in unheard.reviews {
        let event = Event::Withdrawn { review, why: Withdrawal::Unvouched };
        // It is over whether or not that can be recorded.
        let _ = services.ledger.note(Entry::outside(now(), event));
    }
    for (pattern, review, session) in unheard.patterns {
        let event = Event::PatternRevoked { pattern, review, by: By::no_principal(BY) };
        let entry = Entry { at: now(), session: Some(session), request: None, event };
        let _ = services.ledger.note(entry);
    }
    if let Err(error) = services.grants.unhear(&issuers).await {
        return warn!(%error, "grants of people are not taken back yet");
    }
    services.documents.owed.issuers().retain(|issuer| !issuers.contains(issuer));
}

/// Ends all that rests on what is not believed any more, once it is gone by.
pub(crate) async fn end_what_rests(services: &Services, before: &Generation, after: &Generation) {
    if Arc::ptr_eq(&before.vouching, &after.vouching) {
        return;
    }
    let stays =
        |owner: &Owner| after.vouching.stands_by(&before.vouching, &owner.standing.principal);
    let reason = "who vouches for you, or a group you were in, was changed or removed";
    let by = ("the gateway", &By::no_principal("portcullis"));
    fleet::end(services, |_, owner| !stays(owner), by, reason);
    settle(services).await;
}

/// Takes back in the store what is owed; what cannot be said now is said later, and counts meanwhile.
pub(crate) async fn settle(services: &Services) {
    unhear(services).await;
    let marks = services.documents.owed.marks().clone();
    if marks.is_empty() {
        return;
    }
    let revoked = match services.credentials.store.revoke_vouched_as(&marks, BY, now()).await {
        Ok(revoked) => revoked,
        Err(error) => return warn!(%error, "credentials are refused here, and not revoked yet"),
    };
    let ids: BTreeSet<String> = revoked.iter().map(|(id, _)| id.to_string()).collect();
    for (credential, connection) in revoked {
        let event = Event::CredentialRevoked { credential, by: By::no_principal(BY), connection };
        // It is revoked whether or not that can be recorded.
        let _ = services.ledger.note(Entry::outside(now(), event));
    }
    let opened_with = |owner: &Owner| {
        owner.standing.principal.token_id.as_ref().is_some_and(|id| ids.contains(id))
    };
    let by = ("the gateway", &By::no_principal("portcullis"));
    fleet::end(services, |_, owner| opened_with(owner), by, "your credential was revoked");
    let ended = match services.sign_in.store.end_vouched_as(&marks, BY, now()).await {
        Ok(ended) => ended,
        Err(error) => {
            return warn!(%error, "sessions in browsers are refused here, and not ended yet");
        }
    };
    for browser in ended {
        let why = "who vouched for its person was changed or removed".to_owned();
        let event = Event::SignedOut { browser, by: By::no_principal(BY), why };
        // It is over whether or not that can be recorded.
        let _ = services.ledger.note(Entry::outside(now(), event));
    }
    services.documents.owed.marks().retain(|mark| !marks.contains(mark));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use portcullis_core::principal::PrincipalKind;

    fn vouching(text: &str, before: Option<&Arc<Vouching>>) -> Arc<Vouching> {
        let config: Config = toml::from_str(text).unwrap();
        Vouching::of((&config.identity, &config.groups), before).unwrap()
    }

    fn provider(name: &str) -> String {
        format!(
            "[[identity.providers]]\nname = \"{name}\"\nissuer = \"https://{name}.example\"\n\
             audiences = [\"p\"]\n"
        )
    }

    fn rule(name: &str, sub: &str) -> String {
        format!(
            "[[identity.workloads]]\nname = \"{name}\"\nkind = \"oidc\"\naudiences = [\"p\"]\n\
             issuer = \"https://ci.example\"\npins = {{ sub = \"{sub}\" }}\n"
        )
    }

    fn principal(issuer: &str, name: &str) -> Principal {
        Principal {
            kind: PrincipalKind::Agent,
            subject: "s".to_owned(),
            name: name.to_owned(),
            issuer: format!("https://{issuer}.example"),
            acting_for: None,
            acting_for_issuer: None,
            email: None,
            groups: BTreeSet::new(),
            token_id: None,
            expires: Timestamp::from_micros(0),
        }
    }

    #[test]
    fn what_rests_on_a_changed_or_removed_one_falls_and_all_else_stands() {
        let all = [provider("corp"), provider("lab"), rule("ci", "a"), rule("cd", "b")].concat();
        let before = vouching(&all, None);
        let (bo, mia) = (principal("corp", "bo"), principal("lab", "mia"));
        let (ci, cd) = (principal("ci", "ci"), principal("ci", "cd"));
        let for_bo = Principal {
            acting_for: Some("bo".to_owned()),
            acting_for_issuer: Some("https://corp.example".to_owned()),
            ..principal("ci", "cd")
        };
        let falls = |text: &str| {
            let after = vouching(text, Some(&before));
            let who = [&bo, &mia, &ci, &cd, &for_bo];
            who.map(|who| !after.stands_by(&before, who))
        };
        assert_eq!(falls(&all), [false; 5]);
        let without_corp = [provider("lab"), rule("ci", "a"), rule("cd", "b")].concat();
        assert_eq!(falls(&without_corp), [true, false, false, false, true]);
        let narrowed =
            all.replace("https://lab.example\"\n", "https://lab.example\"\nleeway_seconds = 1\n");
        assert_eq!(falls(&narrowed), [false, true, false, false, false]);
        let without_ci = [provider("corp"), provider("lab"), rule("cd", "b")].concat();
        assert_eq!(falls(&without_ci), [false, false, true, false, false]);
        assert_eq!(falls(&all.replace("\"b\"", "\"c\"")), [false, false, false, true, true]);
        // One more takes nothing from anybody.
        assert_eq!(falls(&format!("{all}{}", rule("more", "z"))), [false; 5]);
    }

    #[test]
    fn what_is_the_same_is_not_made_again() {
        let before = vouching(&provider("corp"), None);
        let again = vouching(&provider("corp"), Some(&before));
        assert!(Arc::ptr_eq(&before, &again));
        assert!(!Arc::ptr_eq(&before, &vouching(&provider("lab"), Some(&before))));
    }

    #[test]
    fn a_mark_is_of_the_settings_and_of_no_file_of_this_machine() {
        let marks = |text: &str| {
            let config: Config = toml::from_str(text).unwrap();
            marks(&config.identity)
        };
        let signs_in = |file: &str, client: &str| {
            let client = format!("client_id = \"{client}\"\nclient_secret_file = \"{file}\"\n");
            format!("{}[identity.providers.sign_in]\n{client}", provider("corp"))
        };
        let saml = |file: &str| {
            format!(
                "[[identity.saml]]\nname = \"s\"\nentity_id = \"urn:s\"\nmetadata_file = \"{file}\"\n"
            )
        };
        assert_eq!(marks(&signs_in("/a/secret", "p")), marks(&signs_in("/b/secret", "p")));
        assert_ne!(marks(&signs_in("/a/secret", "p")), marks(&signs_in("/a/secret", "q")));
        assert_eq!(marks(&saml("/a/idp.xml")), marks(&saml("/b/idp.xml")));
        assert_ne!(marks(&saml("/a/idp.xml")), marks(&saml("/a/other.xml")));
        let of = |text: &str, name: &str| marks(text).remove(name).unwrap();
        let both = [rule("ci", "a"), rule("cd", "b")].concat();
        assert_eq!(of(&both, "cd"), of(&rule("cd", "b"), "cd"), "others do not count");
        assert_ne!(of(&both, "cd"), of(&rule("cd", "c"), "cd"));
        let vouching = vouching(&both, None);
        assert!(vouching.vouches_as("ci", &vouching.mark("ci")));
        assert!(!vouching.vouches_as("ci", &vouching.mark("cd")));
        assert!(!vouching.vouches_as("none", &vouching.mark("none")), "nobody's is nothing");
    }

    #[test]
    fn what_is_owed_is_of_its_mark() {
        let owed = Owed::default();
        owed.marks().insert("corp".to_owned());
        assert!(owed.is_of(&["ci".to_owned(), "corp".to_owned()]));
        assert!(!owed.is_of(&["ci".to_owned()]));
    }
}
