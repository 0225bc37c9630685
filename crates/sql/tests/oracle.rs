//! Facts against the real server: its catalog loads, and every name means what the server says.

#[cfg(test)]
mod common;

#[cfg(test)]
mod compare;
#[cfg(test)]
mod server;

use portcullis_sql::catalog::Catalog;
use server::Server;

/// With `PORTCULLIS_BLESS` set, also writes the file that the other tests read.
#[test]
fn the_real_catalog_loads_and_means_the_same() {
    let server = Server::start();
    server.psql("postgres", "CREATE DATABASE shop");
    server.psql("shop", include_str!("data/shop.sql"));
    let rows = server.rows("shop");
    if std::env::var_os("PORTCULLIS_BLESS").is_some() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/shop-catalog.tsv");
        std::fs::write(file, common::dump(&rows)).unwrap();
    }
    let catalog = Catalog::from_rows("shop", &rows).unwrap();
    assert!(catalog.server_version() >= 130_000);
    assert!(catalog.relations().count() > 100);
    common::check(&catalog);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (described, ran) = runtime.block_on(compare::compare(&server, &catalog));
    assert!(described > 100 && ran > 100, "{described} described, {ran} ran");
}
