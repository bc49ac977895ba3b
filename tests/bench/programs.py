"""What all measured programs have in common, and Kentongan; its peers are in peers.py and zoneminder.py."""
import hashlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.parse
import urllib.request

import measure

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("KT_BUILD", ROOT / "build"))
PASSWORD = "bench-password-1"
RING = "800 MiB"            # forty cameras fill it in 75 s: restarts find it full
CHECKED_S = 45              # of its end, which such a ring still holds, are searched for missing frames


class Failed(Exception):
    """This case cannot be measured; its text says why."""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def first_line(*command):
    out = subprocess.run(command, capture_output=True, text=True)
    return (out.stdout + out.stderr).strip().splitlines()[0].split(",")[0].split(" Copyright")[0]


class Program:
    """Something that records N cameras below BASE into a folder."""
    needs = None                # what must be installed
    end_s = 1                   # about how long its figures and its end take

    def __init__(self, cameras, base, folder):
        self.cameras, self.base, self.folder = cameras, base, pathlib.Path(folder)
        self.children = []

    @classmethod
    def version(cls):
        """Changes when what is measured does."""
        return first_line(cls.needs, "-version") if cls.needs else "?"

    def spawn(self, command, **kwargs):
        with open(self.folder / "log", "ab") as log:
            child = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                     start_new_session=True, **kwargs)
        self.children.append(child)
        return child

    def pids(self):
        return [p for c in self.children for p in measure.tree(c.pid)]

    def stop(self):
        for c in self.children:
            if c.poll() is None:
                c.send_signal(signal.SIGTERM)
        for c in self.children:
            try:
                c.wait(15)
            except subprocess.TimeoutExpired:
                c.kill()
                c.wait()
        self.children = []

    def check_alive(self):
        if any(c.poll() is not None for c in self.children):
            raise Failed("it ended by itself: " + (self.folder / "log").read_text()[-300:])

    def wait(self, seconds, why, condition):
        end = time.monotonic() + seconds
        while True:
            self.check_alive()
            try:
                if condition():
                    return
            except OSError:
                pass
            if time.monotonic() > end:
                raise Failed(why)
            time.sleep(0.02)

    def ready(self):
        """Wait until it records; a peer cannot be asked, and gets the time to connect."""
        time.sleep(self.settle_s(self.cameras))

    @classmethod
    def settle_s(cls, cameras):
        """About how long start() and ready() take."""
        return 4 + cameras // 8

    @classmethod
    def missing(cls):
        """Why it cannot run here, or None."""
        return f"{cls.needs} is not installed" if cls.needs and not shutil.which(cls.needs) else None

    def before(self):
        """Called before the windows, to remember counters."""

    def after(self, span_s):
        """Figures of its own, after windows that took SPAN_S."""
        return {}


class Kentongan(Program):
    """Ours. ANALYSIS as in its configuration; SUB: is there a sub-stream?"""
    analysis, sub = "off", False
    end_s = 2                   # and a restart

    @classmethod
    def version(cls):
        return "kentongan " + hashlib.sha256((BUILD / "server/kentongan").read_bytes()).hexdigest()[:12]

    def config(self):
        lines = [f"server: {{ listen: '127.0.0.1:{self.port}', timezone: Asia/Jakarta, language: id }}",
                 "storage:", f"  catalog: {self.folder}/catalog.db", "  rings:",
                 f"    - {{ name: video, path: {self.folder}/video, size: {RING} }}",
                 f"    - {{ name: clips, path: {self.folder}/clips, size: 256 MiB, only: events }}", "cameras:"]
        for i in range(1, self.cameras + 1):
            sub = f", sub: '{self.base}/cam{i:02d}/sub'" if self.sub else ""
            lines.append(f"  - {{ id: cam{i:02d}, name: Camera {i}, main: '{self.base}/cam{i:02d}/main'{sub}, "
                         f"analysis: {self.analysis} }}")
        return "\n".join(lines) + "\n"

    def start(self):
        """Returns how many seconds pass until it answers."""
        self.port, self.cookie = free_port(), None
        path = self.folder / "kentongan.yaml"
        path.write_text(self.config())
        began = time.monotonic()
        self.spawn([str(BUILD / "server/kentongan"), "serve", "-c", str(path)],
                   env={**os.environ, "KENTONGAN_ADMIN_PASSWORD": PASSWORD})
        self.wait(20, "it does not answer", lambda: self.fetch("/healthz"))
        return time.monotonic() - began

    def fetch(self, path):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}")
        if self.cookie:
            request.add_header("Cookie", self.cookie)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.read()

    def get(self, path):
        return json.loads(self.fetch("/api/v1" + path))

    def login(self):
        origin = f"http://127.0.0.1:{self.port}"
        request = urllib.request.Request(
            origin + "/api/v1/session", json.dumps({"username": "admin", "password": PASSWORD}).encode(),
            {"Content-Type": "application/json", "Origin": origin})
        with urllib.request.urlopen(request, timeout=10) as answer:
            self.cookie = answer.headers["Set-Cookie"].split(";")[0]

    def all_record(self):
        items = self.get("/cameras")["items"]
        return len(items) == self.cameras and all(c["recording"] for c in items)

    @classmethod
    def settle_s(cls, cameras):
        return 1 + cameras // 20

    def ready(self):
        self.login()
        self.wait(60, "not all cameras record", self.all_record)

    # ---- figures ----

    def counters(self):
        text = self.fetch("/metrics").decode()
        syncs = sum(float(line.split()[-1]) for line in text.splitlines()
                    if line.startswith(("kentongan_ring_syncs_total{", "kentongan_catalog_syncs_total")))
        rings = self.get("/system")["rings"]
        return {"syncs": syncs, "payload": sum(r.get("written", 0) for r in rings),
                "bytes": measure.bytes_written(self.pids()), "time": time.time()}

    def before(self):
        self.remembered = self.counters()

    def after(self, span_s):
        was, now = self.remembered, self.counters()
        system, cameras = self.get("/system"), self.get("/cameras")["items"]
        return {
            "fsyncs_per_s": round((now["syncs"] - was["syncs"]) / (now["time"] - was["time"]), 2),
            "written_per_payload": round((now["bytes"] - was["bytes"]) / max(1, now["payload"] - was["payload"]), 3),
            "lost": {"packets": sum(c.get("lost_packets", 0) for c in cameras),
                     "chunks": sum(r.get("dropped_chunks", 0) for r in system["rings"]),
                     "intervals": sum(r.get("lost_intervals", 0) for r in system["rings"]),
                     "not_recording": sum(not c["recording"] for c in cameras),
                     "frames": self.missing_frames(max(was["time"] - 5, now["time"] - 3 - CHECKED_S), now["time"] - 3)},
            "shed_load": system.get("analysis", {}).get("degraded", False),
            "timeline_ms": self.median_ms(10, self.timeline),
            "seek_ms": self.median_ms(10, self.seek),
        }

    def missing_frames(self, begin, end, fps=15):
        """Of the main streams of two cameras: how many frames the recording lacks."""
        missing = 0
        for camera in {"cam01", f"cam{self.cameras:02d}"}:
            path = self.folder / f"{camera}.mp4"
            path.write_bytes(self.fetch(f"/api/v1/cameras/{camera}/clip.mp4?" + self.range(begin, end)))
            out = subprocess.run(["ffprobe", "-v", "error", "-select_streams", "v", "-show_entries", "packet=pts_time",
                                  "-of", "csv=p=0", str(path)], capture_output=True, text=True, check=True).stdout
            times = sorted(float(line.strip(",")) for line in out.split())
            missing += max(0, round((times[-1] - times[0]) * fps) + 1 - len(times))
            missing += max(0, int((end - begin) * fps) - 1 - len(times))
            path.unlink()
        return missing

    @staticmethod
    def range(begin, end):
        def text(t):
            return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(t)) + f".{int(t * 1000) % 1000:03d}Z"
        return urllib.parse.urlencode({"from": text(begin), "to": text(end), "stream": "main"})

    def median_ms(self, times, action):
        took = []
        for i in range(times):
            began = time.monotonic()
            action(i)
            took.append(1000 * (time.monotonic() - began))
        return round(sorted(took)[len(took) // 2], 1)

    def timeline(self, i):
        now = time.time()
        ids = ",".join(f"cam{c:02d}" for c in range(1, self.cameras + 1))
        self.fetch(f"/api/v1/timeline?camera={ids}&buckets=300&" + self.range(now - 30 * 86400, now))

    def segments(self, camera, begin, end):
        base = f"/api/v1/cameras/{camera}/playlist.m3u8?" + self.range(begin, end)
        text = self.fetch(base).decode()
        here = f"http://127.0.0.1:{self.port}{base}"
        if "#EXTINF" not in text:
            raise Failed(f"no video of {camera} at {begin}")
        start = [line.split('"')[1] for line in text.splitlines() if line.startswith("#EXT-X-MAP")]
        parts = [line for line in text.splitlines() if line and line[0] != "#"]
        return [urllib.parse.urljoin(here, u).split(str(self.port), 1)[1] for u in start[:1] + parts]

    def seek(self, i):
        """What a player fetches before it can show a picture: list, init segment, first segment."""
        at = time.time() - 8 - i
        for path in self.segments(f"cam{1 + i % self.cameras:02d}", at, at + 6)[:2]:
            self.fetch(path)


class KentonganAdaptive(Kentongan):
    analysis, sub = "adaptive", True


class KentonganFull(Kentongan):
    analysis, sub = "full", True


class KentonganMainAdaptive(Kentongan):
    analysis = "adaptive"


class KentonganMainFull(Kentongan):
    analysis = "full"


class KentonganMonth(Kentongan):
    """Forty cameras that are away, and the month that they recorded; see history.c."""

    def __init__(self, folder):
        super().__init__(40, "rtsp://127.0.0.1:9", folder)
        subprocess.run([str(BUILD / "tests/bench/history"), f"{folder}/video", str(1 << 30), f"{folder}/catalog.db",
                        str(self.cameras), "30"], check=True, capture_output=True)

    def figures(self):
        start_ms = 1000 * self.start()
        self.login()
        ids = ",".join(f"cam{c:02d}" for c in range(1, self.cameras + 1))
        now = time.time()
        return {"start_ms": round(start_ms), "timeline_ms": {
            str(days): self.median_ms(15, lambda i: self.fetch(f"/api/v1/timeline?camera={ids}&buckets=720&"
                                                          + self.range(now - days * 86400, now)))
            for days in (1, 7, 30)},
            "old_list_ms": self.median_ms(15, lambda i: self.segments(f"cam{1 + i:02d}", now - 10 * 86400 - 600 * i,
                                                                     now - 10 * 86400 - 600 * i + 60))}


class Playbacks:
    """N people who watch recordings in real time, each another camera."""

    def __init__(self, server, n):
        self.server, self.stopping, self.error = server, threading.Event(), None
        self.threads = [threading.Thread(target=self.watch, args=(i,), daemon=True) for i in range(n)]
        for t in self.threads:
            t.start()

    def watch(self, i):
        camera = f"cam{1 + i % self.server.cameras:02d}"
        try:
            while not self.stopping.is_set():
                at = time.time() - 8
                for path in self.server.segments(camera, at, at + 4):
                    self.server.fetch(path)
                self.stopping.wait(4)
        except OSError as error:
            self.error = str(error)

    def stop(self):
        self.stopping.set()
        for t in self.threads:
            t.join()
