"""Bytes to values of every record that SPEC.md describes, in the order of its sections.

Made from SPEC.md alone; it knows no files and no folders. Everything that is not allowed is refused
with the reason that section 1.4 gives.
"""

import re
import struct
from types import SimpleNamespace

import zstandard
from argon2.low_level import Type, hash_secret_raw
from blake3 import blake3
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305


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
DIGEST = enum(plain=record(hash=id32), sparse=record(hash=id32))
BODY = enum(file=record(size=u64, content=CONTENT, digest=DIGEST),
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
FORGET = record(snapshots=list_of(id32), reason=text, actor=text)
RELEASE = record(records=list_of(id32), snapshots=list_of(id32), reason=text, actor=text)
VERIFIED = record(snapshot=id32, good=boolean, files=u64, bytes=u64, damaged=u64, note=text, actor=text)
RECONFIGURED = record(generation=u32, config=id32, note=text, actor=text)
PRUNED = record(plan=text, deleted=list_of(id32), bytes=u64, reprieved=u64, actor=text)
REBASED = record(snapshot=id32, basis=list_of(text), actor=text)
EVENTS = {1: CREATED, 2: SNAPSHOT, 3: FORGET, 4: FORGET, 5: RELEASE, 6: VERIFIED, 7: KEY, 8: RECONFIGURED,
          9: PRUNED, 10: REBASED, 11: TAGS}
CONDEMNED = record(pack=id32, is_metadata=boolean, bytes=u64)
PLAN = record(heads=list_of(HEAD), seen=list_of(text), time=i64, grace=u64, actor=text,
              condemned=list_of(CONDEMNED), survivors=list_of(id32))
SWEEP = record(time=i64, actor=text)
DONE = record(time=i64, actor=text, reprieved=list_of(id32))


# --- 2 objects ------------------------------------------------------------------------------------
KINDS = {"config": 2, "keys": 3, "writers": 4, "packs": 5, "meta": 6, "index": 7, "history": 8, "gc": 10}
NAME = re.compile(r"(?:config/[0-9a-f]{8}|(?:keys|writers)/[0-9a-f]{32}|index/[0-9a-f]{64}"
                  r"|(?:packs|meta)/([0-9a-f]{2})/\1[0-9a-f]{62}"
                  r"|history/[0-9a-f]{32}/[0-9a-f]{16}-[0-9a-f]{16}"
                  r"|gc/[0-9a-f]{8}-[0-9a-f]{8}\.(?:plan|sweep|done))")


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
    if h.klass and h.kind not in (5, 6, 7, 13):
        c.fail("reserved bytes are not zero")
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
class Digester:
    """Digest of a file, from its extents in order (6.4)."""

    ZEROS = bytes(MIB)

    def __init__(self, kind):
        self.hasher, self.is_sparse, self.at, self.run = blake3(), kind == "sparse", 0, 0

    def data(self, piece):
        if self.is_sparse and self.run == 0:
            self.hasher.update(struct.pack("<Q", self.at))
        self.hasher.update(piece)
        self.run += len(piece)
        self.at += len(piece)

    def hole(self, length):
        self.end_run()
        self.at += length
        for start in range(0, 0 if self.is_sparse else length, MIB):
            self.hasher.update(self.ZEROS[:min(MIB, length - start)])

    def end_run(self):
        if self.is_sparse and self.run:
            self.hasher.update(struct.pack("<Q", self.run))
        self.run = 0

    def finish(self):
        self.end_run()
        return self.hasher.digest()


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
        lists = [[head.writer for head in value.heads]]
        lists += [getattr(value.event, name, []) for name in ("snapshots", "records", "deleted")]
        if not all(map(ascending, lists)):
            fail("out of order")
    return versioned("history record", record(heads=list_of(HEAD), event=EVENTS[kind]), data, check)


def decode_plan(data):
    def check(value, fail):
        heads = [(head.writer, head.seq, head.hash) for head in value.heads]
        if not all(map(ascending, (heads, [one.pack for one in value.condemned], value.survivors))):
            fail("out of order")
    return versioned("prune plan", PLAN, data, check)


def decode_done(data):
    def check(value, fail):
        if not ascending(value.reprieved):
            fail("out of order")
    return versioned("prune end", DONE, data, check)


# --- 5.4 encodings -------------------------------------------------------------------------------
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
