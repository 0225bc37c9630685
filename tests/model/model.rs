//! What PostgreSQL makes of a session's transaction, as its manual has it ("Transactions" in the
//! message flow, `BEGIN`, `SAVEPOINT`, `ROLLBACK TO SAVEPOINT`), and what names of prepared
//! statements stand for.

use crate::plan::{Does, Statement};

/// A session as it should be.
pub(crate) struct Model {
    /// `I`, `T` or `E`.
    pub(crate) status: u8,
    savepoints: Vec<u8>,
    prepared: [Option<Statement>; 3],
}

impl Model {
    pub(crate) const fn new() -> Self {
        Self { status: b'I', savepoints: Vec::new(), prepared: [None, None, None] }
    }

    /// A request was refused: inside a transaction it counts as a statement that failed.
    pub(crate) fn refused(&mut self) {
        if self.status == b'T' {
            self.status = b'E';
        }
    }

    /// Statements ran as one request; whether all of them succeeded.
    pub(crate) fn ran(&mut self, statements: &[Statement]) -> bool {
        statements.iter().all(|one| self.succeeds(one.does))
    }

    fn succeeds(&mut self, does: Does) -> bool {
        let inside = self.status != b'I';
        let found = |n: u8| self.savepoints.iter().rposition(|s| *s == n);
        let done = match does {
            Does::Commit | Does::Rollback => {
                self.status = b'I';
                self.savepoints.clear();
                return true;
            }
            Does::RollbackTo(n) => match found(n) {
                Some(at) if inside => {
                    self.savepoints.truncate(at + 1);
                    self.status = b'T';
                    return true;
                }
                _ => false,
            },
            _ if self.status == b'E' => false,
            Does::Runs => true,
            Does::Fails => false,
            Does::RunsInside => inside,
            Does::Begin => {
                self.status = b'T';
                true
            }
            Does::Savepoint(n) => {
                if inside {
                    self.savepoints.push(n);
                }
                inside
            }
            Does::Release(n) => {
                let at = found(n).filter(|_| inside);
                self.savepoints.truncate(at.unwrap_or(self.savepoints.len()));
                at.is_some()
            }
        };
        if !done {
            self.refused();
        }
        done
    }

    /// `Close` and `Parse` of a name ran; whether they succeeded.
    pub(crate) fn prepares(&mut self, number: u8, statement: &Statement) -> bool {
        let done = self.status != b'E';
        self.prepared[usize::from(number)] = done.then(|| statement.clone());
        done
    }

    pub(crate) fn prepared(&self, number: u8) -> Option<Statement> {
        self.prepared[usize::from(number)].clone()
    }
}
