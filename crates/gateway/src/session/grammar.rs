//! What a caller is told of a text that could not be read, where the target is not of the grammar's
//! version: it may be one that the target itself would read. Stands where such a text is refused.

use portcullis_sql::parse::GRAMMAR;
use portcullis_wire::pg::conversation::Why;

/// Since PostgreSQL 15 a number ends where a word begins only if there is something between them.
const NUMBERS_END: u32 = 15;

/// The cause, where it may be the version: for a target of this `server_version_num`.
pub(super) fn hint(why: &Why, server_version: u32) -> Option<String> {
    let Why::Syntax { message, .. } = why else { return None };
    let target = server_version / 10_000;
    if target > GRAMMAR {
        return Some(format!(
            "the target is PostgreSQL {target}, and statements are read by the grammar of PostgreSQL \
             {GRAMMAR}: what is newer than that cannot be read, so it is refused"
        ));
    }
    // With 0 the target's version is not known.
    let joined = target > 0 && target < NUMBERS_END && message.contains("trailing junk after");
    joined.then(|| {
        format!(
            "the target is PostgreSQL {target}, which would read two words here; statements are \
             read by the grammar of PostgreSQL {GRAMMAR}: put a space between them"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_named_where_it_may_be_the_cause() {
        let told = |message: &str, version| {
            let why = Why::Syntax { message: message.to_owned(), at: None };
            hint(&why, version)
        };
        let plain = "syntax error at or near \"x\"";
        assert!(told(plain, 190_001).unwrap().contains("PostgreSQL 19"));
        assert_eq!(told(plain, 180_004), None);
        assert_eq!(told(plain, 130_023), None);
        let junk = "trailing junk after numeric literal at or near \"1a\"";
        assert!(told(junk, 140_002).unwrap().contains("put a space"));
        assert_eq!(told(junk, 150_000), None);
        assert_eq!(told(junk, 0), None);
        assert_eq!(hint(&Why::Encoding, 190_001), None);
    }
}
