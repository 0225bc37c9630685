//! What the targets share: the shop's catalog, an analyst over it, and bytes in pieces.

use bytes::{BufMut as _, BytesMut};
use portcullis_sql::catalog::Catalog;
use portcullis_sql::statement::{Analysis, Unreadable};
use portcullis_sql::{Limits, analyse};
use portcullis_wire::pg::conversation::Analyst;
use std::sync::{Arc, OnceLock};

/// The catalog of the tests of `portcullis-sql`.
pub fn shop() -> &'static Catalog {
    static SHOP: OnceLock<Catalog> = OnceLock::new();
    SHOP.get_or_init(|| {
        let text = include_str!("../../crates/sql/tests/data/shop-catalog.tsv");
        let mut rows: Vec<Vec<Vec<Option<String>>>> = Vec::new();
        for line in text.lines() {
            let field = |f: &str| (f != "\\N").then(|| f.replace("\\n", "\n"));
            match (line, rows.last_mut()) {
                ("==", _) => rows.push(Vec::new()),
                (_, Some(result)) => result.push(line.split('\t').map(field).collect()),
                (_, None) => {}
            }
        }
        Catalog::from_rows("shop", &rows).expect("the catalog of the tests")
    })
}

/// Runs something on a thread with the stack that the grammar needs.
pub fn with_stack<T: Send>(f: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let builder = std::thread::Builder::new().stack_size(portcullis_sql::REQUIRED_STACK);
        let thread = builder.spawn_scoped(scope, f).expect("a thread");
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Facts from the shop's catalog.
pub struct Shop;

impl Analyst for Shop {
    fn analyse(&self, text: &str) -> Result<Arc<Analysis>, Unreadable> {
        analyse(text, shop(), &Limits { text: 8 << 10, ..Limits::default() }).map(Arc::new)
    }
}

/// Calls `take` until it has nothing more to give, with the bytes put before it in pieces of `size`;
/// 0 for all at once. What it gave, readable, up to its first error.
pub fn in_pieces<E: std::fmt::Debug>(
    bytes: &[u8],
    size: usize,
    mut take: impl FnMut(&mut BytesMut) -> Result<Option<String>, E>,
) -> Vec<String> {
    let mut buffer = BytesMut::new();
    let mut given = Vec::new();
    for piece in bytes.chunks(if size == 0 { bytes.len().max(1) } else { size }) {
        buffer.put_slice(piece);
        loop {
            match take(&mut buffer) {
                Ok(Some(one)) => given.push(one),
                Ok(None) => break,
                Err(error) => {
                    given.push(format!("{error:?}"));
                    return given;
                }
            }
        }
    }
    given
}
