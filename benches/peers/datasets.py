"""The seeded data sets: a mixed tree, many small files, one big file, and a SQLite database as it grows.

A data set is made once below the work folder and used again by later runs with the same sizes.
A marker beside it says that it is whole; the marker is away while a change is applied, so a run
that was cut short is never measured against half a change.
"""

import os
import shutil
import sqlite3
import traceback
import zlib

import content
from content import KIB, MIB, seeded

_EPOCH = 1_735_689_600  # 2025-01-01, so that times of modification do not depend on the day of the run
_SPAN = 4 * MIB


def in_processes(jobs, work):
    """Calls `work(job)` for every job, spread over one process a core."""
    jobs = list(jobs)
    width = max(1, min(len(os.sched_getaffinity(0)), len(jobs)))
    children = []
    for lane in range(width):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                for job in jobs[lane::width]:
                    work(job)
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        children.append(child)
    if any([os.waitpid(child, 0)[1] for child in children]):
        raise RuntimeError("a data set could not be made")


def _write(path, data, age):
    with open(path, "wb") as out:
        out.write(data)
    moment = (_EPOCH + age) * 10**9 + age * 1_000_003 % 10**9
    os.utime(path, ns=(moment, moment))


def _age_folders(root):
    folders = sorted((folder for folder, _, _ in os.walk(root)), reverse=True)
    for number, folder in enumerate(folders):
        os.utime(folder, (_EPOCH + number, _EPOCH + number))


class Change:
    """An edit of a source that can be taken back exactly, times of modification included."""

    def __init__(self, stash):
        self._stash = stash
        self._undo = []
        self._times = {}
        os.makedirs(stash, exist_ok=True)

    def _touch(self, path):
        for place in (path, os.path.dirname(path)):
            if place not in self._times and os.path.lexists(place):
                self._times[place] = os.stat(place).st_mtime_ns

    def overwrite(self, path, offset, data):
        self._touch(path)
        with open(path, "r+b") as file:
            file.seek(offset)
            old, size = file.read(len(data)), os.fstat(file.fileno()).st_size
            file.seek(offset)
            file.write(data)

        def back():
            with open(path, "r+b") as file:
                file.seek(offset)
                file.write(old)
                file.truncate(size)

        self._undo.append(back)

    def append(self, path, data):
        self.overwrite(path, os.path.getsize(path), data)

    def create(self, path, data):
        self._touch(path)
        with open(path, "xb") as file:
            file.write(data)
        self._undo.append(lambda: os.unlink(path))

    def rename(self, old, new):
        self._touch(old)
        self._touch(new)
        os.rename(old, new)
        self._undo.append(lambda: os.rename(new, old))

    def delete(self, path):
        self.rename(path, os.path.join(self._stash, str(len(self._undo))))

    def undo(self):
        for back in reversed(self._undo):
            back()
        for place, moment in self._times.items():
            if os.path.lexists(place):
                os.utime(place, ns=(moment, moment))
        shutil.rmtree(self._stash)


class DataSet:
    """One data set in `home`: `source` is what the tools back up."""

    name = ""
    parameters = ()

    def __init__(self, work, seed, *parameters):
        self.seed, self.parameters = seed, parameters
        self.home = os.path.join(work, "data", "-".join(map(str, (self.name, *parameters, seed))))
        self.source = os.path.join(self.home, "source")
        self._marker = self.home + ".whole"
        self._change = None

    def prepare(self):
        """Makes the data set unless it is there and whole. Returns whether it had to."""
        if os.path.exists(self._marker):
            return False
        shutil.rmtree(self.home, ignore_errors=True)
        os.makedirs(self.source)
        self.make()
        open(self._marker, "w").close()
        return True

    def rng(self, *parts):
        return seeded(self.seed, self.name, *parts)

    def apply_change(self):
        os.unlink(self._marker)
        self._change = Change(os.path.join(self.home, "stash"))
        self.change(self._change)

    def undo_change(self):
        if self._change is not None:
            self._change.undo()
            self._change = None
            open(self._marker, "w").close()

    def make(self):
        raise NotImplementedError

    def change(self, change):
        raise NotImplementedError


class Mixed(DataSet):
    """A tree of nested folders: dumps, program text, programs, what cannot be compressed; 12% exact copies."""

    name = "mixed"
    # kind, suffix, files and mean bytes in a tree of 1 GiB
    _KINDS = (
        ("sql", "sql", 36, 6 * MIB),
        ("source", "rs", 5000, 9 * KIB),
        ("noise", "jpg", 600, 850 * KIB),
        ("program", "so", 110, 1250 * KIB),
    )

    def _files(self):
        """Every file as (path below the source, kind, its number, its length)."""
        rng, scale, files = self.rng("plan"), self.parameters[0] / 1024, []
        for kind, suffix, count, mean in self._KINDS:
            for number in range(max(3, round(count * scale))):
                depth = rng.randrange(1, 6)
                folder = "/".join(f"{kind[0]}{rng.randrange(6)}" for _ in range(depth))
                length = int(mean * min(8, max(0.1, rng.expovariate(1) * 0.9 + 0.1)))
                files.append((f"{kind}/{folder}/{number:05d}.{suffix}", kind, number, length))
        return files

    def make(self):
        files = self._files()
        rng = self.rng("copies")
        copies = [
            (f"copies/{number % 37}/{number:05d}-{os.path.basename(path)}", kind, original, length)
            for number, (path, kind, original, length) in enumerate(rng.sample(files, max(1, round(len(files) * 0.12 / 0.88))))
        ]
        everything = files + copies
        for folder in {os.path.dirname(path) for path, *_ in everything}:
            os.makedirs(os.path.join(self.source, folder), exist_ok=True)

        def write(job):
            age, (path, kind, number, length) = job
            data = getattr(content, kind)(self.rng(kind, number), length)
            full = os.path.join(self.source, path)
            _write(full, data, age)
            os.chmod(full, 0o755 if kind == "program" else 0o640 if age % 5 == 0 else 0o644)

        in_processes(enumerate(everything), write)
        corner = os.path.join(self.source, "corner")
        os.makedirs(os.path.join(corner, "empty"))
        _write(os.path.join(corner, "nothing"), b"", 7)
        for number, (path, *_) in enumerate(files[:: max(1, len(files) // 20)]):
            os.link(os.path.join(self.source, path), os.path.join(corner, f"linked-{number}"))
            pointer = os.path.join(corner, f"pointer-{number}")
            os.symlink(os.path.join("..", path), pointer)
            os.utime(pointer, (_EPOCH + number, _EPOCH + number), follow_symlinks=False)
        _age_folders(self.source)

    def change(self, change):
        files, rng = self._files(), self.rng("change")
        dumps = [file for file in files if file[1] == "sql"]
        texts = [file for file in files if file[1] == "source"]
        for path, _, number, length in dumps[::6]:
            full = os.path.join(self.source, path)
            change.overwrite(full, length // 2, content.sql(rng, 200))
            change.append(full, content.sql(rng, 20 * KIB))
        for path, _, number, length in texts[::100]:
            change.overwrite(os.path.join(self.source, path), length // 3, content.source(rng, 120))
        for path, *_ in texts[50::250]:
            change.delete(os.path.join(self.source, path))
        for number in range(max(2, len(files) // 300)):
            change.create(os.path.join(self.source, "corner", f"new-{number}"), content.noise(rng, 60 * KIB))
        change.rename(os.path.join(self.source, "copies"), os.path.join(self.source, "copies-moved"))


class SmallFiles(DataSet):
    """Invoices of 0.2 to 8 KiB, a hundred to a folder."""

    name = "smallfiles"

    def _folder(self, number):
        return os.path.join(self.source, f"{number // 100 % 40:02d}", f"{number // 100:04d}")

    def make(self):
        def write(folder):
            os.makedirs(self._folder(folder * 100), exist_ok=True)
            for number in range(folder * 100, min(folder * 100 + 100, self.parameters[0])):
                data, suffix = content.invoice(self.rng(number), number)
                _write(os.path.join(self._folder(number), f"R{number:07d}.{suffix}"), data, number)

        in_processes(range((self.parameters[0] + 99) // 100), write)
        _age_folders(self.source)

    def change(self, change):
        count, rng = self.parameters[0], self.rng("change")
        for number in range(0, count, 100):
            suffix = "json" if number % 3 else "csv"
            change.append(os.path.join(self._folder(number), f"R{number:07d}.{suffix}"), content.source(rng, 80))
        for number in range(count, count + count // 200):
            data, suffix = content.invoice(self.rng("change", number), number)
            change.create(os.path.join(self._folder(number % count), f"R{number:07d}.{suffix}"), data)


class Big(DataSet):
    """One big file: 8 MiB of dump, 8 MiB that cannot be compressed, and so on; and a note written after it.

    The note is there because borg trusts no remembered file whose time of change is the newest of all.
    """

    name = "big"

    def make(self):
        path = os.path.join(self.source, "big.img")
        length = self.parameters[0] * MIB
        with open(path, "wb") as file:
            file.truncate(length)

        def write(span):
            kind = content.sql if span // 2 % 2 else content.noise
            data = kind(self.rng(span), min(_SPAN, length - span * _SPAN))
            with open(path, "r+b") as file:
                file.seek(span * _SPAN)
                file.write(data)

        in_processes(range(-(-length // _SPAN)), write)
        os.utime(path, (_EPOCH, _EPOCH))
        _write(os.path.join(self.source, "note.txt"), b"written after the big file\n", 1)
        _age_folders(self.source)

    def change(self, change):
        rng, path = self.rng("change"), os.path.join(self.source, "big.img")
        for place in range(8):
            change.overwrite(path, int(os.path.getsize(path) * (place + 0.37) / 8), content.noise(rng, 8 * KIB))
        change.append(os.path.join(self.source, "note.txt"), b"and changed since\n")


class SqliteSeries(DataSet):
    """A shop's SQLite database: hourly versions by the backup API, each put in the same place in turn."""

    name = "sqlite-series"

    @property
    def versions(self):
        return self.parameters[1]

    def _version(self, number):
        return os.path.join(self.home, f"version-{number}.db")

    def make(self):
        live = os.path.join(self.home, "live.db")
        shop = sqlite3.connect(live, isolation_level=None)
        for line in ("page_size=4096", "journal_mode=off", "synchronous=off", "cache_size=-262144"):
            shop.execute(f"PRAGMA {line}")
        shop.execute("CREATE TABLE sale (id INTEGER PRIMARY KEY, at INTEGER, till INTEGER, customer TEXT, total REAL, receipt BLOB)")
        shop.execute("CREATE TABLE stock (sku INTEGER PRIMARY KEY, text TEXT, amount INTEGER, moved INTEGER)")
        shop.execute("CREATE INDEX sale_customer ON sale (customer)")
        rng, target = self.rng("rows"), self.parameters[0] * MIB
        stock = target // 1000
        shop.execute("BEGIN")
        shop.executemany(
            "INSERT INTO stock VALUES (?, ?, ?, 0)",
            ((sku, " ".join(rng.choices(content.WORDS, k=5)), rng.randrange(900)) for sku in range(stock)),
        )
        sales = 0
        while shop.execute("PRAGMA page_count").fetchone()[0] * 4096 < target:
            sales = self._sell(shop, rng, sales, 20_000 if target > 50 * MIB else 2_000)
        shop.execute("COMMIT")
        for version in range(self.versions):
            if version:
                shop.execute("BEGIN")
                sales = self._sell(shop, rng, sales, sales // 400)
                edits = ((rng.randrange(10**6) / 100, rng.randrange(sales)) for _ in range(self.parameters[2]))
                shop.executemany("UPDATE sale SET total = ? WHERE id = ?", edits)
                moves = ((rng.randrange(30), version, rng.randrange(stock)) for _ in range(stock // 500))
                shop.executemany("UPDATE stock SET amount = ?, moved = ? WHERE sku = ?", moves)
                shop.execute("COMMIT")
            copy = sqlite3.connect(self._version(version))
            with copy:
                shop.backup(copy)
            copy.close()
            os.utime(self._version(version), (_EPOCH + version * 3600,) * 2)
        shop.close()
        os.unlink(live)

    @staticmethod
    def _sell(shop, rng, first, count):
        def row(number):
            customer = f"{rng.choice(content.WORDS)}-{rng.randrange(200_000):06d}"
            receipt = content.sql(rng, rng.randrange(60, 160))
            return number, 1_700_000_000 + number * 7, number % 12, customer, rng.randrange(10**6) / 100, receipt

        shop.executemany("INSERT INTO sale VALUES (?, ?, ?, ?, ?, ?)", map(row, range(first, first + count)))
        return first + count

    def place(self, number):
        """Puts one version where the tools look for the database."""
        shutil.copyfile(self._version(number), os.path.join(self.source, "shop.db"))
        shutil.copystat(self._version(number), os.path.join(self.source, "shop.db"))

    def pages(self):
        return os.path.getsize(self._version(self.versions - 1)) // 4096

    def changed_pages(self):
        """For each version the number of its pages that are not as they were at the same place in the one before."""
        counts = []
        for version in range(1, self.versions):
            with open(self._version(version - 1), "rb") as before, open(self._version(version), "rb") as after:
                counts.append(sum(page != before.read(4096) for page in iter(lambda: after.read(4096), b"")))
        return counts

    def page_floors(self):
        """For each version the bytes of its pages never seen before, each compressed alone (zlib 6)."""
        seen, floors = set(), []
        for version in range(self.versions):
            floor = 0
            with open(self._version(version), "rb") as file:
                while page := file.read(4096):
                    if page not in seen:
                        seen.add(page)
                        floor += len(zlib.compress(page, 6)) if version else 0
            floors.append(floor)
        return floors[1:]
