//! Which session ids are valid.

use super::error::SessionError;

/// 1 to 128 of `A-Z a-z 0-9 _ . -`, and neither `.` nor `..`: safe in a key, a path, a cookie, a
/// URL and, quoted, in JSON.
pub(crate) fn check(id: &str) -> Result<(), SessionError> {
    let safe = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    let valid = (1..=128).contains(&id.len()) && id.bytes().all(safe) && id != "." && id != "..";
    if valid { Ok(()) } else { Err(SessionError::InvalidId) }
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn ids() {
        for id in ["a", "0c7a2f4e-8f9b-4a52-9d0e-3a5f1c6b7d88", "A_b.c-9", "...", &"x".repeat(128)]
        {
            assert!(check(id).is_ok(), "{id}");
        }
        for id in ["", ".", "..", "a/b", "a\0", "../x", "ä", "a b", "a\"", "a\n", &"x".repeat(129)]
        {
            assert!(check(id).is_err(), "{id}");
        }
    }
}
