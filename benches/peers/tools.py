"""How each tool is called: its defaults, and nothing from the settings of whoever runs this.

Every tool gets a home, a cache and a password of its own for one data set and one repeat.
"""

import os
import shutil
import subprocess

_PASSWORD = "side by side"
LOW_MEMORY = "128MiB"
LOW_MEMORY_BYTES = 128 << 20


class Tool:
    """Commands are lists of arguments; `version` counts the backups of one repository from 1."""

    name = ""
    program = ""

    def __init__(self, path):
        self.path = path

    def variables(self, home):
        return {}

    def environment(self, home):
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "LANG": "C.UTF-8",
            "HOME": home,
            "TMPDIR": home,
            "XDG_CONFIG_HOME": os.path.join(home, "config"),
            "XDG_CACHE_HOME": os.path.join(home, "cache"),
            "XDG_DATA_HOME": os.path.join(home, "share"),
            **self.variables(home),
        }

    def version_line(self):
        done = subprocess.run([self.path, *self.version_arguments], capture_output=True, text=True)
        return (done.stdout or done.stderr).strip().split("\n")[0]

    version_arguments = ("--version",)
    note = "defaults"

    def init(self, repository):
        """The commands that create a repository; not measured."""
        return [self.call(repository, "init")]

    def call(self, repository, *arguments):
        return [self.path, "-r", repository, *arguments]

    def backup(self, repository, source, version):
        return self.call(repository, "backup", source)

    def restore(self, repository, target, version):
        return self.call(repository, "restore", "latest", "--target", target)

    def check(self, repository, version):
        return self.call(repository, "check", "--read-data")

    def restored(self, target, source):
        """Where in `target` the source comes back."""
        return os.path.join(target, source.lstrip("/"))


class Strongroom(Tool):
    name = program = "strongroom"

    def variables(self, home):
        return {"STRONGROOM_PASSWORD": _PASSWORD}


class StrongroomLowMemory(Strongroom):
    name = f"strongroom@{LOW_MEMORY}"
    note = f"--max-memory {LOW_MEMORY}"

    def call(self, repository, *arguments):
        return [self.path, "-r", repository, "--max-memory", LOW_MEMORY, *arguments]


class Restic(Tool):
    name = program = "restic"
    version_arguments = ("version",)

    def variables(self, home):
        return {"RESTIC_PASSWORD": _PASSWORD}


class Rustic(Tool):
    name = program = "rustic"

    def variables(self, home):
        return {"RUSTIC_PASSWORD": _PASSWORD}

    def restore(self, repository, target, version):
        return self.call(repository, "restore", "latest", target)


class Borg(Tool):
    name = program = "borg"
    note = "repokey-blake2; compression is lz4 by default, the others use zstd"

    def variables(self, home):
        return {"BORG_PASSPHRASE": _PASSWORD, "BORG_BASE_DIR": home}

    def init(self, repository):
        return [[self.path, "init", "--encryption", "repokey-blake2", repository]]

    def backup(self, repository, source, version):
        return [self.path, "create", f"{repository}::v{version}", source]

    def restore(self, repository, target, version):
        return [self.path, "extract", f"{repository}::v{version}"]

    def check(self, repository, version):
        return [self.path, "check", "--verify-data", repository]


class Bupstash(Tool):
    name = program = "bupstash"
    note = "check = full read of the newest item (there is no verb for it)"

    def variables(self, home):
        return {"BUPSTASH_KEY": os.path.join(home, "bupstash.key")}

    def init(self, repository):
        return [self.call(repository, "init"), ["sh", "-c", f'"{self.path}" new-key -o "$BUPSTASH_KEY"']]

    def call(self, repository, verb, *arguments):
        return [self.path, verb, "-r", repository, *arguments]

    def backup(self, repository, source, version):
        return self.call(repository, "put", f"name=v{version}", source)

    def restore(self, repository, target, version):
        return self.call(repository, "restore", "--into", target, f"name=v{version}")

    def check(self, repository, version):
        # Its output is the data, which is to go nowhere rather than into a log.
        return ["sh", "-c", 'exec "$@" >/dev/null', "sh", *self.call(repository, "get", f"name=v{version}")]

    def restored(self, target, source):
        return target


ALL = (Strongroom, StrongroomLowMemory, Restic, Rustic, Borg, Bupstash)


def find(names, strongroom):
    """The tools that are here, and the names of those that are not. `PEERS_BIN` is searched before `PATH`."""
    path = os.pathsep.join(filter(None, (os.environ.get("PEERS_BIN"), os.environ.get("PATH", os.defpath))))
    here, missing = [], []
    for tool in ALL:
        if names and tool.name not in names:
            continue
        at = strongroom if strongroom and tool.program == "strongroom" else shutil.which(tool.program, path=path)
        if at and os.access(at, os.X_OK):
            here.append(tool(os.path.abspath(at)))
        else:
            missing.append(tool.name)
    return here, missing
