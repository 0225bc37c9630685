//! Mask plans, detectors and redactors
