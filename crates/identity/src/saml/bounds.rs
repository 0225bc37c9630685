//! How much a text of XML may ask of whoever reads it, held before it is read. Before the life of a request.
//!
//! The reader compares each attribute of a tag with those before it, namespaces and all, and each tag that
//! declares a prefix with all prefixes that are in force: work that grows as a square, so that a short text
//! could take minutes. Who sends it is not known by then.

use super::error::SamlError;
use std::collections::HashSet;

/// What white space is in a tag (XML 1.0 §2.3).
const SPACE: [char; 4] = [' ', '\t', '\r', '\n'];
/// Longest prefix and longest namespace, in bytes: they are compared as often as they are used.
const MAX_PREFIX: usize = 64;
const MAX_NAMESPACE: usize = 1_024;

/// The most a text may have.
pub(super) struct Bounds {
    /// Nodes, which the reader counts.
    pub(super) nodes: u32,
    /// Attributes of a tag, declarations among them.
    attributes: usize,
    /// Prefixes that are declared anywhere. Declaring one again is nothing new.
    prefixes: usize,
    /// Comparisons of prefixes, over all tags that declare one.
    comparisons: usize,
}

/// Those of a message. Real ones stay below 10 attributes, 10 prefixes and 200,000 comparisons: 1,000
/// values that declare their type each.
pub(super) const MESSAGE: Bounds =
    Bounds { nodes: 20_000, attributes: 64, prefixes: 64, comparisons: 1 << 22 };

/// Those of a document that somebody has configured: the metadata of a federation, at most.
pub(super) const CONFIGURED: Bounds =
    Bounds { nodes: 1_000_000, attributes: 256, prefixes: 256, comparisons: 1 << 28 };

impl Bounds {
    /// Refuses a text that has more. What is not well-formed may pass, up to where it is not: so far the
    /// reader gets, and no further.
    pub(super) fn hold(&self, text: &str) -> Result<(), SamlError> {
        let more_than = |most, what| Err(SamlError::TooMany { what, most });
        let (mut prefixes, mut comparisons) = (HashSet::new(), 0_usize);
        // No value has a `<` in it (XML 1.0 §2.3, AttValue): every tag begins with one, and has no
        // other. Tags in comments and in CDATA are counted as if they were there.
        for tag in text.split('<').skip(1).filter(|tag| !tag.starts_with(['!', '?'])) {
            let mut own = Vec::new();
            for (before, (name, value)) in attributes(tag).enumerate() {
                if before == self.attributes {
                    return more_than(self.attributes, "attributes in a tag");
                }
                if let Some(prefix) = declared(name)? {
                    if own.contains(&prefix) {
                        return Err(SamlError::Xml("a tag declares a prefix twice".into()));
                    }
                    if prefix.len() > MAX_PREFIX {
                        return more_than(MAX_PREFIX, "bytes in a prefix");
                    }
                    if value.len() > MAX_NAMESPACE {
                        return more_than(MAX_NAMESPACE, "bytes in the name of a namespace");
                    }
                    own.push(prefix);
                }
            }
            if own.is_empty() {
                continue;
            }
            prefixes.extend(own);
            if prefixes.len() > self.prefixes {
                return more_than(self.prefixes, "prefixes of namespaces");
            }
            comparisons = comparisons.saturating_add(prefixes.len() * prefixes.len());
            if comparisons > self.comparisons {
                return more_than(self.comparisons, "comparisons of prefixes to make");
            }
        }
        Ok(())
    }
}

/// The attributes of a tag: what stands before `=`, and a value in quotes as it is written, which may have
/// a `>`.
fn attributes(tag: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = tag;
    std::iter::from_fn(move || {
        let (before, from) = rest.split_at(rest.find(['"', '\'', '>'])?);
        let quote = from.chars().next().filter(|end| *end != '>')?;
        let from = from.strip_prefix(quote)?;
        let (value, behind) = from.split_once(quote).unwrap_or((from, ""));
        rest = behind;
        let name = before.trim_end_matches(SPACE);
        let name = name.strip_suffix('=').unwrap_or(name).trim_end_matches(SPACE);
        Some((name.rsplit(SPACE).next()?, value))
    })
}

/// The prefix that an attribute declares, if it does; the default one is empty.
fn declared(name: &str) -> Result<Option<&str>, SamlError> {
    match name.split_once(':') {
        Some(("xmlns", prefix)) => Ok(Some(prefix)),
        // An attribute, which the reader takes for a declaration.
        Some((_, "xmlns")) => Err(SamlError::Xml("xmlns has a prefix".into())),
        _ => Ok((name == "xmlns").then_some("")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use roxmltree::{Document, Node};

    fn refused(text: &str) -> Option<&'static str> {
        match MESSAGE.hold(text) {
            Ok(()) => None,
            Err(SamlError::TooMany { what, .. }) => Some(what),
            Err(SamlError::Xml(why)) => {
                assert!(why.contains("twice") || why.contains("has a prefix"), "{why}");
                Some("")
            }
            Err(error) => panic!("{error}"),
        }
    }

    fn some(count: usize) -> String {
        (0..count).map(|at| format!(" a{at}='>'")).collect()
    }

    fn prefixes(from: usize, count: usize) -> String {
        (from..from + count).map(|at| format!(" xmlns:p{at}=\"urn:x\"")).collect()
    }

    /// Nothing here is read: it would take minutes.
    #[test]
    fn what_grows_as_a_square_is_refused_before_it_is_read() {
        const ATTRIBUTES: Option<&str> = Some("attributes in a tag");
        const PREFIXES: Option<&str> = Some("prefixes of namespaces");
        const COMPARISONS: Option<&str> = Some("comparisons of prefixes to make");
        let again = "<b xmlns:p0='urn:y'/>";
        let check = |text: &str, expect: Option<&str>| {
            assert_eq!(refused(text), expect, "{}", text.get(..200).unwrap_or(text));
        };
        check(&format!("<a{}>{}</a>", prefixes(0, 3000), again.repeat(600)), ATTRIBUTES);
        check(&format!("<a{}/>", some(36_000)), ATTRIBUTES);
        check(&format!("<a{}/>", some(65)), ATTRIBUTES);
        check(&format!("<a{}{}/>", some(32), prefixes(0, 33)), ATTRIBUTES);
        check(&format!("<a{}{}/>", some(32), prefixes(0, 32)), None);
        // Over several tags, one in the other or not.
        let spread = |count: usize| -> String {
            let tags = (0..count).map(|at| format!("<b{}/>", prefixes(at * 5, 5)));
            format!("<a>{}</a>", tags.collect::<String>())
        };
        check(&spread(600), PREFIXES);
        check(&spread(13), PREFIXES);
        check(&spread(12), None);
        // Few prefixes, which many declare again.
        let many = |count| format!("<a{}>{}</a>", prefixes(0, 62), again.repeat(count));
        check(&many(12_000), COMPARISONS);
        check(&many(1_100), COMPARISONS);
        check(&many(1_000), None);
        // Long ones, which each attribute is compared by.
        let long = |prefix: usize, namespace: usize| {
            let (prefix, namespace) = ("p".repeat(prefix), "u".repeat(namespace));
            format!("<a xmlns:{prefix}='{namespace}'><b {prefix}:c='' {prefix}:d=''/></a>")
        };
        check(&long(1, 128_000), Some("bytes in the name of a namespace"));
        check(&long(1, 1_025), Some("bytes in the name of a namespace"));
        check(&long(65, 1), Some("bytes in a prefix"));
        check(&long(64, 1_024), None);
        // As OpenSAML writes them.
        let value = "<v xmlns:xs='urn:xs' xmlns:xsi='urn:xsi' xsi:type='xs:string'>x</v>";
        check(&format!("<a xmlns='urn:a' xmlns:s='urn:s'>{}</a>", value.repeat(5_000)), None);
    }

    #[test]
    fn no_way_of_writing_hides_an_attribute() {
        let check = |text: &str| assert_eq!(refused(text), Some("attributes in a tag"), "{text}");
        let many = some(64);
        check(&format!("<a b='>'{many}/>"));
        check(&format!("<a b=\"'>\"{many}/>"));
        check(&format!("<a\tb\n=\r\n'\"'{many}/>"));
        check(&format!("<a><!-- ' --><b c=''{many}/></a>"));
        check(&format!("<a><![CDATA[\"]]><b c=''{many}/></a>"));
        check(&format!("<a>it's<b c=''{many}/></a>"));
        check(&format!("<?x '?><a b=''{many}/>"));
        check(&format!("<é é=''{many}/>"));
        // A `<` in a value is where the reader stops as well.
        let text = format!("<a b='<!--'{many}/>");
        assert!(refused(&text).is_none() && Document::parse(&text).is_err());
        let twice = |text: &str| assert_eq!(refused(text), Some(""), "{text}");
        twice("<a xmlns='urn:a' xmlns='urn:b'/>");
        twice("<a xmlns:b='urn:a' xmlns:b='urn:b'/>");
        twice("<a xmlns:b='urn:a' b:xmlns='urn:b'/>");
        twice("<a :xmlns='urn:b'/>");
        // Text and comments are not tags.
        assert_eq!(refused(&format!("<a>{many}<!-- {many} --></a>")), None);
    }

    proptest::proptest! {
        #[test]
        fn nothing_is_read_that_is_not_counted(text in "<a( (xmlns|xmlns:[b-e]|[a-d]|b:[a-c]) ?= ?('[a\">/ ]{0,3}'|\"[b'>= ]{0,3}\")){0,4} ?>(<!-- [<>'\" =a]{0,6}-->|<!\\[CDATA\\[[<>'\"a]{0,4}\\]\\]>|['\">]|<b( (xmlns:[b-e]|[a-d])='[a>]?'){0,4}/>){0,4}</a>") {
            let bounds = Bounds { attributes: 2, prefixes: 2, ..MESSAGE };
            if let (Ok(()), Ok(document)) = (bounds.hold(&text), Document::parse(&text)) {
                let count = |node: Node<'_, '_>| (node.attributes().len(), node.namespaces().len());
                for (attributes, prefixes) in document.descendants().map(count) {
                    proptest::prop_assert!(attributes <= 2 && prefixes <= 2, "{}", text);
                }
            }
        }
    }
}
