//! Whether a secret can be read from what a client received, by somebody who wants to: as it is,
//! backwards, in pieces, encoded, or as the numbers of its characters.

use crate::raw::{Message, fields, values};
use std::collections::BTreeSet;

/// Everything a client received, in the ways it can be read.
#[derive(Debug, Default)]
pub struct Received {
    /// Texts of messages one after the other; rows by value, by row, and by column.
    texts: Vec<String>,
    /// All numbers in rows and errors, in their order, by row and by column.
    numbers: Vec<Vec<u32>>,
}

impl Received {
    /// Reads messages, transcripts of rows and errors above all.
    #[must_use]
    pub fn new(messages: &[Message]) -> Self {
        let mut all = String::new();
        let mut rows: Vec<Vec<String>> = Vec::new();
        for message in messages {
            match message.tag {
                b'D' => rows.push(values(&message.body).into_iter().map(text).collect()),
                b'd' => rows.push(copied(&message.body)),
                b'E' | b'N' => all.push_str(&fields(&message.body)),
                _ => {}
            }
            all.push_str(&String::from_utf8_lossy(&message.body));
            all.push('\n');
        }
        let width = rows.iter().map(Vec::len).max().unwrap_or(0);
        let column = |n| rows.iter().filter_map(move |row| row.get(n)).map(String::as_str);
        let mut columns: Vec<Vec<&str>> = (0..width).map(|n| column(n).collect()).collect();
        columns.push(rows.iter().flatten().map(String::as_str).collect());
        let numbers =
            columns.iter().map(|c| numbers(&c.join(" "))).chain([numbers(&all)]).collect();
        let texts = columns.iter().map(|c| c.concat()).chain([all]).collect();
        Self { texts, numbers }
    }

    /// How the first of these secrets that can be read is written, if one can.
    #[must_use]
    pub fn shows(&self, secrets: &BTreeSet<String>) -> Option<String> {
        let plain: Vec<String> = self.texts.iter().map(|text| plain(text)).collect();
        let lower: Vec<String> = self.texts.iter().map(|text| text.to_lowercase()).collect();
        let joined: Vec<String> = lower.iter().map(|text| text.replace(['\n', ' '], "")).collect();
        secrets.iter().find_map(|secret| {
            let how = self.reads(secret, [&lower, &joined, &plain])?;
            Some(format!("{secret:?} {how}"))
        })
    }

    fn reads(
        &self,
        secret: &str,
        [lower, joined, plain_texts]: [&[String]; 3],
    ) -> Option<&'static str> {
        let has = |texts: &[String], wanted: &str| texts.iter().any(|text| text.contains(wanted));
        let small = secret.to_lowercase();
        let bare = plain(secret);
        let codes: Vec<u32> = secret.chars().map(u32::from).collect();
        let backwards: Vec<u32> = codes.iter().rev().copied().collect();
        let hex = hex(secret);
        let reversed = reversed(&small);
        Some(match () {
            () if has(lower, &small) => "as it is",
            () if has(lower, &reversed) => "backwards",
            () if bare.len() > 5 && has(plain_texts, &bare) => "taken apart",
            () if bare.len() > 5 && has(plain_texts, &self::reversed(&bare)) => {
                "taken apart, backwards"
            }
            () if has(joined, &hex) => "in hexadecimal",
            () if has(joined, &self::hex(&self::reversed(secret))) => "in hexadecimal, backwards",
            () if self.texts.iter().any(|t| t.replace('\n', "").contains(&base64(secret))) => {
                "in base64"
            }
            () if self.numbers.iter().any(|n| has_run(n, &codes) || has_run(n, &backwards)) => {
                "as numbers of characters"
            }
            () => return None,
        })
    }
}

fn text(value: Option<Vec<u8>>) -> String {
    value.map(|v| String::from_utf8_lossy(&v).into_owned()).unwrap_or_default()
}

fn copied(line: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(line).trim_end().split(['\t', ',', ';']).map(str::to_owned).collect()
}

/// Letters and digits alone.
fn plain(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

fn reversed(text: &str) -> String {
    text.chars().rev().collect()
}

fn hex(text: &str) -> String {
    text.bytes().map(|b| format!("{b:02x}")).collect()
}

fn numbers(text: &str) -> Vec<u32> {
    text.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok()).collect()
}

fn has_run(numbers: &[u32], wanted: &[u32]) -> bool {
    wanted.len() > 3 && numbers.windows(wanted.len()).any(|run| run == wanted)
}

/// Without the last group of three bytes where that is not whole: what follows it is not known.
fn base64(text: &str) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for group in text.as_bytes().chunks_exact(3) {
        let bits = group.iter().fold(0u32, |bits, b| bits << 8 | u32::from(*b));
        for shift in [18, 12, 6, 0] {
            out.push(char::from(LETTERS[(bits >> shift & 63) as usize]));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(values: &[&str]) -> Message {
        let mut body = (values.len() as u16).to_be_bytes().to_vec();
        for value in values {
            body.extend_from_slice(&(value.len() as u32).to_be_bytes());
            body.extend_from_slice(value.as_bytes());
        }
        Message { tag: b'D', body }
    }

    #[test]
    fn a_secret_is_found_however_it_is_written() {
        let secrets = BTreeSet::from(["ana8@example.com".to_owned()]);
        let shows = |rows: &[&[&str]]| {
            let messages: Vec<Message> = rows.iter().map(|r| row(r)).collect();
            Received::new(&messages).shows(&secrets)
        };
        for rows in [
            &[&["1", "ana8@example.com"][..]][..],
            &[&["ANA8@EXAMPLE.COM"]],
            &[&["x moc.elpmaxe@8ana x"]],
            &[&["ana8 at example.com".split(" at ").next().unwrap(), "@example.com"]],
            &[&["1", "ana8@"], &["2", "example.com"]],
            &[&["YW5hOEBleGFtcGxlLmNvbQ=="]],
            &[&["\\x616e6138406578616d706c652e636f6d"]],
            &[&["97 110 97 56 64 101 120 97 109 112 108 101 46 99 111 109"]],
            &[&["a"], &["n"], &["a"], &["8"], &["@example"], &[".com"]],
        ] {
            assert!(shows(rows).is_some(), "{rows:?}");
        }
        for rows in [&[&["[masked]"][..]][..], &[&["ana", "example.com"]], &[]] {
            assert_eq!(shows(rows), None);
        }
    }
}
