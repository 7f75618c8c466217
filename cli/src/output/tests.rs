//! What goes to which stream, in which form.

use super::*;
use engine::error::Kind;

/// A stream that a test can look into.
#[derive(Clone, Default)]
pub(crate) struct Kept(Arc<Mutex<Vec<u8>>>);

impl Kept {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(lock(&self.0).clone()).unwrap()
    }
}

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        lock(&self.0).extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Broken(io::ErrorKind);

impl Write for Broken {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(self.0.into())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Streams whose content a test can look into: stdout, stderr.
pub(crate) fn streams() -> (Streams, Kept, Kept) {
    let (out, err) = (Kept::default(), Kept::default());
    let streams =
        Streams { out: Box::new(out.clone()), err: Box::new(err.clone()), is_terminal: false };
    (streams, out, err)
}

fn output(is_json: bool, verbosity: Verbosity) -> (Arc<Output>, Kept, Kept) {
    let (streams, out, err) = streams();
    (Arc::new(Output::new(streams, is_json, verbosity)), out, err)
}

#[test]
fn results_go_to_stdout_and_the_rest_to_stderr() {
    let (output, out, err) = output(false, Verbosity::Normal);
    output.line("result");
    output.object(&Object::new("node"));
    output.note("note");
    output.warning(b"/a\x1b", "gone\n");
    output.warning(b"", "odd");
    output.finding(&Finding::loss("packs/ab", "cut\x07short"));
    output.failure(&Failure::new(Kind::Other, "it broke\r").hint("mend it"));
    assert_eq!(out.text(), "result\nloss: packs/ab: cut\\x07short\n");
    assert_eq!(
        err.text(),
        "note\nwarning: /a\\x1b: gone\\n\nwarning: odd\nerror: it broke\\r\nhint: mend it\n"
    );
}

#[test]
fn json_goes_to_stdout_and_stderr_stays_silent() {
    let (output, out, err) = output(true, Verbosity::Normal);
    output.line("result");
    output.note("note");
    output.object(&Object::new("node").field("size", 1));
    output.warning(b"/a", "gone");
    output.failure(&Failure::new(Kind::Other, "it broke"));
    assert_eq!(err.text(), "");
    let lines: Vec<serde_json::Value> =
        out.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let types: Vec<_> = lines.iter().map(|line| line["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["node", "warning", "error"]);
    assert!(lines.iter().all(|line| line["v"] == 1));
}

#[test]
fn quiet_keeps_results_warnings_and_errors() {
    let (output, out, err) = output(false, Verbosity::Quiet);
    output.line("result");
    output.note("note");
    output.warning(b"/a", "gone");
    assert_eq!((out.text().as_str(), err.text().as_str()), ("result\n", "warning: /a: gone\n"));
}

#[test]
fn a_reader_that_went_away_is_no_error_and_a_full_disk_is() {
    for (kind, is_error) in [(io::ErrorKind::BrokenPipe, false), (io::ErrorKind::StorageFull, true)]
    {
        let (mut streams, _, _) = streams();
        streams.out = Box::new(Broken(kind));
        let output = Output::new(streams, false, Verbosity::Normal);
        output.line("result");
        assert!(output.is_closed());
        output.line("dropped");
        assert_eq!(output.finish().is_err(), is_error);
    }
}

#[test]
fn objects_leave_stdout_alone_once_it_carries_a_file() {
    let (output, out, err) = output(true, Verbosity::Normal);
    output.data().write_all(b"\x00raw\x1b").unwrap();
    output.object(&Object::new("summary"));
    assert_eq!(out.text(), "\0raw\x1b");
    assert_eq!(err.text(), "{\"type\":\"summary\",\"v\":1}\n");
}

#[test]
fn events_of_a_running_command_are_shown() {
    let (output, out, err) = output(false, Verbosity::Verbose);
    let listen = output.listener();
    listen(&Event::Step("reading"));
    listen(&Event::File { path: b"/a\nb".to_vec(), action: "new" });
    listen(&Event::Warning { object: b"/c".to_vec(), message: "gone".into() });
    assert_eq!(output.step(), "reading");
    assert_eq!(out.text(), "");
    assert_eq!(err.text(), "new        /a\\nb\nwarning: /c: gone\n");
}
