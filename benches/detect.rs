//! How fast detectors look at values: `./dev bench detect`. Figures are printed and never compared:
//! they depend on the machine and on the profile.

use portcullis_mask::Detectors;
use std::hint::black_box;
use std::time::Instant;

const WORDS: [&str; 5] = ["amber", "lantern", "river", "quiet", "stone"];
const COUNT: usize = 30_000;
const ROUNDS: usize = 5;

fn word(i: usize) -> &'static str {
    WORDS.get(i % WORDS.len()).copied().unwrap_or_default()
}

/// Digits that do not repeat.
fn mixed(i: usize) -> u64 {
    let mut z = (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z ^ z >> 27
}

fn values(make: impl Fn(usize) -> String) -> Vec<String> {
    (0..COUNT).map(make).collect()
}

fn digits(i: usize) -> String {
    let (a, b) = (mixed(i), mixed(i + COUNT));
    format!(
        "{},{:012},{:011},2024-05-{:02},{}.{:02}",
        i,
        a % 1_000_000_000_000,
        b % 100_000_000_000,
        i % 28 + 1,
        a % 9999,
        b % 100
    )
}

fn log(i: usize) -> String {
    format!(
        r#"{{"level":"info","ts":"2024-05-01T12:00:{:02}Z","msg":"served","path":"/v1/orders/{i}","trace":"{:016x}{:016x}","token_type":"bearer","took_ms":{}}}"#,
        i % 60,
        mixed(i),
        mixed(i + 1),
        i % 900
    )
}

fn sets() -> Vec<(&'static str, Vec<String>)> {
    let sentence = "The Quick brown fox of the year jumps over a lazy dog, and then some more. ";
    vec![
        ("short words", values(|i| format!("{} {}", word(i), word(i * 7 + 1)))),
        ("lower-case prose, 120 bytes", values(|i| format!("{} ", word(i)).repeat(20))),
        ("prose, 4 KiB", values(|i| sentence.repeat(if i % 10 == 0 { 54 } else { 0 }))),
        ("timestamps", values(|i| format!("2024-05-{:02} 12:{:02}:01.123456", i % 28 + 1, i % 60))),
        ("uuids", values(|i| format!("550e8400-e29b-41d4-a716-{i:012}"))),
        ("rows of digits", values(digits)),
        ("base64, 4 KiB", values(|i| if i % 10 == 0 { base64(i, 4096) } else { String::new() })),
        (
            "json, nothing in it",
            values(|i| {
                format!(r#"{{"id":{i},"at":"2024-05-01T12:00:01Z","sku":"AB-{i:06}","qty":3}}"#)
            }),
        ),
        ("json log lines", values(log)),
        ("addresses (all hits)", values(|i| format!("{}.{i}@example.com", word(i)))),
        (
            "rows, 1 hit in 10",
            values(|i| {
                let tail = if i % 10 == 0 { "jane@example.com" } else { "none" };
                format!("{i},{} {},2024-05-01,19.99,{tail}", word(i), word(i + 2))
            }),
        ),
        (
            "secrets by a word (all hits)",
            values(|i| format!("password=Aa1!{:012x} host=db", mixed(i) >> 16)),
        ),
    ]
}

fn base64(seed: usize, length: usize) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let letter = |i: usize| LETTERS.get((mixed(seed * length + i) >> 20 & 63) as usize);
    (0..length).filter_map(|i| letter(i).copied().map(char::from)).collect()
}

fn main() {
    for (name, detectors) in [("default", Detectors::standard()), ("all", Detectors::all())] {
        println!("detectors: {name}");
        for (name, values) in sets() {
            measure(name, &detectors, &values);
        }
    }
}

fn measure(name: &str, detectors: &Detectors, values: &[String]) {
    let values: Vec<_> = values.iter().filter(|value| !value.is_empty()).collect();
    let bytes: usize = values.iter().map(|value| value.len()).sum();
    let mut out = Vec::with_capacity(1 << 12);
    let (mut hits, begin) = (0usize, Instant::now());
    for _ in 0..ROUNDS {
        for value in &values {
            out.clear();
            hits += usize::from(detectors.redact(black_box(value.as_bytes()), &mut out));
        }
    }
    let seconds = begin.elapsed().as_secs_f64();
    let count = (values.len() * ROUNDS) as f64;
    println!(
        "  {name:29} {:8.1} MB/s {:8.0} ns/value {:5.1} % replaced",
        (bytes * ROUNDS) as f64 / seconds / 1e6,
        seconds * 1e9 / count,
        hits as f64 * 100.0 / count
    );
}
