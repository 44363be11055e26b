//! Lines from a terminal, with editing, history and completion.

use super::history::{self, History};
use crate::output::{Failure, note};
use redis_rest::cmd;
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::MemHistory;
use rustyline::validate::Validator;
use rustyline::{CompletionType, Config, Context, Helper};

const PROMPT: &str = "redis> ";

/// Input from the terminal.
pub(crate) enum Input {
    Line(String),
    /// Ctrl-C: the line is discarded.
    Dropped,
    /// Ctrl-D.
    End,
}

pub(crate) struct Editor {
    editor: rustyline::Editor<Names, MemHistory>,
    /// `None`: the history is that of this session only.
    file: Option<History>,
}

impl Editor {
    pub(crate) fn new(keep: bool) -> Result<Self, Failure> {
        let failed =
            |error: ReadlineError| Failure::usage(format!("cannot use the terminal: {error}"));
        // Without bracketed paste each pasted line is a separate command, as in redis-cli; with it,
        // all would be one.
        let config =
            Config::builder().completion_type(CompletionType::List).bracketed_paste(false).build();
        let mut editor =
            rustyline::Editor::with_history(config, MemHistory::new()).map_err(failed)?;
        editor.set_helper(Some(Names));
        let file = match keep.then(History::open) {
            None => None,
            Some(Ok(file)) => file,
            Some(Err(error)) => {
                note(&format!("history is not saved: {error}"));
                None
            }
        };
        for line in file.iter().flat_map(|file| file.lines()) {
            editor.add_history_entry(line.as_str()).map_err(failed)?;
        }
        Ok(Self { editor, file })
    }

    /// Waits for a line. Blocks the thread.
    pub(crate) fn read(&mut self) -> Result<Input, Failure> {
        match self.editor.readline(PROMPT) {
            Ok(line) => {
                self.keep(&line);
                Ok(Input::Line(line))
            }
            Err(ReadlineError::Interrupted) => Ok(Input::Dropped),
            Err(ReadlineError::Eof) => Ok(Input::End),
            Err(error) => Err(Failure::usage(format!("cannot read from the terminal: {error}"))),
        }
    }

    fn keep(&mut self, line: &str) {
        // True if the line differs from the one before.
        if history::keeps(line)
            && self.editor.add_history_entry(line).unwrap_or(false)
            && let Some(file) = &mut self.file
            && let Err(error) = file.append(line)
        {
            note(&format!("history is no longer saved: {error}"));
            self.file = None;
        }
    }
}

/// Completes names of commands.
struct Names;

impl Completer for Names {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        pos: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        Ok(completions(line.get(..pos).unwrap_or_default()))
    }
}

/// Returns the start of the name before the cursor, and its completions: two words if Redis's name
/// has two, in lower case if the typed prefix is.
fn completions(before: &str) -> (usize, Vec<String>) {
    let after_spaces = before.trim_start();
    let typed = match after_spaces.get(..5) {
        Some(help) if help.eq_ignore_ascii_case("help ") => after_spaces[5..].trim_start(),
        _ => after_spaces,
    };
    let upper = typed.to_ascii_uppercase();
    let small = typed.bytes().any(|byte| byte.is_ascii_lowercase());
    let mut names: Vec<_> = cmd::table()
        .map(|row| row.command)
        .chain(["HELP", "EXIT"])
        .filter(|name| name.starts_with(&upper))
        .collect();
    names.sort_unstable();
    names.dedup();
    let cased = |name: &str| if small { name.to_ascii_lowercase() } else { name.to_owned() };
    let names: Vec<_> = match names.as_slice() {
        // The only completion: the arguments follow.
        [only] => vec![cased(only) + " "],
        names => names.iter().map(|name| cased(name)).collect(),
    };
    (before.len() - typed.len(), names)
}

impl Hinter for Names {
    type Hint = String;
}
impl Highlighter for Names {}
impl Validator for Names {}
impl Helper for Names {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_completed() {
        let of = |before: &str| completions(before);
        assert_eq!(of("GETD"), (0, vec!["GETDEL ".to_owned()]));
        assert_eq!(of("  getd"), (2, vec!["getdel ".to_owned()]));
        assert_eq!(of("help Getd"), (5, vec!["getdel ".to_owned()]));
        let (start, names) = of("SCRIPT ");
        assert!(start == 0 && names.contains(&"SCRIPT LOAD".to_owned()), "{names:?}");
        assert!(of("").1.len() > 100 && of("").1.contains(&"EXIT".to_owned()));
        for arguments in ["GET k", "SCRIPT LOAD x", "nosuch", "ä"] {
            assert!(of(arguments).1.is_empty(), "{arguments}");
        }
    }
}
