//! `repl`: commands as they are typed, or one per line from a pipe.

mod editor;
mod history;
mod words;

use crate::args::Repl;
use crate::connection::Connection;
use crate::output::{Failure, Format, Stream, note, one_line};
use editor::{Editor, Input};
use redis_rest::{Client, ErrorKind, ServerErrorClass, Value, cmd};
use std::io::{BufRead as _, IsTerminal as _};

pub(crate) async fn run(args: Repl, connection: &Connection) -> Result<(), Failure> {
    let session = Session { client: connection.client()?, format: args.show.format() };
    if std::io::stdin().is_terminal() && std::io::stdout().is_terminal() {
        session.with_terminal(!args.no_history).await
    } else {
        session.with_pipe().await
    }
}

struct Session {
    client: Client,
    format: Format,
}

/// Result of a line.
enum LineResult {
    /// The line contained no command.
    Nothing,
    /// The user wants to leave.
    Exit,
    Reply(Value),
    /// Help about this tool, not from the server.
    Help(String),
    /// A failure after which the next line may still work.
    Failed(Failure),
    /// A failure after which no line can work.
    Hopeless(Failure),
}

impl Session {
    async fn with_terminal(&self, keep: bool) -> Result<(), Failure> {
        let mut editor = Editor::new(keep)?;
        let mut out = Stream::new();
        note("Tab completes command names, `help` and `help GET` show help, Ctrl-D exits.");
        while out.is_open() {
            let line = match tokio::task::block_in_place(|| editor.read())? {
                Input::Line(line) => line,
                Input::Dropped => continue,
                Input::End => break,
            };
            let answer = tokio::select! {
                biased;
                // Only here: while a line is edited, Ctrl-C is an ordinary key.
                _ = tokio::signal::ctrl_c() => LineResult::Failed(Failure::redis("interrupted; the command may have been applied")),
                answer = self.answer(line.as_bytes()) => answer,
            };
            match answer {
                LineResult::Exit => break,
                LineResult::Failed(failure) | LineResult::Hopeless(failure) => {
                    out.write(&self.failed(&failure))?;
                    if let Some(advice) = failure.advice() {
                        note(&format!("  {advice}"));
                    }
                }
                answer => self.show(&answer, &mut out)?,
            }
            out.flush()?;
        }
        Ok(())
    }

    async fn with_pipe(&self) -> Result<(), Failure> {
        let mut out = Stream::new();
        let (mut number, mut worst) = (0_u64, 0);
        while out.is_open() {
            let mut line = Vec::new();
            let read = tokio::task::block_in_place(|| {
                std::io::stdin().lock().read_until(b'\n', &mut line)
            });
            if read.map_err(|error| Failure::usage(format!("standard input: {error}")))? == 0 {
                break;
            }
            number += 1;
            match self.answer(&line).await {
                LineResult::Exit => break,
                LineResult::Failed(failure) => {
                    out.write(&self.failed(&failure))?;
                    note(&format!("line {number} failed"));
                    worst = worst.max(failure.code());
                }
                LineResult::Hopeless(failure) => {
                    out.write(&self.failed(&failure))?;
                    out.flush()?;
                    note(&format!(
                        "line {number} failed; later lines would fail too and were not run"
                    ));
                    return Err(failure);
                }
                answer => self.show(&answer, &mut out)?,
            }
            // A program that writes one command and reads its reply waits for the flush.
            out.flush()?;
        }
        match worst {
            0 => Ok(()),
            code => Err(Failure::reported(code)),
        }
    }

    async fn answer(&self, line: &[u8]) -> LineResult {
        let words = match words::split(line) {
            Ok(words) => words,
            Err(wrong) => return LineResult::Failed(Failure::usage(wrong.text())),
        };
        let Some((name, arguments)) = words.split_first() else { return LineResult::Nothing };
        let Ok(name) = std::str::from_utf8(name) else {
            return LineResult::Failed(Failure::usage(
                "the command's name is not UTF-8: check the spelling",
            ));
        };
        match (name.to_ascii_lowercase().as_str(), arguments) {
            ("exit" | "quit", []) => return LineResult::Exit,
            ("help", topic) => return LineResult::Help(help(topic)),
            _ => {}
        }
        let command =
            arguments.iter().fold(cmd(name), |command, argument| command.arg(argument.as_slice()));
        match self.client.run(command).await {
            Ok(reply) => LineResult::Reply(reply),
            Err(error) => {
                let hopeless = match error.kind() {
                    ErrorKind::Connect => true,
                    ErrorKind::Unauthorized => {
                        error.server_class() != Some(ServerErrorClass::Forbidden)
                    }
                    _ => false,
                };
                match (hopeless, advice(name)) {
                    (true, _) => LineResult::Hopeless(error.into()),
                    (false, Some(advice)) => LineResult::Failed(Failure::from(error).hint(advice)),
                    (false, None) => LineResult::Failed(error.into()),
                }
            }
        }
    }

    fn show(&self, answer: &LineResult, out: &mut Stream) -> Result<(), Failure> {
        match answer {
            LineResult::Reply(reply) => out.write(&self.format.line(reply)),
            // On standard error, apart from the replies.
            LineResult::Help(text) => {
                note(text.trim_end());
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Formats a failure in place of a reply.
    fn failed(&self, failure: &Failure) -> Vec<u8> {
        let text = one_line(&failure.message().replace("\n  ", "; "));
        match self.format {
            Format::Human => format!("(error) {text}\n"),
            Format::Raw => format!("{text}\n"),
            Format::Json => format!("{}\n", serde_json::json!({ "error": text })),
        }
        .into_bytes()
    }
}

/// Returns advice for commands that need a dedicated connection, which other commands of this tool
/// provide.
fn advice(name: &str) -> Option<&'static str> {
    match name.to_ascii_uppercase().as_str() {
        "SUBSCRIBE" | "SSUBSCRIBE" => Some("exit, and run: redis-rest subscribe CHANNEL"),
        "PSUBSCRIBE" => Some("exit, and run: redis-rest subscribe --pattern PATTERN"),
        "MONITOR" => Some("exit, and run: redis-rest monitor"),
        "AUTH" => Some("set the token in the environment, or with --token"),
        _ => None,
    }
}

fn help(topic: &[Vec<u8>]) -> String {
    let topic = topic
        .iter()
        .map(|word| String::from_utf8_lossy(word).to_ascii_uppercase())
        .collect::<Vec<_>>()
        .join(" ");
    if topic.is_empty() {
        return "A line is a command and its arguments: SET name \"Ada L.\" EX 60\n\
                In \"…\" \\n \\r \\t \\xHH stand for bytes; in '…' nothing does.\n\
                Tab completes names, `help NAME` says more about one, Ctrl-C drops the line, Ctrl-D or `exit` ends.\n"
            .to_owned();
    }
    let about = |row: &redis_rest::cmd::Row| {
        let since =
            if row.since.starts_with(|c: char| c.is_ascii_digit()) { "since Redis" } else { "of" };
        format!("{}  ({}, {since} {})  {}\n", row.command, row.group, row.since, row.url())
    };
    let of_two_words = format!("{topic} ");
    let rows: Vec<_> = cmd::table()
        .filter(|row| row.command == topic || row.command.starts_with(&of_two_words))
        .collect();
    match rows.as_slice() {
        [] => format!("{} is unknown to this tool; the server may support it\n", one_line(&topic)),
        rows => rows.iter().map(|row| about(row)).collect(),
    }
}
