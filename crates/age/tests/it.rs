//! What is sealed opens, to whom it is sealed and to nobody else, and not once anything of it was changed.
#![expect(clippy::unwrap_used, reason = "helpers of tests stand outside the tests themselves")]

use portcullis_age::{Identity, KeyError, OpenError, Opener, Recipient, Sealer, identities};
use proptest::prelude::*;
use std::io::{Read as _, Write as _};

fn seal(bytes: &[u8], to: &[Recipient]) -> Vec<u8> {
    let mut sealer = Sealer::new(Vec::new(), to).unwrap();
    sealer.write_all(bytes).unwrap();
    sealer.finish().unwrap()
}

fn open(sealed: &[u8], with: &[Identity]) -> Result<Vec<u8>, String> {
    let mut opener = Opener::new(sealed, with).map_err(|e| e.to_string())?;
    let mut bytes = Vec::new();
    opener.read_to_end(&mut bytes).map_err(|e| e.to_string())?;
    Ok(bytes)
}

#[test]
fn each_recipient_alone_opens_it_and_nobody_else() {
    let people: Vec<Identity> = (0..3).map(|_| Identity::generate().unwrap()).collect();
    let to: Vec<Recipient> = people.iter().take(2).map(Identity::recipient).collect();
    for length in [0, 1, 65_535, 65_536, 65_537, 131_072, 200_000] {
        let bytes: Vec<u8> = (0..length).map(|n| u8::try_from(n % 251).unwrap()).collect();
        let sealed = seal(&bytes, &to);
        for reader in &people[..2] {
            let reader = reader.to_text().parse().unwrap();
            assert_eq!(open(&sealed, &[reader]).unwrap(), bytes, "{length}");
        }
        let stranger = people[2].to_text().parse().unwrap();
        let refused = Opener::new(&sealed[..], &[stranger]).err().unwrap();
        assert!(matches!(refused, OpenError::NotForUs), "{refused}");
    }
    assert!(Sealer::new(Vec::new(), &[]).is_err(), "to nobody");
}

#[test]
fn what_is_cut_changed_or_moved_does_not_open() {
    let reader = Identity::generate().unwrap();
    let bytes = vec![7; 150_000];
    let sealed = seal(&bytes, &[reader.recipient()]);
    let keys = [reader];
    assert!(open(&sealed, &keys).is_ok());
    let pieces = sealed.len() - 150_000 - 3 * 16;
    // At every boundary there is, and about it.
    for cut in [
        0,
        1,
        30,
        pieces - 1,
        pieces,
        pieces + 1,
        pieces + 65_552,
        pieces + 2 * 65_552,
        sealed.len() - 1,
    ] {
        assert!(open(&sealed[..cut], &keys).is_err(), "{cut}");
    }
    let mut longer = sealed.clone();
    longer.push(0);
    assert!(open(&longer, &keys).is_err());
    for at in (0..pieces).chain([pieces + 5, pieces + 65_552, sealed.len() - 1]) {
        let mut changed = sealed.clone();
        changed[at] ^= 1;
        assert!(open(&changed, &keys).is_err(), "{at}");
    }
    let (first, second) = (pieces..pieces + 65_552, pieces + 65_552..pieces + 131_104);
    let swapped =
        [&sealed[..pieces], &sealed[second], &sealed[first], &sealed[pieces + 131_104..]].concat();
    assert!(open(&swapped, &keys).is_err());
}

#[test]
fn another_recipient_cannot_be_added_unseen() {
    let (reader, other) = (Identity::generate().unwrap(), Identity::generate().unwrap());
    let sealed = seal(b"x", &[reader.recipient()]);
    let theirs = seal(b"y", &[other.recipient()]);
    let stanza = |of: &[u8]| {
        let text = String::from_utf8_lossy(of).into_owned();
        text.lines().skip(1).take(2).map(|line| format!("{line}\n")).collect::<String>()
    };
    let line = sealed.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let added = [&sealed[..line], stanza(&theirs).as_bytes(), &sealed[line..]].concat();
    let refused = Opener::new(&added[..], &[reader]).err().unwrap();
    assert!(matches!(refused, OpenError::Forged), "{refused}");
}

#[test]
fn keys_are_read_as_age_writes_them_and_mistakes_are_named() {
    // Of the format's own text: the identity of `age-keygen`'s manual page.
    let file = "# created: 2021-01-02T15:30:45+01:00\n# public key: \
                age1lvyvwawkr0mcnnnncaghunadrqkmuf9e6507x9y920xxpp866cnql7dp2z\n\
                AGE-SECRET-KEY-1N9JEPW6DWJ0ZQUDX63F5A03GX8QUW7PXDE39N8UYF82VZ9PC8UFS3M7XA9\n";
    let keys = identities(file).unwrap();
    let public = "age1lvyvwawkr0mcnnnncaghunadrqkmuf9e6507x9y920xxpp866cnql7dp2z";
    assert_eq!(keys[0].recipient().to_string(), public);
    assert_eq!(public.parse::<Recipient>().unwrap(), keys[0].recipient());
    assert!(format!("{keys:?}").contains(public), "and the secret is not told");
    assert!(!format!("{keys:?}").contains("SECRET"));
    let wrong = |text: &str| text.parse::<Recipient>().unwrap_err();
    assert_eq!(wrong(&keys[0].to_text()), KeyError::Secret);
    assert_eq!(wrong("age1pq1xyz"), KeyError::Kind);
    assert_eq!(wrong("age1lvyv"), KeyError::Recipient("age1lvyv".to_owned()));
    assert!(matches!(wrong(&public.replace("dp2z", "dp2q")), KeyError::Recipient(_)));
    assert_eq!(identities("# nothing\n").unwrap_err(), KeyError::None);
    assert_eq!(identities("what").unwrap_err(), KeyError::Identity);
    // A point of small order: everybody would know what is agreed on.
    let nobody =
        bech32::encode::<bech32::Bech32>(bech32::Hrp::parse("age").unwrap(), &[0; 32]).unwrap();
    assert!(matches!(wrong(&nobody), KeyError::Recipient(_)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_is_read_as_a_file_opens_or_is_refused(bytes in prop::collection::vec(any::<u8>(), 0..400), keep in 0usize..200) {
        let reader = Identity::generate().unwrap();
        let mut sealed = seal(b"what was said", &[reader.recipient()]);
        sealed.truncate(keep);
        sealed.extend(bytes);
        prop_assert!(open(&sealed, &[reader]).is_err());
    }
}
