//! The walk over a text that finds where something may stand: an Aho-Corasick automaton over the
//! literals that detectors start from (prefixes of keys, words, signs of URLs), in any case of
//! letters, which also stops at single bytes (digits, at signs).
//!
//! One table of a row per state, made once and only read from then on: a step is two loads, and
//! texts made to be slow find nothing to slow it down with.

use std::collections::VecDeque;

/// The room for classes of bytes in a row.
const WIDTH: usize = 64;
/// The room for states: a table of a fixed size needs no test of where it ends.
const STATES: usize = 1024;
/// Marks a step behind which somebody has to look.
const STOP: u16 = 1 << 15;

type Row = [u16; WIDTH];

/// Literals and single bytes, compiled.
pub(super) struct Automaton {
    classes: [u8; 256],
    rows: Box<[Row; STATES]>,
    /// Per state, which of the literals end there: a range of `ends`.
    ranges: Vec<(u16, u16)>,
    ends: Vec<u16>,
}

/// Where a walk stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct State(u16);

impl State {
    /// No literal has begun.
    pub(super) const START: Self = Self(0);

    /// True where somebody has to look at the byte before.
    #[inline]
    pub(super) const fn stops(self) -> bool {
        self.0 & STOP != 0
    }

    /// True where no literal has begun.
    #[inline]
    pub(super) const fn is_start(self) -> bool {
        self.0 & !STOP == 0
    }
}

impl Automaton {
    /// An automaton that stops behind each of `literals` (in lower case) and at each of `bytes`.
    pub(super) fn new(literals: &[&[u8]], bytes: &[u8]) -> Self {
        let classes = classes(literals, bytes);
        let mut trie = Trie::default();
        trie.grow(Vec::new());
        for (number, literal) in literals.iter().enumerate() {
            trie.add(number, literal, &classes);
        }
        let order = trie.link();
        let mut ranges = Vec::with_capacity(trie.rows.len());
        let mut ends = Vec::new();
        for found in &trie.ends {
            let from = ends.len();
            ends.extend(found.iter().map(|number| narrow(*number)));
            ranges.push((narrow(from), narrow(ends.len())));
        }
        debug_assert!(order == trie.rows.len() && order <= STATES);
        let stops = |class: usize, state: u16| {
            bytes.iter().any(|b| class == class_of(&classes, *b))
                || trie.ends.get(usize::from(state)).is_some_and(|ends| !ends.is_empty())
        };
        let mark = |row: &Row| {
            let mut row = *row;
            for (class, next) in row.iter_mut().enumerate() {
                *next |= if stops(class, *next) { STOP } else { 0 };
            }
            row
        };
        let mut rows = Box::new([[0; WIDTH]; STATES]);
        for (place, row) in rows.iter_mut().zip(trie.rows.iter().map(mark)) {
            *place = row;
        }
        Self { classes, rows, ranges, ends }
    }

    /// Walks over `text` up to a byte that has to be looked at: the state behind it, and how many
    /// bytes that took. At the end of the text, a state that does not stop. A loop of its own, so that nothing of what
    /// is done at a stop takes registers from it.
    #[inline(never)]
    pub(super) fn walk(&self, state: State, text: &[u8]) -> (State, usize) {
        let (rows, classes) = (&*self.rows, &self.classes);
        let mut now = state.0 & !STOP;
        for (taken, b) in text.iter().enumerate() {
            let class = class_of(classes, *b) & (WIDTH - 1);
            let row = rows.get(usize::from(now) & (STATES - 1));
            now = row.and_then(|row| row.get(class).copied()).unwrap_or_default();
            if now & STOP != 0 {
                return (State(now), taken + 1);
            }
        }
        (State(now), text.len())
    }

    /// The numbers of the literals that end in this state, the longest first.
    pub(super) fn ends(&self, state: State) -> &[u16] {
        let range = self.ranges.get(usize::from(state.0 & !STOP)).copied().unwrap_or_default();
        self.ends.get(usize::from(range.0)..usize::from(range.1)).unwrap_or_default()
    }
}

#[expect(clippy::cast_possible_truncation, reason = "constant tables; a test builds each")]
fn narrow(number: usize) -> u16 {
    debug_assert!(number < usize::from(STOP));
    number as u16
}

#[inline]
fn class_of(classes: &[u8; 256], b: u8) -> usize {
    usize::from(classes.get(usize::from(b)).copied().unwrap_or_default())
}

/// A class for each byte that a literal has in it or that stops the walk, letters of both cases
/// in one; 0 for all other bytes.
fn classes(literals: &[&[u8]], bytes: &[u8]) -> [u8; 256] {
    let mut classes = [0; 256];
    let mut last = 0;
    for b in literals.iter().copied().flatten().chain(bytes) {
        let (lower, upper) = (b.to_ascii_lowercase(), b.to_ascii_uppercase());
        if class_of(&classes, lower) != 0 {
            continue;
        }
        last += 1;
        for b in [lower, upper] {
            if let Some(class) = classes.get_mut(usize::from(b)) {
                *class = last;
            }
        }
    }
    debug_assert!(usize::from(last) < WIDTH);
    classes
}

/// The automaton while it is made.
#[derive(Default)]
struct Trie {
    rows: Vec<Row>,
    ends: Vec<Vec<usize>>,
}

impl Trie {
    fn grow(&mut self, ends: Vec<usize>) -> usize {
        self.rows.push([0; WIDTH]);
        self.ends.push(ends);
        self.rows.len() - 1
    }

    fn next(&self, state: usize, class: usize) -> usize {
        self.rows.get(state).and_then(|row| row.get(class)).map_or(0, |next| usize::from(*next))
    }

    fn set(&mut self, state: usize, class: usize, next: usize) {
        if let Some(place) = self.rows.get_mut(state).and_then(|row| row.get_mut(class)) {
            *place = narrow(next);
        }
    }

    fn add(&mut self, number: usize, literal: &[u8], classes: &[u8; 256]) {
        let mut state = 0;
        for b in literal {
            let class = class_of(classes, *b);
            let mut next = self.next(state, class);
            if next == 0 {
                next = self.grow(Vec::new());
                self.set(state, class, next);
            }
            state = next;
        }
        if let Some(ends) = self.ends.get_mut(state) {
            ends.push(number);
        }
    }

    /// Adds the steps of what a failed literal may still be the beginning of, level by level; how
    /// many states there are.
    fn link(&mut self) -> usize {
        let mut fails = vec![0; self.rows.len()];
        let mut queue = VecDeque::from([0]);
        let mut seen = 0;
        while let Some(state) = queue.pop_front() {
            seen += 1;
            let fail = fails.get(state).copied().unwrap_or_default();
            for class in 0..WIDTH {
                let (next, other) = (self.next(state, class), self.next(fail, class));
                if next == 0 {
                    self.set(state, class, if state == 0 { 0 } else { other });
                    continue;
                }
                if state != 0
                    && let Some(fail) = fails.get_mut(next)
                {
                    *fail = other;
                }
                let fail = fails.get(next).copied().unwrap_or_default();
                let shorter = self.ends.get(fail).cloned().unwrap_or_default();
                if let Some(ends) = self.ends.get_mut(next) {
                    ends.extend(shorter);
                }
                queue.push_back(next);
            }
        }
        seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(literals: &[&str], text: &str) -> Vec<(usize, u16)> {
        let literals: Vec<_> = literals.iter().map(|literal| literal.as_bytes()).collect();
        let automaton = Automaton::new(&literals, b"@");
        let (mut at, mut state, mut found) = (0, State::START, Vec::new());
        loop {
            let (next, taken) = automaton.walk(state, &text.as_bytes()[at..]);
            (at, state) = (at + taken, next);
            if !state.stops() {
                break;
            }
            assert!(text.as_bytes()[at - 1] == b'@' || !automaton.ends(state).is_empty());
            found.extend(automaton.ends(state).iter().map(|number| (at, *number)));
        }
        found
    }

    #[test]
    fn each_literal_is_found_where_it_ends_the_longest_first() {
        let literals = ["he", "she", "his", "hers", "e"];
        assert_eq!(found(&literals, "usHErs"), [(4, 1), (4, 0), (4, 4), (6, 3)]);
        assert_eq!(found(&literals, "hi@his.sshe"), [(6, 2), (11, 1), (11, 0), (11, 4)]);
        assert_eq!(found(&["aab"], "aaab"), [(4, 0)]);
        assert_eq!(found(&[], "a@b"), []);
    }
}
