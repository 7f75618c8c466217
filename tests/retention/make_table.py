#!/usr/bin/env python3
"""Writes restic-table.txt: what restic keeps of made-up histories under made-up policies.

usage: make_table.py RESTIC > restic-table.txt

Each history is the snapshots of one host. A line `history` lists their times in seconds since 1970,
the newest first, each with its tags; a line `policy` has the flags, then for every history the
positions that restic keeps. All in UTC. The seed is fixed; the ids that restic draws are not shown.
"""

import datetime
import json
import os
import random
import subprocess
import sys
import tempfile

RESTIC = sys.argv[1]
DRAW = random.Random(20260405)
HISTORIES, POLICIES = 24, 90
SPANS = {"sparse": 40 * 86400, "daily": 86400, "hourly": 3600, "weekly": 7 * 86400, "minutes": 600}


def run(*arguments):
    environment = dict(os.environ, RESTIC_PASSWORD="x", TZ="UTC")
    done = subprocess.run([RESTIC, *arguments], env=environment, capture_output=True, text=True, check=True)
    return done.stdout


def made_up_history():
    span = DRAW.choice(list(SPANS.values()))
    at = DRAW.randrange(1_400_000_000, 1_750_000_000)
    if DRAW.random() < 0.4:
        year = DRAW.randrange(2015, 2025)
        at = int(datetime.datetime(year, 12, 27, tzinfo=datetime.timezone.utc).timestamp())
    times = []
    for _ in range(DRAW.randrange(3, 18)):
        times.append((at, sorted(DRAW.sample(["a", "b", "c"], DRAW.choice([0, 0, 1, 2])))))
        at += DRAW.choice([span, span, DRAW.randrange(1, 2 * span), span // 3 + 1])
    return times


def made_up_policy():
    flags = []
    for name in ("last", "hourly", "daily", "weekly", "monthly", "yearly"):
        if DRAW.random() < 0.35:
            flags += [f"--keep-{name}", DRAW.choice(["1", "1", "2", "3", "5", "8", "unlimited"])]
    for name in ("", "-hourly", "-daily", "-weekly", "-monthly", "-yearly"):
        if DRAW.random() < 0.2:
            span = DRAW.choice(["1h", "36h", "1d", "10d", "1m", "2m5d", "1y", "1y2m3d4h", "31d"])
            flags += [f"--keep-within{name}", span]
    if DRAW.random() < 0.2:
        flags += ["--keep-tag", DRAW.choice(["a", "b", "a,b"])]
    return flags or made_up_policy()


def main():
    with tempfile.TemporaryDirectory() as work:
        repo, source = os.path.join(work, "r"), os.path.join(work, "s")
        open(source, "w").close()
        run("init", "-r", repo)
        histories = [made_up_history() for _ in range(HISTORIES)]
        for number, history in enumerate(histories):
            for at, tags in history:
                time = datetime.datetime.fromtimestamp(at, datetime.timezone.utc).strftime("%Y-%m-%d %H:%M:%S")
                marks = [part for tag in tags for part in ("--tag", tag)]
                run("backup", "-q", "-r", repo, "--host", f"h{number:02}", "--time", time, *marks, source)
            history.sort(key=lambda one: -one[0])
            print("history", " ".join(f"{at}:{','.join(tags)}" for at, tags in history), flush=True)
        places = [{at: place for place, (at, _) in enumerate(history)} for history in histories]
        for _ in range(POLICIES):
            policy = made_up_policy()
            flags = ["--group-by", "host", "--unsafe-allow-remove-all", *policy]
            found = {}
            for group in json.loads(run("forget", "-r", repo, "--dry-run", "--json", *flags)):
                number = int(group["host"][1:])
                kept = [datetime.datetime.fromisoformat(one["time"].replace("Z", "+00:00")) for one in group["keep"] or []]
                found[number] = sorted(places[number][int(time.timestamp())] for time in kept)
            kept = ";".join(",".join(map(str, found[number])) for number in range(HISTORIES))
            print("policy", " ".join(policy), "=>", kept, flush=True)


main()
