//! Made-up values of every kind, with their check digits, and what looks like them. All come from
//! one seed, and keys are put together here, so that no text in the repository looks like one.

use portcullis_mask::Kind;

/// SplitMix64.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    pub(crate) fn from(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    pub(crate) fn pick<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.below(of.len() as u64) as usize]
    }

    pub(crate) fn text(&mut self, letters: &str, length: usize) -> String {
        let letters: Vec<char> = letters.chars().collect();
        (0..length).map(|_| letters[self.below(letters.len() as u64) as usize]).collect()
    }

    pub(crate) fn digits(&mut self, length: usize) -> String {
        self.text("0123456789", length)
    }

    pub(crate) fn hex(&mut self, length: usize) -> String {
        self.text("0123456789abcdef", length)
    }

    pub(crate) fn alnum(&mut self, length: usize) -> String {
        self.text(ALNUM, length)
    }

    pub(crate) fn url(&mut self, length: usize) -> String {
        self.text(&format!("{ALNUM}-_"), length)
    }

    /// Year, month, day of somebody who lives.
    pub(crate) fn born(&mut self) -> (u64, u64, u64) {
        (self.from(1935, 2005), self.from(1, 12), self.from(1, 28))
    }
}

pub(crate) const ALNUM: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// A value, and which part of it is the hit.
pub(crate) struct Sample {
    pub(crate) head: String,
    pub(crate) hit: String,
    pub(crate) tail: String,
}

fn bare(hit: String) -> Sample {
    Sample { head: String::new(), hit, tail: String::new() }
}

fn after(head: &str, hit: String) -> Sample {
    Sample { head: head.to_owned(), hit, tail: String::new() }
}

fn between(head: &str, hit: String, tail: &str) -> Sample {
    Sample { head: head.to_owned(), hit, tail: tail.to_owned() }
}

fn number(digits: &str) -> Vec<u32> {
    digits.chars().filter_map(|c| c.to_digit(10)).collect()
}

pub(crate) fn luhn(body: &str) -> String {
    let sum: u32 = number(body)
        .iter()
        .rev()
        .enumerate()
        .map(|(i, d)| {
            if i % 2 == 0 {
                let d = d * 2;
                d / 10 + d % 10
            } else {
                *d
            }
        })
        .sum();
    format!("{body}{}", (10 - sum % 10) % 10)
}

fn weighted(body: &str, weights: &[u32]) -> u32 {
    number(body).iter().zip(weights).map(|(d, w)| d * w).sum()
}

/// The only last digit, or letter of `letters`, with which `valid` holds.
fn closing(body: &str, letters: &str, valid: impl Fn(&str) -> bool) -> Option<String> {
    letters.chars().map(|c| format!("{body}{c}")).find(|whole| valid(whole))
}

/// One sample of a kind; `None` where there is no generator for it.
pub(crate) fn sample(kind: Kind, dice: &mut Dice) -> Option<Sample> {
    Some(match kind {
        Kind::Email => {
            let (first, last) = (person(dice).0, person(dice).1.replace(' ', ""));
            let local = format!("{first}.{last}{}", dice.below(99)).to_lowercase();
            bare(format!(
                "{local}@{}",
                dice.pick(&[
                    "example.com",
                    "mail.example.org",
                    "example.co.uk",
                    "test.example.net"
                ])
            ))
        }
        Kind::Phone => bare(phone(dice)),
        Kind::Card => bare(card(dice)),
        Kind::Iban => bare(iban(dice)),
        Kind::UsSsn => ssn(dice),
        Kind::Mrz => bare(mrz(dice)),
        Kind::IpAddress => bare(address(dice)),
        Kind::DateOfBirth => birth(dice),
        Kind::PersonName => return None,
        Kind::Jwt => bare(jwt(dice)),
        Kind::PrivateKey => {
            let label = dice.pick(&[
                "PRIVATE KEY",
                "RSA PRIVATE KEY",
                "EC PRIVATE KEY",
                "OPENSSH PRIVATE KEY",
            ]);
            let body: Vec<_> = (0..6).map(|_| dice.text(&format!("{ALNUM}+/"), 64)).collect();
            bare(format!(
                "-----{} {label}-----\n{}\n-----END {label}-----",
                "BEGIN",
                body.join("\n")
            ))
        }
        Kind::AwsAccessKey => bare(format!(
            "{}{}",
            dice.pick(&["AKIA", "ASIA"]),
            dice.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16)
        )),
        Kind::AwsSecretKey => after(
            dice.pick(&["aws_secret_access_key = ", "AWS key: ", "\"SecretAccessKey\": \""]),
            dice.text(&format!("{ALNUM}+/"), 40),
        ),
        Kind::ApiKey => bare(key(dice)),
        Kind::UrlPassword => {
            let scheme = dice.pick(&["postgres", "mysql", "redis", "amqp", "https", "mongodb+srv"]);
            between(&format!("{scheme}://app:"), dice.alnum(12), "@db.internal:5432/shop")
        }
        Kind::ConnectionPassword => connection(dice),
        Kind::PasswordHash => bare(hash(dice)),
        Kind::Secret => secret(dice),
        national => identity(national, dice)?,
    })
}

pub(crate) fn person(dice: &mut Dice) -> (&'static str, &'static str) {
    (
        dice.pick(&["Jane", "Omar", "Li", "Zoë", "Jean-Pierre", "María", "Søren", "Anna"]),
        dice.pick(&[
            "Doe",
            "O'Brien",
            "van der Berg",
            "Müller",
            "García",
            "Nowak",
            "Åberg",
            "Rossi",
        ]),
    )
}

fn phone(dice: &mut Dice) -> String {
    match dice.below(6) {
        0 => format!("+1 212-555-{:04}", dice.from(100, 199)),
        1 => format!("+44 20 7946 {:04}", dice.below(1000)),
        2 => format!("+49 30 {}", dice.digits(7)),
        3 => format!(
            "+33 6 {} {} {} {}",
            dice.digits(2),
            dice.digits(2),
            dice.digits(2),
            dice.digits(2)
        ),
        4 => format!("(415) 555-{:04}", dice.from(100, 199)),
        _ => format!("+34{}{}", dice.pick(&["6", "7", "9"]), dice.digits(8)),
    }
}

fn card(dice: &mut Dice) -> String {
    let (prefix, length) = match dice.below(4) {
        0 => ("4".to_owned(), 16),
        1 => (format!("5{}", dice.from(1, 5)), 16),
        2 => ((*dice.pick(&["34", "37"])).to_owned(), 15),
        _ => ("6011".to_owned(), 16),
    };
    let body = format!("{prefix}{}", dice.digits(length - 1 - prefix.len()));
    let whole = luhn(&body);
    let groups = |sep: &str| {
        whole
            .as_bytes()
            .chunks(4)
            .map(|c| String::from_utf8_lossy(c).into_owned())
            .collect::<Vec<_>>()
            .join(sep)
    };
    match dice.below(3) {
        0 if length == 16 => groups(" "),
        1 if length == 16 => groups("-"),
        _ => whole,
    }
}

fn iban(dice: &mut Dice) -> String {
    let (country, body) = match dice.below(4) {
        0 => ("DE", dice.digits(18)),
        1 => ("GB", format!("{}{}", dice.text(UPPER, 4), dice.digits(14))),
        2 => ("FR", dice.digits(23)),
        _ => ("NL", format!("{}{}", dice.text(UPPER, 4), dice.digits(10))),
    };
    let rest = format!("{body}{country}00").bytes().fold(0u64, |rest, b| match b {
        b'0'..=b'9' => (rest * 10 + u64::from(b - b'0')) % 97,
        b => (rest * 100 + u64::from(b - b'A') + 10) % 97,
    });
    let whole = format!("{country}{:02}{body}", 98 - rest);
    if dice.below(2) == 0 {
        return whole;
    }
    whole
        .as_bytes()
        .chunks(4)
        .map(|c| String::from_utf8_lossy(c).into_owned())
        .collect::<Vec<_>>()
        .join(" ")
}

fn ssn(dice: &mut Dice) -> Sample {
    let (a, g, s) = (dice.from(1, 665), dice.from(1, 99), dice.from(1, 9999));
    match dice.below(3) {
        0 => after("ssn: ", format!("{a:03}{g:02}{s:04}")),
        _ => bare(format!("{a:03}-{g:02}-{s:04}")),
    }
}

fn address(dice: &mut Dice) -> String {
    match dice.below(3) {
        0 => format!("2001:db8:{:x}::{:x}", dice.from(1, 65535), dice.from(1, 65535)),
        _ => format!(
            "{}.{}.{}.{}",
            dice.from(1, 223),
            dice.below(256),
            dice.below(256),
            dice.from(1, 254)
        ),
    }
}

fn birth(dice: &mut Dice) -> Sample {
    let (y, m, d) = dice.born();
    let word = dice.pick(&[
        "DOB: ",
        "date of birth: ",
        "\"birthDate\":\"",
        "birth_date=",
        "Geburtsdatum: ",
        "born; dob ",
    ]);
    after(
        word,
        match dice.below(4) {
            0 => format!("{d:02}.{m:02}.{y}"),
            1 => format!("{m:02}/{d:02}/{y}"),
            2 => format!("{d} {} {y}", dice.pick(&["January", "Mar", "May", "December"])),
            _ => format!("{y}-{m:02}-{d:02}"),
        },
    )
}

fn base64url(text: &str) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut out = String::new();
    for chunk in text.as_bytes().chunks(3) {
        let n = chunk.iter().fold(0u32, |n, b| n << 8 | u32::from(*b)) << (8 * (3 - chunk.len()));
        for i in 0..=chunk.len() {
            out.push(char::from(LETTERS[(n >> (18 - 6 * i) & 63) as usize]));
        }
    }
    out
}

fn jwt(dice: &mut Dice) -> String {
    let header = dice.pick(&[
        "{\"alg\":\"HS256\",\"typ\":\"JWT\"}",
        "{\"alg\":\"RS256\",\"kid\":\"k1\"}",
        "{\"typ\":\"JWT\",\"alg\":\"ES256\"}",
    ]);
    let payload = format!(
        "{{\"sub\":\"u{}\",\"exp\":{}}}",
        dice.below(1000),
        1_700_000_000 + dice.below(9_999_999)
    );
    format!("{}.{}.{}", base64url(header), base64url(&payload), dice.url(43))
}

pub(crate) fn crc_base62(body: &str) -> String {
    let crc = !body.bytes().fold(u32::MAX, |crc, b| {
        (0..8).fold(crc ^ u32::from(b), |crc, _| {
            if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 }
        })
    });
    const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let (mut n, mut out) = (crc, Vec::new());
    for _ in 0..6 {
        out.insert(0, LETTERS[(n % 62) as usize]);
        n /= 62;
    }
    String::from_utf8(out).unwrap()
}

fn age(dice: &mut Dice) -> String {
    const LETTERS: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    let polymod = |values: &[u32]| {
        values.iter().fold(1u32, |sum, v| {
            let top = sum >> 25;
            let mut next = (sum & 0x1ff_ffff) << 5 ^ v;
            for (i, g) in [0x3b6a_57b2u32, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3]
                .iter()
                .enumerate()
            {
                if top >> i & 1 == 1 {
                    next ^= g
                }
            }
            next
        })
    };
    let hrp = "age-secret-key-";
    let data: Vec<u32> = (0..52)
        .map(|i| if i == 51 { dice.below(2) as u32 * 16 } else { dice.below(32) as u32 })
        .collect();
    let mut values: Vec<u32> = hrp.bytes().map(|b| u32::from(b >> 5)).collect();
    values.push(0);
    values.extend(hrp.bytes().map(|b| u32::from(b & 31)));
    values.extend(&data);
    values.extend([0; 6]);
    let sum = polymod(&values) ^ 1;
    let all = data.into_iter().chain((0..6).map(|i| sum >> (5 * (5 - i)) & 31));
    let text: String = all.map(|v| char::from(LETTERS[v as usize])).collect();
    format!("AGE-SECRET-KEY-1{}", text.to_uppercase())
}

fn key(dice: &mut Dice) -> String {
    let crc = |prefix: &str, dice: &mut Dice| {
        let body = dice.alnum(30);
        format!("{prefix}{body}{}", crc_base62(&body))
    };
    let lower = "abcdefghijklmnopqrstuvwxyz0123456789";
    match dice.below(46) {
        0 => crc("ghp_", dice),
        1 => crc("gho_", dice),
        2 => crc("ghs_", dice),
        3 => crc("npm_", dice),
        4 => format!(
            "github_pat_11{}_{}",
            dice.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", 20),
            dice.alnum(59)
        ),
        5 => format!("glpat-{}", dice.url(20)),
        6 => format!("xoxb-{}-{}-{}", dice.digits(12), dice.digits(13), dice.alnum(24)),
        7 => format!(
            "https://hooks.slack.com/services/T{}/B{}/{}",
            dice.text(UPPER, 10),
            dice.text(UPPER, 10),
            dice.alnum(24)
        ),
        8 => format!("sk_live_{}", dice.alnum(24)),
        9 => format!("rk_live_{}", dice.alnum(24)),
        10 => format!("SK{}", dice.hex(32)),
        11 => format!("SG.{}.{}", dice.url(22), dice.url(43)),
        12 => format!("pypi-AgEIcHlwaS5vcmc{}", dice.url(80)),
        13 => format!("sk-{}T3BlbkFJ{}", dice.alnum(20), dice.alnum(20)),
        14 => format!("sk-proj-{}", dice.url(100)),
        15 => format!("sk-ant-api03-{}AA", dice.url(93)),
        16 => {
            format!("hf_{}", dice.text("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", 34))
        }
        17 => format!("dop_v1_{}", dice.hex(64)),
        18 => format!("shpat_{}", dice.hex(32)),
        19 => format!("{}:AA{}", dice.from(100_000_000, 9_999_999_999), dice.url(33)),
        20 => format!(
            "{}.{}.{}",
            base64url(&dice.from(100_000_000_000_000_000, 999_999_999_999_999_999).to_string()),
            dice.url(6),
            dice.url(38)
        ),
        21 => format!("mailgun key-{}", dice.hex(32)),
        22 => format!("dapi{}", dice.hex(32)),
        23 => format!("hvs.{}", dice.url(92)),
        24 => format!("dp.pt.{}", dice.alnum(43)),
        25 => format!("lin_api_{}", dice.alnum(40)),
        26 => format!("ATATT3xFfGF0{}={}", dice.url(170), dice.text("0123456789ABCDEF", 8)),
        27 => age(dice),
        28 => format!("AIza{}", dice.url(35)),
        29 => format!("GOCSPX-{}", dice.url(28)),
        30 => format!("{}8Q~{}", dice.alnum(3), dice.alnum(34)),
        31 => format!("{}-us{}", dice.hex(32), dice.from(1, 21)),
        32 => format!("{}.atlasv1.{}", dice.alnum(14), dice.url(67)),
        33 => format!("whsec_{}", dice.text(&format!("{ALNUM}+/"), 32)),
        34 => format!("glsa_{}_{}", dice.alnum(32), dice.hex(8)),
        35 => format!("pul-{}", dice.hex(40)),
        36 => format!("dckr_pat_{}", dice.url(27)),
        37 => format!("PMAK-{}-{}", dice.hex(24), dice.hex(34)),
        38 => format!("NRAK-{}", dice.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", 27)),
        39 => format!("figd_{}", dice.url(40)),
        40 => format!("v1.0-{}-{}", dice.hex(24), dice.hex(146)),
        41 => format!("xkeysib-{}-{}", dice.hex(64), dice.alnum(16)),
        42 => format!("https://discord.com/api/webhooks/{}/{}", dice.digits(18), dice.url(68)),
        43 => format!("rubygems_{}", dice.hex(48)),
        44 => format!("r8_{}", dice.alnum(37)),
        _ => format!("gsk_{}", dice.text(&format!("{lower}{UPPER}"), 52)),
    }
}

fn connection(dice: &mut Dice) -> Sample {
    let password = match dice.below(3) {
        0 => {
            (*dice.pick(&["hunter2", "changeme", "s3cret", "postgres", "Summer-2024", "p@ssw0rd!"]))
                .to_owned()
        }
        1 => dice.alnum(10),
        _ => dice.text(&format!("{ALNUM}!#%*+"), 14),
    };
    match dice.below(7) {
        0 => between("host=db port=5432 user=app password=", password, " dbname=shop"),
        1 => between(
            "Server=tcp:db,1433;Database=shop;User Id=app;Password=",
            password,
            ";Encrypt=true",
        ),
        2 => between("jdbc:postgresql://db:5432/shop?user=app&password=", password, "&ssl=true"),
        3 => {
            between("Driver={ODBC Driver 18 for SQL Server};Server=db;Uid=app;Pwd=", password, ";")
        }
        4 => between(
            "DefaultEndpointsProtocol=https;AccountName=store;AccountKey=",
            format!("{}==", dice.text(&format!("{ALNUM}+/"), 86)),
            ";EndpointSuffix=core.windows.net",
        ),
        5 => between("user='app' password='", password, "' host='db'"),
        _ => between("jdbc:sqlserver://db:1433;databaseName=shop;user=sa;password=", password, ";"),
    }
}

fn hash(dice: &mut Dice) -> String {
    let crypt = format!("./{ALNUM}");
    match dice.below(5) {
        0 => format!("$2b$12${}", dice.text(&crypt, 53)),
        1 => format!(
            "$argon2id$v=19$m=65536,t=3,p=4${}${}",
            dice.text(ALNUM, 22),
            dice.text(ALNUM, 43)
        ),
        2 => format!("$6${}${}", dice.alnum(16), dice.text(ALNUM, 86)),
        3 => format!(
            "SCRAM-SHA-256$4096:{}==${}=:{}=",
            dice.alnum(22),
            dice.alnum(43),
            dice.alnum(43)
        ),
        _ => format!("pbkdf2_sha256$600000${}${}=", dice.alnum(22), dice.alnum(43)),
    }
}

fn secret(dice: &mut Dice) -> Sample {
    let value = match dice.below(4) {
        0 => dice.hex(40),
        1 => dice.alnum(32),
        2 => dice.text(&format!("{ALNUM}+/"), 43) + "=",
        _ => dice.text("abcdefghijklmnopqrstuvwxyz0123456789", 28),
    };
    match dice.below(10) {
        0 => after("api_key=", value),
        1 => between("{\"clientSecret\": \"", value, "\", \"n\": 1}"),
        2 => after("SECRET_KEY_BASE=", value),
        3 => after("export AUTH_TOKEN=", value),
        4 => after("Authorization: Bearer ", value),
        5 => between("apiKey: '", value, "'"),
        6 => between("ALTER ROLE app PASSWORD '", "Tr0ub4dor&".to_owned() + &dice.digits(2), "'"),
        7 => after("password: ", format!("{}!{}", dice.alnum(9), dice.digits(2))),
        8 => between("{\\\"refresh_token\\\":\\\"", value, "\\\"}"),
        _ => between("curl --token ", value, " https://api.example.com"),
    }
}

fn mrz_check(text: &str) -> String {
    let value = |b: u8| match b {
        b'0'..=b'9' => u32::from(b - b'0'),
        b'A'..=b'Z' => u32::from(b - b'A') + 10,
        _ => 0,
    };
    let sum: u32 = text.bytes().zip([7, 3, 1].into_iter().cycle()).map(|(b, w)| value(b) * w).sum();
    (sum % 10).to_string()
}

fn checked(text: String) -> String {
    let check = mrz_check(&text);
    text + &check
}

fn mrz(dice: &mut Dice) -> String {
    let (y, m, d) = dice.born();
    let country = dice.pick(&["UTO", "D<<", "FRA", "ESP", "GBR"]);
    let birth = checked(format!("{:02}{m:02}{d:02}", y % 100));
    let expiry =
        checked(format!("{:02}{:02}{:02}", dice.from(26, 35), dice.from(1, 12), dice.from(1, 28)));
    let document = checked(format!("{}{}", dice.text(UPPER, 1), dice.text("0123456789CFGHJK", 8)));
    let sex = dice.pick(&["F", "M", "<"]);
    let name = format!(
        "{}<<{}",
        dice.pick(&["ERIKSSON", "MUSTERMANN", "DUPONT"]),
        dice.pick(&["ANNA<MARIA", "ERIKA", "JEAN"])
    );
    let fill = |text: String, length: usize| {
        format!("{text:<<length$}").chars().take(length).collect::<String>()
    };
    match dice.below(4) {
        0 => {
            let optional = checked(fill(dice.text("0123456789", 9), 14));
            let all = mrz_check(&format!("{document}{birth}{expiry}{optional}"));
            format!(
                "{}\n{document}{country}{birth}{sex}{expiry}{optional}{all}",
                fill(format!("P<{country}{name}"), 44)
            )
        }
        1 => {
            let all = mrz_check(&format!("{document}{birth}{expiry}{}0", "<".repeat(14)));
            format!("{document}{country}{birth}{sex}{expiry}{}0{all}", "<".repeat(14))
        }
        2 => {
            let all = mrz_check(&format!("{document}{birth}{expiry}{}", "<".repeat(7)));
            format!(
                "{}\n{document}{country}{birth}{sex}{expiry}{}{all}",
                fill(format!("I<{country}{name}"), 36),
                "<".repeat(7)
            )
        }
        _ => {
            let first = fill(format!("I<{country}{document}"), 30);
            let all = mrz_check(&format!("{}{birth}{expiry}{}", &first[5..], "<".repeat(11)));
            format!(
                "{first}\n{birth}{sex}{expiry}{country}{}{all}\n{}",
                "<".repeat(11),
                fill(name, 30)
            )
        }
    }
}

fn identity(kind: Kind, dice: &mut Dice) -> Option<Sample> {
    let (y, m, d) = dice.born();
    let yy = y % 100;
    Some(match kind {
        Kind::EsDni => {
            let letter = |n: u64| char::from(b"TRWAGMYFPDXBNJZSQVHLCKE"[(n % 23) as usize]);
            let n = dice.from(10_000_000, 99_999_999);
            match dice.below(4) {
                0 => {
                    let n = dice.from(1_000_000, 9_999_999);
                    bare(format!("Y{n}{}", letter(10_000_000 + n)))
                }
                1 => bare(format!("{n}-{}", letter(n))),
                2 => bare(format!(
                    "{:02}.{:03}.{:03}-{}",
                    n / 1_000_000,
                    n / 1000 % 1000,
                    n % 1000,
                    letter(n)
                )),
                _ => after("DNI: ", format!("{n}{}", letter(n))),
            }
        }
        Kind::FrNir => {
            let (sex, place, order) = (dice.from(1, 2), dice.from(10, 95), dice.from(1, 999));
            let town = dice.from(1, 999);
            let body = format!("{sex}{yy:02}{m:02}{place:02}{town:03}{order:03}");
            let key = 97 - body.parse::<u64>().unwrap() % 97;
            match dice.below(2) {
                0 => bare(format!("{sex} {yy:02} {m:02} {place:02} {town:03} {order:03} {key:02}")),
                _ => after("NIR ", format!("{body}{key:02}")),
            }
        }
        Kind::ItCf => {
            let body = format!(
                "{}{yy:02}{}{:02}{}{}",
                dice.text("BCDFGLMNPRST", 6),
                &"ABCDEHLMPRST"[m as usize - 1..m as usize],
                d + 40 * dice.below(2),
                dice.text("ABCDEFGHIL", 1),
                dice.digits(3)
            );
            const ODD: [u32; 26] = [
                1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22,
                25, 24, 23,
            ];
            let value = |b: u8| if b.is_ascii_digit() { b - b'0' } else { b - b'A' };
            let sum: u32 = body
                .bytes()
                .enumerate()
                .map(|(i, b)| if i % 2 == 0 { ODD[value(b) as usize] } else { u32::from(value(b)) })
                .sum();
            bare(format!("{body}{}", char::from(b'A' + (sum % 26) as u8)))
        }
        Kind::NlBsn => loop {
            let whole = dice.digits(9);
            let n = number(&whole);
            let sum = weighted(&whole[..8], &[9, 8, 7, 6, 5, 4, 3, 2]) as i64 - i64::from(n[8]);
            if sum % 11 == 0 && n[0] != 0 {
                break after(dice.pick(&["BSN ", "{\"bsn\":\"", "burgerservicenummer: "]), whole);
            }
        },
        Kind::BeNrn => {
            let order = dice.from(1, 997);
            let body = format!("{yy:02}{m:02}{d:02}{order:03}");
            let n: u64 = body.parse().unwrap();
            let key = 97 - if y >= 2000 { 2_000_000_000 + n } else { n } % 97;
            match dice.below(2) {
                0 => bare(format!("{yy:02}.{m:02}.{d:02}-{order:03}.{key:02}")),
                _ => after("rijksregisternummer: ", format!("{body}{key:02}")),
            }
        }
        Kind::PlPesel => {
            let month = if y >= 2000 { m + 20 } else { m };
            let body = format!("{yy:02}{month:02}{d:02}{}", dice.digits(4));
            let check = (10 - weighted(&body, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3]) % 10) % 10;
            after(dice.pick(&["PESEL: ", "pesel=", "\"pesel\": \""]), format!("{body}{check}"))
        }
        Kind::SePnr => {
            let whole = luhn(&format!("{yy:02}{m:02}{d:02}{}", dice.digits(3)));
            match dice.below(3) {
                0 => bare(format!("{}{}-{}", y / 100, &whole[..6], &whole[6..])),
                1 => after("personnummer ", format!("{}-{}", &whole[..6], &whole[6..])),
                _ => after("personnummer: ", format!("{}{whole}", y / 100)),
            }
        }
        Kind::FiHetu => {
            let n = format!("{d:02}{m:02}{yy:02}{:03}", dice.from(2, 899));
            let check = char::from(
                b"0123456789ABCDEFHJKLMNPRSTUVWXY"[(n.parse::<u64>().unwrap() % 31) as usize],
            );
            let sign = if y >= 2000 { 'A' } else { '-' };
            let whole = format!("{}{sign}{}{check}", &n[..6], &n[6..]);
            if check.is_ascii_digit() && sign == '-' { after("hetu: ", whole) } else { bare(whole) }
        }
        Kind::BrCpf => {
            let mut whole = dice.digits(9);
            for count in [9usize, 10] {
                let sum: u32 = number(&whole)
                    .iter()
                    .zip((2..=count as u32 + 1).rev())
                    .map(|(d, w)| d * w)
                    .sum();
                whole += &(sum * 10 % 11 % 10).to_string();
            }
            match dice.below(2) {
                0 => after("CPF ", whole),
                _ => bare(format!(
                    "{}.{}.{}-{}",
                    &whole[..3],
                    &whole[3..6],
                    &whole[6..9],
                    &whole[9..]
                )),
            }
        }
        Kind::InAadhaar => {
            let body = format!("{}{}", dice.from(2, 9), dice.digits(10));
            let whole = closing(&body, "0123456789", verhoeff)?;
            let grouped = format!("{} {} {}", &whole[..4], &whole[4..8], &whole[8..]);
            after(
                dice.pick(&["Aadhaar: ", "aadhaar no. ", "{\"aadhaar\":\""]),
                if dice.below(2) == 0 { whole } else { grouped },
            )
        }
        Kind::CnRic => {
            let region = dice.pick(&["110105", "310104", "440305", "510107"]);
            let body = format!("{region}{y}{m:02}{d:02}{}", dice.digits(3));
            let sum = weighted(&body, &[7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]);
            bare(format!("{body}{}", &"10X98765432"[(sum % 11) as usize..=(sum % 11) as usize]))
        }
        Kind::ZaId => {
            let whole = luhn(&format!("{yy:02}{m:02}{d:02}{}{}8", dice.digits(4), dice.below(2)));
            match dice.below(2) {
                0 => bare(format!("{} {} {}", &whole[..6], &whole[6..10], &whole[10..])),
                _ => after("ID number: ", whole),
            }
        }
        Kind::TrTckn => {
            let body = format!("{}{}", dice.from(1, 9), dice.digits(8));
            let n = number(&body);
            let (odd, even): (u32, u32) =
                (n.iter().step_by(2).sum(), n.iter().skip(1).step_by(2).sum());
            let tenth = (odd * 7 + 100 - even) % 10;
            after("TCKN: ", format!("{body}{tenth}{}", (odd + even + tenth) % 10))
        }
        _ => return None,
    })
}

fn verhoeff(digits: &str) -> bool {
    const D: [&str; 10] = [
        "0123456789",
        "1234067895",
        "2340178956",
        "3401289567",
        "4012395678",
        "5987604321",
        "6598710432",
        "7659821043",
        "8765932104",
        "9876543210",
    ];
    const P: [&str; 8] = [
        "0123456789",
        "1576283094",
        "5803796142",
        "8916043527",
        "9453126870",
        "4286573901",
        "2793806415",
        "7046913258",
    ];
    let at = |row: &str, i: u32| row.as_bytes()[i as usize] - b'0';
    let mut c = 0u8;
    for (i, d) in number(digits).iter().rev().enumerate() {
        c = at(D[c as usize], u32::from(at(P[i % 8], *d)));
    }
    c == 0
}

/// What a value is called, and how one is made.
type Making = (&'static str, fn(&mut Dice) -> String);

/// What looks like something and is nothing.
pub(crate) const LOOKALIKES: &[Making] = &[
    ("uuid", |d| format!("{}-{}-4{}-a{}-{}", d.hex(8), d.hex(4), d.hex(3), d.hex(3), d.hex(12))),
    ("order id", |d| {
        format!(
            "{}{}",
            d.pick(&["ORD-", "order ", "#", "PO", "INV-2024-"]),
            d.from(100_000, 9_999_999_999)
        )
    }),
    ("dated order", |d| {
        format!("{}{:02}{:02}-{}", d.from(20, 26), d.from(1, 12), d.from(1, 28), d.digits(4))
    }),
    ("build id", |d| {
        format!("20{}{:02}{:02}.{}", d.from(20, 26), d.from(1, 12), d.from(1, 28), d.from(1, 99))
    }),
    ("git hash", |d| format!("commit {}", d.hex(40))),
    ("short hash", |d| d.hex(7)),
    ("md5", |d| d.hex(32)),
    ("sha256", |d| format!("sha256:{}", d.hex(64))),
    ("base64 image", |d| {
        format!("data:image/png;base64,iVBORw0KGgo{}", d.text(&format!("{ALNUM}+/"), 800))
    }),
    ("version", |d| format!("{}.{}.{}-rc.{}", d.below(20), d.below(40), d.below(99), d.below(9))),
    ("timestamp", |d| {
        format!(
            "2024-{:02}-{:02}T{:02}:{:02}:{:02}.{}Z",
            d.from(1, 12),
            d.from(1, 28),
            d.below(24),
            d.below(60),
            d.below(60),
            d.digits(6)
        )
    }),
    ("epoch", |d| d.from(1_500_000_000, 1_800_000_000).to_string()),
    ("epoch ms", |d| d.from(1_500_000_000_000, 1_800_000_000_000).to_string()),
    ("epoch us", |d| d.from(1_500_000_000_000_000, 1_800_000_000_000_000).to_string()),
    ("snowflake", |d| d.from(100_000_000_000_000_000, 999_999_999_999_999_999).to_string()),
    ("coordinates", |d| {
        format!("{}.{}, -{}.{}", d.below(90), d.digits(6), d.below(180), d.digits(6))
    }),
    ("phone-like", |d| format!("{}-{}-{}", d.digits(2), d.digits(4), d.digits(4))),
    ("ean", |d| {
        let body = format!("40{}", d.digits(10));
        let n = number(&body);
        let s: u32 = n.iter().enumerate().map(|(i, x)| x * if i % 2 == 0 { 1 } else { 3 }).sum();
        format!("{body}{}", (10 - s % 10) % 10)
    }),
    ("isbn", |d| format!("978-{}-{}-{}-{}", d.below(10), d.digits(3), d.digits(5), d.below(10))),
    ("tracking", |d| {
        format!("1Z{}{}", d.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", 6), d.digits(10))
    }),
    ("postal tracking", |d| {
        format!("{}{}{}", d.text(UPPER, 2), d.digits(9), d.pick(&["DE", "GB", "CN"]))
    }),
    ("luhn of 12", |d| {
        let body = d.digits(11);
        luhn(&body)
    }),
    ("luhn of 11", |d| {
        let body = d.digits(10);
        luhn(&body)
    }),
    ("luhn of 14", |d| {
        let body = format!("1{}", d.digits(12));
        luhn(&body)
    }),
    ("nine digits", |d| d.digits(9)),
    ("ten digits", |d| d.digits(10)),
    ("eleven digits", |d| d.digits(11)),
    ("twelve digits", |d| d.digits(12)),
    ("thirteen digits", |d| format!("1{}", d.digits(12))),
    ("fifteen digits", |d| format!("1{}", d.digits(14))),
    ("sku", |d| format!("{}{}", d.digits(8), d.text(UPPER, 1))),
    ("part number", |d| format!("{}{}", d.text(UPPER, 3), d.digits(7))),
    ("iban-like", |d| {
        format!("{}{}{}", d.pick(&["DE", "GB", "XX", "AB"]), d.digits(2), d.digits(16))
    }),
    ("vat", |d| format!("DE{}", d.digits(9))),
    ("scp path", |d| format!("scp build{}@host:/srv/data", d.below(99))),
    ("npm scope", |d| format!("@scope/package@{}.{}.{}", d.below(9), d.below(9), d.below(9))),
    ("go module", |d| format!("golang.org/x/net@v0.{}.{}", d.below(40), d.below(9))),
    ("ssh remote", |d| format!("git@github.com:org/repo{}.git", d.below(99))),
    ("ip and port", |d| format!("10.{}.{}.{}:5432", d.below(255), d.below(255), d.below(255))),
    ("mac", |d| {
        format!("{}:{}:{}:{}:{}:{}", d.hex(2), d.hex(2), d.hex(2), d.hex(2), d.hex(2), d.hex(2))
    }),
    ("json log", |d| {
        format!(
            "{{\"level\":\"info\",\"ts\":{}.{},\"caller\":\"http/server.go:{}\",\"msg\":\"served\",\"status\":200,\"took_ms\":{},\"trace_id\":\"{}\"}}",
            d.from(1_600_000_000, 1_800_000_000),
            d.digits(6),
            d.below(999),
            d.below(9999),
            d.hex(32)
        )
    }),
    ("token count", |d| {
        format!(
            "{{\"prompt_tokens\":{},\"completion_tokens\":{},\"next_page_token\":\"{}\"}}",
            d.below(9999),
            d.below(9999),
            d.alnum(24)
        )
    }),
    ("key id", |d| format!("secret_id={} token_type=bearer", d.hex(32))),
    ("code", |d| {
        format!(
            "password = os.environ['DB_PASSWORD_{}']; token = get_token(user{})",
            d.below(9),
            d.below(99)
        )
    }),
    ("prose", |d| {
        format!(
            "The secret is: {} days and a token of thanks; password reset on 2024-05-{:02}.",
            d.below(99),
            d.from(1, 28)
        )
    }),
    ("token uuid", |d| {
        format!("\"token\":\"{}-{}-4{}-a{}-{}\"", d.hex(8), d.hex(4), d.hex(3), d.hex(3), d.hex(12))
    }),
    ("etag", |d| format!("ETag: W/\"{}-{}\"", d.hex(4), d.hex(13))),
    ("arn", |d| {
        format!("arn:aws:secretsmanager:us-east-1:{}:secret:app-{}", d.digits(12), d.alnum(6))
    }),
    ("hex colour", |d| format!("#{}", d.hex(6))),
    ("amounts", |d| format!("{},{},{}.{}", d.below(999), d.digits(3), d.digits(3), d.digits(2))),
    ("rows", |d| {
        format!(
            "{}\t{}\t{}.{}\t2024-01-{:02}",
            d.from(1, 99_999_999),
            d.digits(5),
            d.below(999),
            d.digits(2),
            d.from(1, 28)
        )
    }),
    ("birthday talk", |d| {
        format!("the birthday party is in room {} on floor {}", d.below(999), d.below(9))
    }),
    ("not a check sum", |d| format!("ghp_{}", d.alnum(36))),
    ("upper words", |d| format!("PART{}NUMBER<LEFT{}", d.digits(3), d.digits(3))),
    ("cli flags", |d| {
        format!("--max-tokens {} --pwd-file /run/secrets/db{}", d.below(9999), d.below(99))
    }),
];
