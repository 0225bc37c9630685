use super::*;
use crate::reveal::ShowAll;
use portcullis_core::mask::NullString;
use portcullis_core::mask::Redacted::{Removed, Replaced, Unchanged};
use smallvec::smallvec;

const HEADED: CopyFormat =
    CopyFormat::Text { delimiter: b'\t', header: true, null: NullString::TEXT };
const PIPED: CopyFormat =
    CopyFormat::Text { delimiter: b'|', header: false, null: NullString::EMPTY };

const CUSTOMERS: u32 = 17_000;
const ORDERS: u32 = 17_001;
const VIEW: u32 = 17_002;
const NAME: ColumnRef = column(CUSTOMERS, 2);
const EMAIL: ColumnRef = column(CUSTOMERS, 3);
const CARD: ColumnRef = column(CUSTOMERS, 4);
const NOTE: ColumnRef = column(CUSTOMERS, 5);

const fn column(relation: u32, column: i16) -> ColumnRef {
    ColumnRef { relation, column }
}

/// Of the customers, e-mail and card are hidden in part, and the note altogether; a relation that
/// is not known is hidden.
#[derive(Debug)]
struct Rules;

impl Reveal for Rules {
    fn hidden(&self, column: ColumnRef) -> Option<Strategy> {
        match column {
            EMAIL => Some(Strategy::Partial),
            CARD => Some(Strategy::Hash),
            NOTE => Some(Strategy::Null),
            ColumnRef { relation: CUSTOMERS | ORDERS, .. } => None,
            _ => Some(Strategy::Redact),
        }
    }

    fn relation_hides(&self, relation: u32) -> bool {
        relation != ORDERS
    }

    fn hides_anything(&self) -> bool {
        true
    }

    fn hides_of_server(&self) -> bool {
        false
    }

    fn is_stored(&self, column: ColumnRef) -> bool {
        column.relation != VIEW
    }
}

fn lineage(outputs: Option<Vec<Origin>>, relations: &[u32]) -> Lineage {
    Lineage { outputs, relations: relations.into(), ..Lineage::default() }
}

fn from(columns: &[ColumnRef]) -> Origin {
    Origin::Columns(columns.iter().copied().collect())
}

fn redactor_of(lineage: Lineage, detectors: Detectors) -> StatementRedactor {
    let key = Arc::new(PseudonymKey::new(&[3; 32]));
    StatementRedactor::new(&[Arc::new(lineage)], Arc::new(Rules), Arc::new(detectors), key)
}

fn redactor(lineage: Lineage) -> StatementRedactor {
    redactor_of(lineage, Detectors::of(&[crate::Kind::Email]))
}

fn field(source: Option<ColumnRef>) -> Field<'static> {
    let source = source
        .map_or(Source::Unknown, |c| Source::Numbered { relation: c.relation, column: c.column });
    Field { name: "x", source, type_id: 25, format: Format::Text }
}

/// What becomes of one column: `origin` by the statement, `source` by the target.
fn check(origin: Option<Origin>, relations: &[u32], source: Option<ColumnRef>, expect: Treatment) {
    let outputs = origin.clone().map(|origin| vec![origin]);
    let plan = redactor(lineage(outputs, relations)).plan(0, &[field(source)]).unwrap();
    assert_eq!(plan.columns.as_slice(), &[expect], "{origin:?} {relations:?} {source:?}");
}

const REDACT: Treatment = Treatment::Mask(Strategy::Redact);
const CONCEAL: Treatment = Treatment::Conceal;
const SCAN: Treatment = Treatment::Scan;

#[test]
fn a_plain_column_is_masked_by_its_own_strategy() {
    for (column, strategy) in
        [(EMAIL, Strategy::Partial), (CARD, Strategy::Hash), (NOTE, Strategy::Null)]
    {
        check(Some(from(&[column])), &[CUSTOMERS], Some(column), Treatment::Mask(strategy));
    }
    check(Some(from(&[NAME])), &[CUSTOMERS], Some(NAME), SCAN);
    // `SELECT *` of what the analysis did not count: the target's word.
    check(None, &[CUSTOMERS], Some(EMAIL), Treatment::Mask(Strategy::Partial));
    check(None, &[CUSTOMERS], Some(NAME), SCAN);
}

#[test]
fn an_expression_over_a_hidden_column_is_redacted() {
    check(Some(from(&[EMAIL])), &[CUSTOMERS], None, CONCEAL);
    check(Some(from(&[CARD])), &[CUSTOMERS], None, CONCEAL);
    check(Some(from(&[NAME, EMAIL])), &[CUSTOMERS], None, CONCEAL);
    check(Some(from(&[EMAIL, CARD])), &[CUSTOMERS], None, CONCEAL);
    check(Some(from(&[NOTE])), &[CUSTOMERS], None, Treatment::Mask(Strategy::Null));
    check(Some(from(&[NOTE, EMAIL])), &[CUSTOMERS], None, CONCEAL);
    check(Some(from(&[NAME])), &[CUSTOMERS], None, SCAN);
    check(Some(from(&[])), &[CUSTOMERS], None, SCAN);
    // The whole row.
    check(Some(from(&[column(CUSTOMERS, 0)])), &[CUSTOMERS], None, CONCEAL);
    check(Some(from(&[column(ORDERS, 0)])), &[ORDERS], None, SCAN);
}

#[test]
fn the_strictest_of_target_and_statement_counts() {
    // The target says it is the name, the statement that it depends on the e-mail.
    check(Some(from(&[EMAIL])), &[CUSTOMERS], Some(NAME), CONCEAL);
    check(Some(from(&[NAME])), &[CUSTOMERS], Some(EMAIL), CONCEAL);
    check(Some(from(&[CARD])), &[CUSTOMERS], Some(EMAIL), CONCEAL);
    check(Some(Origin::Untraced), &[CUSTOMERS], Some(NAME), CONCEAL);
    check(Some(Origin::Untraced), &[CUSTOMERS], Some(EMAIL), CONCEAL);
    // A view's column has numbers of its own.
    check(Some(from(&[EMAIL])), &[VIEW, CUSTOMERS], Some(column(VIEW, 1)), CONCEAL);
}

#[test]
fn what_cannot_be_traced_is_masked_where_anything_may_be_hidden() {
    check(Some(Origin::Untraced), &[ORDERS], None, SCAN);
    check(Some(Origin::Untraced), &[ORDERS, CUSTOMERS], None, CONCEAL);
    check(Some(Origin::Untraced), &[], None, SCAN);
    check(None, &[CUSTOMERS], None, CONCEAL);
    check(None, &[ORDERS], None, SCAN);
    let unresolved = Lineage { unresolved: true, ..lineage(Some(vec![Origin::Untraced]), &[]) };
    let plan = redactor(unresolved).plan(0, &[field(None)]).unwrap();
    assert_eq!(plan.columns.as_slice(), &[CONCEAL]);
}

#[test]
fn more_or_fewer_columns_than_the_statement_seemed_to_have() {
    let outputs = Some(vec![from(&[NAME]), from(&[NAME])]);
    let redactor = redactor(lineage(outputs, &[CUSTOMERS]));
    let fields = [field(Some(NAME)), field(None), field(Some(CARD))];
    let plan = redactor.plan(0, &fields).unwrap();
    let hash = Treatment::Mask(Strategy::Hash);
    assert_eq!(plan.columns.as_slice(), &[SCAN, CONCEAL, hash]);
}

#[test]
fn a_source_without_numbers_is_no_answer() {
    let outputs = Some(vec![Origin::Untraced]);
    let redactor = redactor(lineage(outputs, &[CUSTOMERS]));
    for source in [
        Source::Named { schema: "s", relation: "r", column: "c" },
        Source::Numbered { relation: 0, column: 1 },
    ] {
        let fields = [Field { source, ..field(None) }];
        assert_eq!(redactor.plan(0, &fields).unwrap().columns.as_slice(), &[CONCEAL]);
    }
}

#[test]
fn a_part_nobody_analysed_is_refused() {
    let redactor = redactor(lineage(None, &[ORDERS]));
    assert!(matches!(redactor.plan(1, &[field(None)]), Err(MaskFailure::Untraceable(_))));
    let text = CopyFormat::TEXT;
    assert!(matches!(redactor.plan_copy(1, 1, text), Err(MaskFailure::Untraceable(_))));
}

#[test]
fn with_nothing_hidden_and_no_detectors_everything_passes() {
    let key = Arc::new(PseudonymKey::new(&[3; 32]));
    let redactor = StatementRedactor::new(&[], Arc::new(ShowAll), Arc::new(Detectors::none()), key);
    assert!(redactor.plan(7, &[field(None), field(Some(EMAIL))]).unwrap().passes_all());
    for format in [CopyFormat::Binary, CopyFormat::TEXT] {
        let plan = redactor.plan_copy(7, 3, format).unwrap();
        assert!(plan.passes_all() && plan.columns.len() == 3);
    }
    let mut out = Vec::new();
    for kind in [ErrorPart::Message, ErrorPart::Elaboration, ErrorPart::Name] {
        let text = b"Key (email)=(jane@example.com) already exists.";
        assert_eq!(redactor.redact_error(Some(7), "23505", kind, text, &mut out), Unchanged);
    }
    assert_eq!(redactor.redact_text(b"jane@example.com", &mut out), Unchanged);
    assert!(out.is_empty());
}

#[test]
fn types_without_text_pass() {
    let lineage = lineage(Some(vec![from(&[NAME]), from(&[EMAIL])]), &[CUSTOMERS]);
    let fields = [Field { type_id: 20, ..field(Some(NAME)) }, Field { type_id: 20, ..field(None) }];
    let plan = redactor(lineage).plan(0, &fields).unwrap();
    assert_eq!(plan.columns.as_slice(), &[Treatment::Pass, CONCEAL]);
}

#[test]
fn copied_rows_are_masked_by_the_statement_alone() {
    let text = CopyFormat::TEXT;
    let csv = CopyFormat::CSV;
    let all = vec![from(&[NAME]), from(&[EMAIL]), from(&[CARD]), from(&[NOTE]), Origin::Untraced];
    let redactor = |outputs| redactor(lineage(outputs, &[CUSTOMERS]));
    for format in [text, csv] {
        let plan = redactor(Some(all.clone())).plan_copy(0, 5, format).unwrap();
        let expect: SmallVec<[Treatment; 8]> =
            smallvec![SCAN, CONCEAL, CONCEAL, Treatment::Mask(Strategy::Null), CONCEAL];
        assert_eq!(plan.columns, expect);
        assert!(redactor(Some(all.clone())).plan_copy(0, 4, format).is_err());
        assert!(redactor(None).plan_copy(0, 5, format).is_err());
    }
    // Of a query in binary, nobody knows the types: NULL is a value of each.
    let plan = redactor(Some(all)).plan_copy(0, 5, CopyFormat::Binary).unwrap();
    let null = Treatment::Mask(Strategy::Null);
    let expect: SmallVec<[Treatment; 8]> =
        smallvec![SCAN, null.clone(), null.clone(), null.clone(), null];
    assert_eq!((plan.columns, plan.types.to_vec()), (expect, vec![UNKNOWN_TYPE; 5]));
    assert!(redactor(None).plan_copy(0, 5, CopyFormat::Binary).is_err());
}

#[test]
fn columns_of_a_copied_table_have_their_types_and_strategies() {
    let outputs = vec![from(&[NAME]), from(&[EMAIL]), from(&[CARD]), from(&[NOTE])];
    let copied = Some([25, 25, 20, 25].into());
    let lineage = Lineage { copied, ..lineage(Some(outputs), &[CUSTOMERS]) };
    let redactor = redactor(lineage);
    let strategies = [Strategy::Partial, Strategy::Hash, Strategy::Null].map(Treatment::Mask);
    for format in [CopyFormat::Binary, HEADED] {
        let plan = redactor.plan_copy(0, 4, format).unwrap();
        assert_eq!(plan.columns[0], SCAN);
        assert_eq!(plan.columns[1..], strategies);
        assert_eq!(plan.types.as_slice(), &[25, 25, 20, 25]);
    }
    // The answer has other columns than the statement.
    assert!(redactor.plan_copy(0, 3, CopyFormat::Binary).is_err());
}

#[test]
fn copied_rows_of_relations_that_hide_nothing_are_looked_at() {
    let redactor = redactor(lineage(None, &[ORDERS]));
    for format in [CopyFormat::Binary, PIPED] {
        let plan = redactor.plan_copy(0, 2, format).unwrap();
        assert_eq!(plan.columns.as_slice(), &[SCAN, SCAN]);
    }
    let mut out = Vec::new();
    let field = (UNKNOWN_TYPE, Format::Binary);
    assert_eq!(redactor.redact(&SCAN, field, b"jane@example.com", &mut out), Removed);
    assert_eq!(redactor.redact(&SCAN, field, b"\0\0\0\x07", &mut out), Unchanged);
}

fn error(
    redactor: &StatementRedactor,
    part: Option<usize>,
    code: &str,
    kind: ErrorPart,
    text: &str,
) -> (Redacted, String) {
    let mut out = Vec::new();
    let done = redactor.redact_error(part, code, kind, text.as_bytes(), &mut out);
    (done, String::from_utf8(out).unwrap())
}

#[test]
fn errors_of_statements_over_hidden_columns_say_no_more_than_their_code() {
    let redactor = redactor(lineage(None, &[CUSTOMERS]));
    let message = |part, code| error(&redactor, part, code, ErrorPart::Message, "invalid: \"x\"");
    // What they quote may be made of values: `(email || 'x')::regclass`.
    let quoting = ["42P01", "42704", "0A000", "3D000", "3F000", "55000", "58030", "08006", "42501"];
    let values = ["22P02", "22003", "23505", "23514", "P0001", "XX000", "00000", "01000", "21000"];
    for code in values.into_iter().chain(quoting) {
        let expect =
            format!("message withheld: the statement touches masked columns (SQLSTATE {code})");
        for part in [Some(0), None, Some(9)] {
            assert_eq!(message(part, code), (Replaced, expect.clone()));
        }
    }
    for code in ["25P02", "26000", "34000", "54001", "57014", "53300", "55P03", "40001"] {
        assert_eq!(message(Some(0), code), (Unchanged, String::new()), "{code}");
        assert_eq!(message(None, code), (Unchanged, String::new()), "{code}");
        assert_eq!(message(Some(9), code).0, Replaced, "{code}");
    }
    let of_role = "permission denied for table orders";
    assert_eq!(error(&redactor, Some(0), "42501", ErrorPart::Message, of_role).0, Unchanged);
    let of_text = error(&redactor, Some(0), "42703", ErrorPart::Analysis, "column \"x\"");
    assert_eq!(of_text.0, Unchanged);
    let (done, told) = error(&redactor, None, "", ErrorPart::Notification, "anything");
    assert_eq!((done, &*told), (Replaced, "[withheld]"));
    // The code is the target's too.
    for code in ["", "42", "42 jane", "42p01", "jane@", "42Ä1"] {
        let (done, text) = message(Some(0), code);
        assert!(done == Replaced && text.ends_with("(SQLSTATE unknown)"), "{code}: {text}");
    }
    for part in [Some(0), None, Some(9)] {
        let (done, _) = error(&redactor, part, "42P01", ErrorPart::Elaboration, "x");
        assert_eq!(done, Removed);
    }
    assert_eq!(error(&redactor, Some(0), "23505", ErrorPart::Name, "t_pkey").0, Unchanged);
}

#[test]
fn code_of_the_target_may_say_anything_under_any_code() {
    let lineage = Lineage { user_code: true, ..lineage(None, &[CUSTOMERS]) };
    let redactor = redactor(lineage);
    for (kind, expect) in [
        (ErrorPart::Message, Replaced),
        (ErrorPart::Elaboration, Removed),
        (ErrorPart::Name, Removed),
    ] {
        assert_eq!(error(&redactor, Some(0), "42P01", kind, "x").0, expect);
    }
}

#[test]
fn errors_of_other_statements_are_looked_at_by_detectors() {
    let plain = redactor(lineage(None, &[ORDERS]));
    let text = "Key (email)=(jane@example.com) already exists.";
    let masked = "Key (email)=([masked:email]) already exists.";
    for kind in [ErrorPart::Message, ErrorPart::Elaboration] {
        assert_eq!(error(&plain, Some(0), "23505", kind, text), (Replaced, masked.into()));
        assert_eq!(error(&plain, Some(0), "23505", kind, "plain").0, Unchanged);
    }
    // Every way of touching a hidden column counts.
    let sinks = Lineage { sinks: vec![from(&[EMAIL])], ..Lineage::default() };
    let outputs = lineage(Some(vec![from(&[EMAIL])]), &[]);
    let unresolved = Lineage { unresolved: true, ..Lineage::default() };
    for lineage in [sinks, outputs, unresolved] {
        let redactor = redactor(lineage);
        assert_eq!(error(&redactor, Some(0), "23505", ErrorPart::Elaboration, "x").0, Removed);
    }
    let mut out = Vec::new();
    assert_eq!(plain.redact_text(b"NOTIFY jane@example.com", &mut out), Replaced);
    assert_eq!(out, b"NOTIFY [masked:email]");
}

#[test]
fn values_are_treated_as_planned() {
    let redactor = redactor(lineage(None, &[]));
    let value = |treatment: Treatment| {
        let mut out = Vec::new();
        let done = redactor.redact(&treatment, (25, Format::Text), b"jane@example.com", &mut out);
        (done, String::from_utf8(out).unwrap())
    };
    assert_eq!(value(Treatment::Pass), (Unchanged, String::new()));
    assert_eq!(value(SCAN), (Replaced, "[masked:email]".into()));
    assert_eq!(value(REDACT), (Replaced, "[masked]".into()));
    assert_eq!(value(Treatment::Mask(Strategy::Partial)), (Replaced, "j***@e***.com".into()));
    assert_eq!(value(Treatment::Mask(Strategy::Null)), (Removed, String::new()));
    let (done, text) = value(Treatment::Mask(Strategy::Hash));
    assert!(done == Replaced && text.starts_with("pcm_"));
}

#[test]
fn nothing_secret_shows_in_debug() {
    let shown = format!("{:?}", redactor(lineage(None, &[])));
    assert!(shown.contains("PseudonymKey(…)") && !shown.contains('3'), "{shown}");
}

const BORN: ColumnRef = column(CUSTOMERS, 6);
const NUMBER: ColumnRef = column(CUSTOMERS, 7);
const GIVEN: ColumnRef = column(CUSTOMERS, 8);
const DATE: u32 = 1082;

/// Hides nothing, and knows the names of columns.
#[derive(Debug)]
struct Named;

impl Reveal for Named {
    fn hidden(&self, _: ColumnRef) -> Option<Strategy> {
        None
    }

    fn relation_hides(&self, _: u32) -> bool {
        false
    }

    fn hides_anything(&self) -> bool {
        false
    }

    fn hides_of_server(&self) -> bool {
        false
    }

    fn is_stored(&self, _: ColumnRef) -> bool {
        true
    }

    fn label(&self, column: ColumnRef) -> Option<Label> {
        match column {
            BORN => label_of("date_of_birth"),
            NUMBER => label_of("national_id"),
            GIVEN => label_of("first_name"),
            _ => None,
        }
    }
}

fn named(outputs: Option<Vec<Origin>>) -> StatementRedactor {
    let key = Arc::new(PseudonymKey::new(&[3; 32]));
    let lineage = Arc::new(lineage(outputs, &[CUSTOMERS]));
    let named = Detectors::named(["default", "person-name"]).unwrap();
    StatementRedactor::new(&[lineage], Arc::new(Named), Arc::new(named), key)
}

/// What becomes of one value of a column of this name, source and type.
fn labelled(
    name: &str,
    origin: Option<Origin>,
    source: Option<ColumnRef>,
    (type_id, format): (u32, Format),
    value: &[u8],
) -> (Redacted, String) {
    let redactor = named(origin.map(|origin| vec![origin]));
    let field = Field { name, type_id, format, ..field(source) };
    let plan = redactor.plan(0, &[field]).unwrap();
    let mut out = Vec::new();
    let done = match plan.columns.first().unwrap() {
        Treatment::Pass => Unchanged,
        treatment => redactor.redact(treatment, (type_id, format), value, &mut out),
    };
    (done, String::from_utf8(out).unwrap())
}

#[test]
fn the_name_of_a_column_says_what_is_in_it() {
    let text = |name, value: &str| labelled(name, None, None, (25, Format::Text), value.as_bytes());
    let birth = (Replaced, "[masked:date-of-birth]".to_owned());
    assert_eq!(text("dob", "1980-05-01"), birth);
    assert_eq!(text("dob", "in spring"), (Unchanged, String::new()));
    assert_eq!(text("first_name", "Jane"), (Replaced, "[masked:person-name]".into()));
    assert_eq!(text("first_name", "jane@example.com"), (Replaced, "[masked:email]".into()));
    assert_eq!(text("national_id", "44051401359"), (Replaced, "[masked:pl-pesel]".into()));
    assert_eq!(text("order_id", "44051401359"), (Unchanged, String::new()));
    assert_eq!(text("created_at", "1980-05-01"), (Unchanged, String::new()));
    let typed =
        |name, type_id, value: &[u8]| labelled(name, None, None, (type_id, Format::Text), value);
    assert_eq!(typed("dob", DATE, b"1980-05-01").0, Removed);
    assert_eq!(typed("created_at", DATE, b"1980-05-01").0, Unchanged);
    assert_eq!(typed("pesel", 20, b"44051401359").0, Removed);
    assert_eq!(typed("pesel", 20, b"44051401358").0, Unchanged);
    let number = 44_051_401_359u64.to_be_bytes();
    assert_eq!(labelled("pesel", None, None, (20, Format::Binary), &number).0, Removed);
    assert_eq!(labelled("id", None, None, (20, Format::Binary), &number).0, Unchanged);
}

#[test]
fn an_alias_does_not_change_what_a_column_holds() {
    let date = (DATE, Format::Text);
    assert_eq!(labelled("x", None, Some(BORN), date, b"1980-05-01").0, Removed);
    assert_eq!(labelled("x", Some(from(&[BORN])), None, date, b"1980-05-01").0, Removed);
    let text = (25, Format::Text);
    let names = labelled("x", Some(from(&[GIVEN, GIVEN])), None, text, b"Jane");
    assert_eq!(names, (Replaced, "[masked:person-name]".into()));
    // Two columns that say different things say nothing, and neither does what is not traced.
    assert_eq!(labelled("x", Some(from(&[GIVEN, EMAIL])), None, text, b"Jane").0, Unchanged);
    assert_eq!(labelled("x", Some(Origin::Untraced), None, date, b"1980-05-01").0, Unchanged);
    // Copied rows have no names: the statement tells.
    let format = CopyFormat::TEXT;
    let plan = named(Some(vec![from(&[BORN]), from(&[EMAIL])])).plan_copy(0, 2, format).unwrap();
    assert!(matches!(plan.columns.as_slice(), [Treatment::ScanAs(_), Treatment::Scan]));
    assert_eq!(named(None).plan_copy(0, 1, format).unwrap().columns.as_slice(), &[SCAN]);
}

/// E-mail and card stand in a view as well, where they are made by expressions.
#[derive(Debug)]
struct Viewed;

impl Reveal for Viewed {
    fn hidden(&self, column: ColumnRef) -> Option<Strategy> {
        Rules.hidden(ColumnRef { relation: CUSTOMERS, ..column })
    }

    fn relation_hides(&self, _: u32) -> bool {
        true
    }

    fn hides_anything(&self) -> bool {
        true
    }

    fn hides_of_server(&self) -> bool {
        false
    }

    fn is_stored(&self, column: ColumnRef) -> bool {
        Rules.is_stored(column)
    }

    fn is_plain(&self, column: ColumnRef) -> bool {
        column.relation == SHOWN || self.is_stored(column)
    }
}

/// A view that shows columns as they are.
const SHOWN: u32 = 98;

#[test]
fn null_of_a_column_that_is_only_shown_says_nothing() {
    for (relation, expected) in
        [(SHOWN, Treatment::ConcealValues), (VIEW, Treatment::Conceal), (0, Treatment::Conceal)]
    {
        let lineage =
            Arc::new(lineage(Some(vec![from(&[EMAIL, column(relation, 3)])]), &[CUSTOMERS]));
        let (none, key) = (Arc::new(Detectors::none()), Arc::new(PseudonymKey::new(&[3; 32])));
        let redactor = StatementRedactor::new(&[lineage], Arc::new(Viewed), none, key);
        let source = Source::Numbered { relation, column: 3 };
        let field = Field { name: "email", source, type_id: 25, format: Format::Text };
        assert_eq!(redactor.plan(0, &[field]).unwrap().columns[0], expected, "{relation}");
    }
}

#[test]
fn only_a_stored_column_keeps_a_part_where_the_columns_are_not_told() {
    let key = Arc::new(PseudonymKey::new(&[3; 32]));
    for (outputs, relation, kept) in [
        (None, CUSTOMERS, true),
        (None, VIEW, false),
        (Some(vec![from(&[column(VIEW, 3)])]), VIEW, false),
        (Some(vec![from(&[EMAIL])]), CUSTOMERS, true),
    ] {
        let lineage = Arc::new(lineage(outputs, &[relation]));
        let none = Arc::new(Detectors::none());
        let redactor = StatementRedactor::new(&[lineage], Arc::new(Viewed), none, key.clone());
        let source = Source::Numbered { relation, column: 3 };
        let field = Field { name: "email", source, type_id: 25, format: Format::Text };
        let plan = redactor.plan(0, &[field]).unwrap();
        let expected = if kept { Treatment::Mask(Strategy::Partial) } else { Treatment::Conceal };
        assert_eq!(plan.columns[0], expected, "{relation}");
    }
}
