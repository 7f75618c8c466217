"""What a restored tree must have in common with its source: content, kind, mode, mtime, hard links."""

import hashlib
import os
import stat


def facts(root):
    """Every path below `root` with what is to be compared; the root itself is left out."""
    found, first_names = {}, {}
    for folder, folders, names in os.walk(root):
        folders.sort()
        for name in sorted(folders + names):
            path = os.path.join(folder, name)
            relative = os.path.relpath(path, root)
            status = os.lstat(path)
            link = ""
            if stat.S_ISLNK(status.st_mode):
                content = os.readlink(path)
            elif stat.S_ISREG(status.st_mode):
                with open(path, "rb", buffering=0) as file:
                    content = hashlib.file_digest(file, "sha256").digest()
                if status.st_nlink > 1:
                    link = first_names.setdefault((status.st_dev, status.st_ino), relative)
            else:
                content = ""
            found[relative] = {
                "content": (stat.S_IFMT(status.st_mode), content),
                "mode": stat.S_IMODE(status.st_mode),
                "mtime": status.st_mtime_ns,
                "hard links": link,
            }
    return found


def differences(source, restored):
    """One phrase for every aspect in which the two differ; none if they are the same."""
    phrases = []
    for word, names in (("missing", source.keys() - restored.keys()), ("extra", restored.keys() - source.keys())):
        if names:
            phrases.append(f"{len(names)} {word} (first {min(names)!r})")
    for aspect in ("content", "mode", "mtime", "hard links"):
        wrong = [name for name in source.keys() & restored.keys() if source[name][aspect] != restored[name][aspect]]
        if wrong:
            phrases.append(f"{aspect} wrong: {len(wrong)} (first {min(wrong)!r})")
    return phrases
