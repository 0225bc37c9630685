//! The last words to a client that gets no session: a FATAL `ErrorResponse` of the gateway's own.

/// Over a limit of the gateway. Not 53300, which makes pools try again at once.
pub(crate) const LIMIT: &str = "53400";
/// The client broke the protocol.
pub(crate) const PROTOCOL: &str = "08P01";
/// The client may not log in this way.
pub(crate) const NOT_THIS_WAY: &str = "28000";

/// `ErrorResponse` (PostgreSQL manual, "Error and Notice Message Fields").
pub(crate) fn message(code: &str, text: &str) -> Vec<u8> {
    let fields = format!("SFATAL\0VFATAL\0C{code}\0Mportcullis: {text}\0\0");
    let mut bytes = vec![b'E'];
    bytes.extend(u32::try_from(fields.len() + 4).unwrap_or(u32::MAX).to_be_bytes());
    bytes.extend(fields.as_bytes());
    bytes
}
