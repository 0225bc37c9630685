//! The settings of the development provider: who there is, and who acts for whom.

use super::DevProviderError;
use crate::text::is_presentable;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};

/// A provider for development, tests and the demo. It has no passwords and listens on loopback
/// only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DevProviderSettings {
    /// Where it listens; a loopback address. Port 0 takes a free one.
    #[serde(default = "default_listen")]
    #[schemars(with = "String")]
    pub listen: SocketAddr,
    /// The audience of its tokens.
    #[serde(default = "default_audience")]
    pub audience: String,
    /// How long its tokens live, in seconds; from 1 to 86400.
    #[serde(default = "default_ttl")]
    #[schemars(range(min = 1, max = 86400))]
    pub token_ttl_seconds: u64,
    /// The people.
    #[serde(default)]
    pub people: Vec<DevPerson>,
    /// The agents.
    #[serde(default)]
    pub agents: Vec<DevAgent>,
    /// The workloads.
    #[serde(default)]
    pub workloads: Vec<DevWorkload>,
}

/// A person.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DevPerson {
    /// The name, which is also the subject.
    pub name: String,
    /// The groups.
    #[serde(default)]
    pub groups: Vec<String>,
    /// The e-mail address.
    #[serde(default)]
    pub email: Option<String>,
}

/// An agent.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DevAgent {
    /// The name, which is also the subject and the client id.
    pub name: String,
    /// The person it acts for, by name.
    #[serde(default)]
    pub acting_for: Option<String>,
    /// Its own groups. It gets none of that person's.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Its client secret; made at start where there is none.
    #[serde(default)]
    pub secret: Option<String>,
}

/// A workload: a program with a fixed job.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DevWorkload {
    /// The name, which is also the subject and the client id.
    pub name: String,
    /// The groups.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Its client secret; made at start where there is none.
    #[serde(default)]
    pub secret: Option<String>,
}

impl std::fmt::Debug for DevAgent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DevAgent")
            .field("name", &self.name)
            .field("acting_for", &self.acting_for)
            .field("groups", &self.groups)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for DevWorkload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DevWorkload")
            .field("name", &self.name)
            .field("groups", &self.groups)
            .finish_non_exhaustive()
    }
}

impl Default for DevProviderSettings {
    fn default() -> Self {
        Self {
            listen: default_listen(),
            audience: default_audience(),
            token_ttl_seconds: default_ttl(),
            people: Vec::new(),
            agents: Vec::new(),
            workloads: Vec::new(),
        }
    }
}

impl DevProviderSettings {
    /// Checks what the types cannot: names are unique and presentable, whoever is acted for is one
    /// of the people, the address is on loopback.
    ///
    /// # Errors
    /// [`DevProviderError::NotLoopback`] or [`DevProviderError::Settings`].
    pub fn validate(&self) -> Result<(), DevProviderError> {
        let wrong = |problem: String| Err(DevProviderError::Settings(problem));
        if !self.listen.ip().is_loopback() {
            return Err(DevProviderError::NotLoopback(self.listen));
        }
        if !(1..=86_400).contains(&self.token_ttl_seconds) {
            return wrong("`token_ttl_seconds` must be from 1 to 86400".into());
        }
        if !is_presentable(&self.audience) {
            return wrong("`audience` must be 1 to 255 visible characters".into());
        }
        let mut names = BTreeSet::new();
        for (name, groups) in self.everybody() {
            if !is_presentable(name) || name.contains(':') {
                return wrong(format!("{name:?} cannot be a name (visible characters, no colon)"));
            }
            if !names.insert(name) {
                return wrong(format!("the name \"{name}\" is used twice"));
            }
            if let Some(group) = groups.iter().find(|group| !is_presentable(group)) {
                return wrong(format!("{group:?} cannot be a group of \"{name}\""));
            }
        }
        for agent in &self.agents {
            if let Some(person) = &agent.acting_for
                && !self.people.iter().any(|p| p.name == *person)
            {
                return wrong(format!(
                    "agent \"{}\" acts for \"{person}\", who is not one of the people",
                    agent.name
                ));
            }
        }
        let secrets = self.agents.iter().map(|a| (&a.name, &a.secret));
        let secrets = secrets.chain(self.workloads.iter().map(|w| (&w.name, &w.secret)));
        for (name, secret) in secrets {
            if secret.as_ref().is_some_and(|secret| secret.len() < 16) {
                return wrong(format!("the secret of \"{name}\" has fewer than 16 characters"));
            }
        }
        Ok(())
    }

    fn everybody(&self) -> impl Iterator<Item = (&String, &Vec<String>)> {
        let people = self.people.iter().map(|p| (&p.name, &p.groups));
        let agents = self.agents.iter().map(|a| (&a.name, &a.groups));
        let workloads = self.workloads.iter().map(|w| (&w.name, &w.groups));
        people.chain(agents).chain(workloads)
    }
}

const fn default_listen() -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0)
}

fn default_audience() -> String {
    "portcullis".into()
}

const fn default_ttl() -> u64 {
    3_600
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_checked() {
        let check = |text: &str, expect: &str| {
            let settings: DevProviderSettings = toml::from_str(text).unwrap();
            let said = settings.validate().map_err(|e| e.to_string());
            assert!(
                if expect.is_empty() {
                    said.is_ok()
                } else {
                    said.as_ref().unwrap_err().contains(expect)
                },
                "{text}: {said:?}"
            );
        };
        check("", "");
        check("listen = '[::1]:0'", "");
        check("listen = '0.0.0.0:80'", "loopback");
        check("listen = '[::]:80'", "loopback");
        check("listen = '10.0.0.1:80'", "loopback");
        check("token_ttl_seconds = 0", "token_ttl_seconds");
        check("people = [{name = 'a'}, {name = 'a'}]", "twice");
        check("people = [{name = 'a'}]\nagents = [{name = 'a'}]", "twice");
        check("agents = [{name = 'a', acting_for = 'nobody'}]", "nobody");
        check("agents = [{name = 'b', acting_for = 'b'}]", "not one of the people");
        check("people = [{name = 'a', groups = ['']}]", "group");
        check("people = [{name = 'a:b'}]", "colon");
        check("workloads = [{name = 'ci', secret = 'short'}]", "16");
        assert!(toml::from_str::<DevProviderSettings>("password = 'x'").is_err());
    }
}
