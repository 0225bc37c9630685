//! What random programs are made of: a row of numbers. The same row makes the same program, and a
//! shorter row, or one with smaller numbers, a simpler one.

/// A row of choices: those given first, then random ones, or zeros.
pub(crate) struct Choices {
    given: Vec<u32>,
    random: Option<u64>,
    made: Vec<u32>,
}

impl Choices {
    /// All at random.
    pub(crate) fn random(seed: u64) -> Self {
        Self {
            given: Vec::new(),
            random: Some(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1),
            made: Vec::new(),
        }
    }

    /// Those given, and zeros behind them.
    pub(crate) fn given(given: Vec<u32>) -> Self {
        Self { given, random: None, made: Vec::new() }
    }

    /// A number below `n`. 0 is the simplest choice.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        let drawn = match (self.given.get(self.made.len()), &mut self.random) {
            (Some(given), _) => *given,
            (None, Some(state)) => {
                // Marsaglia's xorshift64*.
                *state ^= *state >> 12;
                *state ^= *state << 25;
                *state ^= *state >> 27;
                (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) as u32
            }
            (None, None) => 0,
        };
        let chosen = drawn as usize % n.max(1);
        self.made.push(chosen as u32);
        chosen
    }

    /// True in so many of a hundred cases; false is the simpler one.
    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) >= 100 - percent
    }

    /// One of these.
    pub(crate) fn one<'t, T>(&mut self, of: &'t [T]) -> &'t T {
        &of[self.below(of.len())]
    }

    /// What was chosen so far.
    pub(crate) fn made(self) -> Vec<u32> {
        self.made
    }
}

/// The simplest row that still does what `does` looks for, by leaving out and by making smaller, with
/// so many attempts at most.
pub(crate) fn simplest(
    mut row: Vec<u32>,
    mut attempts: usize,
    mut does: impl FnMut(&[u32]) -> bool,
) -> Vec<u32> {
    let mut better = true;
    while better && attempts > 0 {
        better = false;
        let mut length = row.len() / 2;
        while length > 0 && attempts > 0 {
            let mut at = 0;
            while at + length <= row.len() && attempts > 0 {
                let without = [&row[..at], &row[at + length..]].concat();
                let zeros = [&row[..at], &vec![0; length], &row[at + length..]].concat();
                attempts = attempts.saturating_sub(2);
                if does(&without) {
                    row = without;
                    better = true;
                } else if row[at..at + length].iter().any(|n| *n != 0) && does(&zeros) {
                    row = zeros;
                    better = true;
                    at += length;
                } else {
                    at += length;
                }
            }
            length /= 2;
        }
    }
    row
}
