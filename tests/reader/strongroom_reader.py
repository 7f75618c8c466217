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
import functools
import hmac
import os
import re
import resource
import stat
import struct
import sys
from types import SimpleNamespace

import strongroom_format as f
from strongroom_format import H, KDF, MAC, MIB, Damage

class WrongSecret(Exception):
    """No slot opens."""

class Folder:
    """A store in a local folder; read only, and never through a link."""

    def __init__(self, path):
        def stop(error):
            raise error  # a listing is whole or an error
        self.path, self.names = path, []
        for folder, folders, files in os.walk(path, onerror=stop):
            folders[:] = [name for name in folders if not name.startswith(".")]
            self.names += [os.path.relpath(os.path.join(folder, name), path) for name in files if name[0] != "."]
        self.names.sort()

    def named(self, kind):
        return [name for name in self.names if f.kind_of_name(name) == kind]

    def get(self, name, offset=0, length=None):
        try:
            fd = os.open(os.path.join(self.path, name), os.O_RDONLY | os.O_NOFOLLOW)
        except FileNotFoundError:
            raise Damage(f"{name} is missing") from None
        with open(fd, "rb") as file:
            if length is None and os.fstat(fd).st_size > f.PACK_MAX:
                raise f.DecodeError(name, f.OVER)
            file.seek(offset)
            data = file.read(length)
        if length not in (None, len(data)):
            raise Damage(f"{name} ends before byte {offset + length}")
        return data

class Repository:
    """An open repository: keys, configuration, history, index."""

    def __init__(self, path, password, key_file, accept_rollback):
        self.store, self.problems, self.notices = Folder(path), [], []
        if "strongroom" not in self.store.names:
            raise Damage(f"there is no repository in {path}")
        self.id = f.decode_marker(self.store.get("strongroom"))
        self.unlock(password, key_file)
        self.read_config()
        self.read_history(accept_rollback)
        self.read_index()
        self.data_blob = functools.lru_cache(64)(lambda id: self.read_blob(id, 0))

    def problem(self, where, what):
        line = escape(f"{where}: {what}")
        if line not in self.problems:
            self.problems.append(line)
            print(f"damage: {line}", file=sys.stderr)

    def tried(self, read, names):
        """What `read` makes of each object; one that is damaged is named and left out."""
        found = []
        for name in names:
            try:
                found.append(read(name))
            except Damage as error:
                self.problem(name, error)
        return found

    def unlock(self, password, key_file):
        """Keys from the first slot that the secret opens (3.2)."""
        def keys(name):
            slot = f.decode_key_slot(self.store.get(name), self.id)
            if name != "keys/" + slot.id.hex():
                raise Damage("it holds another slot")
            key = f.slot_key(slot, password, key_file)
            if key is None or not hmac.compare_digest(KDF("slot commitment", key), slot.commitment):
                return None
            bundle = f.decode_bundle(f.open_sealed(KDF("slot wrap", key), b"strongroom v1 key slot",
                                                   f.context(slot.header, 0) + slot.clear, slot.bundle, "bundle"))
            if bundle.repository != self.id:
                raise Damage("the bundle is of another repository")
            return f.Keys(bundle)
        for name in self.store.named(3)[:256]:
            for self.keys in filter(None, self.tried(keys, [name])):
                return
        raise WrongSecret("no key slot opens with this password or key file")

    def open(self, header, purpose, domain, part, more, sealed):
        """A sealed part of an object (3.3)."""
        domain = b"strongroom v1 " + domain
        return f.open_sealed(self.keys.of(header.epoch, purpose), domain, f.context(header, part) + more, sealed, purpose)

    def read_config(self):
        previous = None
        for name in self.store.named(2):
            number = int(name[7:], 16)
            header, body, trailer = f.open_object(self.store.get(name), 2, self.id)
            config = f.decode_config(self.open(header, "configuration", b"config", 0, struct.pack("<I", number), body))
            if config.generation != number or previous and (config.previous, number) != (previous[1], previous[0] + 1):
                raise Damage(f"{name}: it does not follow the one before")
            previous = number, trailer
        if previous is None:
            raise Damage("the repository has no configuration")
        if config.features_read:
            raise Damage(f"feature {config.features_read[0]} is not known")

    # History (8.3)
    def read_history(self, accept_rollback):
        cards = self.tried(self.read_card, self.store.named(4))
        public = {card.writer: card.public for card in cards}
        self.records = self.tried(lambda name: self.read_record(name, public), self.store.named(8))
        self.records.sort(key=lambda r: (r.time, r.writer, r.seq))
        present = {r.id for r in self.records}
        missing = {(h.writer, h.seq) for r in self.records for h in r.body.heads if h.hash not in present}
        for writer in {r.writer for r in self.records}:
            missing |= self.follow(writer, [r for r in self.records if r.writer == writer])
        for writer, seq in sorted(missing):
            self.problem("history", f"record {seq} of writer {writer.hex()[:8]} is gone (rollback)")
        if missing and not accept_rollback:
            raise Damage("the history is shorter than it was; --accept-rollback goes on all the same")
        events = [(r, r.body.event) for r in self.records if r.body.event]
        for r, event in events:
            event.id = r.id
        released = [e for r, e in events if r.type == 5]
        forgotten = {id for r, e in events if r.type == 3 for id in e.snapshots if not any(
            r.id in by.records and (not by.snapshots or id in by.snapshots) for by in released)}
        self.snapshots = sorted((e for r, e in events if r.type == 2 and r.id not in forgotten),
                                key=lambda e: (e.time, e.id))
        for snapshot in self.snapshots:
            for r, event in events:
                if r.type == 11 and event.snapshot == snapshot.id:
                    snapshot.tags = event.tags

    def read_card(self, name):
        card = f.decode_card(self.store.get(name), self.id)
        if name != "writers/" + card.writer.hex():
            raise Damage("it is the card of another writer")
        f.check_signature(self.keys.root_public, b"strongroom v1 writer card" + self.id + card.writer + card.public,
                          card.signature, "card")
        f.decode_label(self.open(card.header, "labels", b"label", 0, card.writer, card.label))
        return card

    def read_record(self, name, public):
        r = f.decode_record(self.store.get(name), self.id)
        if name != f"history/{r.writer.hex()}/{r.seq:016x}-{r.id[:8].hex()}":
            raise Damage("the record belongs under another name")
        if r.writer not in public:
            raise Damage("its writer has no card that holds")
        f.check_signature(public[r.writer], b"strongroom v1 history record" + f.context(r.header, 0) + r.clear,
                          r.signature, "record")
        r.body = f.decode_history_body(r.type, self.open(r.header, "history records", b"history body", 0,
                                                         r.clear[:80], r.sealed))
        return r

    def follow(self, writer, chain):
        """Records that are missing within the chain of one writer."""
        by_seq = {}
        for r in chain:
            by_seq.setdefault(r.seq, []).append(r)
        for seq, records in by_seq.items():
            if len(records) > 1:
                self.notices.append(f"writer {writer.hex()[:8]} has {len(records)} records {seq}: a fork")
            before = [r.id for r in by_seq.get(seq - 1, [])] if seq else [bytes(32)]
            if before and any(r.previous not in before for r in records):
                self.problem(f"record {seq} of writer {writer.hex()[:8]}", "it does not follow the record before it")
        # A number from a stranger may be huge: the first hundred that are missing say enough.
        return {(writer, seq) for seq in range(min(max(by_seq), len(by_seq) + 100)) if seq not in by_seq}

    # Index (9)
    def read_index(self):
        self.places, segments = {}, self.tried(self.read_segment, self.store.named(7))
        named = {pack.name for packs, _ in segments for pack in packs}
        unnamed = [name for name in self.store.named(5) + self.store.named(6) if name not in named]
        # Packs that no segment names, or whose segment is damaged, tell themselves what they hold.
        for entries in [places for _, places in segments] + self.tried(self.read_directory, unnamed):
            for e in entries:
                self.places.setdefault(e.id, []).append(e)
        self.in_pack = {}
        for places in self.places.values():
            places.sort(key=lambda e: e.depth)
            for e in places:
                self.in_pack.setdefault(e.pack.name, []).append(e)

    def read_segment(self, name):
        header, body, trailer = f.open_object(self.store.get(name), 7, self.id, f.SEGMENT_MAX)
        if trailer.hex() != name[6:]:
            raise Damage("its trailer is not its name")
        c = f.Cursor("index segment", body)
        sealed = c.sized()
        head = f.decode_segment_head(self.open(header, "index segments", b"index head", 0, b"", sealed))
        for pack in head.packs:
            pack.name = f"{'meta' if pack.is_metadata else 'packs'}/{pack.hash.hex()[:2]}/{pack.hash.hex()}"
        plain = self.open(header, "index segments", b"index body", 1, H(sealed), body[c.at:])
        return head.packs, f.decode_segment_body(plain, head)

    def read_directory(self, name):
        data, is_metadata = self.store.get(name), name.startswith("meta/")
        header, _, trailer = f.open_object(data, 6 if is_metadata else 5, self.id, f.PACK_MAX)
        if trailer.hex() != name.split("/")[2]:
            raise Damage("its trailer is not its name")
        end = f.locate_directory(len(data), data)
        entries = f.decode_directory(self.open(header, "pack directories", b"pack directory", 0, b"", data[end:-36]), end)
        pack = SimpleNamespace(epoch=header.epoch, name=name)
        for e in entries:
            if (e.kind != 0) != is_metadata:
                raise Damage("it holds blobs of the other kind of pack")
            e.pack = pack
        return entries

    # Blobs (5)
    def open_frame(self, e, depth=0):
        what = f"blob {e.id.hex()[:8]} of {e.pack.name}"
        if e.encoding > 2 or e.envelope or depth > f.DEPTH_MAX:
            raise Damage(f"{what}: its encoding or envelope is not known, or its chain of deltas is too deep")
        frame = self.store.get(e.pack.name, e.offset, e.stored)
        aad = b"".join([b"strongroom v1 blob", self.id, e.id, struct.pack("<BBI", e.kind, e.encoding, e.plain), *e.bases])
        key = self.keys.of(e.pack.epoch, "metadata blobs" if e.kind else "data blobs")
        encoded = f.open_one_use(MAC(key, frame[:24] + e.id), aad, frame[24:], what)
        base = b"".join(self.read_blob(id, None, depth + 1) for id in e.bases)
        plain = f.decode_blob(e.encoding, encoded, e.plain, base, what)
        if MAC(self.keys.id_key, bytes([e.kind]) + plain) != e.id:
            raise Damage(f"{what}: the bytes are not those that the id names")
        return plain

    def read_blob(self, id, kind, depth=0):
        trouble = Damage(f"blob {id.hex()[:8]} is in no pack, or not of the kind it is used as")
        for e in self.places.get(id, []):
            try:
                if kind in (None, e.kind):
                    return self.open_frame(e, depth)
            except Damage as error:
                trouble = error
        raise trouble

    # Trees and contents (6, 7)
    def leaves(self, root, blob_kind, decode, covers=None):
        """Leaves of a directory or of a content list, in order; levels must fall by one."""
        pending = [(root, None, covers)]
        while pending:
            id, level, covers = pending.pop()
            node = decode(self.read_blob(id, blob_kind))
            found = 0 if node.kind == "leaf" else node.level
            here = covers is not None and f.covered(node.children if found else node.extents)
            if level not in (None, found) or here and here != covers:
                raise Damage(f"node {id.hex()[:8]} is of the wrong level, or does not cover what it should")
            if found:
                pending += [(n.id, found - 1, getattr(n, "bytes", None)) for n in reversed(node.children)]
            else:
                yield node, level is None

    def entries(self, root):
        """Entries of one directory, in order."""
        last = b""
        for node, is_root in self.leaves(root, 1, f.decode_tree_node):
            if not is_root and not node.entries:
                raise Damage("an empty node within a directory")
            for e in node.entries:
                if e.name <= last:
                    raise Damage("the nodes of a directory are out of order")
                last = e.name
                yield e

    def pieces(self, body):
        """The bytes of a file in order; a hole as its length. Ends in an error if the digest differs."""
        digest, content = f.Digester(body.digest.kind), body.content
        if content.kind == "inline":
            extents = []
            digest.add(content.bytes)
            yield content.bytes
        elif content.kind == "extents":
            extents = content.extents
        else:
            leaves = self.leaves(content.root, 2, f.decode_list_node, body.size)
            extents = (x for node, _ in leaves for x in node.extents)
        for x in extents:
            piece = x.length
            if x.kind != "hole":
                plain, start = self.data_blob(x.id), getattr(x, "offset", 0)
                piece = plain[start:start + x.length]
                if len(piece) != x.length or x.kind == "blob" and len(plain) != x.length:
                    raise Damage(f"blob {x.id.hex()[:8]} is not as long as the extent says")
            digest.add(piece)
            yield piece
        if digest.finish() != body.digest.hash:
            raise Damage("the content is not what the digest says")

    def attributes(self, e):
        if e.attributes.kind == "blob":
            return f.decode_attributes(self.read_blob(e.attributes.id, 3))
        return e.attributes.list if e.attributes.kind == "inline" else []

    def snapshot(self, name):
        found = [s for s in self.snapshots if s.id.hex().startswith(name)]
        found = self.snapshots[-1:] if name == "latest" else found
        if len(found) != 1:
            raise Damage(f"{len(found)} snapshots are named {name}")
        return found[0]

def escape(name):
    """What is safe to print: everything else as \\xNN."""
    text = name.decode("utf-8", "surrogateescape") if isinstance(name, bytes) else name
    return "".join(c if c.isprintable() and c != "\\" else "\\\\" if c == "\\" else "".join(
        f"\\x{b:02x}" for b in c.encode("utf-8", "surrogateescape")) for c in text)

class Walk:
    """Goes through a tree, reads every file, and holds totals against what is there."""

    def __init__(self, repo):
        self.repo, self.seen = repo, {}

    def directory(self, root, path=b"", place=None, depth=1):
        """Entries of a directory, and files, directories and bytes below it."""
        if place is None and root in self.seen:
            return self.seen[root]
        entries, totals = 0, (0, 0, 0)
        try:
            if depth > f.NESTING_MAX:
                raise Damage("nested too deeply")
            for e in self.repo.entries(root):
                entries, where, found = entries + 1, path + b"/" + e.name, (1, 0, getattr(e.body, "size", 0))
                try:
                    if e.body.kind == "directory":
                        totals_said = e.body.totals.files, e.body.totals.directories, e.body.totals.bytes
                        found = totals_said[0], totals_said[1] + 1, totals_said[2]
                        below = self.enter(e, place)
                        seen = self.directory(e.body.tree, where, below, depth + 1)
                        self.leave(e, below)
                        if seen != (e.body.entries, totals_said):
                            raise Damage("its totals are not those of its tree")
                    else:
                        self.thing(e, where, place)
                except (Damage, OSError) as error:
                    self.repo.problem(escape(where), error)
                totals = tuple(min(a + b, (1 << 64) - 1) for a, b in zip(totals, found))
        except Damage as error:
            self.repo.problem(escape(path) or "/", error)
        self.seen[root] = entries, totals
        return entries, totals

    def enter(self, e, place):
        return None

    def leave(self, e, below):
        self.repo.attributes(e)

    def thing(self, e, path, place):
        self.repo.attributes(e)
        if e.body.kind == "file" and (key := H(repr(e.body).encode())) not in self.seen:
            self.seen[key] = [None for _ in self.repo.pieces(e.body)] and None

class Restore(Walk):
    """Writes a tree below a folder, one component at a time and never through a link (12)."""

    def __init__(self, repo, target):
        super().__init__(repo)
        os.makedirs(target, exist_ok=True)
        self.links, self.is_root, self.root = {}, os.geteuid() == 0, os.open(target, os.O_RDONLY | os.O_DIRECTORY)
        if os.listdir(self.root):
            raise Damage(f"{target} is not empty")

    def enter(self, e, place):
        os.mkdir(e.name, 0o700, dir_fd=place)
        return os.open(e.name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=place)

    def leave(self, e, below):
        self.metadata(e, below)
        os.close(below)

    def thing(self, e, path, place):
        kind, group = e.body.kind, e.link_group and (e.link_group.device, e.link_group.inode)
        if group in self.links:
            return self.link(self.links[group].split(b"/")[1:], e.name, place)
        if kind == "file":
            self.file(e, place)
        elif kind == "symlink":
            os.symlink(e.body.target, e.name, dir_fd=place)
        else:
            mode = {"fifo": stat.S_IFIFO, "socket": stat.S_IFSOCK, "block_device": stat.S_IFBLK}.get(kind, stat.S_IFCHR)
            device = os.makedev(e.body.major, e.body.minor) if kind.endswith("device") else 0
            os.mknod(e.name, mode | 0o600, device, dir_fd=place)
        if kind != "file":
            self.metadata(e, place, e.name)
        if group:
            self.links[group] = path

    def link(self, first, name, place):
        folder = os.dup(self.root)
        for part in first[:-1]:
            below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
            os.close(folder)
            folder = below
        os.link(first[-1], name, src_dir_fd=folder, dst_dir_fd=place, follow_symlinks=False)
        os.close(folder)

    def file(self, e, place):
        out = os.open(e.name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=place)
        try:
            with open(out, "wb", closefd=False) as file:
                for piece in self.repo.pieces(e.body):
                    file.seek(piece, os.SEEK_CUR) if isinstance(piece, int) else file.write(piece)
                file.truncate()
            self.metadata(e, out)
        except Damage:
            os.unlink(e.name, dir_fd=place)
            raise
        finally:
            os.close(out)

    def metadata(self, e, fd, name=None):
        """Owner, attributes, mode, times, in the order in which none undoes another."""
        path = fd if name is None else b"/proc/self/fd/%d/%s" % (fd, name)
        follow = {} if name is None else {"follow_symlinks": False}
        if self.is_root:
            os.chown(path, e.uid, e.gid, **follow)
        for a in self.repo.attributes(e):
            try:
                os.setxattr(path, a.name, a.value, **follow)
            except OSError as error:
                self.repo.problem(escape(e.name), f"attribute {escape(a.name)}: {error.strerror}")
        if e.body.kind != "symlink":
            os.chmod(path, e.mode if self.is_root else e.mode & 0o1777)
        when = e.mtime.seconds * 10**9 + e.mtime.nanos
        os.utime(path, ns=(when, when), **follow)

# --- command line ---------------------------------------------------------------------------------
def command_list(repo, _):
    for s in repo.snapshots:
        when = datetime.datetime.fromtimestamp(s.time / 1000, datetime.timezone.utc)
        print(s.id.hex()[:16], when.strftime("%Y-%m-%dT%H:%M:%SZ"), escape(s.host), ",".join(map(escape, s.tags)) or "-",
              *map(escape, s.sources), f"{s.totals.files} files {s.totals.bytes} bytes", "partial" * s.partial, escape(s.label))

def command_ls(repo, arguments):
    root = repo.snapshot(arguments.snapshot).root
    for part in filter(None, os.fsencode(arguments.path).split(b"/")):
        root = next((e.body.tree for e in repo.entries(root) if e.name == part and e.body.kind == "directory"), None)
        if root is None:
            raise Damage(f"there is no directory {escape(part)}")
    for e in repo.entries(root):
        more = getattr(e.body, "size", "") if e.body.kind != "symlink" else "-> " + escape(e.body.target)
        print(f"{e.body.kind:<16} {e.mode:04o} {e.uid}:{e.gid} {e.mtime.seconds} {escape(e.name)} {more}")

def command_restore(repo, arguments):
    restore = Restore(repo, arguments.target)
    restore.directory(repo.snapshot(arguments.snapshot).root, place=restore.root)

def command_verify(repo, _):
    """Opens every frame of every pack, reads every file, and holds segments against packs."""
    def described(e):
        return e.id, e.offset, e.stored, e.plain, e.kind, e.encoding, e.depth, e.envelope, tuple(e.bases)
    blobs, packs = 0, repo.store.named(5) + repo.store.named(6)
    for name, entries in zip(packs, map(lambda name: repo.tried(repo.read_directory, [name]), packs)):
        for e in [e for directory in entries for e in directory]:
            blobs += len(repo.tried(lambda _: repo.open_frame(e), [name]))
        held = {described(e) for directory in entries for e in directory}
        for e in repo.in_pack.get(name, []):
            if described(e) not in held:
                repo.problem(name, f"blob {e.id.hex()[:8]} is not where a segment says")
    walk = Walk(repo)
    for s in repo.snapshots:
        if walk.directory(s.root) != (s.root_entries, (s.totals.files, s.totals.directories, s.totals.bytes)):
            repo.problem(f"snapshot {s.id.hex()[:8]}", "its totals are not those of its tree")
    print(f"{len(repo.records)} records, {len(repo.snapshots)} snapshots, {len(repo.store.names)} objects, "
          f"{blobs} blobs opened: " + (f"{len(repo.problems)} problems" if repo.problems else "whole"))

def secret(arguments):
    with open(arguments.password_file or arguments.key_file, "rb") as file:
        content = file.read()
    if arguments.password_file:
        return re.sub(rb"\r?\n\Z", b"", content), None
    if not 32 <= len(content) <= MIB:
        raise Damage("a key file has 32 to 1048576 bytes")
    return None, content

def main():
    parser = argparse.ArgumentParser(description="Reads a strongroom repository in a local folder.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, extra in {"list": (), "verify": (), "ls": ("snapshot", "path"), "restore": ("snapshot", "target")}.items():
        command = commands.add_parser(name)
        for argument in ("repository", *extra):
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
        repo = Repository(arguments.repository, *secret(arguments), arguments.accept_rollback)
        globals()["command_" + arguments.command](repo, arguments)
    except (Damage, OSError, WrongSecret) as error:
        print(f"error: {escape(str(error))}", file=sys.stderr)
        return 12 if isinstance(error, WrongSecret) else 1
    for notice in repo.notices:
        print(f"notice: {notice}", file=sys.stderr)
    return 1 if repo.problems else 0

if __name__ == "__main__":
    sys.exit(main())
