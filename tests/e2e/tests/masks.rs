//! Masked values are values of their type: for every type and strategy, in text and in binary, the
//! server takes what stands in the place of a value as one of the same type. And they do not come
//! back: what would write one is refused.

use portcullis_testkit::arena::{APP_PASSWORD, Arena, Setup, Shared};
use portcullis_testkit::raw::{Message, RawClient, message, query, values};
use std::collections::BTreeMap;
use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type};
use tokio_postgres::{Client, NoTls};

static ARENA: Shared = Shared::new();

/// Types, as columns and as casts, and a value of each.
const TYPES: &[(&str, &str)] = &[
    ("text", "secret words"),
    ("varchar", "secret words"),
    ("character(30)", "secret words"),
    ("name", "secret"),
    ("\"char\"", "s"),
    ("xml", "<secret>words</secret>"),
    ("json", "{\"secret\": 7}"),
    ("jsonb", "{\"secret\": 7}"),
    ("jsonpath", "$.\"secret\""),
    ("bytea", "\\x7365637265745f776f726473"),
    ("uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    ("int2", "-4711"),
    ("int4", "47110815"),
    ("int8", "4711081547110815"),
    ("oid", "471108"),
    ("xid", "471108"),
    ("xid8", "4711081547"),
    ("regclass", "pg_class"),
    ("tid", "(47,11)"),
    ("pg_lsn", "47/11"),
    ("float4", "47.125"),
    ("float8", "-4711.08155"),
    ("numeric", "4711.0815"),
    ("money", "4711.08"),
    ("date", "1987-11-24"),
    ("time", "08:15:47.11"),
    ("timetz", "08:15:47.11+02"),
    ("timestamp", "1987-11-24 08:15:47.11"),
    ("timestamptz", "1987-11-24 08:15:47.11+02"),
    ("interval", "4 mons 7 days 11:08:15"),
    ("inet", "192.168.47.11/24"),
    ("cidr", "192.168.47.0/24"),
    ("macaddr", "08:00:2b:47:11:08"),
    ("macaddr8", "08:00:2b:47:11:08:15:47"),
    ("bit(7)", "1011011"),
    ("varbit", "1011011"),
    ("bool", "t"),
    ("point", "(47,11)"),
    ("lseg", "[(4,7),(1,1)]"),
    ("path", "((4,7),(1,1))"),
    ("box", "(4,7),(1,1)"),
    ("polygon", "((4,7),(1,1),(0,8))"),
    ("line", "{4,7,11}"),
    ("circle", "<(4,7),11>"),
    ("tsvector", "'secret' 'words'"),
    ("tsquery", "'secret' & 'words'"),
    ("int4range", "[47,110)"),
    ("numrange", "[47,110)"),
    ("daterange", "[1987-11-24,1988-08-15)"),
    ("tsrange", "[\"1987-11-24 08:15:00\",\"1988-08-15 00:00:00\")"),
    ("tstzrange", "[\"1987-11-24 08:15:00+00\",)"),
    ("int4multirange", "{[4,7),[11,15)}"),
    ("text[]", "{secret,words}"),
    ("int4[]", "{47,11}"),
    ("date[]", "{1987-11-24}"),
    ("uuid[]", "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}"),
    ("jsonb[]", "{\"{\\\"secret\\\": 7}\"}"),
    ("int4range[]", "{\"[47,110)\"}"),
    ("m.level", "high"),
    ("m.level[]", "{high,high}"),
    ("m.words", "secret words"),
    ("m.positive", "4711"),
    ("m.pair", "(secret,4711,high)"),
    ("m.pair[]", "{\"(secret,4711,high)\"}"),
    ("m.span", "[secret,words)"),
    ("citext", "Secret Words"),
    ("hstore", "\"secret\"=>\"words\""),
];

/// Those that the server has.
fn types(arena: &Arena) -> Vec<(&'static str, &'static str)> {
    let multiranges = arena.server.version() >= 14;
    let has = |name: &str| multiranges || !name.contains("multirange");
    TYPES.iter().copied().filter(|(name, _)| has(name)).collect()
}

/// Table and strategy.
const STRATEGIES: [(&str, &str); 6] = [
    ("redacted", "\"redact\""),
    ("part", "\"partial\""),
    ("hashed", "\"hash\""),
    ("gone", "\"null\""),
    ("fixed", "{ constant = \"7\" }"),
    ("moved", "\"shift_days:30\""),
];

const POLICY: &str = r#"
@id("everything") permit (principal, action, resource);
@id("hidden") @mask("by-label") @reason("sensitive")
forbid (principal, action == Action::"reveal", resource) when { resource.sensitive };
"#;

fn arena() -> Arc<Arena> {
    ARENA.get(start)
}

fn start() -> Arena {
    let mut connection = String::from("sensitive = [\n");
    for (table, mask) in STRATEGIES {
        connection.push_str(&format!("  {{ column = \"m.{table}.*\", mask = {mask} }},\n"));
    }
    connection.push_str(
        "  { column = \"public.customers.email\", mask = \"partial\" },
  { column = \"public.odd.hidden\", mask = \"redact\" },
  { column = \"public.payments.iban\", mask = \"hash\" },\n]\n",
    );
    let setup = Setup {
        policy: "[policy]\npacks = []\nfiles = [\"masks.cedar\"]\n".to_owned(),
        connection,
        ..Setup::agent_safe()
    };
    let arena = Arena::start_with(&setup, &[("masks.cedar", POLICY)]).unwrap();
    let types = types(&arena);
    let columns: Vec<String> =
        types.iter().enumerate().map(|(i, (name, _))| format!("c{i} {name}")).collect();
    let row: Vec<String> =
        types.iter().map(|(_, value)| format!("'{}'", value.replace('\'', "''"))).collect();
    let mut sql = String::from(
        "CREATE EXTENSION citext; CREATE EXTENSION hstore; CREATE SCHEMA m;
         CREATE TYPE m.level AS ENUM ('low', 'high', '7');
         CREATE DOMAIN m.words AS text; CREATE DOMAIN m.positive AS int4 CHECK (VALUE > 0);
         CREATE TYPE m.pair AS (a text, b int4, c m.level);
         CREATE TYPE m.span AS RANGE (subtype = text);
         CREATE TABLE public.notes (id int PRIMARY KEY, note text, doc jsonb, owner uuid);
         CREATE TABLE public.odd (id int, a text, hidden text, b text);
         CREATE TABLE public.back (id int, a text, hidden text, b text);
         CREATE TABLE public.letters (id int, note text);",
    );
    for (table, _) in STRATEGIES {
        sql.push_str(&format!("CREATE TABLE m.{table} ({});", columns.join(", ")));
        sql.push_str(&format!("INSERT INTO m.{table} VALUES ({});", row.join(", ")));
    }
    arena.server.sql("shop", &sql).unwrap();
    arena
}

fn raw_client(arena: &Arena) -> RawClient {
    let token = arena.token("claude").unwrap();
    RawClient::log_in(arena.postgres, "claude", "shop", &token).unwrap()
}

async fn connect(port: u16, user: &str, password: &str) -> Client {
    let settings =
        format!("host=127.0.0.1 port={port} user={user} password={password} dbname=shop");
    let (client, connection) = tokio_postgres::connect(&settings, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn through(arena: &Arena) -> Client {
    connect(arena.postgres.port(), "claude", &arena.token("claude").unwrap()).await
}

/// The bytes of a value, whatever its type.
#[derive(Debug, Clone, PartialEq)]
struct Bytes(Vec<u8>);

impl<'a> FromSql<'a> for Bytes {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(raw.to_vec()))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

impl ToSql for Bytes {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.extend_from_slice(&self.0);
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    tokio_postgres::types::to_sql_checked!();
}

fn text_rows(messages: &[Message]) -> Vec<Vec<Option<Vec<u8>>>> {
    messages.iter().filter(|m| m.tag == b'D').map(|m| values(&m.body)).collect()
}

fn error_of(messages: &[Message]) -> Option<String> {
    messages.iter().find(|m| m.tag == b'E').map(Message::shown)
}

/// What the server reads out of the masked row of a table: by type, from text and from binary.
async fn masked_row(arena: &Arena, table: &str) -> BTreeMap<&'static str, Option<String>> {
    let messages = raw_client(arena).query(&format!("SELECT * FROM m.{table}")).unwrap();
    assert_eq!(error_of(&messages), None, "{table}");
    let text = text_rows(&messages).remove(0);
    let row =
        through(arena).await.query_one(&format!("SELECT * FROM m.{table}"), &[]).await.unwrap();
    let direct = connect(arena.server.port(), "owner", APP_PASSWORD).await;
    let mut read = BTreeMap::new();
    for (place, (name, original)) in types(arena).iter().enumerate() {
        let binary: Option<Bytes> = row.get(place);
        let what = format!(
            "{table}, {name}: {:?} {binary:?}",
            text[place].as_deref().map(<[u8]>::escape_ascii).map(|t| t.to_string())
        );
        assert_eq!(text[place].is_none(), binary.is_none(), "{what}");
        let (Some(text), Some(binary)) = (&text[place], binary) else {
            read.insert(*name, None);
            continue;
        };
        let text = String::from_utf8(text.clone()).unwrap();
        // As a literal: the type's own reader, and no cast from text.
        let normal = |value: &str| {
            let (direct, what) = (&direct, what.clone());
            let literal = value.replace('\'', "''");
            let sql = format!("SELECT CAST(CAST('{literal}' AS {name}) AS text)");
            async move {
                let row = direct.query_one(&sql, &[]).await;
                row.unwrap_or_else(|e| panic!("{what}: {e:?}")).get::<_, Option<String>>(0)
            }
        };
        let from_text = normal(&text).await;
        let sql = format!("SELECT CAST($1::{name} AS text)");
        let from_binary = direct.query_one(&sql, &[&binary]).await;
        let from_binary = from_binary.unwrap_or_else(|e| panic!("{what}: {e:?}"));
        let from_binary: Option<String> = from_binary.get(0);
        assert_eq!(from_text, from_binary, "{what}");
        let plain = normal(original).await;
        assert_ne!(from_text, plain, "{what}: it is what is stored");
        read.insert(*name, from_text);
    }
    read
}

fn nulls(row: &BTreeMap<&'static str, Option<String>>) -> Vec<&'static str> {
    row.iter().filter(|(_, value)| value.is_none()).map(|(name, _)| *name).collect()
}

#[tokio::test]
async fn masked_values_are_values_of_their_type() {
    let arena = arena();
    let is = |row: &BTreeMap<_, Option<String>>, name: &str, expect: &str| {
        assert_eq!(row[name].as_deref(), Some(expect), "{name}");
    };
    // No made-up value of these would be one, or would not be a claim.
    let valueless = ["bool", "m.level", "m.positive"];
    let redacted = masked_row(&arena, "redacted").await;
    assert_eq!(nulls(&redacted), valueless);
    is(&redacted, "citext", "[masked]");
    is(&redacted, "text[]", "{[masked]}");
    is(&redacted, "m.pair", "([masked],0,)");
    is(&redacted, "m.level[]", "{NULL}");
    is(&redacted, "hstore", "\"[masked]\"=>NULL");
    is(&redacted, "int4", "0");
    is(&redacted, "date", "2000-01-01");
    is(&redacted, "daterange", "empty");
    let part = masked_row(&arena, "part").await;
    assert_eq!(nulls(&part), valueless);
    is(&part, "text", "s***");
    is(&part, "citext", "S***");
    let hashed = masked_row(&arena, "hashed").await;
    let unhashed = [
        "\"char\"",
        "bit(7)",
        "bool",
        "box",
        "circle",
        "interval",
        "jsonpath",
        "line",
        "lseg",
        "m.level",
        "m.positive",
        "path",
        "pg_lsn",
        "point",
        "polygon",
        "regclass",
        "tid",
        "timetz",
        "tsquery",
        "tsvector",
        "varbit",
    ];
    assert_eq!(nulls(&hashed), unhashed);
    assert_eq!(hashed["text"], hashed["varchar"]);
    assert_eq!(hashed["int4"].as_ref().unwrap().len(), "47110815".len());
    let gone = masked_row(&arena, "gone").await;
    assert_eq!(nulls(&gone).len(), types(&arena).len());
    let fixed = masked_row(&arena, "fixed").await;
    for name in
        ["text", "int2", "int8", "numeric", "float8", "m.level", "m.positive", "jsonb", "citext"]
    {
        is(&fixed, name, "7");
    }
    is(&fixed, "m.level[]", "{7}");
    assert_eq!((&fixed["date"], &fixed["uuid"]), (&None, &None));
    let log = std::fs::read_to_string(arena.log_file()).unwrap();
    assert!(log.contains("a constant is no value of its column's type"));
}

#[tokio::test]
async fn moved_dates_keep_their_distances() {
    let arena = arena();
    let row = masked_row(&arena, "moved").await;
    let moments = ["date", "daterange", "timestamp", "timestamptz", "tsrange", "tstzrange"];
    let shown: Vec<_> = row.iter().filter(|(_, v)| v.is_some()).map(|(name, _)| *name).collect();
    assert_eq!(shown, moments);
    let value = |name: &str| row[name].clone().unwrap();
    let distance = arena
        .truth(&format!(
            "SELECT concat_ws(' ', '{date}'::date - '1987-11-24',
               '{timestamp}'::timestamp - '1987-11-24 08:15:47.11',
               '{tz}'::timestamptz - '1987-11-24 08:15:47.11+02',
               lower('{range}'::daterange) - '1987-11-24', upper('{range}'::daterange) - '1988-08-15')",
            date = value("date"),
            timestamp = value("timestamp"),
            tz = value("timestamptz"),
            range = value("daterange"),
        ))
        .unwrap();
    let days: i64 = distance.split(' ').next().unwrap().parse().unwrap();
    assert!(days != 0 && days.abs() <= 30, "{distance}");
    let unit = if days.abs() == 1 { "day" } else { "days" };
    assert_eq!(distance, format!("{days} {days} {unit} {days} {unit} {days} {days}"));
    // In another style it cannot be told which number is the day.
    let mut client = raw_client(&arena);
    client.query("SET DateStyle = 'German'").unwrap();
    let rows = text_rows(&client.query("SELECT c24, c27 FROM m.moved").unwrap());
    assert_eq!(rows, [[None, None]]);
}

fn copied(client: &mut RawClient, sql: &str) -> Vec<u8> {
    let messages = client.query(sql).unwrap();
    assert_eq!(error_of(&messages), None, "{sql}");
    messages.into_iter().filter(|m| m.tag == b'd').flat_map(|m| m.body).collect()
}

/// The fields of the one row of a binary copy.
fn tuple(copy: &[u8]) -> Vec<Option<Vec<u8>>> {
    assert!(copy.starts_with(b"PGCOPY\n\xff\r\n\0") && copy.ends_with(&[0xff, 0xff]));
    values(&copy[19..copy.len() - 2])
}

#[tokio::test]
async fn copies_are_masked_like_rows_in_all_formats() {
    let arena = arena();
    let mut client = raw_client(&arena);
    for (table, _) in STRATEGIES {
        let row = text_rows(&client.query(&format!("SELECT * FROM m.{table}")).unwrap()).remove(0);
        let csv = copied(&mut client, &format!("COPY m.{table} TO STDOUT (FORMAT csv, HEADER)"));
        let csv = String::from_utf8(csv).unwrap();
        let names: Vec<String> = (0..types(&arena).len()).map(|i| format!("c{i}")).collect();
        assert_eq!(csv.lines().next().unwrap(), names.join(","), "{table}");
        let text = copied(&mut client, &format!("COPY m.{table} TO STDOUT"));
        let text = String::from_utf8(text).unwrap().replace("\\\\", "\\");
        let expect: Vec<String> = row
            .iter()
            .map(|v| v.clone().map_or("\\N".into(), |v| String::from_utf8(v).unwrap()))
            .collect();
        assert_eq!(text.trim_end_matches('\n'), expect.join("\t"), "{table}");
        let sql = format!("COPY m.{table} TO STDOUT (FORMAT binary)");
        let fields = tuple(&copied(&mut client, &sql));
        let row = through(&arena)
            .await
            .query_one(&format!("SELECT * FROM m.{table}"), &[])
            .await
            .unwrap();
        for (place, field) in fields.iter().enumerate() {
            let expect: Option<Bytes> = row.get(place);
            assert_eq!(field.clone().map(Bytes), expect, "{table} {:?}", types(&arena)[place]);
        }
        let sql = format!("COPY (SELECT c0, c12, 7 FROM m.{table}) TO STDOUT (FORMAT binary)");
        let fields = tuple(&copied(&mut client, &sql));
        assert_eq!(fields, [None, None, Some(vec![0, 0, 0, 7])], "{table}");
    }
}

#[test]
fn detectors_look_into_binary_copies() {
    let arena = arena();
    let (mail, id) = ("call jane@example.org", 901);
    arena.truth(&format!("INSERT INTO letters VALUES ({id}, '{mail}')")).unwrap();
    let mut client = raw_client(&arena);
    let fields = tuple(&copied(&mut client, "COPY letters TO STDOUT (FORMAT binary)"));
    assert_eq!(fields[1].as_deref(), Some(b"call [masked:email]".as_slice()));
    let sql = "COPY (SELECT note, id FROM letters WHERE id = 901) TO STDOUT (FORMAT binary)";
    let fields = tuple(&copied(&mut client, sql));
    assert_eq!(fields, [None, Some(901_i32.to_be_bytes().to_vec())]);
}

/// What COPY is asked for, of all that the server takes and some that it does not.
struct CopyOptions {
    csv: bool,
    null: Option<&'static str>,
    /// What goes for both ways, and what for rows that go out alone.
    both: String,
    out: &'static str,
    ends_lines: bool,
}

impl CopyOptions {
    fn random(random: &mut Random) -> Self {
        const LETTERS: &[&str] = &[
            "a", "N", "x", "\t", "|", ",", ";", "\"", "''", "\\\\", "0", ".", "~", "\u{1}", "\u{8}",
        ];
        const NULLS: &[&str] =
            &["", r"\N", "x", "N", "a", r"\.", r"\", r"x\", "aN", "0", "\"", "\t", "~", "-"];
        let csv = random.below(2) == 0;
        let mut both = String::from(if csv { "FORMAT csv" } else { "FORMAT text" });
        let mut ends_lines = false;
        let names: &[&str] = if csv { &["DELIMITER", "QUOTE", "ESCAPE"] } else { &["DELIMITER"] };
        for name in names {
            if random.below(2) == 0 {
                continue;
            }
            let letter = match random.below(20) {
                0 if *name != "DELIMITER" => "\\n",
                1 if *name != "DELIMITER" => "\\r",
                _ => *random.of(LETTERS),
            };
            ends_lines |= letter.starts_with('\\') && letter != "\\\\";
            both.push_str(&format!(", {name} E'{letter}'"));
        }
        let null = (random.below(4) > 0).then(|| *random.of(NULLS));
        both.extend(null.map(|null| format!(", NULL '{null}'")));
        if random.below(3) == 0 {
            both.push_str(", HEADER");
        }
        let out = if csv && random.below(3) == 0 { ", FORCE_QUOTE (a, hidden)" } else { "" };
        Self { csv, null, both, out, ends_lines }
    }

    /// True where rows cannot be taken apart for certain.
    fn is_untold(&self) -> bool {
        let null = self.null.unwrap_or_default();
        self.ends_lines || !self.csv && null.contains('\\') && null != r"\N"
    }

    /// True where a value may look like NULL.
    fn blurs_null(&self) -> bool {
        !self.csv && self.null.is_some_and(|null| null != r"\N")
    }
}

/// Numbers that are the same in every run (SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let n = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let n = (n ^ n >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((n ^ n >> 31) % most as u64) as usize
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }

    /// A text or NULL, as an expression.
    fn value(&mut self) -> String {
        const BYTES: &[&str] = &[
            "61", "4e", "78", "09", "7c", "2c", "3b", "22", "27", "5c", "0a", "0d", "30", "2e",
            "7e", "01", "08", "c3a9", "2d",
        ];
        let length = self.below(6);
        if length == 5 {
            return "NULL".to_owned();
        }
        let bytes: String = (0..length).map(|_| *self.of(BYTES)).collect();
        format!("convert_from('\\x{bytes}', 'UTF8')")
    }
}

type OddRow = [Option<Vec<u8>>; 3];

/// What the server itself reads of copied rows.
fn read_back(direct: &mut RawClient, rows: &[u8], options: &str) -> Result<Vec<OddRow>, String> {
    direct.query("TRUNCATE back").unwrap();
    let ask = query(&format!("COPY back FROM STDIN ({options})"));
    direct.send(&[ask, message(b'd', rows), message(b'c', b"")].concat()).unwrap();
    error_of(&direct.until(b'Z').unwrap()).map_or(Ok(()), Err)?;
    let rows = direct.query("SELECT a, hidden, b FROM back ORDER BY id").unwrap();
    Ok(text_rows(&rows).into_iter().map(|row| row.try_into().unwrap()).collect())
}

/// Rows are read as the server writes them, whatever it is asked to write them like: what is masked
/// of them is what is hidden, and nothing else.
#[test]
fn copies_with_any_options_are_masked_field_by_field() {
    let arena = arena();
    let mut random = Random(4711);
    let mut client = raw_client(&arena);
    let server = SocketAddr::from(([127, 0, 0, 1], arena.server.port()));
    let mut direct = RawClient::log_in(server, "owner", "shop", APP_PASSWORD).unwrap();
    let (mut read, mut untold) = (0, 0);
    for _ in 0..300 {
        let rows: Vec<String> = (0..6)
            .map(|id| format!("({id}, {}, {}, {})", random.value(), random.value(), random.value()))
            .collect();
        let fill = format!("TRUNCATE odd; INSERT INTO odd VALUES {}", rows.join(", "));
        assert_eq!(error_of(&direct.query(&fill).unwrap()), None, "{fill}");
        let options = CopyOptions::random(&mut random);
        let sql = format!("COPY odd TO STDOUT ({}{})", options.both, options.out);
        let there = direct.query(&sql).unwrap();
        let here = client.query(&sql).unwrap();
        if error_of(&there).is_some() || options.is_untold() {
            assert!(error_of(&here).is_some(), "{sql}");
            assert!(here.iter().all(|m| m.tag != b'd'), "{sql}");
            untold += usize::from(error_of(&there).is_none());
            continue;
        }
        let rows = |messages: &[Message]| -> Vec<u8> {
            messages.iter().filter(|m| m.tag == b'd').flat_map(|m| m.body.clone()).collect()
        };
        let truth = text_rows(&direct.query("SELECT hidden FROM odd ORDER BY id").unwrap());
        let there = read_back(&mut direct, &rows(&there), &options.both).unwrap();
        let here = read_back(&mut direct, &rows(&here), &options.both).expect(&sql);
        assert_eq!(here.len(), there.len(), "{sql}");
        for ((here, there), truth) in here.iter().zip(&there).zip(&truth) {
            assert_eq!((&here[0], &here[2]), (&there[0], &there[2]), "{sql}");
            let masked = options.blurs_null() || truth[0].is_some();
            let expect = masked.then_some(b"[masked]".as_slice());
            assert_eq!(here[1].as_deref(), expect, "{sql}: {truth:?}");
        }
        read += 1;
    }
    assert!(read > 60 && untold > 10, "{read} read, {untold} refused");
}

const REFUSED: &str = "masked-write-back";

#[tokio::test]
async fn masked_values_do_not_come_back() {
    let arena = arena();
    let mut client = raw_client(&arena);
    let hashed = text_rows(&client.query("SELECT c0, c10 FROM m.hashed").unwrap()).remove(0);
    let [pseudonym, uuid] = [0, 1].map(|i| String::from_utf8(hashed[i].clone().unwrap()).unwrap());
    for sql in [
        "INSERT INTO notes VALUES (1, '[masked]')",
        "INSERT INTO notes (id, note) SELECT 1, 'call [masked:phone]'",
        "UPDATE orders SET note = 'see [masked]' WHERE id = 1",
        "UPDATE customers SET email = 'j***@e***.com' WHERE id = 1",
        "UPDATE customers SET (email, city) = ('***', 'x') WHERE id = 1",
        "UPDATE customers SET email = v.e FROM (VALUES (1, '[masked]')) v(i, e) WHERE id = v.i",
        "WITH n AS (INSERT INTO notes VALUES (1, '[masked]') RETURNING id) SELECT * FROM n",
        "INSERT INTO notes (id, doc) VALUES (1, '{\"a\": [\"[masked:email]\"]}')",
        "INSERT INTO notes VALUES (1, CASE WHEN true THEN '[masked]' END)",
        "INSERT INTO notes VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET note = '[masked]'",
        "MERGE INTO notes USING orders o ON o.id = notes.id WHEN NOT MATCHED THEN INSERT VALUES (1, '[masked]')",
        "PREPARE p(text) AS INSERT INTO notes VALUES (1, $1); EXECUTE p('[masked]')",
        &format!("INSERT INTO notes VALUES (1, '{pseudonym}')"),
        &format!("INSERT INTO notes (id, owner) VALUES (1, '{uuid}')"),
        "UPDATE m.fixed SET c0 = '7'",
    ] {
        let error = error_of(&client.query(sql).unwrap()).unwrap_or_else(|| panic!("{sql} ran"));
        assert!(error.contains(REFUSED) && error.contains("C=42501"), "{sql}: {error}");
    }
    assert_eq!(arena.truth("SELECT count(*) FROM notes WHERE id = 1").unwrap(), "0");
    // What reads, compares or looks alike is not meant.
    for sql in [
        "SELECT count(*) FROM customers WHERE email = '[masked]'",
        "UPDATE notes SET note = NULL WHERE note = '[masked]'",
        "INSERT INTO notes VALUES (2, 'a *** of stars, [masked men], pcm_aaaaaaaaaaaaaaaaaaaaaa')",
        "INSERT INTO notes VALUES (3, 'j***@e***.com')",
        "UPDATE customers SET email = 'two *** stars' WHERE id = 2",
        "INSERT INTO notes (id, owner) VALUES (4, 'a0eebc99-9c0b-8ef8-bb6d-6bb9bd380a11')",
        "INSERT INTO notes SELECT 5, CASE WHEN note = '[masked]' THEN 'x' ELSE 'y' END FROM notes WHERE id = 2",
        "DELETE FROM notes WHERE note = '[masked]'",
    ] {
        assert_eq!(error_of(&client.query(sql).unwrap()), None, "{sql}");
    }
    let client = through(&arena).await;
    let refused = |error: tokio_postgres::Error| {
        let error = error.as_db_error().unwrap().message().to_owned();
        assert!(error.contains(REFUSED) && error.contains("parameter $2"), "{error}");
    };
    let sql = "INSERT INTO notes (id, note) VALUES ($1, $2)";
    refused(client.execute(sql, &[&1, &"[masked:email]"]).await.unwrap_err());
    refused(client.execute(sql, &[&1, &pseudonym]).await.unwrap_err());
    let hex = uuid.replace('-', "");
    let bytes = (0..16).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap()).collect();
    let sql = "INSERT INTO notes (id, owner) VALUES ($1, $2)";
    refused(client.execute(sql, &[&1, &Bytes(bytes)]).await.unwrap_err());
    let sql = "UPDATE customers SET city = $1, email = $2 WHERE id = 1";
    refused(client.execute(sql, &[&"x", &"j***@e***.com"]).await.unwrap_err());
    let sql = "INSERT INTO notes (id, note) SELECT * FROM unnest($1::int4[], $2::text[])";
    refused(client.execute(sql, &[&vec![1], &vec!["[masked]"]]).await.unwrap_err());
    let sql = "UPDATE customers SET email = $1 WHERE email = $2 OR city = $2";
    client.execute(sql, &[&"x", &"[masked]"]).await.unwrap();
    assert_eq!(arena.truth("SELECT count(*) FROM notes WHERE id = 1").unwrap(), "0");
}

#[tokio::test]
async fn copied_rows_with_masked_values_fail_the_copy() {
    let arena = arena();
    let mut client = raw_client(&arena);
    let mut binary = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0".to_vec();
    binary.extend_from_slice(b"\0\x02\0\0\0\x04\0\0\0\x0b\0\0\0\x08[masked]\xff\xff");
    let cases: [(&str, &[u8], &str); 4] = [
        ("COPY notes (id, note) FROM STDIN", b"10\tfine\n11\tsee [masked]\n", "row 2, column 2"),
        (
            "COPY notes (id, note) FROM STDIN (FORMAT csv, HEADER)",
            b"[masked],b\n11,\"[masked]\"\n",
            "row 1, column 2",
        ),
        ("COPY notes (id, note) FROM STDIN (FORMAT binary)", &binary, "row 1, column 2"),
        (
            "COPY customers (id, name, city, created_at, email) FROM STDIN",
            b"9999\ta\tb\t2024-01-01\tj***@e***.com\n",
            "row 1, column 5",
        ),
    ];
    for (sql, data, place) in cases {
        for piece in [0, 1, 7] {
            client.ask(sql).unwrap();
            let began = client.until(b'G').unwrap();
            assert_eq!(began.last().unwrap().tag, b'G', "{sql}");
            for part in data.chunks(if piece == 0 { data.len() } else { piece }) {
                client.send(&message(b'd', part)).unwrap();
            }
            client.send(&message(b'c', b"")).unwrap();
            let ended = client.until(b'Z').unwrap();
            let error = error_of(&ended).unwrap_or_else(|| panic!("{sql} ran"));
            assert!(error.contains(REFUSED) && error.contains("C=42501"), "{sql}: {error}");
            assert!(error.contains(place), "{sql}: {error}");
            assert_eq!(ended.last().unwrap().body, b"I", "{sql}");
            assert_eq!(error_of(&client.query("SELECT 1").unwrap()), None);
        }
    }
    let client = through(&arena).await;
    let copy = |note: &'static str| {
        let client = &client;
        async move {
            let sink = client.copy_in("COPY notes (id, note) FROM STDIN (FORMAT binary)").await?;
            let types = [Type::INT4, Type::TEXT];
            let writer = tokio_postgres::binary_copy::BinaryCopyInWriter::new(sink, &types);
            let mut writer = std::pin::pin!(writer);
            writer.as_mut().write(&[&12_i32, &note]).await?;
            writer.finish().await
        }
    };
    let error = copy("[masked:card]").await.unwrap_err();
    assert!(error.as_db_error().unwrap().message().contains(REFUSED), "{error:?}");
    assert_eq!(copy("fine").await.unwrap(), 1);
    // What the Sync commits is answered after the copy is.
    client.simple_query("SELECT 1").await.unwrap();
    assert_eq!(arena.truth("SELECT id FROM notes WHERE id BETWEEN 10 AND 19").unwrap(), "12");
    assert_eq!(arena.truth("SELECT count(*) FROM customers WHERE id = 9999").unwrap(), "0");
}

/// `RETURNING` with what was there before, and columns that reading makes (PostgreSQL 18).
#[test]
fn what_was_there_and_what_reading_makes_is_masked() {
    let arena = arena();
    if arena.server.version() < 18 {
        eprintln!("not run: PostgreSQL {} has none of it", arena.server.version());
        return;
    }
    let define =
        "ALTER TABLE customers ADD liame text GENERATED ALWAYS AS (reverse(email)) VIRTUAL";
    arena.server.sql("shop", define).unwrap();
    // A name that is not known is looked for again when what is known is a second old.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let truth = arena.truth("SELECT email, reverse(email) FROM customers WHERE id = 9").unwrap();
    let (email, liame) = truth.split_once('|').unwrap();
    let mut client = raw_client(&arena);
    for sql in [
        "SELECT city, liame, upper(liame) FROM customers WHERE id = 9",
        "SELECT city, c, to_jsonb(c) FROM customers c WHERE id = 9",
        "UPDATE customers SET city = city WHERE id = 9 RETURNING old.city, old.email, new.email",
        "UPDATE customers SET city = city WHERE id = 9 RETURNING city, old, new.liame",
        "UPDATE customers SET city = city WHERE id = 9
         RETURNING WITH (OLD AS o, NEW AS n) n.city, o.email || n.name, reverse(o.liame)",
        "UPDATE customers SET city = city WHERE id = 9 RETURNING new.city, to_jsonb(old), old.*",
        "WITH u AS (UPDATE customers SET city = city WHERE id = 9 RETURNING old.city, old.email AS e)
         SELECT city, reverse(e) FROM u",
        "MERGE INTO customers c USING (SELECT 9 AS id) s ON c.id = s.id
         WHEN MATCHED THEN UPDATE SET city = c.city RETURNING old.city, old.email, merge_action()",
    ] {
        let seen = client.query(sql).unwrap();
        let shown: Vec<String> = seen.iter().map(Message::shown).collect();
        assert_eq!(error_of(&seen), None, "{sql}");
        let rows = text_rows(&seen);
        assert_eq!(rows.len(), 1, "{sql}: {shown:?}");
        let row = shown.concat().to_lowercase();
        assert!(!row.contains(email) && !row.contains(liame), "{sql}: {shown:?}");
        // Not that everything is.
        let city = rows[0][0].as_deref().map(<[u8]>::to_vec);
        assert!(sql.contains("MERGE") || city.as_deref() == Some(b"Delft"), "{sql}: {shown:?}");
    }
    // Defined by the caller a moment ago, for itself alone.
    for sql in
        ["BEGIN", "ALTER TABLE customers ADD hidden text GENERATED ALWAYS AS (reverse(email))"]
    {
        assert_eq!(error_of(&client.query(sql).unwrap()), None, "{sql}");
    }
    let seen = client.query("SELECT city, hidden FROM customers WHERE id = 9").unwrap();
    let shown: Vec<String> = seen.iter().map(Message::shown).collect();
    assert!(shown.concat().contains("Delft") && !shown.concat().contains(liame), "{shown:?}");
    client.query("ROLLBACK").unwrap();
    arena.server.sql("shop", "ALTER TABLE customers DROP liame").unwrap();
}

/// A function may put another statement or cursor in the place of a name.
#[test]
fn what_code_of_users_puts_behind_a_name_is_masked() {
    let arena = arena();
    let read = "SELECT reverse(email) AS x FROM customers WHERE id = 1";
    let swap = format!("EXECUTE ''DEALLOCATE s''; EXECUTE ''PREPARE s AS {read}''");
    arena
        .server
        .sql(
            "shop",
            &format!(
                "CREATE FUNCTION swap() RETURNS int LANGUAGE plpgsql AS 'BEGIN {swap}; RETURN 1; END';
                 CREATE PROCEDURE swap_too() LANGUAGE plpgsql AS 'BEGIN {swap}; END';
                 CREATE FUNCTION reopen() RETURNS int LANGUAGE plpgsql AS
                   'DECLARE k refcursor := ''c''; BEGIN CLOSE k; OPEN k FOR {read}; RETURN 1; END';"
            ),
        )
        .unwrap();
    let secret = arena.truth(read).unwrap();
    let token = arena.token("claude").unwrap();
    let mut client = RawClient::log_in(arena.postgres, "claude", "shop", &token).unwrap();
    let tells = |messages: &[Message]| {
        let secret = secret.as_bytes();
        messages.iter().any(|m| m.body.windows(secret.len()).any(|found| found == secret))
    };
    let plain = "SELECT name::text AS x FROM customers WHERE id = 1";
    for call in ["SELECT swap()", "CALL swap_too()"] {
        client.query("DEALLOCATE ALL").unwrap();
        client.query(&format!("PREPARE s AS {plain}")).unwrap();
        client.query(call).unwrap();
        let told = client.query("EXECUTE s").unwrap();
        assert!(!tells(&told), "{call}: {told:?}");
    }
    let bind = [
        message(b'P', &[b"\0", plain.as_bytes(), b"\0\0\0"].concat()),
        message(b'B', b"c\0\0\0\0\0\0\0\0"),
        message(b'S', b""),
    ];
    for portal in [false, true] {
        client.query("BEGIN").unwrap();
        if portal {
            client.send(&bind.concat()).unwrap();
            client.until(b'Z').unwrap();
        } else {
            client.query(&format!("DECLARE c CURSOR FOR {plain}")).unwrap();
        }
        assert!(client.query("SELECT reopen()").unwrap().iter().any(|m| m.tag == b'D'));
        let told = if portal {
            let execute = [message(b'E', b"c\0\0\0\0\0"), message(b'S', b"")];
            client.send(&execute.concat()).unwrap();
            client.until(b'Z').unwrap()
        } else {
            client.query("FETCH c").unwrap()
        };
        assert!(!tells(&told), "{told:?}");
        client.query("ROLLBACK").unwrap();
    }
}
