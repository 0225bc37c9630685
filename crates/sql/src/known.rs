//! Facts of texts that were taken apart before, with one catalog. Stands in front of the analysis: a
//! session that says the same again, or the same with other numbers, is not parsed again.

use crate::catalog::Catalog;
use crate::facts::analyse;
use crate::parse::Limits;
use crate::shape::{is_general, shape};
use crate::statement::{Analysis, Unreadable};
use std::collections::HashMap;
use std::sync::Arc;

/// Texts and shapes remembered; beyond that all are forgotten.
const REMEMBERED: usize = 256;
/// Longer texts, in bytes, are not remembered.
const LONGEST: usize = 16 * 1024;
/// Nor those of which more bytes than this are known.
const LARGEST: usize = 64 * 1024;

/// A bounded memory of analyses. It is for one catalog: with another one begin anew.
#[derive(Debug, Default)]
pub struct Known {
    texts: HashMap<Box<str>, Arc<Analysis>>,
    /// Of queries, by what they are but for their numbers.
    shapes: HashMap<Box<str>, Arc<Analysis>>,
}

impl Known {
    /// The facts of a text, remembered or new. Call it on a thread with
    /// [`REQUIRED_STACK`](crate::parse::REQUIRED_STACK).
    ///
    /// # Errors
    /// [`Unreadable`]: nothing in the text may run.
    pub fn analyse(
        &mut self,
        text: &str,
        catalog: &Catalog,
        limits: &Limits,
    ) -> Result<Arc<Analysis>, Unreadable> {
        let shape = shape(text);
        let alike = shape.as_deref().and_then(|shape| self.shapes.get(shape));
        if let Some(known) = alike.or_else(|| self.texts.get(text)) {
            return Ok(known.clone());
        }
        let analysis = Arc::new(analyse(text, catalog, limits)?);
        let kept: usize = analysis.statements.iter().map(|s| s.kept_bytes()).sum();
        if text.len() <= LONGEST && kept <= LARGEST {
            if self.texts.len() + self.shapes.len() >= REMEMBERED {
                self.texts.clear();
                self.shapes.clear();
            }
            match shape.filter(|_| is_general(&analysis)) {
                Some(shape) => self.shapes.insert(shape.into(), analysis.clone()),
                None => self.texts.insert(text.into(), analysis.clone()),
            };
        }
        Ok(analysis)
    }
}
