//! A real bash completes by the script that is printed for it.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

const PORTCULLIS: &str = env!("CARGO_BIN_EXE_portcullis");

fn said(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// What bash offers for the last of these words, as it asks for it when Tab is pressed.
fn completed(words: &[&str]) -> BTreeSet<String> {
    let script = r#"
        set -u
        source <("$PORTCULLIS" completions bash)
        [[ $(complete -p portcullis) =~ -F\ ([^ ]+) ]] && by=${BASH_REMATCH[1]}
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
        "$by" portcullis "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let mut bash = Command::new("bash");
    bash.args(["--norc", "--noprofile", "-c", script, "bash"]).args(words);
    let all = said(bash.env("PORTCULLIS", PORTCULLIS));
    all.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

fn of(words: &[&str]) -> BTreeSet<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[test]
fn bash_completes_commands_and_options() {
    assert_eq!(completed(&["portcullis", "review", "appr"]), of(&["approve"]));
    assert_eq!(completed(&["portcullis", "compl"]), of(&["completions"]));
    let shells = of(&["bash", "elvish", "fish", "powershell", "zsh"]);
    let offered = completed(&["portcullis", "completions", ""]);
    assert!(shells.is_subset(&offered), "{offered:?}");
    let offered = completed(&["portcullis", "request", "--r"]);
    assert_eq!(offered, of(&["--reason", "--role"]));
    // Every command that `help` names.
    let help = said(Command::new(PORTCULLIS).arg("--help"));
    let (_, commands) = help.split_once("Commands:\n").unwrap();
    let (commands, _) = commands.split_once("\n\n").unwrap();
    let named = commands.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let named: BTreeSet<String> =
        named.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect();
    assert!(named.len() > 20 && named.contains("review"), "{named:?}");
    let offered = completed(&["portcullis", ""]);
    assert!(named.is_subset(&offered), "not offered: {:?}", named.difference(&offered));
}

#[test]
fn every_shell_has_a_script() {
    for (shell, mark) in [
        ("zsh", "#compdef portcullis"),
        ("fish", "complete -c portcullis"),
        ("powershell", "Register-ArgumentCompleter"),
        ("elvish", "edit:completion:arg-completer[portcullis]"),
    ] {
        let script = said(Command::new(PORTCULLIS).args(["completions", shell]));
        assert!(script.contains(mark) && script.contains("approve"), "{shell}");
    }
    let wrong = Command::new(PORTCULLIS).args(["completions", "tcsh"]).output().unwrap();
    assert_eq!(wrong.status.code(), Some(2));
}
