//! The tool's arguments as a whole, and the end of `--help`: first steps, and examples for each
//! command.

use crate::args::Args;
use crate::connection;
use clap::{CommandFactory as _, FromArgMatches as _};

/// Returns the arguments of this process. Ends the process if they are wrong.
pub(crate) fn arguments() -> Args {
    Args::from_arg_matches(&command().get_matches()).unwrap_or_else(|error| error.exit())
}

/// Returns the tool's commands, each with its options.
pub(crate) fn command() -> clap::Command {
    let mut command = Args::command();
    // Propagates global options to every command.
    command.build();
    command.mut_subcommand("serve", connection::hide_options)
}

pub(crate) const TOOL: &str = "\
First steps:
  redis-rest serve                                       a local server; leave it running
  export REDIS_REST_URL=http://127.0.0.1:8079 REDIS_REST_TOKEN=local-token
  redis-rest doctor                                      check the connection
  redis-rest exec SET name Ada                           one command
  redis-rest repl                                        many commands

`redis-rest COMMAND --help` has examples for each.

HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY apply, except to addresses of this machine.

Exit codes: 0 success · 1 a Redis error, a missing session, or a problem found by doctor · 2 usage or connection";

pub(crate) const SERVE: &str = "\
Examples:
  redis-rest serve
  redis-rest serve --redis redis://127.0.0.1:6379 --token \"$TOKEN\"
  redis-rest serve --cors http://localhost:3000 --host redis.example.com

The server speaks plain HTTP: put a TLS proxy in front before you expose it. Ctrl-C or SIGTERM ends it.";

pub(crate) const EXEC: &str = "\
Examples:
  redis-rest exec SET name Ada EX 60
  redis-rest exec --json HGETALL user:1
  redis-rest exec --repeat 1000 --concurrency 8 INCR visits";

pub(crate) const REPL: &str = "\
Examples:
  redis-rest repl
  redis-rest repl --json < commands.txt
  printf 'SET k \"a\\\\x00b\"\\nGET k\\n' | redis-rest repl --raw

Quoting is that of redis-cli: \"…\" knows \\n \\r \\t \\a \\b \\xHH and \\\", '…' knows \\' only. Tab completes names of commands,
Ctrl-C drops the line, Ctrl-D ends. Lines are kept in $XDG_STATE_HOME/redis-rest/history, or under ~/.local/state; not those
that carry passwords (AUTH, CONFIG SET requirepass …), and not those that begin with a space.

From a pipe, each line is one command. A command that fails does not end it, but shows in the exit code; that the server
cannot be reached, or refuses the token, ends it.";

pub(crate) const SCAN: &str = "\
Examples:
  redis-rest scan 'user:*'
  redis-rest scan --type hash --limit 10
  redis-rest scan 'tmp:*' --json | jq -r .

As Redis's SCAN does: a key that is there all the time comes at least once, and may come twice. A key with line breaks or
other controls in it is printed in quotes.";

pub(crate) const SUBSCRIBE: &str = "\
Examples:
  redis-rest subscribe news sport
  redis-rest subscribe --pattern 'room:*' --json
  redis-rest subscribe news --count 1

A line is the channel, a tab, and the message. When a connection is lost it is made again, and standard error says that
messages may be missing in between. Ctrl-C or SIGTERM ends it.";

pub(crate) const MONITOR: &str = "\
Examples:
  redis-rest monitor
  redis-rest monitor --count 100 --json

For debugging: it shows keys and values, and costs the server much of its speed.";

pub(crate) const SESSIONS: &str = "\
Examples:
  redis-rest sessions list user-123
  redis-rest sessions show SESSION --json
  redis-rest sessions update SESSION --metadata plan=pro";

pub(crate) const BENCH: &str = "\
Examples:
  redis-rest bench --mode batched --concurrency 64
  redis-rest bench --mode pipeline --seconds 10 --value-bytes 2000 --json";

pub(crate) const DOCTOR: &str = "\
Examples:
  redis-rest doctor
  redis-rest doctor --timeout 1 --json
  redis-rest doctor --url https://host.example.com --token \"$TOKEN\" --no-write

One line a check: ok, note (works, but you should know), or problem (with what to fix). What cannot be checked because of a
problem before it is left out. Exit codes: 0 no problems · 1 problems · 2 usage.";

pub(crate) const COMPLETIONS: &str = "\
Examples:
  redis-rest completions bash > ~/.local/share/bash-completion/completions/redis-rest
  redis-rest completions zsh > \"${fpath[1]}/_redis-rest\"
  redis-rest completions fish > ~/.config/fish/completions/redis-rest.fish";
