//! Texts that differ in whole numbers alone, so that the facts of one are those of the other. Stands
//! in front of the parser: what a program sends again and again is taken apart once.

use crate::statement::Analysis;

/// Longer texts have no shape.
const LONGEST: usize = 4 << 10;
/// Longer numbers may be of another type.
const DIGITS: usize = 9;

/// The text with every whole number as `0` that is a value, and not the place of a column (`ORDER BY
/// 2`); `None` where it cannot be told without the grammar what
/// is a number: with quotes, dollars, backslashes, comments or letters beyond ASCII.
///
/// The shape of an analysis is good for another text only where [`is_general`] says so.
#[must_use]
pub fn shape(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let plain = |b: &u8| b.is_ascii() && !b"'\"$\\".contains(b);
    let begins = text.trim_start().get(..6).is_some_and(|w| w.eq_ignore_ascii_case("select"));
    if bytes.len() > LONGEST || !begins || !bytes.iter().all(plain) {
        return None;
    }
    let pairs = || bytes.windows(2);
    if pairs().any(|pair| matches!(pair, b"--" | b"/*")) {
        return None;
    }
    // `float(24)` and `float(53)` are two types.
    if bytes.windows(5).any(|word| word.eq_ignore_ascii_case(b"float")) {
        return None;
    }
    let mut shape = String::with_capacity(text.len());
    let mut places = Places::default();
    let mut rest = text;
    while let Some(at) = rest.bytes().position(|b| b.is_ascii_digit()) {
        let (head, tail) = rest.split_at(at);
        let end = tail.bytes().position(|b| !b.is_ascii_digit()).unwrap_or(tail.len());
        let (digits, after) = tail.split_at(end);
        shape.push_str(head);
        places.read(head);
        let joined = |b: Option<u8>| {
            b.is_some_and(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.'))
        };
        let alone = !joined(head.bytes().last()) && !joined(after.bytes().next());
        let value = alone && end <= DIGITS && places.open.is_empty();
        shape.push_str(if value { "0" } else { digits });
        rest = after;
    }
    shape.push_str(rest);
    Some(shape)
}

/// Where in a text numbers may stand for columns of the answer: behind `ORDER BY`, `GROUP BY` and
/// `DISTINCT`, up to the end of the query. Words that end such a list cannot be told from names and
/// operators (`IS DISTINCT FROM`) without a grammar.
#[derive(Default)]
struct Places {
    depth: usize,
    /// The depths of parentheses at which such a list is open.
    open: Vec<usize>,
}

impl Places {
    /// Reads on. A word is never cut by a number that is a value.
    fn read(&mut self, text: &str) {
        let part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let end = rest.find(|c| !part(c)).unwrap_or(rest.len()).max(1);
            let (word, after) = rest.split_at(end);
            match c {
                '(' => self.depth += 1,
                ')' => {
                    self.depth = self.depth.saturating_sub(1);
                    self.open.retain(|depth| *depth <= self.depth);
                }
                _ if is_word(word, &["by", "distinct"]) => self.open.push(self.depth),
                _ => {}
            }
            rest = after;
        }
    }
}

fn is_word(word: &str, words: &[&str]) -> bool {
    words.iter().any(|w| word.eq_ignore_ascii_case(w))
}

/// True where no number in the text made a difference: one query. (In a change, a condition such as
/// `1 = 1` is told from one that chooses rows; of several statements, where each of them stands.)
#[must_use]
pub fn is_general(analysis: &Analysis) -> bool {
    matches!(analysis.statements.as_slice(), [one] if &*one.kind == "select")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_stand_alone() {
        let is = |text: &str, expect: &str| assert_eq!(shape(text).as_deref(), Some(expect));
        is("SELECT a FROM t WHERE id = 12345;", "SELECT a FROM t WHERE id = 0;");
        is("select 1,-2, (34)+5 from t1 where a1=1", "select 0,-0, (0)+0 from t1 where a1=0");
        is("select 1.5, .5, 1e5, 0x1f, 1_000", "select 1.5, .5, 1e5, 0x1f, 1_000");
        is("select 1.5.6, t.1, a12b", "select 1.5.6, t.1, a12b");
        is("select 1234567890, 123456789", "select 1234567890, 0");
        is("  select 007", "  select 0");
        is("select 1", "select 0");
    }

    #[test]
    fn numbers_that_may_stand_for_columns_stay() {
        for text in [
            "select a from t order by 2",
            "select a from t order by a is distinct from a, 2",
            "select a % 2 as from1 from t group by from1, 2",
            "select a from t order by t.limit, 2",
            "select a from (select a from t order by a offset a, 2)",
        ] {
            let shape = shape(text).unwrap();
            assert!(shape.contains(", 2") || shape.ends_with("by 2"), "{text}: {shape}");
        }
    }

    #[test]
    fn what_only_the_grammar_can_tell() {
        for text in [
            "select '1'",
            "select \"1\"",
            "select $1",
            "select 1 -- 2",
            "select /* 1 */ 2",
            "select e\\1",
            "select é1",
            "select 1::float(24)",
            "update t set a = 1",
            "with x as (select 1) select 2",
            "",
        ] {
            assert_eq!(shape(text), None, "{text}");
        }
        assert_eq!(shape(&format!("select {}1", "1,".repeat(4000))), None);
    }
}
