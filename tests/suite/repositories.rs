//! Proves that repositories that were once written stay readable: those that are checked in under
//! tests/repositories, by the current build and by the independent reader, to the last byte.
//!
//! tests/repositories/README.md says what lies there.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use engine::Ambient;
use engine::backup::{self, Source};
use engine::repo::Secret;
use engine::repo::create::{self, Actor, Settings};
use engine::store::LocalStore;
use repo_format::content::Chunker;
use strongroom_tests::in_memory::CHEAP;
use strongroom_tests::reader::{self, Key};
use strongroom_tests::repository_tree::root;
use strongroom_tests::walker::{Nature, walk};
use strongroom_tests::{Output, Tree, everything, is_root, manifest, random};

use crate::world;

/// Bytes of all of them together: they are downloaded with every clone.
const BYTES_MAX: u64 = 1_500_000;
/// Beginning of the paths of which a manifest holds one line for all.
const MANY: &str = "many/";
const UNRELEASED: &str = "unreleased-1";
const GOLDEN_PASSWORD: &str = "read me for ever";

fn repositories() -> PathBuf {
    root().join("tests/repositories")
}

/// Folders of the repositories.
fn all() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(repositories()).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<_> = entries.filter(|path| path.is_dir()).collect();
    found.sort();
    found
}

/// Beginnings of the ids of its snapshots, and the path that each is of.
fn snapshots(golden: &Path) -> Vec<(String, PathBuf)> {
    let text = std::fs::read_to_string(golden.join("snapshots.txt")).unwrap();
    let line = |line: &str| {
        let (id, path) = line.split_once(' ').unwrap();
        (id.to_owned(), path.into())
    };
    text.lines().map(line).collect()
}

/// The lines of a manifest, those of a folder of very many as one.
fn shortened(text: &str, with_owners: bool) -> Vec<String> {
    let words = |line: &str| {
        let words = line.split(' ').filter(|word| with_owners || !word.starts_with("owner="));
        words.collect::<Vec<_>>().join(" ")
    };
    let (many, mut lines): (Vec<_>, Vec<_>) =
        text.lines().map(words).partition(|line| line.starts_with(MANY));
    if !many.is_empty() {
        let hash = blake3::hash(many.join("\n").as_bytes()).to_hex();
        lines.push(format!("{MANY}* {} things {}", many.len(), &hash[..16]));
    }
    lines
}

/// Holds what was restored against what is written down.
#[track_caller]
fn is_as_written(golden: &Path, id: &str, restored: &Path) {
    let expected = std::fs::read_to_string(golden.join(format!("{id}.txt"))).unwrap();
    let found = manifest::text(&walk(restored), true);
    // Who is not root gives everything to himself.
    let expected: Vec<String> = if is_root() {
        expected.lines().map(str::to_owned).collect()
    } else {
        // The many are written down with their owners, so they cannot be compared without.
        shortened(&expected, false).into_iter().filter(|line| !line.starts_with(MANY)).collect()
    };
    let mut found = shortened(&found, is_root());
    found.retain(|line| is_root() || !line.starts_with(MANY));
    for (expected, found) in expected.iter().zip(&found) {
        assert_eq!(expected, found, "{id} of {}", golden.display());
    }
    assert_eq!(expected.len(), found.len(), "{id} of {}", golden.display());
}

#[test]
fn old_repositories_are_read_by_this_build_and_by_the_independent_reader() {
    let mut bytes = 0;
    for golden in all() {
        let world = world();
        // A copy: nothing here may touch what is kept for ever.
        let copied = Command::new("cp")
            .arg("-aT")
            .arg(golden.join("repository"))
            .arg(world.repository())
            .status();
        assert!(copied.unwrap().success());
        let (password, key_file) = (golden.join("password"), golden.join("key-file"));
        let run = |secret: &str, path: &Path, more: &[&str]| {
            let mut command = world.command();
            command.env_remove("STRONGROOM_PASSWORD").arg(secret).arg(path).args(more);
            Output::of(&mut command)
        };
        run("--password-file", &password, &["check", "--read-data"]).succeeds();
        run("--key-file", &key_file, &["history"]).succeeds();
        let keys = [Key::PasswordFile(password.clone()), Key::KeyFile(key_file.clone())];
        let verified = reader::run("verify", &world.repository(), &[], &keys[0]).succeeds();
        assert!(verified.text().ends_with(": whole\n"), "{verified}");
        let snapshots = snapshots(&golden);
        assert!(!snapshots.is_empty());
        for (number, (id, source)) in snapshots.iter().enumerate() {
            let name = format!("{id}:{}", source.display());
            let target = world.path(format!("build-{id}"));
            let arguments = ["restore", &name, "--no-cache", "--target", target.to_str().unwrap()];
            run("--password-file", &password, &arguments).succeeds();
            is_as_written(&golden, id, &target);
            let target = world.path(format!("reader-{id}"));
            let more = [id, target.to_str().unwrap()];
            let key = &keys[number % 2];
            reader::run("restore", &world.repository(), &more, key).succeeds();
            is_as_written(&golden, id, &target.join(source.strip_prefix("/").unwrap()));
        }
        let files = strongroom_tests::in_memory::files(&golden);
        bytes += files.values().map(|content| content.len() as u64).sum::<u64>();
    }
    assert!(bytes <= BYTES_MAX, "{bytes} bytes");
}

/// A little of everything, small enough to be checked in.
fn build(tree: &mut Tree) {
    tree.directory("names/below");
    for name in everything::odd_names() {
        tree.file([b"names/", &name[..]].concat(), &name);
    }
    tree.directory("contents").file("contents/empty", b"").file("contents/inline", b"inline");
    for (number, length) in [65, 700, 3000, 4095, 4096, 9000].into_iter().enumerate() {
        tree.file(format!("contents/bundled-{length}"), random::text(&number.to_string(), length));
    }
    tree.file("contents/cut", random::bytes("cut", 120_000));
    tree.file("contents/prose", random::text("prose", 90_000));
    let pages = [&b"SQLite format 3\0"[..], &random::bytes("pages", 50_000)].concat();
    tree.file("contents/database", pages);
    let block = random::bytes("block", 4096);
    let islands: Vec<(u64, &[u8])> = (0..90).map(|n| (n * 65_536, &block[..])).collect();
    tree.directory("sparse").sparse("sparse/archipelago", 90 * 65_536, &islands);
    tree.sparse("sparse/hole-last", 1 << 20, &[(0, &block)]).sparse(
        "sparse/only-hole",
        3 << 20,
        &[],
    );
    tree.directory("links")
        .symlink("links/dangling", b"\xff nowhere")
        .file("links/first", b"linked");
    tree.hard_link("links/second", "links/first").hard_link("names/below/third", "links/first");
    tree.fifo("links/fifo").file("links/labelled", b"x");
    tree.attribute("links/labelled", "user.short", b"\0\xff");
    tree.attribute("links/labelled", "user.long", &random::text("long", 1500));
    tree.directory("many").directory("empty");
    for number in 0..3000 {
        tree.file(format!("many/a-name-of-some-length-{number:05}"), b"");
    }
    tree.mode("contents/inline", 0o4751).mode("links", 0o1777);
}

/// Pins every time below a folder.
fn pin_times(tree: &mut Tree, source: &Path) {
    for (number, (path, entry)) in (1_i64..).zip(walk(source)) {
        let is_special = matches!(entry.nature, Nature::Socket);
        if !is_special {
            tree.time(path, 1_700_000_000 - number, number * 1001 % 1_000_000_000);
        }
    }
    tree.finish();
}

#[test]
#[ignore = "writes into the sources"]
fn write_the_unreleased_repository_anew() {
    assert!(is_root(), "owners and modes are those of root");
    let golden = repositories().join(UNRELEASED);
    let _ = std::fs::remove_dir_all(&golden);
    std::fs::create_dir_all(&golden).unwrap();
    std::fs::write(golden.join("password"), format!("{GOLDEN_PASSWORD}\n")).unwrap();
    std::fs::write(golden.join("key-file"), random::bytes("golden key file", 48)).unwrap();
    let world = world().at(golden.join("repository").to_str().unwrap());
    let source = world.source();
    let store = Arc::new(LocalStore::create(world.repository()).unwrap());
    let ambient = Ambient::default();
    let actor = |program: &str| Actor {
        host: "golden".to_owned(),
        user: "root".to_owned(),
        program: program.to_owned(),
    };
    let settings = Settings {
        cost: CHEAP,
        actor: actor(UNRELEASED),
        files: Chunker::FastCdc { min: 1024, avg: 4096, max: 16_384 },
        pages: Chunker::Fixed { size: 4096 },
        cut_from_bytes: 32_768,
        bundle_below_bytes: 8192,
        bundle_bytes: 16_384,
        ..Settings::default()
    };
    let secret = Secret::passphrase(GOLDEN_PASSWORD);
    let repo = create::create(store, &secret, &settings, &ambient).unwrap();
    let mut tree = Tree::new(&source);
    build(&mut tree);
    let mut lines = String::new();
    let profiles = [
        None,
        Some(Chunker::FastCdc { min: 512, avg: 2048, max: 4096 }),
        Some(Chunker::Fixed { size: 8192 }),
    ];
    for (number, chunker) in profiles.into_iter().enumerate() {
        tree.file("contents/changing", random::text(&format!("round {number}"), 40_000));
        pin_times(&mut tree, &source);
        let options = backup::Options {
            sources: vec![Source::Path(source.clone())],
            chunker,
            tags: vec![format!("round-{number}")],
            time_ms: Some(1_700_000_000_000 + i64::try_from(number).unwrap() * 86_400_000),
            actor: actor(UNRELEASED),
            ..backup::Options::default()
        };
        let report = backup::backup(&repo.load_index(&ambient).unwrap(), &options, &ambient);
        let id = report.unwrap().snapshot.unwrap().to_hex()[..16].to_owned();
        let lines_of_it = shortened(&manifest::text(&walk(&source), true), true);
        std::fs::write(golden.join(format!("{id}.txt")), lines_of_it.join("\n") + "\n").unwrap();
        let _ = writeln!(lines, "{id} {}", source.display());
    }
    std::fs::write(golden.join("snapshots.txt"), lines).unwrap();
    let world = world.with("STRONGROOM_PASSWORD", GOLDEN_PASSWORD);
    let key_file = golden.join("key-file");
    let key_file = key_file.to_str().unwrap();
    world.run(["key", "add", "--label", "safe", "--new-key-file", key_file]).succeeds();
}
