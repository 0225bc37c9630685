//! What statements come out as.
