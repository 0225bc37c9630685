//! How fast detectors look at values: `cargo run -p portcullis-mask --example throughput`.
//! Figures are printed and never compared: they depend on the machine and on the profile.

use portcullis_mask::Detectors;
use std::hint::black_box;
use std::time::Instant;

fn main() {
    let detectors = Detectors::all();
    const WORDS: [&str; 5] = ["amber", "lantern", "river", "quiet", "stone"];
    let word = |i: usize| WORDS.get(i % WORDS.len()).copied().unwrap_or_default();
    let sets: [(&str, Vec<String>); 7] = [
        ("short words", values(|i| format!("{} {}", word(i), word(i * 7 + 1)))),
        ("prose, 120 bytes", values(|i| format!("{} ", word(i)).repeat(20))),
        ("timestamps", values(|i| format!("2024-05-{:02} 12:{:02}:01.123456", i % 28 + 1, i % 60))),
        ("uuids", values(|i| format!("550e8400-e29b-41d4-a716-{i:012}"))),
        (
            "json, nothing in it",
            values(|i| {
                format!(r#"{{"id":{i},"at":"2024-05-01T12:00:01Z","sku":"AB-{i:06}","qty":3}}"#)
            }),
        ),
        ("addresses (all hits)", values(|i| format!("{}.{i}@example.com", word(i)))),
        (
            "rows, 1 hit in 10",
            values(|i| {
                let tail = if i % 10 == 0 { "jane@example.com" } else { "none" };
                format!("{i},{} {},2024-05-01,19.99,{tail}", word(i), word(i + 2))
            }),
        ),
    ];
    for (name, values) in sets {
        let bytes: usize = values.iter().map(String::len).sum();
        let mut out = Vec::with_capacity(1 << 12);
        let (rounds, mut hits, begin) = (5, 0usize, Instant::now());
        for _ in 0..rounds {
            for value in &values {
                out.clear();
                hits += usize::from(detectors.redact(black_box(value.as_bytes()), &mut out));
            }
        }
        let seconds = begin.elapsed().as_secs_f64();
        let count = (values.len() * rounds) as f64;
        println!(
            "{name:22} {:8.1} MB/s {:8.0} ns/value {:5.1} % replaced",
            (bytes * rounds) as f64 / seconds / 1e6,
            seconds * 1e9 / count,
            hits as f64 * 100.0 / count
        );
    }
}

fn values(make: impl Fn(usize) -> String) -> Vec<String> {
    (0..50_000).map(make).collect()
}
