//! Precision and recall over the committed corpus, and exact spans for every line that must hold.
//!
//! A file is named after the kind it is about. `+` lines hold hits, marked `⟦so⟧`; `-` lines hold
//! none; `~` lines are known limits, counted and printed but not required. `¦` is dropped: it
//! keeps scanners of repositories from taking made-up keys for real ones. `¶` is a line break.

use portcullis_mask::{Detectors, Kind};
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
    let detectors = Detectors::all();
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
    assert_eq!(FILES.len(), Kind::ALL.len() + 1);
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
