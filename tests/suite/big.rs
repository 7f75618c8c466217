//! Proves that size costs no more than it must: long streams in bounded memory, directories of very
//! many entries, files of a tebibyte that are nearly all hole, and thousands of names of one file.
//!
//! With `STRONGROOM_TEST_BIG=1` the sizes are those of real machines; without it, those that a
//! build server stands.

use std::io::{BufReader, Read, Write as _};
use std::process::Stdio;
use std::time::Duration;

use strongroom_tests::process::Watch;
use strongroom_tests::walker::{Nature, walk};
use strongroom_tests::{Output, Tree, World, assert_same_tree, objects, random};

use crate::world;

const MEMORY_BYTES: u64 = 256 << 20;
/// Between two looks at the memory of a process that is ending.
const LOOK_EVERY: Duration = Duration::from_millis(20);

fn is_big() -> bool {
    std::env::var_os("STRONGROOM_TEST_BIG").is_some_and(|value| value == "1")
}

/// Bytes of the stream that are of one nature before the other follows.
const STRETCH_BYTES: u64 = 1 << 20;

/// A long stream that is the same every time: noise and lines of a log in turn.
struct Stream {
    noise: blake3::OutputReader,
    given: u64,
    length: u64,
    read: blake3::Hasher,
}

impl Stream {
    fn new(length: u64) -> Self {
        let noise = blake3::Hasher::new().update(b"a long stream").finalize_xof();
        Self { noise, given: 0, length, read: blake3::Hasher::new() }
    }
}

impl Read for Stream {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let to_border = STRETCH_BYTES - self.given % STRETCH_BYTES;
        let left = (self.length - self.given).min(to_border);
        let count = usize::try_from(left.min(out.len() as u64)).unwrap();
        let out = &mut out[..count];
        if (self.given / STRETCH_BYTES).is_multiple_of(2) {
            self.noise.fill(out);
        } else {
            for (line, at) in out.chunks_mut(64).zip((self.given..).step_by(64)) {
                let text = format!("{at:020} the till took a payment and printed a receipt  \n\n");
                line.copy_from_slice(&text.as_bytes()[..line.len()]);
            }
        }
        self.read.update(out);
        self.given += count as u64;
        Ok(count)
    }
}

/// Waits for a program and says how much memory it took at most.
fn finish(mut watch: Watch, child: std::process::Child, shown: &str) -> (Output, u64) {
    while !watch.ended_within(LOOK_EVERY) {}
    let peak = watch.peak_bytes();
    (Output::new(shown.to_owned(), child.wait_with_output().unwrap()), peak)
}

#[test]
fn a_long_stream_fits_into_little_memory() {
    let world = world();
    world.init();
    let length: u64 = if is_big() { 20 << 30 } else { 1 << 30 };
    let mut command = world.command();
    command.args(["--json", "--max-memory", "256MiB", "--progress", "none"]);
    command.args(["backup", "--stdin", "--stdin-filename", "long"]).stdin(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut watch = Watch::new(&child);
    let mut stdin = child.stdin.take().unwrap();
    let mut stream = Stream::new(length);
    let mut block = vec![0; 1 << 20];
    let mut fed = 0;
    loop {
        let count = stream.read(&mut block).unwrap();
        if count == 0 {
            break;
        }
        stdin.write_all(&block[..count]).unwrap();
        fed += 1;
        if fed % 16 == 0 {
            watch.peak_bytes();
        }
    }
    drop(stdin);
    let (output, peak) = finish(watch, child, "backup of a long stream");
    let output = output.succeeds();
    assert_eq!(output.number("bytes_total"), length, "{output}");
    let mib = peak >> 20;
    eprintln!("{} MiB in at most {mib} MiB of memory", length >> 20);
    assert!(peak <= MEMORY_BYTES, "{mib} MiB of memory were in use");
    let stored = objects::total_bytes(&objects::under(&world, "packs/"));
    assert!(stored < length / 2 + length / 8, "{stored} bytes were stored for {length}");
    reads_back(&world, &stream);
}

/// Reads the stream out again and compares it with what went in.
fn reads_back(world: &World, stream: &Stream) {
    let mut command = world.command();
    command.args(["--max-memory", "256MiB", "--progress", "none"]);
    command.args(["dump", "latest", "@streams/long"]).stderr(Stdio::inherit());
    let mut child = command.spawn().unwrap();
    let mut watch = Watch::new(&child);
    let mut found = blake3::Hasher::new();
    let mut block = vec![0; 1 << 20];
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    loop {
        let count = reader.read(&mut block).unwrap();
        if count == 0 {
            break;
        }
        found.update(&block[..count]);
        watch.peak_bytes();
    }
    let (output, peak) = finish(watch, child, "dump of a long stream");
    output.succeeds();
    assert_eq!(found.finalize(), stream.read.finalize(), "the stream came back changed");
    assert!(peak <= MEMORY_BYTES, "{} MiB of memory were in use", peak >> 20);
}

#[test]
fn a_directory_of_very_many_entries_comes_back() {
    let world = world();
    let count = if is_big() { 1_000_000 } else { 100_000 };
    let mut tree = Tree::new(world.source());
    for number in 0..count {
        tree.file(format!("entry-{number:07}"), if number % 10 == 0 { "some bytes" } else { "" });
    }
    world.init();
    let output = world.backup();
    assert_eq!(output.number("files_total"), count, "{output}");
    let before = objects::all(&world);
    // One more entry must not cost the whole directory again.
    tree.file("entry-new", b"new");
    let output = world.backup();
    assert_eq!(output.number("files_new"), 1, "{output}");
    let added = objects::total_bytes(&objects::added(&before, &objects::all(&world)));
    assert!(added < 1 << 20, "{added} bytes for one more entry of {count}");
    world.json(["restore", "latest", "--target", "target"]).succeeds();
    assert_same_tree(&world.source(), &world.restored());
}

#[test]
fn a_tebibyte_of_hole_costs_nothing() {
    let world = world();
    let tebibyte = 1_u64 << 40;
    let bytes = random::bytes("island", 1 << 20);
    let mut tree = Tree::new(world.source());
    tree.sparse("sparse", tebibyte, &[(tebibyte / 2, &bytes)]);
    world.init();
    let output = world.backup();
    assert_eq!(output.number("bytes_total"), tebibyte, "{output}");
    assert!(output.number("bytes_read") <= 4 << 20, "{output}");
    let stored = objects::total_bytes(&objects::under(&world, "packs/"));
    assert!(stored < 2 << 20, "{stored} bytes were stored");
    world.json(["restore", "latest", "--target", "target"]).succeeds();
    assert_same_tree(&world.source(), &world.restored());
}

#[test]
fn thousands_of_names_of_one_file_are_stored_once() {
    let world = world();
    let bytes = random::bytes("linked", 1 << 20);
    let mut tree = Tree::new(world.source());
    tree.directory("even").directory("odd").file("even/0", &bytes);
    for number in 1..4096 {
        let folder = if number % 2 == 0 { "even" } else { "odd" };
        tree.hard_link(format!("{folder}/{number}"), "even/0");
    }
    world.init();
    let output = world.backup();
    assert!(output.number("bytes_read") <= 2 << 20, "{output}");
    let stored = objects::total_bytes(&objects::all(&world));
    assert!(stored < 3 << 20, "{stored} bytes were stored");
    world.json(["restore", "latest", "--target", "target"]).succeeds();
    assert_same_tree(&world.source(), &world.restored());
    let listing = walk(&world.restored());
    let Nature::File { size, .. } = listing[&b"odd/4095"[..]].nature else { panic!("no file") };
    assert_eq!(size, 1 << 20);
    assert_eq!(listing[&b"odd/4095"[..]].links.as_deref(), Some(&b"even/0"[..]));
}
