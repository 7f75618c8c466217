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
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

# --- 1.4 reasons, 1.5 limits ----------------------------------------------------------------------
TRUNCATED, TRAILING, UNSUPPORTED = "truncated", "trailing bytes", "unsupported version or feature"
LENGTH, HASH = "length differs from the header", "hash differs from the trailer"
OVER, INVALID, ORDER, RESERVED = "over the limit", "invalid value", "out of order", "reserved bytes are not zero"
MIB = 1 << 20
DATA_MAX, BLOB_MAX, PACK_MAX, SEGMENT_MAX, RECORD_MAX = MIB, 16 * MIB, 512 * MIB, 512 * MIB, 16 * MIB
PACK_BLOBS_MAX, SEGMENT_ENTRIES_MAX = 1 << 20, 4 << 20
BASES_MAX, BASE_BYTES_MAX, DEPTH_MAX, NAME_MAX, LINK_MAX, INLINE_MAX = 8, 8 * MIB, 64, 255, 65536, 1024
EXTENTS_MAX, LEVEL_MAX, NESTING_MAX, TEXT_MAX, MARKER_MAX = 65536, 32, 4096, 4096, 4096

class Damage(Exception):
    """Something is not as SPEC.md wants it."""

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
    return blake3(data, derive_key_context="strongroom v1 " + context).digest()

# --- 1.3 records ----------------------------------------------------------------------------------
class Cursor:
    """Takes values from bytes, one after another; anything that is not canonical is refused."""

    def __init__(self, record, data):
        self.record, self.data, self.at = record, data, 0

    def need(self, holds, reason):
        if not holds:
            raise DecodeError(self.record, reason)

    def take(self, count):
        self.need(count <= len(self.data) - self.at, TRUNCATED)
        self.at += count
        return bytes(self.data[self.at - count:self.at])

    def fixed(self, layout):
        """Values of fixed width, one after another, in the letters of `struct`."""
        return struct.unpack("<" + layout, self.take(struct.calcsize("<" + layout)))

    def sized(self):
        """As many bytes as the u32 before them says."""
        return self.take(*self.fixed("I"))

    def varint(self, bits=64):
        first = self.take(1)[0]
        if first <= 250:
            return first
        width = {251: 2, 252: 4, 253: 8}.get(first, 16)
        self.need(width * 8 <= bits, INVALID)
        value = int.from_bytes(self.take(width), "little")
        self.need(value > {2: 250, 4: 0xFFFF, 8: 0xFFFFFFFF}[width], "not canonical")
        return value

    def end(self):
        self.need(self.at == len(self.data), TRAILING)

def ascending(keys):
    return all(a < b for a, b in zip(keys, keys[1:]))

def covered(extents):
    """Bytes of a file that extents, or the children of a list node, cover."""
    return sum(getattr(x, "length", None) or x.bytes for x in extents)

def raw(count):
    return lambda c: c.take(count)

def unsigned(bits):
    return lambda c: c.take(1)[0] if bits == 8 else c.varint(bits)

def signed(bits):
    def read(c):
        v = c.varint(bits)
        return v >> 1 if v & 1 == 0 else -(v >> 1) - 1
    return read

id16, id32, u8, u32, u64, i32, i64 = raw(16), raw(32), unsigned(8), unsigned(32), unsigned(64), signed(32), signed(64)

def boolean(c):
    v = u8(c)
    c.need(v <= 1, INVALID)
    return v == 1

def bytes_(c):
    return c.take(u64(c))

def text(c):
    length = at_most(u64, TEXT_MAX)(c)
    try:
        return c.take(length).decode("utf-8")
    except UnicodeDecodeError:
        raise DecodeError(c.record, INVALID) from None

def list_of(item):
    def read(c):
        count = u64(c)
        c.need(count <= len(c.data) - c.at, TRUNCATED)  # every item takes a byte at least
        return [item(c) for _ in range(count)]
    return read

def that(read, holds, reason=INVALID):
    """A value of which something must hold."""
    def checked(c):
        value = read(c)
        c.need(holds(value), reason)
        return value
    return checked

def at_most(read, most, reason=OVER):
    return that(read, lambda v: v <= most, reason)

def sorted_list(item, key=lambda one: one):
    return that(list_of(item), lambda found: ascending([key(one) for one in found]), ORDER)

def option(item):
    return lambda c: item(c) if boolean(c) else None

def record(**fields):
    return lambda c: SimpleNamespace(**{name: read(c) for name, read in fields.items()})

def enum(**variants):
    def read(c):
        index = u32(c)
        c.need(index < len(variants), INVALID)
        kind = list(variants)[index]
        value = variants[kind](c)
        value.kind = kind
        return value
    return read

def versioned(what, read):
    """A decoder of bytes that are one record after a version byte."""
    def decode(data):
        c = Cursor(what, data)
        c.need(u8(c) == 1, UNSUPPORTED)
        value = read(c)
        c.end()
        return value
    return decode

# The tables of the sections, as they stand there.
EPOCH = record(number=u32, secret=id32)
BUNDLE = record(repository=id16, id_key=id32, chunk_key=id32, signing_seed=id32, epochs=that(
    sorted_list(EPOCH, lambda epoch: epoch.number), lambda epochs: epochs, ORDER))
LABEL = record(name=text, host=text, user=text, created=i64)
CHUNKER = enum(whole=record(), fastcdc=record(min=u32, avg=u32, max=u32), fixed=record(size=u32))
SIZED_CHUNKER = that(CHUNKER, lambda c: c.kind == "whole" or c.kind == "fixed" and 1 <= c.size <= DATA_MAX or (
    c.kind == "fastcdc" and 64 <= c.min <= c.avg <= c.max <= DATA_MAX and not (c.min | c.avg | c.max) & 1))
SIZE = that(u32, lambda size: 1 <= size <= DATA_MAX)
CONFIG = record(generation=u32, previous=id32, created=i64, files=SIZED_CHUNKER, pages=SIZED_CHUNKER,
                cut_from=SIZE, bundle_below=SIZE, bundle_bytes=SIZE, features_read=list_of(text),
                features_write=list_of(text), features_collect=list_of(text), create_only=text)
NAME = that(bytes_, lambda n: 1 <= len(n) <= NAME_MAX and n not in (b".", b"..") and not set(n) & set(b"/\0"))
NO_ZERO = that(bytes_, lambda name: name and b"\0" not in name)
LEVEL = that(u8, lambda level: 1 <= level <= LEVEL_MAX)
TOTALS = record(files=u64, directories=u64, bytes=u64)
CHILD = record(first_name=NAME, id=id32, entries=u64, totals=TOTALS)
TIME = record(seconds=i64, nanos=at_most(u32, 10**9 - 1, INVALID))
ATTRIBUTE_LIST = sorted_list(record(name=NO_ZERO, value=bytes_), lambda attribute: attribute.name)
ATTRIBUTES = enum(none=record(), inline=record(list=that(
    ATTRIBUTE_LIST, lambda found: sum(len(a.name) + len(a.value) for a in found) <= INLINE_MAX, OVER)),
    blob=record(id=id32))
EXTENT = enum(blob=record(id=id32, length=u32), slice=record(id=id32, offset=u32, length=u32),
              hole=record(length=u64))
EXTENTS = that(that(that(list_of(EXTENT), lambda found: len(found) <= EXTENTS_MAX, OVER), lambda found: all(
    x.length and getattr(x, "offset", 0) + x.length <= ((1 << 63) - 1 if x.kind == "hole" else DATA_MAX)
    for x in found)), lambda found: covered(found) < 1 << 64, OVER)
CONTENT = enum(inline=record(bytes=that(bytes_, lambda content: len(content) <= INLINE_MAX, OVER)),
               extents=record(chunker=CHUNKER, extents=EXTENTS), list=record(chunker=CHUNKER, root=id32))
DEVICE = record(major=u32, minor=u32)
DIGEST = enum(plain=record(hash=id32), sparse=record(hash=id32))
FILE = that(record(size=u64, content=CONTENT, digest=DIGEST), lambda file: file.content.kind == "list" or file.size == (
    len(file.content.bytes) if file.content.kind == "inline" else covered(file.content.extents)), LENGTH)
BODY = enum(file=FILE, directory=record(tree=id32, entries=u64, totals=TOTALS),
            symlink=record(target=that(NO_ZERO, lambda target: len(target) <= LINK_MAX, OVER)),
            block_device=DEVICE, character_device=DEVICE, fifo=record(), socket=record())
ENTRY = record(name=NAME, mode=at_most(u32, 0o7777, INVALID), uid=u32, gid=u32, user=text, group=text, mtime=TIME,
               ctime=TIME, btime=option(TIME), link_group=option(record(device=u64, inode=u64)),
               attributes=ATTRIBUTES, body=BODY)
NODE = enum(leaf=record(entries=sorted_list(ENTRY, lambda e: e.name)), inner=record(
    level=LEVEL, children=that(sorted_list(CHILD, lambda child: child.first_name), lambda found: found)))
LIST_CHILD = record(id=id32, bytes=that(u64, lambda count: count))
LIST_NODE = enum(leaf=record(extents=that(EXTENTS, lambda found: found)), inner=record(level=LEVEL, children=that(
    list_of(LIST_CHILD), lambda found: 0 < sum(child.bytes for child in found) < 1 << 64)))
PACK_REF = record(hash=id32, is_metadata=boolean, klass=u8, epoch=u32, total=at_most(u64, PACK_MAX))
SEGMENT_HEAD = record(packs=list_of(PACK_REF), supersedes=list_of(id32),
                      entry_count=at_most(u32, SEGMENT_ENTRIES_MAX), base_count=u32)
HEAD = record(writer=id16, seq=u64, hash=id32)
HEADS = sorted_list(HEAD, lambda head: head.writer)
STREAM = record(name=bytes_, origin=text, exit_status=i32, bytes=u64)
STATISTICS = record(files_new=u64, files_changed=u64, files_unchanged=u64, directories=u64,
                    bytes_read=u64, bytes_new=u64, bytes_stored=u64, blobs_new=u64, duration_ms=u64)
SNAPSHOT = record(root=id32, root_entries=u64, totals=TOTALS, pack_set=option(id32),
                  prune_basis=list_of(text), time=i64, host=text, user=text, program=text,
                  sources=list_of(bytes_), tags=list_of(text), label=text, parent=option(id32),
                  partial=boolean, unreadable=u64, streams=list_of(STREAM), statistics=STATISTICS)
IDS = sorted_list(id32)
FORGET = record(snapshots=IDS, reason=text, actor=text)
EVENTS = {1: record(program=text, host=text, user=text, config=id32), 2: SNAPSHOT, 3: FORGET, 4: FORGET,
          5: record(records=IDS, snapshots=IDS, reason=text, actor=text),
          6: record(snapshot=id32, good=boolean, files=u64, bytes=u64, damaged=u64, note=text, actor=text),
          7: record(slot=id16, added=boolean, name=text, actor=text),
          8: record(generation=u32, config=id32, note=text, actor=text),
          9: record(plan=text, deleted=IDS, bytes=u64, reprieved=u64, actor=text),
          10: record(snapshot=id32, basis=list_of(text), actor=text),
          11: record(snapshot=id32, tags=list_of(text), actor=text)}

decode_bundle, decode_label = versioned("key bundle", BUNDLE), versioned("label", LABEL)
decode_config, decode_segment_head = versioned("config", CONFIG), versioned("index head", SEGMENT_HEAD)
decode_tree_node, decode_list_node = versioned("tree node", NODE), versioned("content list", LIST_NODE)
decode_attributes = versioned("attributes", ATTRIBUTE_LIST)

# --- 2 objects ------------------------------------------------------------------------------------
KINDS = {"config": 2, "keys": 3, "writers": 4, "packs": 5, "meta": 6, "index": 7, "history": 8, "gc": 10}
OBJECT_NAME = re.compile(r"(?:config/[0-9a-f]{8}|(?:keys|writers)/[0-9a-f]{32}|index/[0-9a-f]{64}"
                  r"|(?:packs|meta)/([0-9a-f]{2})/\1[0-9a-f]{62}"
                  r"|history/[0-9a-f]{32}/[0-9a-f]{16}-[0-9a-f]{16}|gc/[0-9a-f]{8}-[0-9a-f]{8}\.(?:plan|sweep|done))")

def kind_of_name(name):
    return KINDS[name.split("/")[0]] if OBJECT_NAME.fullmatch(name) else None

def open_object(data, kind, repository=None, limit=RECORD_MAX):
    """Checks a whole object (2.2); gives its header, body and trailer."""
    c, h = Cursor("object header", data), SimpleNamespace()
    magic, h.kind, h.version, flags, h.epoch, h.repository, h.total, h.klass, zeros = c.fixed("8sBBHI16sQB23s")
    c.need(magic == b"STRGROOM", "not a strongroom object")
    c.need(1 <= h.kind <= 13, UNSUPPORTED)
    c.need(h.version, INVALID)
    c.need(h.version == 1 and not flags, UNSUPPORTED)
    c.need(not any(zeros), RESERVED)
    c.need(h.kind == kind, "wrong kind of object")
    c.need(repository in (None, h.repository), "belongs to another repository")
    c.need(not h.klass or h.kind in (5, 6, 7, 13), RESERVED)
    c.need(len(data) <= limit, OVER)
    c.need(len(data) >= 96 and h.total <= len(data), TRUNCATED)
    c.need(h.total == len(data), LENGTH)
    c.need(H(data[:-32]) == data[-32:], HASH)
    return h, data[64:-32], bytes(data[-32:])

def decode_marker(data):
    """Gives the repository id (2.3)."""
    c = Cursor("marker", data)
    c.need(len(data) <= MARKER_MAX, OVER)
    try:
        lines = data.decode("utf-8").split("\n")
    except UnicodeDecodeError:
        raise DecodeError(c.record, INVALID) from None
    c.need(lines[0] == "strongroom repository", "not a strongroom object")

    def field(key, pattern):
        found = [line for line in lines if line.startswith(key)]
        c.need(found and re.fullmatch(pattern, found[0][len(key):]), INVALID)
        return found[0][len(key):]
    major = int(field("format: ", "[0-9]{1,9}"))
    c.need(major <= 1, UNSUPPORTED)
    repository = field("repository: ", "[0-9a-f]{32}")
    c.need(major == 1 and lines[-1] == "", INVALID)
    return bytes.fromhex(repository)

# --- 3 keys and sealing ---------------------------------------------------------------------------
def context(header, part):
    """C(part)."""
    return struct.pack("<BB16sIB", header.kind, header.version, header.repository, header.epoch, part)

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
    c, s = Cursor("key slot", body), SimpleNamespace(header=h, clear=bytes(body[:112]))
    s.id, s.type, zeros, s.memory, s.passes, s.lanes, s.salt, s.commitment, more = c.fixed("16sB3sIII32s32s16s")
    c.need(not any(zeros + more), RESERVED)
    c.need(s.type in (1, 2), UNSUPPORTED)
    c.need(s.type == 1 or not (s.memory or s.passes or s.lanes), RESERVED)
    s.bundle, s.label = c.sized(), c.sized()
    c.end()
    return s

def slot_key(slot, password, key_file):
    if slot.type == 1 and password is not None:
        if not (1 <= slot.lanes <= 16 and 1 <= slot.passes <= 16 and 8 * slot.lanes <= slot.memory <= 2 * MIB):
            raise Damage("key slot: costs outside the limits")
        return hash_secret_raw(password, slot.salt, slot.passes, slot.memory, slot.lanes, 32, Type.ID, 0x13)
    return KDF("key file", slot.salt + key_file) if slot.type == 2 and key_file is not None else None

class Keys:
    """Everything that comes from the bundle (3.1)."""

    def __init__(self, bundle):
        self.id_key, self.secrets = bundle.id_key, {e.number: e.secret for e in bundle.epochs}
        self.root_public = Ed25519PrivateKey.from_private_bytes(
            KDF("root signing", bundle.signing_seed)).public_key().public_bytes_raw()

    def of(self, epoch, purpose):
        if epoch not in self.secrets:
            raise Damage(f"key epoch {epoch} is not in the key slot")
        return KDF(purpose, self.secrets[epoch])

def check_signature(public, message, signature, what):
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        raise Damage(f"{what}: the signature does not hold") from None

# --- 5.3 directories, 9 segments ------------------------------------------------------------------
def read_entry(c, end, base_total, packs=None):
    """An entry of a directory whose frames end at `end`, or a place in one of the packs of a segment."""
    e = SimpleNamespace(id=c.take(32))
    number = c.fixed("I")[0] if packs is not None else None
    e.offset, e.stored, e.plain, e.kind, e.encoding, e.depth, e.envelope, count, zeros, first = c.fixed("IIIBBBBB3sI")
    c.need(e.kind <= 4, UNSUPPORTED)
    c.need(not any(zeros), RESERVED)
    if packs is not None:
        c.need(number < len(packs) and packs[number].is_metadata == (e.kind != 0), INVALID)
        e.number, e.pack, end = number, packs[number], packs[number].total - 36
    c.need(e.offset >= 64 and e.stored >= 40 and e.offset + e.stored <= end, INVALID)
    c.need(e.plain <= (BLOB_MAX if e.kind else DATA_MAX) and e.depth <= DEPTH_MAX and count <= BASES_MAX, OVER)
    c.need(first + count <= base_total and (count > 0) == (e.depth > 0), INVALID)
    c.need(count or not first, INVALID)
    c.need(count > 0 if e.encoding == 2 else count == 0 or e.encoding > 2, INVALID)
    c.need(e.encoding != 0 or e.stored - 40 == e.plain, INVALID)
    e.bases = slice(first, first + count)
    return e

def with_bases(c, entries, count):
    bases = [c.take(32) for _ in range(count)]
    for e in entries:
        e.bases = bases[e.bases]
    return entries

def decode_directory(data, end):
    """Entries of a pack whose sealed directory begins at `end`."""
    c = Cursor("pack directory", data)
    entry_count, base_count = c.fixed("II")
    c.need(entry_count <= PACK_BLOBS_MAX, OVER)
    c.need(len(data) == 8 + 56 * entry_count + 32 * base_count, LENGTH)
    entries, free_from = [], 64
    for _ in range(entry_count):
        e = read_entry(c, end, base_count)
        c.need(e.offset >= free_from, ORDER)
        free_from = e.offset + e.stored
        entries.append(e)
    return with_bases(c, entries, base_count)

def locate_directory(total, tail):
    """Where the sealed directory of a pack of `total` bytes begins, by its last bytes (5)."""
    c = Cursor("pack footer", tail)
    c.need(total >= 100 and len(tail) >= 36, TRUNCATED)
    c.need(total <= PACK_MAX, OVER)
    length, = struct.unpack("<I", tail[-36:-32])
    c.need(40 <= length <= total - 100, INVALID)
    return total - 36 - length

def decode_segment_body(data, head):
    c = Cursor("index segment", data)
    c.need(len(data) == 60 * head.entry_count + 32 * head.base_count, LENGTH)
    places, last = [], (b"", 0)
    for _ in range(head.entry_count):
        e = read_entry(c, 0, head.base_count, head.packs)
        c.need(last <= (e.id, e.number), ORDER)
        last = (e.id, e.number)
        places.append(e)
    return with_bases(c, places, head.base_count)

# --- 5.4 encodings --------------------------------------------------------------------------------
def decode_blob(encoding, encoded, plain_bytes, base, what):
    """Memory is taken for the bytes that the entry promises, whatever the frame claims."""
    plain = encoded
    if encoding:
        if len(base) > BASE_BYTES_MAX:
            raise DecodeError(what, OVER)
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

# --- 6 trees, 7 contents --------------------------------------------------------------------------
class Digester:
    """Digest of a file, from its pieces in order: bytes, or a hole as its length (6.4)."""

    def __init__(self, kind):
        self.hasher, self.is_sparse, self.at, self.run = blake3(), kind == "sparse", 0, 0

    def add(self, piece):
        if isinstance(piece, int):
            self.end_run()
            for start in range(0, 0 if self.is_sparse else piece, MIB):
                self.hasher.update(bytes(min(MIB, piece - start)))
            self.at += piece
            return
        if self.is_sparse and self.run == 0:
            self.hasher.update(struct.pack("<Q", self.at))
        self.hasher.update(piece)
        self.run += len(piece)
        self.at += len(piece)

    def end_run(self):
        if self.is_sparse and self.run:
            self.hasher.update(struct.pack("<Q", self.run))
        self.run = 0

    def finish(self):
        self.end_run()
        return self.hasher.digest()

# --- 8 history ------------------------------------------------------------------------------------
def decode_card(data, repository):
    h, body, _ = open_object(data, 4, repository)
    c, card = Cursor("writer card", body), SimpleNamespace(header=h)
    card.writer, card.public, card.signature = c.fixed("16s32s64s")
    card.label = c.sized()
    c.end()
    return card

def decode_record(data, repository):
    h, body, trailer = open_object(data, 8, repository)
    c, r = Cursor("history record", body), SimpleNamespace(header=h, id=trailer, clear=bytes(body[:120]))
    c.need(len(body) >= 120 + 64, TRUNCATED)
    r.writer, r.seq, r.previous, r.time, r.retain_until, r.type, zeros, hash, more = c.fixed("16sQ32sqqB7s32s8s")
    c.need(not any(zeros + more), RESERVED)
    r.sealed, r.signature = bytes(body[120:-64]), bytes(body[-64:])
    c.need(H(r.sealed) == hash, HASH)
    return r

def decode_history_body(kind, data):
    """Heads and event; none of either for a type or version that is not known."""
    Cursor("history record", data).need(data, TRUNCATED)
    if data[0] != 1 or kind not in EVENTS:
        return SimpleNamespace(heads=[], event=None)

    return versioned("history record", record(heads=HEADS, event=EVENTS[kind]))(data)
