//! Labels are kept by the numbers of what they are of, and are there again after a restart.

#![allow(clippy::unwrap_used, reason = "tests")]

use portcullis_core::time::Timestamp;
use portcullis_store::{
    LabelKind, LabelMaker, LabelPlace, LabelRow, LabelSource, LabelStore, Store,
};

fn place(target: &str, database: &str, connections: &[&str]) -> LabelPlace {
    LabelPlace {
        target: target.to_owned(),
        database: database.to_owned(),
        connections: connections.iter().map(|&c| c.to_owned()).collect(),
    }
}

fn maker(subject: &str) -> LabelMaker {
    LabelMaker { issuer: "https://issuer".into(), subject: subject.into() }
}

fn label(relation: u32, column: i16, kind: LabelKind) -> LabelRow {
    let source = LabelSource {
        relation: u32::MAX,
        column: 3,
        schema: "pub\"lic".into(),
        table: "customers".into(),
        name: "e-mail ✉".into(),
    };
    LabelRow { relation, column, kind, sources: vec![source], maker: maker("claude") }
}

#[tokio::test]
async fn labels_are_kept_and_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    let at = Timestamp::from_micros(1);
    let shop = place("db:5432", "shop", &["shop", "reports"]);
    let (plain, made) = (LabelKind::Plain, LabelKind::Made);
    let rows = vec![label(16_384, 1, plain), label(16_384, 2, made), label(u32::MAX, 1, made)];
    let store = Store::open(&path).await.unwrap();
    let labels = LabelStore::new(store.clone());
    labels.keep(&shop, &rows, at).await.unwrap();
    // A later one of the same column takes its place.
    labels.keep(&shop, &[label(16_384, 2, LabelKind::Untraced)], at).await.unwrap();
    drop(labels);
    store.close().await;
    let labels = LabelStore::new(Store::open(&path).await.unwrap());
    let untraced = LabelKind::Untraced;
    let expect =
        vec![label(16_384, 1, plain), label(16_384, 2, untraced), label(u32::MAX, 1, made)];
    assert_eq!(labels.load(&shop).await.unwrap(), expect);
    // Not those of another database, nor of another target by another connection.
    assert_eq!(labels.load(&place("db:5432", "other", &["shop"])).await.unwrap(), []);
    assert_eq!(labels.load(&place("new:5432", "shop", &["else"])).await.unwrap(), []);
    // A target that has moved is known by its connection.
    assert_eq!(labels.load(&place("new:5432", "shop", &["shop"])).await.unwrap(), expect);
    labels.forget(&shop, &[16_384, 7]).await.unwrap();
    assert_eq!(labels.load(&shop).await.unwrap(), [label(u32::MAX, 1, made)]);
}
