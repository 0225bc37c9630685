//! Answers of a SAML provider: genuine ones that are believed, and the attack table, each row made from a
//! genuine answer and refused with its own reason.

use crate::saml_support::*;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_core::principal::{Principal, PrincipalKind};
use portcullis_identity::saml::{
    IdpMetadata, NameIdFormat, Posted, SamlError, SamlParties, SamlProvider,
};
use std::collections::BTreeSet;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

fn encrypting(provider: &mut SamlProvider, folder: &Path) {
    provider.key_file = Some(folder.join("own.key"));
    provider.certificate_file = Some(folder.join("own.pem"));
}

fn believed(world: &World, make: impl FnOnce(&str) -> String) -> Principal {
    let asserted = world.answered(make).unwrap();
    assert_eq!((asserted.assertion().0, asserted.assertion().1), (IDP, "_a1"));
    let (provider, principal) = asserted.once(true).unwrap();
    assert_eq!(provider, "corp");
    principal
}

/// SAML core §3.4.1, §2.7.2: what was asked for has to have happened.
#[test]
fn who_has_to_sign_in_anew_has_done_so() {
    let world = world(|_, _| {});
    for (since, good) in [(-60, false), (-11, false), (-10, true), (0, true)] {
        let (pending, id, request) = world.begun_at(true);
        assert!(request.contains(" ForceAuthn=\"true\""), "{request}");
        let mut says = Says::good(Some(&id));
        says.statement = says.statement.replace(&time(-10), &time(since));
        let answer = posted(&response(Some(&id), &says.signed()));
        let said = world.parties.finish(Some(pending), &answer, &addresses(), now()).err();
        assert_eq!(said, (!good).then_some(SamlError::NotAnew), "{since}");
    }
}

#[test]
fn genuine_answers_are_believed() {
    let plain = world(|_, _| {});
    let by_assertion = believed(&plain, |id| response(Some(id), &Says::good(Some(id)).signed()));
    assert_eq!(by_assertion.kind, PrincipalKind::Person);
    assert_eq!((by_assertion.subject.as_str(), by_assertion.issuer.as_str()), ("u-ana", IDP));
    assert_eq!(by_assertion.groups, ["dba", "developers"].map(str::to_owned).into());
    assert_eq!((&by_assertion.acting_for, by_assertion.expires), (&None, at(8 * 3600)));
    // By the answer's signature, by both, and with the key that comes next.
    let whole = |id: &str, inner: &str| Sig::of("_r1").on(&response(Some(id), inner));
    assert_eq!(believed(&plain, |id| whole(id, &Says::good(Some(id)).text())), by_assertion);
    assert_eq!(believed(&plain, |id| whole(id, &Says::good(Some(id)).signed())), by_assertion);
    let next = |id: &str| {
        let sig = Sig { next: true, ..Sig::of("_a1") };
        response(Some(id), &sig.on(&Says::good(Some(id)).text()))
    };
    assert_eq!(believed(&plain, next), by_assertion);
    // Written in another way, it is the same: declarations further out, quotes, empty elements, order.
    let rewritten = |id: &str| {
        let inner = Says::good(Some(id)).signed();
        let inner = inner.replace(&format!(" xmlns:saml=\"{SAML}\""), "");
        let inner = inner
            .replace("></ds:Transform>", "/>")
            .replace(" Version=\"2.0\">", "\n\tVersion='2.0' >");
        let all = response(Some(id), &inner);
        let out = format!("<samlp:Response xmlns:saml='{SAML}' xmlns:unused='urn:u' ");
        format!(
            "<?xml version='1.0' encoding='UTF-8'?>\r\n{}",
            all.replacen("<samlp:Response ", &out, 1)
        )
    };
    assert_eq!(believed(&plain, rewritten), by_assertion);
    // Encrypted: signed within, signed without, and where it has to be.
    let sealing = world(|provider, folder| {
        encrypting(provider, folder);
        provider.require_encryption = true;
    });
    let sealed = |id: &str| Sealing::default().sealed(&Says::good(Some(id)).signed());
    assert_eq!(believed(&sealing, |id| response(Some(id), &sealed(id))), by_assertion);
    assert_eq!(believed(&sealing, |id| whole(id, &sealed(id))), by_assertion);
    let bare = |id: &str| Sealing::default().sealed(&Says::good(Some(id)).text());
    assert_eq!(believed(&sealing, |id| whole(id, &bare(id))), by_assertion);
    // A prefix that is declared where the encrypted element stands.
    let leaning = |id: &str| {
        let inner = Says::good(Some(id)).signed().replace(&format!(" xmlns:saml=\"{SAML}\""), "");
        response(Some(id), &Sealing::default().sealed(&inner))
    };
    assert_eq!(believed(&sealing, leaning), by_assertion);
}

/// Every algorithm that is accepted, with the kind of key it is for and with no other.
#[test]
fn algorithms_go_with_their_keys() {
    use rcgen::{
        KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ECDSA_P521_SHA512,
        PKCS_ED25519,
    };
    let world = world(|_, _| {});
    let path = world.folder.path().join("idp.xml");
    let more = |name: &str| format!("http://www.w3.org/2001/04/xmldsig-more#{name}");
    let pss = |hash: &str| format!("http://www.w3.org/2007/05/xmldsig-more#{hash}-rsa-MGF1");
    let mut length = 0;
    let mut check = |keys: Rc<Keys>, good: &[String], bad: &[String]| {
        // Another length, so that it is seen to be another file.
        length += 1;
        std::fs::write(&path, metadata(IDP, &[&keys], &" ".repeat(length))).unwrap();
        let said = |method: &String, hash: &str| {
            let mut sig = Sig { method: method.clone(), by: Some(keys.clone()), ..Sig::of("_a1") };
            sig.hash = hash.to_owned();
            world.answered(|id| response(Some(id), &sig.on(&Says::good(Some(id)).text()))).err()
        };
        for method in good {
            for hash in [
                "http://www.w3.org/2001/04/xmlenc#sha256",
                &more("sha384"),
                "http://www.w3.org/2001/04/xmlenc#sha512",
            ] {
                assert_eq!(said(method, hash), None, "{method} {hash}");
            }
        }
        for method in bad {
            let hash = "http://www.w3.org/2001/04/xmlenc#sha256";
            assert_eq!(said(method, hash), Some(SamlError::Signature), "{method}");
        }
    };
    let ec = |bits: &str| more(&format!("ecdsa-sha{bits}"));
    let rsa = Rc::new(Keys::of(
        KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap(),
    ));
    let all = [
        more("rsa-sha256"),
        more("rsa-sha384"),
        more("rsa-sha512"),
        pss("sha256"),
        pss("sha384"),
        pss("sha512"),
    ];
    check(rsa, &all, &[ec("256"), ec("384")]);
    let of = |algorithm| Rc::new(Keys::of(KeyPair::generate_for(algorithm).unwrap()));
    check(of(&PKCS_ECDSA_P256_SHA256), &[ec("256")], &[]);
    check(of(&PKCS_ECDSA_P384_SHA384), &[ec("384")], &[]);
    check(of(&PKCS_ECDSA_P521_SHA512), &[ec("512")], &[]);
    check(
        of(&PKCS_ED25519),
        &["http://www.w3.org/2021/04/xmldsig-more#eddsa-ed25519".to_owned()],
        &[],
    );
}

#[test]
fn settings_say_what_is_read() {
    let all = world(|provider, _| {
        provider.subject_attribute = Some("uid".into());
        provider.name_attribute = Some("mail".into());
        provider.groups_attribute = "role".into();
        provider.kind_attribute = Some("type".into());
        provider.default_kind = PrincipalKind::Agent;
    });
    let with = |attributes: String| {
        move |id: &str| {
            let says = Says { attributes, ..Says::good(Some(id)) };
            response(Some(id), &says.signed())
        }
    };
    let who = believed(
        &all,
        with(
            attribute("uid", &["u-7"])
                + &attribute("mail", &["ana@corp"])
                + &attribute("type", &["person"])
                + &attribute("role", &["a"])
                + &attribute("role", &["b", "c"]),
        ),
    );
    assert_eq!((who.subject.as_str(), who.name.as_str()), ("u-7", "ana@corp"));
    assert_eq!(
        (who.kind, who.groups),
        (PrincipalKind::Person, ["a", "b", "c"].map(str::to_owned).into())
    );
    // Nothing says that it is a person.
    assert_eq!(believed(&all, with(attribute("uid", &["u-7"]))).kind, PrincipalKind::Agent);
    let no = |attributes: String| all.answered(with(attributes)).err().unwrap();
    let about = |name: &str| SamlError::Attribute(name.into());
    assert_eq!(no(attribute("mail", &["x"])), about("uid"));
    assert_eq!(no(attribute("uid", &["a", "b"])), about("uid"));
    assert_eq!(no(attribute("uid", &["a"]) + &attribute("uid", &["b"])), about("uid"));
    assert_eq!(no(attribute("uid", &[""])), about("uid"));
    assert_eq!(no(attribute("uid", &["<x xmlns=\"urn:x\">a</x>"])), about("uid"));
    assert_eq!(no(attribute("uid", &["u"]) + &attribute("type", &["root"])), about("type"));
    // Groups: all, or nobody is signed in. None, and empty ones, are none.
    let with_groups = |attributes: String| with(attribute("uid", &["u"]) + &attributes);
    let some = attribute("type", &["person"]);
    assert_eq!(believed(&all, with_groups(some)).groups, BTreeSet::new());
    assert_eq!(believed(&all, with_groups(attribute("role", &["", ""]))).groups, BTreeSet::new());
    let unread = |attributes: String, expect: &str| {
        let said = all.answered(with_groups(attributes)).err();
        assert!(
            matches!(said, Some(SamlError::Groups(why)) if why.contains(expect)),
            "{expect}: {said:?}"
        );
    };
    unread(attribute("role", &["a", "b\u{200b}"]), "shown");
    unread(attribute("role", &["a", "<b xmlns=\"urn:x\"></b>"]), "shown");
    unread(attribute("role", &["a"; 1025]), "1024");
    assert_eq!(believed(&all, with_groups(attribute("role", &["a"; 1024]))).groups.len(), 1);
    let more = attribute("http://schemas.microsoft.com/claims/groups.link", &["https://graph"]);
    unread(attribute("role", &["a"]) + &more, "link");
    // The provider's session bounds the gateway's.
    let plain = world(|provider, _| provider.name_id = NameIdFormat::Email);
    let who = believed(&plain, |id| {
        let mut says = Says::good(Some(id));
        says.statement =
            says.statement.replace("s1\"", &format!("s1\" SessionNotOnOrAfter=\"{}\"", time(900)));
        says.name_id = says
            .name_id
            .replace(PERSISTENT, "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress");
        response(Some(id), &says.signed())
    });
    assert_eq!(who.expires, at(900));
}

/// The assertion of somebody else, which nobody has signed.
fn evil(id: &str) -> Says {
    let mut says = Says::good(Some(id));
    says.id = "_evil".into();
    says.name_id = says.name_id.replace("u-ana", "u-admin");
    says
}

fn misplaced(what: &'static str, at: &str) -> SamlError {
    SamlError::Misplaced { what, at: at.into() }
}

/// Signature wrapping: XSW1 to XSW8 (Somorovsky et al. 2012, in the numbering of SAML Raider), and what
/// came after.
#[test]
fn signature_wrapping_is_refused_each_for_its_reason() {
    let world = world(|_, _| {});
    let check = |row: &str, make: &dyn Fn(&str) -> String, expect: SamlError| {
        assert_eq!(world.answered(make).err(), Some(expect), "{row}");
    };
    let signature_of = |id: &str| Sig::of("_a1").over(&Says::good(Some(id)).text());
    let of_response = |id: &str| response(Some(id), &Says::good(Some(id)).text());
    let evil_response = |id: &str| response(Some(id), &evil(id).text()).replace("_r1", "_evil_r");
    check(
        "XSW1: the signed answer in the signature of a forged one",
        &|id| {
            let original = of_response(id);
            let signature = Sig::of("_r1").over(&original);
            let signature =
                signature.replace("</ds:Signature>", &format!("{original}</ds:Signature>"));
            with_signature(&evil_response(id), &signature)
        },
        misplaced("Response", "Response/Signature/Response"),
    );
    check(
        "XSW2: the signed answer beside its signature in a forged one",
        &|id| {
            let original = of_response(id);
            let signature = Sig::of("_r1").over(&original);
            with_signature(&evil_response(id), &(original.clone() + &signature))
        },
        misplaced("Response", "Response/Response"),
    );
    check(
        "XSW3: a forged assertion before the signed one",
        &|id| response(Some(id), &(evil(id).text() + &Says::good(Some(id)).signed())),
        SamlError::SeveralAssertions,
    );
    check(
        "XSW4: the signed assertion within a forged one",
        &|id| {
            let original = Says::good(Some(id)).signed();
            response(
                Some(id),
                &evil(id).text().replace("</saml:Assertion>", &(original + "</saml:Assertion>")),
            )
        },
        misplaced("Assertion", "Response/Assertion/Assertion"),
    );
    check(
        "XSW5: the signature in a forged assertion, the signed one behind it",
        &|id| {
            let forged = with_signature(&evil(id).text(), &signature_of(id));
            response(Some(id), &(forged + &Says::good(Some(id)).text()))
        },
        SamlError::SeveralAssertions,
    );
    check(
        "XSW6: the same, the signed one in the signature",
        &|id| {
            let original = Says::good(Some(id)).text();
            let signature =
                signature_of(id).replace("</ds:Signature>", &(original + "</ds:Signature>"));
            response(Some(id), &with_signature(&evil(id).text(), &signature))
        },
        misplaced("Assertion", "Response/Assertion/Signature/Assertion"),
    );
    check(
        "XSW7: a forged assertion in Extensions",
        &|id| {
            let extensions = format!("<samlp:Extensions>{}</samlp:Extensions>", evil(id).text());
            response(Some(id), &(extensions + &Says::good(Some(id)).signed()))
        },
        misplaced("Assertion", "Response/Extensions/Assertion"),
    );
    check(
        "XSW8: the signed assertion in an Object of the signature of a forged one",
        &|id| {
            let object =
                format!("<ds:Object>{}</ds:Object></ds:Signature>", Says::good(Some(id)).text());
            let signature = signature_of(id).replace("</ds:Signature>", &object);
            response(Some(id), &with_signature(&evil(id).text(), &signature))
        },
        misplaced("Assertion", "Response/Assertion/Signature/Object/Assertion"),
    );
    check(
        "a signature that was lifted to a forged assertion",
        &|id| response(Some(id), &with_signature(&evil(id).text(), &signature_of(id))),
        SamlError::ReferenceElsewhere,
    );
    check(
        "the same, under the ID of the signed one",
        &|id| {
            let forged = evil(id).text().replace("_evil", "_a1");
            response(Some(id), &with_signature(&forged, &signature_of(id)))
        },
        SamlError::Digest,
    );
    check(
        "two elements of one ID",
        &|id| {
            let forged =
                with_signature(&evil(id).text().replace("_evil", "_a1"), &signature_of(id));
            let original = Says::good(Some(id)).text();
            let hidden =
                format!("<samlp:Extensions><x xmlns=\"urn:x\">{original}</x></samlp:Extensions>");
            response(Some(id), &(hidden + &forged))
        },
        SamlError::DuplicateId,
    );
    check(
        "an ID in a namespace",
        &|id| {
            let forged =
                evil(id).text().replace(" ID=\"_evil\"", " xmlns:x=\"urn:x\" x:ID=\"_a1\"");
            response(Some(id), &with_signature(&forged, &signature_of(id)))
        },
        SamlError::ReferenceElsewhere,
    );
    check(
        "an assertion in a namespace that reads alike",
        &|id| {
            let forged = evil(id).signed().replace(SAML, "urn:oasis:names:tc:SAML:2.0:Assertion");
            response(Some(id), &forged)
        },
        misplaced("Signature", "Response/Assertion/Signature"),
    );
    check(
        "a signature in a namespace that is none of signatures",
        &|id| {
            response(Some(id), &evil(id).signed().replace(DS, "http://www.w3.org/2000/09/xmldsig"))
        },
        SamlError::Unsigned,
    );
    check(
        "an encrypted and a plain assertion",
        &|id| {
            let sealed = Sealing::default().sealed(&evil(id).text());
            response(Some(id), &(sealed + &Says::good(Some(id)).signed()))
        },
        SamlError::SeveralAssertions,
    );
    check(
        "an assertion as advice",
        &|id| {
            let mut says = Says::good(Some(id));
            says.conditions += &format!("<saml:Advice>{}</saml:Advice>", evil(id).text());
            response(Some(id), &says.signed())
        },
        misplaced("Assertion", "Response/Assertion/Advice/Assertion"),
    );
    check(
        "a signature of something else",
        &|id| {
            let extensions = format!("<samlp:Extensions>{}</samlp:Extensions>", signature_of(id));
            response(Some(id), &(extensions + &evil(id).text()))
        },
        misplaced("Signature", "Response/Extensions/Signature"),
    );
    check(
        "a second signature",
        &|id| {
            let signature = signature_of(id);
            let forged = with_signature(&evil(id).text(), &signature);
            response(Some(id), &with_signature(&forged, &signature))
        },
        SamlError::SignatureForm("an element has two signatures"),
    );
    check(
        "an answer within the status of another",
        &|id| {
            let detail = format!(
                "<samlp:StatusDetail>{}</samlp:StatusDetail></samlp:Status>",
                of_response(id).replace("_r1", "_r2").replace("_a1", "_a2")
            );
            response(Some(id), &Says::good(Some(id)).signed()).replace("</samlp:Status>", &detail)
        },
        misplaced("Response", "Response/Status/StatusDetail/Response"),
    );
}

/// What one reader would leave out, and another one read (CVE-2018-0489 and its kin, CVE-2025-25291,
/// CVE-2025-25292, CVE-2025-29774, CVE-2025-29775).
#[test]
fn what_has_two_readings_is_refused_each_for_its_reason() {
    let world = world(|_, _| {});
    let check = |row: &str, make: &dyn Fn(&str) -> String, expect: SamlError| {
        assert_eq!(world.answered(make).err(), Some(expect), "{row}");
    };
    let good = |id: &str| response(Some(id), &Says::good(Some(id)).signed());
    check(
        "a comment in a name",
        &|id| good(id).replace("u-ana", "u-<!-- -->ana"),
        SamlError::Comment,
    );
    check(
        "a comment in a digest",
        &|id| good(id).replace("<ds:DigestValue>", "<ds:DigestValue><!-- x -->"),
        SamlError::Comment,
    );
    check(
        "an instruction in a name",
        &|id| good(id).replace("u-ana", "u-<?x?>ana"),
        SamlError::Instruction,
    );
    check("a document type", &|id| format!("<!DOCTYPE x>{}", good(id)), SamlError::Doctype);
    check(
        "an external entity",
        &|id| {
            format!(
                "<!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/passwd\">]>{}",
                good(id).replace("u-ana", "&e;")
            )
        },
        SamlError::Doctype,
    );
    check(
        "entities that grow",
        &|id| {
            format!(
                "<!DOCTYPE x [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;&a;\">]>{}",
                good(id).replace("u-ana", "&b;")
            )
        },
        SamlError::Doctype,
    );
    check(
        "an attribute that is an entity's by default",
        &|id| format!("<!DOCTYPE x [<!ATTLIST saml:Assertion ID CDATA \"_a1\">]>{}", good(id)),
        SamlError::Doctype,
    );
    check(
        "depth",
        &|id| {
            good(id).replace(
                "<samlp:Status>",
                &format!("<samlp:Status>{}{}", "<x>".repeat(80), "</x>".repeat(80)),
            )
        },
        SamlError::Depth,
    );
    for (row, from, to) in [
        ("an entity that is not defined", "u-ana", "&x;"),
        ("two attributes of one name", "ID=\"_a1\"", "ID=\"_a1\" ID=\"_a2\""),
        ("a prefix that is not declared", "<saml:Subject>", "<y:Subject>"),
        ("elements that overlap", "</saml:Subject>", "</saml:Conditions>"),
        ("a control character", "u-ana", "u-\u{1}ana"),
        ("a null", "u-ana", "u-ana\0"),
        ("something behind it", "</samlp:Response>", "</samlp:Response><x/>"),
    ] {
        let said = world.answered(|id| good(id).replace(from, to)).err();
        assert!(matches!(said, Some(SamlError::Xml(_))), "{row}: {said:?}");
    }
    let long = format!(" xmlns:b=\"urn:{}\" ID=\"_r1\"", "b".repeat(1_000));
    let grown = |id: &str, place: &str, with: String| {
        good(id).replacen(" ID=\"_r1\"", &long, 1).replace(place, &with)
    };
    let many = "<b:a/>".repeat(4_000);
    let before = format!("<ds:SignedInfo>{many}");
    check(
        "a canonical form that grows, where it is not asked for",
        &|id| grown(id, "<ds:SignedInfo>", before.clone()),
        SamlError::SignatureForm("SignedInfo has no CanonicalizationMethod"),
    );
    let behind = format!("{many}</ds:SignedInfo>");
    check(
        "a canonical form that grows",
        &|id| grown(id, "</ds:SignedInfo>", behind.clone()),
        SamlError::TooLarge,
    );
    check(
        "a namespace that is a relative address",
        &|id| {
            response(
                Some(id),
                &Says::good(Some(id))
                    .signed()
                    .replace("<saml:Subject>", "<saml:Subject xmlns:r=\"x\" r:a=\"1\">"),
            )
        },
        SamlError::Xml("a namespace is a relative address".into()),
    );
    // Characters that are written as references are what they are.
    check(
        "another name by references",
        &|id| good(id).replace("u-ana", "u-&#97;dmin"),
        SamlError::Digest,
    );
    let same = believed(&world, |id| good(id).replace("u-ana", "&#117;-<![CDATA[an]]>a"));
    assert_eq!(same.subject, "u-ana");
}

/// Signatures themselves: forms, algorithms and keys.
#[test]
fn signatures_are_of_one_form_and_by_configured_keys() {
    let world = world(|_, _| {});
    let form = SamlError::SignatureForm;
    let of = |row: &str, change: &dyn Fn(&mut Sig), expect: SamlError| {
        let mut sig = Sig::of("_a1");
        change(&mut sig);
        let make = |id: &str| response(Some(id), &sig.on(&Says::good(Some(id)).text()));
        assert_eq!(world.answered(make).err(), Some(expect), "{row}");
    };
    let algorithm = |name: &str| SamlError::Algorithm(name.into());
    for name in [
        "http://www.w3.org/2000/09/xmldsig#rsa-sha1",
        "http://www.w3.org/2000/09/xmldsig#dsa-sha1",
        "http://www.w3.org/2000/09/xmldsig#hmac-sha1",
        "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256",
        "http://www.w3.org/2001/04/xmldsig-more#rsa-md5",
        "none",
    ] {
        of(name, &|sig| sig.method = name.into(), algorithm(name));
    }
    of(
        "an algorithm of other keys",
        &|sig| sig.method = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256".into(),
        SamlError::Signature,
    );
    for name in
        ["http://www.w3.org/2000/09/xmldsig#sha1", "http://www.w3.org/2001/04/xmldsig-more#md5"]
    {
        of(name, &|sig| sig.hash = name.into(), algorithm(name));
    }
    for name in [
        "http://www.w3.org/2001/10/xml-exc-c14n#WithComments",
        "http://www.w3.org/TR/2001/REC-xml-c14n-20010315",
    ] {
        of(name, &|sig| sig.canonicalization = name.into(), algorithm(name));
        of(name, &|sig| sig.transforms[1] = name.into(), algorithm(name));
    }
    let two = form("the transforms are not enveloped-signature and exclusive canonicalization");
    for name in [
        "http://www.w3.org/TR/1999/REC-xslt-19991116",
        "http://www.w3.org/TR/1999/REC-xpath-19991116",
        "http://www.w3.org/2000/09/xmldsig#base64",
    ] {
        of(name, &|sig| sig.transforms[0] = name.into(), two.clone());
        of(name, &|sig| sig.transforms.push(name.into()), two.clone());
    }
    of("no transforms", &|sig| sig.transforms.clear(), two.clone());
    of(
        "one transform",
        &|sig| {
            sig.transforms.pop();
        },
        two,
    );
    for uri in [
        "",
        "#",
        "#_r1",
        "_a1",
        "#xpointer(/)",
        "#xpointer(id('_a1'))",
        "https://evil.example/a.xml",
    ] {
        of(uri, &|sig| sig.uri = uri.into(), SamlError::ReferenceElsewhere);
    }
    let more = "<ds:Reference URI=\"#_evil\"></ds:Reference>";
    of(
        "two references",
        &|sig| sig.more = more.into(),
        form("SignedInfo has not one method of each kind and one Reference"),
    );
    let certificate = STANDARD.encode(&keys().stranger.certificate);
    let info = format!(
        "<ds:KeyInfo><ds:X509Data><ds:X509Certificate>{certificate}</ds:X509Certificate></ds:X509Data></ds:KeyInfo>"
    );
    of(
        "a key that comes with it",
        &|sig| {
            sig.stranger = true;
            sig.key_info.clone_from(&info);
        },
        SamlError::Signature,
    );
    of("the key of another provider", &|sig| sig.stranger = true, SamlError::Signature);
    // A key that comes along and is not needed is nothing.
    let along = Sig { key_info: info, ..Sig::of("_a1") };
    assert_eq!(
        believed(&world, |id| response(Some(id), &along.on(&Says::good(Some(id)).text()))).subject,
        "u-ana"
    );
    let edited = |row: &str, change: &dyn Fn(String) -> String, expect: SamlError| {
        let make = |id: &str| change(response(Some(id), &Says::good(Some(id)).signed()));
        assert_eq!(world.answered(make).err(), Some(expect), "{row}");
    };
    edited(
        "an assertion that was changed",
        &|text| text.replace("u-ana", "u-bob"),
        SamlError::Digest,
    );
    edited(
        "one more group",
        &|text| text.replace(">dba<", ">dba</saml:AttributeValue><saml:AttributeValue>admins<"),
        SamlError::Digest,
    );
    edited(
        "white space that was put in",
        &|text| text.replace("<saml:Subject>", "<saml:Subject> "),
        SamlError::Digest,
    );
    edited(
        "a digest that was changed",
        &|text| text.replace("<ds:DigestValue>", "<ds:DigestValue>AAAA"),
        SamlError::Signature,
    );
    let second = |text: String| {
        let start = text.find("<ds:SignedInfo>").unwrap();
        let end = text.find("</ds:SignedInfo>").unwrap() + "</ds:SignedInfo>".len();
        let info = text[start..end].to_owned();
        text.replacen(&info, &(info.replace("_a1", "_evil") + &info), 1)
    };
    edited(
        "two SignedInfo",
        &second,
        form("expected SignedInfo, SignatureValue and KeyInfo alone"),
    );
    edited(
        "no signature",
        &|text| {
            let (start, end) =
                (text.find("<ds:Signature ").unwrap(), text.find("</ds:Signature>").unwrap());
            text[..start].to_owned() + &text[end + "</ds:Signature>".len()..]
        },
        SamlError::Unsigned,
    );
    edited(
        "a value that is not base64",
        &|text| text.replace("<ds:SignatureValue>", "<ds:SignatureValue>!"),
        form("SignatureValue is not base64"),
    );
    edited(
        "the value of nothing",
        &|text| {
            let start = text.find("<ds:SignatureValue>").unwrap() + "<ds:SignatureValue>".len();
            let end = text.find("</ds:SignatureValue>").unwrap();
            text[..start].to_owned() + &text[end..]
        },
        SamlError::Signature,
    );
    // Of an answer that is signed, all is: also around the assertion.
    let make = |id: &str| {
        Sig::of("_r1").on(&response_with(Some(id), "", "Success", &Says::good(Some(id)).text()))
    };
    assert_eq!(
        world.answered(make).err(),
        Some(SamlError::Profile("a signed answer needs a Destination"))
    );
    let make = |id: &str| {
        Sig::of("_r1")
            .on(&response(Some(id), &Says::good(Some(id)).text()))
            .replace("u-ana", "u-bob")
    };
    assert_eq!(world.answered(make).err(), Some(SamlError::Digest));
    let make = |id: &str| {
        // The assertion's own signature is looked at even where the answer's is good.
        let inner = Sig { stranger: true, ..Sig::of("_a1") }.on(&Says::good(Some(id)).text());
        Sig::of("_r1").on(&response(Some(id), &inner))
    };
    assert_eq!(world.answered(make).err(), Some(SamlError::Signature));
}

/// What an assertion says, held against who asked, here and now.
#[test]
fn assertions_for_elsewhere_or_another_time_are_refused_each_for_its_reason() {
    let world = world(|_, _| {});
    let check = |row: &str, change: &dyn Fn(&mut Says, &str), expect: SamlError| {
        let make = |id: &str| {
            let mut says = Says::good(Some(id));
            change(&mut says, id);
            response(Some(id), &says.signed())
        };
        assert_eq!(world.answered(make).err(), Some(expect), "{row}");
    };
    let profile = SamlError::Profile;
    let expired = |what, ago| SamlError::Expired { what, ago: Duration::from_secs(ago) };
    let ahead = |what, ahead| SamlError::NotYetValid { what, ahead: Duration::from_secs(ahead) };
    check(
        "another issuer",
        &|s, _| s.issuer = "<saml:Issuer>https://other.example</saml:Issuer>".into(),
        SamlError::Issuer,
    );
    check(
        "an issuer in parts",
        &|s, _| s.issuer = s.issuer.replace(IDP, &format!("{IDP} ")),
        SamlError::Issuer,
    );
    check(
        "another recipient",
        &|s, id| s.confirmation = confirmation(Some(id), 300, "https://evil.example/acs"),
        SamlError::Recipient,
    );
    check(
        "no recipient",
        &|s, _| s.confirmation = s.confirmation.replace(&format!(" Recipient=\"{ACS}\""), ""),
        SamlError::Recipient,
    );
    check(
        "another request",
        &|s, _| s.confirmation = confirmation(Some("_other"), 300, ACS),
        SamlError::InResponseTo,
    );
    check(
        "no request",
        &|s, _| s.confirmation = confirmation(None, 300, ACS),
        SamlError::InResponseTo,
    );
    check(
        "not to be brought any more",
        &|s, id| s.confirmation = confirmation(Some(id), -60, ACS),
        expired("SubjectConfirmationData NotOnOrAfter", 60),
    );
    check(
        "to be brought for ever",
        &|s, id| s.confirmation = confirmation(Some(id), 90_000, ACS),
        SamlError::LifetimeTooLong,
    );
    check(
        "a bearer from then on",
        &|s, _| {
            s.confirmation = s
                .confirmation
                .replace(" NotOnOrAfter", &format!(" NotBefore=\"{}\" NotOnOrAfter", time(-9)))
        },
        profile("the confirmation of a bearer has a NotBefore"),
    );
    check(
        "not a bearer",
        &|s, _| s.confirmation = s.confirmation.replace("bearer", "holder-of-key"),
        profile("the subject has no confirmation of the method bearer"),
    );
    check(
        "no confirmation",
        &|s, _| s.confirmation.clear(),
        profile("the subject has no confirmation of the method bearer"),
    );
    check(
        "another audience",
        &|s, _| s.conditions = conditions(-60, 300, &audience("https://evil.example")),
        SamlError::Audience,
    );
    check(
        "an audience that begins alike",
        &|s, _| s.conditions = conditions(-60, 300, &audience(&format!("{SP}.evil"))),
        SamlError::Audience,
    );
    check(
        "one of two restrictions is for us",
        &|s, _| {
            s.conditions = conditions(-60, 300, &(audience(SP) + &audience("https://evil.example")))
        },
        SamlError::Audience,
    );
    check("no audience", &|s, _| s.conditions = conditions(-60, 300, ""), SamlError::Audience);
    check(
        "no conditions",
        &|s, _| s.conditions.clear(),
        profile("the assertion has no Conditions"),
    );
    check(
        "a condition of its own",
        &|s, _| {
            s.conditions =
                conditions(-60, 300, &(audience(SP) + "<saml:Condition></saml:Condition>"))
        },
        SamlError::Condition("Condition".into()),
    );
    check(
        "not yet",
        &|s, _| s.conditions = conditions(61, 300, &audience(SP)),
        ahead("Conditions NotBefore", 61),
    );
    check(
        "not any more",
        &|s, _| s.conditions = conditions(-600, -60, &audience(SP)),
        expired("Conditions NotOnOrAfter", 60),
    );
    check("made in time to come", &|s, _| s.issued = time(3600), ahead("IssueInstant", 3600));
    check(
        "a time of somewhere",
        &|s, _| s.issued = time(-5).replace('Z', "+00:00"),
        profile("a time is not one in UTC (SAML core §1.3.3)"),
    );
    check(
        "a session that is over",
        &|s, _| {
            s.statement =
                s.statement.replace("s1\"", &format!("s1\" SessionNotOnOrAfter=\"{}\"", time(0)))
        },
        SamlError::SessionOver,
    );
    check(
        "nobody has signed in",
        &|s, _| s.statement.clear(),
        profile("the assertion has no AuthnStatement"),
    );
    check(
        "somebody will have signed in",
        &|s, _| s.statement = s.statement.replace(&time(-10), &time(100)),
        ahead("AuthnInstant", 100),
    );
    check(
        "two subjects",
        &|s, _| s.conditions += "<saml:Subject></saml:Subject>",
        profile("an element that there is once is there twice"),
    );
    let subject = |what| SamlError::Subject(what);
    let transient = "its name ID is transient, another one each time: configure persistent ones at the provider, or subject_attribute here";
    check(
        "a transient name",
        &|s, _| s.name_id = s.name_id.replace(":persistent", ":transient"),
        subject(transient),
    );
    let other = "its name ID is of another format than name_id has: configure it at the provider or here, or set subject_attribute";
    check(
        "a name of mail",
        &|s, _| {
            s.name_id = s
                .name_id
                .replace(PERSISTENT, "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress")
        },
        subject(other),
    );
    check(
        "a name without a format",
        &|s, _| s.name_id = s.name_id.replace(&format!(" Format=\"{PERSISTENT}\""), ""),
        subject(other),
    );
    let qualified = "its name ID is qualified as another provider's or another service's";
    check(
        "a name at another provider",
        &|s, _| s.name_id = s.name_id.replace("\">", "\" NameQualifier=\"https://other.example\">"),
        subject(qualified),
    );
    check(
        "a name at another service",
        &|s, _| {
            s.name_id = s.name_id.replace("\">", "\" SPNameQualifier=\"https://other.example\">")
        },
        subject(qualified),
    );
    check(
        "a name that cannot be seen",
        &|s, _| s.name_id = s.name_id.replace("u-ana", "u-\u{202e}ana"),
        subject("its name ID cannot be shown as it is"),
    );
    check("no name", &|s, _| s.name_id.clear(), subject("it is not a NameID in the clear"));
    check(
        "a name in parts",
        &|s, _| s.name_id = s.name_id.replace("u-ana", "u-<x xmlns=\"urn:x\"></x>ana"),
        subject("its name ID cannot be shown as it is"),
    );
    // Around the assertion.
    let around = |row: &str, make: &dyn Fn(&str) -> String, expect: SamlError| {
        assert_eq!(world.answered(make).err(), Some(expect), "{row}");
    };
    let good = |id: &str| response(Some(id), &Says::good(Some(id)).signed());
    around(
        "another destination",
        &|id| good(id).replacen(ACS, "https://evil.example/acs", 1),
        SamlError::Destination,
    );
    around(
        "another issuer of the answer",
        &|id| good(id).replacen(IDP, "https://other.example", 1),
        SamlError::Issuer,
    );
    around(
        "an answer to another request",
        &|id| good(id).replacen(id, "_other", 1),
        SamlError::InResponseTo,
    );
    around(
        "an answer to none",
        &|id| good(id).replacen(&format!(" InResponseTo=\"{id}\""), "", 1),
        SamlError::InResponseTo,
    );
    around(
        "a refusal",
        &|id| response_with(Some(id), "", "AuthnFailed", ""),
        SamlError::Status("AuthnFailed".into()),
    );
    around(
        "a refusal with an assertion",
        &|id| good(id).replace(":Success", ":Responder"),
        SamlError::Status("Responder".into()),
    );
    around(
        "a refusal that would say something",
        &|id| good(id).replace(":Success", ":&lt;b&gt;"),
        SamlError::Status("an unknown code".into()),
    );
    around(
        "no status",
        &|id| good(id).replace("samlp:Status", "samlp:Other"),
        profile("Status is missing"),
    );
    around(
        "SAML 1.1",
        &|id| good(id).replacen("Version=\"2.0\"", "Version=\"1.1\"", 1),
        SamlError::NotAResponse,
    );
    around("an assertion alone", &|id| Says::good(Some(id)).signed(), SamlError::NotAResponse);
    around(
        "a request to log out",
        &|id| good(id).replace("samlp:Response", "samlp:LogoutRequest"),
        SamlError::NotAResponse,
    );
    around("no assertion", &|id| response(Some(id), ""), SamlError::NoAssertion);
    // Clocks may differ by a minute.
    assert!(
        world
            .answered(|id| {
                let says =
                    Says { conditions: conditions(60, 300, &audience(SP)), ..Says::good(Some(id)) };
                response(Some(id), &says.signed())
            })
            .is_ok()
    );
}

#[test]
fn encrypted_assertions_are_opened_one_way() {
    let world = world(encrypting);
    let check = |row: &str, make: &dyn Fn(&str) -> String, expect: SamlError| {
        assert_eq!(world.answered(make).err(), Some(expect), "{row}");
    };
    let signed = |id: &str| Says::good(Some(id)).signed();
    let of = |sealing: Sealing| move |id: &str| response(Some(id), &sealing.sealed(&signed(id)));
    for name in [
        "http://www.w3.org/2001/04/xmlenc#aes256-cbc",
        "http://www.w3.org/2001/04/xmlenc#tripledes-cbc",
    ] {
        check(
            name,
            &of(Sealing { data: name, ..Sealing::default() }),
            SamlError::Algorithm(name.into()),
        );
    }
    let rsa = "http://www.w3.org/2001/04/xmlenc#rsa-1_5";
    check(rsa, &of(Sealing { key: rsa, ..Sealing::default() }), SamlError::Algorithm(rsa.into()));
    check(
        "to somebody else",
        &of(Sealing { to_stranger: true, ..Sealing::default() }),
        SamlError::Decryption,
    );
    check("changed", &of(Sealing { flip: true, ..Sealing::default() }), SamlError::Decryption);
    check(
        "anybody can encrypt",
        &|id| response(Some(id), &Sealing::default().sealed(&evil(id).text())),
        SamlError::Unsigned,
    );
    check(
        "two within",
        &|id| response(Some(id), &Sealing::default().sealed(&(evil(id).text() + &signed(id)))),
        SamlError::SeveralAssertions,
    );
    check(
        "one beside something",
        &|id| response(Some(id), &Sealing::default().sealed(&("<x/>".to_owned() + &signed(id)))),
        SamlError::Profile("what was encrypted is not one Assertion"),
    );
    for (row, within) in [
        ("out of what it stands in", "</portcullis-context:EncryptedAssertion><x>"),
        ("a document type within", "<!DOCTYPE x><x/>"),
        ("nothing that can be read", "x<"),
    ] {
        let said =
            world.answered(|id| response(Some(id), &Sealing::default().sealed(within))).err();
        assert!(matches!(said, Some(SamlError::Xml(_))), "{row}: {said:?}");
    }
    check(
        "encrypted twice",
        &|id| {
            response(Some(id), &Sealing::default().sealed(&Sealing::default().sealed(&signed(id))))
        },
        SamlError::Profile("what was encrypted is not one Assertion"),
    );
    check(
        "elsewhere",
        &|id| {
            response(
                Some(id),
                &Sealing::default().sealed(&signed(id)).replacen(
                    "CipherValue>",
                    "CipherReference>",
                    9,
                ),
            )
        },
        SamlError::Profile("CipherValue is missing, or is not base64"),
    );
    let plain = crate::saml_support::world(|_, _| {});
    let said =
        plain.answered(|id| response(Some(id), &Sealing::default().sealed(&signed(id)))).err();
    assert_eq!(said, Some(SamlError::NoDecryptionKey));
    let always = crate::saml_support::world(|provider, folder| {
        encrypting(provider, folder);
        provider.require_encryption = true;
    });
    assert_eq!(
        always.answered(|id| response(Some(id), &signed(id))).err(),
        Some(SamlError::NotEncrypted)
    );
}

/// Where it is allowed: signed as it is, or not opened. Nothing that was changed is.
#[test]
fn aes_cbc_is_opened_only_where_it_was_signed() {
    let signed = |id: &str| Says::good(Some(id)).signed();
    let of = |sealing: Sealing| move |id: &str| response(Some(id), &sealing.sealed(&signed(id)));
    let old = world(|provider, folder| {
        encrypting(provider, folder);
        provider.allow_aes_cbc = true;
    });
    let cbc = |flip: bool| {
        let data = "http://www.w3.org/2001/04/xmlenc#aes256-cbc";
        Sealing { data, flip, ..Sealing::default() }
    };
    for flip in [true, false] {
        let said = old.answered(of(cbc(flip))).err();
        assert_eq!(said, Some(SamlError::CbcUnsigned), "signed within alone");
        let stranger = Sealing { to_stranger: true, ..cbc(flip) };
        assert_eq!(old.answered(of(stranger)).err(), Some(SamlError::CbcUnsigned));
    }
    let whole = |id: &str, sealed: &str| Sig::of("_r1").on(&response(Some(id), sealed));
    assert_eq!(believed(&old, |id| whole(id, &cbc(false).sealed(&signed(id)))).subject, "u-ana");
    let bare = |id: &str| cbc(false).sealed(&Says::good(Some(id)).text());
    assert_eq!(believed(&old, |id| whole(id, &bare(id))).subject, "u-ana");
    let other = |id: &str| {
        let (good, changed) = (cbc(false).sealed(&signed(id)), cbc(true).sealed(&signed(id)));
        let whole = whole(id, &good);
        // The same but for what is encrypted.
        let value = |text: &str| text.rsplit("CipherValue>").nth(1).unwrap().to_owned();
        whole.replace(&value(&good), &value(&changed))
    };
    assert_eq!(old.answered(other).err(), Some(SamlError::Digest));
    // AES-GCM needs no such thing.
    assert_eq!(believed(&old, of(Sealing::default())).subject, "u-ana");
}

#[test]
fn an_answer_is_taken_once_in_time_and_where_it_was_asked_for() {
    let asked_for = world(|_, _| {});
    let unasked =
        |text: &str, world: &World| world.parties.finish(None, &posted(text), &addresses(), now());
    let alone = response(None, &Says::good(None).signed());
    assert_eq!(unasked(&alone, &asked_for).err(), Some(SamlError::Unsolicited));
    // Where nobody may begin, what nobody has asked for is not even read.
    assert_eq!(unasked("<", &asked_for).err(), Some(SamlError::Unsolicited));
    let open = world(|provider, _| provider.idp_initiated = true);
    let asserted = unasked(&alone, &open).unwrap();
    assert_eq!(asserted.assertion(), (IDP, "_a1", at(360)));
    assert_eq!(asserted.once(false).err(), Some(SamlError::Replayed));
    // One that answers somebody is not one nobody has asked for; nor the other way round.
    let stolen = response(Some("_1"), &Says::good(Some("_1")).signed());
    assert_eq!(unasked(&stolen, &open).err(), Some(SamlError::InResponseTo));
    let stripped = stolen.replacen(" InResponseTo=\"_1\"", "", 1);
    assert_eq!(unasked(&stripped, &open).err(), Some(SamlError::InResponseTo));
    assert_eq!(open.answered(|_| alone.clone()).err(), Some(SamlError::InResponseTo));
    let unknown = alone.replacen(IDP, "https://nobody.example", 1);
    assert_eq!(unasked(&unknown, &open).err(), Some(SamlError::Issuer));
    let (pending, id) = open.begun();
    let good = posted(&response(Some(&id), &Says::good(Some(&id)).signed()));
    let late = open.parties.finish(Some(pending), &good, &addresses(), at(600));
    assert_eq!(late.err(), Some(SamlError::TooLate));
    // Another provider's good answer.
    let (pending, id) = open.begun();
    let theirs = Sig { stranger: true, ..Sig::of("_a1") }
        .on(&Says::good(Some(&id)).text().replace(IDP, "https://other.example"));
    let theirs = response(Some(&id), &theirs).replace(IDP, "https://other.example");
    let said = open.parties.finish(Some(pending), &posted(&theirs), &addresses(), now());
    assert_eq!(said.err(), Some(SamlError::Issuer));
}

/// An assertion is remembered for as long as it could be brought, by whatever confirmation.
#[test]
fn an_assertion_is_remembered_until_nobody_can_bring_it() {
    let world = world(|_, _| {});
    let until = |confirmations: &[(Option<&str>, i64, &str)], ends: Option<i64>| {
        let asserted = world.answered(|id| {
            let mut says = Says::good(Some(id));
            let all = confirmations.iter();
            let all =
                all.map(|(request, until, to)| confirmation(request.or(Some(id)), *until, to));
            says.confirmation = all.collect();
            says.conditions = match ends {
                Some(ends) => conditions(-60, ends, &audience(SP)),
                None => format!("<saml:Conditions>{}</saml:Conditions>", audience(SP)),
            };
            response(Some(id), &says.signed())
        });
        asserted.unwrap().assertion().2
    };
    let (hour, days) = (3_600, 2 * 86_400);
    // A minute for clocks comes behind each.
    assert_eq!(until(&[(None, 300, ACS)], None), at(360));
    assert_eq!(until(&[(None, 300, ACS), (None, hour, ACS)], None), at(hour + 60));
    assert_eq!(until(&[(None, hour, ACS), (None, 300, ACS)], None), at(hour + 60));
    // One that is good for another request, or that is too long now and will not be.
    assert_eq!(until(&[(None, 300, ACS), (Some("_x"), hour, ACS)], None), at(hour + 60));
    assert_eq!(until(&[(None, 300, ACS), (None, days, ACS)], None), at(days + 60));
    // The conditions end it for all of them.
    assert_eq!(until(&[(None, 300, ACS), (None, hour, ACS)], Some(600)), at(660));
    assert_eq!(until(&[(None, 300, ACS)], Some(hour)), at(360));
}

/// What takes the reader a time that grows as a square is refused, wherever it comes: it would be minutes.
#[test]
fn what_would_take_too_long_to_read_is_refused() {
    let world = world(encrypting);
    let too_many = |said: Option<SamlError>, expect: &str| {
        assert!(
            matches!(said, Some(SamlError::TooMany { what, .. }) if what.contains(expect)),
            "{said:?}"
        );
    };
    let check = |within: &str, expect: &str| {
        let outside = |id: &str| response(Some(id), within);
        too_many(world.answered(outside).err(), expect);
        let sealed = |id: &str| response(Some(id), &Sealing::default().sealed(within));
        too_many(world.answered(sealed).err(), expect);
    };
    let prefixes = |from: usize, count: usize| -> String {
        (from..from + count).map(|at| format!(" xmlns:p{at}=\"urn:x\"")).collect()
    };
    let again = "<b xmlns:p0=\"urn:y\"/>";
    check(&format!("<a{}>{}</a>", prefixes(0, 3000), again.repeat(600)), "attributes");
    let spread: String = (0..100).map(|at| format!("<a{}>", prefixes(at * 30, 30))).collect();
    check(&format!("{spread}{}", again.repeat(600)), "prefixes");
    check(&format!("<a{}>{}</a>", prefixes(0, 58), again.repeat(4_000)), "comparisons");
    check(&format!("<a xmlns:p=\"u:{}\"/>", "u".repeat(120_000)), "name of a namespace");
    let attributes: String = (0..9_000).map(|at| format!(" a{at}=''")).collect();
    check(&format!("<a{attributes}/>"), "attributes");
    // As many as go into an answer: names of three letters.
    let letter =
        |at: usize| char::from(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"[at % 52]);
    let name =
        |at| -> String { [letter(at / 2_704), letter(at / 52), letter(at)].iter().collect() };
    let all: String = (0..36_000).map(|at| format!(" {}=''", name(at))).collect();
    too_many(world.answered(|id| response(Some(id), &format!("<a{all}/>"))).err(), "attributes");
    // Metadata may have more, and not any number.
    let of = |more: &str| {
        let text = metadata(IDP, &[&keys().idp], more);
        IdpMetadata::parse(&text, Some(IDP)).map(drop)
    };
    assert_eq!(of(&prefixes(0, 200)), Ok(()));
    assert!(of(&prefixes(0, 300)).unwrap_err().contains("attributes in a tag"));
}

/// A genuine answer, its elements copied, moved and left out at random: it is refused, or says what was
/// signed.
#[test]
fn whatever_is_done_to_an_answer_it_says_what_was_signed_or_nothing() {
    use proptest::prelude::*;
    let world = world(encrypting);
    let genuine = believed(&world, |id| response(Some(id), &Says::good(Some(id)).signed()));
    let edit = (0..3u8, any::<prop::sample::Index>(), 1..24usize, any::<prop::sample::Index>());
    let edits = prop::collection::vec(edit, 1..4);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(2_000));
    let tried = runner.run(&(edits, 0..3u8, any::<bool>()), |(edits, kind, admin)| {
        let said = world.answered(|id| {
            let good = Says::good(Some(id));
            let text = match kind {
                0 => response(Some(id), &good.signed()),
                1 => Sig::of("_r1").on(&response(Some(id), &good.text())),
                _ => Sig::of("_r1").on(&response(Some(id), &good.signed())),
            };
            let mut parts: Vec<String> = text.split('<').skip(1).map(|p| format!("<{p}")).collect();
            for (what, from, length, to) in &edits {
                let start = from.index(parts.len());
                let end = (start + length).min(parts.len());
                let piece: Vec<String> = parts[start..end].to_vec();
                match what {
                    0 => drop(parts.drain(start..end)),
                    1 => {
                        parts.drain(start..end);
                        let to = to.index(parts.len() + 1);
                        parts.splice(to..to, piece);
                    }
                    _ => {
                        let to = to.index(parts.len() + 1);
                        // A copy says something else, under another ID or the same.
                        let piece = piece.iter().map(|p| p.replace("u-ana", "u-admin"));
                        let piece: Vec<String> = match admin {
                            true => piece
                                .map(|p| {
                                    p.replace("\"_a1\"", "\"_a2\"").replace("\"_r1\"", "\"_r2\"")
                                })
                                .collect(),
                            false => piece.collect(),
                        };
                        parts.splice(to..to, piece);
                    }
                }
            }
            parts.concat()
        });
        if let Ok(asserted) = said {
            prop_assert_eq!(asserted.once(true).unwrap().1, genuine.clone());
        }
        Ok(())
    });
    tried.unwrap();
}

#[test]
fn forms() {
    let check = |body: &str, expect: SamlError| {
        assert_eq!(Posted::parse(body).err(), Some(expect), "{body}")
    };
    check("RelayState=x", SamlError::Form("it has no SAMLResponse"));
    check("SAMLResponse=a&SAMLResponse=b", SamlError::Form("it says something twice"));
    check("SAMLResponse=%21", SamlError::Form("SAMLResponse is not base64"));
    check("SAMLResponse=%2F%2F%2F%2F", SamlError::Xml("it is not UTF-8".into()));
    check(&format!("SAMLResponse={}", "A".repeat(400_000)), SamlError::TooLarge);
    check(&format!("SAMLResponse={}", "A".repeat(600_000)), SamlError::TooLarge);
    assert_eq!(
        Posted::parse("SAMLResponse=PGEv%0D%0APg%3D%3D&RelayState=%2Fx&y=1&y=2")
            .unwrap()
            .relay_state(),
        Some("/x")
    );
}

#[test]
fn metadata_comes_and_goes() {
    let world = world(encrypting);
    let path = world.folder.path().join("idp.xml");
    let make = |id: &str| response(Some(id), &Says::good(Some(id)).signed());
    let write = |text: String| std::fs::write(&path, text).unwrap();
    assert!(world.answered(make).is_ok());
    // A broken one changes nothing; without the old key, its signatures are nothing; nor when it has run out.
    write("<x/>".into());
    assert!(world.answered(make).is_ok());
    write(metadata(IDP, &[&keys().next], ""));
    assert_eq!(world.answered(make).err(), Some(SamlError::Signature));
    let over = format!(" validUntil=\"{}\"", time(0));
    write(metadata(IDP, &[&keys().idp], &over));
    let said = world.parties.begin("corp", &addresses(), false, now()).err();
    assert!(
        matches!(&said, Some(SamlError::Metadata { cause, .. }) if cause.contains("validUntil")),
        "{said:?}"
    );
    // Requests are signed over the query, and what the gateway says of itself has its certificate.
    write(metadata(IDP, &[&keys().idp], ""));
    let (url, _) = world.parties.begin("corp", &addresses(), false, now()).unwrap();
    assert!(url.starts_with("https://idp.example/sso?x=1&SAMLRequest="), "{url}");
    let (signed, signature) = url.split_once("&Signature=").unwrap();
    let signed = &signed[signed.find("SAMLRequest=").unwrap()..];
    let signature = STANDARD
        .decode(signature.replace("%2B", "+").replace("%2F", "/").replace("%3D", "="))
        .unwrap();
    assert_eq!(signature, keys().own.sign(signed));
    let own = world.parties.metadata("corp", &addresses()).unwrap();
    for part in
        [SP, ACS, &STANDARD.encode(&keys().own.certificate), "use=\"encryption\"", PERSISTENT]
    {
        assert!(own.contains(part), "{own}");
    }
    // At the start it has to be good.
    let problem = |text: &str, change: &dyn Fn(&mut SamlProvider)| {
        std::fs::write(world.folder.path().join("bad.xml"), text).unwrap();
        let mut provider = SamlProvider::new("corp", IDP, world.folder.path().join("bad.xml"));
        change(&mut provider);
        SamlParties::new(&[provider]).err().unwrap().to_string()
    };
    let good = metadata(IDP, &[&keys().idp], "");
    let check = |text: &str, expect: &str| {
        let said = problem(text, &|_| {});
        assert!(said.contains("\"corp\": `metadata_file`") && said.contains(expect), "{said}");
    };
    check("", "cannot be read");
    check(&format!("<!DOCTYPE x>{good}"), "document type");
    check(
        &metadata("https://other.example", &[&keys().idp], ""),
        &format!("no identity provider {IDP}"),
    );
    check(&metadata(IDP, &[], ""), "no signing certificate");
    check(&good.replace("https://idp.example/sso", "http://idp.example/sso"), "must be https");
    check(&good.replace("HTTP-Redirect", "HTTP-POST"), "HTTP-Redirect");
    check(&good.replace("X509Certificate>", "X509Certificate>AAAA"), "a certificate");
    let chain = "</ds:X509Certificate><ds:X509Certificate>AAAA</ds:X509Certificate>";
    check(&good.replace("</ds:X509Certificate>", chain), "several certificates");
    let key = |provider: &mut SamlProvider| {
        provider.key_file = Some(world.folder.path().join("own.key"));
        provider.certificate_file = Some(world.folder.path().join("other.pem"));
    };
    std::fs::write(world.folder.path().join("other.pem"), &keys().idp.pem).unwrap();
    assert!(problem(&good, &key).contains("is not the certificate of key_file"));
}
