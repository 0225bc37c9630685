//! Cedar schema, packs and the judge
