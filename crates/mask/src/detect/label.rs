//! Columns whose names say what they hold: what a plain number, a date or a word in them is. Asked
//! once per column of an answer, then of each of its values.

use super::kind::{Hit, Kind};
use super::national::Told;
use super::{Detectors, birth, secret};
use portcullis_core::mask::Label;
use std::collections::HashMap;
use std::sync::OnceLock;

/// Names, in lower case and without separators, and what such a column holds. A longer name counts
/// by its end, from a separator or capital on (`patient_date_of_birth`, `billingFirstName`).
const NAMES: &[(Told, &str)] = &[
    (
        Told::Kind(Kind::DateOfBirth),
        "dob dateofbirth birthdate birthday birthdt dateborn bornon geburtsdatum geburtstag \
         datenaissance datedenaissance fechanacimiento fechadenacimiento datanascita datadinascita \
         datanascimento datadenascimento geboortedatum fodelsedatum syntymaaika dataurodzenia \
         dogumtarihi",
    ),
    (
        Told::Kind(Kind::PersonName),
        "firstname lastname fullname middlename givenname familyname surname forename maidenname \
         birthname fname lname patientname personname employeename contactname passengername \
         guestname cardholder cardholdername accountholder accountholdername nameoncard \
         beneficiaryname nextofkin vorname nachname familienname prenom nomdefamille nomcomplet \
         nombrecompleto apellido apellidos primerapellido segundoapellido cognome nomecompleto \
         sobrenome achternaam voornaam imie nazwisko fornamn efternamn etunimi sukunimi soyadi",
    ),
    (Told::Kind(Kind::UsSsn), "ssn socialsecuritynumber socialsecurity"),
    (Told::Kind(Kind::EsDni), "dni nie nif dninie"),
    (Told::Kind(Kind::FrNir), "nir numerosecu numerosecuritesociale insee"),
    (Told::Kind(Kind::NlBsn), "bsn burgerservicenummer sofinummer"),
    (Told::Kind(Kind::BeNrn), "rijksregisternummer rijksregister nrn niss insz registrenational"),
    (Told::Kind(Kind::PlPesel), "pesel"),
    (Told::Kind(Kind::SePnr), "personnummer personnr"),
    (Told::Kind(Kind::FiHetu), "hetu henkilotunnus"),
    (Told::Kind(Kind::BrCpf), "cpf"),
    (Told::Kind(Kind::InAadhaar), "aadhaar aadhar aadhaarnumber aadharnumber aadhaarno uidai"),
    (Told::Kind(Kind::ZaId), "said saidnumber rsaid zaid"),
    (Told::Kind(Kind::TrTckn), "tckn tckimlik tckimlikno kimlikno"),
    (
        Told::National,
        "nationalid nationalidnumber nationalidentifier nationalidentitynumber identitynumber \
         idnumber personalid personalidnumber personalnumber citizenid taxid taxnumber taxpayerid",
    ),
    (
        Told::Kind(Kind::Secret),
        "password passwd pwd passphrase secret secretkey clientsecret apikey apitoken apisecret \
         accesstoken refreshtoken authtoken bearertoken token authkey accesskey privatekey \
         encryptionkey signingkey signingsecret webhooksecret sessiontoken resettoken",
    ),
];

fn names() -> &'static HashMap<&'static str, Told> {
    static NAMES_BY_WORD: OnceLock<HashMap<&'static str, Told>> = OnceLock::new();
    NAMES_BY_WORD.get_or_init(|| {
        let all = NAMES
            .iter()
            .flat_map(|(told, names)| names.split_ascii_whitespace().map(|name| (name, *told)));
        all.collect()
    })
}

/// The number that stands for [`Told::National`]; kinds have their own.
const NATIONAL: u8 = u8::MAX;

/// The longest name that is looked at.
const MAX_NAME: usize = 64;

/// What a column of this name holds, as far as its name tells.
#[must_use]
pub fn label_of(name: &str) -> Option<Label> {
    if name.len() > MAX_NAME {
        return None;
    }
    let mut compact = String::with_capacity(name.len());
    // Where parts of the name start in it, without its separators.
    let mut starts = Vec::new();
    let mut previous = b'_';
    for b in name.bytes() {
        let parted = !previous.is_ascii_alphanumeric()
            || b.is_ascii_uppercase() && previous.is_ascii_lowercase();
        if b.is_ascii_alphanumeric() {
            if parted {
                starts.push(compact.len());
            }
            compact.push(char::from(b.to_ascii_lowercase()));
        }
        previous = b;
    }
    let known = |start: &usize| names().get(compact.get(*start..)?).copied();
    starts.iter().find_map(known).map(label)
}

const fn label(told: Told) -> Label {
    match told {
        Told::Kind(kind) => Label(kind as u8),
        Told::National | Told::Nothing => Label(NATIONAL),
    }
}

fn told(label: Label) -> Told {
    match label.0 {
        NATIONAL => Told::National,
        number => {
            Kind::ALL.get(usize::from(number)).map_or(Told::Nothing, |kind| Told::Kind(*kind))
        }
    }
}

impl Detectors {
    /// True where a detector that is on has use for what the name of a column says.
    #[must_use]
    pub fn heeds(&self, label: Label) -> bool {
        match told(label) {
            Told::Kind(kind) => self.has(kind),
            Told::National => Kind::NATIONAL.iter().any(|kind| self.has(*kind)),
            Told::Nothing => false,
        }
    }

    /// The hits in a text of a column with this label.
    #[must_use]
    pub fn scan_labelled(&self, label: Label, text: &[u8]) -> Vec<Hit> {
        let told = told(label);
        match told {
            Told::Kind(kind) if self.has(kind) && is_all(kind, text) => {
                vec![Hit { kind, range: 0..text.len() }]
            }
            _ => self.scan_told(text, told),
        }
    }

    /// As [`Detectors::redact`], for a text of a column with this label.
    pub fn redact_labelled(&self, label: Label, text: &[u8], out: &mut Vec<u8>) -> bool {
        let hits = self.scan_labelled(label, text);
        let Some(first) = hits.first() else { return false };
        if first.range == (0..text.len()) {
            out.extend_from_slice(first.kind.placeholder().as_bytes());
            return true;
        }
        let mut once = Vec::with_capacity(text.len());
        super::write_placeholders(text, &hits, &mut once);
        // Taking one hit out can make its neighbour stand free.
        if !self.redact(&once, out) {
            out.extend_from_slice(&once);
        }
        true
    }

    /// True where a number of a column with this label, written without leading zeros, is what the
    /// label says.
    #[must_use]
    pub fn finds_number(&self, label: Label, digits: &[u8]) -> bool {
        const LENGTHS: [usize; 6] = [0, 9, 10, 11, 12, 13];
        digits.iter().all(u8::is_ascii_digit)
            && LENGTHS.into_iter().filter(|length| *length == 0 || *length > digits.len()).any(
                |length| {
                    let mut padded = vec![b'0'; length.saturating_sub(digits.len())];
                    padded.extend_from_slice(digits);
                    self.scan_labelled(label, &padded)
                        .iter()
                        .any(|hit| hit.range == (0..padded.len()))
                },
            )
    }

    /// The label of columns whose type alone says what they hold: network addresses.
    #[must_use]
    pub fn label_of_addresses(&self) -> Option<Label> {
        self.has(Kind::IpAddress).then_some(label(Told::Kind(Kind::IpAddress)))
    }

    /// True for the label of dates of birth.
    #[must_use]
    pub fn is_birth(label: Label) -> bool {
        told(label) == Told::Kind(Kind::DateOfBirth)
    }

    /// True for labels of identifiers, which columns of numbers hold too.
    #[must_use]
    pub fn is_national(label: Label) -> bool {
        match told(label) {
            Told::National => true,
            Told::Kind(kind) => Kind::NATIONAL.contains(&kind),
            Told::Nothing => false,
        }
    }
}

/// True where all of a labelled text is what the label says.
fn is_all(kind: Kind, text: &[u8]) -> bool {
    match kind {
        Kind::DateOfBirth => birth::is_date(text),
        Kind::PersonName => is_name(text),
        Kind::Secret => secret::is_secret(text),
        _ => false,
    }
}

/// One to six words of letters, as names are written: no digits, no sentence.
fn is_name(text: &[u8]) -> bool {
    const MAX_LENGTH: usize = 100;
    const NOTHING: &[&str] =
        &["null", "none", "unknown", "n/a", "na", "test", "admin", "yes", "no"];
    let Ok(text) = std::str::from_utf8(text) else { return false };
    let text = text.trim();
    let letters = text.chars().filter(|c| c.is_alphabetic()).count();
    let fits = |c: char| {
        c.is_alphabetic()
            || matches!(c, ' ' | '-' | '\'' | '’' | '.' | ',' | '·' | '\u{300}'..='\u{36f}')
    };
    letters > 0
        && text.len() <= MAX_LENGTH
        && text.chars().all(fits)
        && text.split_whitespace().count() <= 6
        && !NOTHING.iter().any(|word| text.eq_ignore_ascii_case(word))
}
