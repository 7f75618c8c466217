"""Runs one command alone and says what it cost: wall time, CPU, peak memory, and CPU that others used meanwhile.

The peak comes from GNU time, because a process started from Python inherits Python's own peak.
"""

import os
import shutil
import signal
import subprocess
import threading
import time
from dataclasses import dataclass

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Cost:
    wall_s: float
    user_s: float
    sys_s: float
    peak_rss_bytes: int
    others_cpu_s: float
    code: int
    complaint: str

    @property
    def cpu_s(self):
        return self.user_s + self.sys_s


def _machine_cpu_s():
    with open("/proc/stat") as stat:
        user, nice, system, _, _, irq, softirq = map(int, stat.readline().split()[1:8])
    return (user + nice + system + irq + softirq) / _TICKS


class Runner:
    def __init__(self, logs, timeout_s):
        self._logs, self._timeout_s = logs, timeout_s
        self._time = shutil.which("time", path="/usr/bin:/bin") or shutil.which("time")
        os.makedirs(logs, exist_ok=True)

    @property
    def peaks_are_exact(self):
        return self._time is not None

    def run(self, command, environment, folder, log):
        """Runs `command` in `folder`; what it prints goes to the log file of that name."""
        log = os.path.join(self._logs, log)
        peak_file = log + ".peak"
        if self._time:
            command = [self._time, "-q", "-f", "%M", "-o", peak_file, "--", *command]
        os.sync()  # what earlier runs wrote is not to be written back during this one
        with open(log, "wb") as out:
            others, start = _machine_cpu_s(), time.monotonic()
            child = subprocess.Popen(
                command, env=environment, cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
            )
            # A session of its own, so that the deadline and an interrupt end the whole family.
            deadline = threading.Timer(self._timeout_s, os.killpg, (child.pid, signal.SIGKILL))
            deadline.start()
            try:
                _, status, usage = os.wait4(child.pid, 0)
            except BaseException:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
                raise
            finally:
                deadline.cancel()
            wall = time.monotonic() - start
            others = _machine_cpu_s() - others - usage.ru_utime - usage.ru_stime
        child.returncode = code = os.waitstatus_to_exitcode(status)
        peak = usage.ru_maxrss
        if self._time and code >= 0:
            with open(peak_file) as file:
                peak = int(file.read().split()[-1])
            os.unlink(peak_file)
        complaint = ""
        if code:
            with open(log, "rb") as file:
                complaint = f"exit {code}: " + file.read()[-400:].decode(errors="replace").strip().replace("\n", " | ")
        return Cost(wall, usage.ru_utime, usage.ru_stime, peak * 1024, max(0.0, others), code, complaint)


def read_everything(*roots):
    """Reads every file once, so that all tools find their input in the page cache."""
    buffer = bytearray(1 << 20)
    for root in roots:
        for folder, _, names in os.walk(root):
            for name in names:
                path = os.path.join(folder, name)
                if not os.path.islink(path):
                    with open(path, "rb", buffering=0) as file:
                        while file.readinto(buffer):
                            pass


def bytes_below(root):
    return sum(os.lstat(os.path.join(folder, name)).st_size for folder, _, names in os.walk(root) for name in names)


def empty(root):
    """Frees what the files below `root` hold but keeps the files.

    ext4 passes over inodes deleted in the last minutes, one by one, whenever it looks for a free one:
    deleting a tree of many files here would slow down whoever creates files in the next measured run.
    """
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)
            if not os.path.islink(path):
                os.truncate(path, 0)
