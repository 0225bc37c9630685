//! A copy of the shop's database for the cases of a corpus: made fresh, or put back as it was, with
//! what a case asks of the superuser. The bypass corpus says what its directives mean.

use crate::corpus::Case;
use crate::raw::{Message, RawClient, message, values};
use portcullis_sandbox::postgres::Postgres;
use std::cell::RefCell;
use std::net::SocketAddr;

/// The tables whose rows cases change, and the columns to be put back.
pub const TABLES: [(&str, &str); 4] = [
    ("customers", "id, name, email, card_number, city, created_at"),
    ("orders", "id, customer_id, status, total, note, placed_at"),
    ("payments", "id, order_id, iban, amount, paid_at"),
    ("boxes", "b"),
];

/// Everything a statement may have changed in the database: what there is, and what is in the shop.
const FINGERPRINT: &str = "SELECT
    (SELECT count(*)::text || max(oid) FROM pg_class), (SELECT count(*)::text || max(oid) FROM pg_proc),
    (SELECT count(*)::text || max(oid) FROM pg_type), (SELECT count(*)::text || max(oid) FROM pg_operator),
    (SELECT count(*) FROM pg_namespace), (SELECT count(*) FROM pg_cast), (SELECT count(*) FROM pg_trigger),
    (SELECT count(*) FROM pg_rewrite), (SELECT count(*) FROM pg_policy), (SELECT count(*) FROM pg_extension),
    (SELECT count(*) FROM pg_event_trigger), (SELECT count(*) FROM pg_largeobject_metadata),
    (SELECT count(*) FROM pg_description), (SELECT count(*) FROM pg_constraint),
    (SELECT count(*) FROM pg_default_acl), (SELECT count(*) FROM pg_statistic_ext),
    (SELECT count(*) FROM pg_attribute WHERE attnum > 0 AND NOT attisdropped),
    (SELECT md5(string_agg(concat(relname, relacl, relkind, reloptions, relrowsecurity), ',' ORDER BY oid))
     FROM pg_class WHERE relnamespace = 'public'::regnamespace),
    (SELECT md5(string_agg(concat(c), ',' ORDER BY id)) FROM customers c),
    (SELECT md5(string_agg(concat(o), ',' ORDER BY id)) FROM orders o),
    (SELECT md5(string_agg(concat(p), ',' ORDER BY id)) FROM payments p),
    (SELECT md5(string_agg(concat(b), ',' ORDER BY b)) FROM boxes b),
    (SELECT concat(last_value, is_called) FROM numbers)";

/// A table, its columns, and what was in it.
type Table = (&'static str, &'static str, Vec<u8>);

/// One database, and who is at work there.
pub struct Place<'a> {
    /// The server it is at.
    pub server: &'a Postgres,
    /// Its name. `shop` is what it is a copy of.
    pub database: String,
    /// A gateway to go through: its address, what it calls the database, and the caller's token.
    pub through: Option<(SocketAddr, String, String)>,
    /// The shop's tables, to be put back.
    rows: &'a [Table],
    /// What stands for what in this case.
    names: Vec<(String, String)>,
    /// The superuser's session in the database.
    superuser: RefCell<Option<RawClient>>,
}

/// What is in the tables that cases change.
pub fn rows(server: &Postgres) -> anyhow::Result<Vec<Table>> {
    let address = SocketAddr::from(([127, 0, 0, 1], server.port()));
    let mut client = RawClient::log_in(address, "raw", "shop", "")?;
    let table = |(table, columns)| Ok((table, columns, copy_out(&mut client, table, columns)?));
    TABLES.into_iter().map(table).collect()
}

impl<'a> Place<'a> {
    /// A database that is not made yet.
    #[must_use]
    pub fn new(server: &'a Postgres, database: String, rows: &'a [Table]) -> Self {
        let (through, names, superuser) = Default::default();
        Self { server, database, through, rows, names, superuser }
    }
}

impl Place<'_> {
    /// The server's address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.server.port()))
    }

    fn log_in(&self, database: &str) -> anyhow::Result<RawClient> {
        // Whatever path the case has given the database or the role.
        let parameters = [("user", "raw"), ("database", database), ("search_path", "public")];
        RawClient::log_in_with(self.address(), &parameters, "")
    }

    /// What the superuser's session gives, which is opened where there is none.
    pub fn as_superuser<T>(
        &self,
        f: impl FnOnce(&mut RawClient) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let mut session = self.superuser.borrow_mut();
        if session.is_none() {
            *session = Some(self.log_in(&self.database)?);
        }
        let result = session.as_mut().map(f).unwrap_or_else(|| anyhow::bail!("no session"));
        // Whatever was left unread is not the answer to the next question.
        if result.is_err() {
            *session = None;
        }
        result
    }

    /// The database, fresh.
    pub fn create(&self) -> anyhow::Result<()> {
        *self.superuser.borrow_mut() = None;
        let mut client = self.log_in("postgres")?;
        good(&mut client, &format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.database))?;
        good(&mut client, &format!("CREATE DATABASE {} TEMPLATE shop", self.database))
    }

    /// The rows of the shop, as they were. Whether nothing else has changed is to be seen.
    fn restore(&self) -> anyhow::Result<()> {
        let tables: Vec<&str> = self.rows.iter().map(|(table, ..)| *table).collect();
        let tables = tables.join(", ");
        self.as_superuser(|client| {
            good(client, &format!("TRUNCATE {tables}; SELECT setval('numbers', 1, false)"))?;
            for (table, columns, rows) in self.rows {
                copy_in(client, &format!("{table} ({columns})"), rows)?;
            }
            good(client, "ANALYZE customers, orders, payments")
        })
    }

    /// What there is, and what is in the shop.
    pub fn fingerprint(&self) -> anyhow::Result<String> {
        let seen = self.as_superuser(|client| client.query(FINGERPRINT))?;
        let row = seen.iter().find(|m| m.tag == b'D');
        Ok(row.ok_or_else(|| anyhow::anyhow!("no fingerprint: {}", shown(&seen)))?.shown())
    }

    /// A session of the case: at the server itself that of a superuser, through the gateway the
    /// agent's.
    pub fn client(&self, case: &Case) -> anyhow::Result<RawClient> {
        let (user, database, address, token) = match &self.through {
            Some((address, name, token)) => ("claude", name, *address, token.as_str()),
            None => ("raw", &self.database, self.address(), ""),
        };
        let mut parameters = vec![("user", user), ("database", database)];
        for parameter in case.values("startup") {
            parameters.extend(parameter.split_once('='));
        }
        RawClient::log_in_with(address, &parameters, token)
    }

    /// A text of the case, with everything in it that stands for something else.
    #[must_use]
    pub fn fill(&self, text: &str, guess: &str) -> String {
        let filled = text
            .replace("{db}", &self.database)
            .replace("{port}", &self.server.port().to_string())
            .replace("{dir}", &self.server.directory().display().to_string())
            .replace("{guess}", guess);
        self.names.iter().fold(filled, |text, (name, value)| text.replace(name, value))
    }

    /// Takes down what stands for what.
    pub fn learn(&mut self, case: &Case) -> anyhow::Result<()> {
        self.names.clear();
        let answers = self.ask(case, "let")?;
        for (line, answer) in case.values("let").zip(answers) {
            let name = line.split(" = ").next().unwrap_or_default();
            self.names.push((format!("{{{name}}}"), answer.join(",")));
        }
        Ok(())
    }

    /// Has the superuser do what the directive says.
    pub fn tell(&self, case: &Case, key: &str) -> anyhow::Result<()> {
        case.values(key)
            .try_for_each(|sql| self.as_superuser(|client| good(client, &self.fill(sql, ""))))
    }

    /// What the superuser is told now.
    pub fn ask(&self, case: &Case, key: &str) -> anyhow::Result<Vec<Vec<String>>> {
        let answer = |line: &str| {
            let named = line.split_once(" = ").filter(|_| key == "let");
            let sql = named.map_or(line, |(_, sql)| sql);
            let seen = self.as_superuser(|client| client.query(&self.fill(sql, "")))?;
            anyhow::ensure!(seen.iter().all(|m| m.tag != b'E'), "{key}: {}", shown(&seen));
            let rows = seen.iter().filter(|m| m.tag == b'D');
            let all = rows.flat_map(|m| values(&m.body)).flatten();
            Ok(all.map(|v| String::from_utf8_lossy(&v).into_owned()).collect())
        };
        case.values(key).map(answer).collect()
    }

    /// The database as it was, if it can be had without making it anew.
    #[must_use]
    pub fn is_clean(&self, case: &Case, pristine: &str) -> bool {
        let same = || self.fingerprint().is_ok_and(|now| now == pristine);
        !case.has("setup") && (same() || self.restore().is_ok() && same())
    }
}

/// Everything in a table, as COPY gives it.
fn copy_out(client: &mut RawClient, table: &str, columns: &str) -> anyhow::Result<Vec<u8>> {
    let seen = client.query(&format!("COPY {table} ({columns}) TO STDOUT"))?;
    Ok(seen.into_iter().filter(|m| m.tag == b'd').flat_map(|m| m.body).collect())
}

fn copy_in(client: &mut RawClient, table: &str, rows: &[u8]) -> anyhow::Result<()> {
    client.send(&message(b'Q', format!("COPY {table} FROM STDIN\0").as_bytes()))?;
    client.send(&[message(b'd', rows), message(b'c', b"")].concat())?;
    let seen = client.until(b'Z')?;
    anyhow::ensure!(seen.iter().all(|m| m.tag != b'E'), "{table}: {}", shown(&seen));
    Ok(())
}

/// Asks something that must not fail.
pub fn good(client: &mut RawClient, sql: &str) -> anyhow::Result<()> {
    let seen = client.query(sql)?;
    anyhow::ensure!(seen.iter().all(|m| m.tag != b'E'), "{sql}: {}", shown(&seen));
    Ok(())
}

/// What a session received, in lines.
#[must_use]
pub fn shown(messages: &[Message]) -> String {
    messages.iter().map(|m| format!("      {:.400}\n", m.shown())).collect()
}
