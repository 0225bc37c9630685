//! What of the journal is passed over where recorded sessions are listed, searched and shown.

use super::Findings;
use crate::recordings::{Unread, Unshown};
use crate::services::Services;
use portcullis_ledger::tail::segment_file;
use portcullis_store::index::Gaps;
use std::path::Path;

/// What it is called where it is told.
const CHECK: &str = "recordings";
/// Segments that are told one by one.
const EACH: usize = 8;

/// Of a running gateway: what its index has passed over.
pub(super) async fn running(all: &mut Findings<'_>, services: &Services) {
    let written = services.ledger.written();
    match services.archive.unshown().await {
        Ok(unshown) => {
            told(all, &unshown);
            behind(all, &unshown, written);
        }
        Err(error @ Unread::Behind(_)) => all.warn(
            CHECK,
            error.to_string(),
            "recorded sessions cannot be searched until it is made",
            "look again in a moment",
        ),
        Err(error) => unread(all, error.to_string()),
    }
}

/// Of the journal itself, read from its beginning.
pub(super) async fn read(all: &mut Findings<'_>, directory: &Path) {
    if !directory.join("journal").exists() {
        return;
    }
    let directory = directory.to_owned();
    match tokio::task::spawn_blocking(move || Unshown::of(&directory)).await {
        Ok(Ok(unshown)) => told(all, &unshown),
        Ok(Err(error)) => unread(all, error.to_string()),
        Err(error) => unread(all, error.to_string()),
    }
}

fn unread(all: &mut Findings<'_>, found: String) {
    let means = "recorded sessions can be neither listed nor searched";
    all.fail(CHECK, found, means, "run portcullis audit verify, and see the disk, above");
}

fn told(all: &mut Findings<'_>, unshown: &Unshown) {
    for segment in unshown.gone.iter().take(EACH) {
        let found = format!(
            "{} is gone or empty, or cannot be opened: the entries from {segment} on",
            segment_file(*segment).display()
        );
        let means = "what was done in the sessions in it cannot be read";
        let next = "see who owns the file; put it back from a backup (docs/how-to/back-up.md), and run \
                    portcullis audit verify";
        all.fail(CHECK, found, means, next);
    }
    for gaps in unshown.gaps.iter().take(EACH) {
        gap(all, gaps);
    }
    let more = unshown.gone.len().saturating_sub(EACH) + unshown.gaps.len().saturating_sub(EACH);
    if more > 0 {
        let means = "what stood there is found by nobody";
        all.fail(
            CHECK,
            format!("and so in {more} files more"),
            means,
            "run portcullis audit verify",
        );
    }
    if unshown.gone.is_empty() && unshown.gaps.is_empty() {
        all.ok(CHECK, format!("each of {} entries of the journal could be read", unshown.entries));
    }
}

/// What the gateway has written is where it was read to, or somebody has put another file there.
fn behind(all: &mut Findings<'_>, unshown: &Unshown, written: u64) {
    if unshown.entries >= written {
        return;
    }
    let found = format!(
        "{written} entries are written, and only those before {} are read: there is a file in journal/ \
         that the gateway does not write to",
        unshown.entries
    );
    let means = "sessions since then are in no list and no search";
    let next = "keep a copy of the journal, run portcullis audit verify, and see \
                docs/how-to/verify-the-record.md";
    all.fail(CHECK, found, means, next);
}

fn gap(all: &mut Findings<'_>, gaps: &Gaps) {
    let Gaps { segment, start, sequence, lines, missing, unread } = *gaps;
    let counted = [
        (lines, "line is no entry", "lines are no entries"),
        (missing, "entry is missing", "entries are missing"),
        (unread, "entry cannot be read by this version", "entries cannot be read by this version"),
    ];
    let counted = counted.into_iter().filter(|(count, ..)| *count > 0);
    let counted: Vec<_> = counted
        .map(|(count, one, more)| format!("{count} {}", if count == 1 { one } else { more }))
        .collect();
    let file = segment_file(segment);
    let found = format!(
        "{}: {}, the first where entry {sequence} has to be, at byte {start}",
        file.display(),
        counted.join(", ")
    );
    if lines + missing == 0 {
        let means = "they are in the record, and in no list, search or timeline";
        let next = "run portcullis audit verify; the version that wrote them reads them";
        return all.warn(CHECK, found, means, next);
    }
    let means = "the file was changed by somebody else, or by the disk: what stood there is in no list, \
                 search or timeline, and what stands behind it may not be either";
    let next = "keep a copy of the journal, run portcullis audit verify, and see \
                docs/how-to/verify-the-record.md";
    all.fail(CHECK, found, means, next);
}
