"""What programs cost, from /proc: processor, memory, context switches, bytes written."""
import os
import pathlib
import statistics
import time

TICK = os.sysconf("SC_CLK_TCK")


def tree(pid):
    """PID and all its descendants."""
    pids, todo = [], [pid]
    while todo:
        p = todo.pop()
        pids.append(p)
        for task in pathlib.Path(f"/proc/{p}/task").glob("*/children"):
            try:
                todo += [int(c) for c in task.read_text().split()]
            except OSError:
                pass
    return pids


def _sum(pids, file, value):
    """Sum of VALUE(text) over what /proc/PID/FILE says of each process that still lives."""
    total = 0
    for p in pids:
        try:
            total += value(pathlib.Path(f"/proc/{p}/{file}").read_text())
        except OSError:
            pass
    return total


def _field(text, name):
    return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith(name))


def cpu_seconds(pids):
    """User and system time so far, threads that ended included."""
    def of(text):
        fields = text.rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12])
    return _sum(pids, "stat", of) / TICK


def pss_mb(pids):
    return _sum(pids, "smaps_rollup", lambda text: _field(text, "Pss:")) / 1024


def bytes_written(pids):
    return _sum(pids, "io", lambda text: _field(text, "write_bytes"))


def switches(pids):
    """Context switches of all threads that live."""
    total = 0
    for p in pids:
        for status in pathlib.Path(f"/proc/{p}/task").glob("*/status"):
            try:
                text = status.read_text()
            except OSError:
                continue
            total += _field(text, "voluntary_ctxt") + _field(text, "nonvoluntary_ctxt")
    return total


def threads(pids):
    """{name of thread: [user seconds, system seconds]}"""
    found = {}
    for p in pids:
        for stat in pathlib.Path(f"/proc/{p}/task").glob("*/stat"):
            try:
                head, rest = stat.read_text().rsplit(")", 1)
            except OSError:
                continue
            of = found.setdefault(head.split("(", 1)[1], [0, 0])
            user, system = rest.split()[11:13]
            of[0] += int(user) / TICK
            of[1] += int(system) / TICK
    return found


def machine_busy_seconds():
    """What all processors did so far, idle and waiting for the disk left out."""
    fields = [int(f) for f in pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / TICK


def measure(pids, helpers, seconds, windows):
    """WINDOWS of SECONDS each. HELPERS are the simulator and the clients: with PIDS they
    are what should run on this machine; the rest is told as `others`."""
    cpu, switch, others = [], [], []
    wrote, by_thread, start = bytes_written(pids), threads(pids), time.monotonic()
    for _ in range(windows):
        c0, h0, s0 = cpu_seconds(pids), cpu_seconds(helpers), switches(pids)
        m0, t0 = machine_busy_seconds(), time.monotonic()
        time.sleep(seconds)
        span = time.monotonic() - t0
        ours, theirs = cpu_seconds(pids) - c0, cpu_seconds(helpers) - h0
        cpu.append(100 * ours / span)
        others.append(100 * max(0, machine_busy_seconds() - m0 - ours - theirs) / span)
        switch.append((switches(pids) - s0) / span)
    span = time.monotonic() - start
    spent = {name: [round(100 * (now - was) / span, 2) for now, was in zip(new, by_thread.get(name, [0, 0]))]
             for name, new in threads(pids).items()}
    return {
        "cpu": round(statistics.median(cpu), 2),
        "cpu_windows": [round(c, 2) for c in cpu],
        "window_s": seconds,
        "others_cpu": round(statistics.median(others), 1),
        "pss_mb": round(pss_mb(pids), 1),
        "switches_per_s": round(statistics.median(switch)),
        "written_kib_per_s": round((bytes_written(pids) - wrote) / 1024 / span),
        "threads": {name: cpu for name, cpu in spent.items() if sum(cpu) >= 0.05},
        "span_s": round(span, 1),
    }
