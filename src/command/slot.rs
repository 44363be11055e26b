//! The hash slot of a key, by which Redis Cluster spreads keys over its nodes.

/// Number of slots in a cluster.
pub(crate) const SLOTS: u16 = 16384;

/// Returns the slot of a key: that of its hash tag, if it has one.
pub(crate) fn slot(key: &[u8]) -> u16 {
    crc16(tag(key).unwrap_or(key)) % SLOTS
}

/// Returns the hash tag of a key: the text between its first `{` and the next `}`, unless it is
/// empty.
pub(crate) fn tag(key: &[u8]) -> Option<&[u8]> {
    let rest = key.get(key.iter().position(|&byte| byte == b'{')? + 1..)?;
    let tag = rest.get(..rest.iter().position(|&byte| byte == b'}')?)?;
    (!tag.is_empty()).then_some(tag)
}

/// Computes CRC-16 with the polynomial 0x1021, from zero (XMODEM).
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, &byte| {
        (0..8).fold(crc ^ (u16::from(byte) << 8), |crc, _| {
            if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_redis() {
        // From `CLUSTER KEYSLOT`.
        for (key, wanted) in [
            ("123456789", 12739),
            ("foo", 12182),
            ("", 0),
            ("{user1000}.following", 3443),
            ("user1000", 3443),
        ] {
            assert_eq!(slot(key.as_bytes()), wanted, "{key}");
        }
        assert_eq!(slot(b"foo{}{bar}"), crc16(b"foo{}{bar}") % SLOTS);
        assert_eq!(slot(b"foo{{bar}}zap"), slot(b"{bar"));
        assert_eq!(slot(b"foo{bar}{zap}"), slot(b"bar"));
    }
}
