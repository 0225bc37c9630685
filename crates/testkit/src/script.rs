//! Wire scripts: what to send, message by message, and where to read on. Running one gives a
//! transcript; the same script against the server and through the gateway must give the same one.
//!
//! ```text
//! # a comment
//! Query "SELECT 1"
//! until Z
//! Parse "s" "SELECT $1::int" 23
//! Bind "" "s" "7" NULL
//! Describe P ""
//! Execute "" 0
//! Sync
//! until Z
//! CopyData "x\n"*1000   # the same text a thousand times
//! FunctionCall 1299 "an argument"
//! ```

use crate::raw::{Message, RawClient, message};
use anyhow::{Context as _, bail};

/// Runs a script and gives its transcript: one line per message of the server.
pub fn run(client: &mut RawClient, script: &str) -> anyhow::Result<String> {
    let (messages, ended) = messages(client, script)?;
    let mut transcript: String = messages.iter().map(|m| m.shown() + "\n").collect();
    transcript.extend(ended.map(|why| format!("({why})\n")));
    Ok(transcript)
}

/// Runs a script and gives what came back, and why it ended early where it did.
///
/// Reading on ends at ReadyForQuery at the latest. Where a copy-in was asked for and did not begin,
/// its data is left out, as a client would leave it out.
pub fn messages(
    client: &mut RawClient,
    script: &str,
) -> anyhow::Result<(Vec<Message>, Option<String>)> {
    let mut seen = Vec::new();
    let mut batch = Vec::new();
    let mut no_copy = false;
    for (n, line) in script.lines().enumerate() {
        let words = words(line).with_context(|| format!("line {}", n + 1))?;
        let Some((verb, arguments)) = words.split_first() else { continue };
        if let Word::Bare(verb) = verb
            && verb == "until"
        {
            let nothing_asked = batch.is_empty() && no_copy;
            no_copy = false;
            if nothing_asked {
                continue;
            }
            client.send(&batch)?;
            batch.clear();
            let tag = arguments.first().map_or(b'Z', |w| w.text().as_bytes()[0]);
            loop {
                let message = match client.receive() {
                    Ok(Some(message)) => message,
                    Ok(None) => return Ok((seen, Some("closed".to_owned()))),
                    Err(error) => {
                        return Ok((seen, Some(format!("{}, line {}", ended(&error), n + 1))));
                    }
                };
                let found = message.tag;
                seen.push(message);
                if found == tag || found == b'Z' {
                    no_copy = tag == b'G' && found == b'Z';
                    break;
                }
            }
            continue;
        }
        if no_copy && verb.text().starts_with("Copy") {
            continue;
        }
        let bytes = encode(verb.text(), arguments).with_context(|| format!("line {}", n + 1))?;
        batch.extend_from_slice(&bytes);
    }
    client.send(&batch)?;
    Ok((seen, None))
}

/// A text that the server reads, and the types of its parameters.
pub type Text = (String, Vec<u32>);

/// The texts that a script has the server read, in order, with the types of their parameters.
/// `None` where it calls functions by their numbers, which has no text.
pub fn texts(script: &str) -> anyhow::Result<Option<Vec<Text>>> {
    let mut texts = Vec::new();
    for line in script.lines() {
        let words = words(line)?;
        let place = match words.first().map(Word::text) {
            Some("Query") => 1,
            Some("Parse") => 2,
            Some("FunctionCall") => return Ok(None),
            _ => continue,
        };
        let text = words.get(place).map(Word::text).context("too few arguments")?;
        let types = words.get(place + 1..).unwrap_or_default().iter();
        let types = types.map(|word| word.text().parse()).collect::<Result<_, _>>()?;
        texts.push((text.to_owned(), types));
    }
    Ok(Some(texts))
}

/// Why nothing more was read, in words that are the same on every system.
fn ended(error: &anyhow::Error) -> &'static str {
    use std::io::ErrorKind::{TimedOut, WouldBlock};
    match error.downcast_ref::<std::io::Error>().map(std::io::Error::kind) {
        Some(WouldBlock | TimedOut) => "nothing came",
        _ => "broken off",
    }
}

#[derive(Debug)]
enum Word {
    Bare(String),
    Quoted(String),
}

impl Word {
    fn text(&self) -> &str {
        match self {
            Self::Bare(text) | Self::Quoted(text) => text,
        }
    }
}

fn words(line: &str) -> anyhow::Result<Vec<Word>> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while !rest.is_empty() && !rest.starts_with('#') {
        if let Some(quoted) = rest.strip_prefix('"') {
            let mut text = String::new();
            let mut chars = quoted.char_indices();
            let end = loop {
                match chars.next().context("an open quote")? {
                    (i, '"') => break i,
                    (_, '\\') => match chars.next().context("an open escape")?.1 {
                        'n' => text.push('\n'),
                        't' => text.push('\t'),
                        other => text.push(other),
                    },
                    (_, c) => text.push(c),
                }
            };
            rest = &quoted[end + 1..];
            if let Some(times) = rest.strip_prefix('*') {
                let end = times.find(char::is_whitespace).unwrap_or(times.len());
                text = text.repeat(times[..end].parse().context("no number after `*`")?);
                rest = &times[end..];
            }
            words.push(Word::Quoted(text));
            rest = rest.trim_start();
        } else {
            let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
            words.push(Word::Bare(rest[..end].to_owned()));
            rest = rest[end..].trim_start();
        }
    }
    Ok(words)
}

fn encode(verb: &str, arguments: &[Word]) -> anyhow::Result<Vec<u8>> {
    let text = |n: usize| arguments.get(n).map(Word::text).context("too few arguments");
    let string = |n: usize| Ok::<_, anyhow::Error>([text(n)?.as_bytes(), b"\0"].concat());
    Ok(match verb {
        "Query" => message(b'Q', &string(0)?),
        "Parse" => {
            let types: Vec<u32> =
                arguments.iter().skip(2).map(|w| w.text().parse()).collect::<Result<_, _>>()?;
            let mut body = [string(0)?, string(1)?].concat();
            body.extend_from_slice(&(types.len() as u16).to_be_bytes());
            types.iter().for_each(|t| body.extend_from_slice(&t.to_be_bytes()));
            message(b'P', &body)
        }
        "Bind" | "BindBinary" => {
            let mut body = [string(0)?, string(1)?].concat();
            body.extend_from_slice(&0u16.to_be_bytes());
            let values = arguments.get(2..).unwrap_or_default();
            body.extend_from_slice(&(values.len() as u16).to_be_bytes());
            for value in values {
                match value {
                    Word::Bare(null) if null == "NULL" => {
                        body.extend_from_slice(&(-1i32).to_be_bytes());
                    }
                    value => {
                        body.extend_from_slice(&(value.text().len() as u32).to_be_bytes());
                        body.extend_from_slice(value.text().as_bytes());
                    }
                }
            }
            let formats: &[u8] = if verb == "Bind" { &[0, 0] } else { &[0, 1, 0, 1] };
            body.extend_from_slice(formats);
            message(b'B', &body)
        }
        "Describe" | "Close" => {
            let tag = if verb == "Describe" { b'D' } else { b'C' };
            message(tag, &[text(0)?.as_bytes(), &string(1)?].concat())
        }
        "Execute" => {
            let limit: u32 = text(1)?.parse()?;
            message(b'E', &[&string(0)?[..], &limit.to_be_bytes()].concat())
        }
        "Sync" => message(b'S', b""),
        "Flush" => message(b'H', b""),
        "CopyData" => message(b'd', text(0)?.as_bytes()),
        "CopyDone" => message(b'c', b""),
        "CopyFail" => message(b'f', &string(0)?),
        "FunctionCall" if arguments.is_empty() => message(b'F', &[0; 10]),
        "FunctionCall" => {
            let function: u32 = text(0)?.parse()?;
            let values = arguments.get(1..).unwrap_or_default();
            let mut body = [&function.to_be_bytes()[..], &[0, 0]].concat();
            body.extend_from_slice(&(values.len() as u16).to_be_bytes());
            for value in values {
                body.extend_from_slice(&(value.text().len() as u32).to_be_bytes());
                body.extend_from_slice(value.text().as_bytes());
            }
            body.extend_from_slice(&[0, 0]);
            message(b'F', &body)
        }
        "Terminate" => message(b'X', b""),
        other => bail!("no such message: {other}"),
    })
}
