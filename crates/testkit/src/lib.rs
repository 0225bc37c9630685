//! Real servers, hostile peers and wire scripts for tests
