//! XML as SAML messages may be written, and its one canonical form: what is hashed, and what is read.
//! Before the life of a request.
//!
//! A message is refused if it has what two readers could read in two ways: a document type (and with it
//! entities), comments, processing instructions, two elements with one ID.

use super::bounds::{self, Bounds};
use super::error::SamlError;
use roxmltree::{Document, Node, NodeId, ParsingOptions};
use std::collections::HashSet;

/// Namespaces (SAML core §1.2, SAML metadata §1.1, XML-Signature §1.2, XML-Encryption §1.3).
pub(super) const PROTOCOL: &str = "urn:oasis:names:tc:SAML:2.0:protocol";
pub(super) const ASSERTION: &str = "urn:oasis:names:tc:SAML:2.0:assertion";
pub(super) const METADATA: &str = "urn:oasis:names:tc:SAML:2.0:metadata";
pub(super) const DSIG: &str = "http://www.w3.org/2000/09/xmldsig#";
pub(super) const XENC: &str = "http://www.w3.org/2001/04/xmlenc#";
/// Exclusive canonicalization without comments, also the namespace of its parameters.
pub(super) const EXCLUSIVE: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";

/// Deepest nesting of elements. Real ones stay below 20.
const MAX_DEPTH: usize = 64;
/// Largest canonical form, in bytes: it repeats declarations wherever they are used, so it can be many
/// times what it is of.
const MAX_CANONICAL: usize = 1 << 20;
/// Most comparisons of prefixes for a canonical form. Real ones stay below 200,000.
const MAX_COMPARISONS: usize = 1 << 23;
/// Attributes without a namespace that are IDs somewhere.
const IDS: [&str; 4] = ["ID", "Id", "id", "AssertionID"];

/// Reads a message, strictly.
pub(super) fn message(text: &str) -> Result<Document<'_>, SamlError> {
    let document = parse(text, &bounds::MESSAGE)?;
    let mut ids = HashSet::new();
    for node in document.descendants() {
        if node.is_comment() {
            return Err(SamlError::Comment);
        }
        if node.is_pi() {
            return Err(SamlError::Instruction);
        }
        // Namespaces in XML 1.0 §2.2; version 1.1 would have it mean something.
        if node.namespaces().any(|known| known.name().is_some() && known.uri().is_empty()) {
            return Err(SamlError::Xml("a prefix is declared as nothing".into()));
        }
        let own = node.attributes().filter(|attribute| match attribute.namespace() {
            None => IDS.contains(&attribute.name()),
            Some(namespace) => namespace == roxmltree::NS_XML_URI && attribute.name() == "id",
        });
        for attribute in own {
            if !ids.insert(attribute.value()) {
                return Err(SamlError::DuplicateId);
            }
        }
    }
    Ok(document)
}

/// Reads a document that somebody has configured: comments are nothing there.
pub(super) fn configured(text: &str) -> Result<Document<'_>, SamlError> {
    parse(text, &bounds::CONFIGURED)
}

fn parse<'t>(text: &'t str, bounds: &Bounds) -> Result<Document<'t>, SamlError> {
    bounds.hold(text)?;
    let options =
        ParsingOptions { allow_dtd: false, nodes_limit: bounds.nodes, ..Default::default() };
    let document = Document::parse_with_options(text, options).map_err(|error| match error {
        roxmltree::Error::DtdDetected => SamlError::Doctype,
        error => SamlError::Xml(super::shown(&error.to_string())),
    })?;
    let deep = |node: Node<'_, '_>| node.ancestors().take(MAX_DEPTH + 1).count() > MAX_DEPTH;
    if document.descendants().any(deep) {
        return Err(SamlError::Depth);
    }
    Ok(document)
}

/// True for the element of this namespace and name.
pub(super) fn is(node: Node<'_, '_>, namespace: &str, name: &str) -> bool {
    node.is_element()
        && node.tag_name().name() == name
        && node.tag_name().namespace() == Some(namespace)
}

/// The elements of this name below a node, one level down.
pub(super) fn children<'a, 'i>(
    node: Node<'a, 'i>,
    namespace: &'static str,
    name: &'static str,
) -> impl Iterator<Item = Node<'a, 'i>> {
    node.children().filter(move |child| is(*child, namespace, name))
}

/// The one element of this name one level below a node, if there is one; two are an error.
pub(super) fn one<'a, 'i>(
    node: Node<'a, 'i>,
    namespace: &'static str,
    name: &'static str,
) -> Result<Option<Node<'a, 'i>>, SamlError> {
    let mut found = children(node, namespace, name);
    let first = found.next();
    match found.next() {
        None => Ok(first),
        Some(_) => Err(SamlError::Profile("an element that there is once is there twice")),
    }
}

/// An attribute that is in no namespace, as all of SAML are. One of the same name in a namespace is
/// another one, which roxmltree's own look-up by name would take for it.
pub(super) fn attribute<'a>(node: Node<'a, '_>, name: &str) -> Option<&'a str> {
    let mut all = node.attributes();
    let found = all.find(|known| known.namespace().is_none() && known.name() == name);
    found.map(|attribute| attribute.value())
}

/// The text of an element that has nothing but text.
pub(super) fn text<'a>(node: Node<'a, '_>) -> Option<&'a str> {
    let mut below = node.children();
    match (below.next(), below.next()) {
        (None, _) => Some(""),
        (Some(only), None) if only.is_text() => only.text(),
        _ => None,
    }
}

/// The bytes of an element of base64 (XML Schema allows white space in it).
pub(super) fn bytes(node: Node<'_, '_>) -> Option<Vec<u8>> {
    from_base64(text(node)?)
}

/// Bytes from base64 with white space in it.
pub(super) fn from_base64(text: &str) -> Option<Vec<u8>> {
    use base64::Engine as _;
    let bare: String = text.chars().filter(|c| !matches!(c, ' ' | '\t' | '\r' | '\n')).collect();
    base64::engine::general_purpose::STANDARD.decode(bare).ok()
}

/// Where an element stands, for messages: local names from the root down.
pub(super) fn place(node: Node<'_, '_>) -> String {
    let mut names: Vec<&str> =
        node.ancestors().filter(Node::is_element).map(|node| node.tag_name().name()).collect();
    names.reverse();
    names.join("/")
}

/// The canonical form of an element (Exclusive XML Canonicalization 1.0, without comments), without one
/// of its descendants (the enveloped signature). `prefixes` are treated as inclusive canonicalization
/// does (its §3, `InclusiveNamespaces PrefixList`). Of a message, so there are no comments.
pub(super) fn canonical(
    source: &str,
    element: Node<'_, '_>,
    without: Option<NodeId>,
    prefixes: &[&str],
) -> Result<String, SamlError> {
    let (rendered, out) = (Vec::new(), String::new());
    let mut writer = Writer { source, without, prefixes, rendered, comparisons: 0, out };
    writer.element(element)?;
    Ok(writer.out)
}

struct Writer<'a> {
    source: &'a str,
    without: Option<NodeId>,
    prefixes: &'a [&'a str],
    /// Prefixes declared by the elements around, the innermost last; the default one is empty.
    rendered: Vec<(String, String)>,
    /// How many were to be made, at most.
    comparisons: usize,
    out: String,
}

impl Writer<'_> {
    /// The depth is bounded where messages are read.
    fn element(&mut self, node: Node<'_, '_>) -> Result<(), SamlError> {
        if self.out.len() > MAX_CANONICAL {
            return Err(SamlError::TooLarge);
        }
        let name = self.name_of(node)?;
        let attributes = self.attributes_of(node)?;
        let mut used: Vec<&str> = vec![prefix_of(&name)];
        used.extend(
            attributes.iter().map(|(.., name, _)| prefix_of(name)).filter(|p| !p.is_empty()),
        );
        let around = self.rendered.len();
        let known = node.namespaces().len() + around + 1;
        self.comparisons += (used.len() + self.prefixes.len()) * known;
        if self.comparisons > MAX_COMPARISONS {
            let what = "comparisons of prefixes to make for a signature";
            return Err(SamlError::TooMany { what, most: MAX_COMPARISONS });
        }
        let declared = self.declared(node, &used)?;
        self.out.push('<');
        self.out.push_str(&name);
        for (prefix, uri) in declared {
            self.out.push_str(" xmlns");
            if !prefix.is_empty() {
                self.out.push(':');
                self.out.push_str(&prefix);
            }
            self.out.push_str("=\"");
            self.attribute_value(&uri);
            self.out.push('"');
            self.rendered.push((prefix, uri));
        }
        for (_, _, name, value) in &attributes {
            self.out.push(' ');
            self.out.push_str(name);
            self.out.push_str("=\"");
            self.attribute_value(value);
            self.out.push('"');
        }
        self.out.push('>');
        for child in node.children() {
            if self.without == Some(child.id()) {
                continue;
            }
            if child.is_element() {
                self.element(child)?;
            } else if let Some(text) = child.text().filter(|_| child.is_text()) {
                self.text(text);
            }
        }
        self.out.push_str("</");
        self.out.push_str(&name);
        self.out.push('>');
        self.rendered.truncate(around);
        Ok(())
    }

    /// The name of an element as it is written, prefix and all.
    fn name_of(&self, node: Node<'_, '_>) -> Result<String, SamlError> {
        let written = self.source.get(node.range()).and_then(|text| text.strip_prefix('<'));
        let end = |c: char| matches!(c, ' ' | '\t' | '\r' | '\n' | '/' | '>');
        let name = written.and_then(|text| text.split(end).next()).unwrap_or_default();
        same_name(name, node.tag_name().name())
    }

    /// Namespace, local name, name as written and value of the attributes, in canonical order (Canonical
    /// XML 1.0 §2.2: those without a namespace first).
    fn attributes_of(
        &self,
        node: Node<'_, '_>,
    ) -> Result<Vec<(String, String, String, String)>, SamlError> {
        let mut all = Vec::new();
        for attribute in node.attributes() {
            let written = self.source.get(attribute.range_qname()).unwrap_or_default();
            let name = same_name(written, attribute.name())?;
            let namespace = attribute.namespace().unwrap_or_default().to_owned();
            all.push((namespace, attribute.name().to_owned(), name, attribute.value().to_owned()));
        }
        all.sort();
        Ok(all)
    }

    /// The declarations an element has in canonical form: of the prefixes it uses visibly and of those
    /// of the list, where no element around it has declared the same.
    fn declared(
        &self,
        node: Node<'_, '_>,
        used: &[&str],
    ) -> Result<Vec<(String, String)>, SamlError> {
        let mut prefixes: Vec<&str> = used.to_vec();
        let listed =
            |prefix: &&str| node.namespaces().any(|n| n.name().unwrap_or_default() == *prefix);
        prefixes.extend(self.prefixes.iter().copied().filter(listed));
        prefixes.sort_unstable();
        prefixes.dedup();
        let mut declared = Vec::new();
        for prefix in prefixes {
            if prefix == "xml" {
                continue;
            }
            let mut known = node.namespaces().filter(|n| n.name().unwrap_or_default() == prefix);
            let uri = known.next().map(|namespace| namespace.uri());
            let uri = match (uri, prefix) {
                (Some(uri), _) => uri,
                (None, "") => "",
                (None, _) => return Err(SamlError::Xml("a prefix is not declared".into())),
            };
            // Canonical XML cannot say what a relative one is (its §1.3); readers differ there.
            if !uri.is_empty() && !uri.contains(':') {
                return Err(SamlError::Xml("a namespace is a relative address".into()));
            }
            let around = self.rendered.iter().rev().find(|(known, _)| known == prefix);
            if around.map_or("", |(_, uri)| uri.as_str()) != uri {
                declared.push((prefix.to_owned(), uri.to_owned()));
            }
        }
        Ok(declared)
    }

    fn text(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '&' => self.out.push_str("&amp;"),
                '<' => self.out.push_str("&lt;"),
                '>' => self.out.push_str("&gt;"),
                '\r' => self.out.push_str("&#xD;"),
                c => self.out.push(c),
            }
        }
    }

    fn attribute_value(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '&' => self.out.push_str("&amp;"),
                '<' => self.out.push_str("&lt;"),
                '"' => self.out.push_str("&quot;"),
                '\t' => self.out.push_str("&#x9;"),
                '\n' => self.out.push_str("&#xA;"),
                '\r' => self.out.push_str("&#xD;"),
                c => self.out.push(c),
            }
        }
    }
}

fn prefix_of(name: &str) -> &str {
    name.split_once(':').map_or("", |(prefix, _)| prefix)
}

/// A name as it is written, which must end in the name the parser has read.
fn same_name(written: &str, local: &str) -> Result<String, SamlError> {
    match written.rsplit(':').next() {
        Some(end) if end == local && written.split(':').count() <= 2 => Ok(written.to_owned()),
        _ => Err(SamlError::Xml("a name cannot be found where it stands".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical_of(text: &str, prefixes: &[&str]) -> String {
        let document = message(text).unwrap();
        canonical(text, document.root_element(), None, prefixes).unwrap()
    }

    #[test]
    fn canonical_form() {
        let check =
            |text: &str, expect: &str| assert_eq!(canonical_of(text, &[]), expect, "{text}");
        check("<?xml version='1.0'?>\n<a b='2'  a = \"1\"/>\n", "<a a=\"1\" b=\"2\"></a>");
        check("<a>&lt;&#13;&amp;<![CDATA[<&]]>\"'&#x9;</a>", "<a>&lt;&#xD;&amp;&lt;&amp;\"'\t</a>");
        check(
            "<a b='&lt;&quot;&apos;&#9;&#10;&#13;>\n'/>",
            "<a b=\"&lt;&quot;'&#x9;&#xA;&#xD;> \"></a>",
        );
        // Unused declarations go, used ones come to where they are used, and once.
        check(
            "<a xmlns='urn:d' xmlns:x='urn:x' xmlns:y='urn:y'><x:b><x:c y:z='1'/></x:b></a>",
            "<a xmlns=\"urn:d\"><x:b xmlns:x=\"urn:x\"><x:c xmlns:y=\"urn:y\" y:z=\"1\"></x:c></x:b></a>",
        );
        check(
            "<a xmlns='urn:d'><b xmlns=''><c xmlns='urn:d'/></b></a>",
            "<a xmlns=\"urn:d\"><b xmlns=\"\"><c xmlns=\"urn:d\"></c></b></a>",
        );
        // By namespace, then name; those without one first.
        check(
            "<a xmlns:x='urn:2' xmlns:y='urn:1' x:a='1' y:b='2' z='3' xml:lang='en'/>",
            "<a xmlns:x=\"urn:2\" xmlns:y=\"urn:1\" z=\"3\" xml:lang=\"en\" y:b=\"2\" x:a=\"1\"></a>",
        );
    }

    #[test]
    fn listed_prefixes_are_kept() {
        let text = "<a xmlns:x='urn:x' xmlns:n='urn:n'><b>x:y</b></a>";
        assert_eq!(canonical_of(text, &["x", "q"]), "<a xmlns:x=\"urn:x\"><b>x:y</b></a>");
        let document = message(text).unwrap();
        let below = document.root_element().first_element_child().unwrap();
        let said = canonical(text, below, None, &["x"]).unwrap();
        assert_eq!(said, "<b xmlns:x=\"urn:x\">x:y</b>");
        assert_eq!(
            canonical_of("<a xmlns='urn:d'><b/></a>", &[""]),
            "<a xmlns=\"urn:d\"><b></b></a>"
        );
    }

    #[test]
    fn what_has_two_readings_is_refused() {
        let check =
            |text: &str, expect: SamlError| assert_eq!(message(text).err(), Some(expect), "{text}");
        check("<!DOCTYPE a><a/>", SamlError::Doctype);
        check(
            "<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>",
            SamlError::Doctype,
        );
        check("<a>b<!-- -->c</a>", SamlError::Comment);
        check("<a/><!-- -->", SamlError::Comment);
        check("<a><?x y?></a>", SamlError::Instruction);
        check("<?x y?><a/>", SamlError::Instruction);
        check("<a ID='1'><b Id='1'/></a>", SamlError::DuplicateId);
        check("<a ID='1'><b xml:id='1'/></a>", SamlError::DuplicateId);
        check(&format!("{}{}", "<a>".repeat(70), "</a>".repeat(70)), SamlError::Depth);
        for text in [
            "",
            "<a>",
            "<a/><b/>",
            "<a>&b;</a>",
            "<x:a/>",
            "<a b='1' b='2'/>",
            "<a>\u{1}</a>",
            "<a xmlns:x='urn:a' xmlns:y='urn:a' x:b='1' y:b='2'/>",
            "<a xmlns:xml='urn:a'/>",
            "<a xmlns:x=''/>",
            "<a xmlns='urn:a' xmlns='urn:b'/>",
            "<a xmlns:x='urn:a' x:xmlns='urn:b'/>",
        ] {
            assert!(
                matches!(message(text), Err(SamlError::Xml(_))),
                "{text:?}: {:?}",
                message(text)
            );
        }
        let relative = "<a xmlns='x'/>";
        let document = message(relative).unwrap();
        assert!(canonical(relative, document.root_element(), None, &[]).is_err());
        assert!(message(&"<a>".repeat(50_000)).is_err());
    }

    /// Prefixes that are listed, and declared as something else at each level, are looked up at each
    /// element below among all that were written.
    #[test]
    fn the_work_of_a_canonical_form_is_bounded() {
        let names: Vec<String> = (0..32).map(|at| format!("p{at}")).collect();
        let prefixes: Vec<&str> = names.iter().map(String::as_str).collect();
        let of = |levels: usize, children: usize| {
            let declare = |name: &String, level| format!(" xmlns:{name}='u:{level}'");
            let open = |level| {
                let all: String = names.iter().map(|name| declare(name, level)).collect();
                format!("<a{all}>")
            };
            let open: String = (0..levels).map(open).collect();
            let text = format!("{open}{}{}", "<b/>".repeat(children), "</a>".repeat(levels));
            let document = message(&text).unwrap();
            canonical(&text, document.root_element(), None, &prefixes).map(drop)
        };
        assert_eq!(of(4, 1_000), Ok(()));
        let refused = |levels, children| match of(levels, children) {
            Err(SamlError::TooMany { what, .. }) => assert!(what.contains("signature"), "{what}"),
            said => panic!("{said:?}"),
        };
        refused(40, 1_000);
        refused(4, 10_000);
    }

    proptest::proptest! {
        #[test]
        fn canonical_form_is_its_own(text in "<a( b='[a-z&;<\n\t]{0,6}')?( xmlns='urn:[a-c]')?>(<b c='x'/>|[a-z\r\n]|&amp;|&#13;){0,8}</a>") {
            if let Ok(document) = message(&text) {
                let once = canonical(&text, document.root_element(), None, &[]).unwrap();
                proptest::prop_assert_eq!(canonical_of(&once, &[]), once);
            }
        }

        #[test]
        fn never_panics(text in "(<|>|/|a|:|x|=|'|xmlns| |&|;|!|-|\\[|\\]|\\?){0,60}") {
            if let Ok(document) = message(&text) {
                let _ = canonical(&text, document.root_element(), None, &["x"]);
            }
        }
    }
}
