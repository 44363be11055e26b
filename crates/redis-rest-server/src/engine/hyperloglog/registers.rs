//! The registers of a HyperLogLog, their two encodings, and the estimate.

/// The number of registers.
pub(super) const COUNT: usize = 1 << INDEX_BITS;
const INDEX_BITS: u32 = 14;
/// The bits of a hash that are left for the rank.
const RANK_BITS: u32 = 64 - INDEX_BITS;
/// The largest value that the sparse encoding can hold.
const LARGEST_SPARSE: u8 = 32;

pub(super) struct Registers(Box<[u8]>);

impl Default for Registers {
    fn default() -> Self {
        Self(vec![0; COUNT].into())
    }
}

/// MurmurHash64A, by Austin Appleby.
fn murmur(bytes: &[u8], seed: u64) -> u64 {
    const FACTOR: u64 = 0xc6a4_a793_5bd1_e995;
    const SHIFT: u32 = 47;
    let mut hash = seed ^ (bytes.len() as u64).wrapping_mul(FACTOR);
    let (blocks, rest) = bytes.as_chunks::<8>();
    for block in blocks {
        let mut word = u64::from_le_bytes(*block).wrapping_mul(FACTOR);
        word ^= word >> SHIFT;
        hash = (hash ^ word.wrapping_mul(FACTOR)).wrapping_mul(FACTOR);
    }
    if !rest.is_empty() {
        let tail = rest.iter().rev().fold(0, |tail, byte| tail << 8 | u64::from(*byte));
        hash = (hash ^ tail).wrapping_mul(FACTOR);
    }
    hash ^= hash >> SHIFT;
    hash = hash.wrapping_mul(FACTOR);
    hash ^ hash >> SHIFT
}

/// The register of an element, and its rank: one more than the zeros at the end of the rest of its hash.
pub(super) fn place(element: &[u8]) -> (usize, u8) {
    let hash = murmur(element, 0xadc8_3b19);
    let index = usize::try_from(hash & (COUNT as u64 - 1)).unwrap_or(0);
    let rest = hash >> INDEX_BITS | 1 << RANK_BITS;
    (index, u8::try_from(rest.trailing_zeros() + 1).unwrap_or(u8::MAX))
}

impl Registers {
    /// True if the register was lower.
    pub(super) fn raise(&mut self, index: usize, rank: u8) -> bool {
        let lower = self.0[index] < rank;
        if lower {
            self.0[index] = rank;
        }
        lower
    }

    pub(super) fn raise_all(&mut self, other: &Self) {
        for (own, other) in self.0.iter_mut().zip(&other.0) {
            *own = (*own).max(*other);
        }
    }

    /// Six bits each, the lowest first.
    pub(super) fn from_dense(bytes: &[u8]) -> Self {
        let register = |index: usize| {
            let bit = index * 6;
            let byte = |at: usize| u16::from(bytes.get(at).copied().unwrap_or(0));
            let pair = byte(bit / 8) | byte(bit / 8 + 1) << 8;
            (pair >> (bit % 8) & 63) as u8
        };
        Self((0..COUNT).map(register).collect())
    }

    pub(super) fn dense(&self) -> Vec<u8> {
        let mut bytes = vec![0; COUNT * 6 / 8];
        for (index, register) in self.0.iter().enumerate() {
            let bit = index * 6;
            let pair = u16::from(*register) << (bit % 8);
            bytes[bit / 8] |= pair as u8;
            if let Some(next) = bytes.get_mut(bit / 8 + 1) {
                *next |= (pair >> 8) as u8;
            }
        }
        bytes
    }

    /// Runs: `00xxxxxx` zeros, `01xxxxxx yyyyyyyy` more zeros, `1vvvvvxx` up to four of one value.
    pub(super) fn from_sparse(bytes: &[u8]) -> Option<Self> {
        let (mut registers, mut rest) = (Vec::with_capacity(COUNT), bytes);
        while let [first, tail @ ..] = rest {
            let (value, length) = match first >> 6 {
                0 => (0, usize::from(first & 63) + 1),
                1 => {
                    let (second, after) = tail.split_first()?;
                    rest = after;
                    (0, (usize::from(first & 63) << 8 | usize::from(*second)) + 1)
                }
                _ => ((first >> 2 & 31) + 1, usize::from(first & 3) + 1),
            };
            if first >> 6 != 1 {
                rest = tail;
            }
            if registers.len() + length > COUNT {
                return None;
            }
            registers.resize(registers.len() + length, value);
        }
        (registers.len() == COUNT).then(|| Self(registers.into()))
    }

    /// `None` if a value is too large for it.
    pub(super) fn sparse(&self) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        for run in self.0.chunk_by(|left, right| left == right) {
            let value = run[0];
            if value > LARGEST_SPARSE {
                return None;
            }
            if value > 0 {
                for part in run.chunks(4) {
                    bytes.push(0x80 | (value - 1) << 2 | (part.len() - 1) as u8);
                }
            } else if run.len() <= 64 {
                bytes.push((run.len() - 1) as u8);
            } else {
                let length = run.len() - 1;
                bytes.extend_from_slice(&[0x40 | (length >> 8) as u8, length as u8]);
            }
        }
        Some(bytes)
    }

    /// The number of different elements, by Otmar Ertl's estimator.
    pub(super) fn estimate(&self) -> u64 {
        const ALPHA: f64 = 0.721_347_520_444_481_7;
        const RANKS: usize = RANK_BITS as usize;
        let mut histogram = [0_u32; 64];
        for register in &self.0 {
            histogram[usize::from(register & 63)] += 1;
        }
        let all = COUNT as f64;
        let share = |count: u32| f64::from(count) / all;
        let mut z = all * tau(1.0 - share(histogram[RANKS + 1]));
        for count in histogram[1..=RANKS].iter().rev() {
            z = (z + f64::from(*count)) * 0.5;
        }
        z += all * sigma(share(histogram[0]));
        (ALPHA * all * all / z).round() as u64
    }
}

fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if before == z {
            return z;
        }
    }
}

fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x).powi(2) * y;
        if before == z {
            return z / 3.0;
        }
    }
}
