//! What types are made of, and so which of them run code of users when values of them are made,
//! converted or compared. Part of reading the catalog (`load.rs`), before any request is analysed.

use super::load::{MAX_ROWS, Results, Row, rows};
use super::{Catalog, CatalogError, FIRST_USER_OID, ImplicitCast, Type};
use portcullis_core::digest::Digester;
use portcullis_core::mask::{TypeMap, UserType};
use std::collections::{BTreeSet, HashMap, HashSet};

/// A type as the target describes it.
struct Described<'a> {
    oid: u32,
    schema: &'a str,
    name: &'a str,
    /// `pg_type.typtype`.
    kind: char,
    /// `pg_type.typcategory`.
    category: char,
    element: u32,
    base: u32,
    /// The relation whose rows are of the type.
    relation: u32,
    /// True for a domain with checks.
    checked: bool,
    /// The extension it is of, where it is one of those that are known.
    extension: Option<&'a str>,
    /// Of an enumeration, by lines.
    labels: Option<&'a str>,
}

/// All types there are.
pub(super) struct Types<'a> {
    all: Vec<Described<'a>>,
    places: HashMap<u32, usize>,
    /// Ranges: what they are ranges of, and their multiranges.
    ranges: HashMap<u32, (u32, u32)>,
}

impl<'a> Types<'a> {
    pub(super) fn read(results: Results<'a>) -> Result<Self, CatalogError> {
        let all = rows(results, 17).map(described).collect::<Result<Vec<_>, _>>()?;
        let places = all.iter().enumerate().map(|(place, t)| (t.oid, place)).collect();
        let ranges = rows(results, 18)
            .map(|row| Ok((row.number(0)?, (row.number(1)?, row.number(2)?))))
            .collect::<Result<_, CatalogError>>()?;
        Ok(Self { all, places, ranges })
    }

    fn get(&self, oid: u32) -> Option<&Described<'a>> {
        self.places.get(&oid).and_then(|place| self.all.get(*place))
    }

    /// The schema and name of a type.
    pub(super) fn name(&self, oid: u32) -> Option<(&'a str, &'a str)> {
        self.get(oid).map(|t| (t.schema, t.name))
    }

    /// By each type those that are made of it.
    fn wholes(&self, catalog: &Catalog, results: Results<'_>) -> Result<Wholes, CatalogError> {
        let mut wholes = Wholes::default();
        let mut rows_of: HashMap<u32, u32> = HashMap::new();
        for t in &self.all {
            wholes.add(t.oid, t.element);
            wholes.add(t.oid, t.base);
            if t.relation != 0 {
                rows_of.insert(t.relation, t.oid);
            }
        }
        for (range, (part, multirange)) in &self.ranges {
            wholes.add(*range, *part);
            wholes.add(*multirange, *range);
        }
        let mut known = HashSet::new();
        for row in rows(results, 3) {
            let relation = row.number(0)?;
            if let Some(whole) = rows_of.get(&relation) {
                known.insert(relation);
                wholes.add(*whole, row.number(3)?);
            }
        }
        // Before PostgreSQL 14 the rows of TOAST tables, which are not read, had types.
        if catalog.server_version < 140_000 {
            let read = |relation| known.contains(relation) || catalog.relation(*relation).is_some();
            let others = rows_of.iter().filter(|(relation, _)| !read(relation));
            others.for_each(|(_, whole)| TOAST.iter().for_each(|part| wholes.add(*whole, *part)));
        }
        Ok(wholes)
    }
}

/// The types of the columns of a TOAST table: `oid`, `int4` and `bytea`.
const TOAST: [u32; 3] = [26, 23, 17];

fn described(row: Row<'_>) -> Result<Described<'_>, CatalogError> {
    Ok(Described {
        oid: row.number(0)?,
        schema: row.text(1)?,
        name: row.text(2)?,
        kind: row.letter(3)?,
        category: row.letter(4)?,
        element: row.number(5)?,
        base: row.number(6)?,
        relation: row.number(7)?,
        checked: row.flag(8)?,
        extension: row.optional(9)?,
        labels: row.optional(10)?,
    })
}

/// By each type those that are made of it.
#[derive(Default)]
struct Wholes(HashMap<u32, Vec<u32>>);

impl Wholes {
    fn add(&mut self, whole: u32, part: u32) {
        if whole != 0 && part != 0 {
            self.0.entry(part).or_default().push(whole);
        }
    }

    /// These types, and all that is made of them.
    fn reached(&self, mut open: Vec<u32>) -> HashSet<u32> {
        let mut reached: HashSet<u32> = open.iter().copied().collect();
        while let Some(part) = open.pop() {
            for whole in self.0.get(&part).into_iter().flatten() {
                if reached.insert(*whole) {
                    open.push(*whole);
                }
            }
        }
        reached
    }
}

/// Keeps which types run code of users, and which are converted by it, with what the catalog says
/// of types; adds to `digester` what it keeps.
pub(super) fn load(
    catalog: &mut Catalog,
    types: &Types<'_>,
    results: Results<'_>,
    digester: &mut Digester,
) -> Result<(), CatalogError> {
    let mut seeds: HashMap<char, Vec<u32>> = HashMap::new();
    for row in rows(results, 9) {
        seeds.entry(row.letter(0)?).or_default().push(row.number(1)?);
    }
    let casts = rows(results, 15).map(cast).collect::<Result<Vec<_>, _>>()?;
    // Mostly there are none.
    let wholes = match seeds.is_empty() && casts.is_empty() {
        true => Wholes::default(),
        false => types.wholes(catalog, results)?,
    };
    let mut of = |letter| wholes.reached(seeds.remove(&letter).unwrap_or_default());
    let (read, made, compared) = (of('r'), of('m'), of('c'));
    catalog.coded_types = read.iter().chain(&made).chain(&compared).copied().collect();
    // A literal beside a value is read as what a domain is made of.
    let adopts = |t: &Described<'_>| {
        compared.contains(&t.oid)
            || read.contains(&t.oid) && (t.kind != 'd' || matches!(t.category, 'A' | 'C' | 'R'))
    };
    catalog.adopting_types = types.all.iter().filter(|t| adopts(t)).map(|t| t.oid).collect();
    catalog.coded_literals = read;
    keep_types(catalog, types, digester);
    keep_casts(catalog, types, &wholes, &casts, digester)?;
    catalog.type_map = type_map(catalog, types).into();
    Ok(())
}

/// Types by name; of arrays and row types only those that run code of users.
fn keep_types(catalog: &mut Catalog, types: &Types<'_>, digester: &mut Digester) {
    for t in &types.all {
        let plain = matches!(t.kind, 'b' | 'd' | 'e' | 'r' | 'm') && t.category != 'A';
        let user_code = catalog.coded_types.contains(&t.oid);
        if !plain && !user_code {
            continue;
        }
        let flags = [&catalog.coded_types, &catalog.coded_literals, &catalog.adopting_types]
            .map(|set| u8::from(set.contains(&t.oid)));
        digester.add(&t.oid.to_be_bytes());
        digester.add(t.schema.as_bytes());
        digester.add(t.name.as_bytes());
        digester.add(&flags);
        let found = Type { oid: t.oid, schema: t.schema.into(), user_code };
        catalog.types.entry(t.name.into()).or_default().push(found);
    }
}

/// A cast by code of users that is not asked for.
struct Cast<'a> {
    source: u32,
    function: u32,
    name: (&'a str, &'a str),
}

fn cast(row: Row<'_>) -> Result<Cast<'_>, CatalogError> {
    let name = (row.text(2)?, row.text(3)?);
    Ok(Cast { source: row.number(0)?, function: row.number(1)?, name })
}

fn keep_casts(
    catalog: &mut Catalog,
    types: &Types<'_>,
    wholes: &Wholes,
    casts: &[Cast<'_>],
    digester: &mut Digester,
) -> Result<(), CatalogError> {
    let mut all = BTreeSet::new();
    for cast in casts {
        let reached = wholes.reached(vec![cast.source]).into_iter();
        all.extend(reached.map(|source| (source, cast.function, cast.name)));
        if all.len() > MAX_ROWS {
            return Err(CatalogError::TooLarge { result: 15, limit: MAX_ROWS });
        }
    }
    // No number of a type: those end here.
    digester.add(b"casts");
    for (source, _, function) in all {
        let Some((schema, name)) = types.name(source) else { continue };
        digester.add(&source.to_be_bytes());
        [schema, name, function.0, function.1].iter().for_each(|t| digester.add(t.as_bytes()));
        let function = (function.0.into(), function.1.into());
        let cast = ImplicitCast { source, schema: schema.into(), name: name.into(), function };
        catalog.casts.push(cast);
    }
    Ok(())
}

/// What types of users are made of.
fn type_map(catalog: &Catalog, types: &Types<'_>) -> TypeMap {
    let users = types.all.iter().filter(|t| t.oid >= FIRST_USER_OID);
    users
        .filter_map(|t| {
            let array = t.category == 'A' && t.element != 0;
            let made = match (t.kind, t.extension) {
                (_, Some("citext")) => UserType::Text,
                (_, Some("hstore")) => UserType::Hstore,
                ('d', _) if array => UserType::Array(t.base),
                (_, _) if array => UserType::Array(t.element),
                ('d', _) => UserType::Domain { base: t.base, checked: t.checked },
                ('r', _) => {
                    UserType::Range(types.ranges.get(&t.oid).map(|r| r.0).unwrap_or_default())
                }
                ('m', _) => UserType::Multirange,
                ('e', _) => {
                    let labels = t.labels.unwrap_or_default();
                    UserType::Enum(labels.split('\n').map(Box::from).collect())
                }
                ('c', _) => {
                    let relation = catalog.relations.get(&t.relation)?;
                    UserType::Composite(relation.columns.iter().map(|c| c.type_oid).collect())
                }
                _ => return None,
            };
            Some((t.oid, made))
        })
        .collect()
}
