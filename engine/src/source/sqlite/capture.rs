//! Copies a database into a spool file while others write to it.

use std::fs::File;
use std::io;
use std::path::Path;
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};
use serde::{Deserialize, Serialize};

use super::failed;
use super::mark::Mark;

/// Pages that are copied at a time where the copy keeps writers waiting: a few milliseconds.
const PAGES_A_STEP: i32 = 256;
/// Time between two such steps, in which writers get their turn.
const REST: Duration = Duration::from_millis(2);
/// Time to wait for a lock before the capture fails.
const BUSY: Duration = Duration::from_secs(10);
/// Times that a copy may begin again because the database changed, before it is taken in one go.
const RESTARTS_MAX: u32 = 20;

/// A captured database.
#[derive(Debug)]
pub struct Capture {
    /// The copy, without a name: it is gone when it is closed.
    pub file: File,
    /// What is known of it.
    pub record: Record,
}

/// What is known of a captured database; stored beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Always `sqlite`.
    pub engine: String,
    /// Version of the library that captured it.
    pub engine_version: String,
    /// Path of the database.
    pub path: String,
    /// Bytes of a page.
    pub page_bytes: u64,
    /// Pages; times the bytes of one they are the bytes of the copy, which proves its end.
    pub pages: u64,
    /// Text encoding.
    pub encoding: String,
    /// Journal mode of the database.
    pub journal_mode: String,
    /// `PRAGMA user_version`.
    pub user_version: i64,
    /// `PRAGMA application_id`.
    pub application_id: i64,
    /// BLAKE3 over the statements of the schema, in order.
    pub schema_hash: String,
    /// Tables by name.
    pub tables: Vec<Table>,
    /// Times that the copy began again because somebody wrote.
    pub restarts: u32,
    /// Whether it was taken in one go in the end, which keeps writers waiting.
    pub in_one_go: bool,
    /// How the database looked from outside, before.
    pub mark: Option<Mark>,
}

/// One table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Name.
    pub name: String,
    /// Rows; none where the library lacks what it takes to read them.
    pub rows: Option<u64>,
}

/// Captures the database at `path` by way of a file in the folder `spool`; asks `go_on` now and
/// then.
///
/// # Errors
/// What could not be opened, read or written, and why; a capture that was told to stop is
/// [`io::ErrorKind::Interrupted`].
pub fn capture(path: &Path, spool: &Path, go_on: &dyn Fn() -> bool) -> io::Result<Capture> {
    let mark = Mark::of(path).map_err(|error| {
        io::Error::new(error.kind(), format!("opening the database {}: {error}", path.display()))
    })?;
    let opening = |error| failed("opening the database", path, &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let source = Connection::open_with_flags(path, flags).map_err(opening)?;
    source.busy_timeout(BUSY).map_err(opening)?;
    // Nothing is looked at before this: a file that is no database fails here.
    let journal_mode: String = text_of(&source, "journal_mode").map_err(opening)?;

    let named = tempfile::Builder::new().prefix("spool-").tempfile_in(spool)?;
    let file = named.reopen()?;
    let writing = |error| failed("copying into the spool", spool, &error);
    let mut copy = Connection::open(named.path()).map_err(writing)?;
    copy.pragma_update(None, "journal_mode", "off").map_err(writing)?;
    copy.pragma_update(None, "synchronous", "off").map_err(writing)?;
    let (restarts, in_one_go) = {
        let backup = Backup::new(&source, &mut copy).map_err(opening)?;
        // Readers of a write-ahead log keep nobody waiting.
        step(&backup, journal_mode == "wal", path, spool, go_on)?
    };
    let mut record = describe(&copy, path).map_err(|error| failed("reading", path, &error))?;
    drop(copy);
    drop(named);
    let bytes = file.metadata()?.len();
    if bytes != record.pages * record.page_bytes {
        let what = format!(
            "capturing {}: the copy has {bytes} bytes where {} pages of {} were copied",
            path.display(),
            record.pages,
            record.page_bytes
        );
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, what));
    }
    record.journal_mode = journal_mode;
    record.restarts = restarts;
    record.in_one_go = in_one_go;
    record.mark = Some(mark);
    Ok(Capture { file, record })
}

/// Copies all pages; says how often the copy began again, and whether it was taken in one go.
fn step(
    backup: &Backup<'_, '_>,
    is_free: bool,
    path: &Path,
    spool: &Path,
    go_on: &dyn Fn() -> bool,
) -> io::Result<(u32, bool)> {
    let (mut restarts, mut left, mut waited) = (0, i32::MAX, Duration::ZERO);
    loop {
        if !go_on() {
            return Err(io::Error::from(io::ErrorKind::Interrupted));
        }
        let in_one_go = is_free || restarts > RESTARTS_MAX;
        let pages = if in_one_go { -1 } else { PAGES_A_STEP };
        let stepped = backup.step(pages).map_err(|error| {
            if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull) {
                failed("the disk is full: copying into the spool", spool, &error)
            } else {
                failed("copying", path, &error)
            }
        })?;
        match stepped {
            StepResult::Done => return Ok((restarts, in_one_go && !is_free)),
            StepResult::More => {
                let now = backup.progress().remaining;
                restarts += u32::from(now > left);
                left = now;
                waited = Duration::ZERO;
            }
            // Busy and locked: somebody writes. The library has waited already.
            _ if waited > BUSY => {
                let what = format!("copying {}: it stays locked by a writer", path.display());
                return Err(io::Error::new(io::ErrorKind::WouldBlock, what));
            }
            _ => waited += REST,
        }
        std::thread::sleep(REST);
    }
}

fn text_of(connection: &Connection, pragma: &str) -> rusqlite::Result<String> {
    connection.pragma_query_value(None, pragma, |row| row.get(0))
}

fn number_of(connection: &Connection, pragma: &str) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, pragma, |row| row.get(0))
}

/// Looks at a copy.
fn describe(copy: &Connection, path: &Path) -> rusqlite::Result<Record> {
    let positive = |number: i64| u64::try_from(number).unwrap_or(0);
    let mut schema = blake3::Hasher::new();
    let mut statement = copy.prepare(
        "select type, name, tbl_name, coalesce(sql, '') from sqlite_schema order by type, name",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        for column in 0..4 {
            schema.update(row.get::<_, String>(column)?.as_bytes());
            schema.update(b"\0");
        }
    }
    Ok(Record {
        engine: "sqlite".to_owned(),
        engine_version: rusqlite::version().to_owned(),
        path: path.to_string_lossy().into_owned(),
        page_bytes: positive(number_of(copy, "page_size")?),
        pages: positive(number_of(copy, "page_count")?),
        encoding: text_of(copy, "encoding")?,
        journal_mode: String::new(),
        user_version: number_of(copy, "user_version")?,
        application_id: number_of(copy, "application_id")?,
        schema_hash: schema.finalize().to_hex().to_string(),
        tables: tables(copy)?,
        restarts: 0,
        in_one_go: false,
        mark: None,
    })
}

fn tables(copy: &Connection) -> rusqlite::Result<Vec<Table>> {
    let names: Vec<String> = copy
        .prepare(
            "select name from sqlite_schema where type = 'table' and name not like 'sqlite\\_%' \
             escape '\\' order by name",
        )?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let count = |name: &str| {
        let query = format!("select count(*) from {}", quoted(name));
        let rows = copy.query_row(&query, [], |row| row.get::<_, i64>(0)).ok()?;
        u64::try_from(rows).ok()
    };
    Ok(names.into_iter().map(|name| Table { rows: count(&name), name }).collect())
}

/// A name as SQL writes it.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
