#!/usr/bin/env python3
"""Writes the vectors: bytes with one fault each, or none, and the verdict that SPEC.md asks for.

A second encoder, made from SPEC.md alone: it shares no code with any reader or writer. Run it again
and nothing changes; `make.py --examples` prints the examples of SPEC.md.
"""

import os
import struct
import sys

import zstandard
from blake3 import blake3
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

HERE = os.path.dirname(os.path.abspath(__file__))
REPO, OTHER = bytes(range(16)), bytes(range(1, 17))
A, B, C32 = b"\xaa" * 32, b"\xbb" * 32, b"\xcc" * 32
W1, W2, W3 = b"\x11" * 16, b"\x22" * 16, b"\x33" * 16
LIES = ("accept", "truncated", "trailing bytes", "not a strongroom object", "wrong kind of object",
        "belongs to another repository", "length differs from the header", "hash differs from the trailer",
        "unsupported version or feature", "over the limit", "not canonical", "invalid value",
        "reserved bytes are not zero", "out of order", "not authentic")
written = set()


def vector(record, name, expect, note, data, **parameters):
    assert all(one in LIES for one in expect.split(" | ")), expect
    folder = os.path.join(HERE, record)
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, name + ".txt")
    assert path not in written, path
    written.add(path)
    lines = [f"expect: {expect}"]
    lines += [f"{key}: {value.hex() if isinstance(value, bytes) else value}".rstrip() for key, value in parameters.items()]
    lines += [f"note: {note}", ""]
    lines += [data[at:at + 32].hex() for at in range(0, len(data), 32)]
    with open(path, "w", encoding="ascii") as file:
        file.write("\n".join(lines) + "\n")


# --- SPEC 1.3 -------------------------------------------------------------------------------------
def num(v):
    if v <= 250:
        return bytes([v])
    if v < 1 << 16:
        return b"\xfb" + struct.pack("<H", v)
    if v < 1 << 32:
        return b"\xfc" + struct.pack("<I", v)
    return b"\xfd" + struct.pack("<Q", v)


def zig(v):
    return num(2 * v if v >= 0 else -2 * v - 1)


def byt(data):
    return num(len(data)) + data


def txt(text):
    return byt(text.encode())


def seq(items):
    items = list(items)
    return num(len(items)) + b"".join(items)


def opt(item):
    return b"\0" if item is None else b"\1" + item


def u32(v):
    return struct.pack("<I", v)


# --- SPEC 2.2, 3.3 --------------------------------------------------------------------------------
def header(kind, epoch=0, repo=REPO, magic=b"STRGROOM", version=1, flags=0, total=0, klass=0, zeros=bytes(23)):
    return magic + struct.pack("<BBHI", kind, version, flags, epoch) + repo + struct.pack("<QB", total, klass) + zeros


def whole(kind, body, total=None, trailer=None, **fields):
    total = 96 + len(body) if total is None else total
    data = header(kind, total=total, **fields) + body
    return data + (blake3(data).digest() if trailer is None else trailer)


def context(kind, part, epoch=0):
    return struct.pack("<BB16sIB", kind, 1, REPO, epoch, part)


def seal(key, domain, aad, plain, salt):
    one = blake3(salt + domain, key=key).digest()
    return salt + ChaCha20Poly1305(one).encrypt(bytes(12), plain, aad)


# --- the records ----------------------------------------------------------------------------------
def numbers():
    for v in (0, 250, 251, 65535, 65536, (1 << 32) - 1, 1 << 32, (1 << 64) - 1):
        vector("u64", f"is-{v}", "accept", f"the number {v}", num(v), value=v)
    vector("u64", "longer-16", "not canonical", "250 in 16 bits", b"\xfb\xfa\0")
    vector("u64", "longer-32", "not canonical", "65535 in 32 bits", b"\xfc\xff\xff\0\0")
    vector("u64", "longer-64", "not canonical", "0 in 64 bits", b"\xfd" + bytes(8))
    vector("u64", "wide-128", "invalid value", "the marker of 128 bits", b"\xfe" + bytes(15) + b"\1")
    vector("u64", "marker-255", "invalid value", "no marker", b"\xff" + bytes(8))
    vector("u64", "cut", "truncated", "one byte of eight is missing", b"\xfd" + bytes(7))
    vector("u64", "more", "trailing bytes", "a byte too many", b"\5\6")
    for v in (0, -1, 1, -126, 125, 126, -(1 << 63), (1 << 63) - 1):
        vector("i64", f"is-{v}", "accept", f"the number {v}, zigzag", zig(v), value=v)
    vector("text", "text", "accept", "short text", txt("till \u20ac"))
    vector("text", "not-utf-8", "invalid value", "the bytes are no UTF-8", byt(b"a\xff"))
    vector("text", "long", "over the limit | invalid value", "4097 bytes", byt(b"a" * 4097))
    vector("bytes", "huge-length", "truncated | over the limit", "a length of 2^40 and no bytes", num(1 << 40))


def envelopes():
    p = {"kind": 2, "repository": REPO, "limit": 1024}
    body = b"body"
    vector("envelope", "whole", "accept", "a whole object", whole(2, body), **p)
    vector("envelope", "no-body", "accept", "an object without a body", whole(2, b""), **p)
    vector("envelope", "epoch", "accept", "epoch 7", whole(2, body, epoch=7), **p)
    vector("envelope", "class", "reserved bytes are not zero", "class 3 outside packs and segments", whole(2, body, klass=3), **p)
    vector("envelope", "class-of-a-pack", "accept", "a data pack of class 3", whole(5, body, klass=3), **{**p, "kind": 5})
    vector("envelope", "magic", "not a strongroom object", "other magic", whole(2, body, magic=b"STRGRO0M"), **p)
    vector("envelope", "kind", "wrong kind of object", "a key slot", whole(3, body), **p)
    vector("envelope", "kind-unknown", "unsupported version or feature", "kind 14", whole(14, body), **p)
    vector("envelope", "version-2", "unsupported version or feature", "version 2", whole(2, body, version=2), **p)
    vector("envelope", "version-0", "invalid value", "version 0", whole(2, body, version=0), **p)
    vector("envelope", "flags", "unsupported version or feature", "a flag", whole(2, body, flags=256), **p)
    vector("envelope", "reserved", "reserved bytes are not zero", "the last reserved byte is 1",
           whole(2, body, zeros=bytes(22) + b"\1"), **p)
    vector("envelope", "repository", "belongs to another repository", "other id", whole(2, body, repo=OTHER), **p)
    vector("envelope", "length-short", "length differs from the header", "the header says one byte less",
           whole(2, body, total=99), **p)
    vector("envelope", "length-long", "truncated", "the header says one byte more", whole(2, body, total=101), **p)
    vector("envelope", "trailer", "hash differs from the trailer", "a trailer of zeros",
           whole(2, body, trailer=bytes(32)), **p)
    vector("envelope", "over-limit", "over the limit", "1025 bytes where 1024 are allowed", whole(2, bytes(929)), **p)
    vector("envelope", "cut-header", "truncated", "63 bytes", whole(2, body)[:63], **p)
    vector("envelope", "cut-trailer", "truncated", "the last byte is missing", whole(2, body)[:-1], **p)
    vector("envelope", "cut-95", "truncated", "95 bytes, and a header that says so", header(2, total=95) + bytes(31), **p)


def markers():
    def marker(title="strongroom repository", major="1", repo=REPO.hex(), end="note: x\n"):
        return f"{title}\nformat: {major}\nrepository: {repo}\n{end}".encode()
    note = "note: encrypted backups; SPEC.md of the strongroom project describes every byte\n"
    vector("marker", "whole", "accept", "as it is written", marker(end=note), canonical="yes")
    vector("marker", "more-lines", "accept", "a line that is not known", marker(end="colour: blue\n"))
    vector("marker", "title", "not a strongroom object", "another title", marker(title="strongroom"))
    vector("marker", "major-2", "unsupported version or feature", "format 2", marker(major="2"))
    vector("marker", "major-0", "invalid value", "format 0", marker(major="0"))
    vector("marker", "major-word", "invalid value", "format is no number", marker(major="one"))
    vector("marker", "id-short", "invalid value", "31 digits", marker(repo=REPO.hex()[:31]))
    vector("marker", "id-upper", "invalid value", "upper case", marker(repo=REPO.hex().upper()))
    vector("marker", "no-line-end", "invalid value", "the last line feed is missing", marker()[:-1])
    vector("marker", "long", "over the limit", "4097 bytes", marker(end="").ljust(4096, b"x") + b"\n")


def clear(kind=1, costs=(65536, 3, 4), gap=bytes(3), end=bytes(16)):
    return W1 + bytes([kind]) + gap + b"".join(map(u32, costs)) + A + B + end


def key_slots():
    def slot(clear_part, bundle=b"\x55" * 200, label=b"\x66" * 60, more=b"", bundle_length=None):
        length = len(bundle) if bundle_length is None else bundle_length
        return whole(3, clear_part + u32(length) + bundle + u32(len(label)) + label + more)
    p = {"repository": REPO}
    ok = slot(clear())
    vector("key-slot", "passphrase", "accept", "Argon2id, 64 MiB, 3 passes, 4 lanes", ok, **p)
    vector("key-slot", "key-file", "accept", "a key file", slot(clear(2, (0, 0, 0))), **p)
    vector("key-slot", "type-3", "unsupported version or feature", "type 3", slot(clear(3)), **p)
    vector("key-slot", "key-file-costs", "reserved bytes are not zero", "a key file with passes",
           slot(clear(2, (0, 1, 0))), **p)
    vector("key-slot", "gap", "reserved bytes are not zero", "a reserved byte", slot(clear(gap=b"\0\1\0")), **p)
    vector("key-slot", "end", "reserved bytes are not zero", "a reserved byte", slot(clear(end=bytes(15) + b"\1")), **p)
    vector("key-slot", "more", "trailing bytes", "a byte after the label", slot(clear(), more=b"\0"), **p)
    vector("key-slot", "bundle-length", "truncated", "the bundle says 2^32 - 1 bytes",
           slot(clear(), bundle_length=(1 << 32) - 1), **p)
    vector("key-slot", "cut", "truncated", "no label", whole(3, clear() + u32(4) + b"abcd"), **p)
    vector("key-slot", "repository", "belongs to another repository", "other id", ok, repository=OTHER)
    vector("key-slot", "kind", "wrong kind of object", "a writer card", whole(4, ok[64:-32]), **p)


def bundles():
    def bundle(epochs, version=1, more=b""):
        return bytes([version]) + REPO + A + B + C32 + seq(num(n) + s for n, s in epochs) + more
    vector("key-bundle", "one-epoch", "accept", "one epoch", bundle([(0, A)]))
    vector("key-bundle", "two-epochs", "accept", "two epochs", bundle([(0, A), (300, B)]))
    vector("key-bundle", "no-epoch", "out of order | invalid value", "no epoch", bundle([]))
    vector("key-bundle", "epochs-descend", "out of order", "epochs 1, 0", bundle([(1, A), (0, B)]))
    vector("key-bundle", "epochs-equal", "out of order", "epochs 1, 1", bundle([(1, A), (1, B)]))
    vector("key-bundle", "version-2", "unsupported version or feature", "version 2", bundle([(0, A)], 2))
    vector("key-bundle", "cut", "truncated", "the last byte is missing", bundle([(0, A)])[:-1])
    vector("key-bundle", "more", "trailing bytes", "a byte too many", bundle([(0, A)], more=b"\0"))
    label = b"\1" + txt("first") + txt("till") + txt("ann") + zig(1_700_000_000_000)
    vector("label", "whole", "accept", "a label", label)
    vector("label", "time-cut", "truncated", "the last byte is missing", label[:-1])


def configs():
    def fast(low=65536, avg=262144, high=1 << 20):
        return num(1) + num(low) + num(avg) + num(high)

    def config(version=1, files=fast(), pages=num(2) + num(262144), sizes=(1 << 20, 32768, 262144),
               features=((), (), ("later",)), more=b""):
        return (bytes([version]) + num(1) + A + zig(-5) + files + pages + b"".join(map(num, sizes))
                + b"".join(seq(map(txt, f)) for f in features) + txt("atomic") + more)
    vector("config", "whole", "accept", "generation 1", config())
    vector("config", "whole-files", "accept", "files stay whole", config(files=num(0)))
    vector("config", "chunker-3", "invalid value | unsupported version or feature", "chunker 3", config(files=num(3)))
    for name, sizes in {"min-32": (32, 64, 128), "odd": (65, 128, 256), "min-over-avg": (256, 128, 512),
                        "avg-over-max": (128, 512, 256), "max-huge": (65536, 262144, (1 << 20) + 2)}.items():
        vector("config", f"cut-{name}", "invalid value", f"FastCDC {sizes}", config(files=fast(*sizes)))
    vector("config", "fixed-0", "invalid value", "pages of no bytes", config(pages=num(2) + num(0)))
    vector("config", "size-0", "invalid value", "bundle_below 0", config(sizes=(1 << 20, 0, 1)))
    vector("config", "size-huge", "invalid value", "cut_from over 1 MiB", config(sizes=((1 << 20) + 1, 1, 1)))
    vector("config", "version-0", "unsupported version or feature", "version 0", config(version=0))
    vector("config", "more", "trailing bytes", "a byte too many", config(more=b"\0"))
    vector("config", "cut", "truncated", "half", config()[:40])
    vector("config", "features-huge", "truncated | over the limit", "2^60 features",
           config()[:-len(seq([]) * 2 + seq([txt("later")]) + txt("atomic"))] + num(1 << 60))
    vector("config", "empty", "truncated", "no byte", b"")


def entry(id=A, offset=64, stored=50, plain=10, kind=0, encoding=0, depth=0, envelope=0, count=0, first=0,
          gap=bytes(3), pack=None):
    return (id + (b"" if pack is None else u32(pack)) + u32(offset) + u32(stored) + u32(plain)
            + bytes([kind, encoding, depth, envelope, count]) + gap + u32(first))


def directories():
    def add(name, expect, note, entries, bases=(), end=1000, counts=None, more=b""):
        counts = counts or (len(entries), len(bases))
        vector("pack-directory", name, expect, note,
               u32(counts[0]) + u32(counts[1]) + b"".join(entries) + b"".join(bases) + more, frames_end=end)
    delta = {"encoding": 2, "depth": 1, "count": 2}
    add("empty", "accept", "no entries", [])
    add("one", "accept", "one raw blob that fills the frames", [entry()], end=114)
    add("zstd", "accept", "a compressed blob", [entry(encoding=1, plain=1 << 20)])
    add("gap", "accept", "a gap between two frames", [entry(), entry(B, 200)])
    add("delta", "accept", "a delta with two bases", [entry(), entry(B, 114, **delta)], [A, C32])
    add("encoding-9", "accept", "an encoding that is not known, of that blob alone", [entry(encoding=9)])
    add("envelope-9", "accept", "an envelope that is not known, of that blob alone", [entry(envelope=9)])
    add("metadata-16", "accept", "a tree of 16 MiB", [entry(kind=1, encoding=1, plain=16 << 20)])
    add("kind-5", "unsupported version or feature", "kind 5", [entry(kind=5)])
    add("counts", "length differs from the header", "two entries are promised", [entry()], counts=(2, 0))
    add("base-counts", "length differs from the header", "2^32 - 1 bases", [entry()], counts=(1, (1 << 32) - 1))
    add("many", "over the limit", "2^20 + 1 entries", [], counts=((1 << 20) + 1, 0))
    add("more", "length differs from the header | trailing bytes", "a byte too many", [entry()], more=b"\0")
    vector("pack-directory", "cut", "truncated", "7 bytes", bytes(7), frames_end=1000)
    add("gap-bytes", "reserved bytes are not zero", "a reserved byte", [entry(gap=b"\1\0\0")])
    add("before", "invalid value", "a frame in the header", [entry(offset=63)])
    add("past", "invalid value", "a frame past the end of the frames", [entry()], end=113)
    add("wrap", "invalid value", "offset and length past 2^32",
        [entry(offset=(1 << 32) - 10, encoding=1)], end=1 << 32)
    add("short", "invalid value", "a frame of 39 bytes", [entry(stored=39, encoding=1)])
    add("overlap", "out of order", "two frames overlap", [entry(), entry(B, 113)])
    add("backwards", "out of order", "the second frame lies before the first", [entry(offset=200), entry(B)])
    add("raw-length", "invalid value", "a raw blob whose lengths differ", [entry(plain=11)])
    add("data-huge", "over the limit", "a data blob over 1 MiB", [entry(encoding=1, plain=(1 << 20) + 1)])
    add("tree-huge", "over the limit", "a tree over 16 MiB", [entry(kind=1, encoding=1, plain=(16 << 20) + 1)])
    add("depth-65", "over the limit", "depth 65", [entry(**{**delta, "depth": 65})], [A, B])
    add("bases-9", "over the limit", "nine bases", [entry(**{**delta, "count": 9})], [A] * 9)
    add("base-past", "invalid value", "a base past the table", [entry(**delta, first=1)], [A, B])
    add("base-first", "invalid value", "a first base without bases", [entry(first=1)], [A, B])
    add("depth-alone", "invalid value", "depth without bases", [entry(depth=1)])
    add("depth-0", "invalid value", "bases without depth", [entry(**{**delta, "depth": 0})], [A, B])
    add("delta-alone", "invalid value", "a delta without bases", [entry(encoding=2)])
    add("raw-bases", "invalid value", "a raw blob with bases", [entry(depth=1, count=1)], [A])

    def foot(name, expect, note, length, total):
        vector("pack-footer", name, expect, note, u32(length) + A, total_bytes=total)
    foot("whole", "accept", "a directory of 100 bytes", 100, 1000)
    foot("fills", "accept", "a directory right after the header", 900, 1000)
    foot("long", "invalid value", "a directory that reaches into the header", 901, 1000)
    foot("huge", "invalid value", "2^32 - 1", (1 << 32) - 1, 1000)
    foot("short", "invalid value", "too short to be sealed", 39, 1000)
    foot("pack-huge", "over the limit", "a pack over 512 MiB", 100, (512 << 20) + 1)
    foot("pack-short", "truncated", "a pack of 99 bytes", 0, 99)


def segments():
    def pack(hash=A, metadata=0, klass=0, epoch=0, total=1000):
        return hash + bytes([metadata, klass]) + num(epoch) + num(total)

    def head(packs=(pack(), pack(B, 1)), entries=2, bases=0, version=1, supersedes=(C32,)):
        return bytes([version]) + seq(packs) + seq(supersedes) + num(entries) + num(bases)
    vector("index-head", "whole", "accept", "two packs", head())
    vector("index-head", "empty", "accept", "no packs", head((), 0, supersedes=()))
    vector("index-head", "version-2", "unsupported version or feature", "version 2", head(version=2))
    vector("index-head", "bool-2", "invalid value", "a bool of 2", head([pack(metadata=2)]))
    vector("index-head", "entries", "over the limit", "2^22 + 1 entries", head(entries=(4 << 20) + 1))
    vector("index-head", "pack-huge", "over the limit", "a pack over 512 MiB", head([pack(total=(512 << 20) + 1)]))
    vector("index-head", "more", "trailing bytes", "a byte too many", head() + b"\0")
    vector("index-head", "cut", "truncated", "the last byte is missing", head()[:-1])

    def body(name, expect, note, places, bases=(), counts=None, more=b""):
        counts = counts or (len(places), len(bases))
        vector("index-body", name, expect, note, b"".join(places) + b"".join(bases) + more,
               head=head(entries=counts[0], bases=counts[1]))
    tree = {"kind": 1, "encoding": 1}
    body("empty", "accept", "no places", [])
    body("two", "accept", "two blobs", [entry(A, pack=0), entry(B, pack=1, **tree)])
    body("twice", "accept", "one blob twice in a pack", [entry(A, pack=0), entry(A, 200, pack=0)])
    body("delta", "accept", "a delta", [entry(A, pack=0, encoding=2, depth=1, count=1)], [B])
    body("fills", "accept", "a frame right up to the last possible byte", [entry(offset=914, pack=0)])
    body("unsorted", "out of order", "ids descend", [entry(B, pack=0), entry(A, 200, pack=0)])
    body("packs-unsorted", "out of order", "packs of one id descend",
         [entry(A, pack=1, **tree), entry(A, pack=0)])
    body("pack-2", "invalid value", "a pack past the table", [entry(pack=2)])
    body("pack-kind", "invalid value", "a data blob in a metadata pack", [entry(pack=1)])
    body("past", "invalid value", "a frame that reaches into the footer", [entry(offset=915, pack=0)])
    body("kind-9", "unsupported version or feature", "kind 9", [entry(kind=9, pack=0)])
    body("reserved", "reserved bytes are not zero", "a reserved byte", [entry(gap=b"\0\0\1", pack=0)])
    body("short", "length differs from the header", "one place of two", [entry(pack=0)], counts=(2, 0))
    body("more", "length differs from the header | trailing bytes", "a byte too many", [entry(pack=0)], more=b"\0")
    body("base-past", "invalid value", "a base past the table", [entry(pack=0, encoding=2, depth=1, count=2)], [B])


def moment(seconds=0, nanos=0):
    return zig(seconds) + num(nanos)


def totals(files=1, folders=0, size=2):
    return num(files) + num(folders) + num(size)


HI = num(0) + num(2) + (num(0) + byt(b"hi")) + num(0) + blake3(b"hi").digest()


def node_entry(name=b"a", mode=0o644, mtime=moment(), btime=None, group=None, attributes=num(0), body=HI):
    return (byt(name) + num(mode) + num(1000) + num(100) + txt("ann") + txt("") + mtime + moment(-1, 999_999_999)
            + opt(btime) + opt(group) + attributes + body)


def extent(kind, *numbers, id=A):
    return num(kind) + (b"" if kind == 2 else id) + b"".join(map(num, numbers))


def file_body(size, content, digest=0):
    return num(0) + num(size) + content + num(digest) + A


def trees():
    def leaf(name, expect, note, /, *entries, version=1, more=b""):
        vector("tree-node", name, expect, note, bytes([version]) + num(0) + seq(entries) + more)

    def one(label, expect, note, /, **fields):
        leaf(label, expect, note, node_entry(**fields))

    def extents(*list, chunker=num(0)):
        return num(1) + chunker + seq(list)
    leaf("leaf", "accept", "two files", node_entry(), node_entry(b"b\xff"))
    leaf("empty", "accept", "an empty directory")
    one("every-field", "accept", "btime, link group, attributes", btime=moment(5, 6), group=num(7) + num(1 << 40),
        attributes=num(1) + seq([byt(b"user.a") + byt(b"1"), byt(b"user.b") + byt(b"")]))
    one("attributes-blob", "accept", "attributes in a blob", attributes=num(2) + A)
    one("directory", "accept", "a directory", body=num(1) + A + num(3) + totals(2, 1, 9))
    one("symlink", "accept", "a symbolic link", body=num(2) + byt(b"../x"))
    one("block-device", "accept", "a block device", body=num(3) + num(8) + num(1))
    one("character-device", "accept", "a character device", body=num(4) + num(1) + num(3))
    one("fifo", "accept", "a named pipe", body=num(5))
    one("socket", "accept", "a socket", body=num(6))
    one("empty-file", "accept", "an empty file", body=file_body(0, num(0) + byt(b"")))
    one("extents", "accept", "blob, slice and hole",
        body=file_body(1 << 32, extents(extent(0, 100), extent(1, 5, 20), extent(2, (1 << 32) - 120))))
    one("fastcdc", "accept", "cut by FastCDC", body=file_body(
        9, extents(extent(0, 9), chunker=num(1) + num(64) + num(128) + num(256))))
    one("list", "accept", "a content list", body=file_body(1 << 30, num(2) + num(2) + num(262144) + A))
    one("digest-sparse", "accept", "a sparse digest", body=file_body(1 << 40, extents(extent(2, 1 << 40)), 1))
    one("digest-2", "invalid value | unsupported version or feature", "a digest of variant 2",
        body=file_body(1, extents(extent(2, 1)), 2))
    for label, name in {"empty": b"", "dot": b".", "dot-dot": b"..", "slash": b"a/b", "zero": b"a\0",
                        "256": b"x" * 256}.items():
        one(f"name-{label}", "invalid value", f"the name {name[:8]!r}", name=name)
    one("name-255", "accept", "a name of 255 bytes", name=b"x" * 255)
    leaf("unsorted", "out of order", "names descend", node_entry(b"b"), node_entry(b"a"))
    leaf("twice", "out of order", "one name twice", node_entry(), node_entry())
    one("mode", "invalid value", "mode 0o10000", mode=0o10000)
    one("nanos", "invalid value", "10^9 nanoseconds", mtime=moment(0, 10**9))
    broken = node_entry(btime=moment()).replace(moment(-1, 999_999_999) + b"\1", moment(-1, 999_999_999) + b"\2")
    leaf("option-2", "invalid value | unsupported version or feature", "an option byte of 2", broken)
    one("attributes-unsorted", "out of order", "names descend",
        attributes=num(1) + seq([byt(b"user.b") + byt(b""), byt(b"user.a") + byt(b"")]))
    one("attribute-no-name", "invalid value | out of order", "an attribute without a name",
        attributes=num(1) + seq([byt(b"") + byt(b"1")]))
    one("attributes-3", "invalid value | unsupported version or feature", "attributes of variant 3", attributes=num(3))
    one("body-7", "invalid value | unsupported version or feature", "a body of variant 7", body=num(7))
    one("link-empty", "invalid value", "a link without a target", body=num(2) + byt(b""))
    one("link-zero", "invalid value", "a target with a zero byte", body=num(2) + byt(b"a\0"))
    one("link-long", "over the limit", "a target of 65,537 bytes", body=num(2) + byt(b"x" * 65537))
    one("inline-long", "over the limit", "1025 bytes inline", body=file_body(1025, num(0) + byt(bytes(1025))))
    one("inline-size", "length differs from the header", "2 bytes where the size is 3",
        body=file_body(3, num(0) + byt(b"hi")))
    one("extents-size", "length differs from the header", "extents are a byte short",
        body=file_body(101, extents(extent(0, 100))))
    one("blob-0", "invalid value", "a blob of no bytes", body=file_body(0, extents(extent(0, 0))))
    one("blob-huge", "invalid value", "a blob over 1 MiB", body=file_body((1 << 20) + 1, extents(extent(0, (1 << 20) + 1))))
    one("slice-past", "invalid value", "a slice past 1 MiB", body=file_body(2, extents(extent(1, (1 << 20) - 1, 2))))
    one("slice-0", "invalid value", "a slice of no bytes", body=file_body(0, extents(extent(1, 5, 0))))
    one("hole-0", "invalid value", "a hole of no bytes", body=file_body(0, extents(extent(2, 0))))
    one("hole-huge", "invalid value", "a hole of 2^63 bytes", body=file_body(1 << 63, extents(extent(2, 1 << 63))))
    one("holes-overflow", "over the limit", "extents of more than 2^64 bytes",
        body=file_body(1, extents(*[extent(2, (1 << 63) - 1)] * 3)))
    one("extents-many", "over the limit", "65,537 extents", body=file_body(65537, extents(*[extent(2, 1)] * 65537)))
    one("extent-3", "invalid value | unsupported version or feature", "extent of variant 3",
        body=file_body(1, extents(num(3))))
    leaf("version-2", "unsupported version or feature", "version 2", version=2)
    leaf("more", "trailing bytes", "a byte too many", node_entry(), more=b"\0")
    ok = b"\1" + num(0) + seq([node_entry()])
    vector("tree-node", "cut", "truncated", "the last byte is missing", ok[:-1])
    vector("tree-node", "count-huge", "truncated | over the limit", "2^60 entries", b"\1" + num(0) + num(1 << 60))
    vector("tree-node", "count-longer", "not canonical", "1 entry, counted in 16 bits",
           b"\1" + num(0) + b"\xfb\1\0" + node_entry())
    vector("tree-node", "node-2", "invalid value | unsupported version or feature", "a node of variant 2", b"\1" + num(2))

    def inner(name, expect, note, level, *names):
        children = [byt(n) + A + num(5) + totals(4, 1, 99) for n in names]
        vector("tree-node", name, expect, note, b"\1" + num(1) + bytes([level]) + seq(children))
    inner("inner", "accept", "two children", 1, b"a", b"m")
    inner("inner-32", "accept", "level 32", 32, b"a")
    inner("inner-0", "invalid value", "level 0", 0, b"a")
    inner("inner-33", "invalid value", "level 33", 33, b"a")
    inner("inner-255", "invalid value", "level 255", 255, b"a")
    inner("inner-empty", "invalid value", "no children", 1)
    inner("inner-unsorted", "out of order", "first names descend", 1, b"m", b"a")
    inner("inner-name", "invalid value", "a first name of ..", 1, b"..")

    def attributes(name, expect, note, *pairs):
        vector("attributes", name, expect, note, b"\1" + seq(byt(a) + byt(b) for a, b in pairs))
    attributes("two", "accept", "two attributes", (b"user.a", b"x" * 2000), (b"user.b", b"\0"))
    attributes("none", "accept", "none")
    attributes("unsorted", "out of order", "names descend", (b"user.b", b""), (b"user.a", b""))
    attributes("twice", "out of order", "one name twice", (b"user.a", b""), (b"user.a", b""))
    attributes("zero", "invalid value | out of order", "a zero byte in a name", (b"user\0", b""))


def lists():
    def leaf(name, expect, note, *extents):
        vector("content-list", name, expect, note, b"\1" + num(0) + seq(extents))

    def inner(name, expect, note, level, *sizes):
        vector("content-list", name, expect, note, b"\1" + num(1) + bytes([level]) + seq(A + num(s) for s in sizes))
    leaf("leaf", "accept", "blob and hole", extent(0, 100), extent(2, 1 << 40))
    leaf("empty", "invalid value", "no extents")
    leaf("blob-huge", "invalid value", "a blob over 1 MiB", extent(0, (1 << 20) + 1))
    leaf("many", "over the limit", "65,537 extents", *[extent(2, 1)] * 65537)
    inner("inner", "accept", "two children", 1, 100, 1 << 40)
    inner("inner-0", "invalid value", "level 0", 0, 100)
    inner("inner-33", "invalid value", "level 33", 33, 100)
    inner("inner-empty", "invalid value", "no children", 1)
    inner("child-0", "invalid value", "a child of no bytes", 1, 100, 0)
    inner("overflow", "invalid value | over the limit", "children of more than 2^64 bytes", 1, (1 << 64) - 1, 1)
    vector("content-list", "version-2", "unsupported version or feature", "version 2", b"\2" + num(0) + num(0))
    vector("content-list", "more", "trailing bytes", "a byte too many", b"\1" + num(0) + seq([extent(2, 1)]) + b"\0")
    vector("content-list", "cut", "truncated", "the last byte is missing", b"\1" + num(0) + seq([extent(0, 100)])[:-1])


def records():
    def record(sealed=b"\x77" * 80, body_hash=None, gap=bytes(7), end=bytes(8), **fields):
        body_hash = blake3(sealed).digest() if body_hash is None else body_hash
        part = (W1 + struct.pack("<Q", 5) + A + struct.pack("<qqB", 1_700_000_000_000, -1, 11) + gap + body_hash + end)
        return whole(8, part + sealed + b"\x88" * 64, **fields)
    p = {"repository": REPO}
    ok = record()
    vector("history-record", "whole", "accept", "a record", ok, **p)
    vector("history-record", "epoch-3", "accept", "epoch 3", record(epoch=3), **p)
    vector("history-record", "no-body", "accept", "a sealed body of no bytes", record(b""), **p)
    vector("history-record", "body-hash", "hash differs from the trailer", "another body", record(body_hash=A), **p)
    vector("history-record", "gap", "reserved bytes are not zero", "a reserved byte", record(gap=b"\1" + bytes(6)), **p)
    vector("history-record", "end", "reserved bytes are not zero", "a reserved byte", record(end=bytes(7) + b"\1"), **p)
    vector("history-record", "short", "truncated", "183 bytes between header and trailer", whole(8, bytes(183)), **p)
    vector("history-record", "tiny", "truncated", "10 bytes between header and trailer", whole(8, bytes(10)), **p)
    vector("history-record", "kind", "wrong kind of object", "a batch", whole(9, ok[64:-32]), **p)
    vector("history-record", "repository", "belongs to another repository", "other id", ok, repository=OTHER)
    vector("history-record", "cut", "truncated", "the last byte is missing", ok[:-1], **p)

    def body(name, expect, note, kind, event, heads=((W1, 4, A),), version=1, more=b""):
        vector("history-body", name, expect, note, bytes([version]) + seq(w + num(n) + h for w, n, h in heads)
               + event + more, type=kind)
    tags = B + seq([txt("month-end")]) + txt("ann@till")
    snapshot = (A + num(2) + totals(2, 0, 4) + opt(None) + seq([]) + zig(1_700_000_000_000) + txt("till") + txt("ann")
                + txt("strongroom 0.1.0") + seq([byt(b"/srv")]) + seq([txt("daily")]) + txt("") + opt(B) + b"\0" + num(0)
                + seq([byt(b"pos.db") + txt("sqlite:/srv/pos.db") + zig(-1) + num(7)]) + b"".join(map(num, range(248, 257))))
    body("created", "accept", "the first record", 1, txt("strongroom 0.1.0") + txt("till") + txt("ann") + A, ())
    body("snapshot", "accept", "a snapshot", 2, snapshot)
    body("key", "accept", "a slot was added", 7, W2 + b"\1" + txt("office") + txt("ann@till"))
    body("tags", "accept", "tags", 11, tags, ((W1, 4, A), (W2, 1 << 40, B)))
    forgotten = seq([A, B]) + txt("7 daily") + txt("ann@till")
    body("forget", "accept", "two snapshots are forgotten", 3, forgotten)
    body("forget-twice", "out of order", "one snapshot twice", 3, seq([A, A]) + txt("") + txt(""))
    body("forget-unsorted", "out of order", "snapshots descend", 3, seq([B, A]) + txt("") + txt(""))
    body("hold", "accept", "a hold", 4, seq([A]) + txt("audit") + txt("ann@till"))
    body("hold-unsorted", "out of order", "snapshots descend", 4, seq([B, A]) + txt("") + txt(""))
    body("release", "accept", "a hold is released for one snapshot", 5, seq([C32]) + seq([A]) + txt("over") + txt("ann@till"))
    body("release-records", "out of order", "records descend", 5, seq([C32, B]) + seq([]) + txt("") + txt(""))
    body("release-unsorted", "out of order", "snapshots descend", 5, seq([C32]) + seq([B, A]) + txt("") + txt(""))
    body("verify", "accept", "a drill", 6, A + b"\1" + num(300) + num(1 << 33) + num(0) + txt("all of it") + txt("ann@till"))
    body("config", "accept", "a configuration", 8, num(1) + A + txt("features") + txt("ann@till"))
    body("prune", "accept", "two packs are gone", 9,
         txt("00000001-0badcafe") + seq([A, B]) + num(1 << 26) + num(1) + txt("ann@till"))
    body("prune-unsorted", "out of order", "packs descend", 9, txt("") + seq([B, A]) + num(0) + num(0) + txt(""))
    body("rebase", "accept", "a snapshot was looked at again", 10, A + seq([txt("00000001-0badcafe")]) + txt("ann@till"))
    body("type-200", "accept", "a type that is not known is kept unread", 200, b"\xff\xff")
    body("version-2", "accept", "a version that is not known is kept unread", 11, tags, version=2)
    body("heads-unsorted", "out of order", "heads descend", 11, tags, ((W2, 4, A), (W1, 1, B)))
    body("heads-twice", "out of order", "one writer twice", 11, tags, ((W1, 4, A), (W1, 5, B)))
    body("bool-2", "invalid value", "added is 2", 7, W2 + b"\2" + txt("office") + txt("ann@till"))
    body("more", "trailing bytes", "a byte too many", 11, tags, more=b"\0")
    body("cut", "truncated", "the last byte is missing", 11, tags[:-1])
    vector("history-body", "empty", "truncated", "no byte", b"", type=11)


def pruning():
    def plan(name, expect, note, heads=((W1, 4, A),), condemned=((A, 0, 1 << 25), (B, 1, 99)), survivors=(C32,),
             version=1, more=b""):
        vector("prune-plan", name, expect, note, bytes([version]) + seq(w + num(n) + h for w, n, h in heads)
               + seq([txt("00000001-0badcafe")]) + zig(1_700_000_000_000) + num(86_400_000) + txt("ann@till")
               + seq(p + bytes([m]) + num(n) for p, m, n in condemned) + seq(survivors) + more)
    plan("whole", "accept", "a plan")
    plan("fork", "accept", "two heads of one writer", ((W1, 4, A), (W1, 4, B), (W1, 5, A)))
    plan("heads-unsorted", "out of order", "heads descend", ((W2, 4, A), (W1, 4, A)))
    plan("head-twice", "out of order", "a head twice", ((W1, 4, A), (W1, 4, A)))
    plan("condemned-unsorted", "out of order", "packs descend", condemned=((B, 0, 1), (A, 0, 1)))
    plan("condemned-twice", "out of order", "a pack twice", condemned=((A, 0, 1), (A, 1, 2)))
    plan("condemned-bool", "invalid value", "metadata is 2", condemned=((A, 2, 1),))
    plan("survivors-unsorted", "out of order", "packs descend", survivors=(C32, A))
    plan("version-2", "unsupported version or feature", "version 2", version=2)
    plan("more", "trailing bytes", "a byte too many", more=b"\0")
    sweep = zig(1_700_000_000_000) + txt("ann@till")
    vector("prune-sweep", "whole", "accept", "a sweep", b"\1" + sweep)
    vector("prune-sweep", "version-2", "unsupported version or feature", "version 2", b"\2" + sweep)
    vector("prune-sweep", "more", "trailing bytes", "a byte too many", b"\1" + sweep + b"\0")
    vector("prune-done", "whole", "accept", "an end that reprieved a pack", b"\1" + sweep + seq([A]))
    vector("prune-done", "unsorted", "out of order", "packs descend", b"\1" + sweep + seq([B, A]))
    vector("prune-done", "version-2", "unsupported version or feature", "version 2", b"\2" + sweep + seq([]))
    vector("prune-done", "more", "trailing bytes", "a byte too many", b"\1" + sweep + seq([]) + b"\0")


def cards():
    def card(label=b"\x66" * 60, more=b""):
        return whole(4, W1 + A + b"\x99" * 64 + u32(len(label)) + label + more, epoch=2)
    p = {"repository": REPO}
    vector("writer-card", "whole", "accept", "a card", card(), **p)
    vector("writer-card", "more", "trailing bytes", "a byte too many", card(more=b"\0"), **p)
    vector("writer-card", "cut", "truncated", "no label", whole(4, W1 + A + b"\x99" * 64), **p)
    vector("writer-card", "repository", "belongs to another repository", "other id", card(), repository=OTHER)
    vector("writer-card", "trailer", "hash differs from the trailer", "the last byte differs",
           card()[:-1] + bytes([card()[-1] ^ 1]), **p)


def seals():
    key, domain, aad, salt = A, "strongroom v1 config", context(2, 0) + u32(0), bytes(range(24))
    p = {"key": key, "domain": domain, "aad": aad}
    ok = seal(key, domain.encode(), aad, b"forty-two invoices", salt)
    vector("seal", "opens", "accept", "SEAL of SPEC 3.3", ok, **p, plain=b"forty-two invoices")
    vector("seal", "empty", "accept", "no plain bytes", seal(key, domain.encode(), aad, b"", salt), **p, plain=b"")
    vector("seal", "salt", "not authentic", "the salt differs", bytes([ok[0] ^ 1]) + ok[1:], **p)
    vector("seal", "tag", "not authentic", "the tag differs", ok[:-1] + bytes([ok[-1] ^ 1]), **p)
    vector("seal", "domain", "not authentic", "another domain", ok, **{**p, "domain": "strongroom v1 label"})
    vector("seal", "context", "not authentic", "another generation", ok, **{**p, "aad": context(2, 0) + u32(1)})
    vector("seal", "short", "not authentic", "39 bytes", ok[:39], **p)

    id_key, plain = B, b"plain bytes of a blob"
    for name, kind, given, fault in (("opens", 0, plain, None), ("tree", 1, plain, None), ("other-id", 0, b"other", 1)):
        id = blake3(bytes([kind]) + plain, key=id_key).digest()
        aad = b"strongroom v1 blob" + REPO + id + bytes([kind, 0]) + u32(len(given))
        one = blake3(salt + id, key=key).digest()
        frame = salt + ChaCha20Poly1305(one).encrypt(bytes(12), given, aad)
        vector("frame", name, "invalid value" if fault else "accept",
               "a frame whose bytes are not those of its id" if fault else "a raw frame of SPEC 5.2", frame, key=key,
               id_key=id_key, repository=REPO, id=id, kind=kind, encoding=0, plain_bytes=len(given),
               **({} if fault else {"plain": given}))
    deltas(key, id_key, salt)


def deltas(key, id_key, salt):
    """Frames of encoding 2: a zstd frame with the plain bytes of two bases, joined, as raw prefix."""
    one = b"".join(b"invoice %d of the till\n" % number for number in range(40))
    two = b"".join(b"payment %d of the till\n" % number for number in range(40))
    plain = two[:500] + b"a line that is new\n" + one[100:]
    ids = [blake3(b"\0" + base, key=id_key).digest() for base in (one, two)]
    id = blake3(b"\0" + plain, key=id_key).digest()

    def delta(given, bases):
        prefix = zstandard.ZstdCompressionDict(bases, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
        parameters = zstandard.ZstdCompressionParameters.from_level(3, window_log=17)
        return zstandard.ZstdCompressor(dict_data=prefix, compression_params=parameters).compress(given)

    def add(name, expect, note, encoded, context_ids=ids, bases=one + two, length=len(plain)):
        aad = b"strongroom v1 blob" + REPO + id + bytes([0, 2]) + u32(length) + b"".join(context_ids)
        frame = salt + ChaCha20Poly1305(blake3(salt + id, key=key).digest()).encrypt(bytes(12), encoded, aad)
        vector("frame", name, expect, note, frame, key=key, id_key=id_key, repository=REPO, id=id, kind=0, encoding=2,
               plain_bytes=length, bases=" ".join(base.hex() for base in ids), base_plain=bases,
               **({"plain": plain} if expect == "accept" else {}))
    encoded = delta(plain, one + two)
    add("delta", "accept", "a delta with two bases", encoded)
    add("delta-base", "invalid value", "the bases hold other bytes than those it was made with", encoded,
        bases=two + one)
    add("delta-order", "not authentic", "the bases are named in another order", encoded, context_ids=ids[::-1])
    add("delta-length", "invalid value", "one byte more is promised than there is", encoded, length=len(plain) + 1)


MASKS = [0, 0x1804110, 0x1803110, 0x18035100, 0x1800035300, 0x19000353000, 0x590003530000, 0xD90003530000,
         0xD90103530000, 0xD90303530000, 0xD90313530000, 0xD90F03530000, 0xD90303537000, 0xD90703537000,
         0xD90707537000, 0xD91707537000, 0xD91747537000, 0xD91767537000, 0xD93767537000]


def cut_lengths(chunk_key, data, low, avg, high):
    table = struct.unpack("<256Q", blake3(chunk_key, derive_key_context="strongroom v1 gear table").digest(length=2048))
    bits = (avg * avg * 2).bit_length() - 1 >> 1  # floor(log2(avg) + 0.5)
    strict, loose, lengths = MASKS[bits + 2 - 4], MASKS[bits - 2 - 4], []
    while data:
        n = min(len(data), high)
        length = n
        if n > low:
            centre, h = min(avg, n) // 2 * 2, 0
            for i in range(low, n // 2 * 2):
                h = 2 * h + table[data[i]] & (1 << 64) - 1
                if not h & (strict if i < centre else loose):
                    length = i
                    break
        lengths.append(length)
        data = data[length:]
    return lengths


def cuts():
    for name, sizes, count in (("default", (65536, 262144, 1 << 20), 3_000_001), ("small", (4096, 16384, 65536), 300_001),
                               ("zeros", (4096, 16384, 65536), 200_001), ("least", (64, 90, 128), 1001),
                               ("uneven", (1000, 23170, 60002), 300_000)):
        data = bytes(count) if name == "zeros" else blake3(b"\1").digest(length=count)
        lengths = cut_lengths(b"\1" * 32, data, *sizes)
        vector("cuts", name, "accept", "lengths of the chunks of zeros" if name == "zeros" else
               "lengths of the chunks of the extended output of BLAKE3 over the byte 1", b"", chunk_key=b"\1" * 32,
               sizes=" ".join(map(str, sizes)), source="zeros" if name == "zeros" else "noise", bytes=count,
               lengths=" ".join(map(str, lengths)))


def examples():
    """The appendix of SPEC.md."""
    lines = ["| value | type | bytes |", "|---|---|---|"]
    lines += [f"| {v} | `u64` | `{num(v).hex()}` |" for v in (0, 250, 251, 65535, 65536, 1 << 32)]
    lines += [f"| {v} | `i64` | `{zig(v).hex()}` |" for v in (0, -1, 1, 125, -126)]
    lines += [f'| "till" | `text` | `{txt("till").hex()}` |', f"| none | `option<u64>` | `{opt(None).hex()}` |",
              f"| 251 | `option<u64>` | `{opt(num(251)).hex()}` |", f"| 1, 2, 300 | `list<u64>` | `{seq(map(num, (1, 2, 300))).hex()}` |"]

    def show(what, data):
        lines.extend(["", what + ":", "", "```"])
        lines.extend(data[at:at + 32].hex() for at in range(0, len(data), 32))
        lines.append("```")
    show('A whole object of kind 2 whose body is `"body"`, epoch 0, 100 bytes', whole(2, b"body"))
    show("`C(0)` of that object", context(2, 0))
    show("Clear part of a key slot: Argon2id, 64 MiB, 3 passes, 4 lanes, slot id 16 times `11`, salt `aa..`, commitment `bb..`",
         clear())
    show("Entry of a pack directory: id `aa..`, offset 64, frame of 50 bytes, 300 plain bytes, data, zstd",
         entry(encoding=1, plain=300))
    show("The same as a place of the index, in pack 7", entry(encoding=1, plain=300, pack=7))
    show('Tree node, a leaf with one file: name `"a"`, mode 0o644, owner 1000, group 100, user `"ann"`, no group name, mtime 0, '
         'ctime -1 s and 999,999,999 ns, nothing optional, 2 bytes inline: `"hi"`', b"\1" + num(0) + seq([node_entry()]))
    show('`SEAL(k, "strongroom v1 config", C(0) || generation 0, "forty-two invoices")` with `k = aa..` and the salt '
         "`00 01 .. 17`", seal(A, b"strongroom v1 config", context(2, 0) + u32(0), b"forty-two invoices", bytes(range(24))))
    show('Id of the data blob `"plain bytes of a blob"` under the id key `bb..`',
         blake3(b"\0" + b"plain bytes of a blob", key=B).digest())
    show("First four numbers of the gear table of the chunk key `01..`, as bytes",
         blake3(b"\1" * 32, derive_key_context="strongroom v1 gear table").digest(length=32))
    cut = cut_lengths(b"\1" * 32, blake3(b"\1").digest(length=3_000_001), 65536, 262144, 1 << 20)
    lines.extend(["", "FastCDC 65,536 / 262,144 / 1,048,576 under that table cuts the first 3,000,001 bytes of the extended "
                  f"output of BLAKE3 over the byte 1 into chunks of {', '.join(map(str, cut))} bytes."])
    return "\n".join(lines) + "\n"


def main():
    if sys.argv[1:] == ["--examples"]:
        return print(examples(), end="")
    for make in (numbers, envelopes, markers, key_slots, bundles, configs, directories, segments, trees, lists,
                 records, pruning, cards, seals, cuts):
        make()
    for folder, _, files in os.walk(HERE):
        for name in files:
            if name.endswith(".txt") and os.path.join(folder, name) not in written:
                sys.exit(f"{folder}/{name} is no longer made here: remove it")
    with open(os.path.join(HERE, "..", "..", "SPEC.md"), encoding="utf-8") as file:
        if examples() not in file.read():
            sys.exit("the examples of SPEC.md are not those that make.py --examples prints")
    print(len(written), "vectors")


if __name__ == "__main__":
    main()
