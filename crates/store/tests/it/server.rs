//! What the store does with a PostgreSQL server that is not as it should be, what a command may do
//! beside gateways, and what is left of a store that was put back.

use crate::place::{Place, Server, now};
use crate::reviews::{HOUR, ask, person};
use portcullis_core::review::Desk as _;
use portcullis_sandbox::process::User;
use portcullis_store::{
    PostgresSettings, ReviewDesk, ReviewSettings, Status, Store, StoreError, examine_server,
    settle_server,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;

async fn refusal(settings: &PostgresSettings) -> String {
    match Store::connect(settings, now).await {
        Ok(_) => panic!("it was opened"),
        Err(error) => {
            let looked = examine_server(settings, now).await.map(drop).unwrap_err();
            assert_eq!(looked.to_string(), error.to_string(), "a look says the same");
            error.to_string()
        }
    }
}

#[tokio::test]
async fn who_is_not_let_in_is_told_what_to_do() {
    let place = Place::postgres();
    let right = place.settings();
    let with = |from: &str, to: &str| PostgresSettings {
        url: right.url.replace(from, to),
        ..right.clone()
    };
    let wrong = PostgresSettings { password: Some("wrong".to_owned()), ..right.clone() };
    let no_tls = with("sslmode=disable", "sslmode=verify-full");
    let nobody = PostgresSettings {
        url: "postgres://postgres@127.0.0.1:1/store?sslmode=disable".to_owned(),
        ..right.clone()
    };
    for (settings, expect) in [
        (wrong, "store.password_from"),
        (with("/store_", "/no_such_store_"), "CREATE DATABASE"),
        (no_tls, "sslmode"),
        (nobody, "start the server"),
    ] {
        let error = refusal(&settings).await;
        assert!(error.contains(expect) && !error.contains(crate::place::PASSWORD), "{error}");
    }
}

#[tokio::test]
async fn a_database_that_cannot_hold_a_store_is_refused() {
    let place = Place::postgres();
    let Place::Postgres(server, database) = &place else { panic!() };
    let postgres = &server.postgres;
    postgres.sql(database, "CREATE ROLE guest LOGIN PASSWORD 'store-of-the-tests'").unwrap();
    let settings = place.settings();
    let guest =
        PostgresSettings { url: settings.url.replace("postgres@", "guest@"), ..settings.clone() };
    let refused = Store::connect(&guest, now).await.map(drop).unwrap_err().to_string();
    assert!(refused.contains("own the database"), "{refused}");
    let set = format!("ALTER DATABASE {database} SET default_transaction_read_only = on");
    postgres.sql("postgres", &set).unwrap();
    let refused = refusal(&settings).await;
    assert!(refused.contains("read-only"), "{refused}");
    postgres
        .sql(
            "postgres",
            "CREATE DATABASE narrow ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'
             TEMPLATE template0",
        )
        .unwrap();
    let narrow = PostgresSettings { url: settings.url.replace(database, "narrow"), ..settings };
    let refused = refusal(&narrow).await;
    assert!(refused.contains("UTF8"), "{refused}");
}

#[tokio::test]
async fn a_schema_that_was_begun_is_ended_or_refused() {
    // A step that fails leaves nothing behind, and is done again.
    let place = Place::postgres();
    place.sql("CREATE TABLE gateway (x int)").await;
    assert!(place.open().await.is_err());
    place.sql("DROP TABLE gateway").await;
    place.store().await.close().await;
    // One that somebody has marked so is nobody's to go on with.
    place.sql("UPDATE _sqlx_migrations SET success = false WHERE version = 10").await;
    let refused = refusal(&place.settings()).await;
    assert!(refused.contains("step 10") && refused.contains("pg_restore"), "{refused}");
    // Nor is one whose step is another.
    place.sql("UPDATE _sqlx_migrations SET success = true, checksum = '' WHERE version = 10").await;
    let Err(error) = place.open().await else { panic!("it was opened") };
    assert!(matches!(error, StoreError::NewerSchema { step: 10, .. }), "{error}");
}

#[tokio::test]
async fn tables_are_found_whatever_a_role_is_told_to_look_in() {
    let place = Place::postgres();
    let Place::Postgres(server, database) = &place else { panic!() };
    let first = place.store().await;
    server.postgres.sql(database, "CREATE SCHEMA other").unwrap();
    let set = format!("ALTER DATABASE {database} SET search_path = other");
    server.postgres.sql("postgres", &set).unwrap();
    let second = place.store().await;
    let found = examine_server(&place.settings(), now).await.unwrap();
    assert_eq!((found.gateways.len(), found.missing), (2, 0));
    first.close().await;
    second.close().await;
}

#[tokio::test]
async fn a_command_beside_gateways_is_of_their_version() {
    let place = Place::postgres();
    let (settings, beside) = (place.settings(), |settings| async move {
        Store::connect_beside(settings, now).await.map(drop)
    });
    // Where nobody is, it does what a gateway would.
    let found = examine_server(&settings, now).await.unwrap();
    assert_eq!((found.step, found.gateways.len()), (0, 0));
    beside(&settings).await.unwrap();
    let gateway = place.store().await;
    beside(&settings).await.unwrap();
    let found = examine_server(&settings, now).await.unwrap();
    assert_eq!((found.missing, found.gateways.len()), (0, 1));
    place.sql("DELETE FROM _sqlx_migrations WHERE version = (SELECT max(version) FROM _sqlx_migrations)").await;
    let error = beside(&settings).await.unwrap_err();
    let newer = found.step;
    assert!(matches!(error, StoreError::OlderGateway { step, .. } if step < newer), "{error}");
    gateway.close().await;
}

#[tokio::test]
async fn what_was_open_in_a_store_that_is_put_back_is_closed() {
    let place = Place::postgres();
    let store = place.store().await;
    let desk = ReviewDesk::new(store.clone(), ReviewSettings { ttl: HOUR }, now);
    let ticket = desk.file(ask("DELETE", &["dba"])).await.unwrap();
    desk.approve(ticket.review, &person("dora", &["dba"]), None, now()).await.unwrap();
    let in_use = settle_server(&place.settings(), now).await.unwrap_err();
    assert!(matches!(in_use, StoreError::InUse { count: 1, .. }), "{in_use}");
    drop(desk);
    store.close().await;
    let settled = settle_server(&place.settings(), now).await.unwrap();
    assert_eq!((settled.reviews, settled.credentials), (1, 0));
    let desk = ReviewDesk::new(place.store().await, ReviewSettings { ttl: HOUR }, now);
    assert!(desk.consume(&ticket, ticket.digest, now()).await.is_err());
    assert_eq!(desk.get(ticket.review).await.unwrap().unwrap().status, Status::Expired);
}

/// Not even the server's processes end: nothing answers any more, and nobody is told.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stands_still_refuses_at_once() {
    let place = Place::at(Arc::new(Server::start()));
    let Place::Postgres(server, _) = &place else { panic!() };
    let store = place.store().await;
    let desk = ReviewDesk::new(store, ReviewSettings { ttl: HOUR }, now);
    let ticket = desk.file(ask("DELETE", &["dba"])).await.unwrap();
    let still = server.postgres.stand_still().unwrap();
    let began = std::time::Instant::now();
    // What is under way ends when it is known, and what comes then does not begin.
    assert!(desk.get(ticket.review).await.is_err());
    assert!(began.elapsed() < std::time::Duration::from_secs(4), "{:?}", began.elapsed());
    let began = std::time::Instant::now();
    assert!(desk.consume(&ticket, ticket.digest, now()).await.is_err());
    assert!(began.elapsed() < std::time::Duration::from_secs(1), "{:?}", began.elapsed());
    tokio::time::sleep(std::time::Duration::from_secs(4)).await;
    drop(still);
    let began = std::time::Instant::now();
    while desk.get(ticket.review).await.is_err() {
        assert!(began.elapsed() < std::time::Duration::from_secs(9), "it did not come back");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    desk.approve(ticket.review, &person("dora", &["dba"]), None, now()).await.unwrap();
    desk.consume(&ticket, ticket.digest, now()).await.unwrap();
}

/// A server with a certificate for `localhost`, and the file of the authority it is from.
fn server_with_tls() -> (Server, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let server = server.signed_by(&key, &authority).unwrap();
    let user = User::unprivileged().unwrap();
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    };
    let (certificate, key) =
        (file("server.crt", &server.pem()), file("server.key", &key.serialize_pem()));
    let authority = file("ca.pem", &authority.pem());
    let mut settings = vec!["ssl = on".to_owned()];
    for (name, path) in [("ssl_cert_file", certificate), ("ssl_key_file", key)] {
        User::own(user, &path).unwrap();
        settings.push(format!("{name} = '{}'", path.display()));
    }
    (Server::start_in(directory, settings), authority)
}

#[tokio::test]
async fn the_servers_certificate_and_name_are_verified() {
    let (server, authority) = server_with_tls();
    let place = Place::at(Arc::new(server));
    let plain = place.settings();
    let at = |host: &str, mode: &str, root: Option<&PathBuf>| PostgresSettings {
        url: plain
            .url
            .replace("127.0.0.1", host)
            .replace("sslmode=disable", &format!("sslmode={mode}")),
        root_certificate: root.cloned(),
        seen: None,
        ..plain.clone()
    };
    let opens = async |settings| Store::connect(&settings, now).await.map(drop);
    opens(at("localhost", "verify-full", Some(&authority))).await.unwrap();
    opens(at("127.0.0.1", "verify-ca", Some(&authority))).await.unwrap();
    opens(at("127.0.0.1", "require", None)).await.unwrap();
    for (host, mode, root) in [
        ("localhost", "verify-full", None),
        ("127.0.0.1", "verify-full", Some(&authority)),
        ("localhost", "verify-ca", None),
    ] {
        let refused = opens(at(host, mode, root)).await.unwrap_err().to_string();
        assert!(refused.contains("store.root_certificate"), "{host} {mode}: {refused}");
    }
}
