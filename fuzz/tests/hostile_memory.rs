//! Proves that no object that a store can make up takes more memory than four times its own bytes
//! and 1 MiB beyond what the sound repository takes: not when the repository is opened, not when
//! its history and index are read, not when all of it is checked.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "every function here belongs to a test"
)]

use std::sync::Arc;

use engine::Ambient;
use engine::backup::{self, Source};
use engine::check::{self, ReadData};
use engine::crypto::passphrase::Cost;
use engine::repo::create::{self, Settings};
use engine::repo::history::History;
use engine::repo::{OpenSettings, Secret, open};
use engine::store::{MemoryStore, Put, Store as _};
use repo_format::envelope;
use repo_format::{ObjectHash, ObjectName};
use strongroom_fuzz::memory::{STRANGER, peak_of_all};

/// Bytes of what is put into the place of an object.
const HOSTILE_BYTES: usize = 6 << 20;

fn secret() -> Secret {
    Secret::passphrase("secret")
}

fn small() -> MemoryStore {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in [("a", 10_usize), ("b", 3000), ("c", 40_000)] {
        std::fs::write(folder.path().join(name), vec![b'x'; bytes]).unwrap();
    }
    let (store, ambient) = (MemoryStore::new(), Ambient::default());
    let cost = Cost { memory_kib: 64, passes: 1, lanes: 1 };
    let settings = Settings { cost, ..Settings::default() };
    let repo = create::create(Arc::new(store.clone()), &secret(), &settings, &ambient).unwrap();
    let sources = vec![Source::Path(folder.path().to_owned())];
    let options = backup::Options { sources, threads: 1, ..backup::Options::default() };
    backup::backup(&repo.load_index(&ambient).unwrap(), &options, &ambient).unwrap();
    store
}

/// Most memory that each step takes on a store, whether it ends well or not.
fn peaks(store: &MemoryStore, keys_of: &MemoryStore) -> [(&'static str, usize); 3] {
    let ambient = Ambient::default();
    let (opened, opening) = peak_of_all(|| {
        open(Arc::new(store.clone()), &secret(), &OpenSettings::default()).map(|_| ()).is_ok()
    });
    // Opened on the sound store where this one does not open: the rest is read all the same.
    let repo = if opened {
        open(Arc::new(store.clone()), &secret(), &OpenSettings::default()).unwrap()
    } else {
        for name in keys_of.names() {
            let is_key =
                ["strongroom", "keys/", "config/"].iter().any(|p| name.as_str().starts_with(p));
            if is_key {
                let bytes = keys_of.get(&name).unwrap();
                store.put(&name, bytes, Put::Overwrite).unwrap();
            }
        }
        open(Arc::new(store.clone()), &secret(), &OpenSettings::default()).unwrap()
    };
    let (_, reading) = peak_of_all(|| {
        let _ = History::load(&repo, &ambient);
        repo.load_index(&ambient).map(|_| ()).is_ok()
    });
    let options =
        check::Options { read_data: ReadData::All, threads: 1, ..check::Options::default() };
    let (_, checking) = peak_of_all(|| check::check(&repo, &options, &ambient).map(|_| ()).is_ok());
    [("opening", opening), ("reading history and index", reading), ("checking", checking)]
}

/// Bytes that a stranger may put under a name: junk, and what looks whole from outside.
fn hostile(whole: &[u8]) -> Vec<Vec<u8>> {
    let mut found = vec![vec![0; HOSTILE_BYTES], vec![0xff; HOSTILE_BYTES]];
    let header = whole.get(..64).unwrap_or(whole);
    for filling in [0x00, 0xff, 0x01, 0x7f] {
        // A header as it should be, and lengths and counts as large as they get.
        let mut object = header.to_vec();
        object.resize(HOSTILE_BYTES - 32, filling);
        if object.len() >= 64 {
            envelope::finish(&mut object);
        }
        found.push(object);
        // The real beginning, so that what comes behind it is believed as far as possible.
        let mut object = whole[..whole.len() / 2].to_vec();
        object.resize(HOSTILE_BYTES - 32, filling);
        envelope::finish(&mut object);
        found.push(object);
    }
    // The last four bytes before the trailer of a pack say how long its directory is.
    for length in [u32::MAX, 1 << 30, u32::try_from(HOSTILE_BYTES - 100).unwrap(), 40] {
        let mut object = header.to_vec();
        object.resize(HOSTILE_BYTES - 36, 0);
        object.extend_from_slice(&length.to_le_bytes());
        envelope::finish(&mut object);
        found.push(object);
    }
    found
}

/// The name that a store would give it, where the name is the hash.
fn name_of(name: &ObjectName, bytes: &[u8]) -> ObjectName {
    let hash = ObjectHash::from_slice(&bytes[bytes.len() - 32..]).unwrap();
    match name.as_str().split('/').next() {
        Some("packs") => ObjectName::data_pack(hash),
        Some("meta") => ObjectName::metadata_pack(hash),
        Some("index") => ObjectName::index_segment(hash),
        _ => name.clone(),
    }
}

#[test]
fn a_hostile_object_takes_at_most_four_times_its_bytes_and_a_mebibyte() {
    let sound = small();
    let usual = peaks(&sound.copy(), &sound);
    println!("sound: {usual:?}");
    let mut worst = [("", 0_usize, String::new()), ("", 0, String::new()), ("", 0, String::new())];
    let (mut cases, mut wrong) = (0, Vec::new());
    for name in sound.names() {
        let whole = sound.get(&name).unwrap();
        for (number, bytes) in hostile(&whole).into_iter().enumerate() {
            let store = sound.copy();
            let planted = name_of(&name, &bytes);
            let length = bytes.len();
            store.put(&planted, bytes.into(), Put::Overwrite).unwrap();
            for (at, (step, peak)) in peaks(&store, &sound).into_iter().enumerate() {
                let beyond = peak.saturating_sub(usual[at].1);
                if beyond > STRANGER.bytes(length) {
                    wrong.push(format!("{step} took {beyond} bytes for {planted} ({number})"));
                }
                if beyond > worst[at].1 {
                    worst[at] = (step, beyond, format!("{planted} ({number})"));
                }
                cases += 1;
            }
        }
    }
    println!("{cases} cases with objects of {HOSTILE_BYTES} bytes, the most beyond: {worst:#?}");
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(cases > 300, "{cases}");
}
