//! Journal, hash chain, signed heads, recordings, replay and the offline verifier
