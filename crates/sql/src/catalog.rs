//! The model of the target's catalog that names are resolved against.
