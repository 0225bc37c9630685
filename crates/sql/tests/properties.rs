//! What holds for statements whatever they are: of every case, ways to write it that mean the same,
//! statements around it that run it, and other numbers in it.

#[cfg(test)]
mod common;

use common::cases::CASES;
use common::{facts, shop, with_stack};
use pg_query::protobuf::{KeywordKind, Token};
use portcullis_core::effect::{Certainty, Effect, Object, ObjectKind, Verb};
use portcullis_sql::catalog::Catalog;
use portcullis_sql::statement::{Analysis, NameChange, Statement};
use portcullis_sql::{Known, Limits, analyse};

/// Numbers from a seed (SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ z >> 31) % limit as u64) as usize
    }

    fn pick<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len())]
    }
}

/// A token, and whether it is a word that the server folds.
struct Piece<'a> {
    text: &'a str,
    kind: Token,
    word: bool,
}

/// The tokens of a statement without its comments; `None` where the lexer takes two for one thing.
fn pieces(sql: &str) -> Option<Vec<Piece<'_>>> {
    let scanned = pg_query::scan(sql).ok()?;
    let mut all: Vec<Piece<'_>> = Vec::new();
    for token in &scanned.tokens {
        let text = sql.get(token.start as usize..token.end as usize)?;
        let kind = token.token();
        if matches!(kind, Token::SqlComment | Token::CComment) {
            continue;
        }
        // `'a'` and `'b'` on two lines are one string, and `n'a'` is a keyword and a string.
        let before = all.last().map(|p| p.kind);
        if kind == Token::Sconst && matches!(before, Some(Token::Sconst | Token::Nchar)) {
            return None;
        }
        let plain = text.is_ascii() && !text.starts_with(['"', 'u', 'U']);
        let word =
            plain && (kind == Token::Ident || token.keyword_kind() != KeywordKind::NoKeyword);
        all.push(Piece { text, kind, word });
    }
    Some(all)
}

/// The same tokens in other letters, with other things between them.
fn rewritten(pieces: &[Piece<'_>], random: &mut Random) -> String {
    const BETWEEN: &[&str] = &[
        " ",
        "\n",
        "\t ",
        " /* a 'comment */ ",
        "/**/",
        " -- to the end\n",
        "/* /* in */ out */",
        "\r\n",
    ];
    let mut out = String::new();
    for piece in pieces {
        out.push_str(random.pick(BETWEEN));
        match (piece.word, random.below(3)) {
            (true, 0) => out.push_str(&piece.text.to_ascii_uppercase()),
            (true, 1) => out.push_str(&piece.text.to_ascii_lowercase()),
            _ => out.push_str(piece.text),
        }
    }
    out + random.pick(&["", " ", ";", " ; -- end", "\n/* end */"])
}

fn readable() -> impl Iterator<Item = (&'static str, &'static str)> {
    CASES.iter().copied().filter(|(_, facts)| !facts.starts_with("ERROR"))
}

#[test]
fn white_space_comments_and_letter_case_mean_nothing() {
    let catalog = shop();
    let mut random = Random(1);
    let mut compared = 0;
    for (sql, expected) in readable() {
        let Some(pieces) = pieces(sql) else { continue };
        for _ in 0..3 {
            let variant = rewritten(&pieces, &mut random);
            assert_eq!(facts(&variant, &catalog), expected, "{sql}\nwritten as\n{variant}");
            compared += 1;
        }
    }
    assert!(compared > 1_000, "{compared}");
}

fn analysis(sql: &str, catalog: &Catalog) -> Option<Analysis> {
    with_stack(|| analyse(sql, catalog, &Limits::default())).ok()
}

/// True where an effect is among others, or may be: what could not be read may be anything.
fn covered(inner: &Effect, outer: &[Effect]) -> bool {
    let session = Object::new(ObjectKind::Session, []);
    // It stands for nothing at all.
    if inner.verb == Verb::Control && inner.object == session {
        return true;
    }
    outer.iter().any(|e| {
        e.certainty == Certainty::Unreadable
            || e.verb == inner.verb && e.object == inner.object && e.extent >= inner.extent
    })
}

/// The effects of a text, those behind names that it gives included.
fn all_effects(analysis: &Analysis) -> Vec<Effect> {
    fn of(statement: &Statement, into: &mut Vec<Effect>) {
        into.extend(statement.effects.iter().cloned());
        if let NameChange::Prepare { inner, .. } | NameChange::Declare { inner, .. } =
            &statement.names
        {
            of(inner, into);
        }
    }
    let mut all = Vec::new();
    analysis.statements.iter().for_each(|s| of(s, &mut all));
    all
}

/// Statements that run another, or make a name for it.
const AROUND: &[&str] = &[
    "EXPLAIN ANALYZE {}",
    "EXPLAIN (ANALYZE on, FORMAT json) {}",
    "PREPARE around AS {}",
    "DECLARE around CURSOR FOR {}",
    "WITH around AS ({}) SELECT 1",
    "WITH around AS MATERIALIZED ({}) SELECT * FROM around",
    "SELECT * FROM ({}) around",
    "SELECT 1 WHERE EXISTS ({})",
    "SELECT (SELECT count(*) FROM ({}) around)",
    "SELECT 1 UNION ALL SELECT 2 FROM ({}) around",
    "SELECT ARRAY({})",
    "COPY ({}) TO STDOUT",
    "CREATE TABLE around AS {}",
    "CREATE MATERIALIZED VIEW around AS {}",
    "SELECT 1; {}",
    "{}; SELECT 1",
    "VALUES (1, EXISTS ({}))",
    "SELECT CASE WHEN false THEN (SELECT 1 FROM ({}) around) END",
    "SELECT 1 FROM orders JOIN LATERAL ({}) around ON true",
    "EXPLAIN ANALYZE WITH around AS ({}) SELECT 1",
];

#[test]
fn what_runs_a_statement_has_its_effects() {
    let catalog = shop();
    let mut compared = 0;
    for (sql, _) in readable() {
        let Some(inner) = analysis(sql, &catalog) else { continue };
        let [one] = inner.statements.as_slice() else { continue };
        // What changes the names or the transaction of the session does that by itself alone.
        if !matches!(&*one.kind, "select" | "insert" | "update" | "delete" | "merge") {
            continue;
        }
        let inside = sql.trim_end().trim_end_matches(';');
        for around in AROUND {
            let text = around.replace("{}", &format!("{inside}\n"));
            let Some(outer) = analysis(&text, &catalog) else { continue };
            let effects = all_effects(&outer);
            for effect in all_effects(&inner) {
                assert!(
                    covered(&effect, &effects),
                    "{effect:?}\nof {sql}\nis not among those of {text}: {effects:?}"
                );
            }
            compared += 1;
        }
    }
    assert!(compared > 2_000, "{compared}");
}

/// The text with a schema before every name of a table that has none, behind `FROM` and the like.
fn qualified(sql: &str, catalog: &Catalog) -> Option<String> {
    let all = pieces(sql)?;
    // A name may be one of a `WITH` query.
    if all.iter().any(|p| p.text.eq_ignore_ascii_case("with")) {
        return None;
    }
    let mut out = String::new();
    let mut changed = false;
    for (n, piece) in all.iter().enumerate() {
        let before = n.checked_sub(1).and_then(|b| all.get(b)).map_or("", |p| p.text);
        let after = all.get(n + 1).map_or("", |p| p.text);
        let place =
            ["from", "join", "update", "into"].iter().any(|w| before.eq_ignore_ascii_case(w));
        let name = piece.text.to_ascii_lowercase();
        let known = catalog.relations_named(Some("public"), &name);
        out.push(' ');
        if piece.word && place && after != "." && after != "(" && !known.is_empty() {
            out.push_str("public.");
            changed = true;
        }
        out.push_str(piece.text);
    }
    changed.then_some(out)
}

#[test]
fn a_qualified_name_is_one_of_those_it_may_stand_for() {
    let catalog = shop();
    let mut compared = 0;
    for (sql, _) in readable() {
        let Some(text) = qualified(sql, &catalog) else { continue };
        let (Some(bare), Some(full)) = (analysis(sql, &catalog), analysis(&text, &catalog)) else {
            continue;
        };
        let (bare, full) = (all_effects(&bare), all_effects(&full));
        for effect in &full {
            assert!(
                covered(effect, &bare),
                "{effect:?}\nof {text}\nis not among those of {sql}: {bare:?}"
            );
        }
        compared += 1;
    }
    assert!(compared > 100, "{compared}");
}

/// The text with other numbers.
fn renumbered(pieces: &[Piece<'_>], random: &mut Random) -> String {
    let mut out = String::new();
    for piece in pieces {
        out.push(' ');
        if piece.kind == Token::Iconst {
            out.push_str(random.pick(&[
                "0",
                "1",
                "2",
                "3",
                "7",
                "42",
                "65535",
                "999999999",
                "2147483648",
                "1.5",
            ]));
        } else {
            out.push_str(piece.text);
        }
    }
    out
}

/// Queries in which some numbers stand for columns.
const PLACES: &[&str] = &[
    "SELECT id, email FROM customers ORDER BY 2",
    "SELECT id, email, count(*) FROM customers WHERE id > 1 GROUP BY 1, 2",
    "SELECT DISTINCT ON (1) id, email FROM customers LIMIT 1",
    "SELECT id, email FROM customers UNION SELECT 1, name FROM customers ORDER BY 1",
    "SELECT (SELECT email FROM customers ORDER BY 1 LIMIT 2), id + 3 FROM customers ORDER BY 2, 1 DESC",
    "SELECT max(email) OVER (ORDER BY 1), id FROM customers WHERE id IN (1, 2) ORDER BY id, 1",
    "SELECT id, email FROM (SELECT id, email FROM customers ORDER BY 1) s GROUP BY ROLLUP (1, 2)",
];

#[test]
fn what_is_remembered_is_what_would_be_found_out() {
    let catalog = shop();
    let mut random = Random(2);
    let mut known = Known::default();
    let limits = Limits::default();
    let mut remembered = 0;
    for sql in readable().map(|(sql, _)| sql).chain(PLACES.iter().copied()) {
        let Some(pieces) = pieces(sql) else { continue };
        if !pieces.iter().any(|p| p.kind == Token::Iconst) {
            continue;
        }
        let mut first = None;
        for _ in 0..12 {
            let text = renumbered(&pieces, &mut random);
            let told = with_stack(|| known.analyse(&text, &catalog, &limits)).ok();
            assert_eq!(told.as_deref(), analysis(&text, &catalog).as_ref(), "{text}");
            let Some(told) = told else { continue };
            // The very same, not only an equal one: it was remembered.
            remembered +=
                usize::from(first.as_ref().is_some_and(|f| std::sync::Arc::ptr_eq(f, &told)));
            first.get_or_insert(told);
        }
    }
    assert!(remembered > 100, "{remembered}");
}

/// Words that make statements, put together without sense.
#[test]
fn no_text_ends_the_process() {
    let catalog = shop();
    let mut random = Random(3);
    let words: Vec<&str> = CASES.iter().flat_map(|(sql, _)| sql.split(' ')).collect();
    let mut read = 0;
    for _ in 0..4_000 {
        let (sql, _) = CASES[random.below(CASES.len())];
        let mut parts: Vec<&str> = sql.split(' ').collect();
        for _ in 0..=random.below(3) {
            let at = random.below(parts.len());
            match random.below(3) {
                0 => parts[at] = words[random.below(words.len())],
                1 => parts.insert(at, words[random.below(words.len())]),
                _ if parts.len() > 1 => drop(parts.remove(at)),
                _ => {}
            }
        }
        let text = parts.join(" ");
        if let Some(analysis) = analysis(&text, &catalog) {
            let bare = analysis.statements.iter().find(|s| s.effects.is_empty());
            assert!(bare.is_none(), "a statement without effects: {text}");
            read += 1;
        }
    }
    assert!(read > 400, "{read}");
}
