//! First inputs of every target: the vectors of tests/vectors, in the form that each body takes,
//! and some of its own; and the inputs that once found something, in `regressions`.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// An input and where it comes from.
pub type Seed = (String, Vec<u8>);

/// Which vectors feed which targets.
const VECTORS: [(&str, &str); 18] = [
    ("envelope", "envelope"),
    ("marker", "marker"),
    ("key-slot", "key_slot"),
    ("key-bundle", "key_bundle"),
    ("key-bundle", "bundle"),
    ("label", "label"),
    ("config", "config"),
    ("writer-card", "writer_card"),
    ("pack-footer", "pack_footer"),
    ("pack-directory", "pack_directory"),
    ("index-head", "index_head"),
    ("index-body", "index_body"),
    ("tree-node", "tree_node"),
    ("content-list", "content_list"),
    ("attributes", "attributes"),
    ("history-record", "history_record"),
    ("history-body", "history_body"),
    ("frame", "frame"),
];

/// Inputs that are not vectors.
const OWN: [(&str, &[&[u8]]); 10] = [
    (
        "object_name",
        &[
            b"strongroom",
            b"config/00000001",
            b"keys/000102030405060708090a0b0c0d0e0f",
            b"packs/aa/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            b"history/000102030405060708090a0b0c0d0e0f/0000000000000001-0011223344556677",
            b"gc/00000001-0badcafe.plan",
            b"../x",
        ],
    ),
    (
        "location",
        &[
            b"/srv/backup",
            b"file:///srv/a%20b",
            b"s3://bucket/prefix?endpoint=http://127.0.0.1:9000&region=eu-1",
            b"gs://bucket",
            b"az://container/a/b",
            b"s3://user:secret@host/x",
            b"sftp://user@host/path",
            b"s3:bucket",
        ],
    ),
    (
        "excludes",
        &[
            b"*.tmp\n!keep.tmp\n# no\n/home/*/.cache\0home\0ann\0.cache",
            b"build/\ntarget/debug\n**/x\0\0a\0target\0debug",
            b"[a-z]{b,c}\\*\0\0ab",
        ],
    ),
    (
        "argon2_costs",
        &[
            b"\x40\0\0\0\x01\0\0\0\x01\0\0\0",
            b"\xff\xff\xff\xff\x01\0\0\0\x01\0\0\0",
            b"\x80\0\0\0\x11\0\0\0\x10\0\0\0",
        ],
    ),
    (
        "blob",
        &[
            b"\0\x05\0\0hello",
            b"\x01\x05\0\0\x28\xb5\x2f\xfd\x20\x05\x29\0\0hello",
            b"\x02\x05\0\0\x28\xb5\x2f\xfd\x20\x05\x29\0\0hello",
            b"\x01\xff\xff\xff\x28\xb5\x2f\xfd\xa0\0\0\0\xff",
        ],
    ),
    ("cuts", &[b"\0", b"\x02the bytes of a stream that is cut", &[7; 2000]]),
    ("values", &[b"\x02\xfb\xfb\0", b"\x05\x02hi", b"\x08\x02\x01\xfa", b"\x07\x01\x05"]),
    ("bundle", &[b"", b"plain"]),
    ("frame", &[b"\0\0\0\0", b"\x41\0\0\0plain"]),
    (
        "repository",
        &[
            b"\0\x01\x20a\x02\0\x02\x05\x40b\x02\x05\x04",
            b"\0\x01\x20a\x03\x04\x01\x03\x09\x02\x02\x04",
            b"\0\x01\xffa\x03\x06\x03\x02\x01\x01\x02\x03\x0c\0\x06\x02",
        ],
    ),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every seed and regression of a target.
///
/// # Errors
/// Where the folders cannot be read, or hold something that is no vector.
pub fn of(target: &str) -> io::Result<Vec<Seed>> {
    let mut seeds = Vec::new();
    for (record, _) in VECTORS.iter().filter(|(_, fed)| *fed == target) {
        for path in files(&root().join("../tests/vectors").join(record))? {
            let text = std::fs::read_to_string(&path)?;
            let name = format!("{record}/{}", name_of(&path));
            let input = input_of(target, &text);
            let wrong = || io::Error::other(format!("{name} is no vector"));
            seeds.push((name.clone(), input.ok_or_else(wrong)?));
        }
    }
    for (_, own) in OWN.iter().filter(|(fed, _)| *fed == target) {
        let named = own.iter().enumerate();
        seeds.extend(named.map(|(number, input)| (format!("own/{number}"), input.to_vec())));
    }
    for path in files(&root().join("regressions").join(target))? {
        seeds.push((format!("regressions/{}", name_of(&path)), std::fs::read(&path)?));
    }
    Ok(seeds)
}

/// Writes the inputs of every target into the folder that `STRONGROOM_FUZZ_SEEDS` names.
///
/// # Panics
/// Where none is named, or it cannot be written.
pub fn write_where_asked() {
    let folder = std::env::var_os("STRONGROOM_FUZZ_SEEDS").unwrap_or_default();
    let written = write(Path::new(&folder));
    assert!(!folder.is_empty() && written.is_ok(), "{}: {written:?}", folder.display());
}

/// Writes the inputs of every target into a folder of its name.
fn write(folder: &Path) -> io::Result<()> {
    for (target, _) in crate::TARGETS {
        let folder = folder.join(target);
        std::fs::create_dir_all(&folder)?;
        for (name, input) in of(target)? {
            std::fs::write(folder.join(name.replace('/', "-")), input)?;
        }
    }
    Ok(())
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut paths: Vec<_> = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    paths.sort();
    Ok(paths)
}

/// What a body takes, of the text of a vector: its parameters first where it has some.
fn input_of(target: &str, text: &str) -> Option<Vec<u8>> {
    let (head, body) = text.split_once("\n\n").unwrap_or((text.trim_end(), ""));
    let fields: BTreeMap<&str, &str> =
        head.lines().filter_map(|line| line.split_once(':')).collect();
    let field = |name: &str| fields.get(name).map(|value| value.trim());
    let number = |name: &str| field(name).and_then(|value| value.parse::<u64>().ok());
    let mut input = match target {
        "envelope" => vec![u8::try_from(number("kind")?).ok()?],
        "history_body" => vec![u8::try_from(number("type")?).ok()?],
        "pack_footer" => number("total_bytes")?.to_le_bytes().to_vec(),
        "pack_directory" => number("frames_end")?.to_le_bytes().to_vec(),
        "index_body" => {
            let head = hex(field("head")?)?;
            [&u16::try_from(head.len()).ok()?.to_le_bytes()[..], &head].concat()
        }
        _ => Vec::new(),
    };
    input.extend(hex(&body.split_whitespace().collect::<String>())?);
    Some(input)
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let byte = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    (0..text.len()).step_by(2).map(byte).collect()
}
