"""The table, and the claims judged by it: medians over the repeats, strongroom against the faster of its rivals."""

from dataclasses import asdict, dataclass, field
from statistics import median

import tools

SUBJECT = tools.Strongroom.name
LOW_MEMORY = tools.StrongroomLowMemory.name
RIVALS = (tools.Restic.name, tools.Rustic.name)
PEAK_BYTES_MAX = 300_000_000
STEPS = ("init", "first", "version", "unchanged", "change", "restore", "check")

# Wall time of the fastest rival divided by strongroom's must be at least this.
FIRST_BACKUP = {"mixed": 2.0, "big": 2.0, "smallfiles": 3.0}
UNCHANGED = 3.0
AHEAD = 1.0


@dataclass
class Run:
    """One measured command."""

    data_set: str
    step: str
    tool: str
    repeat: int
    wall_s: float
    user_s: float
    sys_s: float
    peak_rss_bytes: int
    others_cpu_s: float
    repository_bytes: int
    added_bytes: int
    failed: bool = False
    notes: list = field(default_factory=list)


@dataclass
class Row:
    """All runs of one tool at one step of one data set: medians, but the highest peak."""

    data_set: str
    step: str
    tool: str
    runs: int
    wall_s: float
    cpu_s: float
    peak_rss_bytes: int
    repository_bytes: int
    added_bytes: int
    failed: bool
    notes: list


def rows(runs):
    groups = {}
    for run in runs:
        groups.setdefault((run.data_set, run.step, run.tool), []).append(run)
    made = []
    for (data_set, step, tool), group in groups.items():
        whole = [run for run in group if not run.failed] or group

        def middle(value):
            return median(map(value, whole))

        notes = list(dict.fromkeys(note for run in group for note in run.notes))
        made.append(
            Row(
                data_set,
                step,
                tool,
                len(group),
                middle(lambda run: run.wall_s),
                middle(lambda run: run.user_s + run.sys_s),
                max(run.peak_rss_bytes for run in whole),
                int(middle(lambda run: run.repository_bytes)),
                int(middle(lambda run: run.added_bytes)),
                any(run.failed for run in group),
                notes,
            )
        )
    tool_order = [tool.name for tool in tools.ALL]
    set_order = list(dict.fromkeys(row.data_set for row in made))
    made.sort(key=lambda row: (set_order.index(row.data_set), STEPS.index(row.step), tool_order.index(row.tool)))
    return made


def _mb(count):
    return f"{count / 1e6:.1f}"


def table(made):
    head = ("data set", "step", "tool", "runs", "wall s", "CPU s", "peak MB", "repo MB", "added MB", "notes")
    lines = [head]
    previous = None
    for row in made:
        if previous and previous != row.data_set:
            lines.append(("",) * len(head))
        previous = row.data_set
        numbers = (f"{row.wall_s:.2f}", f"{row.cpu_s:.2f}", _mb(row.peak_rss_bytes), _mb(row.repository_bytes), _mb(row.added_bytes))
        if row.repository_bytes == 0:  # no run of it ended well
            numbers = ("failed", "", "", "", "")
        lines.append((row.data_set, row.step, row.tool, str(row.runs), *numbers, "; ".join(row.notes)[:160]))
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]

    def pad(column, text):
        return text.rjust(widths[column]) if 3 <= column <= 8 else text.ljust(widths[column])

    return "\n".join("  ".join(pad(column, text) for column, text in enumerate(line)).rstrip() for line in lines)


@dataclass
class Claim:
    """`verdict` is `ok`, `NOT`, or `not judged` where nothing was there to compare with."""

    text: str
    verdict: str

    def line(self):
        return f"{self.text} {self.verdict}"


def _claim(text, holds):
    return Claim(text, "ok" if holds else "NOT")


def _speed(by, data_set, step, words, need):
    """Wall time against the faster rival."""
    own = by.get((data_set, step, SUBJECT))
    rivals = [row for tool in RIVALS if (row := by.get((data_set, step, tool))) and not row.failed]
    if own is None or own.failed:
        return Claim(f"{words} {data_set}: {SUBJECT} gave no result", "NOT")
    if not rivals:
        return Claim(f"{words} {data_set}: {own.wall_s:.2f} s, no rival measured", "not judged")
    best = min(rivals, key=lambda row: row.wall_s)
    ratio = best.wall_s / own.wall_s
    # At most so much of the time is at least so many times as fast; "ahead" is strictly so.
    holds = ratio > 1 if need == AHEAD else ratio >= need
    wanted = "ahead of both" if need == AHEAD else f"at least {need:g}x"
    return _claim(f"{words} {data_set}: {ratio:.2f}x fastest peer ({best.tool}), wanted {wanted}", holds)


def _smaller(by, data_set):
    own = by.get((data_set, "first", SUBJECT))
    rivals = [row for tool in RIVALS if (row := by.get((data_set, "first", tool))) and not row.failed]
    words = f"repository {data_set}:"
    if own is None or own.failed:
        return Claim(f"{words} {SUBJECT} gave no result", "NOT")
    if not rivals:
        return Claim(f"{words} {_mb(own.repository_bytes)} MB, no rival measured", "not judged")
    best = min(rivals, key=lambda row: row.repository_bytes)
    text = f"{words} {_mb(own.repository_bytes)} MB, smallest peer {_mb(best.repository_bytes)} MB ({best.tool}), wanted smaller"
    return _claim(text, own.repository_bytes < best.repository_bytes)


def _peak(made, tool, most, words):
    own = [row for row in made if row.tool == tool and row.peak_rss_bytes]
    if not own:
        return Claim(f"{words}: {tool} gave no result", "NOT")
    high = max(own, key=lambda row: row.peak_rss_bytes)
    where = f"{high.data_set}, {high.step}"
    return _claim(f"{words}: {_mb(high.peak_rss_bytes)} MB at most ({where}), wanted {_mb(most)} MB", high.peak_rss_bytes <= most)


def _whole(made, tool):
    own = [row for row in made if row.tool == tool]
    wrong = [f"{row.data_set} {row.step}" for row in own if row.failed]
    text = f"every command of {tool} succeeded and every restore equals its source"
    return _claim(text + (f": failed at {', '.join(wrong)}" if wrong else ""), own and not wrong)


def claims(made, subjects):
    """Judges what can be judged for the `subjects` (strongroom, with and without a memory limit) that were run."""
    by = {(row.data_set, row.step, row.tool): row for row in made}
    data_sets = list(dict.fromkeys(row.data_set for row in made))
    judged = []
    if SUBJECT in subjects:
        for data_set in data_sets:
            steady = data_set in FIRST_BACKUP
            if steady:
                judged.append(_speed(by, data_set, "first", "first backup", FIRST_BACKUP[data_set]))
            if data_set == "smallfiles":
                judged.append(_smaller(by, data_set))
            if steady:
                judged.append(_speed(by, data_set, "unchanged", "unchanged run", UNCHANGED))
            judged.append(_speed(by, data_set, "restore", "restore", AHEAD))
            judged.append(_speed(by, data_set, "check", "check", AHEAD))
        judged.append(_peak(made, SUBJECT, PEAK_BYTES_MAX, "peak memory"))
        judged.append(_whole(made, SUBJECT))
    if LOW_MEMORY in subjects:
        judged.append(_peak(made, LOW_MEMORY, tools.LOW_MEMORY_BYTES, f"peak memory with --max-memory {tools.LOW_MEMORY}"))
        judged.append(_whole(made, LOW_MEMORY))
    return judged


def record(kind, value):
    return {"type": kind, **(value if isinstance(value, dict) else asdict(value))}
