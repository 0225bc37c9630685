//! Precision and recall over the committed corpus, and exact spans for every line that must hold.
//!
//! A file is named after the kind it is about. `+` lines hold hits, marked `⟦so⟧`; `-` lines hold
//! none; `~` lines are known limits, counted and printed but not required. `¦` is dropped: it
//! keeps scanners of repositories from taking made-up keys for real ones. `¶` is a line break.

#[path = "corpus/generate.rs"]
mod generate;

use generate::{Dice, LOOKALIKES, person, sample};
use portcullis_mask::{Detectors, Hit, Kind, label_of};
use std::collections::BTreeMap;
use std::ops::Range;

struct Line {
    required: bool,
    text: Vec<u8>,
    expect: Vec<Range<usize>>,
}

fn parse(line: &str) -> Option<Line> {
    let (mark, rest) = line.split_once(' ')?;
    let required = match mark {
        "+" | "-" => true,
        "~" => false,
        _ => return None,
    };
    let (mut text, mut expect, mut open) = (String::new(), Vec::new(), 0);
    for c in rest.chars() {
        match c {
            '⟦' => open = text.len(),
            '⟧' => expect.push(open..text.len()),
            '¦' => {}
            '¶' => text.push('\n'),
            c => text.push(c),
        }
    }
    assert!(!required || expect.is_empty() == (mark == "-"), "{line}");
    Some(Line { required, text: text.into(), expect })
}

#[derive(Default)]
struct Score {
    right: usize,
    wrong: usize,
    missed: usize,
    lines: usize,
}

impl Score {
    fn precision(&self) -> f64 {
        ratio(self.right, self.right + self.wrong)
    }

    fn recall(&self) -> f64 {
        ratio(self.right, self.right + self.missed)
    }
}

fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 { 1.0 } else { f64::from(part as u32) / f64::from(whole as u32) }
}

fn run(name: &str, file: &str, failures: &mut Vec<String>) -> Score {
    let detectors = Detectors::standard();
    let mut score = Score::default();
    for line in file.lines().filter_map(parse) {
        let found: Vec<_> = detectors.scan(&line.text).into_iter().map(|hit| hit.range).collect();
        let right = found.iter().filter(|range| line.expect.contains(range)).count();
        score.lines += 1;
        score.right += right;
        score.wrong += found.len() - right;
        score.missed += line.expect.len() - right;
        if line.required && found != line.expect {
            let text = String::from_utf8_lossy(&line.text).into_owned();
            let found: Vec<_> = found.into_iter().map(|r| &text[r]).collect();
            failures.push(format!("{name}: {text}\n    found {found:?}"));
        }
    }
    score
}

#[test]
fn precision_and_recall_stay_above_their_floors() {
    const FILES: &[(&str, &str)] = &[
        ("email", include_str!("corpus/email.txt")),
        ("card", include_str!("corpus/card.txt")),
        ("iban", include_str!("corpus/iban.txt")),
        ("us-ssn", include_str!("corpus/us-ssn.txt")),
        ("phone", include_str!("corpus/phone.txt")),
        ("jwt", include_str!("corpus/jwt.txt")),
        ("private-key", include_str!("corpus/private-key.txt")),
        ("aws-access-key", include_str!("corpus/aws-access-key.txt")),
        ("aws-secret-key", include_str!("corpus/aws-secret-key.txt")),
        ("api-key", include_str!("corpus/api-key.txt")),
        ("url-password", include_str!("corpus/url-password.txt")),
        ("mixed", include_str!("corpus/mixed.txt")),
    ];
    let mut failures = Vec::new();
    for (name, file) in FILES {
        let score = run(name, file, &mut failures);
        println!(
            "{name:15} {:4} lines  precision {:.3}  recall {:.3}",
            score.lines,
            score.precision(),
            score.recall()
        );
        assert!(score.lines >= 30, "{name}: the corpus lost its lines");
        assert!(!failures.is_empty() || score.precision() >= 0.99, "{name}: precision");
        assert!(!failures.is_empty() || score.recall() >= 0.92, "{name}: recall");
    }
    assert!(failures.is_empty(), "{} lines:\n{}", failures.len(), failures.join("\n"));
}

/// How often each kind and each look-alike is made.
const ROUNDS: usize = 300;

/// What stands around a value: nothing, prose, a log, JSON, CSV, an array, a row.
const AROUND: &[(&str, &str)] = &[
    ("", ""),
    ("note: ", " (seen twice)"),
    ("2024-05-01 12:00:01 UTC [4711] LOG:  value ", " done"),
    ("{\"n\":1,\"v\":\"", "\"}"),
    ("17,", ",t"),
    ("{", ",b}"),
    ("(3,", ",\"x y\")"),
    ("<td>", "</td>"),
];

fn tally(scores: &mut BTreeMap<Kind, Score>, text: &str, hits: &[Hit], expect: Option<&Hit>) {
    for hit in hits {
        let score = scores.entry(hit.kind).or_default();
        // What stands in a URL may be found with the rest of it.
        if expect == Some(hit) {
            score.right += 1;
        } else {
            score.wrong += 1;
            if score.wrong <= 5 {
                println!("  wrong {:?} {:?} in {text}", hit.kind, text.get(hit.range.clone()));
            }
        }
    }
    if let Some(expect) = expect
        && !hits.contains(expect)
    {
        let score = scores.entry(expect.kind).or_default();
        score.missed += 1;
        if score.missed <= 5 {
            println!("  missed {:?} in {text}", expect.kind);
        }
    }
}

/// Samples whose hit is not all of the value that is made: the host of a webhook, what names a
/// provider.
fn trim(kind: Kind, head: &mut String, hit: &mut String) {
    for start in
        ["https://hooks.slack.com/services/", "https://discord.com/api/webhooks/", "mailgun "]
    {
        if kind == Kind::ApiKey
            && let Some(rest) = hit.strip_prefix(start)
        {
            head.push_str(start);
            *hit = rest.to_owned();
            return;
        }
    }
}

#[test]
fn made_up_values_are_told_from_what_looks_like_them() {
    let mut dice = Dice(4711);
    let detectors = Detectors::standard();
    let mut scores = BTreeMap::<Kind, Score>::new();
    for kind in Kind::ALL {
        let alone = Detectors::of(&[*kind]);
        for round in 0..ROUNDS {
            let Some(mut made) = sample(*kind, &mut dice) else { break };
            trim(*kind, &mut made.head, &mut made.hit);
            let (left, right) = AROUND[round % AROUND.len()];
            let start = left.len() + made.head.len();
            let text = format!("{left}{}{}{}{right}", made.head, made.hit, made.tail);
            let expect = Hit { kind: *kind, range: start..start + made.hit.len() };
            let detectors = if kind.is_default() { &detectors } else { &alone };
            tally(&mut scores, &text, &detectors.scan(text.as_bytes()), Some(&expect));
        }
    }
    for (name, make) in LOOKALIKES {
        let mut wrong = 0;
        for round in 0..ROUNDS {
            let (left, right) = AROUND[round % AROUND.len()];
            let text = format!("{left}{}{right}", make(&mut dice));
            let hits = detectors.scan(text.as_bytes());
            wrong += hits.len();
            tally(&mut scores, &text, &hits, None);
        }
        if wrong > 0 {
            println!("{name:20} {wrong} of {ROUNDS} taken for something");
        }
    }
    for kind in Kind::ALL.iter().filter(|kind| **kind != Kind::PersonName) {
        let score = scores.entry(*kind).or_default();
        println!(
            "{:20} precision {:.4}  recall {:.4}",
            kind.name(),
            score.precision(),
            score.recall()
        );
    }
    for (kind, score) in &scores {
        assert!(
            score.right + score.missed >= ROUNDS,
            "{}: the corpus lost its samples",
            kind.name()
        );
        assert!(score.precision() >= 0.99, "{}: precision {}", kind.name(), score.precision());
        assert!(score.recall() >= 0.95, "{}: recall {}", kind.name(), score.recall());
    }
}

/// Names of columns, and what is in such columns.
#[test]
fn names_of_columns_say_what_is_in_them() {
    let detectors = Detectors::named(["default", "person-name"]).unwrap();
    assert!(!Detectors::standard().has(Kind::PersonName));
    let finds = |column: &str, value: &str| {
        label_of(column).is_some_and(|label| {
            detectors.heeds(label) && !detectors.scan_labelled(label, value.as_bytes()).is_empty()
        })
    };
    let mut dice = Dice(99);
    for _ in 0..100 {
        let (first, last) = person(&mut dice);
        assert!(finds("first_name", first) && finds("billingLastName", last), "{first} {last}");
        assert!(finds("full_name", &format!("{first} {last}")));
    }
    for (column, value) in [
        ("dob", "1980-05-01"),
        ("date_of_birth", "1.5.1980"),
        ("patientBirthDate", "1980-05-01 00:00:00+00"),
        ("geburtsdatum", "01.05.1980"),
        ("bsn", "111222333"),
        ("national_id", "44051401359"),
        ("ssn", "536904399"),
        ("password", "Tr0ub4dor&3"),
    ] {
        assert!(finds(column, value), "{column}: {value}");
    }
    for (column, value) in [
        ("created_at", "1980-05-01"),
        ("name", "Jane Doe"),
        ("product_name", "Amber Lantern"),
        ("username", "jane"),
        ("hostname", "db"),
        ("file_name", "report"),
        ("display_name", "Jane"),
        ("company_name", "Example"),
        ("birthplace", "Bern"),
        ("year_of_birth", "1980"),
        ("dob", "unknown"),
        ("dob", "12"),
        ("first_name", "N/A"),
        ("first_name", "item 4711"),
        ("order_id", "111222333"),
        ("bsn", "111222334"),
        ("token", "next"),
        ("password_hint", "Tr0ub4dor&3"),
    ] {
        assert!(!finds(column, value), "{column}: {value}");
    }
}

#[test]
fn what_stands_around_does_not_matter() {
    let mut dice = Dice(7);
    let detectors = Detectors::all();
    for kind in Kind::ALL {
        let Some(made) = sample(*kind, &mut dice) else { continue };
        let text = format!("{}{}{}", made.head, made.hit, made.tail);
        let expect = detectors.scan(text.as_bytes());
        for padding in [1, 7, 63, 64, 255, 4096, 70_000] {
            let left = "lorem ipsum dolor ".repeat(padding / 18 + 1);
            let text = format!("{left}{text} {left}");
            let hits = detectors.scan(text.as_bytes());
            let moved = hits.into_iter().map(|hit| Hit {
                kind: hit.kind,
                range: hit.range.start - left.len()..hit.range.end - left.len(),
            });
            assert_eq!(moved.collect::<Vec<_>>(), expect, "{} behind {padding}", kind.name());
        }
    }
}
