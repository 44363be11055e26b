//! Commands that no REST server can carry: they block, change or take over a shared connection, or
//! make Redis close it. The client refuses them before sending, the server before executing. Those
//! that take over or end a connection are refused over TCP too, where all calls share one.

use super::Command;
use super::table::{self, Flags};

/// Returns why REST cannot carry `command`, or `None` if it can. `SELECT 0` is carried: some
/// servers support it.
pub(crate) fn over_rest(command: &Command) -> Option<&'static str> {
    let Some(row) = table::find(command) else {
        return looks_like_http(command.name()).then_some(CONNECTION);
    };
    if row.flags.any(Flags::CONNECTION | Flags::ENDS_CONNECTION) {
        let is_carried = row.command == "SELECT" && command.get(0) == Some(b"0");
        return (!is_carried).then_some(CONNECTION);
    }
    let blocks =
        row.flags.any(Flags::BLOCKS) || row.flags.any(Flags::MAY_BLOCK) && asks_to_block(command);
    blocks.then_some("it would block the connection that all requests share")
}

const CONNECTION: &str = "it would change, take over or end the connection that all requests share";

/// Returns true for a command that changes the state of a connection, takes it over, or makes Redis
/// close it: all callers that share the connection would be affected.
#[cfg(feature = "native")]
pub(crate) fn takes_the_connection(command: &Command) -> bool {
    match table::find(command) {
        Some(row) => row.flags.any(Flags::CONNECTION | Flags::ENDS_CONNECTION),
        None => looks_like_http(command.name()),
    }
}

/// Returns true for names that Redis treats as an HTTP request sent by a web page: it closes the
/// connection. It compares them as C strings, which end at a zero byte.
fn looks_like_http(name: &[u8]) -> bool {
    let name = name.split(|&byte| byte == 0).next().unwrap_or_default();
    let host = name.get(..5).is_some_and(|start| start.eq_ignore_ascii_case(b"HOST:"));
    host || name.eq_ignore_ascii_case(b"POST")
}

/// Searches for `BLOCK` among the options of `XREAD` and `XREADGROUP`, where groups and streams may
/// have any name.
fn asks_to_block(command: &Command) -> bool {
    let mut arguments = command.arguments();
    while let Some(option) = arguments.next() {
        let is = |name: &str| option.eq_ignore_ascii_case(name.as_bytes());
        if is("BLOCK") {
            return true;
        } else if is("STREAMS") {
            return false;
        } else if is("COUNT") {
            arguments.next();
        } else if is("GROUP") {
            arguments.next();
            arguments.next();
        } else if !is("NOACK") {
            // An unknown option, with an unknown number of values.
            return arguments.any(|argument| argument.eq_ignore_ascii_case(b"BLOCK"));
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::cmd;

    fn blocks(arguments: &str) -> bool {
        over_rest(&cmd("XREADGROUP").args(arguments.split(' ').collect::<Vec<_>>())).is_some()
    }

    #[test]
    fn block_is_found_among_options_only() {
        assert!(blocks("block 0 STREAMS s $"));
        assert!(blocks("COUNT 1 GROUP streams c NOACK BLOCK 0 STREAMS s >"));
        assert!(blocks("GROUP g streams BLOCK 0 STREAMS s >"));
        assert!(blocks("NEW streams BLOCK 0 STREAMS s >"));
        assert!(!blocks("GROUP block block COUNT 1 STREAMS block >"));
    }

    #[test]
    fn names_count_in_any_case() {
        assert!(over_rest(&cmd("blpop").arg("k").arg(0)).is_some());
        assert!(over_rest(&cmd("SELECT").arg(1)).is_some());
        assert!(over_rest(&cmd("SELECT").arg(0)).is_none());
        assert!(over_rest(&cmd("PUBLISH").arg("c").arg("m")).is_none());
        assert!(over_rest(&cmd("POST").arg("x")).is_some());
        assert!(over_rest(&cmd("Host:\0a name longer than any command")).is_some());
        assert!(over_rest(&cmd("script").arg("debug").arg("no")).is_some());
        assert!(over_rest(&cmd("SCRIPT LOAD").arg("return 1")).is_none());
    }
}
