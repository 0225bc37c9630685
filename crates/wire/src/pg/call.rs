//! Calls of functions by number (`FunctionCall`), by which client libraries read and write large
//! objects. They become the statement that calls the function by name before they are judged: the
//! target is asked that statement, and the client gets the answer in the form it asked for.
//!
//! Manual, "Function Call Sub-Protocol": it is obsolete, and a prepared statement does the same.

use super::message::{Frontend, Target};
use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

/// The name of the statement and the portal of a call, so that the caller's unnamed ones stay.
const OWN: &[u8] = b"\x7fportcullis: call";

/// The functions that can be called so, by the numbers they have in every version of the server
/// (`pg_proc.dat`): those of libpq's and the JDBC driver's large objects.
const FUNCTIONS: [(u32, &str); 13] = [
    (715, "SELECT pg_catalog.lo_create($1)"),
    (952, "SELECT pg_catalog.lo_open($1, $2)"),
    (953, "SELECT pg_catalog.lo_close($1)"),
    (954, "SELECT pg_catalog.loread($1, $2)"),
    (955, "SELECT pg_catalog.lowrite($1, $2)"),
    (956, "SELECT pg_catalog.lo_lseek($1, $2, $3)"),
    (957, "SELECT pg_catalog.lo_creat($1)"),
    (958, "SELECT pg_catalog.lo_tell($1)"),
    (964, "SELECT pg_catalog.lo_unlink($1)"),
    (1004, "SELECT pg_catalog.lo_truncate($1, $2)"),
    (3170, "SELECT pg_catalog.lo_lseek64($1, $2, $3)"),
    (3171, "SELECT pg_catalog.lo_tell64($1)"),
    (3172, "SELECT pg_catalog.lo_truncate64($1, $2)"),
];

/// The messages that call the function: each decoded and whole. `body` is that of the
/// `FunctionCall`; `None` where it is malformed, or the function is none of those.
pub(super) fn messages(body: &Bytes) -> Option<Vec<(Frontend, Bytes)>> {
    let mut rest = body.clone();
    if rest.len() < 8 {
        return None;
    }
    let number = rest.get_u32();
    let (_, text) = FUNCTIONS.iter().find(|(known, _)| *known == number)?;
    let arguments = text.matches('$').count();
    // `Bind` has the same fields, but for how many results have a format.
    let (all, format) = rest.split_at_checked(rest.len() - 2)?;
    if !has(all, arguments) {
        return None;
    }
    let values = [all, &[0, 1], format].concat();
    let message = |kind: u8, parts: &[&[u8]]| {
        let length = 4 + parts.iter().map(|part| part.len()).sum::<usize>();
        let mut whole = BytesMut::with_capacity(1 + length);
        whole.put_u8(kind);
        whole.put_u32(u32::try_from(length).ok()?);
        parts.iter().for_each(|part| whole.put_slice(part));
        Some(whole.freeze())
    };
    let own = || Bytes::from_static(OWN);
    let close = || {
        let bytes = message(b'C', &[b"S", OWN, &[0]])?;
        Some((Frontend::Close(Target::Statement, own()), bytes))
    };
    let parse = Frontend::Parse {
        name: own(),
        text: Bytes::from_static(text.as_bytes()),
        types: Vec::new(),
    };
    let bind = Frontend::Bind { portal: own(), statement: own(), values: values.clone().into() };
    Some(vec![
        // What a call left behind that failed.
        close()?,
        (parse, message(b'P', &[OWN, &[0], text.as_bytes(), &[0, 0, 0]])?),
        (bind, message(b'B', &[OWN, &[0], OWN, &[0], &values])?),
        (Frontend::Execute { portal: own(), rows: 0 }, message(b'E', &[OWN, &[0], &[0; 4]])?),
        (Frontend::Close(Target::Portal, own()), message(b'C', &[b"P", OWN, &[0]])?),
        close()?,
    ])
}

/// True where `fields` are formats of arguments and `count` arguments, and nothing more.
fn has(fields: &[u8], count: usize) -> bool {
    let mut fields = fields;
    let read = |fields: &mut &[u8]| (fields.len() >= 2).then(|| usize::from(fields.get_u16()));
    let Some(formats) = read(&mut fields) else { return false };
    let formats = fields.split_at_checked(2 * formats);
    let Some((_, mut fields)) = formats else { return false };
    if read(&mut fields) != Some(count) {
        return false;
    }
    for _ in 0..count {
        let Some(length) = fields.split_off(..4).map(|mut length| length.get_i32()) else {
            return false;
        };
        // Negative: NULL.
        let size = usize::try_from(length).unwrap_or(0);
        if length < -1 || fields.split_off(..size).is_none() {
            return false;
        }
    }
    fields.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(body: &[u8]) -> Option<String> {
        let all = messages(&Bytes::copy_from_slice(body))?;
        Some(all.iter().map(|(_, bytes)| char::from(bytes[0])).collect())
    }

    #[test]
    fn calls_of_large_objects_become_statements() {
        let open = b"\0\0\x03\xb8\0\x01\0\x01\0\x02\0\0\0\x04\0\0\0\x07\0\0\0\x04\0\x02\0\0\0\x01";
        assert_eq!(kinds(open).as_deref(), Some("CPBECC"));
        let all = messages(&Bytes::from_static(open)).unwrap();
        for (message, bytes) in &all {
            let frame = super::super::message::Frame { kind: bytes[0], bytes: bytes.clone() };
            assert_eq!(super::super::message::decode(&frame).as_ref(), Ok(message));
        }
        let (Frontend::Bind { values, .. }, _) = &all[2] else { panic!("{all:?}") };
        assert!(values.ends_with(b"\0\x01\0\x01"), "{values:?}");
        // Every beginning, and one byte more, is none.
        for end in 0..open.len() {
            assert_eq!(kinds(&open[..end]), None, "{end}");
        }
        assert_eq!(kinds(&[&open[..], b"\0"].concat()), None);
    }

    #[test]
    fn other_functions_and_other_numbers_of_arguments_do_not() {
        for function in [0_u32, 764, 765, 767, 2_621, u32::MAX] {
            let body = [&function.to_be_bytes()[..], &[0, 0, 0, 1, 0, 0, 0, 0, 0, 0]].concat();
            assert_eq!(kinds(&body), None, "{function}");
        }
        assert_eq!(kinds(b"\0\0\x03\xc4\0\0\0\0\0\0"), None);
        assert_eq!(kinds(b"\0\0\x03\xc4\0\0\0\x01\xff\xff\xff\xff\0\0").as_deref(), Some("CPBECC"));
        assert_eq!(kinds(b"\0\0\x03\xc4\0\0\0\x01\xff\xff\xff\xfe\0\0"), None);
    }
}
