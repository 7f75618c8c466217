//! Files and folders of a snapshot as lines for people and as objects for programs.

use repo_format::tree::{Body, Digest, Entry, Metadata};

use crate::output::escape;
use crate::output::json::Object;
use crate::{size, time};

/// Path of an entry as it is named everywhere: absolute, but for streams.
pub(crate) fn path_from_root(path: &[u8]) -> Vec<u8> {
    let path = path.strip_prefix(b"/").unwrap_or(path);
    let is_stream = path == engine::backup::STREAMS
        || path.strip_prefix(engine::backup::STREAMS).is_some_and(|rest| rest.starts_with(b"/"));
    if is_stream { path.to_vec() } else { [b"/", path].concat() }
}

/// What an entry is, in one word.
pub(crate) const fn kind(body: &Body) -> &'static str {
    match body {
        Body::File { .. } => "file",
        Body::Directory { .. } => "folder",
        Body::Symlink { .. } => "symlink",
        Body::BlockDevice { .. } => "block_device",
        Body::CharacterDevice { .. } => "character_device",
        Body::Fifo => "fifo",
        Body::Socket => "socket",
    }
}

/// Permissions as `ls` writes them.
pub(crate) fn permissions(entry: &Entry) -> String {
    let letter = match entry.body {
        Body::File { .. } => '-',
        Body::Directory { .. } => 'd',
        Body::Symlink { .. } => 'l',
        Body::BlockDevice { .. } => 'b',
        Body::CharacterDevice { .. } => 'c',
        Body::Fifo => 'p',
        Body::Socket => 's',
    };
    let mode = entry.metadata.mode;
    let mut text = String::from(letter);
    // Set-user, set-group and sticky show in the place of the execute bits.
    for (shift, special, letter) in [(6, 0o4000, 's'), (3, 0o2000, 's'), (0, 0o1000, 't')] {
        text.push(if mode >> shift & 4 != 0 { 'r' } else { '-' });
        text.push(if mode >> shift & 2 != 0 { 'w' } else { '-' });
        text.push(match (mode & special != 0, mode >> shift & 1 != 0) {
            (false, false) => '-',
            (false, true) => 'x',
            (true, true) => letter,
            (true, false) => letter.to_ascii_uppercase(),
        });
    }
    text
}

/// A long line: permissions, owner, size, time and path.
pub(crate) fn long_line(path: &[u8], entry: &Entry) -> String {
    let Metadata { user, group, uid, gid, mtime, .. } = &entry.metadata;
    let owner = |name: &str, number: u32| {
        if name.is_empty() { number.to_string() } else { escape::name(name.as_bytes()) }
    };
    let bytes = match &entry.body {
        Body::File { size, .. } => size::format(*size),
        Body::BlockDevice { major, minor } | Body::CharacterDevice { major, minor } => {
            format!("{major}, {minor}")
        }
        _ => "-".to_owned(),
    };
    let target = match &entry.body {
        Body::Symlink { target } => format!(" -> {}", escape::name(target)),
        _ => String::new(),
    };
    format!(
        "{}  {:<8} {:<8} {bytes:>10}  {}  {}{target}",
        permissions(entry),
        owner(user.as_str(), *uid),
        owner(group.as_str(), *gid),
        time::local(*mtime),
        escape::name(path),
    )
}

/// Fields of an entry for programs.
pub(crate) fn fields(path: &[u8], entry: &Entry) -> Object {
    let metadata = &entry.metadata;
    let object = Object::default()
        .name("path", path)
        .field("kind", kind(&entry.body))
        .field("mode", metadata.mode)
        .field("permissions", permissions(entry))
        .field("uid", metadata.uid)
        .field("gid", metadata.gid)
        .field("user", metadata.user.as_str())
        .field("group", metadata.group.as_str())
        .field("mtime", time::rfc3339(metadata.mtime));
    match &entry.body {
        Body::File { size, digest, .. } => {
            let (name, digest) = match digest {
                Digest::Plain(digest) => ("content_blake3", digest),
                Digest::Sparse(digest) => ("runs_blake3", digest),
            };
            object.field("size", *size).field(name, repo_format::id::to_hex(digest))
        }
        Body::Directory { entries, totals, .. } => object
            .field("entries", *entries)
            .field("files_below", totals.files)
            .field("bytes_below", totals.bytes),
        Body::Symlink { target } => object.name("target", target),
        Body::BlockDevice { major, minor } | Body::CharacterDevice { major, minor } => {
            object.field("major", *major).field("minor", *minor)
        }
        Body::Fifo | Body::Socket => object,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_absolute_but_for_streams() {
        for (path, shown) in [
            (&b""[..], "/"),
            (b"etc/x", "/etc/x"),
            (b"/etc", "/etc"),
            (b"@streams", "@streams"),
            (b"/@streams/db", "@streams/db"),
            (b"@streamsx", "/@streamsx"),
        ] {
            assert_eq!(path_from_root(path), shown.as_bytes());
        }
    }

    #[test]
    fn permissions_read_like_those_of_ls() {
        let mut entry =
            Entry { name: b"a".to_vec().into(), metadata: Metadata::default(), body: Body::Fifo };
        for (mode, text) in [
            (0o644, "prw-r--r--"),
            (0o4755, "prwsr-xr-x"),
            (0o6644, "prwSr-Sr--"),
            (0o1777, "prwxrwxrwt"),
            (0o1000, "p--------T"),
        ] {
            entry.metadata.mode = mode;
            assert_eq!(permissions(&entry), text);
        }
    }
}
