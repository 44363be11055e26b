//! Every declared command: what goes out, and what comes back.

#[cfg_attr(not(feature = "native"), allow(dead_code, reason = "replies are a real server's"))]
mod cases;
mod errors;
mod futures;
mod namespace;
mod pipelines;
#[cfg(feature = "native")]
mod prefixes;
#[cfg(feature = "native")]
mod replies;
mod table;
mod times;

use redis_rest::cmd;
use std::collections::BTreeSet;

#[test]
fn every_command_has_its_wire_form() {
    let mut wrong = Vec::new();
    for case in cases::all() {
        let wire = cases::wire(&case.command);
        if wire != case.wire {
            wrong.push(format!("{wire:?} instead of {:?}", case.wire));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let tested: BTreeSet<&str> = cases::all().iter().map(|case| case.row().command).collect();
    let missing: Vec<_> =
        cmd::table().map(|row| row.command).filter(|command| !tested.contains(command)).collect();
    assert!(missing.is_empty(), "without a case: {missing:?}");
}
