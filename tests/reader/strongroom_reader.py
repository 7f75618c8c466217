#!/usr/bin/env python3
"""Reads strongroom repositories in local folders: an independent reader, made from SPEC.md alone.

It shares no code and no structure with the programs that write repositories, so that what both
agree on is what SPEC.md says. It never writes to a repository. Section numbers are those of SPEC.md.

    strongroom_reader.py list    REPO --password-file F
    strongroom_reader.py ls      REPO SNAPSHOT [PATH] --password-file F
    strongroom_reader.py restore REPO SNAPSHOT TARGET --password-file F
    strongroom_reader.py verify  REPO --password-file F

Exit: 0 all is well, 1 damage was seen or something could not be done, 2 usage, 12 wrong password.
"""

import argparse
import datetime
import hmac
import os
import re
import resource
import stat
import struct
import sys
from collections import OrderedDict
from types import SimpleNamespace

import zstandard
from argon2.low_level import Type, hash_secret_raw
from blake3 import blake3
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives import serialization

# --- 1.5 limits -----------------------------------------------------------------------------------
MIB = 1 << 20
DATA_MAX, BLOB_MAX, PACK_MAX, SEGMENT_MAX, RECORD_MAX = MIB, 16 * MIB, 512 * MIB, 512 * MIB, 16 * MIB
PACK_BLOBS_MAX, SEGMENT_ENTRIES_MAX = 1 << 20, 4 << 20
BASES_MAX, BASE_BYTES_MAX, DEPTH_MAX, NAME_MAX, LINK_MAX, INLINE_MAX = 8, 8 * MIB, 64, 255, 65536, 1024
EXTENTS_MAX, LEVEL_MAX, NESTING_MAX, TEXT_MAX, MARKER_MAX = 65536, 32, 4096, 4096, 4096


class Damage(Exception):
    """Something is not as SPEC.md wants it."""


class Unsupported(Damage):
    """A newer program may be able to read it."""


class WrongSecret(Exception):
    """No slot opens."""


class DecodeError(Damage):
    """Bytes that are not the record they should be (1.4)."""

    def __init__(self, record, reason):
        super().__init__(f"{record}: {reason}")
        self.reason = reason


# --- 1.2 notation ---------------------------------------------------------------------------------
def H(data):
    return blake3(data).digest()


def MAC(key, data):
    return blake3(data, key=key).digest()


def KDF(context, data):
    return blake3(data, derive_key_context=context).digest()


# --- 1.3 records ----------------------------------------------------------------------------------
class Cursor:
    """Takes values from bytes, one after another; anything that is not canonical is refused."""

    def __init__(self, record, data):
        self.record, self.data, self.at = record, data, 0

    def fail(self, reason):
        raise DecodeError(self.record, reason)

    def take(self, count):
        if count > len(self.data) - self.at:
            self.fail("truncated")
        self.at += count
        return bytes(self.data[self.at - count:self.at])

    def fixed(self, count):
        return int.from_bytes(self.take(count), "little")

    def zeros(self, count):
        if any(self.take(count)):
            self.fail("reserved bytes are not zero")

    def varint(self, bits):
        first = self.fixed(1)
        if first <= 250:
            value = first
        else:
            width = {251: 2, 252: 4, 253: 8}.get(first)
            if width is None or width * 8 > bits:
                self.fail("invalid value")
            value = self.fixed(width)
            if value <= {2: 250, 4: 0xFFFF, 8: 0xFFFFFFFF}[width]:
                self.fail("not canonical")
        return value

    def end(self):
        if self.at != len(self.data):
            self.fail("trailing bytes")


def u8(c):
    return c.fixed(1)


def u32(c):
    return c.varint(32)


def u64(c):
    return c.varint(64)


def signed(bits):
    def read(c):
        v = c.varint(bits)
        return v >> 1 if v & 1 == 0 else -(v >> 1) - 1
    return read


i32, i64 = signed(32), signed(64)


def boolean(c):
    v = c.fixed(1)
    return bool(v) if v <= 1 else c.fail("invalid value")


def raw(count):
    return lambda c: c.take(count)


id16, id32 = raw(16), raw(32)


def bytes_(c):
    return c.take(u64(c))


def text(c):
    length = u64(c)
    if length > TEXT_MAX:
        c.fail("over the limit")
    try:
        return c.take(length).decode("utf-8")
    except UnicodeDecodeError:
        c.fail("invalid value")


def list_of(item):
    def read(c):
        count = u64(c)
        if count > len(c.data) - c.at:  # every item takes a byte at least
            c.fail("truncated")
        return [item(c) for _ in range(count)]
    return read


def option(item):
    return lambda c: item(c) if boolean(c) else None


def record(**fields):
    return lambda c: SimpleNamespace(**{name: read(c) for name, read in fields.items()})


def enum(**variants):
    names = list(variants)

    def read(c):
        index = c.varint(32)
        if index >= len(names):
            c.fail("invalid value")
        value = variants[names[index]](c)
        value.kind = names[index]
        return value
    return read


def versioned(what, read, data, check=lambda value, fail: None):
    c = Cursor(what, data)
    if c.fixed(1) != 1:
        c.fail("unsupported version or feature")
    value = read(c)
    c.end()
    check(value, c.fail)
    return value


def ascending(keys):
    return all(a < b for a, b in zip(keys, keys[1:]))


# The tables of the sections, as they stand there.
EPOCH = record(number=u32, secret=id32)
BUNDLE = record(repository=id16, id_key=id32, chunk_key=id32, signing_seed=id32, epochs=list_of(EPOCH))
LABEL = record(name=text, host=text, user=text, created=i64)
CHUNKER = enum(whole=record(), fastcdc=record(min=u32, avg=u32, max=u32), fixed=record(size=u32))
CONFIG = record(generation=u32, previous=id32, created=i64, files=CHUNKER, pages=CHUNKER, cut_from=u32,
                bundle_below=u32, bundle_bytes=u32, features_read=list_of(text),
                features_write=list_of(text), features_collect=list_of(text), create_only=text)
TOTALS = record(files=u64, directories=u64, bytes=u64)
CHILD = record(first_name=bytes_, id=id32, entries=u64, totals=TOTALS)
TIME = record(seconds=i64, nanos=u32)
ATTRIBUTE = record(name=bytes_, value=bytes_)
ATTRIBUTES = enum(none=record(), inline=record(list=list_of(ATTRIBUTE)), blob=record(id=id32))
EXTENT = enum(blob=record(id=id32, length=u32), slice=record(id=id32, offset=u32, length=u32),
              hole=record(length=u64))
CONTENT = enum(inline=record(bytes=bytes_), extents=record(chunker=CHUNKER, extents=list_of(EXTENT)),
               list=record(chunker=CHUNKER, root=id32))
DEVICE = record(major=u32, minor=u32)
BODY = enum(file=record(size=u64, content=CONTENT, digest=id32),
            directory=record(tree=id32, entries=u64, totals=TOTALS), symlink=record(target=bytes_),
            block_device=DEVICE, character_device=DEVICE, fifo=record(), socket=record())
ENTRY = record(name=bytes_, mode=u32, uid=u32, gid=u32, user=text, group=text, mtime=TIME, ctime=TIME,
               btime=option(TIME), link_group=option(record(device=u64, inode=u64)),
               attributes=ATTRIBUTES, body=BODY)
NODE = enum(leaf=record(entries=list_of(ENTRY)), inner=record(level=u8, children=list_of(CHILD)))
LIST_NODE = enum(leaf=record(extents=list_of(EXTENT)),
                 inner=record(level=u8, children=list_of(record(id=id32, bytes=u64))))
PACK_REF = record(hash=id32, is_metadata=boolean, klass=u8, epoch=u32, total=u64)
SEGMENT_HEAD = record(packs=list_of(PACK_REF), supersedes=list_of(id32), entry_count=u32, base_count=u32)
HEAD = record(writer=id16, seq=u64, hash=id32)
CREATED = record(program=text, host=text, user=text, config=id32)
KEY = record(slot=id16, added=boolean, name=text, actor=text)
TAGS = record(snapshot=id32, tags=list_of(text), actor=text)
STREAM = record(name=bytes_, origin=text, exit_status=i32, bytes=u64)
STATISTICS = record(files_new=u64, files_changed=u64, files_unchanged=u64, directories=u64,
                    bytes_read=u64, bytes_new=u64, bytes_stored=u64, blobs_new=u64, duration_ms=u64)
SNAPSHOT = record(root=id32, root_entries=u64, totals=TOTALS, pack_set=option(id32),
                  prune_basis=list_of(text), time=i64, host=text, user=text, program=text,
                  sources=list_of(bytes_), tags=list_of(text), label=text, parent=option(id32),
                  partial=boolean, unreadable=u64, streams=list_of(STREAM), statistics=STATISTICS)
EVENTS = {1: CREATED, 2: SNAPSHOT, 7: KEY, 11: TAGS}


# --- 2 objects ------------------------------------------------------------------------------------
KINDS = {"config": 2, "keys": 3, "writers": 4, "packs": 5, "meta": 6, "index": 7, "history": 8}
NAME = re.compile(r"(?:config/[0-9a-f]{8}|(?:keys|writers)/[0-9a-f]{32}|index/[0-9a-f]{64}"
                  r"|(?:packs|meta)/([0-9a-f]{2})/\1[0-9a-f]{62}"
                  r"|history/[0-9a-f]{32}/[0-9a-f]{16}-[0-9a-f]{16})")


def kind_of_name(name):
    return KINDS[name.split("/")[0]] if NAME.fullmatch(name) else None


def open_header(data, kind=None, repository=None):
    c = Cursor("object header", data[:64])
    if len(data) < 64:
        c.fail("truncated")
    if c.take(8) != b"STRGROOM":
        c.fail("not a strongroom object")
    h = SimpleNamespace(kind=c.fixed(1), version=c.fixed(1))
    if not 1 <= h.kind <= 13:
        c.fail("unsupported version or feature")
    if h.version != 1:
        c.fail("unsupported version or feature" if h.version else "invalid value")
    if c.fixed(2):
        c.fail("unsupported version or feature")
    h.epoch, h.repository, h.total, h.klass = c.fixed(4), c.take(16), c.fixed(8), c.fixed(1)
    c.zeros(23)
    if kind is not None and h.kind != kind:
        c.fail("wrong kind of object")
    if repository is not None and h.repository != repository:
        c.fail("belongs to another repository")
    return h


def open_object(data, kind=None, repository=None, limit=RECORD_MAX):
    """Checks a whole object (2.2); gives its header, body and trailer."""
    h = open_header(data, kind, repository)
    c = Cursor("object header", b"")
    if len(data) > limit:
        c.fail("over the limit")
    if len(data) < 96 or h.total > len(data):
        c.fail("truncated")
    if h.total != len(data):
        c.fail("length differs from the header")
    if H(data[:-32]) != data[-32:]:
        c.fail("hash differs from the trailer")
    return h, data[64:-32], bytes(data[-32:])


def decode_marker(data):
    """Gives the repository id (2.3)."""
    c = Cursor("marker", data)
    if len(data) > MARKER_MAX:
        c.fail("over the limit")
    try:
        content = data.decode("utf-8")
    except UnicodeDecodeError:
        c.fail("invalid value")
    lines = content.split("\n")
    if lines[0] != "strongroom repository":
        c.fail("not a strongroom object")

    def field(key, pattern):
        found = [line for line in lines if line.startswith(key + ": ")]
        match = re.fullmatch(pattern, found[0][len(key) + 2:]) if found else None
        return match.group() if match else c.fail("invalid value")
    major = int(field("format", "[0-9]{1,9}"))
    if major > 1:
        c.fail("unsupported version or feature")
    repository = field("repository", "[0-9a-f]{32}")
    if major != 1 or lines[-1] != "":
        c.fail("invalid value")
    return bytes.fromhex(repository)


def context(header, part):
    """C(part) of 3.3."""
    return struct.pack("<BB16sIB", header.kind, header.version, header.repository, header.epoch, part)


# --- 3 keys and sealing ---------------------------------------------------------------------------
def open_one_use(one_use, aad, sealed, what):
    try:
        return ChaCha20Poly1305(one_use).decrypt(bytes(12), bytes(sealed), aad)
    except InvalidTag:
        raise Damage(f"{what}: not authentic: wrong key, or damaged") from None


def open_sealed(key, domain, aad, sealed, what):
    if len(sealed) < 40:
        raise Damage(f"{what}: too short to be sealed")
    return open_one_use(MAC(key, bytes(sealed[:24]) + domain), aad, sealed[24:], what)


def decode_key_slot(data, repository=None):
    h, body, _ = open_object(data, 3, repository)
    c = Cursor("key slot", body)
    s = SimpleNamespace(header=h, clear=bytes(body[:112]), id=c.take(16), type=c.fixed(1))
    c.zeros(3)
    s.memory, s.passes, s.lanes = c.fixed(4), c.fixed(4), c.fixed(4)
    if s.type not in (1, 2):
        c.fail("unsupported version or feature")
    if s.type == 2 and (s.memory or s.passes or s.lanes):
        c.fail("reserved bytes are not zero")
    s.salt, s.commitment = c.take(32), c.take(32)
    c.zeros(16)
    s.bundle, s.label = c.take(c.fixed(4)), c.take(c.fixed(4))
    c.end()
    return s


def check_bundle(bundle, fail):
    if not bundle.epochs or not ascending([e.number for e in bundle.epochs]):
        fail("out of order")


def decode_bundle(data):
    return versioned("key bundle", BUNDLE, data, check_bundle)


def slot_key(slot, password, key_file):
    if slot.type == 1 and password is not None:
        if not (1 <= slot.lanes <= 16 and 1 <= slot.passes <= 16 and 8 * slot.lanes <= slot.memory <= 2 * MIB):
            raise Damage("key slot: costs outside the limits")
        return hash_secret_raw(password, slot.salt, slot.passes, slot.memory, slot.lanes, 32, Type.ID, 0x13)
    if slot.type == 2 and key_file is not None:
        return KDF("strongroom v1 key file", slot.salt + key_file)
    return None


class Keys:
    """Everything that comes from the bundle (3.1)."""

    PURPOSES = {"data": "data blobs", "metadata": "metadata blobs", "directory": "pack directories",
                "index": "index segments", "history": "history records", "config": "configuration",
                "label": "labels"}

    def __init__(self, bundle):
        self.id_key, self.chunk_key = bundle.id_key, bundle.chunk_key
        self.epochs = {e.number: {name: KDF("strongroom v1 " + purpose, e.secret)
                                  for name, purpose in self.PURPOSES.items()} for e in bundle.epochs}
        seed = KDF("strongroom v1 root signing", bundle.signing_seed)
        self.root_public = ed25519.Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes(
            serialization.Encoding.Raw, serialization.PublicFormat.Raw)

    def of(self, epoch, purpose):
        if epoch not in self.epochs:
            raise Damage(f"key epoch {epoch} is not in the key slot")
        return self.epochs[epoch][purpose]


def check_signature(public, message, signature, what):
    try:
        ed25519.Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        raise Damage(f"{what}: the signature does not hold") from None


# --- 4 configuration ------------------------------------------------------------------------------
def check_config(config, fail):
    for chunker in (config.files, config.pages):
        if chunker.kind == "fastcdc":
            sizes = (chunker.min, chunker.avg, chunker.max)
            if not 64 <= sizes[0] <= sizes[1] <= sizes[2] <= DATA_MAX or any(s % 2 for s in sizes):
                fail("invalid value")
        if chunker.kind == "fixed" and not 1 <= chunker.size <= DATA_MAX:
            fail("invalid value")
    if not all(1 <= size <= DATA_MAX for size in (config.cut_from, config.bundle_below, config.bundle_bytes)):
        fail("invalid value")


def decode_config(data):
    return versioned("config", CONFIG, data, check_config)


# --- 5 packs, 9 places ----------------------------------------------------------------------------
def check_entry(e, end, base_total, fail):
    if e.offset < 64 or e.stored < 40 or e.offset + e.stored > end:
        fail("invalid value")
    if e.plain > (DATA_MAX if e.kind == 0 else BLOB_MAX) or e.depth > DEPTH_MAX or e.base_count > BASES_MAX:
        fail("over the limit")
    if e.base_first + e.base_count > base_total or (e.base_count == 0) != (e.depth == 0):
        fail("invalid value")
    if (e.base_count == 0 and e.base_first) or (e.encoding < 2 and e.base_count):
        fail("invalid value")
    if (e.encoding == 2 and not e.base_count) or (e.encoding == 0 and e.stored - 40 != e.plain):
        fail("invalid value")


def read_entry(c, in_index):
    e = SimpleNamespace(id=c.take(32), pack=c.fixed(4) if in_index else None)
    e.offset, e.stored, e.plain = c.fixed(4), c.fixed(4), c.fixed(4)
    e.kind, e.encoding, e.depth, e.envelope, e.base_count = c.take(5)
    if e.kind > 4:
        c.fail("unsupported version or feature")
    c.zeros(3)
    e.base_first = c.fixed(4)
    return e


def decode_directory(data, end):
    """Entries of a pack whose sealed directory begins at `end` (5.3)."""
    c = Cursor("pack directory", data)
    entry_count, base_count = c.fixed(4), c.fixed(4)
    if entry_count > PACK_BLOBS_MAX:
        c.fail("over the limit")
    if len(data) != 8 + 56 * entry_count + 32 * base_count:
        c.fail("length differs from the header")
    entries, free_from = [], 64
    for _ in range(entry_count):
        e = read_entry(c, False)
        check_entry(e, end, base_count, c.fail)
        if e.offset < free_from:
            c.fail("out of order")
        free_from = e.offset + e.stored
        entries.append(e)
    return with_bases(c, entries, base_count)


def with_bases(c, entries, base_count):
    bases = [c.take(32) for _ in range(base_count)]
    for e in entries:
        e.bases = bases[e.base_first:e.base_first + e.base_count]
    return entries


def check_head(head, fail):
    if head.entry_count > SEGMENT_ENTRIES_MAX or any(p.total > PACK_MAX for p in head.packs):
        fail("over the limit")


def decode_segment_head(data):
    return versioned("index head", SEGMENT_HEAD, data, check_head)


def decode_segment_body(data, head):
    c = Cursor("index segment", data)
    if len(data) != 60 * head.entry_count + 32 * head.base_count:
        c.fail("length differs from the header")
    places, last = [], (b"", 0)
    for _ in range(head.entry_count):
        e = read_entry(c, True)
        if e.pack >= len(head.packs):
            c.fail("invalid value")
        if head.packs[e.pack].is_metadata != (e.kind != 0):
            c.fail("invalid value")
        check_entry(e, head.packs[e.pack].total - 36, head.base_count, c.fail)
        if last > (e.id, e.pack):
            c.fail("out of order")
        last = (e.id, e.pack)
        places.append(e)
    return with_bases(c, places, head.base_count)


# --- 6 trees, 7 contents --------------------------------------------------------------------------
def is_name(name):
    return 1 <= len(name) <= NAME_MAX and name not in (b".", b"..") and b"/" not in name and b"\0" not in name


def check_attributes(attributes, fail):
    if not ascending([a.name for a in attributes]):
        fail("out of order")
    if not all(a.name and b"\0" not in a.name for a in attributes):
        fail("invalid value")


def check_extents(extents, fail):
    if len(extents) > EXTENTS_MAX:
        fail("over the limit")
    for x in extents:
        end = getattr(x, "offset", 0) + x.length
        if x.length == 0 or end > (1 << 63) - 1 if x.kind == "hole" else not 0 < x.length <= end <= DATA_MAX:
            fail("invalid value")
    total = sum(x.length for x in extents)
    return total if total < 1 << 64 else fail("over the limit")


def check_tree_entry(e, fail):
    if not is_name(e.name) or e.mode > 0o7777:
        fail("invalid value")
    if any(t.nanos >= 10**9 for t in (e.mtime, e.ctime, e.btime) if t):
        fail("invalid value")
    if e.attributes.kind == "inline":
        check_attributes(e.attributes.list, fail)
        if sum(len(a.name) + len(a.value) for a in e.attributes.list) > INLINE_MAX:
            fail("over the limit")
    if e.body.kind == "symlink":
        if len(e.body.target) > LINK_MAX:
            fail("over the limit")
        if not e.body.target or b"\0" in e.body.target:
            fail("invalid value")
    if e.body.kind == "file":
        content, size = e.body.content, e.body.size
        if content.kind == "inline" and len(content.bytes) > INLINE_MAX:
            fail("over the limit")
        if content.kind == "inline" and len(content.bytes) != size:
            fail("length differs from the header")
        if content.kind == "extents" and check_extents(content.extents, fail) != size:
            fail("length differs from the header")


def check_node(node, fail):
    if node.kind == "leaf":
        for e in node.entries:
            check_tree_entry(e, fail)
        if not ascending([e.name for e in node.entries]):
            fail("out of order")
    else:
        if not 1 <= node.level <= LEVEL_MAX or not node.children:
            fail("invalid value")
        if not all(is_name(child.first_name) for child in node.children):
            fail("invalid value")
        if not ascending([child.first_name for child in node.children]):
            fail("out of order")


def check_list_node(node, fail):
    if node.kind == "leaf":
        node.bytes = check_extents(node.extents, fail)
    else:
        if not 1 <= node.level <= LEVEL_MAX or any(child.bytes == 0 for child in node.children):
            fail("invalid value")
        node.bytes = sum(child.bytes for child in node.children)
    if node.bytes == 0 or node.bytes >= 1 << 64:
        fail("invalid value")


def decode_tree_node(data):
    return versioned("tree node", NODE, data, check_node)


def decode_list_node(data):
    return versioned("content list", LIST_NODE, data, check_list_node)


def decode_attributes(data):
    return versioned("attributes", record(list=list_of(ATTRIBUTE)), data,
                     lambda value, fail: check_attributes(value.list, fail)).list


# --- 8 history ------------------------------------------------------------------------------------
def decode_card(data, repository):
    h, body, _ = open_object(data, 4, repository)
    c = Cursor("writer card", body)
    card = SimpleNamespace(header=h, writer=c.take(16), public=c.take(32), signature=c.take(64))
    card.label = c.take(c.fixed(4))
    c.end()
    return card


def decode_record(data, repository):
    h, body, trailer = open_object(data, 8, repository)
    c = Cursor("history record", body)
    if len(body) < 120 + 64:
        c.fail("truncated")
    r = SimpleNamespace(header=h, id=trailer, clear=bytes(body[:120]), writer=c.take(16), seq=c.fixed(8),
                        previous=c.take(32), time=struct.unpack("<q", c.take(8))[0],
                        retain_until=struct.unpack("<q", c.take(8))[0], type=c.fixed(1))
    c.zeros(7)
    r.body_hash = c.take(32)
    c.zeros(8)
    r.sealed, r.signature = bytes(body[120:-64]), bytes(body[-64:])
    if H(r.sealed) != r.body_hash:
        c.fail("hash differs from the trailer")
    return r


def decode_history_body(kind, data):
    """Heads and event; none of either for a type or version that is not known."""
    if not data:
        Cursor("history record", data).fail("truncated")
    if data[0] != 1 or kind not in EVENTS:
        return SimpleNamespace(heads=[], event=None)

    def check(value, fail):
        if not ascending([head.writer for head in value.heads]):
            fail("out of order")
    return versioned("history record", record(heads=list_of(HEAD), event=EVENTS[kind]), data, check)


# --- a repository ---------------------------------------------------------------------------------
class Folder:
    """A store in a local folder; read only, never through a link."""

    def __init__(self, path):
        self.path = path

    def list(self):
        names = []
        for folder, folders, files in os.walk(self.path, onerror=self.stop):
            folders[:] = [f for f in folders if not f.startswith(".")]
            prefix = os.path.relpath(folder, self.path)
            for name in files:
                if not name.startswith("."):
                    names.append(name if prefix == "." else f"{prefix}/{name}")
        return sorted(names)

    @staticmethod
    def stop(error):
        raise error

    def get(self, name, offset=0, length=None):
        try:
            fd = os.open(os.path.join(self.path, name), os.O_RDONLY | os.O_NOFOLLOW)
        except FileNotFoundError:
            raise Damage(f"{name} is missing") from None
        with open(fd, "rb") as file:
            if length is None and os.fstat(fd).st_size > PACK_MAX:
                raise DecodeError(name, "over the limit")
            file.seek(offset)
            data = file.read() if length is None else file.read(length)
        if length is not None and len(data) != length:
            raise Damage(f"{name} ends before byte {offset + length}")
        return data


class Repository:
    """An open repository: keys, configuration, history, index."""

    def __init__(self, path, password=None, key_file=None):
        self.store = Folder(path)
        try:
            marker = self.store.get("strongroom")
        except Damage:
            raise Damage(f"there is no repository in {path}") from None
        self.id = decode_marker(marker)
        self.problems, self.notices = [], []
        self.names = self.store.list()
        self.cache, self.cached_bytes = OrderedDict(), 0
        self.unlock(password, key_file)
        self.read_config()

    def named(self, kind):
        return [name for name in self.names if kind_of_name(name) == kind]

    def problem(self, where, what):
        line = f"{where}: {what}"
        if line not in self.problems:
            self.problems.append(line)
            print(f"damage: {escape(line)}", file=sys.stderr)

    def unlock(self, password, key_file):
        for name in self.named(3)[:256]:
            try:
                slot = decode_key_slot(self.store.get(name), self.id)
                if name != "keys/" + slot.id.hex():
                    raise Damage("it holds another slot")
                key = slot_key(slot, password, key_file)
                if key is None or not hmac.compare_digest(KDF("strongroom v1 slot commitment", key), slot.commitment):
                    continue
                plain = open_sealed(KDF("strongroom v1 slot wrap", key), b"strongroom v1 key slot",
                                    context(slot.header, 0) + slot.clear, slot.bundle, "bundle")
                bundle = decode_bundle(plain)
                if bundle.repository != self.id:
                    raise Damage("the bundle is of another repository")
                self.keys = Keys(bundle)
                return
            except Damage as error:
                self.problem(name, error)
        raise WrongSecret("no key slot opens with this password or key file")

    def read_config(self):
        previous = None
        for name in self.named(2):
            generation = int(name[7:], 16)
            header, body, trailer = open_object(self.store.get(name), 2, self.id)
            plain = open_sealed(self.keys.of(header.epoch, "config"), b"strongroom v1 config",
                                context(header, 0) + struct.pack("<I", generation), body, name)
            config = decode_config(plain)
            if config.generation != generation or previous and (
                    config.previous != previous[1] or generation != previous[0] + 1):
                raise Damage(f"{name}: it does not follow the one before")
            previous, self.config = (generation, trailer), config
        if previous is None:
            raise Damage("the repository has no configuration")
        if self.config.features_read:
            raise Unsupported(f"feature {self.config.features_read[0]} is not known")

    # History (8.3)
    def read_history(self, accept_rollback=False):
        public = {}
        for name in self.named(4):
            try:
                card = decode_card(self.store.get(name), self.id)
                if name != "writers/" + card.writer.hex():
                    raise Damage("it is the card of another writer")
                check_signature(self.keys.root_public, b"strongroom v1 writer card" + self.id + card.writer
                                + card.public, card.signature, "card")
                versioned("label", LABEL, open_sealed(
                    self.keys.of(card.header.epoch, "label"), b"strongroom v1 label",
                    context(card.header, 0) + card.writer, card.label, "label"))
                public[card.writer] = card.public
            except Damage as error:
                self.problem(name, error)
        chains = {}
        for name in self.named(8):
            try:
                r = self.read_record(name, public)
                chains.setdefault(r.writer, []).append(r)
            except Damage as error:
                self.problem(name, error)
        missing = self.follow(chains)
        self.records = sorted((r for chain in chains.values() for r in chain),
                              key=lambda r: (r.time, r.writer, r.seq))
        present = {r.id for r in self.records}
        for r in self.records:
            missing += [f"record {h.seq} of writer {h.writer.hex()[:8]}" for h in r.body.heads
                        if h.hash not in present]
        for gone in sorted(set(missing)):
            self.problem("history", f"{gone} is gone (rollback)")
        if missing and not accept_rollback:
            raise Damage("the history is shorter than it was; --accept-rollback goes on all the same")
        self.snapshots = sorted((r for r in self.records if r.type == 2 and r.body.event),
                                key=lambda r: (r.body.event.time, r.id))
        for r in self.records:
            for s in self.snapshots:
                if r.type == 11 and r.body.event and r.body.event.snapshot == s.id:
                    s.body.event.tags = r.body.event.tags

    def read_record(self, name, public):
        r = decode_record(self.store.get(name), self.id)
        if name != f"history/{r.writer.hex()}/{r.seq:016x}-{r.id[:8].hex()}":
            raise Damage("the record belongs under another name")
        if r.writer not in public:
            raise Damage("its writer has no card that holds")
        c0 = context(r.header, 0)
        check_signature(public[r.writer], b"strongroom v1 history record" + c0 + r.clear, r.signature, "record")
        plain = open_sealed(self.keys.of(r.header.epoch, "history"), b"strongroom v1 history body",
                            c0 + r.clear[:80], r.sealed, "body")
        r.body = decode_history_body(r.type, plain)
        return r

    def follow(self, chains):
        missing = []
        for writer, chain in chains.items():
            by_seq = {}
            for r in chain:
                by_seq.setdefault(r.seq, []).append(r)
            last = max(by_seq)
            absent = last + 1 - len(by_seq)
            gaps = [seq for seq in range(min(last, len(by_seq) + 100)) if seq not in by_seq][:100]
            missing += [f"record {seq} of writer {writer.hex()[:8]}" for seq in gaps]
            if absent > len(gaps):
                missing.append(f"{absent - len(gaps)} more records of writer {writer.hex()[:8]}")
            for seq, records in by_seq.items():
                if len(records) > 1:
                    self.notices.append(f"writer {writer.hex()[:8]} has {len(records)} records {seq}: a fork")
                before = {r.id for r in by_seq.get(seq - 1, [])} if seq else {bytes(32)}
                for r in records:
                    if before and r.previous not in before:
                        self.problem(f"record {seq} of writer {writer.hex()[:8]}",
                                     "it does not follow the record before it")
        return missing

    # Index (9)
    def read_index(self):
        self.places = {}
        self.segment_packs = {}
        for name in self.named(7):
            try:
                header, body, trailer = open_object(self.store.get(name), 7, self.id, SEGMENT_MAX)
                if trailer.hex() != name[6:]:
                    raise Damage("its trailer is not its name")
                c = Cursor("index segment", body)
                sealed_head = c.take(c.fixed(4))
                key = self.keys.of(header.epoch, "index")
                head = decode_segment_head(open_sealed(
                    key, b"strongroom v1 index head", context(header, 0), sealed_head, "head"))
                plain = open_sealed(key, b"strongroom v1 index body", context(header, 1) + H(sealed_head),
                                    body[c.at:], "body")
                for e in decode_segment_body(plain, head):
                    e.pack = head.packs[e.pack]
                    e.pack.name = pack_name(e.pack)
                    e.segment = name
                    self.places.setdefault(e.id, []).append(e)
                for pack in head.packs:
                    self.segment_packs[pack_name(pack)] = pack
            except Damage as error:
                self.problem(name, error)
        # Packs that no segment names, or whose segment is damaged, tell themselves what they hold.
        for name in self.named(5) + self.named(6):
            if name not in self.segment_packs:
                self.notices.append(f"{name} is in no segment")
                try:
                    for e in self.read_directory(name):
                        self.places.setdefault(e.id, []).append(e)
                except Damage as error:
                    self.problem(name, error)
        for places in self.places.values():
            places.sort(key=lambda e: e.depth)

    def read_directory(self, name, data=None):
        data = self.store.get(name) if data is None else data
        is_metadata = name.startswith("meta/")
        header, _, trailer = open_object(data, 6 if is_metadata else 5, self.id, PACK_MAX)
        if trailer.hex() != name.split("/")[2]:
            raise Damage("its trailer is not its name")
        length = struct.unpack("<I", data[-36:-32])[0]
        end = len(data) - 36 - length
        if length < 40 or end < 64:
            raise DecodeError("pack footer", "invalid value")
        entries = decode_directory(open_sealed(
            self.keys.of(header.epoch, "directory"), b"strongroom v1 pack directory", context(header, 0),
            data[end:-36], "directory"), end)
        pack = SimpleNamespace(hash=trailer, is_metadata=is_metadata, klass=header.klass, epoch=header.epoch,
                               total=len(data), name=name)
        for e in entries:
            if (e.kind != 0) != is_metadata:
                raise Damage("it holds blobs of the other kind of pack")
            e.pack = pack
        return entries

    # Blobs (5)
    def open_frame(self, e, frame, depth=0):
        if e.encoding > 2 or e.envelope:
            raise Unsupported(f"blob {e.id.hex()[:8]}: encoding or envelope is not known")
        if depth > DEPTH_MAX:
            raise Damage(f"blob {e.id.hex()[:8]}: too deep a chain of deltas")
        aad = b"".join([b"strongroom v1 blob", self.id, e.id, struct.pack("<BBI", e.kind, e.encoding, e.plain),
                        *e.bases])
        key = self.keys.of(e.pack.epoch, "metadata" if e.kind else "data")
        what = f"blob {e.id.hex()[:8]} of {e.pack.name}"
        encoded = open_one_use(MAC(key, frame[:24] + e.id), aad, frame[24:], what)
        base = b"".join(self.read_blob(id, None, depth + 1) for id in e.bases)
        plain = decode_blob(e.encoding, encoded, e.plain, base, what)
        if MAC(self.keys.id_key, bytes([e.kind]) + plain) != e.id:
            raise Damage(f"{what}: the bytes are not those that the id names")
        return plain

    def read_blob(self, id, kind, depth=0):
        if (id, kind) in self.cache:
            self.cache.move_to_end((id, kind))
            return self.cache[id, kind]
        trouble = Damage(f"blob {id.hex()[:8]} is in no pack")
        for e in self.places.get(id, []):
            if kind is not None and e.kind != kind:
                trouble = Damage(f"blob {id.hex()[:8]} is not of the kind it is used as")
                continue
            try:
                plain = self.open_frame(e, self.store.get(e.pack.name, e.offset, e.stored), depth)
                self.cache[id, kind] = plain
                self.cached_bytes += len(plain)
                while self.cached_bytes > 64 * MIB:
                    self.cached_bytes -= len(self.cache.popitem(last=False)[1])
                return plain
            except Damage as error:
                trouble = error
        raise trouble

    # Trees and contents (6, 7)
    def entries(self, root):
        """Entries of one directory, in order; checks the order across nodes."""
        pending, last = [(root, None)], b""
        while pending:
            id, level = pending.pop()
            node = decode_tree_node(self.read_blob(id, 1))
            found = 0 if node.kind == "leaf" else node.level
            if level is not None and (level != found or node.kind == "leaf" and not node.entries):
                raise Damage(f"tree node {id.hex()[:8]} is of the wrong level, or empty")
            if node.kind == "inner":
                pending += [(child.id, node.level - 1) for child in reversed(node.children)]
                continue
            for e in node.entries:
                if e.name <= last:
                    raise Damage(f"tree node {id.hex()[:8]} is out of order")
                last = e.name
                yield e

    def extents(self, content, size):
        if content.kind == "extents":
            yield from content.extents
        if content.kind == "list":
            pending = [(content.root, None, size)]
            while pending:
                id, level, covers = pending.pop()
                node = decode_list_node(self.read_blob(id, 2))
                found = 0 if node.kind == "leaf" else node.level
                if node.bytes != covers or level is not None and level != found:
                    raise Damage(f"content list {id.hex()[:8]} does not cover what it should")
                if node.kind == "inner":
                    pending += [(child.id, node.level - 1, child.bytes) for child in reversed(node.children)]
                else:
                    yield from node.extents

    def pieces(self, body):
        """The bytes of a file in order; a hole as its length. Ends in an error if the digest differs."""
        digest, zeros = blake3(), bytes(MIB)
        if body.content.kind == "inline":
            digest.update(body.content.bytes)
            yield body.content.bytes
        for x in self.extents(body.content, body.size):
            if x.kind == "hole":
                for start in range(0, x.length, MIB):
                    digest.update(zeros[:min(MIB, x.length - start)])
                yield x.length
                continue
            plain = self.read_blob(x.id, 0)
            if x.kind == "slice":
                plain = plain[x.offset:x.offset + x.length]
            if len(plain) != x.length:
                raise Damage(f"blob {x.id.hex()[:8]} is not as long as the extent says")
            digest.update(plain)
            yield plain
        if digest.digest() != body.digest:
            raise Damage("the content is not what the digest says")

    def attributes(self, e):
        if e.attributes.kind == "blob":
            return decode_attributes(self.read_blob(e.attributes.id, 3))
        return e.attributes.list if e.attributes.kind == "inline" else []

    def snapshot(self, name):
        found = [s for s in self.snapshots if s.id.hex().startswith(name)]
        if name == "latest" and self.snapshots:
            found = self.snapshots[-1:]
        if len(found) != 1:
            raise Damage(f"{len(found)} snapshots are named {name}")
        return found[0]


def pack_name(pack):
    return f"{'meta' if pack.is_metadata else 'packs'}/{pack.hash.hex()[:2]}/{pack.hash.hex()}"


def decode_blob(encoding, encoded, plain_bytes, base, what):
    """5.4. Memory is taken for the bytes that the entry promises, whatever the frame claims."""
    if encoding == 0:
        plain = encoded
    else:
        if len(base) > BASE_BYTES_MAX:
            raise DecodeError(what, "over the limit")
        prefix = zstandard.ZstdCompressionDict(base, dict_type=zstandard.DICT_TYPE_RAWCONTENT) if base else None
        try:
            claim = zstandard.get_frame_parameters(encoded).content_size
            if claim not in (plain_bytes, zstandard.CONTENTSIZE_UNKNOWN):
                raise Damage(f"{what}: the frame claims {claim} bytes where {plain_bytes} were promised")
            plain = zstandard.ZstdDecompressor(dict_data=prefix, max_window_size=16 * MIB).decompress(
                encoded, max_output_size=max(plain_bytes, 1), allow_extra_data=False)
        except zstandard.ZstdError as error:
            raise Damage(f"{what}: does not decompress: {error}") from None
    if len(plain) != plain_bytes:
        raise Damage(f"{what}: {len(plain)} bytes where {plain_bytes} were promised")
    return plain


def escape(name):
    """What is safe to print: everything else as \\xNN."""
    if isinstance(name, bytes):
        name = name.decode("utf-8", "surrogateescape")
    return "".join(c if c.isprintable() and c != "\\" else "\\\\" if c == "\\" else "".join(
        f"\\x{b:02x}" for b in c.encode("utf-8", "surrogateescape")) for c in name)


# --- restore --------------------------------------------------------------------------------------
class Restore:
    """Writes a tree below a folder, one component at a time and never through a link (12)."""

    def __init__(self, repo, target):
        self.repo, self.links, self.is_root = repo, {}, os.geteuid() == 0
        os.makedirs(target, exist_ok=True)
        self.root = os.open(target, os.O_RDONLY | os.O_DIRECTORY)
        if os.listdir(self.root):
            raise Damage(f"{target} is not empty")

    def folder(self, root, fd, path, depth=1):
        if depth > NESTING_MAX:
            return self.repo.problem(escape(b"/".join(path)), "nested too deeply")
        try:
            for e in self.repo.entries(root):
                where = path + [e.name]
                try:
                    self.entry(e, fd, where, depth)
                except (Damage, OSError) as error:
                    self.repo.problem(escape(b"/".join(where)), error)
        except Damage as error:
            self.repo.problem(escape(b"/".join(path)) or "/", error)

    def entry(self, e, fd, path, depth):
        kind, group = e.body.kind, e.link_group and (e.link_group.device, e.link_group.inode)
        if kind == "directory":
            os.mkdir(e.name, 0o700, dir_fd=fd)
            below = os.open(e.name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=fd)
            try:
                self.folder(e.body.tree, below, path, depth + 1)
                self.metadata(e, below)
            finally:
                os.close(below)
            return
        if group in self.links and group:
            return self.link(self.links[group], e.name, fd)
        if kind == "file":
            self.file(e, fd)
        elif kind == "symlink":
            os.symlink(e.body.target, e.name, dir_fd=fd)
            self.metadata(e, fd, e.name)
        else:
            kinds = {"fifo": stat.S_IFIFO, "socket": stat.S_IFSOCK, "block_device": stat.S_IFBLK,
                     "character_device": stat.S_IFCHR}
            device = os.makedev(e.body.major, e.body.minor) if kind.endswith("device") else 0
            os.mknod(e.name, kinds[kind] | 0o600, device, dir_fd=fd)
            self.metadata(e, fd, e.name)
        if group:
            self.links[group] = path

    def link(self, first, name, fd):
        folder = os.dup(self.root)
        try:
            for part in first[:-1]:
                below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
                os.close(folder)
                folder = below
            os.link(first[-1], name, src_dir_fd=folder, dst_dir_fd=fd, follow_symlinks=False)
        finally:
            os.close(folder)

    def file(self, e, fd):
        out = os.open(e.name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=fd)
        try:
            at = 0
            for piece in self.repo.pieces(e.body):
                if isinstance(piece, bytes):
                    done = 0
                    while done < len(piece):
                        done += os.pwrite(out, piece[done:], at + done)
                at += piece if isinstance(piece, int) else len(piece)
            os.ftruncate(out, at)
            self.metadata(e, out)
        except Damage:
            os.unlink(e.name, dir_fd=fd)
            raise
        finally:
            os.close(out)

    def metadata(self, e, fd, name=None):
        """Owner, attributes, mode, times, in the order in which none undoes another."""
        path = fd if name is None else b"/proc/self/fd/%d/%s" % (fd, name)
        links = {} if name is None else {"follow_symlinks": False}
        if self.is_root:
            os.chown(path, e.uid, e.gid, **links)
        failures = []
        for a in self.repo.attributes(e):
            try:
                os.setxattr(path, a.name, a.value, **links)
            except OSError as error:
                failures.append(f"attribute {escape(a.name)}: {error.strerror}")
        if e.body.kind != "symlink":
            os.chmod(path, e.mode if self.is_root else e.mode & 0o1777)
        when = e.mtime.seconds * 10**9 + e.mtime.nanos
        os.utime(path, ns=(when, when), **links)
        if failures:
            raise Damage("; ".join(failures))


# --- verify ---------------------------------------------------------------------------------------
class Verify:
    """Looks at every object, every blob and every file."""

    def __init__(self, repo):
        self.repo, self.blobs, self.files = repo, 0, 0
        self.trees, self.contents = {}, set()

    def all(self):
        repo = self.repo
        for name in repo.names:
            if name != "strongroom" and kind_of_name(name) is None:
                repo.notices.append(f"{escape(name)} is no object of a repository")
        held = {}
        for name in repo.named(5) + repo.named(6):
            try:
                self.pack(name, held)
            except Damage as error:
                repo.problem(name, error)
        for places in repo.places.values():
            for e in places:
                if hasattr(e, "segment") and held.get((e.pack.name, e.offset)) != described(e):
                    repo.problem(e.segment, f"blob {e.id.hex()[:8]} is not where it says in {e.pack.name}")
        for s in repo.snapshots:
            event = s.body.event
            entries, totals = self.tree(event.root, f"snapshot {s.id.hex()[:8]}", 1)
            if (entries, totals) != (event.root_entries, counts(event.totals)):
                repo.problem(f"snapshot {s.id.hex()[:8]}", "its totals are not those of its tree")

    def pack(self, name, held):
        data = self.repo.store.get(name)
        for e in self.repo.read_directory(name, data):
            held[name, e.offset] = described(e)
            try:
                self.repo.open_frame(e, data[e.offset:e.offset + e.stored])
                self.blobs += 1
            except Damage as error:
                self.repo.problem(name, error)

    def tree(self, root, path, depth):
        """Entries and totals of a directory, every file of which is read."""
        if root in self.trees:
            return self.trees[root]
        entries, totals = 0, (0, 0, 0)
        try:
            if depth > NESTING_MAX:
                raise Damage("nested too deeply")
            for e in self.repo.entries(root):
                where = f"{path}/{escape(e.name)}"
                entries += 1
                found = (1, 0, 0)
                try:
                    self.repo.attributes(e)
                    if e.body.kind == "directory":
                        found = counts(e.body.totals)
                        if (e.body.entries, found) != self.tree(e.body.tree, where, depth + 1):
                            raise Damage("its totals are not those of its tree")
                        found = (found[0], found[1] + 1, found[2])
                    elif e.body.kind == "file":
                        found = (1, 0, e.body.size)
                        self.file(e.body)
                except Damage as error:
                    self.repo.problem(where, error)
                totals = tuple(min(a + b, (1 << 64) - 1) for a, b in zip(totals, found))
        except Damage as error:
            self.repo.problem(path, error)
        self.trees[root] = entries, totals
        return entries, totals

    def file(self, body):
        seen = H(repr(body).encode())
        if seen not in self.contents:
            for _ in self.repo.pieces(body):
                pass
            self.contents.add(seen)
            self.files += 1


def described(e):
    return e.id, e.stored, e.plain, e.kind, e.encoding, e.depth, e.envelope, tuple(e.bases), e.pack.total, e.pack.epoch


def counts(totals):
    return totals.files, totals.directories, totals.bytes


# --- command line ---------------------------------------------------------------------------------
def command_list(repo, _):
    for s in repo.snapshots:
        event = s.body.event
        when = datetime.datetime.fromtimestamp(event.time / 1000, datetime.timezone.utc)
        print(s.id.hex()[:16], when.strftime("%Y-%m-%dT%H:%M:%SZ"), escape(event.host),
              ",".join(map(escape, event.tags)) or "-", " ".join(map(escape, event.sources)),
              f"{event.totals.files} files", f"{event.totals.bytes} bytes",
              "partial" if event.partial else "", escape(event.label))


def command_ls(repo, arguments):
    root = repo.snapshot(arguments.snapshot).body.event.root
    for part in [p for p in os.fsencode(arguments.path).split(b"/") if p]:
        found = [e for e in repo.entries(root) if e.name == part]
        if not found or found[0].body.kind != "directory":
            raise Damage(f"there is no directory {escape(part)}")
        root = found[0].body.tree
    for e in repo.entries(root):
        body = e.body
        more = {"file": lambda: body.size, "directory": lambda: f"{body.entries} entries",
                "symlink": lambda: "-> " + escape(body.target)}.get(body.kind, lambda: "")()
        print(f"{body.kind:<16} {e.mode:04o} {e.uid}:{e.gid} {e.mtime.seconds} {escape(e.name)} {more}")


def command_restore(repo, arguments):
    restore = Restore(repo, arguments.target)
    restore.folder(repo.snapshot(arguments.snapshot).body.event.root, restore.root, [])


def command_verify(repo, _):
    verify = Verify(repo)
    verify.all()
    print(f"{len(repo.records)} records, {len(repo.snapshots)} snapshots, {len(repo.names)} objects, "
          f"{verify.blobs} blobs opened, {verify.files} files read: "
          + (f"{len(repo.problems)} problems" if repo.problems else "whole"))


def secret(arguments):
    with open(arguments.password_file or arguments.key_file, "rb") as file:
        content = file.read()
    if arguments.key_file:
        if not 32 <= len(content) <= MIB:
            raise Damage("a key file has 32 to 1048576 bytes")
        return None, content
    return re.sub(rb"\r?\n\Z", b"", content), None


def main():
    parser = argparse.ArgumentParser(description="Reads a strongroom repository in a local folder.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, extra in {"list": (), "verify": (), "ls": ("snapshot", "path"), "restore": ("snapshot", "target")}.items():
        command = commands.add_parser(name)
        command.add_argument("repository")
        for argument in extra:
            command.add_argument(argument, **({"nargs": "?", "default": ""} if argument == "path" else {}))
        one = command.add_mutually_exclusive_group(required=True)
        one.add_argument("--password-file", help="its content without a last line end is the password")
        one.add_argument("--key-file")
        command.add_argument("--accept-rollback", action="store_true")
    arguments = parser.parse_args()
    sys.setrecursionlimit(40_000)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        repo = Repository(arguments.repository, *secret(arguments))
        repo.read_history(arguments.accept_rollback)
        repo.read_index()
        globals()["command_" + arguments.command](repo, arguments)
    except WrongSecret as error:
        print(f"error: {error}", file=sys.stderr)
        return 12
    except (Damage, OSError) as error:
        print(f"error: {escape(str(error))}", file=sys.stderr)
        return 1
    for notice in repo.notices:
        print(f"notice: {notice}", file=sys.stderr)
    return 1 if repo.problems else 0


if __name__ == "__main__":
    sys.exit(main())
