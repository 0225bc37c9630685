//! What detectors look for: names in configuration, placeholders, and which are on by default.

use std::ops::Range;

/// Declares the kinds once: variant, word, whether it is on where nothing is configured, meaning.
macro_rules! kinds {
    ($($variant:ident, $word:literal, $on:literal, $meaning:literal;)+) => {
        /// What a detector looks for.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Kind {
            $(#[doc = $meaning] $variant,)+
        }

        impl Kind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The word used in configuration and in placeholders.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }

            /// What is put in its place: plain ASCII that needs no quoting in JSON, XML, CSV and
            /// PostgreSQL's arrays and rows, and that no detector takes for anything.
            #[must_use]
            pub const fn placeholder(self) -> &'static str {
                match self { $(Self::$variant => concat!("[masked:", $word, "]"),)+ }
            }

            /// What it is, in a line.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)+ }
            }

            /// True where it is on unless a connection lists its own.
            #[must_use]
            pub const fn is_default(self) -> bool {
                match self { $(Self::$variant => $on,)+ }
            }
        }
    };
}

kinds! {
    Email, "email", true, "An e-mail address.";
    Phone, "phone", true, "A telephone number: international, or North American with separators.";
    Card, "card", true, "A payment card number, by issuer range, length and Luhn check digit.";
    Iban, "iban", true, "An international bank account number, by country, length and MOD 97-10.";
    UsSsn, "us-ssn", true, "A US social security number (no check digit: by separators or context).";
    EsDni, "es-dni", true, "Spain: DNI or NIE, by its letter.";
    FrNir, "fr-nir", true, "France: NIR (INSEE number), by date, department and key.";
    ItCf, "it-cf", true, "Italy: codice fiscale, by its structure and check letter.";
    NlBsn, "nl-bsn", true, "Netherlands: burgerservicenummer, by the eleven test, in context.";
    BeNrn, "be-nrn", true, "Belgium: national register number, by date and modulo 97.";
    PlPesel, "pl-pesel", true, "Poland: PESEL, by date and check digit, in context.";
    SePnr, "se-pnr", true, "Sweden: personnummer, by date and Luhn check digit.";
    FiHetu, "fi-hetu", true, "Finland: henkilötunnus, by date and check character.";
    BrCpf, "br-cpf", true, "Brazil: CPF, by its two check digits.";
    InAadhaar, "in-aadhaar", true, "India: Aadhaar, by Verhoeff check digit, in context.";
    CnRic, "cn-ric", true, "China: resident identity number, by region, date and MOD 11-2.";
    ZaId, "za-id", true, "South Africa: identity number, by date and Luhn check digit.";
    TrTckn, "tr-tckn", true, "Turkey: kimlik number, by its two check digits, in context.";
    Mrz, "mrz", true, "The machine-readable lines of a passport or identity card (ICAO 9303), by check digits.";
    IpAddress, "ip-address", false, "An IP address, version 4 or 6; columns of type inet and cidr too.";
    DateOfBirth, "date-of-birth", true, "A date where the column or the word before it says birth.";
    PersonName, "person-name", false, "A name in a column whose name says that it holds one.";
    Jwt, "jwt", true, "A JSON web token with a readable header.";
    PrivateKey, "private-key", true, "A private key in PEM.";
    AwsAccessKey, "aws-access-key", true, "An AWS access key id.";
    AwsSecretKey, "aws-secret-key", true, "An AWS secret access key behind its id or a word that says so.";
    ApiKey, "api-key", true, "A key of another provider, by prefix, alphabet, length and check sum where there is one.";
    UrlPassword, "url-password", true, "The password in a URL.";
    ConnectionPassword, "connection-password", true, "The password or key in a connection string (key=value, JDBC, ODBC).";
    PasswordHash, "password-hash", true, "A stored password: bcrypt, argon2, crypt(3), SCRAM verifier.";
    Secret, "secret", true, "Something random behind password, secret, token, API key and the like.";
}

impl Kind {
    /// National identifiers, which one name stands for in configuration.
    pub const NATIONAL: &'static [Self] = &[
        Self::UsSsn,
        Self::EsDni,
        Self::FrNir,
        Self::ItCf,
        Self::NlBsn,
        Self::BeNrn,
        Self::PlPesel,
        Self::SePnr,
        Self::FiHetu,
        Self::BrCpf,
        Self::InAadhaar,
        Self::CnRic,
        Self::ZaId,
        Self::TrTckn,
    ];

    /// Names that stand for several kinds, with what they mean.
    pub const GROUPS: &'static [(&'static str, &'static str)] = &[
        ("default", "All that are on where nothing is listed."),
        ("national-id", "The national identifiers of all countries."),
    ];

    /// The kind of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }

    /// The kinds of a name or of a group's name; empty where there is none.
    pub(super) fn chosen(name: &str) -> Vec<Self> {
        match name {
            "default" => Self::ALL.iter().copied().filter(|kind| kind.is_default()).collect(),
            "national-id" => Self::NATIONAL.to_vec(),
            _ => Self::from_name(name).into_iter().collect(),
        }
    }

    pub(super) const fn bit(self) -> u64 {
        1 << self as u64
    }
}

/// A name that no detector has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no detector \"{name}\"; there are {known}", known = known_names())]
pub struct UnknownDetector {
    /// What was asked for.
    pub name: String,
}

fn known_names() -> String {
    let kinds = Kind::ALL.iter().map(|kind| kind.name());
    kinds.chain(Kind::GROUPS.iter().map(|group| group.0)).collect::<Vec<_>>().join(", ")
}

/// One find: what it is and where it stands, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// What it is.
    pub kind: Kind,
    /// Where it stands.
    pub range: Range<usize>,
}

/// True where `text` holds a placeholder that masking writes: `[masked]` or `[masked:KIND]`.
#[must_use]
pub fn has_placeholder(text: &[u8]) -> bool {
    const OPENING: &[u8] = b"[masked";
    let mut from = 0;
    while let Some(at) = super::text::find(text, from, OPENING) {
        let rest = text.get(at..).unwrap_or_default();
        let named = |kind: &Kind| rest.starts_with(kind.placeholder().as_bytes());
        if rest.starts_with(b"[masked]") || Kind::ALL.iter().any(named) {
            return true;
        }
        from = at + OPENING.len();
    }
    false
}
