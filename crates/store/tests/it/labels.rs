//! Labels are kept by the numbers of what they are of, and are there again after a restart.

use crate::place::Place;
use portcullis_core::time::Timestamp;
use portcullis_store::{LabelKind, LabelMaker, LabelPlace, LabelRow, LabelSource, LabelStore};

fn place_of(target: &str, database: &str, connections: &[&str]) -> LabelPlace {
    LabelPlace {
        target: target.to_owned(),
        database: database.to_owned(),
        connections: connections.iter().map(|&c| c.to_owned()).collect(),
        servers: Vec::new(),
    }
}

fn maker(subject: &str) -> LabelMaker {
    LabelMaker { issuer: "https://issuer".into(), subject: subject.into() }
}

pub(crate) fn label(relation: u32, column: i16) -> LabelRow {
    of_kind(relation, column, LabelKind::Plain)
}

fn of_kind(relation: u32, column: i16, kind: LabelKind) -> LabelRow {
    let source = LabelSource {
        relation: u32::MAX,
        column: 3,
        schema: "pub\"lic".into(),
        table: "customers".into(),
        name: "e-mail ✉".into(),
    };
    LabelRow { relation, column, kind, sources: vec![source], maker: maker("claude") }
}

async fn labels_are_kept_and_forgotten(place: &Place) {
    let at = Timestamp::from_micros(1);
    let shop = place_of("db:5432", "shop", &["shop", "reports"]);
    let (plain, made) = (LabelKind::Plain, LabelKind::Made);
    let rows =
        vec![of_kind(16_384, 1, plain), of_kind(16_384, 2, made), of_kind(u32::MAX, 1, made)];
    let store = place.store().await;
    let labels = LabelStore::new(store.clone());
    labels.keep(&shop, &rows, at).await.unwrap();
    // A later one of the same column takes its place.
    labels.keep(&shop, &[of_kind(16_384, 2, LabelKind::Untraced)], at).await.unwrap();
    drop(labels);
    store.close().await;
    let labels = LabelStore::new(place.store().await);
    let untraced = LabelKind::Untraced;
    let expect =
        vec![of_kind(16_384, 1, plain), of_kind(16_384, 2, untraced), of_kind(u32::MAX, 1, made)];
    assert_eq!(labels.load(&shop).await.unwrap(), expect);
    // Not those of another database, nor of another target by another connection.
    assert_eq!(labels.load(&place_of("db:5432", "other", &["shop"])).await.unwrap(), []);
    assert_eq!(labels.load(&place_of("new:5432", "shop", &["else"])).await.unwrap(), []);
    // A target that has moved is known by its connection.
    assert_eq!(labels.load(&place_of("new:5432", "shop", &["shop"])).await.unwrap(), expect);
    labels.forget(&shop, &[16_384, 7].into()).await.unwrap();
    assert_eq!(labels.load(&shop).await.unwrap(), [of_kind(u32::MAX, 1, made)]);
}

on_both! {
    labels_are_kept_and_forgotten
}
