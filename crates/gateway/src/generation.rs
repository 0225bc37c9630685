//! Generations: all that requests and log-ins are judged by and that may change while the gateway runs.
//! Each is made as a whole, by the same code at the start and later, and takes the place of the one before
//! at once: a log-in or a request goes by one of them, and never by parts of two.

use crate::catalog::SharedCatalog;
use crate::config::{Config, Connection, SensitiveColumn};
use crate::grants::Rule;
use crate::judge::Unmasked;
use crate::labels::Labels;
use crate::rate::Rates;
use crate::services::{
    detectors, dialer, load_policies, nameless, policy_files, pseudonym_key, unknown_objects,
};
use crate::vouching::Vouching;
use portcullis_core::digest::{Digest, Digester};
use portcullis_core::journal::Event;
use portcullis_mask::{Detectors, PseudonymKey};
use portcullis_policy::{GrantFacts, Policies};
use portcullis_store::{LabelPlace, Store};
use portcullis_targets::{Dialer, Secrets};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

/// What is gone by.
pub(crate) struct Generation {
    /// The revision of all documents.
    pub(crate) revision: u64,
    pub(crate) policies: Arc<Policies>,
    pub(crate) dialer: Dialer,
    pub(crate) connections: HashMap<String, Arc<ConnectionServices>>,
    /// Who vouches for callers.
    pub(crate) vouching: Arc<Vouching>,
    files: Arc<Files>,
}

/// What is read from files at the start and never again: whoever changes a document does not put in force
/// what somebody is writing there.
struct Files {
    /// The texts of policies, with where each is from.
    policies: Vec<(String, String)>,
    key: PseudonymKey,
}

/// What the sessions of one connection share.
pub(crate) struct ConnectionServices {
    pub(crate) settings: Connection,
    pub(crate) sensitive: Arc<[SensitiveColumn]>,
    pub(crate) catalog: Arc<SharedCatalog>,
    pub(crate) unmasked: Arc<Unmasked>,
    pub(crate) labels: Arc<Labels>,
    pub(crate) detectors: Arc<Detectors>,
    pub(crate) key: Arc<PseudonymKey>,
    pub(crate) rates: Arc<Rates>,
    /// All that its requests are judged and masked by.
    pub(crate) judged_by: Digest,
}

/// A generation that was checked, before it has what the store keeps.
pub(crate) struct Made {
    config: Box<Config>,
    revision: u64,
    policies: Arc<Policies>,
    rules: Digest,
    dialer: Dialer,
    vouching: Arc<Vouching>,
    files: Arc<Files>,
    /// Of each connection.
    detectors: HashMap<String, Arc<Detectors>>,
    before: Option<Arc<Generation>>,
}

/// What requests are judged by, without what they would be sent by.
pub(crate) struct Rules {
    pub(crate) policies: Arc<Policies>,
    /// Every connection, as it is configured.
    pub(crate) settings: HashMap<String, Connection>,
    /// Those of which something is known.
    pub(crate) connections: HashMap<String, Arc<ConnectionServices>>,
}

/// What the journal says of what is gone by from now on.
pub(crate) fn governed(revision: u64, policies: &Policies) -> Event {
    Event::Governed { documents: revision, policy: policies.version().to_owned() }
}

impl Made {
    /// Checks everything a configuration names that sessions go by, and takes a while. Files are read where
    /// there is nothing before.
    pub(crate) fn of(
        config: Box<Config>,
        revision: u64,
        before: Option<&Arc<Generation>>,
    ) -> anyhow::Result<Self> {
        let own = match before {
            Some(before) => before.files.clone(),
            None => Arc::new(Files {
                policies: policy_files(&config)?,
                key: pseudonym_key(&config.data_dir)?,
            }),
        };
        let files = [&*own.policies, &*config.policy.documents].concat();
        // By the texts alone: where they are is another place for every gateway.
        let texts = Digester::new("portcullis/rules/1");
        let rules = files.iter().fold(texts, |all, (_, text)| all.part(text.as_bytes())).finish();
        let policies = Arc::new(load_policies(&files)?);
        let compiled = config.connections.iter();
        let compiled = compiled
            .map(|(name, connection)| Ok((name.clone(), Arc::new(detectors(name, connection)?))));
        let compiled = compiled.collect::<anyhow::Result<_>>()?;
        let dialer = dialer(&config)?;
        let dialer = match before {
            Some(before) => dialer.with_secrets(before.dialer.secrets().clone()),
            None => dialer,
        };
        let said = (&config.identity, &*config.groups);
        let vouching = Vouching::of(said, before.map(|before| &before.vouching))?;
        let before = before.cloned();
        Ok(Self {
            config,
            revision,
            policies,
            rules,
            dialer,
            vouching,
            files: own,
            detectors: compiled,
            before,
        })
    }

    /// The same, with what opens credentials.
    pub(crate) fn with_secrets(self, secrets: Secrets) -> Self {
        Self { dialer: self.dialer.with_secrets(secrets), ..self }
    }

    pub(crate) fn policies(&self) -> &Policies {
        &self.policies
    }

    /// The set that it is made of.
    pub(crate) const fn config(&self) -> &Config {
        &self.config
    }

    /// What requests would be judged by, on connections that lead where they do now: others have told
    /// nothing of themselves yet. To try requests on; nobody goes by it, and nothing is sent by it.
    pub(crate) fn to_try(&self) -> Rules {
        let connections = self.config.connections.iter().filter_map(|(name, settings)| {
            let known = self.before.as_deref()?.connections.get(name)?;
            if known.settings.fixed != settings.fixed {
                return None;
            }
            let services = ConnectionServices {
                sensitive: settings.sensitive.clone().into(),
                catalog: known.catalog.clone(),
                unmasked: Arc::default(),
                labels: known.labels.clone(),
                detectors: self.detectors.get(name)?.clone(),
                key: Arc::new(self.files.key.of_connection(name)),
                rates: known.rates.clone(),
                judged_by: judged_by(self.rules, settings),
                settings: settings.clone(),
            };
            Some((name.clone(), Arc::new(services)))
        });
        let settings = self.config.connections.iter();
        Rules {
            policies: self.policies.clone(),
            settings: settings.map(|(name, one)| (name.clone(), one.clone())).collect(),
            connections: connections.collect(),
        }
    }

    /// What works, and is hardly meant.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let policies = self.policies.warnings().iter().map(ToString::to_string);
        let targets = self.dialer.warnings();
        let targets = targets.iter().map(ToString::to_string);
        let unknown = unknown_objects(&self.config, &self.policies);
        let nameless = nameless(&self.config, self.policies.stepping_up());
        policies.chain(unknown).chain(targets).chain(nameless).collect()
    }

    /// The generation, with what the store keeps of its connections. What sessions of a connection share
    /// stays what it was where it leads to the same place.
    pub(crate) async fn finish(self, store: &Store) -> anyhow::Result<Generation> {
        let Self {
            config,
            revision,
            policies,
            rules,
            dialer,
            vouching,
            files,
            mut detectors,
            before,
        } = self;
        let labels = labels(&config, store, before.as_deref()).await?;
        let mut connections = HashMap::with_capacity(config.connections.len());
        for (name, settings) in config.connections {
            let known = before.as_deref().and_then(|before| before.connections.get(&name));
            let same = known.filter(|known| known.settings.fixed == settings.fixed);
            let Some(labels) = labels.get(&database_of(&settings)).cloned() else { continue };
            let catalog = || Arc::new(SharedCatalog::new(settings.catalog_max_age()));
            let catalog = same.map_or_else(catalog, |known| known.catalog.clone());
            let Some(detectors) = detectors.remove(&name) else { continue };
            let rates = known.map(|known| known.rates.clone()).unwrap_or_default();
            let services = ConnectionServices {
                sensitive: settings.sensitive.clone().into(),
                catalog,
                unmasked: Arc::default(),
                labels,
                detectors,
                key: Arc::new(files.key.of_connection(&name)),
                rates,
                judged_by: judged_by(rules, &settings),
                settings,
            };
            connections.insert(name, Arc::new(services));
        }
        Ok(Generation { revision, policies, dialer, connections, vouching, files })
    }
}

/// What a configuration says of how a connection is judged and masked, in words that are the same wherever
/// it is read.
fn judged_by(rules: Digest, settings: &Connection) -> Digest {
    let own = format!("{:?} {:?} {:?}", settings.groups, settings.sensitive, settings.detectors);
    Digester::new("portcullis/judged-by/1").part(rules.as_bytes()).part(own.as_bytes()).finish()
}

impl Generation {
    /// What the desk of grants has to know of every connection.
    pub(crate) fn rules(&self) -> HashMap<String, Option<Arc<Rule>>> {
        let rule = |connection: &ConnectionServices| {
            let settings = connection.settings.access.clone()?;
            let target = &connection.settings.target;
            Some(Arc::new(Rule {
                settings,
                target: (target.host.to_lowercase(), target.port, target.database.clone()),
                environment: connection.settings.environment.clone(),
                groups: connection.settings.groups.clone(),
                roles: target.role_names().map(str::to_owned).collect(),
                detectors: connection.detectors.clone(),
            }))
        };
        self.connections.iter().map(|(name, one)| (name.clone(), rule(one))).collect()
    }

    /// What it judges by.
    pub(crate) fn to_try(&self) -> Rules {
        let settings = self.connections.iter();
        Rules {
            policies: self.policies.clone(),
            settings: settings.map(|(name, one)| (name.clone(), one.settings.clone())).collect(),
            connections: self.connections.clone(),
        }
    }

    /// Whether sessions of this connection may go on from another generation: it is there, and leads to
    /// the same place, in the same way.
    pub(crate) fn leads_where(&self, name: &str, before: &Self) -> bool {
        let fixed =
            |generation: &Self| Some(generation.connections.get(name)?.settings.fixed.clone());
        let now = fixed(self);
        now.is_some() && now == fixed(before)
    }
}

/// Where a connection leads to.
fn database_of(connection: &Connection) -> (String, String) {
    let target = &connection.target;
    (format!("{}:{}", target.host.to_lowercase(), target.port), target.database.clone())
}

/// The labels of each database: connections that lead to the same one share them, also with those of the
/// generation before.
async fn labels(
    config: &Config,
    store: &Store,
    before: Option<&Generation>,
) -> anyhow::Result<HashMap<(String, String), Arc<Labels>>> {
    let mut places: HashMap<(String, String), Vec<String>> = HashMap::new();
    for (name, connection) in &config.connections {
        places.entry(database_of(connection)).or_default().push(name.clone());
    }
    let mut all = HashMap::with_capacity(places.len());
    for (place, connections) in places {
        let mut known = before.into_iter().flat_map(|before| before.connections.values());
        let known = known.find(|known| database_of(&known.settings) == place);
        let labels = match known {
            Some(known) => {
                connections.iter().for_each(|name| known.labels.is_called(name));
                known.labels.clone()
            }
            None => {
                let (target, database) = place.clone();
                let of = LabelPlace { target, database, connections, servers: Vec::new() };
                Arc::new(Labels::load(store, of).await?)
            }
        };
        all.insert(place, labels);
    }
    Ok(all)
}

/// The generation that is gone by now.
pub(crate) struct Governing {
    /// Counts generations, so that whether there is a newer one costs the load of a number.
    number: AtomicU64,
    now: RwLock<Arc<Generation>>,
    /// Since when it is known that there is a newer one that this gateway cannot go by: milliseconds
    /// after `born`, and 0 where it is not so.
    behind: AtomicU64,
    born: Instant,
}

/// For how long it is gone on by what is not in force elsewhere any more.
const BEHIND: Duration = Duration::from_secs(5);

/// What somebody can do about it who is told that a gateway cannot go by the rules there are.
pub(crate) const MENDED: &str =
    "log in again later, or at another gateway; its operator finds why in its log";

impl Governing {
    pub(crate) fn new(first: Generation) -> Self {
        let now = RwLock::new(Arc::new(first));
        Self { number: AtomicU64::new(0), now, behind: AtomicU64::new(0), born: Instant::now() }
    }

    /// Whether there are rules that this gateway cannot take up. The first word of it counts.
    pub(crate) fn falls_behind(&self, behind: bool) {
        let since = u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
        if behind {
            // What stands there already is older.
            let _ = self.behind.compare_exchange(0, since, Ordering::AcqRel, Ordering::Acquire);
        } else {
            self.behind.store(0, Ordering::Release);
        }
    }

    /// True where this gateway has gone by rules that are not those in force for too long: nothing is
    /// judged by them any more.
    pub(crate) fn is_behind(&self) -> bool {
        match self.behind.load(Ordering::Acquire) {
            0 => false,
            since => self.born.elapsed().saturating_sub(Duration::from_millis(since)) > BEHIND,
        }
    }

    pub(crate) fn now(&self) -> Arc<Generation> {
        // It is replaced as a whole.
        self.now.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The generation of now takes the place of another, which is given.
    pub(crate) fn replace(&self, generation: Generation) -> Arc<Generation> {
        let mut now = self.now.write().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *now, Arc::new(generation));
        self.number.fetch_add(1, Ordering::Release);
        before
    }

    fn number(&self) -> u64 {
        self.number.load(Ordering::Acquire)
    }
}

/// What a session goes by, and whether it still is what there is.
pub(crate) struct Governed {
    governing: Arc<Governing>,
    number: u64,
    /// When what it does was last judged.
    judged: Instant,
    /// Where its connection leads.
    fixed: Box<str>,
    /// All that its requests are judged and masked by.
    pub(crate) judged_by: Digest,
    /// The grant it stands on.
    pub(crate) grant: Option<Box<GrantFacts>>,
}

impl Governed {
    /// The generation of now, with what a session that begins by it knows of it.
    pub(crate) fn begin(governing: &Arc<Governing>) -> (Arc<Generation>, u64) {
        // First: what comes between the two is found to be new.
        let number = governing.number();
        (governing.now(), number)
    }

    /// Of a session that begins.
    pub(crate) fn of(
        governing: &Arc<Governing>,
        number: u64,
        connection: &ConnectionServices,
        grant: Option<GrantFacts>,
    ) -> Self {
        Self {
            governing: governing.clone(),
            number,
            judged: Instant::now(),
            fixed: connection.settings.fixed.as_str().into(),
            judged_by: connection.judged_by,
            grant: grant.map(Box::new),
        }
    }

    /// Something is about to be judged.
    pub(crate) fn judges(&mut self) {
        self.judged = Instant::now();
    }

    /// True where what was judged last was judged by what is not in force any more, and not just now.
    pub(crate) fn is_outdated(&self, patience: Duration) -> bool {
        self.number != self.governing.number() && self.judged.elapsed() > patience
    }

    /// True where nothing is judged any more by what there is here.
    pub(crate) fn is_behind(&self) -> bool {
        self.governing.is_behind()
    }

    /// The generation there is now, where it is another one than before.
    pub(crate) fn newer(&mut self) -> Option<Arc<Generation>> {
        let number = self.governing.number();
        if number == self.number {
            return None;
        }
        self.number = number;
        Some(self.governing.now())
    }

    /// The connection in a newer generation; `None` where it is gone, or leads elsewhere.
    pub(crate) fn connection(
        &self,
        generation: &Generation,
        name: &str,
    ) -> Option<Arc<ConnectionServices>> {
        let found = generation.connections.get(name)?;
        (*found.settings.fixed == *self.fixed).then(|| found.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Identity;
    use portcullis_policy::pack;

    #[test]
    fn a_session_learns_of_newer_rules_once_and_what_was_judged_before_grows_old() {
        let generation = |revision| Generation {
            revision,
            policies: Arc::new(
                Policies::load(&[("p".to_owned(), pack("allow-all").unwrap().to_owned())]).unwrap(),
            ),
            dialer: Dialer::new(HashMap::new()).unwrap(),
            connections: HashMap::new(),
            vouching: Vouching::of((&Identity::default(), &[]), None).unwrap(),
            files: Arc::new(Files { policies: Vec::new(), key: PseudonymKey::new(&[0; 32]) }),
        };
        let governing = Arc::new(Governing::new(generation(1)));
        let (first, number) = Governed::begin(&governing);
        let mut governed = Governed {
            governing: governing.clone(),
            number,
            judged: Instant::now(),
            fixed: "".into(),
            judged_by: Digest::from_bytes([0; 32]),
            grant: None,
        };
        assert_eq!(first.revision, 1);
        assert!(governed.newer().is_none() && !governed.is_outdated(Duration::ZERO));
        assert_eq!(governing.replace(generation(2)).revision, 1);
        std::thread::sleep(Duration::from_millis(5));
        assert!(governed.is_outdated(Duration::from_millis(1)));
        assert!(!governed.is_outdated(Duration::from_secs(3600)), "it was judged just now");
        governed.judges();
        assert!(!governed.is_outdated(Duration::from_secs(60)));
        assert_eq!(governed.newer().map(|found| found.revision), Some(2));
        assert!(governed.newer().is_none() && !governed.is_outdated(Duration::ZERO));
    }
}
