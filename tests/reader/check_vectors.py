#!/usr/bin/env python3
"""Holds the independent reader against every vector: check_vectors.py [FOLDER]."""

import os
import struct
import sys
from types import SimpleNamespace

import strongroom_format as f


def plain_number(read):
    return lambda data, p: f.versioned("number", read)(b"\1" + data)


def expect_value(read):
    def decode(data, p):
        value = plain_number(read)(data, p)
        if "value" in p and value != int(p["value"]):
            raise AssertionError(f"{value} instead of {p['value']}")
    return decode


def hex_of(p, key):
    return bytes.fromhex(p[key]) if key in p else None


def opened(plain, p):
    if plain != hex_of(p, "plain"):
        raise AssertionError("other plain bytes")


def seal(data, p):
    try:
        plain = f.open_sealed(hex_of(p, "key"), p["domain"].encode(), hex_of(p, "aad"), data, "seal")
    except f.Damage as error:
        raise f.DecodeError("seal", "not authentic") from error
    opened(plain, p)


def frame(data, p):
    id, kind, encoding = hex_of(p, "id"), int(p["kind"]), int(p["encoding"])
    aad = b"strongroom v1 blob" + hex_of(p, "repository") + id + struct.pack("<BBI", kind, encoding, int(p["plain_bytes"]))
    aad += b"".join(bytes.fromhex(base) for base in p.get("bases", "").split())
    try:
        encoded = f.open_one_use(f.MAC(hex_of(p, "key"), data[:24] + id), aad, data[24:], "frame")
    except f.Damage as error:
        raise f.DecodeError("frame", "not authentic") from error
    try:
        plain = f.decode_blob(encoding, encoded, int(p["plain_bytes"]), hex_of(p, "base_plain") or b"", "frame")
    except f.Damage as error:
        raise f.DecodeError("frame", "invalid value") from error
    if f.MAC(hex_of(p, "id_key"), bytes([kind]) + plain) != id:
        raise f.DecodeError("frame", "invalid value")
    opened(plain, p)


def cuts(_, p):
    count, lengths = int(p["bytes"]), [int(n) for n in p["lengths"].split()]
    low, _avg, high = map(int, p["sizes"].split())
    if sum(lengths) != count or not all(low <= n <= high for n in lengths[:-1]):
        raise AssertionError("lengths out of bounds")  # where to cut is no business of a reader


# Records that nobody needs who only reads (10.3).
PLAN = f.record(
    heads=f.sorted_list(f.HEAD, lambda head: (head.writer, head.seq, head.hash)), seen=f.list_of(f.text), time=f.i64,
    grace=f.u64, actor=f.text, condemned=f.sorted_list(
        f.record(pack=f.id32, is_metadata=f.boolean, bytes=f.u64), lambda one: one.pack), survivors=f.IDS)
SWEEP = f.record(time=f.i64, actor=f.text)
DONE = f.record(time=f.i64, actor=f.text, reprieved=f.IDS)
DECODERS = {
    "u64": expect_value(f.u64), "i64": expect_value(f.i64), "text": plain_number(f.text),
    "bytes": plain_number(f.bytes_),
    "envelope": lambda d, p: f.open_object(d, int(p["kind"]), hex_of(p, "repository"), int(p["limit"])),
    "marker": lambda d, p: f.decode_marker(d),
    "key-slot": lambda d, p: f.decode_key_slot(d, hex_of(p, "repository")),
    "key-bundle": lambda d, p: f.decode_bundle(d),
    "label": lambda d, p: f.decode_label(d),
    "config": lambda d, p: f.decode_config(d),
    "pack-directory": lambda d, p: f.decode_directory(d, int(p["frames_end"])),
    "pack-footer": lambda d, p: f.locate_directory(int(p["total_bytes"]), d),
    "index-head": lambda d, p: f.decode_segment_head(d),
    "index-body": lambda d, p: f.decode_segment_body(d, f.decode_segment_head(hex_of(p, "head"))),
    "tree-node": lambda d, p: f.decode_tree_node(d),
    "attributes": lambda d, p: f.decode_attributes(d),
    "content-list": lambda d, p: f.decode_list_node(d),
    "history-record": lambda d, p: f.decode_record(d, hex_of(p, "repository")),
    "history-body": lambda d, p: f.decode_history_body(int(p["type"]), d),
    "prune-plan": lambda d, p: f.versioned("prune plan", PLAN)(d),
    "prune-sweep": lambda d, p: f.versioned("prune sweep", SWEEP)(d),
    "prune-done": lambda d, p: f.versioned("prune end", DONE)(d),
    "writer-card": lambda d, p: f.decode_card(d, hex_of(p, "repository")),
    "seal": seal, "frame": frame, "cuts": cuts,
}
# Records of which a part may be whole as well.
OPEN_ENDED = ("history-body", "marker", "pack-footer")


def read_vector(path):
    with open(path, encoding="ascii") as file:
        head, _, body = file.read().partition("\n\n")
    fields = {key: value.strip() for key, _, value in (line.partition(":") for line in head.split("\n"))}
    return SimpleNamespace(expect=fields.pop("expect").split(" | "), fields=fields,
                           data=bytes.fromhex("".join(body.split())))


def verdict(decode, vector):
    try:
        decode(vector.data, vector.fields)
        return "accept"
    except f.DecodeError as error:
        return error.reason
    except f.Damage as error:
        return f"damage: {error}"
    except AssertionError as error:
        return f"wrong: {error}"


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "vectors")
    count, wrong = 0, 0
    for folder, folders, files in sorted(os.walk(root)):
        for name in sorted(name for name in files if name.endswith(".txt")):
            vector = read_vector(os.path.join(folder, name))
            decode = DECODERS[os.path.basename(folder)]
            found = verdict(decode, vector)
            count += 1
            problem = None if found in vector.expect else f"expected {' or '.join(vector.expect)}, found {found}"
            if vector.expect == ["accept"] and os.path.basename(folder) not in OPEN_ENDED:
                # What is accepted must not be accepted any shorter.
                for end in range(min(len(vector.data), 3000)):
                    shorter = SimpleNamespace(data=vector.data[:end], fields=vector.fields)
                    if verdict(decode, shorter) == "accept":
                        problem = f"accepted when cut to {end} bytes"
            if problem:
                wrong += 1
                print(f"{os.path.basename(folder)}/{name}: {problem}")
    print(f"{count} vectors, {wrong} wrong")
    return 1 if wrong or not count else 0


if __name__ == "__main__":
    sys.exit(main())
