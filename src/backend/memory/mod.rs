//! An embedded engine.
