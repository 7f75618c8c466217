//! The program from its arguments to its exit code, without a repository.

use super::*;
use crate::output::tests::streams;

fn strongroom(line: &[&str], variables: &[(&str, &str)]) -> (u8, String, String) {
    let (streams, out, err) = streams();
    let arguments: Vec<OsString> =
        std::iter::once("strongroom").chain(line.iter().copied()).map(Into::into).collect();
    let code = run_on(&arguments, Environment::of(variables), streams, false);
    (code.number(), out.text(), err.text())
}

fn objects(text: &str) -> Vec<serde_json::Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_command_line_that_makes_no_sense_is_exit_2() {
    let (code, out, err) = strongroom(&["frobnicate\x1b[2J"], &[]);
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(err.starts_with("error: unrecognized subcommand") && !err.contains('\x1b'), "{err}");
}

#[test]
fn json_ends_with_one_summary_even_when_the_command_line_makes_no_sense() {
    let (code, out, err) = strongroom(&["--json", "frobnicate"], &[]);
    let objects = objects(&out);
    assert_eq!((code, err.as_str(), objects.len()), (2, "", 2));
    assert_eq!(objects[0]["type"], "error");
    assert_eq!(objects[0]["code"], 2);
    assert!(objects[0]["message"].as_str().unwrap().contains("frobnicate"));
    assert_eq!(objects[1]["type"], "summary");
    assert_eq!(objects[1]["exit_code"], 2);
    assert!(objects[1]["command"].is_null());
}

#[test]
fn json_after_two_dashes_is_an_argument() {
    let (_, out, _) = strongroom(&["ls", "a", "b", "c", "--", "--json"], &[]);
    assert_eq!(out, "");
}

#[test]
fn without_a_repository_every_command_says_so_and_ends_with_20() {
    for line in [
        &["init"][..],
        &["backup", "/etc"],
        &["snapshots"],
        &["ls", "latest"],
        &["find", "*.txt"],
        &["diff", "ab", "cd"],
        &["dump", "latest", "/a"],
        &["cat", "config"],
        &["restore", "latest", "--target", "/t"],
        &["mount", "/m"],
        &["check"],
        &["repair", "index"],
        &["key", "list"],
        &["history"],
        &["stats"],
        &["tag", "latest", "--add", "x"],
    ] {
        let (code, out, err) = strongroom(line, &[]);
        assert_eq!((code, out.as_str()), (20, ""), "{line:?}");
        assert_eq!(
            err,
            "error: no repository was named\nhint: give --repo URL, or set STRONGROOM_REPO\n"
        );
        let (code, out, err) = strongroom(&[line, &["--json"]].concat(), &[]);
        let objects = objects(&out);
        assert_eq!((code, err.as_str(), objects.len()), (20, "", 2), "{line:?}");
        assert_eq!(objects[0]["kind"], "invalid_setting");
        assert_eq!(objects[1]["command"].as_str().unwrap(), line[0]);
    }
}

#[test]
fn help_names_stores_exit_codes_and_every_command() {
    let (code, out, _) = strongroom(&["help"], &[]);
    assert_eq!(code, 0);
    for name in ["init", "backup", "restore", "check", "generate", "help stores"] {
        assert!(out.contains(name), "{name}");
    }
    assert!(strongroom(&["help", "stores"], &[]).1.contains("AWS_"));
    assert!(strongroom(&["help", "exit-codes"], &[]).1.contains("130"));
    assert!(strongroom(&["help", "key", "add"], &[]).1.contains("--new-password-file"));
    assert_eq!(strongroom(&["help", "nothing"], &[]).0, 2);
}

#[test]
fn completions_and_man_pages_are_made() {
    for shell in ["bash", "zsh", "fish"] {
        let (code, out, _) = strongroom(&["generate", "completions", shell], &[]);
        assert!(code == 0 && out.contains("strongroom"), "{shell}");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("man");
    let (code, _, err) = strongroom(&["generate", "man", path.to_str().unwrap()], &[]);
    assert_eq!((code, err.as_str()), (0, ""));
    for page in
        ["strongroom.1", "strongroom-backup.1", "strongroom-mount.1", "strongroom-key-add.1"]
    {
        assert!(path.join(page).exists(), "{page}");
    }
}
