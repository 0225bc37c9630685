//! SPIFFE ids, in the one spelling the standard gives them (SPIFFE-ID §2): what looks like another
//! id, or would be one after somebody's normalising, is none.

/// Longest trust domain name (SPIFFE-ID §2.1).
const MAX_DOMAIN: usize = 255;

/// The trust domain of a SPIFFE id.
///
/// # Errors
/// What keeps the text from being a SPIFFE id of a workload.
pub(crate) fn trust_domain(id: &str) -> Result<&str, &'static str> {
    let rest = id.strip_prefix("spiffe://").ok_or("it does not begin with spiffe://")?;
    if rest.contains('%') {
        return Err("it has percent-encoding");
    }
    if rest.contains(['?', '#']) {
        return Err("it has a query or a fragment");
    }
    let (domain, path) = rest.split_once('/').ok_or("it has no path, so it names no workload")?;
    if domain.contains(['@', ':']) {
        return Err("its trust domain has a user or a port");
    }
    let in_domain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-_".contains(c);
    if domain.is_empty() || domain.len() > MAX_DOMAIN || !domain.chars().all(in_domain) {
        return Err("its trust domain is not of lower-case letters, digits, `.`, `-` and `_`");
    }
    for segment in path.split('/') {
        if segment.is_empty() {
            return Err("its path has an empty segment");
        }
        if matches!(segment, "." | "..") {
            return Err("its path has `.` or `..`");
        }
        if !segment.chars().all(|c| c.is_ascii_alphanumeric() || ".-_".contains(c)) {
            return Err("its path has characters that are not letters, digits, `.`, `-` and `_`");
        }
    }
    Ok(domain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spelling() {
        let good = |id, domain| assert_eq!(trust_domain(id), Ok(domain), "{id}");
        good("spiffe://corp.example/ns/agents/sa/claude", "corp.example");
        good("spiffe://a/b", "a");
        good("spiffe://corp.example/A_b-c.d", "corp.example");
        let bad = |id, why: &str| {
            assert!(trust_domain(id).unwrap_err().contains(why), "{id}: {:?}", trust_domain(id));
        };
        bad("https://corp.example/a", "does not begin");
        bad("SPIFFE://corp.example/a", "does not begin");
        bad("spiffe://corp.example", "no path");
        bad("spiffe://corp.example/", "empty segment");
        bad("spiffe:///a", "trust domain");
        bad("spiffe://Corp.example/a", "lower-case");
        bad("spiffe://cоrp.example/a", "lower-case");
        bad("spiffe://corp.example:443/a", "user or a port");
        bad("spiffe://u@corp.example/a", "user or a port");
        bad("spiffe://corp.example/a/../b", "`..`");
        bad("spiffe://corp.example/./a", "`..`");
        bad("spiffe://corp.example//a", "empty segment");
        bad("spiffe://corp.example/a/", "empty segment");
        bad("spiffe://corp.example/a%2fb", "percent-encoding");
        bad("spiffe://corp%2eexample/a", "percent-encoding");
        bad("spiffe://corp.example/a?x", "query");
        bad("spiffe://corp.example/a#x", "fragment");
        bad("spiffe://corp.example/ä", "characters");
        bad("spiffe://corp.example/a\\b", "characters");
    }
}
