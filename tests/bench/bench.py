#!/usr/bin/python3
"""Kentongan beside its peers, on the same streams, in the same run.

usage: bench.py [quick|full] [--cameras 1,4,10,20,40] [--seconds 60] [--only NAME,...]

For each number of cameras: start the camera simulator on the bench scene, run one
program after the other, warm up, measure windows, stop. Writes docs/bench.md,
docs/bench.json and docs/bench-cpu.svg (full), or compares with docs/bench.json (quick).

CPU is user + system time of the program and all its children, in per cent of one
core, median of the windows. Memory is the sum of PSS. The simulator is not counted.
"""
import argparse
import json
import os
import pathlib
import platform
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("KT_BUILD", ROOT / "build"))
MEDIA = pathlib.Path(os.environ.get("KT_BENCH_MEDIA", ROOT / "demo" / "bench"))
TICK = os.sysconf("SC_CLK_TCK")
PASSWORD = "bench-password-1"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


# ------------------------------ measuring ------------------------------

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


def cpu_seconds(pids):
    total = 0
    for p in pids:
        try:
            fields = pathlib.Path(f"/proc/{p}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        total += int(fields[11]) + int(fields[12])
    return total / TICK


def pss_mb(pids):
    total = 0
    for p in pids:
        try:
            text = pathlib.Path(f"/proc/{p}/smaps_rollup").read_text()
        except OSError:
            continue
        total += sum(int(l.split()[1]) for l in text.splitlines() if l.startswith("Pss:"))
    return total / 1024


def switches(pids):
    total = 0
    for p in pids:
        for status in pathlib.Path(f"/proc/{p}/task").glob("*/status"):
            try:
                text = status.read_text()
            except OSError:
                continue
            total += sum(int(l.split()[1]) for l in text.splitlines() if "ctxt_switches" in l)
    return total


def written(pids):
    total = 0
    for p in pids:
        try:
            text = pathlib.Path(f"/proc/{p}/io").read_text()
        except OSError:
            continue
        total += sum(int(l.split()[1]) for l in text.splitlines() if l.startswith("write_bytes"))
    return total


def measure(pids, seconds, windows):
    """Windows of SECONDS each."""
    cpu, switch = [], []
    wrote = written(pids)
    start = time.monotonic()
    for _ in range(windows):
        c0, s0, t0 = cpu_seconds(pids), switches(pids), time.monotonic()
        time.sleep(seconds)
        span = time.monotonic() - t0
        cpu.append(100 * (cpu_seconds(pids) - c0) / span)
        switch.append((switches(pids) - s0) / span)
    span = time.monotonic() - start
    return {
        "cpu": round(statistics.median(cpu), 2),
        "cpu_min": round(min(cpu), 2),
        "cpu_max": round(max(cpu), 2),
        "pss_mb": round(pss_mb(pids), 1),
        "switches_per_s": round(statistics.median(switch)),
        "written_kib_per_s": round((written(pids) - wrote) / 1024 / span),
    }


# ------------------------------ programs ------------------------------

class Program:
    """Something that records N cameras below BASE into a folder."""

    def __init__(self, name, cameras, base, folder):
        self.name, self.cameras, self.base = name, cameras, base
        self.folder = pathlib.Path(folder)
        self.children = []

    def spawn(self, command, **kwargs):
        log = open(self.folder / f"{self.name.replace(' ', '-')}.log", "ab")
        child = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                 start_new_session=True, **kwargs)
        self.children.append(child)
        return child

    def pids(self):
        return [p for c in self.children for p in tree(c.pid)]

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

    def alive(self):
        return all(c.poll() is None for c in self.children)

    def ready(self, timeout):
        """Wait until it records; here: as long as it takes to connect."""
        time.sleep(min(timeout, 5 + self.cameras / 4))

    def figures(self):
        return {}


class Ffmpeg(Program):
    def start(self):
        for i in range(1, self.cameras + 1):
            self.spawn(["ffmpeg", "-v", "error", "-rtsp_transport", "tcp", "-i",
                        f"{self.base}/cam{i:02d}/main", "-c", "copy", "-f", "segment",
                        "-segment_time", "60", str(self.folder / f"cam{i:02d}-%03d.mp4")])


class Plain(Program):
    mode = "record"

    def start(self):
        self.spawn([str(BUILD / "tests/bench/plain"), str(self.folder), self.mode, self.base,
                    str(self.cameras)])


class PlainAnalyse(Plain):
    mode = "analyse"


class Motion(Program):
    """Motion 4.5: analyse the sub-stream, write the main stream through on events."""

    def start(self):
        conf = self.folder / "motion.conf"
        files = []
        for i in range(1, self.cameras + 1):
            path = self.folder / f"camera{i}.conf"
            path.write_text(
                f"camera_id {i}\nnetcam_url {self.base}/cam{i:02d}/sub\n"
                f"netcam_high_url {self.base}/cam{i:02d}/main\n"
                f"width 640\nheight 360\nframerate 10\ntarget_dir {self.folder}\n")
            files.append(f"camera {path}")
        conf.write_text("daemon off\nsetup_mode off\nwebcontrol_port 0\nstream_port 0\n"
                        "picture_output off\nmovie_output on\nmovie_passthrough on\n"
                        "log_level 4\n" + "\n".join(files) + "\n")
        self.spawn(["motion", "-n", "-c", str(conf)])


class Kentongan(Program):
    analysis, main_only = "off", False

    def start(self):
        self.port = free_port()
        cams = []
        for i in range(1, self.cameras + 1):
            sub = "" if self.main_only else f", sub: '{self.base}/cam{i:02d}/sub'"
            if self.analysis == "off":
                sub = ""
            cams.append(f"  - {{ id: cam{i:02d}, name: Camera {i}, "
                        f"main: '{self.base}/cam{i:02d}/main'{sub}, analysis: {self.analysis} }}")
        config = self.folder / "kentongan.yaml"
        config.write_text(
            f"server: {{ listen: '127.0.0.1:{self.port}', timezone: Asia/Jakarta, language: id }}\n"
            f"storage:\n  catalog: {self.folder}/catalog.db\n  rings:\n"
            f"    - {{ name: video, path: {self.folder}/video, size: 4 GiB }}\n"
            f"    - {{ name: clips, path: {self.folder}/clips, size: 512 MiB, only: events }}\n"
            "cameras:\n" + "\n".join(cams) + "\n")
        self.spawn([str(BUILD / "server/kentongan"), "serve", "-c", str(config)],
                   env={**os.environ, "KENTONGAN_ADMIN_PASSWORD": PASSWORD})

    def get(self, path):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}")
        if getattr(self, "cookie", None):
            request.add_header("Cookie", self.cookie)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def login(self):
        body = json.dumps({"username": "admin", "password": PASSWORD}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/api/v1/session", body,
            {"Content-Type": "application/json", "Origin": f"http://127.0.0.1:{self.port}"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            self.cookie = answer.headers["Set-Cookie"].split(";")[0]

    def ready(self, timeout):
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            try:
                if not getattr(self, "cookie", None):
                    self.login()
                cams = self.get("/api/v1/cameras")["items"]
                if len(cams) == self.cameras and all(c["recording"] for c in cams):
                    return
            except OSError:
                pass
            time.sleep(0.5)
        sys.exit(f"bench: {self.name}: not all cameras record; see {self.folder}")

    def figures(self):
        cams = self.get("/api/v1/cameras")["items"]
        return {"not_recording": sum(not c["recording"] for c in cams)}


class KentonganFull(Kentongan):
    analysis = "full"


class KentonganAdaptive(Kentongan):
    analysis = "adaptive"


class KentonganMainAdaptive(KentonganAdaptive):
    main_only = True


class KentonganMainFull(KentonganFull):
    main_only = True


CASES = {
    # task, program, class
    "record: ffmpeg -c copy": Ffmpeg,
    "record: plain libav": Plain,
    "record: kentongan": Kentongan,
    "sub: motion": Motion,
    "sub: plain libav": PlainAnalyse,
    "sub: kentongan adaptive": KentonganAdaptive,
    "sub: kentongan full": KentonganFull,
    "main: kentongan adaptive": KentonganMainAdaptive,
    "main: kentongan full": KentonganMainFull,
}
NEEDS = {"sub: motion": "motion", "record: ffmpeg -c copy": "ffmpeg"}


def start_simulator(cameras, folder):
    truth = pathlib.Path(folder) / "truth.json"
    child = subprocess.Popen([str(BUILD / "tests/camera/kt-camera"), "--cameras", str(cameras),
                              "--port", "0", "--truth", str(truth), str(MEDIA)],
                             stdout=subprocess.PIPE, text=True)
    line = child.stdout.readline()
    if not line.startswith("ready"):
        sys.exit("bench: the camera simulator did not start")
    port = dict(f.split("=") for f in line.split()[1:])["port"]
    return child, f"rtsp://127.0.0.1:{port}"


def run_case(name, cameras, seconds, windows):
    with tempfile.TemporaryDirectory(prefix="kt-bench-") as folder:
        simulator, base = start_simulator(cameras, folder)
        program = CASES[name](name, cameras, base, folder)
        try:
            program.start()
            program.ready(60)
            time.sleep(min(20, seconds))            # backgrounds settle, caches fill
            result = measure(program.pids(), seconds, windows)
            if not program.alive():
                return {"failed": True}
            result.update(program.figures())
            result["simulator_cpu"] = round(measure([simulator.pid], 5, 1)["cpu"], 1)
            return result
        finally:
            program.stop()
            simulator.terminate()
            simulator.wait()


# ------------------------------ reporting ------------------------------

def versions():
    cpu = next((l.split(":")[1].strip() for l in open("/proc/cpuinfo") if "model name" in l), "?")
    text = [f"{cpu}, {os.cpu_count()} cores, Linux {platform.release()}"]
    for command in (["ffmpeg", "-version"], ["motion", "-h"]):
        if shutil.which(command[0]):
            out = subprocess.run(command, capture_output=True, text=True)
            text.append((out.stdout + out.stderr).strip().splitlines()[0].split(",")[0])
    return text


def plot(results, path):
    try:
        import matplotlib
        matplotlib.use("svg")
        from matplotlib import pyplot
    except ImportError:
        print("bench: no matplotlib, no plot")
        return
    figure, axes = pyplot.subplots(figsize=(8, 5))
    for name in CASES:
        points = sorted((r["cameras"], r["cpu"]) for r in results
                        if r["case"] == name and "cpu" in r)
        if points:
            axes.plot(*zip(*points), marker="o", label=name)
    axes.set_xlabel("cameras")
    axes.set_ylabel("CPU, % of one core")
    axes.set_ylim(bottom=0)
    axes.legend(fontsize="small")
    axes.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path)


def report(results):
    docs = ROOT / "docs"
    lines = ["# Measured beside the peers", "",
             "Written by `./run bench`. " + "; ".join(versions()) + ".", "",
             "Scene: real people over a static background about 15 % of the time, sensor noise; main",
             "1080p15 and sub 640×360@10, rate-controlled H.264 (at most 2 Mbit/s and 300 kbit/s). All",
             "programs get the same streams over RTSP/TCP from the same simulator, one after the other.",
             "CPU is user + system, per cent of one core, median (least–most) of the windows.", "",
             "| case | cameras | CPU % | PSS MB | switches/s | written KiB/s |", "|---|--:|--:|--:|--:|--:|"]
    for r in results:
        if "cpu" in r:
            lines.append(f"| {r['case']} | {r['cameras']} | {r['cpu']} ({r['cpu_min']}–{r['cpu_max']}) "
                         f"| {r['pss_mb']} | {r['switches_per_s']} | {r['written_kib_per_s']} |")
        else:
            lines.append(f"| {r['case']} | {r['cameras']} | failed | | | |")
    lines += ["", "![CPU by number of cameras](bench-cpu.svg)", ""]
    (docs / "bench.md").write_text("\n".join(lines))
    (docs / "bench.json").write_text(json.dumps(results, indent=1) + "\n")
    plot(results, docs / "bench-cpu.svg")
    print(f"wrote {docs}/bench.md")


def ratio(results, case, peer):
    by = {r["case"]: r.get("cpu") for r in results}
    return by[case] / by[peer] if by.get(case) and by.get(peer) else None


QUICK = (("record: kentongan", "record: ffmpeg -c copy"),
         ("sub: kentongan adaptive", "sub: plain libav"))


def compare(results):
    """Say what got worse against the stored ratios; informs, gates nothing."""
    path = ROOT / "docs" / "bench.json"
    stored = json.loads(path.read_text()) if path.exists() else []
    cameras = results[0]["cameras"]
    stored = [r for r in stored if r["cameras"] == cameras]
    for case, peer in QUICK:
        now, was = ratio(results, case, peer), ratio(stored, case, peer)
        if now is None:
            continue
        verdict = "no stored figure" if was is None else \
            "WORSE" if now > was * 1.15 else "better" if now < was / 1.15 else "as before"
        print(f"{case} / {peer}: {now:.2f}" + (f" (was {was:.2f})" if was else "") + f": {verdict}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mode", nargs="?", default="full", choices=["quick", "full"])
    parser.add_argument("--cameras")
    parser.add_argument("--seconds", type=int)
    parser.add_argument("--windows", type=int, default=3)
    parser.add_argument("--only")
    args = parser.parse_args()
    quick = args.mode == "quick"
    if not (MEDIA / "bench.json").exists():
        subprocess.run([sys.executable, str(ROOT / "tests/bench/scene.py"), str(MEDIA)], check=True)
    cameras = [int(n) for n in (args.cameras or ("10" if quick else "1,4,10,20,40")).split(",")]
    seconds = args.seconds or (10 if quick else 60)
    names = [c for pair in QUICK for c in pair] if quick else list(CASES)
    if args.only:
        names = [n for n in CASES if any(o in n for o in args.only.split(","))]
    results = []
    for n in cameras:
        for name in names:
            if name in NEEDS and not shutil.which(NEEDS[name]):
                print(f"{name}: skipped, {NEEDS[name]} is not installed")
                continue
            result = {"case": name, "cameras": n, **run_case(name, n, seconds, args.windows)}
            results.append(result)
            print(json.dumps(result), flush=True)
    if quick:
        compare(results)
    elif not args.only:
        report(results)


if __name__ == "__main__":
    main()
