//! The root of a Merkle tree, as RFC 6962, section 2.1 defines it, over leaves that come one by one.

use sha2::{Digest as _, Sha256};

/// A tree that grows. At place `h` of `full` stands the root of a full subtree of `2^h` leaves that has
/// no right neighbour of its height yet: the bits of the number of leaves say which there are.
#[derive(Debug, Default, Clone)]
pub(crate) struct Tree {
    full: Vec<Option<[u8; 32]>>,
}

impl Tree {
    /// Adds a leaf. Gives every subtree it filled, with its height, from the leaf up.
    pub(crate) fn add(&mut self, data: &[u8]) -> Vec<(usize, [u8; 32])> {
        let mut hash = hash_of_leaf(data);
        let mut filled = vec![(0, hash)];
        for height in 0.. {
            if height == self.full.len() {
                self.full.push(None);
            }
            let Some(place) = self.full.get_mut(height) else { break };
            let Some(left) = place.take() else {
                *place = Some(hash);
                break;
            };
            hash = parent(&left, &hash);
            filled.push((height + 1, hash));
        }
        filled
    }

    /// The root over all leaves so far.
    pub(crate) fn root(&self) -> [u8; 32] {
        let subtrees = self.full.iter().flatten();
        let root = subtrees.copied().reduce(|right, left| parent(&left, &right));
        root.unwrap_or_else(|| Sha256::digest([]).into())
    }
}

pub(crate) fn hash_of_leaf(data: &[u8]) -> [u8; 32] {
    Sha256::new_with_prefix([0]).chain_update(data).finalize().into()
}

pub(crate) fn parent(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    Sha256::new_with_prefix([1]).chain_update(left).chain_update(right).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The leaves and roots that Certificate Transparency's implementations are tested by.
    #[test]
    fn roots_are_those_of_certificate_transparency() {
        let leaves: [&[u8]; 8] = [
            b"",
            b"\x00",
            b"\x10",
            b"\x20\x21",
            b"\x30\x31",
            b"\x40\x41\x42\x43",
            b"\x50\x51\x52\x53\x54\x55\x56\x57",
            b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
        ];
        let roots = [
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ];
        let mut tree = Tree::default();
        for (n, root) in roots.iter().enumerate() {
            let hex: String = tree.root().iter().map(|b| format!("{b:02x}")).collect();
            assert_eq!(hex, *root, "{n} leaves");
            tree.add(leaves.get(n).copied().unwrap_or_default());
        }
    }
}
