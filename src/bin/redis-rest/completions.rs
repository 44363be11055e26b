//! `completions`: what a shell needs to complete this tool's commands and options.

use crate::args::Args;
use crate::output::{Failure, print};
use clap::CommandFactory as _;

pub(crate) fn run(shell: clap_complete::Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "redis-rest", &mut script);
    print(&script)
}
