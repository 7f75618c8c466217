//! The main job, start to end, on this machine alone: makes a repository in a local folder, backs
//! up real files and a SQLite database, lists, restores, and compares what came back.
//!
//! `cargo run --example first-backup [FOLDER]` works in FOLDER, or else in a new folder
//! under the system's temporary one, which it leaves for a look around.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    let folder = match std::env::args_os().nth(1) {
        Some(folder) => PathBuf::from(folder),
        None => std::env::temp_dir().join(format!("strongroom-first-{}", std::process::id())),
    };
    fs::create_dir_all(&folder)?;
    let shop = folder.join("shop");
    make_shop(&shop)?;
    let password = folder.join("password.txt");
    fs::write(&password, "correct horse battery staple\n")?;
    fs::set_permissions(&password, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    let repository = folder.join("repository");
    let restored = folder.join("restored");

    let global = [
        "--repo".into(),
        repository.into_os_string(),
        "--password-file".into(),
        password.into_os_string(),
        "--cache-dir".into(),
        folder.join("cache").into_os_string(),
    ];
    let strongroom = |arguments: &[OsString]| -> Result<()> {
        let shown: Vec<_> = arguments.iter().map(|a| a.to_string_lossy()).collect();
        println!("\n$ strongroom {}", shown.join(" "));
        let all = [&["strongroom".into()], &global[..], arguments].concat();
        match strongroom_cli::run_with(all) {
            0 => Ok(()),
            code => Err(format!("strongroom {} ended with exit code {code}", shown[0]).into()),
        }
    };
    let words = |words: &[&str]| -> Vec<OsString> { words.iter().map(OsString::from).collect() };

    strongroom(&words(&["init"]))?;
    strongroom(&["backup".into(), shop.clone().into_os_string()])?;
    strongroom(&words(&["snapshots"]))?;
    let mut target = words(&["restore"]);
    let shop = fs::canonicalize(&shop)?;
    target.push([&OsString::from("latest:"), shop.as_os_str()].into_iter().collect());
    target.extend(["--target".into(), restored.clone().into_os_string()]);
    strongroom(&target)?;
    strongroom(&words(&["check", "--read-data"]))?;

    let (before, after) = (contents(&shop)?, contents(&restored)?);
    if before != after {
        return Err("what was restored differs from what was backed up".into());
    }
    let invoices = count_invoices(&restored.join("shop.db"))?;
    println!(
        "\nVerified: {} files came back byte for byte, and the restored database holds {invoices} \
         invoices and passes its integrity check. Everything is in {}",
        after.len(),
        folder.display()
    );
    Ok(())
}

/// A small shop: invoices as files, and a database of them.
fn make_shop(shop: &Path) -> Result<()> {
    fs::create_dir_all(shop.join("invoices"))?;
    for number in 1..=200 {
        let text = format!("Invoice {number}\nTotal: {}.00 GBP\nThank you.\n", number * 7);
        fs::write(shop.join(format!("invoices/{number:04}.txt")), text)?;
    }
    let program = fs::read(std::env::current_exe()?)?;
    fs::write(shop.join("catalogue.bin"), program)?;
    let database = shop.join("shop.db");
    let _ = fs::remove_file(&database);
    let mut connection = rusqlite::Connection::open(database)?;
    connection
        .execute_batch("CREATE TABLE invoice (id INTEGER PRIMARY KEY, total REAL, note TEXT)")?;
    let transaction = connection.transaction()?;
    for number in 1..=20_000_u32 {
        transaction.execute(
            "INSERT INTO invoice VALUES (?1, ?2, ?3)",
            (number, f64::from(number) * 1.2, format!("goods delivered to customer {number}")),
        )?;
    }
    transaction.commit()?;
    Ok(())
}

/// Every file below a folder, with its bytes.
fn contents(folder: &Path) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.insert(path.strip_prefix(folder)?.to_path_buf(), fs::read(&path)?);
            }
        }
    }
    Ok(files)
}

fn count_invoices(database: &Path) -> Result<u64> {
    let connection = rusqlite::Connection::open(database)?;
    let sound: String = connection.query_row("PRAGMA integrity_check", (), |row| row.get(0))?;
    if sound != "ok" {
        return Err(format!("the restored database is damaged: {sound}").into());
    }
    let count: i64 = connection.query_row("SELECT count(*) FROM invoice", (), |row| row.get(0))?;
    Ok(count.try_into()?)
}
