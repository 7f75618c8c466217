//! What a database holds, whatever its pages look like: rows counted and hashed, table by table.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};

use super::capture::quoted;
use super::failed;

/// Rows and hash of each table by name.
pub type Fingerprint = BTreeMap<String, (u64, [u8; 32])>;

/// Takes the fingerprint of a database: every value of every row, in the order of keys.
///
/// # Errors
/// What could not be read, and why.
pub fn fingerprint(path: &Path) -> io::Result<Fingerprint> {
    read(path).map_err(|error| failed("reading", path, &error))
}

fn read(path: &Path) -> rusqlite::Result<Fingerprint> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    let names: Vec<(String, bool)> = connection
        .prepare(
            "select name, wr from pragma_table_list where type = 'table' and schema = 'main' and \
             name not like 'sqlite\\_%' escape '\\'",
        )?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let mut found = Fingerprint::new();
    for (name, is_without_rowid) in names {
        let table = quoted(&name);
        let order = if is_without_rowid { "" } else { " order by rowid" };
        let mut statement = connection.prepare(&format!("select * from {table}{order}"))?;
        let columns = statement.column_count();
        let (mut hasher, mut count) = (blake3::Hasher::new(), 0_u64);
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            count += 1;
            for column in 0..columns {
                update(&mut hasher, row.get_ref(column)?);
            }
        }
        found.insert(name, (count, *hasher.finalize().as_bytes()));
    }
    Ok(found)
}

/// Hashes a value with its type and its length, so that no two rows can be told as one.
fn update(hasher: &mut blake3::Hasher, value: ValueRef<'_>) {
    let (kind, bytes): (u8, &[u8]) = match value {
        ValueRef::Null => (0, &[]),
        ValueRef::Integer(number) => {
            hasher.update(&[1]).update(&number.to_le_bytes());
            return;
        }
        ValueRef::Real(number) => {
            hasher.update(&[2]).update(&number.to_bits().to_le_bytes());
            return;
        }
        ValueRef::Text(bytes) => (3, bytes),
        ValueRef::Blob(bytes) => (4, bytes),
    };
    hasher.update(&[kind]).update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
}
