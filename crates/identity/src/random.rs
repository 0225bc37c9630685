//! Random identifiers and secrets for what the development provider mints. Off the life of a
//! request.

use aws_lc_rs::error::Unspecified;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// `N` random bytes as base64url without padding.
pub(crate) fn token<const N: usize>() -> Result<String, Unspecified> {
    let mut bytes = zeroize::Zeroizing::new([0u8; N]);
    aws_lc_rs::rand::fill(bytes.as_mut_slice())?;
    Ok(URL_SAFE_NO_PAD.encode(bytes.as_slice()))
}

/// True where both are the same, in time that depends on their lengths alone.
pub(crate) fn same_secret(one: &str, other: &str) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(one.as_bytes(), other.as_bytes()).is_ok()
}
