//! Times to live and instants, as options and arguments.

use crate::command::{ArgWriter, Command, One, ToArgs, UnixTime};
use std::time::Duration;

const ZERO: &str = "a time to live of zero: delete instead";

/// Returns milliseconds, rounded up so that a time to live is never shortened, at least 1 and at
/// most 1000 years (Redis refuses values that overflow its clock; Lua prints up to 14 digits
/// exactly).
pub(crate) fn millis(duration: Duration) -> u64 {
    whole_millis(duration).max(1)
}

/// Returns milliseconds, for commands in which 0 has a special meaning.
pub(super) fn whole_millis(duration: Duration) -> u64 {
    const MOST: u128 = 1000 * 366 * 24 * 3600 * 1000;
    let millis = duration.as_nanos().div_ceil(1_000_000).min(MOST);
    u64::try_from(millis).unwrap_or(u64::MAX)
}

/// A time to live in milliseconds for commands that refuse zero.
pub(super) struct TimeToLive(pub(super) Duration);

impl ToArgs for TimeToLive {
    type Count = One;
    fn write_args(&self, out: &mut ArgWriter<'_>) {
        if self.0.is_zero() {
            out.fail(ZERO);
        }
        out.arg(whole_millis(self.0));
    }
}

/// Adds `EX` if whole seconds suffice, else `PX`, at the end or before the argument at `index`.
pub(super) fn expire_after(command: Command, index: Option<usize>, after: Duration) -> Command {
    let millis = whole_millis(after);
    let mut command = if millis.is_multiple_of(1000) {
        add(command, index, "EX", &(millis / 1000).to_string())
    } else {
        add(command, index, "PX", &millis.to_string())
    };
    if after.is_zero() {
        command.refuse(ZERO, None);
    }
    command
}

/// Adds `PXAT`.
pub(super) fn expire_at(command: Command, index: Option<usize>, at: UnixTime) -> Command {
    add(command, index, "PXAT", &at.as_millis().to_string())
}

fn add(command: Command, index: Option<usize>, unit: &str, amount: &str) -> Command {
    match index {
        Some(index) => command.insert_args(index, [unit.as_bytes(), amount.as_bytes()]),
        None => command.arg(unit).arg(amount),
    }
}

/// The expiry options, at the end or with `@ n` before the argument at `n`.
macro_rules! expiring {
    ($kind:ident $(@ $index:literal)?) => {
        impl<R, X> $kind<R, X> {
            /// Expires after this time, exact to the millisecond, rounded up, at most 1000 years. A
            /// time of zero is refused before sending.
            ///
            /// `EX` or `PX`.
            #[doc(alias = "EX")]
            #[doc(alias = "PX")]
            pub fn ex(self, after: std::time::Duration) -> Self {
                let index = None::<usize>$(.or(Some($index)))?;
                Self(self.0.map(|command| super::expiry::expire_after(command, index, after)))
            }

            /// Expires at this instant: a `SystemTime`, a `DateTime` or a
            /// [`UnixTime`](crate::UnixTime).
            ///
            /// `PXAT`.
            #[doc(alias = "PXAT")]
            #[doc(alias = "EXAT")]
            pub fn ex_at(self, at: impl Into<crate::UnixTime>) -> Self {
                let (index, at) = (None::<usize>$(.or(Some($index)))?, at.into());
                Self(self.0.map(|command| super::expiry::expire_at(command, index, at)))
            }
        }
    };
}
pub(super) use expiring;
