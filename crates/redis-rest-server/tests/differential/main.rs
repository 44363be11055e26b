//! The embedded engine beside a real redis-server: the same commands must have the same replies, errors included.
//!
//! `cases.txt` holds commands with the replies of Redis 8.2.3, `documented.txt` those of commands that it does not have, from
//! Redis's and the vendor's documentation. Both run without a server. `random_commands_agree` makes commands from
//! `grammar.txt` and compares with the server that is installed.
//!
//! | variable | meaning |
//! |---|---|
//! | `REDIS_SERVER` | the server's program: `redis-server` unless set |
//! | `DIFFERENTIAL_COMMANDS` | the number of random commands: 4000 unless set |
//! | `DIFFERENTIAL_SEED` | the seed of the first session |
//! | `DIFFERENTIAL_ONLY` | only commands whose template contains this |
//! | `UPDATE_CASES=1` | writes the server's replies to `cases.txt` |

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod compare;
mod generate;
mod recorded;
mod target;

use compare::{Session, minimise, normal, same};
use generate::Generator;
use target::{Engine, Server, Target};

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Sessions of this many commands start on empty databases.
const SESSION: usize = 40;

#[test]
fn random_commands_agree() {
    let Some(mut server) = Server::start() else { return };
    let mut engine = Engine::new();
    let total = number("DIFFERENTIAL_COMMANDS").unwrap_or(4000);
    let first = number("DIFFERENTIAL_SEED").unwrap_or(1);
    let mut found = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    for seed in first..first + total.div_ceil(SESSION as u64) {
        let generator =
            Generator::new(seed, server.version, |name| server.knows(name) && engine.knows(name));
        let session: Session = (0..SESSION).map(|_| generator.command()).collect();
        let Some(end) = differs(&session, &mut engine, &mut server) else { continue };
        let name = normal(&session[end]);
        if !seen.insert(name) {
            continue;
        }
        let session = minimise(session[..=end].to_vec(), |session| {
            differs(session, &mut engine, &mut server) == Some(session.len() - 1)
        });
        found.push(report(seed, &session, &mut engine, &mut server));
        if found.len() >= 30 {
            break;
        }
    }
    assert!(found.is_empty(), "{} differences\n\n{}", found.len(), found.join("\n"));
}

/// The index of the first command whose replies differ.
fn differs(session: &Session, engine: &mut Engine, server: &mut Server) -> Option<usize> {
    engine.clear();
    server.clear();
    let theirs = server.run_all(session);
    session.iter().zip(theirs).position(|(command, theirs)| {
        let ours = engine.run(command);
        !same(command, &ours, &theirs, server.version)
    })
}

fn report(seed: u64, session: &Session, engine: &mut Engine, server: &mut Server) -> String {
    engine.clear();
    server.clear();
    let mut text = format!("seed {seed}\n");
    for command in session {
        let (ours, theirs) = (engine.run(command), server.run(command));
        text += &format!(
            "  {}\n    engine {}\n    server {}\n",
            recorded::line(command),
            target::show(&ours),
            target::show(&theirs)
        );
    }
    text
}

#[test]
fn recorded_replies_agree() {
    if std::env::var_os("UPDATE_CASES").is_some() {
        let mut server = Server::start().expect("a server to record");
        assert!(server.version >= 8, "the cases are of Redis 8");
        recorded::update("cases.txt", &mut server);
    }
    recorded::check("cases.txt");
}

#[test]
fn documented_replies_agree() {
    recorded::check("documented.txt");
}
