//! `docs/settings.md` is what `Config` says of itself.

use std::fmt::Write as _;
use std::path::Path;

const HEAD: &str = "\
# Settings

`Client::builder()` and `Config::from_env()` return a `Config`, and `build` makes the client. Each row
is a method of `Config`. This file is made from its documentation:
`UPDATE_DOCS=1 cargo test --test it settings`.

## From the environment

`Config::from_env` reads these names. The first address that is set decides, and its token must be set
too. A switch is on for `1`, `true`, `yes` or `on`.

| name | meaning |
|---|---|
| `REDIS_REST_URL` with `REDIS_REST_TOKEN` or `REDIS_TOKEN` | address and token |
| `UPSTASH_REDIS_REST_URL` with `UPSTASH_REDIS_REST_TOKEN` | the same, if the first is not set |
| `KV_REST_API_URL` with `KV_REST_API_TOKEN` | the same, if neither is set |
| `REDIS_REST_ALLOW_HTTP` | `allow_insecure_http` |
| `REDIS_REST_ENCODING` | `encoding`: `auto`, `base64`, `text` or `resp2` |
| `REDIS_REST_PATHS_AS_SENT` | `paths_arrive_as_sent` |
| `REDIS_REST_VERBOSE_ERRORS` | `verbose_errors` |
| `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY` | `proxy_from_env` |

## Methods

| setting | meaning and default |
|---|---|
";

#[test]
fn the_documentation_has_every_setting() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut rows = Vec::new();
    collect(&root.join("src"), &mut rows);
    rows.sort();
    let mut wanted = HEAD.to_owned();
    for (name, summary) in &rows {
        writeln!(wanted, "| `{name}` | {summary} |").unwrap();
    }
    assert!(rows.len() >= 30, "settings were found: {}", rows.len());
    let path = root.join("docs/settings.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &wanted).unwrap();
    }
    let stored = std::fs::read_to_string(path).unwrap_or_default();
    assert!(stored == wanted, "docs/settings.md is not what Config says: UPDATE_DOCS=1 writes it");
}

#[test]
fn the_documentation_has_every_name_of_the_environment() {
    let asked = std::cell::RefCell::new(Vec::new());
    let _ = redis_rest::Config::from_lookup(|name| {
        asked.borrow_mut().push(name.to_owned());
        name.starts_with("KV_").then(|| "https://redis.example.com".to_owned())
    });
    for name in asked.into_inner().iter().filter(|name| name.starts_with("REDIS_")) {
        assert!(HEAD.contains(&format!("`{name}`")), "{name} is not in docs/settings.md");
    }
}

/// The settings in all `impl Config` blocks of the library: name and first paragraph.
fn collect(dir: &Path, rows: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, rows);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let block = text.lines().skip_while(|line| *line != "impl Config {");
            settings(block.take_while(|line| *line != "}"), rows);
        }
    }
}

fn settings<'a>(lines: impl Iterator<Item = &'a str>, rows: &mut Vec<(String, String)>) {
    let (mut summary, mut ended) = (String::new(), false);
    for line in lines.map(str::trim) {
        if let Some(text) = line.strip_prefix("///") {
            ended |= text.trim().is_empty();
            if !ended {
                summary.push_str(text);
            }
        } else if !line.starts_with("#[") {
            let name = line.strip_prefix("pub fn ").and_then(|line| line.split_once("(mut self"));
            if let Some((name, _)) = name {
                rows.push((name.to_owned(), without_links(summary.trim())));
            }
            (summary, ended) = (String::new(), false);
        }
    }
}

/// The text of links alone.
fn without_links(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, link)) = rest.split_once('[') {
        let (label, after) = link.split_once(']').unwrap();
        plain.push_str(before);
        plain.push_str(label);
        rest = after;
        if let Some(target) = after.strip_prefix('(') {
            rest = target.split_once(')').unwrap().1;
        }
    }
    plain + rest
}
