"""Bytes of every kind a data set holds: each from its own seed, so the order of making never matters.

The makers spend their time in C (randbytes, hex, join) because a full set is several GiB.
What they make is tuned to compress like the real thing and to hold no long repeats
that a chunker could take for duplicates.
"""

import random

KIB = 1024
MIB = 1024 * KIB

WORDS = (
    "account active address amount article balance batch booked branch buffer cancelled carrier cashier catalog "
    "channel charge checkout city client code column comment country coupon created currency customer data date "
    "delivery deposit description digest discount document due email entry error event failed field file filter "
    "folder gross group handle header history hours index inventory invoice item kind label language ledger limit "
    "line list location margin merchant message method minimum mode model month name net note number offset open "
    "order origin owner page paid partner payment period phone place pointer position postal price printer process "
    "product project quantity quarter query queue rate reader reason receipt record reference refund region register "
    "remark report request result return row sale schema score section seller sequence serial service shelf shipping "
    "signature size source staff state status stock store street subtotal summary supplier table target tariff tax "
    "terminal ticket till title total tracking transfer type unit update user valid value variant vendor version "
    "voucher warehouse weight window worker writer year zone"
).split()


def seeded(*parts):
    """A generator of its own for whatever `parts` name."""
    return random.Random("/".join(str(part) for part in parts))


def _fragments(name, make, count):
    rng = seeded("fragments", name)
    return [make(rng).encode() for _ in range(count)]


def _word(rng):
    return rng.choice(WORDS)


def _sql_fragment(rng):
    shape = rng.randrange(4)
    if shape == 0:
        return f"'),\n({rng.randrange(10**6)},'{_word(rng)} {_word(rng)}',{rng.randrange(10**5) / 100:.2f},'"
    if shape == 1:
        return f"','{_word(rng)}@{_word(rng)}.example',NULL,'20{rng.randrange(10, 30)}-0{rng.randrange(1, 10)}-1{rng.randrange(10)} "
    if shape == 2:
        return f"',{rng.randrange(500)},'{_word(rng)}',0,'"
    return f"','{_word(rng)} {_word(rng)} {_word(rng)}',1,'"


def _source_fragment(rng):
    indent = "    " * rng.randrange(1, 4)
    a, b, c = _word(rng), _word(rng), _word(rng)
    return rng.choice(
        (
            f"\n{indent}let {a}_{b} = {c}.{a}(",
            f");\n{indent}if {a}.{b}() > {rng.randrange(300)} {{\n{indent}    return {c}_",
            f"\n{indent}}}\n{indent}// {a} {b} before the {c} of ",
            f"\n\nfn {a}_{b}({c}: &{a.title()}) -> {b.title()} {{\n    {c}.{a}_",
            f"\n{indent}self.{a}.{b}(&{c}_",
            f", {a}::{b.title()}::",
        )
    )


def _code_fragment(rng):
    return "".join(chr(rng.randrange(32, 127)) for _ in range(rng.randrange(8, 40)))


_SQL = _fragments("sql", _sql_fragment, 6000)
_SOURCE = _fragments("source", _source_fragment, 8000)
_CODE = [bytes(b ^ 0x5A for b in f) for f in _fragments("code", _code_fragment, 700)]


def _woven(rng, fragments, length, digits):
    """Fragments with `digits` unpredictable hex digits after each."""
    mean = sum(map(len, fragments[:500])) / 500 + digits
    count = int(length / mean * 1.1) + 4
    noise = rng.randbytes(count * digits // 2 + 1).hex().encode()
    cuts = range(0, count * digits, digits)
    pieces = [b""] * (2 * count)
    pieces[0::2] = rng.choices(fragments, k=count)
    pieces[1::2] = [noise[cut : cut + digits] for cut in cuts]
    made = b"".join(pieces)
    while len(made) < length:
        made += made[: length - len(made)]
    return made[:length]


def noise(rng, length):
    """What cannot be compressed: photos, archives, sealed files."""
    return rng.randbytes(length)


def sql(rng, length):
    """A dump: about a quarter of its size when compressed."""
    return _woven(rng, _SQL, length, 4)


def source(rng, length):
    """Program text."""
    return _woven(rng, _SOURCE, length, 2)


def program(rng, length):
    """Shaped like an ELF file: a head, code, a string table; about half its size when compressed."""
    head = b"\x7fELF\x02\x01\x01" + bytes(57)
    strings = _woven(rng, [w.encode() + b"_" for w in WORDS], length // 8, 2)
    code = _woven(rng, _CODE, max(0, length - len(head) - len(strings)), 16)
    return (head + code + strings)[:length]


def invoice(rng, number):
    """One document of 0.2 to 8 KiB (JSON or CSV), some of it unpredictable. Returns (bytes, suffix)."""
    wanted = int(200 * (8192 / 200) ** rng.random() ** 0.6)
    token = rng.randbytes(12).hex()
    word = rng.choice(WORDS)
    if number % 3:
        text = [
            f'{{"invoice":"R{number:07d}","customer":{{"name":"{word.title()} {rng.choice(WORDS)} Ltd",'
            f'"id":"{token}"}},"date":"2025-{number % 12 + 1:02d}-{number % 28 + 1:02d}","currency":"EUR","lines":['
        ]
        row = '{{"sku":"{}","text":"{} {}","quantity":{},"net":{}.{:02d},"tax":19,"ref":"{}"}},'
        suffix, tail = "json", '{}],"paid":true}\n'
    else:
        text = [f"invoice;customer;sku;text;quantity;net;tax;ref\nR{number:07d};{token};;;;;;\n"]
        row = "{};{} {};{};{}.{:02d};19;{}\n"
        suffix, tail = "csv", "total\n"
    size = len(text[0]) + len(tail)
    while True:
        bits = rng.getrandbits(64)
        line = row.format(
            f"A{bits & 0xFFFF:05d}",
            WORDS[(bits >> 16) % len(WORDS)],
            WORDS[(bits >> 24) % len(WORDS)],
            (bits >> 32) % 40,
            (bits >> 38) % 900,
            (bits >> 48) % 100,
            rng.randbytes(6).hex(),
        )
        if size + len(line) > wanted and size >= 200:
            break
        size += len(line)
        text.append(line)
    text.append(tail)
    return "".join(text).encode(), suffix
