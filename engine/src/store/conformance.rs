//! The promises of a store as cases that any store or layer can be put through.
//!
//! Each case works in folders of its own with random names, so it may run on a store that holds a
//! repository and beside other cases, and removes what it wrote. The second promise (an object
//! outlives a crash) cannot be seen from inside a process and has no case here.

use bytes::Bytes;
use repo_format::ObjectName;
use repo_format::id::to_hex;

use super::{Cause, Error, Listed, Put, Result, Store};

/// One case: its name and what it does.
pub type Case = (&'static str, fn(&dyn Store) -> Outcome);

/// Verdict of a case: nothing, or what was seen instead of what was promised.
pub type Outcome = std::result::Result<(), String>;

/// Every case, in order.
pub const CASES: &[Case] = &[
    ("what was put is read back whole", what_was_put_is_read_back_whole),
    ("a name is absent or whole", a_name_is_absent_or_whole),
    ("a second create fails or replaces", a_second_create_fails_or_replaces),
    ("an overwrite replaces all of an object", an_overwrite_replaces_all_of_an_object),
    ("ranges are exact", ranges_are_exact),
    ("a range past the end is refused", a_range_past_the_end_is_refused),
    ("a size is the length of the object", a_size_is_the_length_of_the_object),
    ("a listing is complete", a_listing_is_complete),
    ("a listing keeps to its prefix", a_listing_keeps_to_its_prefix),
    ("an absent folder is an empty listing", an_absent_folder_is_an_empty_listing),
    ("a deleted object is gone", a_deleted_object_is_gone),
    ("a delete of an absent name is fine", a_delete_of_an_absent_name_is_fine),
    ("an absent object is reported by name", an_absent_object_is_reported_by_name),
    ("every allowed name works", every_allowed_name_works),
    ("calls from several threads do not disturb each other", threads_do_not_disturb_each_other),
];

/// Runs every case; the error names the case and says what was seen.
pub fn run_all(store: &dyn Store) -> Outcome {
    for (name, case) in CASES {
        case(store).map_err(|seen| format!("{}: {name}: {seen}", store.describe()))?;
    }
    Ok(())
}

/// Runs every case on a bucket called `strongroom-test` of an S3 server meant for tests, which must
/// exist and take any credentials; then says what the probe of create-only writes found.
#[cfg(feature = "s3")]
pub fn run_on_s3(endpoint: &str) -> std::result::Result<super::CreateOnly, String> {
    let pairs = [("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")];
    let environment = super::Environment::fixed(pairs);
    let options = super::OpenOptions { environment, ..super::OpenOptions::default() };
    let address = format!("s3://strongroom-test/conformance?endpoint={endpoint}&region=us-east-1");
    let store = done(super::Location::parse(&address), "reading the address")?;
    let store = done(store.open(&options), "opening")?;
    run_all(&*store)?;
    done(super::probe::create_only(&*store), "probing create-only writes")
}

/// Promise 4, for lengths round the usual block sizes.
pub fn what_was_put_is_read_back_whole(store: &dyn Store) -> Outcome {
    in_folders(store, |folder| {
        for length in [0, 1, 31, 4096, 65_537, 9 << 20] {
            let name = name(folder, &format!("{length}"))?;
            let bytes = object(&name, length);
            done(store.put(&name, bytes.clone(), Put::Create), "put")?;
            same(&done(store.get(&name), "get")?, &bytes, "get after put")?;
        }
        Ok(())
    })
}

/// Promise 1, with a reader beside a writer.
pub fn a_name_is_absent_or_whole(store: &dyn Store) -> Outcome {
    in_folders(store, |folder| {
        let name = name(folder, "whole")?;
        let versions = [object(&name, 1 << 20), object(&name, (1 << 20) + 77)];
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| -> Outcome {
                for round in 0..6 {
                    let bytes = versions[round % 2].clone();
                    done(store.put(&name, bytes, Put::Overwrite), "put")?;
                }
                Ok(())
            });
            while !writer.is_finished() {
                match store.get(&name) {
                    Ok(bytes) if versions.contains(&bytes) => {}
                    Ok(bytes) => return Err(format!("read {} bytes of no version", bytes.len())),
                    Err(error) if error.is_not_found() => {}
                    Err(error) => return Err(format!("get beside a put: {error}")),
                }
            }
            writer.join().map_err(|_| "the writer panicked".to_owned())?
        })
    })
}

/// Promise 3.
pub fn a_second_create_fails_or_replaces(store: &dyn Store) -> Outcome {
    in_folders(store, |folder| {
        let name = name(folder, "twice")?;
        let (first, second) = (object(&name, 1000), object(&name, 900));
        done(store.put(&name, first.clone(), Put::Create), "first create")?;
        let expected = match store.put(&name, second.clone(), Put::Create) {
            Ok(()) => second,
            Err(error) if error.cause == Cause::AlreadyExists => {
                names_the_object(&error, &name)?;
                first
            }
            Err(error) => return Err(format!("second create: {error}")),
        };
        same(&done(store.get(&name), "get")?, &expected, "get after the second create")
    })
}

/// Promise 4, for an object that gets shorter.
pub fn an_overwrite_replaces_all_of_an_object(store: &dyn Store) -> Outcome {
    in_folders(store, |folder| {
        let name = name(folder, "over")?;
        for length in [5000, 100, 7000] {
            let bytes = object(&name, length);
            done(store.put(&name, bytes.clone(), Put::Overwrite), "overwrite")?;
            same(&done(store.get(&name), "get")?, &bytes, "get after overwrite")?;
            let last = done(store.get_range(&name, bytes.len() as u64 - 9, 9), "get_range")?;
            same(&last, &bytes.slice(bytes.len() - 9..), "get_range after overwrite")?;
        }
        Ok(())
    })
}

/// Promise 5, within the object.
pub fn ranges_are_exact(store: &dyn Store) -> Outcome {
    in_folders(store, |folder| {
        let name = name(folder, "ranges")?;
        let bytes = object(&name, 100_000);
        let total = bytes.len();
        done(store.put(&name, bytes.clone(), Put::Create), "put")?;
        let ranges = [(0, 1), (0, total), (1, 10), (65_535, 2), (total - 1, 1), (7, 0), (total, 0)];
        for (offset, length) in ranges {
            let read = done(store.get_range(&name, offset as u64, length as u64), "get_range")?;
            same(&read, &bytes.slice(offset..offset + length), &format!("{length} from {offset}"))?;
        }
        Ok(())
    })
}

/// Promise 5, beyond the object.
pub fn a_range_past_the_end_is_refused(store: &dyn Store) -> Outcome {
    in_folders(store, |folder| {
        let name = name(folder, "past")?;
        let bytes = object(&name, 1000);
        let total = bytes.len() as u64;
        done(store.put(&name, bytes, Put::Create), "put")?;
        let ranges = [
            (0, total + 1),
            (total - 1, 2),
            (total, 1),
            (total + 1, 0),
            (total + 9, 9),
            (5, u64::MAX),
        ];
        for (offset, length) in ranges {
            match store.get_range(&name, offset, length) {
                Err(error) if error.cause == Cause::OutOfRange => names_the_object(&error, &name)?,
                Err(error) => return Err(format!("{length} from {offset}: {error}")),
                Ok(read) => {
                    return Err(format!("{length} from {offset} of {total} gave {}", read.len()));
                }
            }
        }
        Ok(())
    })
}

/// Sizes agree with what was put.
pub fn a_size_is_the_length_of_the_object(store: &dyn Store) -> Outcome {
    in_folders(store, |folder| {
        for length in [0, 12_345] {
            let name = name(folder, &format!("{length}"))?;
            let bytes = object(&name, length);
            done(store.put(&name, bytes.clone(), Put::Create), "put")?;
            let size = done(store.size(&name), "size")?;
            if size != bytes.len() as u64 {
                return Err(format!("size {size} of {} bytes", bytes.len()));
            }
        }
        Ok(())
    })
}

/// Promise 6; on a remote store over more objects than one page of a listing holds.
pub fn a_listing_is_complete(store: &dyn Store) -> Outcome {
    in_folders(store, |folder| {
        let count: usize = if store.traits().is_remote { 1003 } else { 40 };
        let names = (0..count)
            .map(|i| name(folder, &format!("{:x}/{i:06}", i % 3)))
            .collect::<std::result::Result<Vec<_>, _>>()?;
        in_threads(8, |thread| {
            for name in names.iter().skip(thread).step_by(8) {
                done(store.put(name, object(name, 10), Put::Create), "put")?;
            }
            Ok(())
        })?;
        let mut listed = done(store.list(folder), "list")?;
        listed.sort_by(|a, b| a.name.cmp(&b.name));
        let mut expected = names;
        expected.sort();
        if let Some(wrong) = listed.iter().find(|object| object.bytes != 42) {
            return Err(format!("{} is listed with {} bytes of 42", wrong.name, wrong.bytes));
        }
        same_names(&listed, &expected)
    })
}

/// Promise 6: neighbours whose names begin alike are not listed.
pub fn a_listing_keeps_to_its_prefix(store: &dyn Store) -> Outcome {
    in_folders(store, |folder| {
        let all = ["a/1", "a/b/2", "a-b/3", "ab/4", "a.b/5", "b/6"];
        for last in all {
            let name = name(folder, last)?;
            done(store.put(&name, object(&name, 1), Put::Create), "put")?;
        }
        let below = |prefix: &str| -> std::result::Result<Vec<ObjectName>, String> {
            let mut names = all
                .iter()
                .filter(|last| last.starts_with(prefix))
                .map(|last| name(folder, last))
                .collect::<std::result::Result<Vec<_>, _>>()?;
            names.sort();
            Ok(names)
        };
        for prefix in ["a/", "a/b/", "ab/", ""] {
            let mut listed = done(store.list(&format!("{folder}{prefix}")), "list")?;
            listed.sort_by(|a, b| a.name.cmp(&b.name));
            same_names(&listed, &below(prefix)?)?;
        }
        let root = done(store.list(""), "list of everything")?;
        for name in below("")? {
            if !root.iter().any(|object| object.name == name) {
                return Err(format!("{name} is missing from the listing of everything"));
            }
        }
        Ok(())
    })
}

/// Promise 6: nothing there is no failure.
pub fn an_absent_folder_is_an_empty_listing(store: &dyn Store) -> Outcome {
    in_folders(store, |folder| {
        same_names(&done(store.list(&format!("{folder}never/made/")), "list")?, &[])
    })
}

/// A delete is seen by every other call.
pub fn a_deleted_object_is_gone(store: &dyn Store) -> Outcome {
    in_folders(store, |folder| {
        let name = name(folder, "gone")?;
        done(store.put(&name, object(&name, 50), Put::Create), "put")?;
        done(store.get(&name), "get")?;
        done(store.delete(&name), "delete")?;
        absent(store.get(&name), &name, "get after delete")?;
        absent(store.get_range(&name, 0, 1), &name, "get_range after delete")?;
        absent(store.size(&name), &name, "size after delete")?;
        same_names(&done(store.list(folder), "list")?, &[])?;
        done(store.put(&name, object(&name, 60), Put::Create), "create after delete")
    })
}

/// Promise 7.
pub fn a_delete_of_an_absent_name_is_fine(store: &dyn Store) -> Outcome {
    in_folders(store, |folder| {
        done(store.delete(&name(folder, "never/was")?), "delete of an absent name")?;
        done(store.delete(&name(folder, "never")?), "delete of an absent name")
    })
}

/// Promise 8.
pub fn an_absent_object_is_reported_by_name(store: &dyn Store) -> Outcome {
    in_folders(store, |folder| {
        for last in ["absent", "deep/down/absent"] {
            let name = name(folder, last)?;
            absent(store.get(&name), &name, "get")?;
            absent(store.get_range(&name, 0, 1), &name, "get_range")?;
            absent(store.size(&name), &name, "size")?;
        }
        Ok(())
    })
}

/// Names of every allowed character, and the longest.
pub fn every_allowed_name_works(store: &dyn Store) -> Outcome {
    in_folders(store, |folder| {
        let longest = "x".repeat(ObjectName::BYTES_MAX - folder.len());
        let mut names = Vec::new();
        for last in ["0123456789-abcdefghijklmnopqrstuvwxyz.plan", "a.b/c-d/e..f/-", &longest] {
            let name = name(folder, last)?;
            let bytes = object(&name, 3);
            done(store.put(&name, bytes.clone(), Put::Create), "put")?;
            same(&done(store.get(&name), "get")?, &bytes, name.as_str())?;
            names.push(name);
        }
        names.sort();
        let mut listed = done(store.list(folder), "list")?;
        listed.sort_by(|a, b| a.name.cmp(&b.name));
        same_names(&listed, &names)
    })
}

/// Several threads write, read, list and delete at once.
pub fn threads_do_not_disturb_each_other(store: &dyn Store) -> Outcome {
    in_folders(store, |folder| {
        in_threads(8, |thread| {
            for round in 0..4 {
                let name = name(folder, &format!("{:x}/{thread}-{round}", round % 2))?;
                let bytes = object(&name, 3000 + thread * 10 + round);
                done(store.put(&name, bytes.clone(), Put::Create), "put")?;
                same(&done(store.get(&name), "get")?, &bytes, name.as_str())?;
                let listed = done(store.list(folder), "list")?;
                if !listed.iter().any(|object| object.name == name) {
                    return Err(format!("{name} is missing from a listing"));
                }
                done(store.delete(&name), "delete")?;
            }
            Ok(())
        })?;
        same_names(&done(store.list(folder), "list")?, &[])
    })
}

/// Runs a case in a folder that no layer treats specially and in one that caches keep.
fn in_folders(store: &dyn Store, case: impl Fn(&str) -> Outcome) -> Outcome {
    for parent in ["conformance", "meta"] {
        let folder = super::random_bytes::<8>().map_err(|error| error.to_string())?;
        let folder = format!("{parent}/{}/", to_hex(&folder));
        let outcome = case(&folder);
        for object in done(store.list(&folder), "list before cleaning up")? {
            done(store.delete(&object.name), "delete when cleaning up")?;
        }
        outcome.map_err(|seen| format!("in {folder}: {seen}"))?;
    }
    Ok(())
}

fn in_threads(count: usize, body: impl Fn(usize) -> Outcome + Sync) -> Outcome {
    let body = &body;
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..count).map(|i| scope.spawn(move || body(i))).collect();
        let outcomes: Vec<_> =
            threads.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        outcomes
            .into_iter()
            .try_for_each(|outcome| outcome.unwrap_or_else(|_| Err("a thread panicked".to_owned())))
    })
}

/// Bytes that differ with the name and the length and end in the trailer of an object.
fn object(name: &ObjectName, length: usize) -> Bytes {
    let mut bytes = vec![0; length];
    let mut hasher = blake3::Hasher::new();
    hasher.update(name.as_str().as_bytes()).update(&length.to_le_bytes());
    hasher.finalize_xof().fill(&mut bytes);
    let trailer = blake3::hash(&bytes);
    bytes.extend_from_slice(trailer.as_bytes());
    Bytes::from(bytes)
}

fn name(folder: &str, last: &str) -> std::result::Result<ObjectName, String> {
    let name = format!("{folder}{last}");
    ObjectName::parse(&name).ok_or_else(|| format!("{name} is no name"))
}

fn done<T>(result: Result<T>, call: &str) -> std::result::Result<T, String> {
    result.map_err(|error| format!("{call}: {error} ({:?})", error.cause))
}

fn same(read: &Bytes, expected: &Bytes, what: &str) -> Outcome {
    if read == expected {
        return Ok(());
    }
    Err(format!("{what}: {} bytes that are not the {} expected", read.len(), expected.len()))
}

fn same_names(listed: &[Listed], expected: &[ObjectName]) -> Outcome {
    if listed.iter().map(|object| &object.name).eq(expected) {
        return Ok(());
    }
    let missing = expected.iter().find(|name| listed.iter().all(|object| &object.name != *name));
    let extra = listed.iter().find(|object| !expected.contains(&object.name));
    Err(format!(
        "listed {} objects of {}; missing {missing:?}, unexpected {extra:?}",
        listed.len(),
        expected.len()
    ))
}

fn absent<T>(result: Result<T>, name: &ObjectName, call: &str) -> Outcome {
    match result {
        Err(error) if error.is_not_found() => names_the_object(&error, name),
        Err(error) => Err(format!("{call} of an absent object: {error} ({:?})", error.cause)),
        Ok(_) => Err(format!("{call} of an absent object succeeded")),
    }
}

fn names_the_object(error: &Error, name: &ObjectName) -> Outcome {
    if error.object.contains(name.as_str()) {
        return Ok(());
    }
    Err(format!("the error names {:?} in place of {name}", error.object))
}
