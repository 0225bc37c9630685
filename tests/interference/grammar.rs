//! Random programs: what a caller may ask of the tables in `definitions.sql`.
//!
//! Names are known roughly, so that most statements are valid; where a name comes up again, or means
//! something else than meant here, all the better. Nothing here knows what the gateway makes of them.

use crate::choices::Choices;

/// What a program consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A single query.
    Query,
    /// Tables that are made, filled and changed, and a query that reads them.
    Tables,
}

/// Statements, one after the other.
pub(crate) fn program(kind: Kind, choices: &mut Choices) -> Vec<String> {
    match kind {
        Kind::Query => {
            let depth = 1 + choices.below(3);
            vec![Maker::new(choices).query(&[], depth).0]
        }
        Kind::Tables => Maker::new(choices).tables(),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    Int,
    Number,
    Text,
    Truth,
    Date,
    Json,
    Texts,
    Ints,
    Address,
    Row,
}

use Type::{Address, Date, Int, Ints, Json, Number, Row, Text, Texts, Truth};

const TYPES: [Type; 10] = [Text, Int, Json, Number, Date, Texts, Row, Ints, Truth, Address];

#[derive(Debug, Clone)]
struct Column {
    name: String,
    of: Type,
    /// Made of something masked, as far as is known here. Only used to have fewer refusals.
    secret: bool,
}

#[derive(Debug, Clone)]
struct Table {
    /// What it is called where it is used; empty for columns that are merged by a join.
    name: String,
    schema: Option<&'static str>,
    columns: Vec<Column>,
}

const PEOPLE: &str = "id int, name text, email text!, born date!, pay number!, tags texts!, doc json!, home address!, kin ints!";

fn base() -> Vec<Table> {
    let of = |schema, name: &str, columns: &str| Table {
        schema: Some(schema),
        name: name.to_owned(),
        columns: columns.split(", ").map(column).collect(),
    };
    vec![
        of("public", "people", PEOPLE),
        of("public", "bills", "id int, person int, email text, total int, note text!"),
        of("public", "a", "id int, b text, email text"),
        of("other", "a", "id int, b text!, email text"),
        of("public", "staff", &format!("{PEOPLE}, boss int")),
        of("public", "contacts", "id int, name text, contact text!, pay number!"),
        of("public", "wide", &format!("{PEOPLE}, total int")),
        of("public", "columns", "id int, name text!, email text"),
        of("public", "parts", "id int, region int, label text"),
        of("public", "notes", "id int, text text!"),
        of("public", "memos", "id int, text text!, by int"),
    ]
}

fn column(text: &str) -> Column {
    let (name, of) = text.split_once(' ').unwrap();
    let secret = of.ends_with('!');
    let of = match of.trim_end_matches('!') {
        "int" => Int,
        "text" => Text,
        "date" => Date,
        "number" => Number,
        "texts" => Texts,
        "json" => Json,
        "address" => Address,
        _ => Ints,
    };
    Column { name: name.to_owned(), of, secret }
}

/// Names that are given, most of which mean something else somewhere.
const ALIASES: [&str; 8] = ["p", "q", "a", "people", "email", "id", "bills", "name"];
const COLUMN_NAMES: [&str; 9] = ["x", "id", "email", "name", "b", "note", "people", "a", "column1"];
/// Names that the server gives to expressions, as names of tables.
const EXPRESSIONS: [&str; 6] =
    ["\"case\"", "\"coalesce\"", "\"row\"", "\"array\"", "lower", "jsonb_build_object"];

/// Expressions by type. In braces stands what is put in: `t` text, `i` an integer, `n` a number, `d` a
/// date, `j` jsonb, `a` texts, `k` integers, `b` a truth, `h` an address, `r` a row, `x` anything; `p` a plain
/// column, `c` a condition over mostly plain ones; `q` a query of one column of the type that follows.
const TEXT: &[&str] = &[
    "{x}::text",
    "lower({t})",
    "upper({t})",
    "reverse({t})",
    "initcap({t})",
    "md5({t})",
    "({t} || {t})",
    "({t} || {x})",
    "concat({x}, {t})",
    "concat_ws('-', {t}, {x}, {r})",
    "left({t}, 2)",
    "right({t}, -1)",
    "substr({t}, 2, 3)",
    "replace({t}, 'a', {t})",
    "translate({t}, 'ab', 'xy')",
    "repeat({t}, 2)",
    "lpad({t}, 3)",
    "split_part({t}, '@', 1)",
    "regexp_replace({t}, '[a-m]', '-', 'g')",
    "substring({t} from '[a-z]+')",
    "substring({t} from 2 for 2)",
    "trim({t})",
    "btrim({t}, 'a')",
    "format('%s %s', {x}, {x})",
    "format('%1$s', {r})",
    "quote_literal({t})",
    "quote_nullable({x})",
    "to_char({d}, 'YYYY')",
    "to_char({n}, '999')",
    "CAST({x} AS varchar(2))",
    "{t}::char(3)",
    "encode(convert_to({t}, 'UTF8'), 'hex')",
    "coalesce({t}, {t})",
    "CASE WHEN {c} THEN {t} ELSE {t} END",
    "CASE {p} WHEN {p} THEN {t} END",
    "nullif({t}, {t})",
    "greatest({t}, {t})",
    "({qt})",
    "({j} ->> 'k')",
    "({j} #>> '{\"k\"}')",
    "({a})[1]",
    "array_to_string({a}, ',')",
    "row_to_json({r})::text",
    "{r}::text",
    "xmlserialize(content xmlelement(name e, {x}) AS text)",
    "xmlforest({x} AS f)::text",
    "pg_typeof({x})::text",
    "({t} COLLATE \"C\")",
    "({h}).street",
    "overlay({t} placing 'x' from 1)",
    "convert_from(convert_to({t}, 'UTF8'), 'UTF8')",
    "to_hex({i})",
    "jsonb_pretty({j})",
    "(json_build_object('k', {x}) ->> 'k')",
    "mail({i})",
    "same({t})",
    "(to_jsonb({r}) ->> 'email')",
    "({r}).email",
    "name({r})",
    "email({r})",
    "(array_agg({t}))[1]",
    "(ROW({x}, {x})::address).street",
    "normalize({t})",
    "unistr('x')",
    "to_json({x})::text",
    "array_to_json({a})::text",
    "({t} || NULL)",
    "nullif({p}, {p})::text",
    "max({t})",
    "string_agg({t}, ',')",
    "(jsonb_populate_record(NULL::people, to_jsonb({r}))).email",
    "quote_ident({t})",
    "ltrim({t})",
    "CASE WHEN {x} IS NULL THEN 'none' ELSE {t} END",
    "decode(encode({t}::bytea, 'hex'), 'hex')::text",
    "(SELECT {t})",
    "(SELECT z.v FROM (VALUES ({t})) z(v))",
    "current_setting('TimeZone')",
    "{t}::name::text",
    "substring({t}, 1, {i})",
    "(string_to_array({t}, '@'))[1]",
    "xmlconcat(xmlcomment('x'), xmlelement(name y, {t}))::text",
    "array_to_string(ARRAY({qt}), ',')",
    "(regexp_match({t}, '^.'))[1]",
    "repeat('x', {i})",
    "chr(65 + {i})",
    "least({t}, {t})",
    "({h})::text",
    "{k}::text",
    "{a}::text",
    "jsonb_path_query_first({j}, '$.k')::text",
];
const INT: &[&str] = &[
    "({i} + {i})",
    "({i} * 2)",
    "length({t})",
    "octet_length({t})",
    "ascii({t})",
    "position('a' in {t})",
    "strpos({t}, {t})",
    "array_length({a}, 1)",
    "cardinality({a})",
    "extract(year from {d})::int",
    "{n}::int",
    "{t}::int",
    "hashtext({t})",
    "abs({i})",
    "({i} % 2)",
    "({i} / {i})",
    "coalesce({i}, {i})",
    "CASE WHEN {c} THEN {i} ELSE 0 END",
    "({qi})",
    "jsonb_array_length({j})",
    "({k})[1]",
    "({h}).zip",
    "num_nulls({x}, {x})",
    "num_nonnulls({r})",
    "{b}::int",
    "({j} ->> 'n')::int",
    "sign({n})::int",
    "width_bucket({n}, 0, 10, 5)",
    "array_position({a}, {t})",
    "count(*)::int",
    "count({x})::int",
    "max({i})",
    "row_number() OVER (ORDER BY {p})::int",
    "pg_column_size({x})",
    "array_ndims({a})",
    "(-{i})",
    "~{i}",
    "greatest({i}, {i})",
    "nullif({i}, {i})",
    "({d} - {d})",
    "bit_length({t})",
    "grouping({p})",
    "array_upper({k}, 1)",
    "(SELECT count(*) FROM people WHERE {c})::int",
    "id({r})",
    "({r}).id",
    "(SELECT {i})",
    "least({i}, 1)",
    "date_part('day', {d})::int",
    "scale({n})",
    "regexp_count({t}, 'a')",
    "sum({i})::int",
    "rank() OVER (ORDER BY {p})::int",
];
const NUMBER: &[&str] = &[
    "({n} + 1)",
    "round({n})",
    "{i}::numeric",
    "coalesce({n}, {i})",
    "trunc({n}, 1)",
    "({n} * {i})",
    "sum({n})",
    "avg({i})",
    "({r}).pay",
    "({qn})",
    "CASE WHEN {c} THEN {n} END",
    "sqrt({n})",
    "({n} / {i})",
    "({n} ^ 2)",
    "{t}::numeric",
    "greatest({n}, 0)",
    "mod({n}, 3)",
    "stddev({n})",
    "factorial({i})",
    "exp({n})",
];
const DATE: &[&str] = &[
    "({d} + 1)",
    "date_trunc('month', {d})::date",
    "make_date(2000 + {i}, 1, 1)",
    "coalesce({d}, {d})",
    "({d} + {i})",
    "least({d}, {d})",
    "({r}).born",
    "({qd})",
    "{t}::date",
    "({d} - interval '1 day')::date",
    "max({d})",
    "CASE WHEN {c} THEN {d} END",
    "to_date({t}, 'YYYY')",
    "born({r})",
];
const JSON: &[&str] = &[
    "to_jsonb({x})",
    "jsonb_build_object('k', {x})",
    "jsonb_build_array({x}, {x})",
    "to_jsonb({r})",
    "({j} -> 'k')",
    "({j} || {j})",
    "jsonb_set({j}, '{\"k\"}', to_jsonb({x}))",
    "jsonb_strip_nulls({j})",
    "({j} - 'k')",
    "({j} #> '{\"k\"}')",
    "row_to_json({r})::jsonb",
    "jsonb_path_query_first({j}, '$.k')",
    "coalesce({j}, {j})",
    "jsonb_agg({x})",
    "jsonb_build_object({p}, {x})",
    "jsonb_object_agg({p}, {x})",
    "json_agg({r})::jsonb",
    "({qj})",
    "({r}).doc",
    "jsonb_build_object({t}, 1)",
    "jsonb_object(ARRAY[{t}, {t}])",
    "jsonb_insert({j}, '{z}', '1')",
    "({j} - {t})",
    "jsonb_path_query_array({j}, '$.*')",
    "(to_jsonb({r}) - 'email')",
    "({j} -> {t})",
    "jsonb_object_agg({t}, 1)",
    "json_build_object('r', {r})::jsonb",
    "jsonb_build_object(VARIADIC ARRAY['k', {t}])",
];
const TEXTS: &[&str] = &[
    "ARRAY[{t}, {t}]",
    "({a} || {t})",
    "array_append({a}, {t})",
    "string_to_array({t}, ',')",
    "ARRAY({qt})",
    "({a})[1:2]",
    "regexp_split_to_array({t}, '')",
    "array_remove({a}, {t})",
    "coalesce({a}, {a})",
    "array_agg({t})",
    "({r}).tags",
    "({a} || {a})",
    "array_cat({a}, {a})",
    "array_fill({t}, ARRAY[2])",
    "array_replace({a}, {t}, {t})",
    "array_prepend({t}, {a})",
    "tags({r})",
    "({qa})",
    "regexp_match({t}, '(.)(.)')",
    "array_agg({t} ORDER BY {p})",
];
const INTS: &[&str] = &[
    "ARRAY[{i}]",
    "ARRAY({qi})",
    "array_positions({a}, {t})",
    "({k} || {i})",
    "array_agg({i})",
    "({r}).kin",
    "({k})[1:1]",
    "array_remove({k}, {i})",
    "coalesce({k}, {k})",
];
const ADDRESS: &[&str] = &[
    "ROW({t}, {i})::address",
    "coalesce({h}, {h})",
    "({r}).home",
    "({qh})",
    "CASE WHEN {c} THEN {h} END",
    "({t}, {i})::address",
];
const TRUTH: &[&str] = &[
    "({x} IS NULL)",
    "({x} IS NOT NULL)",
    "({p} = {p})",
    "({t} = {t})",
    "({i} < {i})",
    "({t} LIKE 'a%')",
    "({b} AND {b})",
    "({b} OR {b})",
    "(NOT {b})",
    "EXISTS ({q*})",
    "({i} IN ({qi}))",
    "({t} NOT IN ({qt}))",
    "({i} = ANY ({k}))",
    "({r} IS NULL)",
    "({r} IS NOT NULL)",
    "({t} ~ 'a')",
    "starts_with({t}, 'a')",
    "({j} ? 'k')",
    "({j} @> '{}')",
    "({a} && {a})",
    "({i} BETWEEN 1 AND {i})",
    "(({i}, {t}) = ({i}, {t}))",
    "({x} IS DISTINCT FROM NULL)",
    "({d} > '2000-01-01')",
    "({d}, {d}) OVERLAPS ({d}, {d})",
    "({t} IS NORMALIZED)",
    "bool_and({b})",
    "({r} = {r})",
    "({b} IS TRUE)",
    "({b} IS NOT UNKNOWN)",
    "({p} IN (1, 2))",
    "({t} = ANY ({a}))",
    "({i} >= ALL ({qi}))",
    "coalesce({b}, {b})",
    "({j} @? '$.k')",
    "({x} IS NULL = {b})",
    "(({x}, {x}) IS NULL)",
    "({r} IS DISTINCT FROM {r})",
    "({t} SIMILAR TO 'a%')",
    "({p} < {p})",
    "({i} = {p})",
    "(num_nulls({x}) = 0)",
];
const ROW: &[&str] = &[
    "ROW({x}, {x})",
    "ROW({r}.*)",
    "(SELECT z FROM people z LIMIT 1)",
    "({i}, {t})",
    "folk()",
    "pairs()",
    "ROW({x})",
];
const SETS: &[&str] = &[
    "unnest({a})",
    "generate_series(1, {i})",
    "jsonb_array_elements({j})",
    "regexp_split_to_table({t}, 'a')",
    "jsonb_object_keys({j})",
    "string_to_table({t}, '')",
    "(jsonb_each({j})).value",
    "(folk()).email",
    "(pairs()).*",
    "regexp_matches({t}, '.', 'g')",
    "jsonb_path_query({j}, '$.*')",
    "generate_subscripts({a}, 1)",
];
const AGGREGATES: &[&str] = &[
    "count(*)",
    "count({x})",
    "count(DISTINCT {x})",
    "max({i})",
    "min({t})",
    "string_agg({t}, ',' ORDER BY {p})",
    "array_agg({x})",
    "json_agg({x})",
    "jsonb_agg({r})",
    "json_object_agg({p}, {x})",
    "sum({n})",
    "avg({n})",
    "bool_or({c})",
    "array_agg({x} ORDER BY {p})",
    "count(*) FILTER (WHERE {c})",
    "percentile_disc(0.5) WITHIN GROUP (ORDER BY {p})",
    "mode() WITHIN GROUP (ORDER BY {x})",
    "xmlagg(xmlelement(name e, {x}))",
    "bit_and({i})",
    "max({d})",
    "every({b})",
    "string_agg(DISTINCT {t}, ',')",
    "array_agg({t}) FILTER (WHERE {c})",
    "json_agg({r} ORDER BY {p})",
    "min({n})",
    "rank({i}) WITHIN GROUP (ORDER BY {p})",
    "corr({n}, {i})",
    "jsonb_object_agg({t}, {x})",
    "array_agg({a})",
    "max({a})",
];
const WINDOWS: &[&str] = &[
    "row_number() OVER (ORDER BY {p})",
    "lag({t}) OVER (ORDER BY {p})",
    "first_value({x}) OVER (PARTITION BY {p} ORDER BY {p})",
    "count({x}) OVER (PARTITION BY {p})",
    "ntile(2) OVER (ORDER BY {p})",
    "rank() OVER w",
    "max({t}) OVER w",
    "sum({i}) OVER (ORDER BY {p} ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)",
    "array_agg({x}) OVER (ORDER BY {p})",
    "count(*) OVER (PARTITION BY {p})",
    "row_number() OVER (PARTITION BY {p} ORDER BY {x})",
    "nth_value({t}, 2) OVER w",
    "sum({i}) OVER (ORDER BY {i} RANGE {i} PRECEDING)",
    "lag({x}, {i}) OVER (ORDER BY {p})",
];
/// Functions in FROM, with the columns they give.
const FROM: &[(&str, &str)] = &[
    ("generate_series(1, 3) {A}", "{A} int"),
    ("unnest({a}) {A}", "{A} text"),
    ("unnest({a}, {k}) {A}(x, id)", "x text, id int"),
    ("unnest({a}) WITH ORDINALITY {A}(name, id)", "name text, id int"),
    ("jsonb_each({j}) {A}", "key text, value json"),
    ("jsonb_each_text({j}) {A}", "key text, value text"),
    ("json_to_record(row_to_json({r})) {A}(email text, id int)", "email text, id int"),
    (
        "jsonb_to_recordset(jsonb_build_array(to_jsonb({r}))) {A}(id int, name text)",
        "id int, name text",
    ),
    ("jsonb_populate_record(NULL::people, to_jsonb({r})) {A}", PEOPLE),
    ("folk() {A}", PEOPLE),
    ("pairs() {A}", "id int, name text!"),
    ("mail(1) {A}", "{A} text!"),
    ("mail({i}) {A}(email)", "email text!"),
    ("folk() {A}(b, email, name)", "b int, email text, name text!"),
    ("regexp_split_to_table({t}, '') {A}", "{A} text"),
    ("ROWS FROM (folk(), generate_series(1, 3)) {A}", PEOPLE),
    (
        "ROWS FROM (generate_series(1, 2), pairs()) WITH ORDINALITY {A}(b, id, x, email)",
        "b int, id int, x text!, email int",
    ),
    (
        "XMLTABLE('/r/e' PASSING xmlelement(name r, xmlelement(name e, {t})) COLUMNS v text PATH '.') {A}",
        "v text",
    ),
    ("jsonb_array_elements(to_jsonb({a})) {A}(b)", "b json"),
    ("string_to_table({t}, 'n') {A}(email)", "email text"),
    (
        "XMLTABLE('/r' PASSING '<r><e>1</e></r>' COLUMNS v text PATH {t}, w varchar(3) PATH 'z' DEFAULT {t}) {A}",
        "v text, w text",
    ),
    ("pairs() WITH ORDINALITY {A}", "id int, name text!, ordinality int"),
    ("(VALUES ({i}, {t}), (2, 'v')) {A}(id, name)", "id int, name text"),
    (
        "json_populate_recordset(NULL::a, '[{\"id\": 1, \"b\": \"z\"}]') {A}(name, email)",
        "name int, email text",
    ),
];

struct Maker<'c> {
    choices: &'c mut Choices,
    /// Tables that names may be of, the innermost last.
    scopes: Vec<Vec<Table>>,
    /// Those of WITH, and those the program made.
    named: Vec<Table>,
    /// Only columns that are not secret, as far as that is known.
    plain: bool,
    /// A column that may be secret was used.
    used: bool,
    /// Aggregates and window functions may stand here.
    aggregates: bool,
    made: usize,
}

impl<'c> Maker<'c> {
    fn new(choices: &'c mut Choices) -> Self {
        let (scopes, named) = Default::default();
        Self { choices, scopes, named, plain: false, used: false, aggregates: true, made: 0 }
    }

    fn fresh(&mut self) -> String {
        self.made += 1;
        match self.choices.below(10) {
            0..5 => format!("t{}", self.made),
            9 if self.choices.chance(30) => (*self.choices.one(&EXPRESSIONS)).to_owned(),
            _ => (*self.choices.one(&ALIASES)).to_owned(),
        }
    }

    /// Something said within, and whether anything secret was used for it.
    fn noting<R>(&mut self, make: impl FnOnce(&mut Self) -> R) -> (R, bool) {
        let before = std::mem::replace(&mut self.used, false);
        let made = make(self);
        let used = self.used;
        self.used |= before;
        (made, used)
    }

    fn plainly<R>(&mut self, make: impl FnOnce(&mut Self) -> R) -> R {
        let plain = self.plain || self.choices.below(100) < 88;
        let before = std::mem::replace(&mut self.plain, plain);
        let made = make(self);
        self.plain = before;
        made
    }

    // Tables and what is in them.

    fn tables(&mut self) -> Vec<String> {
        let mut statements = Vec::new();
        for n in 0..1 + self.choices.below(2) {
            statements.push(self.new_table(n));
        }
        for _ in 0..self.choices.below(3) {
            statements.push(self.change());
        }
        let (query, _) = self.query(&[], 1);
        statements.push(query);
        statements
    }

    fn new_table(&mut self, n: usize) -> String {
        let third = *self.choices.one(&[Text, Json, Texts, Number, Date, Row]);
        let types = [Int, Text, third];
        let (query, mut columns) = self.query(&types, 1);
        for (column, name) in columns.iter_mut().zip(["id", "name", "email"]) {
            column.name = name.to_owned();
        }
        let name = format!("s{n}");
        let what = *self.choices.one(&["TEMP TABLE", "TEMP TABLE", "TABLE", "MATERIALIZED VIEW"]);
        self.named.push(Table { name: name.clone(), schema: None, columns });
        // What is not temporary may be made in any schema, unless it is said in which.
        let schema = if what.starts_with("TEMP") { "" } else { "public." };
        format!("CREATE {what} {schema}{name}(id, name, email) AS {query}")
    }

    /// A change of a table that was made, or of one that is there.
    fn change(&mut self) -> String {
        let all = base();
        let table = match self.choices.below(4) {
            0 => all[1].clone(),
            1 => all[0].clone(),
            _ => self.named[self.choices.below(self.named.len())].clone(),
        };
        let name = table.name.clone();
        let form = self.choices.below(6);
        match form {
            0 | 1 => {
                let (query, _) = self.query(&[Int, Text], 1);
                let conflict = match name == "people" && self.choices.chance(70) {
                    true => " ON CONFLICT (id) DO UPDATE SET name = excluded.name",
                    false => "",
                };
                self.scopes.push(vec![table]);
                let returning = self.returning();
                self.scopes.pop();
                let second = if name == "bills" { "email" } else { "name" };
                format!("INSERT INTO {name} (id, {second}) {query}{conflict}{returning}")
            }
            2 => {
                let (text, beside, source) = self.beside(&table);
                let condition = self.plainly(|m| m.without_aggregates(|m| m.expression(Truth, 1)));
                let returning = self.returning();
                self.scopes.pop();
                let on = if self.choices.chance(30) {
                    condition
                } else {
                    format!("{beside}.id = {name}.id")
                };
                let then = if self.choices.chance(50) { "DO NOTHING" } else { "UPDATE SET id = 7" };
                let returning = if self.choices.chance(80) { String::new() } else { returning };
                let _ = text;
                format!(
                    "MERGE INTO {name} USING {source} ON {on} WHEN MATCHED THEN {then}{returning}"
                )
            }
            3 => {
                let (_, _, source) = self.beside(&table);
                let condition = self.plainly(|m| m.without_aggregates(|m| m.expression(Truth, 1)));
                let returning = self.returning();
                self.scopes.pop();
                format!("DELETE FROM {name} USING {source} WHERE {condition}{returning}")
            }
            _ => {
                let (value, _, source) = self.beside(&table);
                let condition = self.plainly(|m| m.without_aggregates(|m| m.expression(Truth, 1)));
                let returning = self.returning();
                self.scopes.pop();
                let column = if name == "bills" { "email" } else { "name" };
                format!(
                    "UPDATE {name} SET {column} = {value} FROM {source} WHERE {condition}{returning}"
                )
            }
        }
    }

    /// Puts a table and another item in scope: a text made of them, the item's name, and the item.
    fn beside(&mut self, table: &Table) -> (String, String, String) {
        let (source, others) = self.from_item(1, &[]);
        let name = others.first().map_or_else(String::new, |other| other.name.clone());
        let mut all = vec![table.clone()];
        all.extend(others);
        self.scopes.push(all);
        let text = self.without_aggregates(|m| m.expression(Text, 1));
        (text, name, source)
    }

    fn returning(&mut self) -> String {
        if self.choices.chance(40) {
            return String::new();
        }
        let before = std::mem::replace(&mut self.aggregates, false);
        let (items, _) = self.items(&[], 1);
        self.aggregates = before;
        format!(" RETURNING {items}")
    }

    // Queries.

    /// A query, with columns of these types if there are any.
    fn query(&mut self, wanted: &[Type], depth: usize) -> (String, Vec<Column>) {
        let form = if depth == 0 { 0 } else { self.choices.below(24) };
        match form {
            20 => self.values(wanted, depth),
            21 | 22 => self.set_operation(wanted, depth - 1),
            23 => self.with(wanted, depth - 1),
            19 => {
                let (inner, columns) = self.query(wanted, depth - 1);
                (format!("SELECT * FROM ({inner}) AS l LIMIT 3"), columns)
            }
            18 if wanted.is_empty() => {
                let table = self.relation();
                (format!("TABLE {}", qualified(&table)), table.columns)
            }
            _ => self.select(wanted, depth),
        }
    }

    fn values(&mut self, wanted: &[Type], depth: usize) -> (String, Vec<Column>) {
        let own = [Int, Text, Text];
        let wanted = if wanted.is_empty() { &own[..1 + self.choices.below(3)] } else { wanted };
        let rows = 1 + self.choices.below(2);
        let mut columns = Vec::new();
        let mut rows_made = Vec::new();
        for row in 0..rows {
            let mut items = Vec::new();
            for (n, of) in wanted.iter().enumerate() {
                let (item, secret) = self.noting(|m| m.expression(*of, depth.min(1)));
                items.push(item);
                match row {
                    0 => columns.push(Column { name: format!("column{}", n + 1), of: *of, secret }),
                    _ => columns[n].secret |= secret,
                }
            }
            rows_made.push(format!("({})", items.join(", ")));
        }
        (format!("VALUES {}", rows_made.join(", ")), columns)
    }

    fn set_operation(&mut self, wanted: &[Type], depth: usize) -> (String, Vec<Column>) {
        let operator = *self.choices.one(&[
            "UNION ALL",
            "UNION ALL",
            "UNION ALL",
            "UNION",
            "EXCEPT",
            "INTERSECT ALL",
        ]);
        let own: Vec<Type> =
            (0..1 + self.choices.below(3)).map(|_| *self.choices.one(&[Int, Text, Text])).collect();
        let wanted = if wanted.is_empty() { &own } else { wanted };
        let (left, mut columns) = self.query(wanted, depth);
        let (right, others) = self.query(wanted, depth);
        for (column, other) in columns.iter_mut().zip(others) {
            column.secret |= other.secret;
        }
        let order = if self.choices.chance(20) {
            format!(" ORDER BY {}", 1 + self.choices.below(2))
        } else {
            String::new()
        };
        (format!("({left}) {operator} ({right}){order}"), columns)
    }

    fn with(&mut self, wanted: &[Type], depth: usize) -> (String, Vec<Column>) {
        let before = self.named.len();
        let name = self.fresh();
        let text =
            if self.choices.chance(25) { self.recursive(&name) } else { self.common(&name, depth) };
        let (query, columns) = self.query(wanted, depth);
        self.named.truncate(before);
        (format!("WITH {text} {query}"), columns)
    }

    fn common(&mut self, name: &str, depth: usize) -> String {
        let scopes = std::mem::take(&mut self.scopes);
        let (query, mut columns) = self.query(&[], depth);
        self.scopes = scopes;
        let list = self.rename(&mut columns);
        let how = *self.choices.one(&["", "MATERIALIZED ", "NOT MATERIALIZED "]);
        self.named.push(Table { name: name.to_owned(), schema: None, columns });
        format!("{name}{list} AS {how}({query})")
    }

    fn recursive(&mut self, name: &str) -> String {
        let scopes = std::mem::take(&mut self.scopes);
        let (start, secret) = self.noting(|m| m.query(&[Int, Text], 1).0);
        let columns: Vec<Column> = [("id", Int), ("name", Text)]
            .map(|(name, of)| Column { name: name.to_owned(), of, secret })
            .into();
        let own = Table { name: name.to_owned(), schema: None, columns };
        self.scopes = vec![vec![own.clone()]];
        let (text, number) = (self.expression(Text, 1), self.expression(Int, 1));
        self.scopes = scopes;
        self.named.push(own);
        let operator = *self.choices.one(&["UNION ALL", "UNION"]);
        let behind = *self.choices.one(&[
            "",
            "",
            " SEARCH DEPTH FIRST BY id SET o",
            " CYCLE id SET c USING w",
            " CYCLE name SET c USING w",
            " ORDER BY 1 LIMIT 1",
        ]);
        // What orders the whole stands within.
        let orders = behind.starts_with(" ORDER");
        let (inside, behind) = if orders { (behind, "") } else { ("", behind) };
        // It may as well be no recursion at all.
        let source = if orders || self.choices.chance(10) { "people" } else { name };
        let step = *self.choices.one(&["id + 1", "id + 1", "2"]);
        let step = if self.choices.chance(10) { number } else { step.to_owned() };
        format!(
            "RECURSIVE {name}(id, name) AS (({start}) {operator} SELECT {step}, {text} FROM {source} WHERE {source}.id < 3{inside}){behind}"
        )
    }

    /// Names for the columns, fewer or as many.
    fn rename(&mut self, columns: &mut [Column]) -> String {
        if columns.is_empty() || !self.choices.chance(35) {
            return String::new();
        }
        let count = 1 + self.choices.below(columns.len());
        for (n, column) in columns.iter_mut().enumerate().take(count) {
            column.name = self.column_name(n);
        }
        let names: Vec<&str> = columns[..count].iter().map(|c| c.name.as_str()).collect();
        format!("({})", names.join(", "))
    }

    fn column_name(&mut self, n: usize) -> String {
        match self.choices.below(3) {
            0 => format!("c{n}"),
            _ => (*self.choices.one(&COLUMN_NAMES)).to_owned(),
        }
    }

    fn select(&mut self, wanted: &[Type], depth: usize) -> (String, Vec<Column>) {
        let bare = depth == 0 && !self.scopes.is_empty() && self.choices.chance(30);
        let (from, tables) = if bare { (String::new(), Vec::new()) } else { self.from(depth) };
        self.scopes.push(tables);
        let condition = if self.choices.chance(35) {
            format!(
                " WHERE {}",
                self.plainly(|m| m.without_aggregates(|m| m.expression(Truth, depth.min(1))))
            )
        } else {
            String::new()
        };
        let grouped = self.choices.below(8);
        let (items, columns, group) = match grouped {
            6 if wanted.is_empty() => self.aggregated(depth),
            7 if wanted.is_empty() => self.grouped(depth),
            _ => {
                let (items, columns) = self.items(wanted, depth);
                (items, columns, String::new())
            }
        };
        let window = if items.contains("OVER w") || self.choices.chance(2) {
            format!(
                " WINDOW w AS ({})",
                self.plainly(|m| format!(
                    "PARTITION BY {} ORDER BY {}",
                    m.any_column(),
                    m.any_column()
                ))
            )
        } else {
            String::new()
        };
        let distinct = match self.choices.below(20) {
            18 => "DISTINCT ".to_owned(),
            19 => format!("DISTINCT ON ({}) ", self.plainly(Self::any_column)),
            _ => String::new(),
        };
        let order = if self.choices.chance(25) { self.order(&columns) } else { String::new() };
        let limits = ["", "", "", "", "", " LIMIT 2", " OFFSET 1", " FETCH FIRST 2 ROWS WITH TIES"];
        let limit = *self.choices.one(&limits[..limits.len() - usize::from(order.is_empty())]);
        self.scopes.pop();
        (format!("SELECT {distinct}{items}{from}{condition}{group}{window}{order}{limit}"), columns)
    }

    fn order(&mut self, columns: &[Column]) -> String {
        let key = match self.choices.below(5) {
            0 | 1 => {
                let plain: Vec<usize> =
                    (0..columns.len()).filter(|n| !columns[*n].secret).collect();
                match plain.is_empty() || self.choices.chance(12) {
                    true => (1 + self.choices.below(columns.len())).to_string(),
                    false => (1 + *self.choices.one(&plain)).to_string(),
                }
            }
            2 if columns.iter().all(|c| !c.name.is_empty()) && !columns.is_empty() => {
                self.choices.one(columns).name.clone()
            }
            3 => self.plainly(|m| m.expression(Int, 1)),
            _ => self.plainly(Self::any_column),
        };
        let how = *self.choices.one(&["", " DESC", " NULLS FIRST"]);
        format!(" ORDER BY {key}{how}")
    }

    fn items(&mut self, wanted: &[Type], depth: usize) -> (String, Vec<Column>) {
        let (mut items, mut columns) = (Vec::new(), Vec::new());
        if wanted.is_empty() {
            for _ in 0..1 + self.choices.below(3) {
                self.item(depth, &mut items, &mut columns);
            }
        }
        for of in wanted {
            let (item, secret) = self.noting(|m| m.expression(*of, depth.min(2)));
            columns.push(Column { name: String::new(), of: *of, secret });
            items.push(item);
        }
        (items.join(", "), columns)
    }

    fn item(&mut self, depth: usize, items: &mut Vec<String>, columns: &mut Vec<Column>) {
        let here = self.scopes.last().cloned().unwrap_or_default();
        let form = self.choices.below(16);
        match form {
            12 if !here.is_empty() => {
                items.push("*".to_owned());
                columns.extend(here.into_iter().flat_map(|table| table.columns));
            }
            13 if !here.is_empty() => {
                let table = self.choices.one(&here).clone();
                let name =
                    if self.choices.chance(20) { qualified(&table) } else { table.name.clone() };
                items.push(if name.is_empty() { "*".to_owned() } else { format!("{name}.*") });
                columns.extend(table.columns);
            }
            14 => {
                let (item, _) = self.noting(|m| {
                    m.from_templates(if m.aggregates { WINDOWS } else { SETS }, depth.min(2))
                });
                self.named_item(item, Text, true, items, columns);
            }
            15 => {
                let (item, _) = self.noting(|m| m.from_templates(SETS, depth.min(2)));
                self.named_item(item, Text, true, items, columns);
            }
            _ => {
                let of = *self.choices.one(&TYPES);
                let (item, secret) = self.noting(|m| m.expression(of, depth.min(2)));
                self.named_item(item, of, secret, items, columns);
            }
        }
    }

    fn named_item(
        &mut self,
        item: String,
        of: Type,
        secret: bool,
        items: &mut Vec<String>,
        columns: &mut Vec<Column>,
    ) {
        // What has no name of its own has none that could be used.
        let last = item.rsplit('.').next().unwrap_or_default();
        let simple =
            if last.chars().all(|c| c.is_ascii_lowercase() || c == '_') { last } else { "" };
        let simple = simple.to_owned();
        match self.choices.chance(50) {
            true => {
                let name = self.column_name(columns.len());
                items.push(format!("{item} AS {name}"));
                columns.push(Column { name, of, secret });
            }
            false => {
                items.push(item);
                columns.push(Column { name: simple, of, secret });
            }
        }
    }

    fn aggregated(&mut self, depth: usize) -> (String, Vec<Column>, String) {
        let (mut items, mut columns) = (Vec::new(), Vec::new());
        for _ in 0..1 + self.choices.below(2) {
            let (item, secret) = self.noting(|m| m.from_templates(AGGREGATES, depth.min(2)));
            self.named_item(item, Text, secret, &mut items, &mut columns);
        }
        let having = if self.choices.chance(15) {
            format!(
                " HAVING {}",
                self.plainly(|m| m.from_templates(AGGREGATES, 1) + " IS NOT NULL")
            )
        } else {
            String::new()
        };
        (items.join(", "), columns, having)
    }

    fn grouped(&mut self, depth: usize) -> (String, Vec<Column>, String) {
        let (mut items, mut columns) = (Vec::new(), Vec::new());
        let mut keys = Vec::new();
        for n in 0..1 + self.choices.below(2) {
            let (key, secret) = self.noting(|m| {
                m.plainly(|m| match m.choices.chance(20) {
                    true => m.without_aggregates(|m| m.expression(Text, 1)),
                    false => m.any_column(),
                })
            });
            self.named_item(key.clone(), Text, secret, &mut items, &mut columns);
            keys.push(match self.choices.below(6) {
                4 => (n + 1).to_string(),
                5 if !columns[n].name.is_empty() => columns[n].name.clone(),
                _ => key,
            });
        }
        for _ in 0..1 + self.choices.below(2) {
            let (item, secret) = self.noting(|m| m.from_templates(AGGREGATES, depth.min(2)));
            self.named_item(item, Text, secret, &mut items, &mut columns);
        }
        let keys = keys.join(", ");
        let group = match self.choices.below(6) {
            3 => format!("ROLLUP ({keys})"),
            4 => format!("GROUPING SETS (({keys}), ())"),
            5 => format!("ROW({keys})"),
            _ => keys,
        };
        (items.join(", "), columns, format!(" GROUP BY {group}"))
    }

    // FROM.

    fn from(&mut self, depth: usize) -> (String, Vec<Table>) {
        let count = [1, 1, 1, 1, 2, 2, 3][self.choices.below(7)];
        let (mut texts, mut tables) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let (text, own) = self.from_item(depth, &tables);
            texts.push(text);
            tables.extend(own);
        }
        (format!(" FROM {}", texts.join(", ")), tables)
    }

    fn from_item(&mut self, depth: usize, before: &[Table]) -> (String, Vec<Table>) {
        let form = self.choices.below(if depth == 0 { 12 } else { 22 });
        match form {
            16..18 => self.derived(depth - 1, None),
            18..20 => self.derived(depth - 1, Some(before)),
            12..16 => self.join(depth - 1, before),
            20 => self.bracketed(depth - 1, before),
            10 | 11 | 21 => self.function(before),
            _ => self.plain_table(),
        }
    }

    fn plain_table(&mut self) -> (String, Vec<Table>) {
        let table = self.relation();
        let full = self.choices.chance(25) || table.schema == Some("other");
        let written = if full { qualified(&table) } else { table.name.clone() };
        let only = if table.schema.is_some() && self.choices.chance(5) { "ONLY " } else { "" };
        let sample = if table.schema.is_some() && self.choices.chance(3) {
            " TABLESAMPLE BERNOULLI (100)"
        } else {
            ""
        };
        if !self.choices.chance(60) {
            return (format!("{only}{written}{sample}"), vec![table]);
        }
        let name = self.fresh();
        let mut columns = table.columns;
        let list = self.rename(&mut columns);
        (
            format!("{only}{written} AS {name}{list}{sample}"),
            vec![Table { name, schema: None, columns }],
        )
    }

    fn relation(&mut self) -> Table {
        if !self.named.is_empty() && self.choices.chance(60) {
            return self.choices.one(&self.named).clone();
        }
        let all = base();
        match self.choices.below(2) {
            0 => all[0].clone(),
            _ => self.choices.one(&all).clone(),
        }
    }

    /// A query in FROM; with what stands before it in sight where it is lateral.
    fn derived(&mut self, depth: usize, lateral: Option<&[Table]>) -> (String, Vec<Table>) {
        if let Some(before) = lateral {
            self.scopes.push(before.to_vec());
        }
        let (query, mut columns) = self.query(&[], depth);
        if lateral.is_some() {
            self.scopes.pop();
        }
        let name = self.fresh();
        let list = self.rename(&mut columns);
        let how = if lateral.is_some() { "LATERAL " } else { "" };
        (format!("{how}({query}) AS {name}{list}"), vec![Table { name, schema: None, columns }])
    }

    fn function(&mut self, before: &[Table]) -> (String, Vec<Table>) {
        let (template, columns) = *self.choices.one(FROM);
        let name = self.fresh();
        self.scopes.push(before.to_vec());
        let (text, secret) =
            self.noting(|m| m.without_aggregates(|m| m.fill(&template.replace("{A}", &name), 1)));
        self.scopes.pop();
        let columns = columns.replace("{A}", &name);
        let columns = columns.split(", ").map(|c| {
            let own = column(c);
            Column { secret: own.secret || secret, ..own }
        });
        (text, vec![Table { columns: columns.collect(), name, schema: None }])
    }

    fn join(&mut self, depth: usize, before: &[Table]) -> (String, Vec<Table>) {
        let (left, mut tables) = self.from_item(depth, before);
        let known = [before, &tables].concat();
        let (right, others) = self.from_item(depth, &known);
        let shared = shared(&tables, &others);
        tables.extend(others);
        let kind = *self.choices.one(&["JOIN", "LEFT JOIN", "JOIN", "RIGHT JOIN", "FULL JOIN"]);
        let how = match self.choices.below(8) {
            0 => return (format!("{left} CROSS JOIN {right}"), tables),
            1 => {
                tables.insert(0, Table { name: String::new(), schema: None, columns: shared });
                return (format!("{left} NATURAL {kind} {right}"), tables);
            }
            2..4 if !shared.is_empty() => {
                let column = self.choices.one(&shared).clone();
                let mut how = format!("USING ({})", column.name);
                let mut name = String::new();
                if self.choices.chance(30) {
                    name = self.fresh();
                    how += &format!(" AS {name}");
                }
                tables.insert(0, Table { name, schema: None, columns: vec![column] });
                how
            }
            _ => {
                self.scopes.push(tables.clone());
                let on = self.plainly(|m| {
                    m.without_aggregates(|m| match m.choices.below(3) {
                        0 => "true".to_owned(),
                        1 => format!("{} = {}", m.reference(Int), m.reference(Int)),
                        _ => m.expression(Truth, 1),
                    })
                });
                self.scopes.pop();
                format!("ON {on}")
            }
        };
        (format!("{left} {kind} {right} {how}"), tables)
    }

    /// A join that has a name as a whole.
    fn bracketed(&mut self, depth: usize, before: &[Table]) -> (String, Vec<Table>) {
        let (join, tables) = self.join(depth, before);
        if !self.choices.chance(60) {
            return (format!("({join})"), tables);
        }
        let name = self.fresh();
        let mut columns: Vec<Column> = tables.into_iter().flat_map(|table| table.columns).collect();
        let list = self.rename(&mut columns);
        (format!("({join}) AS {name}{list}"), vec![Table { name, schema: None, columns }])
    }

    // Expressions.

    fn without_aggregates<R>(&mut self, make: impl FnOnce(&mut Self) -> R) -> R {
        let before = std::mem::replace(&mut self.aggregates, false);
        let made = make(self);
        self.aggregates = before;
        made
    }

    fn expression(&mut self, of: Type, depth: usize) -> String {
        if depth == 0 || self.choices.below(10) < 4 {
            return self.reference(of);
        }
        let templates = match of {
            Text => TEXT,
            Int => INT,
            Number => NUMBER,
            Date => DATE,
            Json => JSON,
            Texts => TEXTS,
            Ints => INTS,
            Address => ADDRESS,
            Truth => TRUTH,
            Row => ROW,
        };
        self.from_templates(templates, depth)
    }

    fn from_templates(&mut self, templates: &[&str], depth: usize) -> String {
        let mut template = *self.choices.one(templates);
        // Most places have no room for an aggregate.
        let over = |t: &str| {
            ["agg(", "max(", "count(", "sum(", "avg(", "OVER", "bool_and(", "stddev(", "grouping("]
                .iter()
                .any(|a| t.contains(a))
        };
        let listed = std::ptr::eq(templates, AGGREGATES) || std::ptr::eq(templates, WINDOWS);
        if !listed && over(template) && !(self.aggregates && self.choices.chance(15)) {
            template = templates[0];
        }
        let aggregates = self.aggregates && !over(template);
        let before = std::mem::replace(&mut self.aggregates, aggregates);
        let made = self.fill(template, depth.saturating_sub(1));
        self.aggregates = before;
        made
    }

    /// Puts something in for what stands in braces.
    fn fill(&mut self, template: &str, depth: usize) -> String {
        let mut out = String::new();
        let mut rest = template;
        while let Some(at) = rest.find('{') {
            out.push_str(&rest[..at]);
            let (hole, behind) = match rest[at..].find('}') {
                Some(end) => (&rest[at + 1..at + end], &rest[at + end + 1..]),
                None => ("", &rest[at + 1..]),
            };
            match self.hole(hole, depth) {
                Some(made) => out.push_str(&made),
                None => out.push_str(&rest[at..rest.len() - behind.len()]),
            }
            rest = behind;
        }
        out + rest
    }

    fn hole(&mut self, hole: &str, depth: usize) -> Option<String> {
        //  a path within jsonb, and stays.
        let of = |letter: &str| {
            Some(match letter {
                "t" => Text,
                "i" => Int,
                "n" => Number,
                "d" => Date,
                "j" => Json,
                "a" => Texts,
                "b" => Truth,
                "h" => Address,
                "r" => Row,
                "k" => Ints,
                _ => return None,
            })
        };
        Some(match hole {
            "x" => {
                let of = *self.choices.one(&TYPES);
                self.expression(of, depth)
            }
            "p" => self.plainly(Self::any_column),
            "c" => self.plainly(|m| m.expression(Truth, depth.min(1))),
            "q*" => self.inner(&[], depth),
            _ => match hole.strip_prefix('q') {
                Some(letter) => {
                    let of = of(letter)?;
                    self.inner(&[of], depth)
                }
                None => {
                    let of = of(hole)?;
                    self.expression(of, depth)
                }
            },
        })
    }

    fn inner(&mut self, wanted: &[Type], depth: usize) -> String {
        let before = std::mem::replace(&mut self.aggregates, true);
        let (query, _) = self.query(wanted, depth.min(1));
        self.aggregates = before;
        match wanted.is_empty() || self.choices.chance(5) {
            true => query,
            false => format!("SELECT * FROM ({query}) AS l LIMIT 1"),
        }
    }

    /// Some column.
    fn any_column(&mut self) -> String {
        let of = *self.choices.one(&[Int, Int, Text, Text, Number, Date]);
        self.reference(of)
    }

    /// A column of the type, or a literal.
    fn reference(&mut self, of: Type) -> String {
        let count = self.scopes.len();
        // The innermost most of the time.
        let scope = if count > 1 && self.choices.chance(20) {
            self.choices.below(count)
        } else {
            count.wrapping_sub(1)
        };
        let tables = self.scopes.get(scope).cloned().unwrap_or_default();
        if of == Row {
            let all: Vec<&Table> = tables.iter().filter(|t| !t.name.is_empty()).collect();
            if all.is_empty() {
                return "ROW(1, 'x')".to_owned();
            }
            let table = *self.choices.one(&all);
            self.used |= table.columns.iter().any(|c| c.secret);
            return if self.choices.chance(8) {
                format!("{}.*", table.name)
            } else {
                table.name.clone()
            };
        }
        let plain = self.plain;
        let fits = |c: &&Column| c.of == of && !(plain && c.secret) && !c.name.is_empty();
        let found: Vec<(&Table, &Column)> = tables
            .iter()
            .flat_map(|t| t.columns.iter().filter(fits).map(move |c| (t, c)))
            .collect();
        // What is masked is what it is about.
        let secret: Vec<_> = found.iter().copied().filter(|(_, c)| c.secret).collect();
        let found = if secret.is_empty() || self.choices.chance(30) { found } else { secret };
        if found.is_empty() || self.choices.chance(6) {
            return literal(of).to_owned();
        }
        let (table, column) = *self.choices.one(&found);
        self.used |= column.secret;
        let name = &column.name;
        match self.choices.below(48) {
            0..16 => name.clone(),
            _ if table.name.is_empty() => name.clone(),
            16..20 => format!("({}).{name}", table.name),
            20 => format!("{name}({})", table.name),
            21..24 => format!("{}.{name}", qualified(table)),
            _ => format!("{}.{name}", table.name),
        }
    }
}

fn qualified(table: &Table) -> String {
    match table.schema {
        Some(schema) => format!("{schema}.{}", table.name),
        None => table.name.clone(),
    }
}

/// Columns of both that have the same name.
fn shared(left: &[Table], right: &[Table]) -> Vec<Column> {
    let columns =
        |tables: &[Table]| tables.iter().flat_map(|t| t.columns.clone()).collect::<Vec<_>>();
    let others = columns(right);
    let both = columns(left).into_iter().filter_map(|c| {
        let other = others.iter().find(|o| o.name == c.name)?;
        Some(Column { secret: c.secret || other.secret, ..c })
    });
    both.collect()
}

const fn literal(of: Type) -> &'static str {
    match of {
        Int => "1",
        Number => "2.5",
        Text => "'ann'",
        Truth => "true",
        Date => "date '1980-01-02'",
        Json => "jsonb '{\"k\": \"v\"}'",
        Texts => "ARRAY['x', 'y']",
        Ints => "ARRAY[1, 2]",
        Address => "ROW('s', 1)::address",
        Row => "ROW(1, 'x')",
    }
}
