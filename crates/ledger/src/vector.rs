//! The test vector of `FORMAT.md`, made by the writer: the document and the code agree.

use crate::chain::{Chain, hex};
use crate::head::{Head, Signer, Torn, record};
use crate::merkle::Tree;
use portcullis_core::id::{RequestId, SessionId};
use portcullis_core::journal::{Entry, Event, Status};
use portcullis_core::time::Timestamp;

const FORMAT: &str = include_str!("../FORMAT.md");

fn entries() -> [Entry; 2] {
    let at = Timestamp::from_micros(1_767_225_600_000_000);
    let started = Event::Started { version: "0.1.0".into(), policy: "none".into() };
    let outcome = Event::Outcome {
        status: Status::Done,
        rows: 2,
        tags: vec!["SELECT 2\t\u{e9}".into()],
        error: None,
        masked: 0,
        micros: 1500,
    };
    let (session, request) = (SessionId::from_bits(1), RequestId::from_bits(2));
    [
        Entry { at, session: None, request: None, event: started },
        Entry { at, session: Some(session), request: Some(request), event: outcome },
    ]
}

#[test]
fn the_document_holds_exactly_what_the_writer_makes() {
    let seed: Vec<u8> = (1..=32).collect();
    let signer = Signer::from_seed(&seed, "vector.example/journal").unwrap();
    let (mut chain, mut journal, mut tree) = (Chain::EMPTY, Vec::new(), Tree::default());
    for entry in entries() {
        chain.seal(signer.macs(), &serde_json::to_vec(&entry).unwrap(), &mut journal);
        tree.push(chain.last, |_| ());
    }
    let torn = Torn {
        name: "torn-00000000000000000002".into(),
        bytes: 5,
        hash: crate::chain::sha256(b"{\"seq"),
    };
    let at = Timestamp::from_micros(1_767_225_601_000_000);
    let note = signer.sign(&Head { chain, root: Some(tree.root()), at, torn: vec![torn] }).unwrap();
    let session = SessionId::from_bits(1);
    let mut line =
        br#"{"recording":"portcullis-recording/1","session":"ses_0000000000001"}"#.to_vec();
    signer.macs().close_line(&signer.macs().begin_recording(session), &mut line);
    let recording = String::from_utf8(line).unwrap();
    let journal = String::from_utf8(journal).unwrap();
    let heads = String::from_utf8(record(&note)).unwrap();
    for part in [
        &format!("seed {}\n", hex(&seed)),
        &format!("{}\n", signer.vkey()),
        &journal,
        &note,
        &heads,
        &recording,
    ] {
        assert!(FORMAT.contains(part.as_str()), "FORMAT.md lacks:\n{part}");
    }
}
