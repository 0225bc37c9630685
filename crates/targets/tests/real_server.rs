//! Every way to log in and every grade of TLS, against a real PostgreSQL server.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::unimplemented,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod support;

use portcullis_core::id::DecisionId;
use portcullis_targets::{DialError, DialRequest, StartupSettings};
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;
use support::server::{Authority, Server};
use support::{admission, dial, dial_as, dialer, first_row, query};

struct Bench {
    server: Server,
    files: tempfile::TempDir,
}

impl Bench {
    fn file(&self, name: &str, content: &str) -> String {
        let path = self.files.path().join(name);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Dials `role` at `host` with further settings; the row of a query that tells who and how.
    async fn check(&self, host: &str, role: &str, more: &str) -> Result<Vec<String>, DialError> {
        let port = self.server.port;
        let own = more.split("database = \"").nth(1).and_then(|rest| rest.split('"').next());
        let database = own.map_or("database = \"shop\"", |_| "");
        let settings =
            format!("host = \"{host}\"\nport = {port}\nuser = \"{role}\"\n{database}\n{more}");
        let mut dialed = dial(&dialer(&settings), own.unwrap_or("shop"), role).await?;
        assert_eq!(dialed.greeting.transaction_status, b'I');
        let text = "select current_user, coalesce(ssl::text, '-'), \
                    current_setting('TimeZone'), current_setting('application_name'), \
                    current_setting('standard_conforming_strings'), pg_backend_pid() \
                    from pg_stat_ssl where pid = pg_backend_pid()";
        let answer = dialed.link.run(query(text)).await.unwrap();
        let (mut row, error) = first_row(&answer);
        assert_eq!(error, None);
        assert_eq!(row.pop(), Some(dialed.greeting.process_id.to_string()));
        assert_eq!(row.split_off(2), ["Asia/Tokyo", "portcullis:test", "on"]);
        Ok(row)
    }
}

#[tokio::test]
async fn against_a_real_server() {
    let authority = Authority::new();
    let bench = Bench { server: Server::start(&authority), files: tempfile::tempdir().unwrap() };
    let ca = bench.file("ca.pem", &authority.pem());
    methods(&bench).await;
    tls(&bench, &ca).await;
    refusals(&bench).await;
    settings_that_decide_how_text_is_read(&bench).await;
    rotation_and_roles(&bench).await;
    cancelling(&bench, &ca).await;
}

async fn methods(bench: &Bench) {
    let sockets = bench.server.sockets().to_owned();
    for (host, role, more, ssl) in [
        ("127.0.0.1", "app", "password = \"pencil\"\nsslmode = \"disable\"", "false"),
        ("127.0.0.1", "app", "password = \"pencil\"", "true"),
        ("127.0.0.1", "tlsonly", "password = \"pencil\"\nsslmode = \"require\"", "true"),
        ("127.0.0.1", "unicode", "password = \"IXIX\"", "true"),
        ("127.0.0.1", "hashed", "password = \"old ways\"\nsslmode = \"disable\"", "false"),
        ("127.0.0.1", "clear", "password = \"clear as glass\"", "true"),
        ("127.0.0.1", "trusted", "", "true"),
        (&sockets, "app", "password = \"pencil\"", "false"),
    ] {
        let got = bench.check(host, role, more).await;
        assert_eq!(got.unwrap(), [role, ssl], "{host} {role} {more}");
    }
}

async fn tls(bench: &Bench, ca: &str) {
    let stranger = bench.file("stranger.pem", &Authority::new().pem());
    let own = bench.file("own.pem", &bench.server.certificate());
    let with = |mode: &str, ca: &str| {
        format!("password = \"pencil\"\nsslmode = \"{mode}\"\nsslrootcert = \"{ca}\"")
    };
    // The certificate names `localhost` alone.
    for (host, mode, ca, expect) in [
        ("localhost", "verify-full", ca, None),
        ("localhost", "verify-ca", ca, None),
        ("127.0.0.1", "verify-ca", ca, None),
        ("127.0.0.1", "require", ca, None),
        ("127.0.0.1", "verify-full", ca, Some("not valid for name")),
        ("localhost", "verify-full", &own, None),
        ("127.0.0.1", "verify-ca", &own, None),
        ("127.0.0.1", "verify-full", &own, Some("not valid for name")),
        ("localhost", "verify-full", &stranger, Some("invalid peer certificate")),
        ("localhost", "verify-ca", &stranger, Some("invalid peer certificate")),
        ("127.0.0.1", "require", &stranger, Some("invalid peer certificate")),
    ] {
        match (bench.check(host, "app", &with(mode, ca)).await, expect) {
            (Ok(row), None) => assert_eq!(row, ["app", "true"]),
            (Err(DialError::Tls(text)), Some(part)) => assert!(text.contains(part), "{text}"),
            (got, _) => panic!("{host} {mode} {expect:?}: {got:?}"),
        }
    }
    let system = "password = \"pencil\"\nsslmode = \"verify-full\"";
    let got = bench.check("localhost", "app", system).await;
    assert!(matches!(got, Err(DialError::Tls(_))), "{got:?}");
}

async fn refusals(bench: &Bench) {
    for (role, more, code) in [
        ("app", "password = \"wrong\"", "28P01"),
        ("hashed", "password = \"wrong\"", "28P01"),
        ("clear", "password = \"wrong\"", "28P01"),
        ("nobody", "password = \"wrong\"", "28P01"),
        ("tlsonly", "password = \"pencil\"\nsslmode = \"disable\"", "28000"),
        ("app", "password = \"pencil\"\ndatabase = \"gone\"", "3D000"),
    ] {
        let Err(error) = bench.check("127.0.0.1", role, more).await else {
            panic!("{role} {more} was let in");
        };
        let DialError::Refused { code: got, .. } = &error else { panic!("{role} {more}: {error}") };
        assert_eq!(got, code, "{error}");
        let public = error.public(DecisionId::from_bits(7));
        assert!(!public.contains(role) && public.contains("dec_"), "{public}");
    }
    let got = bench.check("127.0.0.1", "app", "").await;
    assert!(matches!(got, Err(DialError::NoCredential)), "{got:?}");
    for (role, more) in [
        ("hashed", "password = \"old ways\"\nmethods = [\"scram-sha-256\"]"),
        ("clear", "password = \"clear as glass\"\nmethods = [\"scram-sha-256\", \"md5\"]"),
        ("trusted", "methods = [\"scram-sha-256\"]"),
    ] {
        let got = bench.check("127.0.0.1", role, more).await;
        assert!(matches!(got, Err(DialError::Method { .. })), "{role}: {got:?}");
    }
}

async fn settings_that_decide_how_text_is_read(bench: &Bench) {
    // What the role's own defaults say is overruled.
    let got = bench.check("127.0.0.1", "odd", "password = \"pencil\"").await;
    assert_eq!(got.unwrap(), ["odd", "true"]);
    let bytes = "password = \"pencil\"\ndatabase = \"bytes\"";
    let got = bench.check("127.0.0.1", "app", bytes).await;
    let Err(DialError::Session { parameter, value, .. }) = got else { panic!("{got:?}") };
    assert_eq!((parameter, value.as_str()), ("server_encoding", "SQL_ASCII"));
}

async fn rotation_and_roles(bench: &Bench) {
    let path = bench.file("secret", "wrong\n");
    let settings = format!(
        "host = \"127.0.0.1\"\nport = {}\ndatabase = \"shop\"\nuser = \"trusted\"\n\
         roles = [{{ user = \"app\", password_file = \"{path}\" }}]",
        bench.server.port
    );
    let dialer = dialer(&settings);
    let got = dial_as(&dialer, "app").await;
    assert!(matches!(got, Err(DialError::Refused { .. })));
    bench.file("secret", "pencil\n");
    assert!(dial_as(&dialer, "app").await.is_ok(), "a rotated file is read again");
    assert!(dial_as(&dialer, "trusted").await.is_ok());
    let unknown = dial_as(&dialer, "postgres").await;
    assert!(matches!(unknown, Err(DialError::UnknownRole { .. })));
    let settings = StartupSettings::default();
    let request = DialRequest { application_name: None, settings: &settings };
    let unknown = dialer.dial(admission("other", "shop", "app").await, &request).await;
    assert!(matches!(unknown, Err(DialError::UnknownConnection(_))));
    let elsewhere = dial(&dialer, "another", "app").await;
    assert!(matches!(elsewhere, Err(DialError::UnknownConnection(_))), "another database");
    std::fs::remove_file(path).unwrap();
    let missing = dial_as(&dialer, "app").await;
    assert!(matches!(missing, Err(DialError::Credential(_))));
}

async fn cancelling(bench: &Bench, ca: &str) {
    let sockets = bench.server.sockets().to_owned();
    let full = format!("sslmode = \"verify-full\"\nsslrootcert = \"{ca}\"");
    for (host, more) in
        [("localhost", full.as_str()), ("127.0.0.1", "sslmode = \"disable\""), (&sockets, "")]
    {
        let settings = format!(
            "host = \"{host}\"\nport = {}\ndatabase = \"shop\"\nuser = \"app\"\n\
             password = \"pencil\"\n{more}",
            bench.server.port
        );
        let mut dialed = dial_as(&dialer(&settings), "app").await.unwrap();
        let cancel = dialed.greeting.cancel.clone();
        assert_eq!(format!("{cancel:?}"), "CancelHandle(…)");
        let asked = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(200)).await;
            cancel.cancel().await
        });
        let sleeping = dialed.link.run(query("select pg_sleep(60)"));
        let answer = tokio::time::timeout(Duration::from_secs(20), sleeping).await.unwrap();
        let (_, code) = first_row(&answer.unwrap());
        assert_eq!(code.as_deref(), Some("57014"), "{host}");
        asked.await.unwrap().unwrap();
    }
}
