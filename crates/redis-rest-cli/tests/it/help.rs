//! `--help` and completions.

use super::{run, soon, tool};
use std::process::{Command, Stdio};

const COMMANDS: [&str; 10] = [
    "serve",
    "exec",
    "repl",
    "scan",
    "subscribe",
    "monitor",
    "sessions",
    "bench",
    "doctor",
    "completions",
];

#[test]
fn help_shows_first_steps_and_examples() {
    let help = run(tool().arg("--help"));
    assert_eq!(help.code, Some(0));
    for text in ["First steps:", "redis-rest doctor", "Exit codes:"].iter().chain(&COMMANDS) {
        assert!(help.stdout.contains(text), "{text}: {}", help.stdout);
    }
    for command in COMMANDS {
        let help = run(tool().args([command, "--help"]));
        let examples = help
            .stdout
            .split_once("Examples:\n")
            .map(|(_, examples)| examples.lines().take_while(|line| !line.is_empty()));
        let count =
            examples.map_or(0, |lines| lines.filter(|line| line.contains("redis-rest ")).count());
        assert!((2..=3).contains(&count), "{command} has {count} examples: {}", help.stdout);
    }
}

#[test]
fn help_of_serve_lists_only_its_options() {
    let serve = run(tool().args(["serve", "--help"])).stdout;
    let exec = run(tool().args(["exec", "--help"])).stdout;
    let refused: [&[&str]; 5] = [
        &["--url", "http://127.0.0.1:1"],
        &["--allow-http"],
        &["--paths-as-sent"],
        &["--encoding", "text"],
        &["--timeout", "1"],
    ];
    for option in refused {
        assert!(!serve.contains(&format!("{} ", option[0])), "{serve}");
        assert!(exec.contains(option[0]), "{exec}");
        run(tool().arg("serve").args(option)).fails(2, &["serve takes"]);
    }
    assert!(serve.contains("--token <TOKEN>"), "{serve}");
}

#[test]
fn completions_for_every_shell() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let ran = run(tool().args(["completions", shell]));
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{shell}");
        assert!(COMMANDS.iter().all(|command| ran.stdout.contains(command)), "{shell}");
    }
    run(tool().args(["completions", "cmd.exe"])).fails(2, &["possible values", "bash"]);
    run(tool().args(["completions"])).fails(2, &["SHELL"]);
}

/// Calls bash's completion like a user who presses Tab.
#[cfg(unix)]
#[test]
fn bash_completes() {
    let script = run(tool().args(["completions", "bash"])).stdout;
    let function =
        script.split("complete -F ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
    let asked = format!(
        "complete -p redis-rest >/dev/null && COMP_WORDS=(redis-rest doc) COMP_CWORD=1 && {function} redis-rest doc redis-rest; echo \"${{COMPREPLY[@]}}\""
    );
    let bash = Command::new("bash")
        .args(["-c", &format!("{script}\n{asked}")])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    // Not installed everywhere.
    let Ok(bash) = bash else { return println!("SKIPPED: bash not found") };
    let output = soon("bash", move || bash.wait_with_output().unwrap());
    assert_eq!(String::from_utf8_lossy(&output.stdout), "doctor\n", "{output:?}");
}
