//! Every text that users read, in `tests/fixtures/texts.txt`: errors, log lines, doctor's
//! diagnoses and `--help`.
//!
//! `UPDATE_DOCS=1 cargo test -p redis-rest-cli --test it texts` updates the file.

use super::{run, tool};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

const SECTIONS: [(&str, &str); 5] = [
    ("library", "src"),
    ("server", "crates/redis-rest-server/src"),
    ("testing", "crates/redis-rest-testing/src"),
    ("tower", "crates/redis-rest-tower/src"),
    ("tool", "crates/redis-rest-cli/src"),
];

/// Files without texts for users, with texts of Redis, or with texts that `--help` shows.
const LEFT_OUT: [&str; 5] = [
    "src/conformance",
    "src/error/server.rs",
    "src/error/server_error.rs",
    "crates/redis-rest-server/src/engine",
    "crates/redis-rest-cli/src/help.rs",
];

/// Code before a literal that is for developers: lints, attributes, panics.
const FOR_DEVELOPERS: [&str; 5] = ["reason = ", "must_use = ", "doc = ", "alias = ", "expect("];

#[test]
fn fixture_lists_every_text() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut found = String::new();
    for (name, folder) in SECTIONS {
        let mut texts = BTreeSet::new();
        collect(&root, &root.join(folder), &mut texts);
        assert!(!texts.is_empty(), "{name} has texts");
        writeln!(found, "# {name}\n").unwrap();
        texts.iter().for_each(|text| writeln!(found, "{text}").unwrap());
        found.push('\n');
    }
    let mut commands = vec![vec![]];
    while let Some(command) = commands.pop() {
        let help = run(tool().args(&command).arg("--help")).stdout;
        commands.extend(subcommands(&help).map(|name| [&command[..], &[name]].concat()));
        let name = command.iter().map(|word| format!(" {word}")).collect::<String>();
        writeln!(found, "# redis-rest{name} --help\n\n{help}").unwrap();
    }

    let fixture = root.join("tests/fixtures/texts.txt");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&fixture, &found).unwrap();
    }
    let listed = std::fs::read_to_string(&fixture).unwrap_or_default();
    let missing: Vec<_> = found.lines().filter(|line| !listed.contains(line)).collect();
    assert!(
        listed == found,
        "tests/fixtures/texts.txt is outdated; update it with UPDATE_DOCS=1, and read the change. \
         New: {missing:#?}"
    );
}

/// Returns the names in the list of commands, in reverse order.
fn subcommands(help: &str) -> impl Iterator<Item = String> + use<> {
    let list = help.split("\nCommands:\n").nth(1).unwrap_or_default();
    let names: Vec<_> = list
        .lines()
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next())
        .filter(|name| !name.is_empty() && *name != "help")
        .map(str::to_owned)
        .collect();
    names.into_iter().rev()
}

fn collect(root: &Path, path: &Path, texts: &mut BTreeSet<String>) {
    if LEFT_OUT.iter().any(|left_out| path == root.join(left_out)) {
        return;
    }
    if path.is_dir() {
        let entries: Vec<PathBuf> =
            std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
        return entries.iter().for_each(|entry| collect(root, entry, texts));
    }
    if path.extension().is_some_and(|extension| extension == "rs")
        && !path.ends_with("tests.rs")
        && !path.ends_with("app_tests.rs")
    {
        let code = std::fs::read_to_string(path).unwrap();
        let code = code.split("#[cfg(test)]\nmod ").next().unwrap();
        texts.extend(literals(code).filter(|text| is_sentence(text)));
    }
}

/// Returns the string literals in the code, as written there. Skips comments and characters.
fn literals(code: &str) -> impl Iterator<Item = String> {
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < code.len() {
            let rest = &code[at..];
            let start = at;
            if rest.starts_with("//") {
                at += rest.find('\n').unwrap_or(rest.len());
            } else if let Some(hashes) = raw_string(code, at) {
                let open = hashes + 2;
                let close = format!("\"{}", "#".repeat(hashes));
                let length = rest[open..].find(&close).unwrap();
                at += open + length + close.len();
                return Some(rest[open..open + length].to_owned());
            } else if rest.starts_with("'\"'") || rest.starts_with("'\\\"'") {
                at += rest[1..].find('\'').unwrap() + 2;
            } else if let Some(text) = rest.strip_prefix('"') {
                let length = closing_quote(text);
                at += length + 2;
                if !FOR_DEVELOPERS.iter().any(|before| code[..start].ends_with(before)) {
                    return Some(joined(&text[..length]));
                }
            } else {
                at += rest.chars().next().map_or(1, char::len_utf8);
            }
        }
        None
    })
}

/// Returns the number of `#` if a raw string begins here.
fn raw_string(code: &str, at: usize) -> Option<usize> {
    let hashes = code[at..].strip_prefix('r')?;
    let text = hashes.trim_start_matches('#');
    let is_name = |c: char| c.is_alphanumeric() && c != 'b' || c == '_';
    let starts = text.starts_with('"') && !code[..at].ends_with(is_name);
    starts.then(|| hashes.len() - text.len())
}

fn closing_quote(text: &str) -> usize {
    let mut escaped = false;
    text.find(|c| {
        let closes = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        closes
    })
    .unwrap()
}

/// Joins lines that end in a backslash.
fn joined(literal: &str) -> String {
    let mut lines = literal.split("\\\n");
    let mut text = lines.next().unwrap_or_default().to_owned();
    lines.for_each(|line| text.push_str(line.trim_start()));
    text
}

/// Returns true for two or more words in lower case on one line, which is not Lua.
fn is_sentence(text: &str) -> bool {
    let is_word = |word: &&str| {
        let word = word.trim_matches(|c: char| c.is_ascii_punctuation());
        word.len() > 1 && word.chars().all(|c| c.is_ascii_lowercase())
    };
    !text.contains('\n')
        && !text.contains("redis.call")
        && text.split_whitespace().filter(is_word).count() > 1
}
