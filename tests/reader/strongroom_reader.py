#!/usr/bin/env python3
"""Reads strongroom repositories in local folders: an independent reader, made from SPEC.md alone.

It shares no code and no structure with the programs that write repositories, so that what both
agree on is what SPEC.md says. It never writes to a repository. Section numbers are those of SPEC.md;
the records themselves are in strongroom_format.py.

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

from strongroom_format import (
    Cursor, DEPTH_MAX, Damage, DecodeError, Digester, H, KDF, Keys, LABEL, MAC, MIB, NESTING_MAX,
    PACK_MAX, SEGMENT_MAX, Unsupported, WrongSecret, check_signature, context,
    decode_attributes, decode_blob, decode_bundle, decode_card, decode_config, decode_directory,
    decode_history_body, decode_key_slot, decode_list_node, decode_marker, decode_record,
    decode_segment_body, decode_segment_head, decode_tree_node, kind_of_name, open_object,
    open_one_use, open_sealed, pack_name, slot_key, versioned,
)


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
        self.unlisted = set()  # packs that were needed and that no segment names
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
        released = [r.body.event for r in self.records if r.type == 5 and r.body.event]
        forgotten = {id for r in self.records if r.type == 3 and r.body.event for id in r.body.event.snapshots
                     if not any(r.id in e.records and (not e.snapshots or id in e.snapshots) for e in released)}
        self.snapshots = sorted((r for r in self.records if r.type == 2 and r.body.event and r.id not in forgotten),
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
                if not hasattr(e, "segment"):
                    self.unlisted.add(e.pack.name)
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
        digest = Digester(body.digest.kind)
        if body.content.kind == "inline":
            digest.data(body.content.bytes)
            yield body.content.bytes
        for x in self.extents(body.content, body.size):
            if x.kind == "hole":
                digest.hole(x.length)
                yield x.length
                continue
            plain = self.read_blob(x.id, 0)
            if x.kind == "slice":
                plain = plain[x.offset:x.offset + x.length]
            if len(plain) != x.length:
                raise Damage(f"blob {x.id.hex()[:8]} is not as long as the extent says")
            digest.data(plain)
            yield plain
        if digest.finish() != body.digest.hash:
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
        for name in sorted(repo.unlisted):
            repo.problem(name, "a snapshot needs it and no whole segment names it")

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
