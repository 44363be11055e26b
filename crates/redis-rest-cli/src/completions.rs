//! `completions`: shell completion of this tool's commands and options.

use crate::help;
use crate::output::{Failure, print};

pub(crate) fn run(shell: clap_complete::Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut help::command(), "redis-rest", &mut script);
    print(&script)
}
