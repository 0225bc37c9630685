//! Lists a page at a time: `limit`, an opaque `cursor`, and the next page as `Link` (RFC 8288).
//!
//! *Architecture invariant:* a cursor says where, and never what: on every page each row is looked at anew
//! for whether this caller may see it, and a cursor names no row but one that its list has shown.

use super::Problem;
use super::problem::Query;
use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_core::time::Timestamp;
use portcullis_store::{
    BrowserSession, CredentialRow, FreezeRow, GrantRow, Listed, MAX_PAGE, NotificationRow, Page,
    PasskeyRow, PatternRow, Place, ReviewRow,
};
use schemars::JsonSchema;
use serde::Deserialize;

/// Rows of a page, where nobody says how many.
const USUAL: u32 = 100;

/// Longest id of a row, in bytes.
const MAX_ID: usize = 48;

/// Which part of a list.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub(super) struct ListQuery {
    /// With what is over, or is not the caller's own, as well.
    #[serde(default)]
    pub(super) all: bool,
    /// Rows at most: 1 to 500, and 100 where nothing is said.
    #[serde(default)]
    #[schemars(range(min = 1, max = 500))]
    limit: Option<u32>,
    /// Where to go on, as the `Link` of the page before has it.
    #[serde(default)]
    cursor: Option<String>,
}

/// A list that is asked for.
pub(super) struct Wanted {
    pub(super) all: bool,
    pub(super) page: Page,
    /// What else is asked, as the beginning of a query: it goes on in the next page.
    pub(super) also: String,
    path: String,
}

impl<S: Send + Sync> FromRequestParts<S> for Wanted {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Query(query) = Query::<ListQuery>::from_request_parts(parts, state).await?;
        let wrong = |detail: String| Problem::new(StatusCode::BAD_REQUEST, detail);
        let limit = query.limit.unwrap_or(USUAL);
        if !(1..=MAX_PAGE).contains(&limit) {
            return Err(wrong(format!("limit must be 1 to {MAX_PAGE}")));
        }
        let after = query.cursor.as_deref().map(|cursor| {
            read(cursor).ok_or_else(|| {
                wrong("cursor is none that a page of this gateway has given".to_owned())
            })
        });
        let page = Page { limit, after: after.transpose()? };
        let (also, path) = (String::new(), parts.uri.path().to_owned());
        Ok(Self { all: query.all, page, also, path })
    }
}

/// A row of a list.
pub(super) trait Placed {
    fn place(&self) -> Place;
}

macro_rules! placed {
    ($($row:ty: |$it:ident| $at:expr, $id:expr;)+) => {
        $(impl Placed for $row {
            fn place(&self) -> Place {
                let $it = self;
                Place { at: $at, id: $id.to_string() }
            }
        })+
    };
}

placed! {
    ReviewRow: |row| row.ask.at, row.id;
    PatternRow: |row| row.given, row.id;
    CredentialRow: |row| row.issued, row.id;
    BrowserSession: |row| row.since, row.id;
    PasskeyRow: |it| it.made, it.id;
    FreezeRow: |row| row.freeze.since, row.freeze.id;
    GrantRow: |row| row.ask.at, row.id;
    NotificationRow: |row| row.made, row.id;
}

/// What is answered: the rows, and where the next are.
pub(super) type Paged<T> = (HeaderMap, Json<Vec<T>>);

impl Wanted {
    /// The page: of what was read, what may be seen. `None` where that is nothing and the list goes on:
    /// then the next page is to be read.
    pub(super) fn paged<T: Placed>(
        &mut self,
        Listed { mut rows, more }: Listed<T>,
        may_see: impl Fn(&T) -> bool,
    ) -> Option<Paged<T>> {
        let last = rows.last().map(Placed::place);
        rows.retain(may_see);
        if rows.is_empty() && more && last.is_some() {
            self.page.after = last;
            return None;
        }
        let next = rows.last().map(Placed::place).filter(|_| more);
        Some((self.next(next), Json(rows)))
    }

    /// Where the next page is.
    pub(super) fn next(&self, place: Option<Place>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let Some(place) = place {
            let (path, cursor, limit) = (&self.path, written(&place), self.page.limit);
            let all = if self.all { "all=true&" } else { "" };
            let also = &self.also;
            let link = format!("<{path}?{also}{all}limit={limit}&cursor={cursor}>; rel=\"next\"");
            // A path that was matched has no character that a header may not have.
            if let Ok(link) = HeaderValue::try_from(link) {
                headers.insert(header::LINK, link);
            }
        }
        headers
    }
}

pub(super) fn written(place: &Place) -> String {
    URL_SAFE_NO_PAD.encode(format!("{} {}", place.at.as_micros(), place.id))
}

pub(super) fn read(cursor: &str) -> Option<Place> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
    let (at, id) = text.split_once(' ')?;
    let plain = id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let at = Timestamp::from_micros(at.parse().ok()?);
    (plain && id.len() <= MAX_ID).then(|| Place { at, id: id.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_back_and_nothing_else_is_one() {
        let place = Place { at: Timestamp::from_micros(17), id: "rev_00000000000g1".to_owned() };
        assert_eq!(read(&written(&place)), Some(place));
        for text in ["", "1", "x rev_1", "1 a'b", "1 é", &format!("1 {}", "a".repeat(49))] {
            assert_eq!(read(&URL_SAFE_NO_PAD.encode(text)), None, "{text}");
        }
        assert_eq!(read("not base64!"), None);
    }
}
