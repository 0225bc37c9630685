//! Transcripts of honest and of cheating targets through the masker.

use super::answer::AnswerMasker;
use super::conversation::FeedKind;
use super::frames::{Frames, split};
use super::sample::{MAX_BYTES, MAX_ROWS};
use super::script::{Confirmation, Part, Script, Step};
use bytes::{Bytes, BytesMut};
use portcullis_core::mask::{
    CopyFormat, ErrorPart, Field, Format, MaskFailure, NullString, Plan, Redacted, Redactor,
    Source, Strategy, Treatment,
};
use portcullis_core::protocol::Masker as _;
use portcullis_core::verdict::Obligations;
use portcullis_sql::statement::{NameChange, Statement, TransactionChange};
use proptest::prelude::*;
use smallvec::SmallVec;
use std::sync::{Arc, Mutex};

const SECRET: &str = "sekrit";

/// Masks columns called `secret…`, scans those called `scan…`, and hides a word in texts.
#[derive(Debug, Default)]
struct Toy {
    /// Treatments of copied columns.
    copied: Vec<Treatment>,
    /// Which parts errors were said to belong to.
    parts: Mutex<Vec<Option<usize>>>,
    /// Sources the codec has read.
    sources: Mutex<Vec<(u32, i16)>>,
}

fn hide(text: &[u8], removed: bool, out: &mut Vec<u8>) -> Redacted {
    let text = std::str::from_utf8(text).unwrap();
    if !text.contains(SECRET) {
        return Redacted::Unchanged;
    }
    if removed {
        return Redacted::Removed;
    }
    out.extend(text.replace(SECRET, "[hidden]").bytes());
    Redacted::Replaced
}

impl Redactor for Toy {
    fn plan(&self, part: usize, fields: &[Field<'_>]) -> Result<Plan, MaskFailure> {
        if part > 8 {
            return Err(MaskFailure::Untraceable("unknown part".to_owned()));
        }
        for field in fields {
            if let Source::Numbered { relation, column } = field.source {
                self.sources.lock().unwrap().push((relation, column));
            }
        }
        let treat = |f: &Field<'_>| match f.name {
            n if n.starts_with("secret") => Treatment::Mask(Strategy::Redact),
            n if n.starts_with("scan") => Treatment::Scan,
            n if n.starts_with("made") => Treatment::Conceal,
            n if n.starts_with("viewed") => Treatment::ConcealValues,
            _ => Treatment::Pass,
        };
        Ok(Plan { columns: fields.iter().map(treat).collect(), ..Plan::default() })
    }

    fn plan_copy(&self, _: usize, columns: usize, _: CopyFormat) -> Result<Plan, MaskFailure> {
        let columns = if self.copied.is_empty() {
            SmallVec::from_elem(Treatment::Pass, columns)
        } else {
            self.copied.iter().cloned().collect()
        };
        Ok(Plan { columns, ..Plan::default() })
    }

    fn redact(
        &self,
        treatment: &Treatment,
        (type_id, format): (u32, Format),
        value: &[u8],
        out: &mut Vec<u8>,
    ) -> Redacted {
        match (treatment, format, type_id) {
            (Treatment::Pass, ..) => panic!("asked about a value that passes"),
            (Treatment::Scan | Treatment::ScanAs(_), ..) if !value.contains(&b'@') => {
                return Redacted::Unchanged;
            }
            (Treatment::Scan | Treatment::ScanAs(_), ..) => out.extend(b"<\"mail\"\t>"),
            (Treatment::Mask(_), Format::Binary, 23) => out.extend([0; 4]),
            (Treatment::Mask(_), Format::Binary, 20) => return Redacted::Removed,
            (Treatment::Mask(_) | Treatment::Conceal | Treatment::ConcealValues, ..) => {
                out.extend(b"***")
            }
        }
        Redacted::Replaced
    }

    fn redact_error(
        &self,
        part: Option<usize>,
        _: &str,
        kind: ErrorPart,
        text: &[u8],
        out: &mut Vec<u8>,
    ) -> Redacted {
        if kind == ErrorPart::Message {
            self.parts.lock().unwrap().push(part);
        }
        match kind {
            ErrorPart::Analysis => Redacted::Unchanged,
            ErrorPart::Message | ErrorPart::Notification => hide(text, false, out),
            ErrorPart::Elaboration | ErrorPart::Name => hide(text, true, out),
        }
    }

    fn redact_text(&self, text: &[u8], out: &mut Vec<u8>) -> Redacted {
        hide(text, false, out)
    }
}

fn obligations(toy: Arc<Toy>) -> Obligations {
    Obligations { redactor: toy, rules: Arc::from(Vec::new()), limits: None }
}

fn part() -> Part {
    let statement = Statement {
        kind: Box::from("select"),
        effects: SmallVec::new(),
        lineage: None,
        names: NameChange::None,
        transaction: TransactionChange::None,
        written: Arc::default(),
        copy: None,
        unspoken: None,
        respeaks: false,
        rereads: false,
        goes_by: None,
        disturbs: false,
    };
    Part { statement: Arc::new(statement), copy_out: None, copy_in: false }
}

fn copy_out(format: CopyFormat) -> Part {
    Part { copy_out: Some(format), ..part() }
}

fn copy_in() -> Part {
    Part { copy_in: true, ..part() }
}

const TEXT: CopyFormat = CopyFormat::TEXT;
const CSV: CopyFormat = CopyFormat::CSV;

fn parse() -> Step {
    Step::Parse { name: Bytes::new() }
}

fn describe(part: usize, injected: bool) -> Step {
    Step::DescribePortal { part: Some(part), injected }
}

fn execute(part: usize) -> Step {
    Step::Execute { part }
}

fn query(parts: usize) -> Step {
    Step::Query { first_part: 0, parts }
}

/// Parse, Bind, Describe, Execute, Sync, as drivers send them.
fn usual(injected: bool) -> Vec<Step> {
    vec![parse(), Step::Bind, describe(0, injected), execute(0), Step::Sync]
}

fn script(steps: &[Step], parts: &[Part]) -> Script {
    Script { steps: steps.to_vec(), parts: parts.to_vec(), ..Script::default() }
}

fn masker(steps: &[Step], parts: &[Part]) -> AnswerMasker {
    AnswerMasker::new(&script(steps, parts), &obligations(Arc::default()))
}

fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    out.extend((body.len() as u32 + 4).to_be_bytes());
    out.extend(body);
    out
}

fn bare(tag: u8) -> Vec<u8> {
    message(tag, b"")
}

/// RowDescription of columns by name, type and format.
fn described(columns: &[(&str, u32, i16)]) -> Vec<u8> {
    let mut body = (columns.len() as i16).to_be_bytes().to_vec();
    for (i, (name, type_id, format)) in columns.iter().enumerate() {
        body.extend(name.bytes());
        body.push(0);
        body.extend(16_384u32.to_be_bytes());
        body.extend((i as i16 + 1).to_be_bytes());
        body.extend(type_id.to_be_bytes());
        body.extend((-1i16).to_be_bytes());
        body.extend((-1i32).to_be_bytes());
        body.extend(format.to_be_bytes());
    }
    message(b'T', &body)
}

fn row(values: &[Option<&[u8]>]) -> Vec<u8> {
    let mut body = (values.len() as i16).to_be_bytes().to_vec();
    for value in values {
        match value {
            None => body.extend((-1i32).to_be_bytes()),
            Some(value) => {
                body.extend((value.len() as i32).to_be_bytes());
                body.extend(*value);
            }
        }
    }
    message(b'D', &body)
}

fn texts(values: &[&str]) -> Vec<u8> {
    row(&values.iter().map(|v| Some(v.as_bytes())).collect::<Vec<_>>())
}

fn complete(tag: &str) -> Vec<u8> {
    message(b'C', &[tag.as_bytes(), b"\0"].concat())
}

fn ready(status: u8) -> Vec<u8> {
    message(b'Z', &[status])
}

fn report(tag: u8, fields: &[(u8, &str)]) -> Vec<u8> {
    let mut body = Vec::new();
    for (kind, text) in fields {
        body.push(*kind);
        body.extend(text.bytes());
        body.push(0);
    }
    body.push(0);
    message(tag, &body)
}

fn error(text: &str) -> Vec<u8> {
    report(b'E', &[(b'S', "ERROR"), (b'V', "ERROR"), (b'C', "22P02"), (b'M', text)])
}

fn copy_response(tag: u8, format: u8, columns: i16) -> Vec<u8> {
    let mut body = vec![format];
    body.extend(columns.to_be_bytes());
    for _ in 0..columns {
        body.extend(i16::from(format).to_be_bytes());
    }
    message(tag, &body)
}

fn data(line: &str) -> Vec<u8> {
    message(b'd', line.as_bytes())
}

/// What comes out where `bytes` come in, `cut` at a time.
fn through(masker: &mut AnswerMasker, bytes: &[u8], cut: usize) -> Result<Vec<u8>, MaskFailure> {
    let (mut buffer, mut out) = (BytesMut::new(), Vec::new());
    for piece in bytes.chunks(cut) {
        buffer.extend_from_slice(piece);
        while let Some(frames) = split(&mut buffer)? {
            out.extend_from_slice(masker.mask(frames)?.as_ref());
        }
    }
    assert!(buffer.is_empty(), "the transcript is whole");
    Ok(out)
}

/// A transcript goes in, this comes out, whole and byte by byte; and the script is finished.
fn check(steps: &[Step], parts: &[Part], came: &[Vec<u8>], expect: &[Vec<u8>]) -> AnswerMasker {
    let (came, expect) = (came.concat(), expect.concat());
    let mut bytewise = masker(steps, parts);
    assert_eq!(through(&mut bytewise, &came, 1).unwrap(), expect, "byte by byte");
    let mut whole = masker(steps, parts);
    assert_eq!(through(&mut whole, &came, came.len()).unwrap(), expect, "whole");
    assert!(whole.finished() && bytewise.finished());
    assert_eq!(whole.take_confirmations(), bytewise.take_confirmations());
    assert_eq!(whole.sample(), bytewise.sample());
    let mut whole = masker(steps, parts);
    through(&mut whole, &came, came.len()).unwrap();
    whole
}

/// The last message of a transcript is refused, and so is everything after it.
fn check_refused(steps: &[Step], parts: &[Part], came: &[Vec<u8>]) {
    let (last, before) = came.split_last().unwrap();
    let mut masker = masker(steps, parts);
    through(&mut masker, &before.concat(), usize::MAX).expect("what comes before is honest");
    let failure = through(&mut masker, last, usize::MAX).expect_err("refused");
    assert_eq!(through(&mut masker, &ready(b'I'), 8), Err(failure), "and it stays refused");
}

const PLAIN: &[(&str, u32, i16)] = &[("id", 23, 0), ("name", 25, 0)];
const MIXED: &[(&str, u32, i16)] = &[("id", 23, 0), ("secret", 25, 0), ("scan", 25, 0)];

#[test]
fn what_does_not_change_goes_out_in_its_own_buffer() {
    let came = [
        described(PLAIN),
        texts(&["1", "Ada"]),
        report(b'N', &[(b'S', "NOTICE"), (b'C', "00000"), (b'M', "hello")]),
        texts(&["2", "Bo"]),
        complete("SELECT 2"),
        ready(b'T'),
    ]
    .concat();
    let mut masker = masker(&[query(1)], &[part()]);
    let mut buffer = BytesMut::from(&came[..]);
    let frames = split(&mut buffer).unwrap().unwrap();
    let at = frames.bytes().as_ptr();
    let masked = masker.mask(frames).unwrap();
    assert_eq!(masked.bytes().as_ptr(), at, "no copy");
    assert_eq!(masked.as_ref(), &came[..]);
    assert!(masker.finished());
    assert_eq!((masker.rows(), masker.masked_values()), (2, 0));
    assert_eq!(masker.transaction_status(), Some(b'T'));
    assert_eq!(masker.tags().collect::<Vec<_>>(), ["SELECT 2"]);
}

#[test]
fn values_are_masked_and_everything_around_them_is_kept() {
    let notice = report(b'N', &[(b'S', "NOTICE"), (b'C', "00000"), (b'M', "n")]);
    let came = [
        described(MIXED),
        texts(&["1", "4111", "plain"]),
        texts(&["2", "4222", "a@b.example"]),
        notice.clone(),
        row(&[Some(b"3"), None, None]),
        texts(&["4", "", ""]),
        complete("SELECT 4"),
        ready(b'I'),
    ];
    let expect = [
        described(MIXED),
        texts(&["1", "***", "plain"]),
        texts(&["2", "***", "<\"mail\"\t>"]),
        notice,
        row(&[Some(b"3"), None, None]),
        texts(&["4", "***", ""]),
        complete("SELECT 4"),
        ready(b'I'),
    ];
    let masker = check(&[query(1)], &[part()], &came, &expect);
    assert_eq!((masker.rows(), masker.masked_values()), (4, 4));
    let shown = &masker.sample().parts()[0];
    assert_eq!(shown.columns, ["id", "secret", "scan"]);
    assert_eq!(shown.rows[0], [Some("1".into()), Some("***".into()), Some("plain".into())]);
    assert_eq!(shown.rows[2], [Some("3".into()), None, None]);
}

#[test]
fn binary_values_are_masked_in_their_type_and_the_injected_description_is_swallowed() {
    let columns: &[(&str, u32, i16)] =
        &[("secret_int", 23, 1), ("secret_big", 20, 1), ("secret_text", 25, 1), ("n", 20, 1)];
    let (int, big) = (7i32.to_be_bytes(), 8i64.to_be_bytes());
    let came = [
        bare(b'1'),
        bare(b'2'),
        described(columns),
        row(&[Some(&int), Some(&big), Some(b"raw"), Some(&big)]),
        complete("SELECT 1"),
        ready(b'I'),
    ];
    let masked = row(&[Some(&[0; 4]), None, Some(b"***"), Some(&big)]);
    let expect = [bare(b'1'), bare(b'2'), masked, complete("SELECT 1"), ready(b'I')];
    let mut masker = check(&usual(true), &[part()], &came, &expect);
    assert_eq!(
        masker.take_confirmations(),
        [
            Confirmation::Step(0),
            Confirmation::Step(1),
            Confirmation::Step(2),
            Confirmation::Part(0, Box::from("SELECT 1")),
            Confirmation::Ready(b'I'),
        ]
    );
    assert_eq!(masker.take_confirmations(), []);
    let shown = &masker.sample().parts()[0].rows[0];
    assert_eq!(*shown, [Some("0".into()), None, Some("***".into()), Some("8".into())]);
    // The client's own description is passed on.
    let mut expect = expect.to_vec();
    expect.insert(2, came[2].clone());
    check(&usual(false), &[part()], &came, &expect);
}

#[test]
fn statements_without_rows_and_empty_ones() {
    let insert = [bare(b'1'), bare(b'2'), bare(b'n'), complete("INSERT 0 1"), ready(b'I')];
    check(&usual(false), &[part()], &insert, &insert);
    let swallowed = [bare(b'1'), bare(b'2'), complete("INSERT 0 1"), ready(b'I')];
    check(&usual(true), &[part()], &insert, &swallowed);
    let empty = [bare(b'1'), bare(b'2'), bare(b'n'), bare(b'I'), ready(b'I')];
    check(&usual(false), &[part()], &empty, &empty);
    let empty = [bare(b'I'), ready(b'I')];
    check(&[query(0)], &[], &empty, &empty);
    let steps = [parse(), Step::DescribeStatement, Step::Close, Step::Sync];
    let prepared = [bare(b'1'), message(b't', &[0, 0]), described(MIXED), bare(b'3'), ready(b'I')];
    check(&steps, &[], &prepared, &prepared);
}

#[test]
fn a_suspended_portal_goes_on_in_another_execute() {
    let steps =
        [Step::Bind, describe(0, false), execute(0), describe(1, true), execute(1), Step::Sync];
    let (rows, masked) = (texts(&["1", "x", ""]), texts(&["1", "***", ""]));
    let came = [
        bare(b'2'),
        described(MIXED),
        rows.clone(),
        bare(b's'),
        described(MIXED),
        rows,
        complete("SELECT 1"),
        ready(b'I'),
    ];
    let expect = [
        bare(b'2'),
        described(MIXED),
        masked.clone(),
        bare(b's'),
        masked,
        complete("SELECT 1"),
        ready(b'I'),
    ];
    let mut masker = check(&steps, &[part(), part()], &came, &expect);
    assert!(masker.take_confirmations().contains(&Confirmation::Suspended(0)));
}

#[test]
fn an_error_in_the_middle_of_a_multi_statement_query_ends_it() {
    let steps = [query(3)];
    let parts = [part(), part(), part()];
    let came = [
        described(PLAIN),
        texts(&["1", "Ada"]),
        complete("SELECT 1"),
        described(MIXED),
        texts(&["1", "raw", ""]),
        error("division by zero"),
        ready(b'E'),
    ];
    let mut expect = came.to_vec();
    expect[4] = texts(&["1", "***", ""]);
    let mut masker = check(&steps, &parts, &came, &expect);
    assert_eq!(
        masker.take_confirmations(),
        [
            Confirmation::Part(0, Box::from("SELECT 1")),
            Confirmation::Failed(0),
            Confirmation::Ready(b'E')
        ]
    );
    assert_eq!(masker.error_code(), Some(*b"22P02"));
    let whole = [complete("A"), complete("B"), complete("C"), ready(b'I')];
    check(&steps, &parts, &whole, &whole);
}

#[test]
fn an_error_at_any_step_skips_to_the_sync() {
    let steps = [usual(false), usual(false)].concat();
    let answers = [bare(b'1'), bare(b'2'), described(PLAIN), complete("SELECT 0")];
    for failing in 0..=4 {
        let mut came = answers[..failing].to_vec();
        came.extend([error("no"), ready(b'E')]);
        came.extend(answers.clone());
        came.push(ready(b'I'));
        let mut masker = check(&steps, &[part()], &came, &came);
        let seen = masker.take_confirmations().to_vec();
        assert!(seen.contains(&Confirmation::Failed(failing)), "{failing} {seen:?}");
        assert!(!masker.failed_open());
        // Nothing more is answered between the error and the Sync.
        came.truncate(failing + 1);
        came.push(bare(b'2'));
        check_refused(&steps, &[part()], &came);
    }
}

#[test]
fn scripts_that_end_in_a_flush() {
    let steps = [parse(), Step::Flush, Step::DescribeStatement, Step::Flush];
    let came = [bare(b'1'), message(b't', &[0, 0]), bare(b'n')];
    let masker = check(&steps, &[], &came, &came);
    assert!(!masker.failed_open());
    let came = [error("no")];
    let masker = check(&steps, &[], &came, &came);
    assert!(masker.failed_open());
    check_refused(&steps, &[], &[error("no"), bare(b't')]);
    check_refused(&steps, &[], &[error("no"), ready(b'E')]);
    assert!(super::answer_tests::masker(&[Step::Flush], &[]).finished());
}

#[test]
fn a_cheating_target_is_refused() {
    let one = &[part()][..];
    let q = &[query(1)][..];
    let row1 = texts(&["1", "x"]);
    // Messages that have no place in a session at all.
    for tag in [b'R', b'K', b'v', b'V', b'W', b'B', b'X', b'c', b'd', b'G', b'H', b'1', b't', 0] {
        check_refused(q, one, &[bare(tag)]);
        check_refused(&usual(false), one, &[message(tag, &[0; 8])]);
        check_refused(&[], &[], &[bare(tag)]);
    }
    // Rows nobody described, or of another shape.
    check_refused(q, one, std::slice::from_ref(&row1));
    check_refused(q, one, &[described(PLAIN), texts(&["1"])]);
    check_refused(q, one, &[described(PLAIN), texts(&["1", "2", "3"])]);
    check_refused(q, one, &[described(PLAIN), row1.clone(), described(MIXED)]);
    check_refused(q, one, &[described(PLAIN), complete("SELECT 0"), row1.clone()]);
    check_refused(&usual(true), one, &[bare(b'1'), bare(b'2'), bare(b'n'), row1.clone()]);
    check_refused(&[Step::Bind, execute(0)], one, &[bare(b'2'), row1.clone()]);
    check_refused(&usual(true), one, &[bare(b'1'), bare(b'2'), described(PLAIN), described(PLAIN)]);
    // More results than statements, fewer, and answers after the end.
    check_refused(q, one, &[complete("A"), complete("B")]);
    check_refused(&[query(2)], &[part(), part()], &[complete("A"), ready(b'I')]);
    check_refused(q, one, &[complete("A"), ready(b'I'), complete("B")]);
    check_refused(q, one, &[complete("A"), ready(b'I'), ready(b'I')]);
    check_refused(q, one, &[ready(b'I')]);
    check_refused(&[query(0)], one, &[complete("A")]);
    check_refused(&usual(false), one, &[bare(b'2')]);
    // Bodies that lie.
    let mut cut = described(PLAIN);
    cut.truncate(cut.len() - 1);
    let length = cut.len() as u32 - 1;
    cut[1..5].copy_from_slice(&length.to_be_bytes());
    check_refused(q, one, &[cut]);
    check_refused(q, one, &[message(b'T', &[0xff, 0xff])]);
    check_refused(q, one, &[described(&[("a", 25, 2)])]);
    check_refused(q, one, &[described(MIXED), message(b'D', b"\0\x03\0\0\0\x01a\xff\xff\xff\xfe")]);
    check_refused(q, one, &[described(MIXED), message(b'D', b"\0\x03\0\0\0\x7fa")]);
    let too_long = [&texts(&["1", "2", "3"])[5..], b"extra"].concat();
    check_refused(q, one, &[described(MIXED), message(b'D', &too_long)]);
    check_refused(q, one, &[message(b'C', b"no end")]);
    check_refused(q, one, &[complete("sekrit\n")]);
    check_refused(q, one, &[complete(&"x".repeat(64))]);
    check_refused(q, one, &[complete("A"), message(b'Z', b"?")]);
    check_refused(&usual(false), one, &[message(b'1', b"x")]);
    // Reports that lie.
    check_refused(q, one, &[message(b'E', b"Mx\0")]);
    check_refused(q, one, &[report(b'E', &[(b'C', "22P02")])]);
    check_refused(q, one, &[report(b'E', &[(b'C', "raw data"), (b'M', "x")])]);
    check_refused(q, one, &[report(b'N', &[(b'M', "x"); 65])]);
    check_refused(q, one, &[message(b'A', b"\0\0\0\x01channel\0payload")]);
}

#[test]
fn settings_that_change_the_reading_are_refused_and_others_are_reported() {
    let status = |name: &str, value: &str| message(b'S', format!("{name}\0{value}\0").as_bytes());
    for (name, value) in [
        ("client_encoding", "SQL_ASCII"),
        ("client_encoding", ""),
        ("standard_conforming_strings", "off"),
    ] {
        check_refused(&[query(1)], &[part()], &[status(name, value)]);
        check_refused(&[], &[], &[status(name, value)]);
    }
    let came = [
        complete("SET"),
        status("client_encoding", "UTF8"),
        status("standard_conforming_strings", "on"),
        status("TimeZone", "UTC"),
        ready(b'I'),
    ];
    let mut masker = check(&[query(1)], &[part()], &came, &came);
    let changes = masker.parameter_changes();
    assert_eq!(changes.last(), Some(&("TimeZone".to_owned(), "UTC".to_owned())));
    assert_eq!((changes.len(), masker.parameter_changes().len()), (3, 0));
    let flood: Vec<_> = (0..257).map(|_| status("a", "b")).collect();
    check_refused(&[], &[], &flood);
}

#[test]
fn texts_of_errors_and_notices_are_treated_by_kind() {
    let raw = report(
        b'E',
        &[
            (b'S', "ERROR"),
            (b'V', "ERROR"),
            (b'C', "23505"),
            (b'M', "key sekrit exists"),
            (b'D', "Key (x)=(sekrit)"),
            (b'H', "a hint"),
            (b'p', "7"),
            (b'q', "select 'sekrit'"),
            (b'W', "sekrit"),
            (b'L', "sekrit"),
            (b'?', "sekrit"),
            (b'P', "12"),
            (b't', "customers"),
            (b'n', "sekrit_key"),
        ],
    );
    let treated = report(
        b'E',
        &[
            (b'S', "ERROR"),
            (b'V', "ERROR"),
            (b'C', "23505"),
            (b'M', "key [hidden] exists"),
            (b'H', "a hint"),
            (b'P', "12"),
            (b't', "customers"),
        ],
    );
    check(&[query(1)], &[part()], &[raw, ready(b'I')], &[treated, ready(b'I')]);
    let kept = report(b'E', &[(b'C', "23505"), (b'M', "m"), (b'p', "7"), (b'q', "select 1")]);
    check(&[query(1)], &[part()], &[kept.clone(), ready(b'I')], &[kept, ready(b'I')]);
    // Placed in the caller's own text, it was raised before the statement saw data.
    let text = [(b'C', "42703"), (b'M', "no column sekrit"), (b'H', "not sekrit"), (b'P', "8")];
    let own = report(b'E', &text);
    check(&[query(1)], &[part()], &[own.clone(), ready(b'I')], &[own, ready(b'I')]);
    for more in [(b'p', "1"), (b'q', "select 1"), (b'W', "a function")] {
        let ran = report(b'E', &[text.as_slice(), &[more]].concat());
        let hidden = [(b'C', "42703"), (b'M', "no column [hidden]"), (b'P', "8"), more];
        check(&[query(1)], &[part()], &[ran, ready(b'I')], &[report(b'E', &hidden), ready(b'I')]);
    }
    let told = message(b'A', b"\0\0\0\x01ch\0sekrit!\0");
    let hidden = message(b'A', b"\0\0\0\x01ch\0[hidden]!\0");
    check(&[], &[], &[told], &[hidden]);
}

#[test]
fn errors_belong_to_the_part_that_runs() {
    let parts = |steps: &[Step], n: usize, came: &[Vec<u8>]| {
        let toy = Arc::new(Toy::default());
        let script = script(steps, &vec![part(); n]);
        let mut masker = AnswerMasker::new(&script, &obligations(Arc::clone(&toy)));
        through(&mut masker, &came.concat(), usize::MAX).unwrap();
        toy.parts.lock().unwrap().clone()
    };
    let e = || error("no");
    assert_eq!(parts(&[query(3)], 3, &[complete("A"), e()]), [Some(1)]);
    assert_eq!(parts(&[query(1)], 1, &[complete("A"), e()]), [Some(0)]);
    assert_eq!(parts(&[query(0)], 0, &[e()]), [None]);
    let two = [parse(), Step::Bind, execute(0), Step::Bind, execute(1), Step::Sync];
    assert_eq!(parts(&two, 2, &[e()]), [Some(0)]);
    assert_eq!(parts(&two, 2, &[bare(b'1'), bare(b'2'), complete("A"), e()]), [Some(1)]);
    let all = [bare(b'1'), bare(b'2'), complete("A"), bare(b'2'), complete("B")];
    assert_eq!(parts(&two, 2, &[&all[..], &[e()]].concat()), [None]);
    assert_eq!(parts(&[], 0, &[e()]), [None]);
}

#[test]
fn a_fatal_error_is_told() {
    let came = [report(b'E', &[(b'S', "FATAL"), (b'C', "57P01"), (b'M', "shut down")])];
    let mut masker = masker(&[], &[]);
    through(&mut masker, &came.concat(), 3).unwrap();
    assert!(masker.fatal());
    assert_eq!(masker.error_code(), Some(*b"57P01"));
}

#[test]
fn sources_and_formats_are_read() {
    let toy = Arc::new(Toy::default());
    let script = script(&[query(1)], &[part()]);
    let mut masker = AnswerMasker::new(&script, &obligations(Arc::clone(&toy)));
    through(&mut masker, &described(PLAIN), 64).unwrap();
    assert_eq!(*toy.sources.lock().unwrap(), [(16_384, 1), (16_384, 2)]);
}

fn copy_masker(copied: &[Treatment], format: CopyFormat) -> AnswerMasker {
    let toy = Toy { copied: copied.to_vec(), ..Toy::default() };
    AnswerMasker::new(&script(&[query(1)], &[copy_out(format)]), &obligations(Arc::new(toy)))
}

const HIDE_SECOND: &[Treatment] =
    &[Treatment::Pass, Treatment::Mask(Strategy::Redact), Treatment::Scan];

/// The same rows, however they are cut over CopyData messages.
fn check_copy(format: CopyFormat, rows: &str, expect: &[&str], masked: u64) {
    for cut in 1..=rows.len() {
        let mut masker = copy_masker(HIDE_SECOND, format);
        let mut came = copy_response(b'H', 0, 3);
        for piece in rows.as_bytes().chunks(cut) {
            came.extend(message(b'd', piece));
        }
        came.extend([bare(b'c'), complete("COPY 3"), ready(b'I')].concat());
        let out = through(&mut masker, &came, 7).unwrap();
        let mut want = copy_response(b'H', 0, 3);
        want.extend(expect.iter().flat_map(|line| data(line)));
        want.extend([bare(b'c'), complete("COPY 3"), ready(b'I')].concat());
        assert_eq!(out, want, "cut at {cut}");
        assert_eq!(masker.masked_values(), masked);
        assert_eq!(masker.rows(), expect.len() as u64);
        assert!(masker.finished());
    }
}

#[test]
fn copied_text_is_masked_row_by_row_however_it_is_cut() {
    check_copy(
        TEXT,
        "1\traw\\tvalue\\\n more\tplain\n2\t\\N\ta@b\n\\\t\t\t\\N\nlast\tx\ty",
        &["1\t***\tplain\n", "2\t\\N\t<\"mail\"\\t>\n", "\\\t\t***\t\\N\n", "last\t***\ty"],
        4,
    );
}

#[test]
fn copied_csv_is_masked_row_by_row_however_it_is_cut() {
    check_copy(
        CSV,
        "1,\"raw, \"\"x\"\"\nnext line\",plain\n2,,a@b\n\"a,b\",\"\",\"@\"\n",
        &[
            "1,\"***\",plain\n",
            "2,,\"<\"\"mail\"\"\t>\"\n",
            "\"a,b\",\"***\",\"<\"\"mail\"\"\t>\"\n",
        ],
        4,
    );
}

/// NULL of what is worked out may be an answer, that of what is only shown is none.
#[test]
fn null_of_an_expression_is_a_value_of_it() {
    let columns: &[(&str, u32, i16)] = &[("id", 23, 0), ("made", 25, 0), ("viewed", 25, 0)];
    let rows =
        [row(&[Some(b"1"), None, None]), texts(&["2", "x", "y"]), row(&[None, None, Some(b"y")])];
    let masked = [
        row(&[Some(b"1"), Some(b"***"), None]),
        texts(&["2", "***", "***"]),
        row(&[None, Some(b"***"), Some(b"***")]),
    ];
    let around =
        |rows: [Vec<u8>; 3]| [described(columns), rows.concat(), complete("SELECT 3"), ready(b'I')];
    let masker = check(&[query(1)], &[part()], &around(rows), &around(masked));
    assert_eq!(masker.masked_values(), 5);

    let treatments = [Treatment::Conceal, Treatment::ConcealValues];
    let format = CopyFormat::Text { delimiter: b'\t', header: false, null: NullString::TEXT };
    let mut masker = copy_masker(&treatments, format);
    let copied = |line: &str| {
        let (start, end) =
            (copy_response(b'H', 0, 2), [bare(b'c'), complete("COPY 1"), ready(b'I')]);
        [start, data(line), end.concat()].concat()
    };
    let out = through(&mut masker, &copied("\\N\t\\N\n"), 7).unwrap();
    assert_eq!(out, copied("***\t\\N\n"));
}

/// What stands for NULL is a value where a value may look like it, and NULL where none does.
#[test]
fn null_of_copies_is_what_was_asked_for() {
    let null = NullString::new("x").unwrap();
    let csv = CopyFormat::Csv { delimiter: b',', quote: b'"', escape: b'"', header: false, null };
    check_copy(
        csv,
        "1,x,x\n2,,x\n3,\"x\",a@b\n",
        &["1,x,x\n", "2,\"***\",x\n", "3,\"***\",\"<\"\"mail\"\"\t>\"\n"],
        3,
    );
    let text = CopyFormat::Text { delimiter: b'|', header: false, null };
    check_copy(
        text,
        "1|x|x\n2||x\n3|x|a@b\n",
        &["1|***|x\n", "2|***|x\n", "3|***|<\"mail\"\\t>\n"],
        4,
    );
}

#[test]
fn copies_that_pass_are_not_touched_and_others_must_fit() {
    let came = [
        copy_response(b'H', 1, 2),
        message(b'd', b"PGCOPY\n\xff\r\n\0"),
        message(b'd', &[0; 9]),
        bare(b'c'),
        complete("COPY 1"),
        ready(b'I'),
    ]
    .concat();
    let mut masker = copy_masker(&[], CopyFormat::Binary);
    let frames = split(&mut BytesMut::from(&came[..])).unwrap().unwrap();
    let at = frames.bytes().as_ptr();
    assert_eq!(masker.mask(frames).unwrap().bytes().as_ptr(), at);
    assert!(masker.finished());

    let refused = |copied: &[Treatment], format, came: &[Vec<u8>]| {
        through(&mut copy_masker(copied, format), &came.concat(), 64).unwrap_err()
    };
    let start = || copy_response(b'H', 0, 3);
    let untraceable = refused(HIDE_SECOND, CopyFormat::Untold, &[copy_response(b'H', 1, 3)]);
    assert!(matches!(untraceable, MaskFailure::Untraceable(_)));
    let untraceable = refused(HIDE_SECOND, TEXT, &[copy_response(b'H', 0, 2)]);
    assert!(matches!(untraceable, MaskFailure::Untraceable(_)));
    for came in [
        vec![copy_response(b'H', 1, 3)],
        vec![start(), data("1\t2\n")],
        vec![start(), data("1\t2\t3\t4\n")],
        vec![start(), complete("COPY 0")],
        vec![start(), bare(b'c'), data("x")],
        vec![start(), start()],
        vec![start(), texts(&["1"])],
        vec![message(b'H', &[0, 0, 1, 0, 1])],
        vec![message(b'H', &[0, 0, 1])],
    ] {
        assert!(matches!(refused(HIDE_SECOND, TEXT, &came), MaskFailure::Malformed(_)), "{came:?}");
    }
}

/// Rows of a binary copy, in messages of any size, with the second field masked.
#[test]
fn binary_copies_are_masked_field_by_field() {
    let signature = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\x02xy".to_vec();
    let tuple = |second: &[u8]| {
        let mut row = b"\0\x03\0\0\0\x01a\0\0\0".to_vec();
        row.push(second.len() as u8);
        row.extend_from_slice(second);
        row.extend_from_slice(b"\xff\xff\xff\xff");
        row
    };
    let whole = [signature.clone(), tuple(b"raw"), tuple(b""), b"\xff\xff".to_vec()].concat();
    let expect = [signature, tuple(b"***"), tuple(b"***"), b"\xff\xff".to_vec()].concat();
    for size in 1..=whole.len() {
        let pieces = whole.chunks(size).map(|piece| message(b'd', piece));
        let came: Vec<Vec<u8>> = std::iter::once(copy_response(b'H', 1, 3))
            .chain(pieces)
            .chain([bare(b'c'), complete("COPY 2"), ready(b'I')])
            .collect();
        let mut masker = copy_masker(HIDE_SECOND, CopyFormat::Binary);
        let out = through(&mut masker, &came.concat(), 64).unwrap();
        let mut rest = BytesMut::from(&out[..]);
        let frames = split(&mut rest).unwrap().unwrap();
        let copied: Vec<u8> =
            (&frames).into_iter().filter(|f| f.tag == b'd').flat_map(|f| f.body.to_vec()).collect();
        assert_eq!(copied, expect, "{size}");
        assert_eq!((masker.rows(), masker.masked_values()), (2, 2));
    }
    let broken = |data: &[u8]| {
        let came = [copy_response(b'H', 1, 3), message(b'd', data), bare(b'c')].concat();
        let mut masker = copy_masker(HIDE_SECOND, CopyFormat::Binary);
        assert!(matches!(through(&mut masker, &came, 64), Err(MaskFailure::Malformed(_))));
    };
    broken(b"1\tsecret\t2\n");
    broken(&whole[..25]);
    broken(&[&whole[..21], b"\0\x01\0\0\0\x01a"].concat());
    broken(&[&whole[..21], b"\xff\xffsecret"].concat());
}

/// The names of the columns are no data, and they are one line.
#[test]
fn the_first_line_of_a_copy_passes_where_it_names_the_columns() {
    let null = NullString::EMPTY;
    let format = CopyFormat::Csv { delimiter: b',', quote: b'"', escape: b'"', header: true, null };
    let came = [
        copy_response(b'H', 0, 3),
        data("a,\"b\nb\",c\n"),
        data("1,raw,2\n"),
        bare(b'c'),
        complete("COPY 1"),
        ready(b'I'),
    ];
    for size in [1, 3, 64] {
        let out = through(&mut copy_masker(HIDE_SECOND, format), &came.concat(), size).unwrap();
        let out = String::from_utf8_lossy(&out).into_owned();
        assert!(out.contains("a,\"b\nb\",c\n") && out.contains("1,\"***\",2\n"), "{out:?}");
    }
    let came = [copy_response(b'H', 0, 3), data("1,raw\n")].concat();
    let failed = through(&mut copy_masker(HIDE_SECOND, format), &came, 64).unwrap_err();
    assert!(matches!(failed, MaskFailure::Malformed(_)));
}

#[test]
fn an_error_drops_the_part_of_a_row_that_was_held_back() {
    let mut masker = copy_masker(HIDE_SECOND, TEXT);
    let came = [copy_response(b'H', 0, 3), data("1\traw"), error("gone"), ready(b'I')];
    let out = through(&mut masker, &came.concat(), 64).unwrap();
    assert_eq!(out, [copy_response(b'H', 0, 3), error("gone"), ready(b'I')].concat());
    assert!(masker.finished());
}

#[test]
fn a_simple_copy_in_takes_data_until_it_ends() {
    let start = copy_response(b'G', 0, 2);
    let mut m = masker(&[query(1)], &[copy_in()]);
    assert!(!m.takes_feed());
    through(&mut m, &start, 64).unwrap();
    assert!(m.copying_in() && m.takes_feed());
    m.feed_sent(FeedKind::Data);
    m.feed_sent(FeedKind::Done);
    assert!(!m.copying_in() && !m.takes_feed());
    through(&mut m, &[complete("COPY 1"), ready(b'I')].concat(), 64).unwrap();
    assert!(m.finished());

    let mut m = masker(&[query(1)], &[copy_in()]);
    through(&mut m, &[start.clone(), error("bad row"), ready(b'I')].concat(), 64).unwrap();
    assert!(m.finished() && !m.copying_in() && !m.takes_feed());
    // A copy nobody asked for, and one that ends by itself.
    check_refused(&[query(1)], &[part()], std::slice::from_ref(&start));
    check_refused(&[query(1)], &[copy_in()], &[start, complete("COPY 1")]);
}

/// The Sync behind a copy-in is a unit of its own, so the unit of the copy has none.
fn extended_copy() -> AnswerMasker {
    let mut steps = usual(true);
    steps.retain(|step| *step != Step::Sync);
    let mut m = masker(&steps, &[copy_in()]);
    let came = [bare(b'1'), bare(b'2'), bare(b'n'), copy_response(b'G', 0, 2)].concat();
    through(&mut m, &came, 64).unwrap();
    assert!(m.copying_in() && !m.finished());
    m
}

#[test]
fn an_extended_copy_in_ends_with_its_completion() {
    let mut m = extended_copy();
    m.feed_sent(FeedKind::Data);
    m.feed_sent(FeedKind::Done);
    through(&mut m, &complete("COPY 1"), 64).unwrap();
    assert!(m.finished() && !m.failed_open() && !m.takes_feed());

    // ReadyForQuery that no Sync has asked for.
    let mut m = extended_copy();
    m.feed_sent(FeedKind::Done);
    through(&mut m, &complete("COPY 1"), 64).unwrap();
    assert!(through(&mut m, &ready(b'I'), 64).is_err());
}

#[test]
fn a_failed_extended_copy_in_is_open_until_a_sync() {
    let mut m = extended_copy();
    m.feed_sent(FeedKind::Data);
    through(&mut m, &error("bad row"), 64).unwrap();
    assert!(m.finished() && m.failed_open() && !m.copying_in() && !m.takes_feed());
    assert!(through(&mut m, &ready(b'I'), 64).is_err());
}

#[test]
fn the_sample_is_bounded() {
    let mut came = vec![described(&[("a", 25, 0), ("b", 17, 1)])];
    let long = "é".repeat(400);
    came.extend((0..100).map(|_| row(&[Some(long.as_bytes()), Some(&[0xab; 400])])));
    came.extend([complete("SELECT 100"), ready(b'I')]);
    let masker = check(&[query(1)], &[part()], &came, &came);
    let shown = &masker.sample().parts()[0];
    assert_eq!(shown.rows.len(), MAX_ROWS);
    let first = &shown.rows[0];
    assert!(first[0].as_ref().unwrap().starts_with("éé"), "{first:?}");
    assert!(first[1].as_ref().unwrap().starts_with("\\xabab"), "{first:?}");
    assert!(first.iter().all(|c| c.as_ref().unwrap().ends_with('…')));
    let size: usize = shown.rows.iter().flatten().flatten().map(String::len).sum();
    assert!(size <= MAX_BYTES, "{size}");
}

#[test]
fn a_message_that_is_not_whole_does_not_slip_through() {
    let mut masker = masker(&[query(1)], &[part()]);
    let cut = [complete("A"), b"D\0\0\0\x10\0\x01".to_vec()].concat();
    assert!(masker.mask(Frames::from(BytesMut::from(&cut[..]))).is_err());
}

#[test]
fn debug_tells_no_data() {
    let mut masker = masker(&[query(1)], &[part()]);
    let frames = Frames::from(BytesMut::from(&described(&[("sekrit", 25, 0)])[..]));
    assert!(!format!("{frames:?}").contains(SECRET));
    masker.mask(frames).unwrap();
}

fn transcripts() -> impl proptest::strategy::Strategy<Value = Vec<Vec<Option<String>>>> {
    let value = prop::option::of("[a-z@]{0,12}");
    prop::collection::vec(prop::collection::vec(value, 3), 0..20)
}

proptest! {
    /// However reads are cut, the same bytes come out; and every masked column is masked.
    #[test]
    fn cuts_change_nothing(rows in transcripts(), cut in 1usize..64) {
        let mut came = described(MIXED);
        for values in &rows {
            came.extend(row(&values.iter().map(|v| v.as_ref().map(String::as_bytes)).collect::<Vec<_>>()));
        }
        came.extend([complete("SELECT"), ready(b'I')].concat());
        let (mut whole, mut pieces) = (masker(&[query(1)], &[part()]), masker(&[query(1)], &[part()]));
        let expect = through(&mut whole, &came, usize::MAX).unwrap();
        prop_assert_eq!(&through(&mut pieces, &came, cut).unwrap(), &expect);
        prop_assert_eq!(whole.masked_values(), pieces.masked_values());
        let secrets = rows.iter().filter(|r| r[1].is_some()).count();
        let mails = rows.iter().filter(|r| r[2].as_ref().is_some_and(|v| v.contains('@'))).count();
        prop_assert_eq!(whole.masked_values(), (secrets + mails) as u64);
        let out = Frames::from(BytesMut::from(&expect[..]));
        for (frame, values) in out.iter().filter(|f| f.tag == b'D').zip(&rows) {
            let mut masked = values.clone();
            if masked[1].is_some() { masked[1] = Some("***".to_owned()); }
            if masked[2].as_ref().is_some_and(|v| v.contains('@')) { masked[2] = Some("<\"mail\"\t>".to_owned()); }
            let masked = row(&masked.iter().map(|v| v.as_ref().map(String::as_bytes)).collect::<Vec<_>>());
            prop_assert_eq!(frame.body, &masked[5..]);
        }
    }

    /// Whatever a target sends, nothing panics, and nothing of a masked column passes unplanned.
    #[test]
    fn a_garbling_target_never_panics(
        messages in prop::collection::vec(
            (prop::sample::select(b"TDCZESNAHdcG123tnsI".to_vec()), prop::collection::vec(any::<u8>(), 0..24)),
            0..12,
        ),
    ) {
        let bytes: Vec<u8> = messages.iter().flat_map(|(t, b)| message(*t, b)).collect();
        let simple = [query(2)];
        let extended = usual(true);
        for steps in [&simple[..], &extended[..]] {
            let parts = [copy_out(TEXT), copy_in()];
            let _ = through(&mut masker(steps, &parts), &bytes, 13);
        }
    }
}
