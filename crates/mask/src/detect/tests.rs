use super::*;
use proptest::prelude::*;

fn found(text: &str) -> Vec<(Kind, &str)> {
    let hits = Detectors::all().scan(text.as_bytes());
    hits.into_iter().map(|hit| (hit.kind, text.get(hit.range).unwrap())).collect()
}

fn check(text: &str, expect: &[(Kind, &str)]) {
    assert_eq!(found(text), expect, "{text}");
}

fn check_redacted(text: &str, expect: &str) {
    let mut out = b"kept ".to_vec();
    assert!(Detectors::all().redact(text.as_bytes(), &mut out), "{text}");
    assert_eq!(String::from_utf8(out).unwrap(), format!("kept {expect}"));
}

#[test]
fn every_kind_alone_compiles() {
    for kind in Kind::ALL {
        let alone = Detectors::of(&[*kind]);
        assert!(alone.has(*kind) && !alone.is_empty());
        assert_eq!(Kind::from_name(kind.name()), Some(*kind));
        assert_eq!(kind.placeholder(), format!("[masked:{}]", kind.name()));
        check(kind.placeholder(), &[]);
    }
    assert!(Detectors::none().is_empty());
    assert_eq!(Detectors::none().scan(b"jane@example.com"), []);
}

#[test]
fn kinds_are_chosen_by_name() {
    let chosen = Detectors::named(["card", "jwt"]).unwrap();
    assert!(chosen.has(Kind::Card) && chosen.has(Kind::Jwt) && !chosen.has(Kind::Email));
    let text = b"jane@example.com 4242424242424242 123-45-6789 212-555-0123";
    let kinds: Vec<_> = chosen.scan(text).into_iter().map(|hit| hit.kind).collect();
    assert_eq!(kinds, [Kind::Card]);
    let error = Detectors::named(["card", "emial"]).unwrap_err();
    assert!(
        error.to_string().starts_with("there is no detector \"emial\"; there are email, phone,")
    );
}

#[test]
fn hits_come_in_order_and_do_not_overlap() {
    check(
        "4242424242424242 jane@example.com 123-45-6789",
        &[
            (Kind::Card, "4242424242424242"),
            (Kind::Email, "jane@example.com"),
            (Kind::UsSsn, "123-45-6789"),
        ],
    );
    // A number that is part of an address goes with it.
    check("4242424242424242@example.com", &[(Kind::Email, "4242424242424242@example.com")]);
    check("x-4242424242424242@example.com", &[(Kind::Email, "x-4242424242424242@example.com")]);
    // The password alone, and no address of what stands behind it.
    check("postgres://u:pass@db.example.com/x", &[(Kind::UrlPassword, "pass")]);
    check(
        "postgres://u:pass@db.example.com/x?a=jane@example.com",
        &[(Kind::UrlPassword, "pass"), (Kind::Email, "jane@example.com")],
    );
    // A secret stands behind other hits.
    let secret = concat!("wJalrXUtnF", "EMIK7MDENGbPxRfiCYzEXAMPLEKEYa");
    let text = format!("aws jane@example.com,{secret},joe@example.com");
    check(
        &text,
        &[
            (Kind::Email, "jane@example.com"),
            (Kind::AwsSecretKey, secret),
            (Kind::Email, "joe@example.com"),
        ],
    );
}

#[test]
fn the_shortest_of_a_kind_is_found() {
    check("+500 12345", &[(Kind::Phone, "+500 12345")]);
    check("a@b.co", &[(Kind::Email, "a@b.co")]);
    check("NO9386011117947", &[(Kind::Iban, "NO9386011117947")]);
    check("30569309025904", &[(Kind::Card, "30569309025904")]);
}

#[test]
fn what_fails_does_not_hide_what_stands_in_it() {
    check("12 4242424242424242", &[(Kind::Card, "4242424242424242")]);
    check("4242 4242424242424242", &[(Kind::Card, "4242424242424242")]);
    check("2024-01-02 4242 4242 4242 4242 12", &[(Kind::Card, "4242 4242 4242 4242")]);
    check("+1 012 212-555-0123", &[(Kind::Phone, "212-555-0123")]);
    check("a@b@jane@example.com", &[(Kind::Email, "jane@example.com")]);
    check("DE00 DE89370400440532013000", &[(Kind::Iban, "DE89370400440532013000")]);
    check(
        "eyJhbGciOiJ.eyJhbGciOiJIUzI1NiJ9.e30.c2ln",
        &[(Kind::Jwt, "eyJhbGciOiJIUzI1NiJ9.e30.c2ln")],
    );
    check("http://postgres://u:pw@h", &[(Kind::UrlPassword, "pw")]);
}

#[test]
fn placeholders_leave_the_rest_as_it_was() {
    check_redacted("to <jane@example.com>;", "to <[masked:email]>;");
    check_redacted(r#"{a@b.co,"4242-4242-4242-4242",x}"#, r#"{[masked:email],"[masked:card]",x}"#);
    check_redacted("postgres://u:s3cret@h/db", "postgres://u:[masked:url-password]@h/db");
    // In a list of numbers it was none; with its neighbour gone it is one.
    check_redacted("212 555 0123 4242424242424242", "[masked:phone] [masked:card]");
    // A placeholder does not make its neighbour suspicious.
    check_redacted("123-45-6789 536904399", "[masked:us-ssn] 536904399");
    let mut out = Vec::new();
    assert!(!Detectors::all().redact(b"nothing here 42", &mut out));
    assert!(out.is_empty());
}

#[test]
fn what_a_message_says_of_a_password_is_none() {
    for word in ["expired", "Required", "incorrect", "reset", "changed", "null", "true", "***"] {
        check(&format!("user=jane password={word} host=db"), &[]);
    }
    let secret = [(Kind::ConnectionPassword, "tulip")];
    check("user=jane password=tulip host=db", &secret);
    // The placeholder is no password either, and the rest stays.
    check_redacted(
        "user=jane password=tulip host=db",
        "user=jane password=[masked:connection-password] host=db",
    );
}

#[test]
fn literals_touch_digits_and_one_another() {
    check("%40123%40x.org", &[(Kind::Email, "%40123%40x.org")]);
    check("1a%40x.org", &[(Kind::Email, "1a%40x.org")]);
    check("jane\\u0040example.com", &[(Kind::Email, "jane\\u0040example.com")]);
    check("\\n4242424242424242", &[(Kind::Card, "4242424242424242")]);
    check("id 12345 4242424242424242", &[(Kind::Card, "4242424242424242")]);
    check("1 (212) 555-0123", &[(Kind::Phone, "1 (212) 555-0123")]);
    check("(212)555-0123", &[(Kind::Phone, "(212)555-0123")]);
    check("x_4242424242424242", &[]);
    check("ID number: 4810244258081", &[(Kind::ZaId, "4810244258081")]);
}

/// Texts made to be read again and again. A detector that goes back over what it has read takes
/// minutes for these instead of a moment.
#[test]
fn time_is_linear() {
    const SIZE: usize = 1 << 19;
    for pattern in [
        "@",
        "a@",
        "a%40",
        "a.b@",
        "1",
        "12 ",
        "1-",
        "4242 ",
        "+1",
        "(212) ",
        "eyJ",
        "eyJhbGciOiJ",
        "eyJhbGciOiJ-",
        "-----BEGIN PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\nMIIabcdMIIabcdMIIab\n",
        "-----END ",
        "AKIA",
        "aws",
        "secret ",
        "sk-",
        "ghp_abc",
        "://",
        "a://",
        "a://b:",
        "a://b:c@",
        "DE89",
        "DE89 ",
        "\\",
        "\\u0040a",
        "a'",
        "AKIAAAAAAAAAAAAAAAAA",
        "123-45-6789-",
        "ssn 123456789-",
        "password=",
        "password='",
        "token: \\\"",
        "secret_",
        "secret: a1B2c3D4e5F6g7H8 ",
        "user=a pwd=b ",
        "birth",
        "birth date 1980-",
        "7408122F1204159",
        "<",
        "L898902C36UTO7408122F1204159",
        ".abcdef.",
        "a.abcdef.abcdefghijklmnopqrstuvwxyza",
        "1Q~",
        "a-us1",
        ".atlasv1.",
        "12345678:AA",
        "$2b$12$",
        "$6$a",
        "1.1.1.",
        "1:",
        "::",
        "529.982.247-25",
        "hooks.slack.com/services/",
        "=pwd=aA1",
        "user=pwd=x,",
        "SharedAccessKey=",
        "monkey key=",
        "glpat-",
        "xoxb-a1",
        "bsn 111222333 ",
        "national id 44051401359x ",
        "1 12 12 12 123 ",
        "1.2.3.4.",
        "a.b@c.d+1@(212)-",
        "{{[[((",
        "AB12CD34",
        "-us1",
        "SCRAM-SHA-256$1",
        "%40\\u0040",
    ] {
        let text = pattern.repeat(SIZE / pattern.len());
        let (detectors, begin) = (Detectors::all(), std::time::Instant::now());
        let hits = detectors.scan(text.as_bytes());
        println!("{pattern:?} {:?}", begin.elapsed());
        assert!(hits.windows(2).all(|w| w[0].range.end <= w[1].range.start), "{pattern}");
    }
}

/// Pieces that detectors react to, and what stands between.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~]{0,6}",
        prop::sample::select(vec![
            "jane@example.com",
            "a@b.co",
            "\\u0040",
            "%40x.org",
            "4242424242424242",
            "4242 4242 4242 4242",
            "378282246310005",
            "DE89370400440532013000",
            "GB29 NWBK 6016 1331 9268 19",
            "123-45-6789",
            "ssn ",
            "536904399",
            "+12125550123",
            "(212) 555-0123",
            "212 555 0123",
            "+44 20 7946 0958",
            "eyJhbGciOiJIUzI1NiJ9.e30.c2ln",
            "-----BEGIN PRIVATE KEY-----",
            "-----END PRIVATE KEY-----",
            "MIIEvQIBADANBgkqhkiG9w0BAQEF",
            "AKIAIOSFODNN7EXAMPLE",
            "aws",
            "secret=",
            "wJalrXUtnFEMIK7MDENGbPxRfiCYzEXAMPLEKEYa",
            "glpat-x1y2z3x1y2z3abcdefgh",
            "postgres://u:",
            "password=",
            "host=db ",
            "token: \"",
            "Tr0ub4dor&3",
            "9f86d081884c7d659a2feaa0c55ad015",
            "bsn ",
            "111222333",
            "X1234567L",
            "529.982.247-25",
            "11010519491231002X",
            "7408122F1204159UTO<<<<<<<<<<<6",
            "L898902C36UTO7408122F1204159ZE184226B<<<<<10",
            "date of birth: ",
            "1980-05-01",
            "192.0.2.7",
            "2001:db8::1",
            "$2b$12$abcdefghijklmnopqrstuvABCDEFGHIJKLMNOPQRSTUVWXYZ01234",
            "-us12",
            "p@h",
            "://",
            "@",
            ".",
            "-",
            " ",
            "x",
            "1",
            "\n",
            "ü",
            "”",
            "[masked:us-ssn]",
        ])
        .prop_map(String::from),
    ]
}

fn assembled() -> impl Strategy<Value = String> {
    prop::collection::vec(piece(), 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn what_was_redacted_has_no_hit_in_it(text in assembled()) {
        let detectors = Detectors::all();
        let mut out = Vec::new();
        let changed = detectors.redact(text.as_bytes(), &mut out);
        prop_assert_eq!(changed, !detectors.scan(text.as_bytes()).is_empty());
        if changed {
            prop_assert_eq!(detectors.scan(&out), [], "{}", String::from_utf8_lossy(&out));
        }
    }

    #[test]
    fn hits_are_in_order_and_inside(text in assembled()) {
        let hits = Detectors::all().scan(text.as_bytes());
        prop_assert!(hits.iter().all(|hit| hit.range.start < hit.range.end && text.get(hit.range.clone()).is_some()));
        prop_assert!(hits.windows(2).all(|w| w[0].range.end <= w[1].range.start));
    }

    /// The test over the bytes never turns away a text in which something is found.
    #[test]
    fn the_prefilter_lets_every_hit_through(text in assembled()) {
        let detectors = Detectors::all();
        let anchors = detectors.anchors.as_ref().unwrap();
        let ask = Ask { kinds: detectors.kinds, told: Told::Nothing };
        let hits = Scan::new(ask, text.as_bytes()).run(anchors);
        prop_assert_eq!(&hits, &detectors.scan(text.as_bytes()));
    }

    #[test]
    fn any_bytes_are_taken(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Detectors::all().redact(&bytes, &mut Vec::new());
    }
}

#[test]
fn groups_stand_for_several_kinds() {
    let ids = Detectors::named(["national-id"]).unwrap();
    assert!(ids.has(Kind::BrCpf) && ids.has(Kind::UsSsn) && !ids.has(Kind::Email));
    let more = Detectors::named(["default", "ip-address"]).unwrap();
    assert!(more.has(Kind::Email) && more.has(Kind::IpAddress));
    assert!(!Detectors::standard().has(Kind::IpAddress));
    assert_eq!(more.scan(b"from 192.0.2.7 on").len(), 1);
    assert_eq!(Detectors::standard().scan(b"from 192.0.2.7 on"), []);
}

#[test]
fn placeholders_are_told_from_other_brackets() {
    for kind in Kind::ALL {
        let text = format!("x '{}' y", kind.placeholder());
        assert!(has_placeholder(text.as_bytes()), "{text}");
    }
    assert!(has_placeholder(b"[masked]"));
    assert!(has_placeholder(b"[masked:x [masked:card]"));
    for text in ["", "masked", "[masked", "[masked:]", "[masked:cat]", "[mask:card]", "[MASKED]"] {
        assert!(!has_placeholder(text.as_bytes()), "{text}");
    }
}

#[test]
fn a_plain_number_takes_a_word() {
    check("bsn 111222333", &[(Kind::NlBsn, "111222333")]);
    check("111222333", &[]);
    check(r#"{"bsn":null,"order":"111222333"}"#, &[]);
    check(r#"{"customerBsn":"111222333"}"#, &[(Kind::NlBsn, "111222333")]);
    check("absn 111222333", &[]);
    check("order 44051401359, pesel 44051401359", &[(Kind::PlPesel, "44051401359")]);
}

#[test]
fn published_examples_are_found() {
    check("DNI 12345678Z", &[(Kind::EsDni, "12345678Z")]);
    check("X1234567L", &[(Kind::EsDni, "X1234567L")]);
    check("RSSMRA85T10A562S", &[(Kind::ItCf, "RSSMRA85T10A562S")]);
    check("85.07.30-033.28", &[(Kind::BeNrn, "85.07.30-033.28")]);
    check("19811218-9876", &[(Kind::SePnr, "19811218-9876")]);
    check("131052-308T", &[(Kind::FiHetu, "131052-308T")]);
    check("529.982.247-25", &[(Kind::BrCpf, "529.982.247-25")]);
    check("11010519491231002X", &[(Kind::CnRic, "11010519491231002X")]);
    check("tckn 10000000146", &[(Kind::TrTckn, "10000000146")]);
    check("aadhaar 2341 2341 2346", &[(Kind::InAadhaar, "2341 2341 2346")]);
    check("ID number 8001015009087", &[(Kind::ZaId, "8001015009087")]);
    let passport = "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<\nL898902C36UTO7408122F1204159ZE184226B<<<<<10";
    check(passport, &[(Kind::Mrz, passport)]);
    let card = "I<UTOD231458907<<<<<<<<<<<<<<<\n7408122F1204159UTO<<<<<<<<<<<6\nERIKSSON<<ANNA<MARIA<<<<<<<<<<";
    check(card, &[(Kind::Mrz, card)]);
}

#[test]
fn a_secret_is_masked_where_its_word_gives_it_a_value() {
    check("password=hunter2 host=db user=app", &[(Kind::ConnectionPassword, "hunter2")]);
    check("password=hunter2", &[]);
    check("PASSWORD 'Tr0ub4dor&3'", &[(Kind::Secret, "Tr0ub4dor&3")]);
    check("password = $1 and user = $2", &[]);
    check("password=${DB_PASSWORD} host=db", &[]);
    check("token_id=9f86d081884c7d659a2feaa0c55ad015", &[]);
    let key = "9f86d081884c7d659a2feaa0c55ad015";
    check(&format!("api-key: {key}"), &[(Kind::Secret, key)]);
    check("[masked:secret]: 9f86d081884c7d659a2feaa0c55ad015", &[]);
    // What has a name of its own is called by it.
    check("token=eyJhbGciOiJIUzI1NiJ9.e30.c2ln", &[(Kind::Jwt, "eyJhbGciOiJIUzI1NiJ9.e30.c2ln")]);
}

proptest! {
    #[test]
    fn labelled_texts_are_taken_whatever_they_are(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let detectors = Detectors::all();
        for name in ["dob", "full_name", "national_id", "bsn", "password"] {
            let label = label_of(name).unwrap();
            let hits = detectors.scan_labelled(label, &bytes);
            prop_assert!(hits.iter().all(|hit| hit.range.end <= bytes.len()));
            prop_assert!(hits.windows(2).all(|w| w[0].range.end <= w[1].range.start));
            let mut out = Vec::new();
            prop_assert_eq!(detectors.redact_labelled(label, &bytes, &mut out), !hits.is_empty());
        }
    }
}
