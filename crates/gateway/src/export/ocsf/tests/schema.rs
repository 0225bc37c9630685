//! Reads the schema as it is published (github.com/ocsf/ocsf-schema, `./dev ocsf`) and finds what of an event is
//! not as it says. Stricter than its readers: an attribute that it does not have is a fault.

use serde_json::{Map, Value};
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Definitions by name.
type Definitions = HashMap<String, Value>;

pub(super) struct Schema {
    root: PathBuf,
    dictionary: Value,
    categories: Value,
    classes: Definitions,
    objects: Definitions,
}

fn read(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn definitions(directory: &Path, found: &mut Definitions) {
    for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            definitions(&path, found);
        } else if path.extension().is_some_and(|end| end == "json") {
            let one = read(&path);
            found.insert(one["name"].as_str().unwrap().to_owned(), one);
        }
    }
}

/// Puts what is more special over what is more general.
fn over(below: &mut Map<String, Value>, above: &Map<String, Value>) {
    for (key, value) in above {
        match (below.get_mut(key), value) {
            (Some(Value::Object(below)), Value::Object(above)) => over(below, above),
            _ => drop(below.insert(key.clone(), value.clone())),
        }
    }
}

impl Schema {
    /// That in `PORTCULLIS_OCSF_SCHEMA`, or in `.dev/ocsf-schema`.
    pub(super) fn find() -> Option<Self> {
        let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.dev/ocsf-schema");
        let root = std::env::var_os("PORTCULLIS_OCSF_SCHEMA").map_or(own, PathBuf::from);
        if !root.join("version.json").is_file() {
            assert!(std::env::var_os("PORTCULLIS_OCSF_SCHEMA").is_none(), "{}", root.display());
            return None;
        }
        let version = read(&root.join("version.json"));
        assert!(version["version"].as_str().unwrap().starts_with("1.9."), "{version}");
        let (mut classes, mut objects) = (HashMap::new(), HashMap::new());
        definitions(&root.join("events"), &mut classes);
        definitions(&root.join("objects"), &mut objects);
        let dictionary = read(&root.join("dictionary.json"));
        let categories = read(&root.join("categories.json"));
        Some(Self { root, dictionary, categories, classes, objects })
    }

    /// The attributes of a class or object, with those it has from others.
    fn attributes(&self, of: &Definitions, name: &str) -> Map<String, Value> {
        let definition = of.get(name).unwrap_or_else(|| panic!("there is no {name}"));
        let mut all = match definition["extends"].as_str() {
            Some(parent) => self.attributes(of, parent),
            None => Map::new(),
        };
        let own = definition["attributes"].as_object().unwrap();
        let included = own.get("$include").and_then(Value::as_array).into_iter().flatten();
        for path in included.map(|path| path.as_str().unwrap()) {
            let profile = read(&self.root.join(path));
            let mut attributes = profile["attributes"].as_object().unwrap().clone();
            attributes.values_mut().for_each(|one| one["profile"] = profile["name"].clone());
            over(&mut all, &attributes);
        }
        let mut own = own.clone();
        own.remove("$include");
        over(&mut all, &own);
        all
    }

    fn constraints<'d>(&self, of: &'d Definitions, name: &str) -> Option<&'d Value> {
        let definition = of.get(name)?;
        let own = definition.get("constraints");
        own.or_else(|| self.constraints(of, definition["extends"].as_str()?))
    }

    /// What is wrong with an event.
    pub(super) fn faults(&self, event: &Value) -> Vec<String> {
        let mut faults = Vec::new();
        let number = |key: &str| event[key].as_i64().unwrap_or(-1);
        let uid = number("class_uid");
        let class = self.classes.iter().find(|(name, class)| {
            let category = self.category_of(name);
            let own = class["uid"].as_i64();
            own.is_some_and(|own| category * 1000 + own == uid) || uid == 0 && *name == "base_event"
        });
        let Some((name, class)) = class else { return vec![format!("no class {uid}")] };
        if number("category_uid") != self.category_of(name) {
            faults.push(format!("category_uid is not {}", self.category_of(name)));
        }
        if number("type_uid") != uid * 100 + number("activity_id") {
            faults.push("type_uid is not that of class and activity".to_owned());
        }
        if event["class_name"] != class["caption"] {
            faults.push(format!("class_name is not {}", class["caption"]));
        }
        let version = event["metadata"]["version"].as_str().unwrap_or_default();
        if version != "1.9.0" {
            faults.push(format!("version {version}"));
        }
        let profiles: Vec<&str> = event["metadata"]["profiles"]
            .as_array()
            .map(|all| all.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default();
        let attributes = self.attributes(&self.classes, name);
        self.check(
            event,
            (&attributes, self.constraints(&self.classes, name)),
            &profiles,
            name,
            &mut faults,
        );
        faults
    }

    /// The number of the category of a class, which the ones it extends may tell.
    fn category_of(&self, name: &str) -> i64 {
        let Some(class) = self.classes.get(name) else { return 0 };
        match class["category"].as_str() {
            Some(category) => {
                self.categories["attributes"][category]["uid"].as_i64().unwrap_or_default()
            }
            None => class["extends"].as_str().map_or(0, |parent| self.category_of(parent)),
        }
    }

    fn check(
        &self,
        value: &Value,
        (attributes, constraints): (&Map<String, Value>, Option<&Value>),
        profiles: &[&str],
        at: &str,
        faults: &mut Vec<String>,
    ) {
        let Some(fields) = value.as_object() else {
            return faults.push(format!("{at} is no object"));
        };
        let there =
            |one: &Value| one["profile"].as_str().is_none_or(|name| profiles.contains(&name));
        for (name, _) in attributes.iter().filter(|(name, one)| {
            one["requirement"] == "required" && there(one) && !fields.contains_key(*name)
        }) {
            faults.push(format!("{at} lacks {name}"));
        }
        for (name, value) in fields {
            match attributes.get(name).filter(|one| there(one)) {
                Some(attribute) => {
                    self.attribute(
                        (name, attribute),
                        value,
                        profiles,
                        &format!("{at}.{name}"),
                        faults,
                    );
                }
                None => faults.push(format!("{at} has {name}")),
            }
        }
        for (kind, names) in constraints.and_then(Value::as_object).into_iter().flatten() {
            let names = names.as_array().unwrap().iter().filter_map(Value::as_str);
            let count = names.filter(|name| fields.contains_key(*name)).count();
            if kind == "at_least_one" && count == 0 || kind == "just_one" && count != 1 {
                faults.push(format!("{at}: {kind} of {constraints:?}"));
            }
        }
    }

    fn attribute(
        &self,
        (name, attribute): (&str, &Value),
        value: &Value,
        profiles: &[&str],
        at: &str,
        faults: &mut Vec<String>,
    ) {
        let known = &self.dictionary["attributes"][name];
        let kind = attribute["type"].as_str().or(known["type"].as_str()).unwrap();
        let is_array =
            attribute.get("is_array").unwrap_or(&known["is_array"]) == &Value::Bool(true);
        let values = match (is_array, value.as_array()) {
            (true, Some(all)) => all.iter().collect(),
            (true, None) => return faults.push(format!("{at} is no list")),
            (false, _) => vec![value],
        };
        let mut choices = known["enum"].as_object().cloned().unwrap_or_default();
        over(&mut choices, attribute["enum"].as_object().unwrap_or(&Map::new()));
        for value in values {
            // The compiler of the schema makes these two: they are compared above.
            if !choices.is_empty() && name != "class_uid" && name != "category_uid" {
                let word = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                if !choices.contains_key(&word) {
                    faults.push(format!("{at} is {word}, which there is not"));
                }
            }
            self.typed(kind, value, profiles, at, faults);
        }
    }

    fn typed(
        &self,
        kind: &str,
        value: &Value,
        profiles: &[&str],
        at: &str,
        faults: &mut Vec<String>,
    ) {
        let types = &self.dictionary["types"]["attributes"];
        let Some(of) = types.get(kind) else {
            // What stands for itself: `object`.
            if kind == "object" {
                return if value.is_object() {
                } else {
                    faults.push(format!("{at} is no object"))
                };
            }
            let attributes = self.attributes(&self.objects, kind);
            let constraints = self.constraints(&self.objects, kind);
            return self.check(value, (&attributes, constraints), profiles, at, faults);
        };
        let base = of["type"].as_str().unwrap_or(kind);
        let fits = match base {
            "string_t" => value.is_string(),
            "integer_t" | "long_t" | "timestamp_t" => value.is_i64() || value.is_u64(),
            "boolean_t" => value.is_boolean(),
            "float_t" => value.is_number(),
            "json_t" => true,
            other => panic!("{at}: type {other}"),
        };
        let length = of["max_len"].as_u64().unwrap_or(u64::MAX);
        let long = value.as_str().is_some_and(|text| text.len() as u64 > length);
        let range = of["range"].as_array();
        let beyond = range.is_some_and(|range| {
            let number = value.as_i64().unwrap_or(-1);
            Some(number) < range[0].as_i64() || Some(number) > range[1].as_i64()
        });
        if !fits || long || beyond {
            faults.push(format!("{at} is no {kind}: {value}"));
        }
        if kind == "ip_t" && value.as_str().is_none_or(|ip| ip.parse::<std::net::IpAddr>().is_err())
        {
            faults.push(format!("{at} is no address"));
        }
    }
}
