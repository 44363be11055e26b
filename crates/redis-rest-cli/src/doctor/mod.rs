//! `doctor`: checks the connection to Redis, and suggests fixes.

mod checks;
mod diagnosis;
mod server;
mod watch;

use crate::args::Doctor;
use crate::connection::Connection;
use crate::output::{Failure, one_line, print_json, print_line};
use redis_rest::{Error, ServerErrorClass};
use serde::Serialize;
use serde_json::json;
use watch::Watch;

pub(crate) async fn run(args: Doctor, connection: &Connection) -> Result<(), Failure> {
    let mut report = Report { found: Vec::new(), shows: !args.json };
    // The report shows the check at which it stopped.
    let _ = checks::all(&mut report, connection, !args.no_write).await?;
    let problems = report.found.iter().filter(|check| check.status == Status::Problem).count();
    if args.json {
        print_json(&json!({ "ok": problems == 0, "checks": report.found }))?;
    }
    match problems {
        0 => Ok(()),
        _ => Err(Failure::reported(1)),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Ok,
    /// Works, with a remark.
    Note,
    /// Not determined.
    Unchecked,
    Problem,
}

#[derive(Serialize)]
struct Check {
    check: &'static str,
    status: Status,
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
}

/// Findings, printed as they are found: some checks are slow.
struct Report {
    found: Vec<Check>,
    shows: bool,
}

/// Result of a check: the text and the fix.
struct Finding {
    text: String,
    fix: String,
}

impl Finding {
    fn new(text: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { text: text.into(), fix: fix.into() }
    }
}

impl Report {
    fn ok(&mut self, check: &'static str, text: impl Into<String>) -> Result<(), Failure> {
        self.add(Check { check, status: Status::Ok, text: text.into(), fix: None })
    }

    fn note(&mut self, check: &'static str, finding: Finding) -> Result<(), Failure> {
        self.add(Check { check, status: Status::Note, text: finding.text, fix: Some(finding.fix) })
    }

    fn unchecked(&mut self, check: &'static str, why: impl Into<String>) -> Result<(), Failure> {
        self.add(Check { check, status: Status::Unchecked, text: why.into(), fix: None })
    }

    /// Reports an error of a request. A permission that the token lacks is a note; any other error
    /// is a problem.
    fn error(
        &mut self,
        check: &'static str,
        error: &Error,
        transport: &Watch,
    ) -> Result<(), Failure> {
        let finding = diagnosis::any(error, &transport.last());
        match error.server_class() {
            Some(ServerErrorClass::Forbidden) => self.note(check, finding),
            _ => self.problem(check, finding),
        }
    }

    fn problem(&mut self, check: &'static str, finding: Finding) -> Result<(), Failure> {
        self.add(Check {
            check,
            status: Status::Problem,
            text: finding.text,
            fix: Some(finding.fix),
        })
    }

    fn add(&mut self, check: Check) -> Result<(), Failure> {
        if self.shows {
            let status = match check.status {
                Status::Ok => "ok",
                Status::Note => "note",
                Status::Unchecked => "unchecked",
                Status::Problem => "problem",
            };
            let fix = check.fix.as_deref().map(|fix| format!(" → {fix}")).unwrap_or_default();
            // Server texts may contain any characters.
            print_line(&one_line(&format!("{status:<9} {:<12} {}{fix}", check.check, check.text)))?;
        }
        self.found.push(check);
        Ok(())
    }
}
