//! A text that is wiped when it is dropped.

use std::fmt;
use zeroize::Zeroizing;

/// A token or a password. Its memory is overwritten when it is dropped, and so is that of each
/// clone.
///
/// Other copies are not wiped: those in headers, in the buffers of connections, and in the
/// program's own variables.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Creates a secret; a `String` is not copied.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("******")
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// Reads freed memory through the kernel: only there the result of a drop is visible.
    #[test]
    fn dropped_secrets_are_wiped() {
        use std::io::{Read as _, Seek as _, SeekFrom};

        let left = |at: usize, length: usize| {
            let mut bytes = vec![0; length];
            let mut memory = std::fs::File::open("/proc/self/mem").unwrap();
            memory.seek(SeekFrom::Start(at as u64)).unwrap();
            memory.read_exact(&mut bytes).unwrap();
            bytes
        };
        // Far longer than the data that an allocator writes into free memory, and far shorter than
        // the blocks it returns to the system.
        let text = "s3cret-".repeat(100);
        let (first, second) = (Secret::new(text.clone()), crate::Config::new().token(text.clone()));
        let copy = second.clone();
        let places =
            [first.as_str(), second.checked_token().unwrap(), copy.checked_token().unwrap()]
                .map(|text| text.as_ptr() as usize);
        for place in places {
            assert_eq!(left(place, text.len()), text.as_bytes());
        }
        drop((first, second, copy));
        for place in places {
            let left = left(place, text.len());
            assert!(
                !left.windows(7).any(|window| window == b"s3cret-"),
                "{}",
                String::from_utf8_lossy(&left)
            );
        }
    }
}
