use super::*;

const RECORD: u32 = oid::RECORD;
const TEXT_ARRAY: u32 = 1009;
const JSONB_ARRAY: u32 = 3807;
const BYTEA_ARRAY: u32 = 1001;
const CITEXT: u32 = 16_500;

fn scanned(type_id: u32, format: Format, value: &[u8]) -> (Redacted, Vec<u8>) {
    let mut out = b"kept".to_vec();
    let done = scan(&Detectors::all(), (type_id, format), value, &mut out);
    assert!(out.starts_with(b"kept"));
    let out = out.split_off(4);
    assert!(done == Redacted::Replaced || out.is_empty(), "{done:?} wrote {out:?}");
    (done, out)
}

fn check(type_id: u32, format: Format, value: &[u8], expect: &[u8]) {
    let (done, out) = scanned(type_id, format, value);
    let (out, value) = (String::from_utf8_lossy(&out), String::from_utf8_lossy(value));
    assert_eq!((done, &*out), (Redacted::Replaced, &*String::from_utf8_lossy(expect)), "{value}");
}

fn check_text(type_id: u32, value: &str, expect: &str) {
    check(type_id, Format::Text, value.as_bytes(), expect.as_bytes());
}

fn check_is(type_id: u32, format: Format, value: &[u8], expect: Redacted) {
    assert_eq!(scanned(type_id, format, value).0, expect, "{}", String::from_utf8_lossy(value));
}

#[test]
fn numbers_are_no_cards_and_text_is() {
    for type_id in [20, 23, 1700, 701, 16, 1184, 1016, 2950, 869] {
        assert!(!is_scannable(type_id));
        check_is(type_id, Format::Text, b"4242424242424242", Redacted::Unchanged);
    }
    for type_id in [0, oid::TEXT, oid::VARCHAR, oid::BPCHAR, oid::NAME, CITEXT] {
        assert!(is_scannable(type_id));
        for format in [Format::Text, Format::Binary] {
            check(type_id, format, b"pan 4242424242424242", b"pan [masked:card]");
            check_is(type_id, format, b"4242424242424243", Redacted::Unchanged);
        }
    }
    // tsvector: text in text, and lexemes with positions between in binary.
    check_text(3614, "'jane@example.com':1", "'[masked:email]':1");
    let lexeme = b"\0\0\0\x01jane@example.com\0\0\x01\0\x01";
    check_is(3614, Format::Binary, lexeme, Redacted::Removed);
}

#[test]
fn json_stays_json() {
    for type_id in [oid::JSON, oid::JSONB, oid::TEXT] {
        check_text(
            type_id,
            r#"{"e": "jane@example.com", "n": 4242424242424242, "m": -4242424242424242}"#,
            r#"{"e": "[masked:email]", "n": "[masked:card]", "m": "[masked:card]"}"#,
        );
        check_text(type_id, r#"["a\"b 123-45-6789"]"#, r#"["a\"b [masked:us-ssn]"]"#);
        check_text(type_id, r#"["jane\u0040example.com"]"#, r#"["[masked:email]"]"#);
        check_text(type_id, r#"{"jane@example.com": 1}"#, r#"{"[masked:email]": 1}"#);
    }
    check_text(oid::JSON, "4242424242424242", r#""[masked:card]""#);
    // A key without an end would take the rest of the document with it.
    let key =
        format!(r#"{{"k": "-----BEGIN PRIVATE KEY-----\n{}", "b": 1}}"#, "MIIabc12".repeat(6));
    check_text(oid::JSON, &key, r#""[masked:private-key]""#);
    check(oid::JSONB, Format::Binary, b"\x01[\"jane@example.com\"]", b"\x01[\"[masked:email]\"]");
    check_is(oid::JSONB, Format::Binary, b"\x01[\"jane\"]", Redacted::Unchanged);
    check_is(oid::JSONB, Format::Binary, b"\x02jane@example.com", Redacted::Removed);
    check_text(oid::TEXT, "pay 4242424242424242", "pay [masked:card]");
    check_text(oid::XML, "<e>jane@example.com</e>", "<e>[masked:email]</e>");
}

#[test]
fn bytea_is_looked_into_and_replaced_whole() {
    check_text(oid::BYTEA, r"\x6a616e65406578616d706c652e636f6d", r"\x5b6d61736b65645d");
    check_text(oid::BYTEA, r"jane@example.com\000", r"\x5b6d61736b65645d");
    check_text(oid::BYTEA, r"jane\100example.com", r"\x5b6d61736b65645d");
    check(oid::BYTEA, Format::Binary, b"\xff\0jane@example.com\0", b"[masked]");
    check_is(oid::BYTEA, Format::Text, br"\x00112233", Redacted::Unchanged);
    // Digits of the encoding are not digits of the value.
    check_is(oid::BYTEA, Format::Text, br"\x4242424242424242", Redacted::Unchanged);
    // In bytes that are no text, a short one is chance.
    check_is(oid::BYTEA, Format::Binary, b"\xff\0a@b.co\0\x80", Redacted::Unchanged);
    check(oid::BYTEA, Format::Binary, b"a@b.co", b"[masked]");
}

#[test]
fn arrays_and_rows_in_text_keep_their_shape() {
    check_text(TEXT_ARRAY, r#"{a@b.co,"x y",NULL}"#, r#"{[masked:email],"x y",NULL}"#);
    check_text(TEXT_ARRAY, r#"{{"a@b.co"},{b@c.de}}"#, r#"{{"[masked:email]"},{[masked:email]}}"#);
    check_text(
        RECORD,
        r#"(1,a@b.co,"x ""4242424242424242""")"#,
        r#"(1,[masked:email],"x ""[masked:card]""")"#,
    );
    check_text(CITEXT, r#""k"=>"a@b.co", "l"=>NULL"#, r#""k"=>"[masked:email]", "l"=>NULL"#);
    check_is(TEXT_ARRAY, Format::Text, b"{1,2,abc}", Redacted::Unchanged);
    let hex = br#"{"\\x6a616e65406578616d706c652e636f6d"}"#;
    for type_id in [BYTEA_ARRAY, RECORD, CITEXT] {
        check_is(type_id, Format::Text, hex, Redacted::Removed);
    }
    check_is(JSONB_ARRAY, Format::Text, br#"{"{\"n\": 4242424242424242}"}"#, Redacted::Removed);
    let key = format!(r#"{{"-----BEGIN PRIVATE KEY-----\n{}",b}}"#, "MIIabc12".repeat(6));
    check_is(TEXT_ARRAY, Format::Text, key.as_bytes(), Redacted::Removed);
}

fn element(value: Option<&[u8]>) -> Vec<u8> {
    let Some(value) = value else { return (-1i32).to_be_bytes().into() };
    [&(value.len() as i32).to_be_bytes()[..], value].concat()
}

fn array(type_id: u32, flags: i32, values: &[Option<&[u8]>]) -> Vec<u8> {
    let head = [1, flags, type_id as i32, values.len() as i32, 1];
    let head = head.iter().flat_map(|n| n.to_be_bytes());
    head.chain(values.iter().flat_map(|v| element(*v))).collect()
}

fn record(columns: &[(u32, Option<&[u8]>)]) -> Vec<u8> {
    let head = (columns.len() as i32).to_be_bytes();
    let columns = columns.iter().flat_map(|(t, v)| [&t.to_be_bytes()[..], &element(*v)].concat());
    head.into_iter().chain(columns).collect()
}

#[test]
fn arrays_and_rows_in_binary_are_rebuilt() {
    let values = [Some(&b"x"[..]), None, Some(b"to a@b.co!"), Some(b"y")];
    let masked = [Some(&b"x"[..]), None, Some(b"to [masked:email]!"), Some(b"y")];
    for (whole, inner) in [(TEXT_ARRAY, oid::TEXT), (1015, oid::VARCHAR), (CITEXT, CITEXT + 1)] {
        check(whole, Format::Binary, &array(inner, 1, &values), &array(inner, 1, &masked));
        let plain = array(inner, 0, &[Some(b"x"), Some(b"0123456789")]);
        check_is(whole, Format::Binary, &plain, Redacted::Unchanged);
    }
    let row = [(20, Some(&b"\0\0\0\0\0\0\0\x2a"[..])), (25, Some(b"a@b.co")), (1043, None)];
    let masked = [row[0], (25, Some(&b"[masked:email]"[..])), row[2]];
    for type_id in [RECORD, CITEXT] {
        check(type_id, Format::Binary, &record(&row), &record(&masked));
    }
    // A row in an array in a row.
    let deep = record(&[(2287, Some(&array(RECORD, 0, &[Some(&record(&row))])))]);
    let mask = record(&[(2287, Some(&array(RECORD, 0, &[Some(&record(&masked))])))]);
    check(RECORD, Format::Binary, &deep, &mask);
    // hstore: two pairs, one without a value.
    let pairs = |v: &[u8]| {
        let pairs = [element(Some(b"k")), element(Some(v)), element(Some(b"l")), element(None)];
        [&2i32.to_be_bytes()[..], &pairs.concat()].concat()
    };
    check(CITEXT, Format::Binary, &pairs(b"a@b.co"), &pairs(b"[masked:email]"));
}

#[test]
fn an_element_that_cannot_be_masked_becomes_null() {
    // A jsonb of an unknown version, and a tsvector.
    let bad = array(oid::JSONB, 0, &[Some(b"\x01{}"), Some(b"\x02 a.name@b.example")]);
    check(JSONB_ARRAY, Format::Binary, &bad, &array(oid::JSONB, 1, &[Some(b"\x01{}"), None]));
}

#[test]
fn what_claims_to_be_an_array_and_is_none_becomes_null() {
    let whole = array(oid::TEXT, 0, &[Some(b"a@b.co"), Some(b"x")]);
    for broken in [&whole[..whole.len() - 1], &[&whole[..], b"x"].concat(), b"a@b.co"] {
        check_is(TEXT_ARRAY, Format::Binary, broken, Redacted::Removed);
        check_is(RECORD, Format::Binary, broken, Redacted::Removed);
    }
    let huge = [1i32, 0, 25, i32::MAX, 1].iter().flat_map(|n| n.to_be_bytes());
    check_is(
        TEXT_ARRAY,
        Format::Binary,
        &huge.chain(*b"a@b.co").collect::<Vec<_>>(),
        Redacted::Removed,
    );
    let negative = [-5i32, 0, 25].iter().flat_map(|n| n.to_be_bytes());
    check_is(
        TEXT_ARRAY,
        Format::Binary,
        &negative.chain(*b"a@b.co").collect::<Vec<_>>(),
        Redacted::Removed,
    );
    // Deeper than is looked into.
    let mut deep = record(&[(oid::TEXT, Some(b"a@b.co"))]);
    for _ in 0..MAX_DEPTH {
        deep = record(&[(RECORD, Some(&deep))]);
    }
    let (done, out) = scanned(RECORD, Format::Binary, &deep);
    assert!(done == Redacted::Replaced && !String::from_utf8_lossy(&out).contains('@'));
}

#[test]
fn binary_of_an_unknown_type_is_never_cut_into() {
    check_is(CITEXT, Format::Binary, b"\x01\0\xffjane@example.com\0", Redacted::Removed);
    check_is(CITEXT, Format::Binary, b"\x01\0\xff\x80\x99", Redacted::Unchanged);
}

proptest::proptest! {
    /// Whatever bytes come: no panic, and what is written has no hit in it as a value of its type.
    #[test]
    fn any_bytes_are_taken(
        type_id in proptest::sample::select(vec![
            0, 17, 25, 114, 142, 1009, 1001, 199, 2249, 2287, 3802, 3807, 3614, 16_500,
        ]),
        binary: bool,
        head in proptest::collection::vec(0u8..4, 0..24),
        tail in r#"[ -~]{0,20}(jane@example\.com|4242424242424242|123-45-6789|\\x6a40)?[ -~]{0,20}"#,
    ) {
        let format = if binary { Format::Binary } else { Format::Text };
        let value = [&head[..], tail.as_bytes()].concat();
        let (done, out) = scanned(type_id, format, &value);
        if done == Redacted::Replaced {
            proptest::prop_assert_eq!(scanned(type_id, format, &out).0, Redacted::Unchanged);
        }
    }

    /// JSON stays JSON, whatever is found in it.
    #[test]
    fn any_json_stays_json(
        text in r#"[ -~]{0,12}(jane@example\.com|\+12125550123|4242424242424242)?[ -~]{0,12}"#,
        number in proptest::sample::select(vec!["4242424242424242", "-4242424242424242", "42", "4111111111111111"]),
    ) {
        let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
        let value = format!(r#"{{"t": "{escaped}", "n": [{number}, {number}], "o": {{"{escaped}": null}}}}"#);
        let (done, out) = scanned(oid::JSON, Format::Text, value.as_bytes());
        if done == Redacted::Replaced {
            let quotes = |text: &[u8]| is_quoted_after(text, false);
            proptest::prop_assert!(!quotes(&out));
            let parsed: Result<serde_json::Value, _> = serde_json::from_slice(&out);
            proptest::prop_assert!(parsed.is_ok(), "{}", String::from_utf8_lossy(&out));
        }
    }
}
