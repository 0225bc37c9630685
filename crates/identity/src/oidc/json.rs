//! JSON with one reading: an object that says the same thing twice is refused, at every depth
//! (RFC 7519 §4, RFC 7515 §4). Used for token headers and claims before anything is believed.

use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::fmt;

/// Reads one JSON object that fills all of `bytes`. Depth is bounded by serde_json (128 levels),
/// size by the caller.
pub(crate) fn object(bytes: &[u8]) -> Result<Map<String, Value>, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = Unique.deserialize(&mut reader)?;
    reader.end()?;
    match value {
        Value::Object(map) => Ok(map),
        _ => Err(serde_json::Error::custom("not an object")),
    }
}

struct Unique;

impl<'de> DeserializeSeed<'de> for Unique {
    type Value = Value;
    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unique {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without repeated names")
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Bool(flag))
    }
    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }
    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }
    fn visit_f64<E: Error>(self, number: f64) -> Result<Value, E> {
        Number::from_f64(number).map(Value::Number).ok_or_else(|| E::custom("not a finite number"))
    }
    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(text.to_owned()))
    }
    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::String(text))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Self)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(name) = entries.next_key::<String>()? {
            let value = entries.next_value_seed(Self)?;
            if map.insert(name, value).is_some() {
                return Err(A::Error::custom("a name is repeated"));
            }
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_reading_only() {
        let check = |text: &str, good: bool| {
            assert_eq!(object(text.as_bytes()).is_ok(), good, "{text}");
        };
        check(r#"{"a":1,"b":[{"c":null}],"d":-1.5,"e":true}"#, true);
        check(r#"{"a":1,"a":1}"#, false);
        check(r#"{"a":1,"\u0061":2}"#, false);
        check(r#"{"x":{"a":1,"a":2}}"#, false);
        check(r#"{"x":[[{"a":1,"a":2}]]}"#, false);
        check(r#"{"a":1} x"#, false);
        check(r#"{"a":1}{"b":2}"#, false);
        check(r#"["a"]"#, false);
        check("\u{feff}{}", false);
        check(&"[".repeat(10_000), false);
        check(r#"{"a":1e999}"#, false);
    }

    proptest::proptest! {
        #[test]
        fn agrees_with_serde_json_where_names_are_unique(bytes: Vec<u8>) {
            if let Ok(map) = object(&bytes) {
                proptest::prop_assert_eq!(
                    serde_json::from_slice::<Value>(&bytes).unwrap(),
                    Value::Object(map)
                );
            }
        }

        #[test]
        fn reads_what_serde_json_writes(
            map in proptest::collection::btree_map(".{0,8}", proptest::option::of(".{0,8}"), 0..6)
        ) {
            let text = serde_json::to_string(&map).unwrap();
            let read = object(text.as_bytes()).unwrap();
            proptest::prop_assert_eq!(serde_json::to_value(&map).unwrap(), Value::Object(read));
        }
    }
}
