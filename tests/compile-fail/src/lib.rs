//! See `cases`.
