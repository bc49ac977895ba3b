#!/usr/bin/python3
"""Two hours of a site's life in two minutes, and nothing grows.

Time is not accelerated (cameras, codecs and disks do not lie faster); what happens is: more often
than in two hours of a busy site, cameras vanish and come back, pages with live tiles open and close,
people seek, download and look at timelines, cameras are added and removed. The ring is so small
that it is overwritten twenty times. KT_SOAK_MINUTES=120 makes a night of it.
"""
import os
import pathlib
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from kt import (BUILD, ROOT, Cameras, Server, camera_list, cpu_seconds, descriptors, format_time, free_port, memory_kib,
                note, run, test, wait_for)

SECONDS = 60 * float(os.environ.get("KT_SOAK_MINUTES", "2"))
SETTLE = 20                     # after all has been used once
N = 12
RING_MIB = 16                   # 12 cameras write 3 MB/s
WRAPS = 20
# More than what comes and goes by itself; a picture or a thread forgotten at each turn passes it.
MEMORY_MIB, DESCRIPTORS, THREADS = 12, 4, 1
VIEWERS = ROOT / "build" / "tests" / "bench" / "viewers"

port = free_port()
cameras = Cameras(N, port=port)
entries = camera_list(cameras)
server = Server(entries, ring=f"{RING_MIB} MiB", clips="16 MiB").start()
ids = [c["id"] for c in entries]
count = {"cameras gone and back": 0, "pages opened": 0, "requests": 0, "configurations": 0}
errors = []


def threads():
    return len(os.listdir(f"/proc/{server.process.pid}/task"))


class Turn:
    """Does something again and again beside the others, between start() and stop()."""

    def __init__(self, name, pause, function):
        self.name, self.pause, self.function, self.i = name, pause, function, 0

    def start(self):
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.loop, daemon=True)
        self.thread.start()

    def loop(self):
        while not self.stopping.wait(self.pause):
            try:
                self.function(self.i)
                count[self.name] += 1
            except (AssertionError, OSError, subprocess.SubprocessError) as error:
                errors.append(f"{self.name}: {error}")
            self.i += 1

    def stop(self):
        self.stopping.set()
        self.thread.join()


def turn(name, pause):
    return lambda function: Turn(name, pause, function)


@turn("pages opened", 0.2)
def pages(i):
    """Four pages of up to nine tiles; some are closed before the first picture is there."""
    seconds = (0.1, 1, 0.5, 2)[i % 4]
    kind = "main" if i % 3 == 0 else "sub"
    subprocess.run([VIEWERS, str(server.port), server.cookie, "4", str(1 + i % 9), str(N), kind, "0", str(seconds),
                    "2000000", ",".join("0" * N)],      # nobody asks how late they are
                   check=True, capture_output=True, timeout=30)


@turn("requests", 0.1)
def people(i):
    now, camera = time.time(), ids[i % N]
    (lambda: server.get(f"/cameras/{camera}/snapshot.jpg"),
     lambda: server.get("/timeline?camera=" + ",".join(ids) + f"&from={format_time(now - 3600)}&to={format_time(now)}"),
     lambda: server.request("GET", server.range_path(camera, "clip.mp4", now - 3, now - 1)),
     lambda: server.request("GET", server.range_path(camera, "playlist.m3u8", now - 4, now)),
     lambda: server.get("/events?limit=50"),
     lambda: server.get("/system"),
     lambda: server.get("//metrics"),
     lambda: server.login())[i % 8]()


@turn("configurations", 4)
def configurations(i):
    """The last camera goes out of the configuration and comes back."""
    server.config.write_text(server.yaml(entries[:-1] if i % 2 == 0 else entries, f"{RING_MIB} MiB", "16 MiB"))
    server.signal(1)            # SIGHUP


def cameras_away(i):
    """All cameras vanish, half of the time without a goodbye, and come back at the same place."""
    global cameras
    cameras.process.kill() if i % 2 else cameras.process.terminate()
    cameras.process.wait()
    time.sleep(1)
    cameras = Cameras(N, port=port)
    count["cameras gone and back"] += N


def state():
    pid = server.process.pid
    return memory_kib(pid) / 1024, descriptors(pid), threads()


def written_mib():
    return server.get("/system").json()["rings"][0]["written"] / 1048576


def at_rest():
    """What is held once everybody has gone and all cameras record."""
    for t in everybody:
        t.stop()
    server.config.write_text(server.yaml(entries, f"{RING_MIB} MiB", "16 MiB"))
    server.signal(1)
    server.wait_recording(ids, 30)
    time.sleep(6)               # a commit, a group of pictures, connections that close
    return state()


everybody = (pages, people, configurations)


@test("it comes to rest once everything has been used")
def warm_up():
    global before
    server.wait_recording(ids, 15)
    for t in everybody:
        t.start()
    time.sleep(SETTLE)
    before = at_rest()
    note(f"before: {before[0]:.0f} MiB, {before[1]} descriptors, {before[2]} threads")


@test("two hours of coming and going")
def soak():
    global samples
    samples, began, i = [], time.time(), 0
    for t in everybody:
        t.start()
    while time.time() - began < SECONDS - SETTLE:
        cameras_away(i)
        i += 1
        wait_for("cameras come back", 20, lambda: sum(c["recording"] for c in server.cameras().values()) >= N - 1)
        time.sleep(6)
        samples.append(state())
    for t in everybody:
        t.stop()
    note(", ".join(f"{n} {what}" for what, n in count.items()))
    note(f"{cpu_seconds(server.process.pid) / (time.time() - began) * 100:.0f} % of a core")
    assert not errors, f"{len(errors)} refused or failed, first: {errors[:3]}"
    assert min(count.values()) > 0, count


@test(f"the ring went around at least {WRAPS} times")
def wraps():
    missing = WRAPS * RING_MIB - written_mib()
    if missing > 0:             # a slow machine spent its time on the coming and going
        wait_for("the ring goes around", 60 + missing, lambda: written_mib() >= WRAPS * RING_MIB, every=1)
    note(f"{written_mib() / RING_MIB:.0f} times around {RING_MIB} MiB")


@test("memory, descriptors and threads are flat")
def flat():
    memory, files, n = at_rest()
    third = len(samples) // 3 or 1
    # The least of each: what a queue holds while the disk is slow comes and goes, what is forgotten stays.
    early, late = (min(s[0] for s in part) for part in (samples[:third], samples[-third:]))
    note(f"after: {memory:.0f} MiB, {files} descriptors, {n} threads; on the way {early:.0f} MiB at first, {late:.0f} at last")
    assert max(memory - before[0], late - early) <= MEMORY_MIB, f"{before} {samples} {memory}"
    assert files <= before[1] + DESCRIPTORS, (before, files)
    assert n <= before[2] + THREADS, (before, n)


@test("what is in the ring is whole, and it ends in time")
def whole():
    server.stop(10)
    done = subprocess.run([BUILD / "server" / "kentongan", "verify", server.folder / "video"], capture_output=True,
                          text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


run()
