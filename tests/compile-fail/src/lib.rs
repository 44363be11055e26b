//! An empty library: the cases are in `cases`.
