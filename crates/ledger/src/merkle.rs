//! The journal as a Merkle tree (RFC 6962, section 2.1): what signed heads commit to. Beside the life of
//! a request: after a sync, on the syncing thread.
//!
//! A leaf is the hash of an entry's line, 32 bytes: so that whoever has lost or removed what an entry
//! says still has the leaf. The verifier has a tree of its own ([`portcullis_verify`]).

use crate::chain::{Hash, finished, sha256};
use aws_lc_rs::digest::{Context, SHA256};

/// How many levels of the binary tree are one of tiles ([C2SP tlog-tiles](https://c2sp.org/tlog-tiles)).
pub(crate) const TILE_HEIGHT: usize = 8;

/// What a leaf completed: the level of tiles, from 0 for the leaf itself, and what stands there.
pub(crate) type Node = (usize, Hash);

/// A tree that grows to the right, known by the roots of its full subtrees.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tree {
    size: u64,
    /// One for each bit of `size`, the largest first.
    subtrees: Vec<Hash>,
}

impl Tree {
    pub(crate) const fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf, and tells which nodes of the levels of tiles are known by it: the leaf as it is
    /// given, of every other level the hash of the full subtree.
    pub(crate) fn push(&mut self, leaf: Hash, mut known: impl FnMut(Node)) {
        known((0, leaf));
        let mut hash = of_leaf(&leaf);
        let full = self.size.trailing_ones() as usize;
        for height in 1..=full {
            let left = self.subtrees.pop().unwrap_or_default();
            hash = of_nodes(&left, &hash);
            if height.is_multiple_of(TILE_HEIGHT) {
                known((height / TILE_HEIGHT, hash));
            }
        }
        self.subtrees.push(hash);
        self.size += 1;
    }

    pub(crate) fn root(&self) -> Hash {
        let mut subtrees = self.subtrees.iter().rev();
        let Some(last) = subtrees.next() else { return sha256(b"") };
        subtrees.fold(*last, |right, left| of_nodes(left, &right))
    }
}

/// The hash of a leaf with this data.
pub(crate) fn of_leaf(leaf: &Hash) -> Hash {
    hashed(&[&[0], leaf])
}

/// The hash of a node over these two.
pub(crate) fn of_nodes(left: &Hash, right: &Hash) -> Hash {
    hashed(&[&[1], left, right])
}

fn hashed(parts: &[&[u8]]) -> Hash {
    let mut hash = Context::new(&SHA256);
    for part in parts {
        hash.update(part);
    }
    finished(&hash.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition, word for word.
    fn by_definition(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => sha256(b""),
            [leaf] => sha256(&[&[0][..], leaf].concat()),
            _ => {
                let half = leaves.len().next_power_of_two() / 2;
                let (left, right) = leaves.split_at(half);
                let (left, right) = (by_definition(left), by_definition(right));
                sha256(&[&[1][..], &left, &right].concat())
            }
        }
    }

    fn leaves(n: usize) -> Vec<Hash> {
        (0..n).map(|i| sha256(&i.to_be_bytes())).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn a_root_is_what_the_rfc_says(n in 0usize..1500) {
            let mut tree = Tree::default();
            let leaves = leaves(n);
            leaves.iter().for_each(|leaf| tree.push(*leaf, |_| ()));
            prop_assert_eq!(tree.size(), n as u64);
            prop_assert_eq!(tree.root(), by_definition(&leaves));
        }
    }

    #[test]
    fn each_level_of_tiles_holds_the_roots_of_the_tiles_below() {
        let (mut tree, mut levels) = (Tree::default(), vec![Vec::new(); 3]);
        let leaves = leaves(65_536 + 300);
        for leaf in &leaves {
            tree.push(*leaf, |(level, hash)| levels[level].push(hash));
        }
        assert_eq!(levels[0], leaves);
        let roots = leaves.chunks_exact(256).map(by_definition).collect::<Vec<_>>();
        assert_eq!(levels[1], roots);
        assert_eq!(levels[2], [by_definition(&leaves[..65_536])]);
    }
}
