//! Sources of passwords, each by itself and in their order.

use std::cell::RefCell;
use std::io::Write as _;

use super::*;

struct Nobody;

impl Person for Nobody {
    fn is_there(&self) -> bool {
        false
    }
    fn ask_secret(&self, _: &str) -> io::Result<String> {
        Err(io::Error::other("nobody is there"))
    }
}

struct Answers(RefCell<Vec<&'static str>>);

impl Person for Answers {
    fn is_there(&self) -> bool {
        true
    }
    fn ask_secret(&self, _: &str) -> io::Result<String> {
        Ok(self.0.borrow_mut().remove(0).to_owned())
    }
}

fn answers(all: &[&'static str]) -> Answers {
    Answers(RefCell::new(all.to_vec()))
}

fn is_password(secret: &Secret, bytes: &[u8]) -> bool {
    matches!(secret, Secret::Passphrase(read) if **read == bytes)
}

fn file(content: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(content).unwrap();
    file
}

fn chosen(named: Named, variables: &[(&str, &str)]) -> Source {
    Source::choose(named, &Environment::of(variables)).unwrap()
}

#[test]
fn the_command_line_comes_before_the_environment_and_files_before_commands() {
    let all = [
        ("STRONGROOM_PASSWORD_FILE", "/f"),
        ("STRONGROOM_PASSWORD_COMMAND", "c"),
        ("STRONGROOM_PASSWORD", "p"),
    ];
    let command = Named { command: Some("mine".into()), ..Named::default() };
    assert_eq!(chosen(command, &all), Source::Command("mine".into()));
    let key = Named { key_file: Some("/k".into()), ..Named::default() };
    assert_eq!(chosen(key, &all), Source::KeyFile("/k".into()));
    assert_eq!(chosen(Named::default(), &all), Source::File("/f".into()));
    assert_eq!(chosen(Named::default(), &all[1..]), Source::Command("c".into()));
    let variable = Source::Variable(Zeroizing::new(b"p".to_vec()));
    assert_eq!(chosen(Named::default(), &all[2..]), variable);
    assert_eq!(chosen(Named::default(), &[]), Source::Terminal);
}

#[test]
fn a_variable_that_is_empty_counts_as_unset() {
    assert_eq!(chosen(Named::default(), &[("STRONGROOM_PASSWORD", "")]), Source::Terminal);
}

#[test]
fn a_systemd_credential_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let variables = [("CREDENTIALS_DIRECTORY", folder.path().to_str().unwrap())];
    assert_eq!(chosen(Named::default(), &variables), Source::Terminal);
    std::fs::write(folder.path().join(CREDENTIAL), "secret\n").unwrap();
    let source = chosen(Named::default(), &variables);
    assert!(is_password(&source.read(&Nobody).unwrap(), b"secret"));
}

#[test]
fn one_line_end_of_a_password_file_is_dropped_and_no_more() {
    for (content, expected) in [
        (&b"secret"[..], &b"secret"[..]),
        (b"secret\n", b"secret"),
        (b"secret\r\n", b"secret"),
        (b"secret\n\n", b"secret\n"),
        (b" two words \n", b" two words "),
        (b"secret\r", b"secret\r"),
        (b"\xff\xfe\n", b"\xff\xfe"),
    ] {
        let file = file(content);
        let read = Source::File(file.path().into()).read(&Nobody).unwrap();
        assert!(is_password(&read, expected));
    }
}

#[test]
fn a_password_file_that_is_empty_missing_or_endless_is_refused() {
    for content in [&b""[..], b"\n", b"\r\n"] {
        let file = file(content);
        let failure = Source::File(file.path().into()).read(&Nobody).unwrap_err();
        assert_eq!(failure.code.number(), 12);
        assert!(failure.message.contains("empty"), "{}", failure.message);
    }
    for path in ["/does/not/exist", "/dev/zero"] {
        let failure = Source::File(path.into()).read(&Nobody).unwrap_err();
        assert_eq!(failure.code.number(), 12);
        assert!(failure.message.contains(path), "{}", failure.message);
    }
}

#[test]
fn a_key_file_is_taken_byte_by_byte() {
    let file = file(b"\x00\xff\n");
    let read = Source::KeyFile(file.path().into()).read(&Nobody).unwrap();
    assert!(matches!(read, Secret::KeyFile(read) if **read == b"\x00\xff\n"[..]));
}

#[test]
fn a_command_prints_the_password_without_a_shell() {
    let read = |command: &str| Source::Command(command.into()).read(&Nobody);
    assert!(is_password(&read("echo 'two  words' \"$HOME\"").unwrap(), b"two  words $HOME"));
    for command in ["false", "/does/not/exist", "true"] {
        assert_eq!(read(command).unwrap_err().code.number(), 12, "{command}");
    }
    for command in ["", "  ", "echo 'open", "echo \\"] {
        assert_eq!(read(command).unwrap_err().code.number(), 20, "{command}");
    }
}

#[test]
fn a_command_that_never_stops_printing_is_cut_off() {
    let failure = Source::Command("yes".into()).read(&Nobody).unwrap_err();
    assert!(failure.message.contains("longer than"), "{}", failure.message);
}

#[test]
fn a_failing_command_does_not_show_its_arguments() {
    let failure = Source::Command("false --token hunter2".into()).read(&Nobody).unwrap_err();
    assert!(!failure.message.contains("hunter2"), "{}", failure.message);
    assert!(!format!("{:?}", Source::Command("x hunter2".into())).contains("hunter2"));
    assert!(!format!("{:?}", Secret::passphrase("hunter2")).contains("hunter2"));
}

#[test]
fn words_are_split_as_a_shell_would() {
    let split = |text| split_words(text).map(|words| words.join("|".as_ref()));
    for (text, words) in [
        ("a  b\tc", "a|b|c"),
        ("a 'b c' d", "a|b c|d"),
        ("a \"b \\\" c\"", "a|b \" c"),
        ("a 'b\\c'", "a|b\\c"),
        ("a\\ b", "a b"),
        ("a '' b", "a||b"),
        ("pre'fix 'ed", "prefix ed"),
    ] {
        assert_eq!(split(text).unwrap().to_str().unwrap(), words, "{text}");
    }
}

#[test]
fn a_person_is_asked_once_to_open_and_twice_to_create() {
    assert!(is_password(&Source::Terminal.read(&answers(&["one"])).unwrap(), b"one"));
    let created = Source::Terminal.read_new(&answers(&["one", "one"])).unwrap();
    assert!(is_password(&created, b"one"));
    let failure = Source::Terminal.read_new(&answers(&["one", "two"])).unwrap_err();
    assert!(failure.message.contains("differ"));
    let failure = Source::Terminal.read_new(&answers(&["", ""])).unwrap_err();
    assert!(failure.message.contains("empty"));
}

#[test]
fn without_a_terminal_a_missing_password_is_exit_12_with_a_hint() {
    for failure in [Source::Terminal.read(&Nobody), Source::Terminal.read_new(&Nobody)] {
        let failure = failure.unwrap_err();
        assert_eq!(failure.code.number(), 12);
        assert!(failure.hint.unwrap().contains("--password-file"));
    }
}
