//! One tree with everything that a file system of this machine can hold.
//!
//! What only root can make is left out for others.

use rustix::fs::FileType;

use crate::process::is_root;
use crate::random;
use crate::tree::{Tree, access_list};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// Lengths round the borders of inline content, small files, buffers, chunks and packs.
const LENGTHS: [usize; 19] = [
    0,
    1,
    2,
    63,
    64,
    65,
    4 * KIB - 1,
    4 * KIB,
    4 * KIB + 1,
    32 * KIB - 1,
    32 * KIB,
    32 * KIB + 1,
    64 * KIB,
    256 * KIB + 1,
    MIB - 1,
    MIB,
    MIB + 1,
    3 * MIB + 17,
    9 * MIB,
];

/// Fills a folder with everything.
pub fn build(tree: &mut Tree) {
    contents(tree);
    names(tree);
    modes_and_times(tree);
    links(tree);
    special(tree);
    attributes(tree);
    sparse(tree);
    directories(tree);
    if is_root() {
        owners_and_devices(tree);
    }
    tree.time("", 1_700_000_000, 1).finish();
}

fn contents(tree: &mut Tree) {
    tree.directory("lengths");
    for length in LENGTHS {
        tree.file(format!("lengths/noise-{length}"), random::bytes("noise", length));
        tree.file(format!("lengths/prose-{length}"), random::text("prose", length));
        tree.file(format!("lengths/zeros-{length}"), vec![0; length]);
    }
    // The same bytes twice, and the same but for one: dedup must not mix them up.
    let mut bytes = random::bytes("twice", 2 * MIB);
    tree.file("lengths/twice-a", &bytes).file("lengths/twice-b", &bytes);
    bytes[MIB] ^= 1;
    tree.file("lengths/twice-but-one-bit", &bytes);
}

/// Names that trip those who think a name is text.
pub fn odd_names() -> Vec<Vec<u8>> {
    let mut names: Vec<Vec<u8>> = [
        &b" "[..],
        b" leading and trailing ",
        b"...",
        b"-rf",
        b"--",
        b"*?[a]{b,c}!",
        b"back\\slash",
        b"quote'\"`$(echo)",
        b"line\nbreak",
        b"\ttab\r",
        b"\x1b[31mred\x07",
        b"not utf-8 \xff\xfe",
        b"cut \xe2\x82",
        b"overlong \xc0\xaf",
        "\u{e4}\u{f6}\u{fc} composed".as_bytes(),
        "a\u{308} decomposed".as_bytes(),
        "\u{202e}txt.exe".as_bytes(),
        "\u{1f980}".as_bytes(),
        b"Case",
        b"case",
        b"con",
        b"name.",
        b"@streams",
        b".strongroom",
    ]
    .map(<[u8]>::to_vec)
    .to_vec();
    names.push(vec![b'x'; 255]);
    names.push(vec![0xff; 255]);
    names
}

fn names(tree: &mut Tree) {
    tree.directory("names/folders");
    for name in odd_names() {
        let path = [b"names/", &name[..]].concat();
        tree.file(&path, &name);
        let folder = [b"names/folders/", &name[..]].concat();
        tree.directory(&folder).file([&folder[..], b"/in it"].concat(), b"below");
    }
    let deep = ["a-folder-of-many"; 40].join("/");
    tree.directory(format!("names/{deep}")).file(format!("names/{deep}/leaf"), b"far down");
}

fn modes_and_times(tree: &mut Tree) {
    tree.directory("modes");
    for mode in [0, 0o400, 0o644, 0o755, 0o777, 0o1644, 0o2755, 0o4755, 0o6711, 0o7777] {
        let (file, folder) = (format!("modes/file-{mode:o}"), format!("modes/folder-{mode:o}"));
        // Others than root could not look into these again.
        if is_root() || mode & 0o700 == 0o700 {
            tree.directory(&folder).file(format!("{folder}/in it"), b"below").mode(&folder, mode);
        }
        if is_root() || mode & 0o400 == 0o400 {
            tree.file(&file, b"mode").mode(&file, mode);
        }
    }
    tree.directory("times");
    let times = [
        ("epoch", 0, 0),
        ("one-nanosecond", 0, 1),
        ("before-1970", -86_400, 999_999_999),
        ("just-before-1970", -1, 1),
        ("last-nanosecond", 1_699_999_999, 999_999_999),
        ("after-2038", 1 << 31, 5),
        ("after-2106", 1 << 32, 123_456_789),
    ];
    for (name, seconds, nanoseconds) in times {
        let (file, folder) = (format!("times/{name}"), format!("times/{name}-folder"));
        let link = format!("times/{name}-link");
        tree.file(&file, name).directory(&folder).symlink(&link, name);
        tree.file(format!("{folder}/in it"), b"below");
        for path in [file, folder, link] {
            tree.time(path, seconds, nanoseconds);
        }
    }
}

fn links(tree: &mut Tree) {
    tree.directory("links/elsewhere");
    tree.symlink("links/dangling", "no such thing")
        .symlink("links/itself", "itself")
        .symlink("links/round-a", "round-b")
        .symlink("links/round-b", "round-a")
        .symlink("links/up", "../..")
        .symlink("links/absolute", "/etc/hostname")
        .symlink("links/odd", b"\xff\n \x1b[0m")
        .symlink("links/long", "y/".repeat(2000))
        .symlink("links/to-folder", "elsewhere");
    tree.file("links/first", random::bytes("first", 100 * KIB))
        .hard_link("links/second", "links/first")
        .hard_link("links/elsewhere/third", "links/first");
    tree.file("links/empty", b"").hard_link("links/empty-too", "links/empty");
    tree.hard_link("links/dangling-too", "links/dangling");
    tree.fifo("links/fifo").hard_link("links/fifo-too", "links/fifo");
    // The other name is outside of what is backed up in some tests, and inside in none.
    tree.file("links/same-bytes-no-link", random::bytes("first", 100 * KIB));
}

fn special(tree: &mut Tree) {
    tree.directory("special").fifo("special/fifo").mode("special/fifo", 0o620);
    tree.socket("special/socket").time("special/fifo", 12, 34).time("special/socket", 56, 78);
}

fn attributes(tree: &mut Tree) {
    tree.directory("attributes/folder").file("attributes/file", b"has some");
    for name in ["attributes/file", "attributes/folder"] {
        tree.attribute(name, "user.empty", b"")
            .attribute(name, "user.bytes", b"\0\xff\n")
            .attribute(name, "user.\u{e4}", "\u{e4}".as_bytes())
            .attribute(name, "user.long", &random::bytes("attribute", 1500));
    }
    let list = access_list(7, (65_534, 5), 5, 5, 4);
    tree.file("attributes/listed", b"").mode("attributes/listed", 0o754);
    tree.attribute("attributes/listed", "system.posix_acl_access", &list);
    let folder = "attributes/folder";
    tree.mode(folder, 0o754).attribute(folder, "system.posix_acl_access", &list);
    // A default list must not leak into what a restore makes below the folder.
    tree.file("attributes/folder/made before the list", b"");
    tree.attribute(folder, "system.posix_acl_default", &access_list(7, (65_534, 6), 4, 6, 0));
}

fn sparse(tree: &mut Tree) {
    let (bytes, small) = (random::bytes("sparse", 64 * KIB), random::bytes("small", 4 * KIB));
    let big = random::bytes("big", 2 * MIB);
    let mib = MIB as u64;
    tree.directory("sparse")
        .sparse("sparse/only-hole", 16 * mib, &[])
        .sparse("sparse/hole-first", 8 * mib + 65_536, &[(8 * mib, &bytes)])
        .sparse("sparse/hole-last", 8 * mib, &[(0, &bytes)])
        .sparse("sparse/hole-inside", 4 * mib, &[(0, &bytes), (4 * mib - 65_536, &bytes)])
        .sparse("sparse/islands", 40 * mib, &[(mib, &small), (9 * mib, &small), (33 * mib, &bytes)])
        .sparse("sparse/one-block-hole", 2 * mib + 8192, &[(0, &big), (2 * mib + 4096, &small)])
        .sparse("sparse/odd-end", 3 * mib + 1, &[(2 * mib, &bytes), (3 * mib, b"x")])
        .sparse("sparse/zeros-are-data", 2 * mib, &[(mib, &vec![0; 64 * KIB])]);
}

fn directories(tree: &mut Tree) {
    tree.directory("directories/empty").directory("directories/nested/empty/too");
    tree.directory("directories/many");
    for number in 0..5000 {
        tree.file(format!("directories/many/{number:05}"), format!("{number}"));
    }
}

fn owners_and_devices(tree: &mut Tree) {
    tree.directory("owners/folder").file("owners/file", b"").symlink("owners/link", "file");
    tree.owner("owners/file", 1000, 1001).owner("owners/folder", 4_000_000_000, 0).owner(
        "owners/link",
        7,
        8,
    );
    tree.file("owners/setuid", b"").owner("owners/setuid", 33, 33).mode("owners/setuid", 0o6755);
    // cap_net_bind_service, permitted and effective.
    let capability = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    tree.file("owners/capable", b"").mode("owners/capable", 0o755);
    tree.attribute("owners/capable", "security.capability", &capability);
    tree.attribute("owners/file", "trusted.strongroom", b"root only");
    tree.symlink("owners/trusted-link", "nowhere");
    tree.attribute("owners/trusted-link", "trusted.strongroom", b"of the link");
    tree.device("special/null", FileType::CharacterDevice, 1, 3)
        .device("special/high", FileType::CharacterDevice, 300, 70_000)
        .device("special/loop", FileType::BlockDevice, 7, 0);
}
