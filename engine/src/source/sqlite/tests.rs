//! Captures of real databases, with and without somebody who writes meanwhile.

use std::fs;
use std::io::{Read as _, Seek as _};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rusqlite::Connection;

use super::*;

/// Makes a database of invoices and their lines.
fn database(path: &Path, journal_mode: &str, invoices: i64) -> Connection {
    let connection = Connection::open(path).unwrap();
    connection.pragma_update(None, "journal_mode", journal_mode).unwrap();
    connection.pragma_update(None, "synchronous", "off").unwrap();
    connection.busy_timeout(Duration::from_secs(20)).unwrap();
    connection
        .execute_batch(
            "create table invoice (id integer primary key, customer text, gross integer);
             create table line (invoice integer, number integer, what text,
                                primary key (invoice, number)) without rowid;
             create index of_customer on invoice (customer);",
        )
        .unwrap();
    for number in 0..invoices {
        add(&connection, number);
    }
    connection
}

/// Adds an invoice with its lines in one transaction, so that a copy that holds half of it shows.
fn add(connection: &Connection, number: i64) {
    let added = connection.execute_batch(&format!(
        "begin immediate;
         insert into invoice values ({number}, 'customer {}', {});
         insert into line select {number}, value, 'goods ' || value * {number}
             from (select 1 as value union select 2 union select 3);
         commit;",
        number % 97,
        number * 31,
    ));
    added.unwrap();
}

fn always() -> bool {
    true
}

/// Puts a capture where it can be opened.
fn placed(capture: &mut Capture, folder: &Path) -> std::path::PathBuf {
    let path = folder.join("restored.db");
    capture.file.rewind().unwrap();
    replace(&path, true, &mut |out| io::copy(&mut capture.file, out)).unwrap();
    path
}

fn rows(record: &Record, table: &str) -> Option<u64> {
    record.tables.iter().find(|known| known.name == table).unwrap().rows
}

#[test]
fn a_copy_holds_what_the_database_holds() {
    for journal_mode in ["wal", "delete"] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("till.db");
        let _open = database(&path, journal_mode, 500);
        let mut capture = capture(&path, folder.path(), &always).unwrap();
        assert_eq!(capture.record.journal_mode, journal_mode);
        assert_eq!(rows(&capture.record, "line"), Some(1500));
        let restored = placed(&mut capture, folder.path());
        assert_eq!(fingerprint(&restored).unwrap(), fingerprint(&path).unwrap());
        // Nothing of the copy is left in the spool.
        let spooled = fs::read_dir(folder.path()).unwrap().flatten();
        assert_eq!(
            spooled.filter(|e| e.file_name().to_string_lossy().starts_with("spool")).count(),
            0
        );
    }
}

#[test]
fn a_capture_beside_a_writer_holds_whole_transactions_only() {
    for journal_mode in ["wal", "delete"] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("till.db");
        drop(database(&path, journal_mode, 300));
        let (is_over, written) = (AtomicBool::new(false), AtomicU64::new(0));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let connection = Connection::open(&path).unwrap();
                connection.pragma_update(None, "synchronous", "off").unwrap();
                connection.busy_timeout(Duration::from_secs(20)).unwrap();
                for number in 300.. {
                    if is_over.load(Ordering::Relaxed) {
                        return;
                    }
                    add(&connection, number);
                    written.fetch_add(1, Ordering::Relaxed);
                }
            });
            for _ in 0..20 {
                // A run counts only when somebody wrote since the one before.
                let before = written.load(Ordering::Relaxed);
                while written.load(Ordering::Relaxed) == before {
                    std::thread::yield_now();
                }
                let mut captured = capture(&path, folder.path(), &always).unwrap();
                let (invoices, lines) =
                    (rows(&captured.record, "invoice"), rows(&captured.record, "line"));
                assert_eq!(invoices.map(|count| count * 3), lines);
                let restored = placed(&mut captured, folder.path());
                let connection = Connection::open(&restored).unwrap();
                let sound: String = connection
                    .pragma_query_value(None, "integrity_check", |row| row.get(0))
                    .unwrap();
                assert_eq!(sound, "ok");
                let found = fingerprint(&restored).unwrap();
                assert_eq!(Some(found["invoice"].0), invoices);
            }
            is_over.store(true, Ordering::Relaxed);
        });
    }
}

#[test]
fn two_copies_differ_where_the_database_did() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("till.db");
    let connection = database(&path, "wal", 3000);
    let read = || {
        let mut bytes = Vec::new();
        let mut captured = capture(&path, folder.path(), &always).unwrap();
        captured.file.rewind().unwrap();
        captured.file.read_to_end(&mut bytes).unwrap();
        bytes
    };
    let before = read();
    connection.execute("update invoice set gross = 1 where id = 1500", []).unwrap();
    let after = read();
    let differing =
        before.chunks(4096).zip(after.chunks(4096)).filter(|(one, other)| one != other).count();
    assert!((1..=3).contains(&differing), "{differing} of {}", before.len() / 4096);
}

#[test]
fn a_mark_changes_with_every_commit() {
    let folder = tempfile::tempdir().unwrap();
    for journal_mode in ["wal", "delete"] {
        let path = folder.path().join(journal_mode);
        let connection = database(&path, journal_mode, 10);
        let mut seen = vec![Mark::of(&path).unwrap()];
        for number in 10..20 {
            add(&connection, number);
            let mark = Mark::of(&path).unwrap();
            assert!(!seen.contains(&mark));
            seen.push(mark);
        }
        assert_eq!(Mark::of(&path).unwrap(), seen[10]);
    }
}

#[test]
fn what_is_no_database_or_not_there_or_told_to_stop_is_an_error_that_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("till.db");
    let error = capture(&path, folder.path(), &always).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    assert!(error.to_string().contains("till.db"), "{error}");
    fs::write(&path, vec![7; 100_000]).unwrap();
    let error = capture(&path, folder.path(), &always).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
    fs::remove_file(&path).unwrap();
    drop(database(&path, "delete", 10));
    let error = capture(&path, folder.path(), &|| false).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::Interrupted);
    let error = capture(&path, Path::new("/no/such/spool"), &always).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
}

#[test]
fn a_database_takes_the_place_of_another_only_when_told_and_without_its_leavings() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (folder.path().join("old.db"), folder.path().join("new.db"));
    drop(database(&old, "delete", 5));
    drop(database(&new, "delete", 50));
    fs::write(folder.path().join("old.db-wal"), b"stale").unwrap();
    fs::write(folder.path().join("old.db-shm"), b"stale").unwrap();
    let before = fs::read(&old).unwrap();
    let mut copy = |out: &mut fs::File| io::copy(&mut fs::File::open(&new).unwrap(), out);
    let error = replace(&old, false, &mut copy).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(fs::read(&old).unwrap(), before);
    replace(&old, true, &mut copy).unwrap();
    assert_eq!(fingerprint(&old).unwrap(), fingerprint(&new).unwrap());
    assert!(!folder.path().join("old.db-wal").exists());
    assert!(!folder.path().join("old.db-shm").exists());
    // A log without its database would be read into the new one.
    fs::remove_file(&old).unwrap();
    fs::write(folder.path().join("old.db-wal"), b"stale").unwrap();
    assert!(replace(&old, false, &mut copy).is_err());
}
