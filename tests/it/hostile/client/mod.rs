//! The client against servers that mean harm, and with secrets that must not come out.

mod drip;
mod injection;
mod leaks;
mod limits;
