//! [`UnixTime`]: an instant, as Redis counts them.

use super::{ArgWriter, One, ToArgs};
use crate::value::{ConvertError, FromValue, Value};
use chrono::{DateTime, TimeZone, Utc};
use std::time::{Duration, SystemTime};

/// An instant, in milliseconds since 1970-01-01T00:00:00Z.
///
/// Created from a [`SystemTime`] or a [`DateTime`], rounded up to whole milliseconds, or from a
/// number with an explicit unit. A plain integer is not accepted: Redis counts seconds in some
/// commands and milliseconds in others.
///
/// ```
/// use redis_rest::UnixTime;
/// use std::time::{Duration, SystemTime};
/// let at = UnixTime::from(SystemTime::UNIX_EPOCH + Duration::from_micros(1500));
/// assert_eq!(at, UnixTime::from_millis(2));
/// assert_eq!(UnixTime::from_secs(3).as_millis(), 3000);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixTime(i64);

impl UnixTime {
    /// Creates an instant from seconds; values beyond the range of milliseconds become the earliest
    /// or the latest instant.
    pub const fn from_secs(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// Creates an instant from milliseconds.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Returns whole seconds, rounded down.
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Returns milliseconds.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Reads a reply in seconds.
    pub(super) fn read_seconds(value: Value) -> Result<Self, ConvertError> {
        i64::from_value(value).map(Self::from_secs)
    }
}

impl From<SystemTime> for UnixTime {
    fn from(time: SystemTime) -> Self {
        let millis = |nanos: u128| i64::try_from(nanos).unwrap_or(i64::MAX);
        Self(match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => millis(after.as_nanos().div_ceil(1_000_000)),
            Err(before) => -millis(before.duration().as_nanos() / 1_000_000),
        })
    }
}

impl<Z: TimeZone> From<DateTime<Z>> for UnixTime {
    fn from(time: DateTime<Z>) -> Self {
        let whole = time.timestamp_millis();
        Self(whole + i64::from(!time.timestamp_subsec_nanos().is_multiple_of(1_000_000)))
    }
}

/// Fails for an instant that chrono cannot hold, beyond the year 262,000.
impl TryFrom<UnixTime> for DateTime<Utc> {
    type Error = ConvertError;

    fn try_from(time: UnixTime) -> Result<Self, ConvertError> {
        DateTime::from_timestamp_millis(time.0)
            .ok_or(ConvertError::new("an instant that chrono can hold", "a later one"))
    }
}

/// Fails for an instant that the platform cannot hold.
impl TryFrom<UnixTime> for SystemTime {
    type Error = ConvertError;

    fn try_from(time: UnixTime) -> Result<Self, ConvertError> {
        let distance = Duration::from_millis(time.0.unsigned_abs());
        let instant = if time.0 < 0 {
            SystemTime::UNIX_EPOCH.checked_sub(distance)
        } else {
            SystemTime::UNIX_EPOCH.checked_add(distance)
        };
        instant.ok_or(ConvertError::new("an instant that the platform can hold", "another one"))
    }
}

/// Writes milliseconds.
impl ToArgs for UnixTime {
    type Count = One;
    fn write_args(&self, out: &mut ArgWriter<'_>) {
        out.arg(self.0);
    }
}

/// Reads milliseconds.
impl FromValue for UnixTime {
    fn from_value(value: Value) -> Result<Self, ConvertError> {
        i64::from_value(value).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_rounded_up_to_milliseconds() {
        let epoch = SystemTime::UNIX_EPOCH;
        for (nanos, wanted) in [(0, 0), (1, 1), (999_999, 1), (1_000_000, 1), (1_000_001, 2)] {
            let after = epoch + Duration::from_nanos(nanos);
            assert_eq!(UnixTime::from(after).as_millis(), wanted);
            assert_eq!(UnixTime::from(DateTime::<Utc>::from(after)).as_millis(), wanted);
        }
        for (nanos, wanted) in [(1, 0), (999_999, 0), (1_000_000, -1), (1_000_001, -1)] {
            let before = epoch - Duration::from_nanos(nanos);
            assert_eq!(UnixTime::from(before).as_millis(), wanted);
            assert_eq!(UnixTime::from(DateTime::<Utc>::from(before)).as_millis(), wanted);
        }
    }

    #[test]
    fn units_are_converted() {
        assert_eq!(UnixTime::from_secs(-1).as_millis(), -1000);
        assert_eq!(UnixTime::from_millis(-1).as_secs(), -1);
        assert_eq!(UnixTime::from_secs(i64::MAX).as_millis(), i64::MAX);
        let at = UnixTime::from_secs(1_700_000_000);
        let date = DateTime::<Utc>::try_from(at).unwrap();
        assert_eq!(date.to_rfc3339(), "2023-11-14T22:13:20+00:00");
        assert_eq!(UnixTime::from(SystemTime::try_from(at).unwrap()), at);
        assert!(DateTime::<Utc>::try_from(UnixTime::from_millis(i64::MAX)).is_err());
    }
}
