//! The start-up message to a target: what the gateway says of itself, and the settings that a client
//! asks for.
//!
//! Settings are what `SET` would be in a session, and are judged like it with the log-in,
//! all but a few that every driver sends. What would change how texts are read does not pass.

use crate::error::DialError;

/// Protocol version 3.0 (PostgreSQL manual, "Message Formats").
const VERSION: u32 = 3 << 16;
/// The longest value of a parameter that is passed on, in bytes.
const LONGEST_VALUE: usize = 4096;
/// The most parameters of a client that are looked at.
const MOST: usize = 32;
/// `NAMEDATALEN - 1`: a server cuts names there.
const LONGEST_NAME: usize = 63;
/// The parameter that holds settings, as arguments of a command.
const OPTIONS: &str = "options";

/// The setting by which a target looks, while it works, whether its client is still there (PostgreSQL
/// 14 and later): what runs for a session that has ended is over within this time, even code that
/// swallows cancels.
pub(crate) const WATCH: (&str, &str) = ("client_connection_check_interval", "1s");

/// Parameters a client may set at log-in whatever the policy: they change how values look and how
/// long things may take, and nothing else.
const FORWARDED: [&str; 7] = [
    "datestyle",
    "extra_float_digits",
    "idle_in_transaction_session_timeout",
    "intervalstyle",
    "lock_timeout",
    "statement_timeout",
    "timezone",
];

/// The settings a client asks for at log-in: those of its start-up parameters, and of the `options`
/// among them. They come in the order in which the server takes them.
#[derive(Debug, Default)]
pub struct StartupSettings {
    application_name: Option<String>,
    passed: Vec<(String, String)>,
}

impl StartupSettings {
    /// Reads the parameters of a start-up message, as the client sent them.
    ///
    /// # Errors
    /// [`DialError::Parameter`] names the first that is not taken, whatever the policy.
    pub fn read(parameters: &[(String, String)]) -> Result<Self, DialError> {
        if parameters.len() > MOST {
            let name = "(all of them)".to_owned();
            return Err(DialError::Parameter { name, why: "there are too many" });
        }
        let mut settings = Self::default();
        let options = options(parameters)?;
        let others = parameters.iter().filter(|(name, _)| name != OPTIONS);
        for (name, value) in options.iter().chain(others) {
            if name == "application_name" {
                settings.application_name = Some(value.clone());
            } else if is_passed(name, value)? {
                settings.passed.push((name.clone(), value.clone()));
            }
        }
        Ok(settings)
    }

    /// True where the client asks for any.
    #[must_use]
    pub const fn asks(&self) -> bool {
        !self.passed.is_empty()
    }

    /// Names, in small letters, and values of what the policy decides about.
    pub fn judged(&self) -> impl Iterator<Item = (String, &str)> {
        let named = self.passed.iter().map(|(n, value)| (n.to_ascii_lowercase(), value.as_str()));
        named.filter(|(name, _)| !FORWARDED.contains(&name.as_str()))
    }
}

/// The start-up message for a log-in.
///
/// `client_encoding` and `standard_conforming_strings` are always said: they decide how the server
/// reads a text, and so does the gateway's parser. Without a name for the application it has the
/// client's own, if there is one, which the server cleans and cuts. `watched`: the target is to
/// [look](WATCH) whether the gateway is still there.
pub(crate) fn message(
    user: &str,
    database: &str,
    application_name: Option<&str>,
    settings: &StartupSettings,
    watched: bool,
) -> Vec<u8> {
    let given = application_name.map(printable);
    let application = given.as_deref().or(settings.application_name.as_deref());
    let mut pairs = vec![
        ("user", user),
        ("database", database),
        ("client_encoding", "UTF8"),
        ("standard_conforming_strings", "on"),
    ];
    pairs.extend(watched.then_some(WATCH));
    pairs.extend(application.map(|name| ("application_name", name)));
    pairs.extend(settings.passed.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let mut bytes = vec![0; 4];
    bytes.extend(VERSION.to_be_bytes());
    for (name, value) in pairs {
        for text in [name, value] {
            bytes.extend(text.as_bytes());
            bytes.push(0);
        }
    }
    bytes.push(0);
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes();
    if let Some(prefix) = bytes.first_chunk_mut() {
        *prefix = length;
    }
    bytes
}

/// The settings that `options` stands for (`-c name=value`, `--name=value`), each to be looked at
/// like a parameter of its own. They come before the parameters, as they do at the server, where
/// what comes later wins.
fn options(parameters: &[(String, String)]) -> Result<Vec<(String, String)>, DialError> {
    let refuse = |why| Err(DialError::Parameter { name: OPTIONS.to_owned(), why });
    let mut settings = Vec::new();
    for (_, text) in parameters.iter().filter(|(name, _)| name == OPTIONS) {
        let mut words = words(text).into_iter();
        while let Some(word) = words.next() {
            let setting = match (word.strip_prefix("--"), word.strip_prefix("-c")) {
                (Some(setting), _) => Some(setting.to_owned()),
                (None, Some("")) => words.next(),
                (None, setting) => setting.map(str::to_owned),
            };
            let Some(setting) = setting else {
                return refuse("only settings are (`-c name=value`)");
            };
            let Some((name, value)) = setting.split_once('=') else {
                return refuse("a setting in it has no value");
            };
            settings.push((name.replace('-', "_"), value.to_owned()));
            if settings.len() > MOST {
                return refuse("there are too many settings in it");
            }
        }
    }
    Ok(settings)
}

/// The words of `options` as the server takes them apart: at white space, unless a backslash stands
/// before it (`pg_split_opts`).
fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let taken = match c {
            '\\' => chars.next(),
            ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c' => {
                words.push(String::new());
                None
            }
            other => Some(other),
        };
        if let (Some(c), Some(word)) = (taken, words.last_mut()) {
            word.push(c);
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Whether the parameter is passed on; not where the gateway says it already.
fn is_passed(name: &str, value: &str) -> Result<bool, DialError> {
    let refuse = |why| Err(DialError::Parameter { name: name.to_owned(), why });
    if value.len() > LONGEST_VALUE || value.chars().any(char::is_control) {
        return refuse("its value is too long or has control characters");
    }
    // The server compares names of settings without regard to case.
    let lower = name.to_ascii_lowercase();
    match lower.as_str() {
        "user" | "database" | "application_name" => Ok(false),
        name if name == WATCH.0 => Ok(false),
        "client_encoding" if is_utf8(value) => Ok(false),
        "client_encoding" => refuse("only UTF8 is spoken here; set client_encoding to UTF8"),
        "standard_conforming_strings" if is_on(value) => Ok(false),
        "standard_conforming_strings" => refuse("it must be on"),
        "replication" => refuse("replication connections are not offered"),
        "role" | "session_authorization" => refuse("say it with a statement after log-in"),
        OPTIONS => refuse("it is written in small letters, and not in itself"),
        setting if is_name(setting) => Ok(true),
        _ => refuse("it is no name of a setting"),
    }
}

/// True for what may be a setting: a name, or two with a dot between them. Parameters of the protocol
/// (`_pq_.`) are none.
fn is_name(name: &str) -> bool {
    let plain = |part: &str| {
        let starts = part.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
        starts && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    name.len() <= LONGEST_NAME && !name.starts_with("_pq_.") && name.split('.').all(plain)
}

/// Encoding names are compared by letters and digits alone (`pg_char_to_encoding`).
fn is_utf8(value: &str) -> bool {
    let plain: String = value.chars().filter(char::is_ascii_alphanumeric).collect();
    ["utf8", "unicode"].iter().any(|name| plain.eq_ignore_ascii_case(name))
}

fn is_on(value: &str) -> bool {
    ["on", "true", "yes", "1"].iter().any(|word| value.eq_ignore_ascii_case(word))
}

fn printable(text: &str) -> String {
    let plain = |c: char| if c == ' ' || c.is_ascii_graphic() { c } else { '?' };
    text.chars().map(plain).take(LONGEST_NAME).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect()
    }

    fn check(list: &[(&str, &str)], expect: Option<&str>) {
        let made = StartupSettings::read(&pairs(list));
        match (made, expect) {
            (Ok(settings), Some(tail)) => {
                let bytes = message("app", "shop", Some("portcullis:a:s"), &settings, false);
                let text = String::from_utf8_lossy(bytes.get(8..).unwrap()).replace('\0', "|");
                let head = "user|app|database|shop|client_encoding|UTF8|\
                            standard_conforming_strings|on|application_name|portcullis:a:s|";
                assert_eq!(text, format!("{head}{tail}|"));
                assert_eq!(bytes.first_chunk(), Some(&(bytes.len() as u32).to_be_bytes()));
            }
            (Err(DialError::Parameter { .. }), None) => {}
            (got, _) => panic!("{list:?}: {got:?}"),
        }
    }

    #[test]
    fn what_drivers_send_passes_and_what_changes_meaning_does_not() {
        check(&[], Some(""));
        check(
            &[("DateStyle", "ISO, MDY"), ("TimeZone", "UTC")],
            Some("DateStyle|ISO, MDY|TimeZone|UTC|"),
        );
        check(&[("extra_float_digits", "2")], Some("extra_float_digits|2|"));
        check(&[("client_encoding", "'utf-8'"), ("application_name", "psql")], Some(""));
        check(&[("client_encoding", "UNICODE")], Some(""));
        check(&[("client_encoding", "SJIS")], None);
        check(&[("Client_Encoding", "LATIN1")], None);
        check(&[("standard_conforming_strings", "off")], None);
        check(&[("options", "-c search_path=x")], Some("search_path|x|"));
        check(&[("options", "-csearch_path=x")], Some("search_path|x|"));
        check(&[("options", "--search-path=a,b")], Some("search_path|a,b|"));
        check(&[("search path", "x")], None);
        check(&[("search_path\0user", "x")], None);
        check(&[("options", "-c client_encoding=latin1")], None);
        check(&[("options", "-c standard\\_conforming_strings=off")], None);
        check(&[("options", "-d 5")], None);
        check(&[("options", "-c")], None);
        check(&[("options", "-c timezone")], None);
        check(&[("options", "timezone=UTC")], None);
        check(&[("options", "-c options=-csearch_path=x")], None);
        check(&[("OPTIONS", "-c timezone=UTC")], None);
        check(&[("options", "  ")], Some(""));
        check(
            &[
                ("TimeZone", "UTC"),
                ("options", " -c\tstatement-timeout=5s --DateStyle=ISO,\\ MDY -clock_timeout=1"),
            ],
            Some("statement_timeout|5s|DateStyle|ISO, MDY|lock_timeout|1|TimeZone|UTC|"),
        );
        check(&[("client_connection_check_interval", "0")], Some(""));
        check(&[("replication", "database")], None);
        check(&[("Role", "admin")], None);
        check(&[("options", "--session-authorization=admin")], None);
        check(&[("App.Tenant", "5")], Some("App.Tenant|5|"));
        check(&[("app.", "5")], None);
        check(&[("_pq_.x", "1")], None);
        check(&[("TimeZone", "UTC\0user\0postgres")], None);
        check(&[("TimeZone", &"x".repeat(4097))], None);
        check(&[("TimeZone", "UTC"); 33], None);
    }

    #[test]
    fn the_client_names_itself_where_nobody_else_does() {
        for (list, name) in
            [(&[("application_name", "mine")][..], "application_name|mine|"), (&[], "")]
        {
            let settings = StartupSettings::read(&pairs(list)).unwrap();
            let bytes = message("app", "shop", None, &settings, true);
            let text = String::from_utf8_lossy(&bytes).replace('\0', "|");
            let watched = format!("strings|on|client_connection_check_interval|1s|{name}|");
            assert!(text.ends_with(&watched), "{text}");
        }
    }

    #[test]
    fn what_is_not_harmless_is_judged() {
        let list = [
            ("TimeZone", "UTC"),
            ("Search_Path", "a"),
            (
                "options",
                "-c row_security=off --session-replication-role=replica -c statement_timeout=1",
            ),
            ("application_name", "me"),
        ];
        let settings = StartupSettings::read(&pairs(&list)).unwrap();
        let judged: Vec<(String, &str)> = settings.judged().collect();
        let expected = [
            ("row_security", "off"),
            ("session_replication_role", "replica"),
            ("search_path", "a"),
        ];
        assert_eq!(judged, expected.map(|(name, value)| (name.to_owned(), value)));
    }

    proptest! {
        #[test]
        fn no_parameter_adds_another(name in "\\PC{0,20}", value in any::<String>()) {
            if let Ok(settings) = StartupSettings::read(&[(name, value.clone())]) {
                let bytes = message("u", "d", Some(&value), &settings, false);
                let zeros = bytes.iter().skip(8).filter(|b| **b == 0).count();
                prop_assert!(zeros == 11 || zeros == 13, "{}", zeros);
            }
        }
    }
}
