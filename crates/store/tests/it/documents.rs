//! Documents change all or none, on what whoever changes them has seen, and what they were is kept.

use crate::place::{Place, now};
use portcullis_store::{DocumentChange, DocumentError, DocumentStore};
use std::time::Duration;

fn change(name: &str, text: Option<&str>) -> DocumentChange {
    let (kind, text) = ("policy".to_owned(), text.map(str::to_owned));
    DocumentChange { kind, name: name.to_owned(), text }
}

async fn documents_are_changed_all_or_none_and_kept(place: &Place) {
    let store = place.store().await;
    let documents = DocumentStore::new(store.clone());
    let none = documents.all().await.unwrap();
    assert_eq!((none.revision, none.rows.len()), (0, 0));
    let both = [change("a", Some("one")), change("b", Some("two"))];
    assert_eq!(documents.change(0, &both, ("bo", now())).await.unwrap(), 1);
    // The second of two who have seen the same.
    let late = [change("c", Some("three")), change("a", None)];
    let refused = documents.change(0, &late, ("cy", now())).await;
    assert!(matches!(refused, Err(DocumentError::Changed)), "{refused:?}");
    let all = documents.all().await.unwrap();
    let texts: Vec<_> = all.rows.iter().map(|r| (r.name.as_str(), r.text.as_str())).collect();
    assert_eq!((all.revision, texts), (1, vec![("a", "one"), ("b", "two")]));
    // One that fails in the middle leaves nothing of itself.
    let twice = [change("a", Some("new")), change("a", Some("newer"))];
    assert!(documents.change(1, &twice, ("bo", now())).await.is_err());
    assert_eq!(documents.all().await.unwrap(), all);
    let then = [change("a", Some("else")), change("b", None)];
    assert_eq!(documents.change(1, &then, ("cy", now())).await.unwrap(), 2);
    store.close().await;
    drop(documents);
    let documents = DocumentStore::new(place.store().await);
    let all = documents.all().await.unwrap();
    assert_eq!((all.revision, all.rows.len()), (2, 1));
    assert_eq!((&*all.rows[0].text, &*all.rows[0].changed_by), ("else", "cy"));
    let told = documents.history("policy", "b").await.unwrap();
    let told: Vec<_> = told.iter().map(|c| (c.revision, c.text.as_deref())).collect();
    assert_eq!(told, [(2, None), (1, Some("two"))]);
}

async fn changes_of_documents_are_heard(place: &Place) {
    let store = place.store().await;
    let documents = DocumentStore::new(store.clone());
    let mut changes = documents.changes();
    changes.mark_unchanged();
    documents.change(0, &[change("a", Some("one"))], ("bo", now())).await.unwrap();
    tokio::time::timeout(Duration::from_secs(5), changes.changed()).await.unwrap().unwrap();
    assert_eq!(documents.revision().await.unwrap(), 1);
}

async fn what_cannot_be_read_is_not_taken_for_a_store_that_is_lost(place: &Place) {
    let documents = DocumentStore::new(place.store().await);
    documents.change(0, &[change("a", Some("one"))], ("bo", now())).await.unwrap();
    place.sql("DELETE FROM document_set").await;
    for told in [documents.all().await.map(drop), documents.revision().await.map(drop)] {
        assert!(matches!(told, Err(DocumentError::Damaged)), "{told:?}");
    }
}

on_both! {
    documents_are_changed_all_or_none_and_kept
    changes_of_documents_are_heard
    what_cannot_be_read_is_not_taken_for_a_store_that_is_lost
}
