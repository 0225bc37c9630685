use super::*;
#[test]
fn every_kind_alone_compiles() {
    for kind in Kind::ALL {
        assert!(Detectors::of(&[*kind]).has(*kind));
        assert_eq!(Kind::from_name(kind.name()), Some(*kind));
    }
}
