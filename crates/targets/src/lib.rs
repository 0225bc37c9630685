//! Target credentials, dialers and links
