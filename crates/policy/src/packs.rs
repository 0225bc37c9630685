//! Policy packs that come with the binary. Each is a policy file like any other.

/// Every pack, as name and text.
pub const PACKS: &[(&str, &str)] = &[
    ("agent-safe", include_str!("../packs/agent-safe.cedar")),
    ("read-only", include_str!("../packs/read-only.cedar")),
    ("allow-all", include_str!("../packs/allow-all.cedar")),
];

/// The text of a pack.
#[must_use]
pub fn pack(name: &str) -> Option<&'static str> {
    PACKS.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}
