//! Natural numbers of any size, as far as decimal conversions need them.

use std::cmp::Ordering;

/// Digits of 32 bits, lowest first, without zeros at the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Big(Vec<u32>);

impl From<u64> for Big {
    fn from(number: u64) -> Self {
        Self(vec![number as u32, (number >> 32) as u32]).trimmed()
    }
}

impl PartialOrd for Big {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Big {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_length = self.0.len().cmp(&other.0.len());
        by_length.then_with(|| self.0.iter().rev().cmp(other.0.iter().rev()))
    }
}

impl Big {
    fn trimmed(mut self) -> Self {
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
        self
    }

    pub(super) fn is_zero(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn bits(&self) -> usize {
        self.0.last().map_or(0, |top| self.0.len() * 32 - top.leading_zeros() as usize)
    }

    /// `self * factor + addend`.
    pub(super) fn times_plus(&mut self, factor: u32, addend: u32) {
        let mut carry = u64::from(addend);
        for digit in &mut self.0 {
            carry += u64::from(*digit) * u64::from(factor);
            *digit = carry as u32;
            carry >>= 32;
        }
        if carry > 0 {
            self.0.push(carry as u32);
        }
    }

    pub(super) fn times_power_of_ten(&mut self, power: usize) {
        for _ in 0..power {
            self.times_plus(10, 0);
        }
    }

    pub(super) fn shifted_left(&self, by: usize) -> Self {
        let mut digits = vec![0; by / 32];
        let mut carry = 0_u64;
        for digit in &self.0 {
            carry |= u64::from(*digit) << (by % 32);
            digits.push(carry as u32);
            carry >>= 32;
        }
        digits.push(carry as u32);
        Self(digits).trimmed()
    }

    pub(super) fn shifted_right(&self, by: usize) -> Self {
        let digits = self.0.get(by / 32..).unwrap_or_default();
        let shifted = digits.iter().enumerate().map(|(index, digit)| {
            let next = u64::from(digits.get(index + 1).copied().unwrap_or(0));
            ((next << 32 | u64::from(*digit)) >> (by % 32)) as u32
        });
        Self(shifted.collect()).trimmed()
    }

    fn bit(&self, index: usize) -> bool {
        self.0.get(index / 32).is_some_and(|digit| digit >> (index % 32) & 1 == 1)
    }

    /// `self / 2^by`, rounded to the nearest, and to the even one of two.
    pub(super) fn rounded_right(&self, by: usize) -> Self {
        let mut quotient = self.shifted_right(by);
        if by > 0 && self.bit(by - 1) {
            let exact_half = (0..by - 1).all(|index| !self.bit(index));
            if !exact_half || quotient.bit(0) {
                quotient = quotient.plus(&Self::from(1));
            }
        }
        quotient
    }

    pub(super) fn plus(&self, other: &Self) -> Self {
        let mut carry = 0_u64;
        let length = self.0.len().max(other.0.len()) + 1;
        let sum = (0..length).map(|index| {
            carry += u64::from(self.0.get(index).copied().unwrap_or(0));
            carry += u64::from(other.0.get(index).copied().unwrap_or(0));
            let digit = carry as u32;
            carry >>= 32;
            digit
        });
        Self(sum.collect()).trimmed()
    }

    /// `self - other`, which is not larger.
    pub(super) fn minus(&self, other: &Self) -> Self {
        let mut borrow = 0_i64;
        let difference = self.0.iter().enumerate().map(|(index, digit)| {
            borrow += i64::from(*digit) - i64::from(other.0.get(index).copied().unwrap_or(0));
            let digit = borrow as u32;
            borrow >>= 32;
            digit
        });
        Self(difference.collect()).trimmed()
    }

    /// The quotient, and whether something is left.
    pub(super) fn divided_by(&self, divisor: &Self) -> (Self, bool) {
        let (mut quotient, mut rest) = (Self::default(), Self::default());
        for index in (0..self.bits()).rev() {
            rest.times_plus(2, u32::from(self.bit(index)));
            let fits = rest >= *divisor;
            if fits {
                rest = rest.minus(divisor);
            }
            quotient.times_plus(2, u32::from(fits));
        }
        (quotient, !rest.is_zero())
    }

    pub(super) fn low_u64(&self) -> u64 {
        let digit = |index| u64::from(self.0.get(index).copied().unwrap_or(0));
        digit(1) << 32 | digit(0)
    }

    pub(super) fn decimal(&self) -> String {
        let (mut digits, mut rest) = (Vec::new(), self.clone());
        while !rest.is_zero() {
            let mut carry = 0_u64;
            for digit in rest.0.iter_mut().rev() {
                carry = carry << 32 | u64::from(*digit);
                *digit = (carry / 1_000_000_000) as u32;
                carry %= 1_000_000_000;
            }
            digits.push(carry);
            rest = rest.trimmed();
        }
        let mut text = digits.pop().unwrap_or(0).to_string();
        for digit in digits.into_iter().rev() {
            text += &format!("{digit:09}");
        }
        text
    }
}
