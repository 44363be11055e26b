//! Finds the arguments of a command that are keys, by the table.

use super::Command;
use super::table::{Flags, Keys, find};

/// Returns the indexes of the keys, counted after the name; `None` if they are unknown.
pub(crate) fn positions(command: &Command) -> Option<Vec<usize>> {
    let row = find(command)?;
    let count = command.arguments().len();
    let mut positions: Vec<usize> = match row.keys {
        Keys::Unknown => return None,
        Keys::None => Vec::new(),
        Keys::Range { first, last, step } => {
            let end = match usize::try_from(last) {
                Ok(last) => last + 1,
                Err(_) => (count + 1).saturating_sub(usize::from(last.unsigned_abs())),
            };
            (usize::from(first)..end).step_by(usize::from(step)).collect()
        }
        Keys::Counted { at, step, with_first } => {
            let (at, step) = (usize::from(at), usize::from(step));
            let number: usize = std::str::from_utf8(command.get(at)?).ok()?.parse().ok()?;
            let end = number.checked_mul(step)?.checked_add(at + 1)?;
            if step == 1 && end > count {
                return None;
            }
            let first = with_first.then_some(0);
            first.into_iter().chain((at + 1..end.min(count)).step_by(step)).collect()
        }
        Keys::Streams => {
            let is_streams = |argument: &[u8]| argument.eq_ignore_ascii_case(b"STREAMS");
            let streams = command.arguments().position(is_streams)? + 1;
            (streams..streams + (count - streams) / 2).collect()
        }
    };
    if row.flags.any(Flags::STORE_OPTION) {
        positions.extend(after(command, &["STORE", "STOREDIST"]));
    }
    Some(positions)
}

/// Returns the arguments after these options.
fn after<'a>(command: &'a Command, options: &'a [&str]) -> impl Iterator<Item = usize> + 'a {
    let is_option = |argument: &[u8]| {
        options.iter().any(|option| argument.eq_ignore_ascii_case(option.as_bytes()))
    };
    let places =
        command.arguments().enumerate().skip(1).filter(move |(_, argument)| is_option(argument));
    places.map(|(index, _)| index + 1).filter(move |index| command.get(*index).is_some())
}

/// Returns the indexes of the patterns of `SORT`, which name keys: with a `*` for the element.
pub(crate) fn patterns(command: &Command) -> impl Iterator<Item = usize> + '_ {
    let sorts = command.is("SORT") || command.is("SORT_RO");
    let pattern =
        |index: &usize| command.get(*index).is_some_and(|pattern| pattern.contains(&b'*'));
    after(command, &["BY", "GET"]).filter(move |index| sorts && pattern(index))
}
