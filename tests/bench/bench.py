#!/usr/bin/python3
"""Kentongan beside its peers, on the same streams, on the same machine, one after the other.

Each case is a program, a number of cameras and perhaps people who watch:

    sub/kentongan-adaptive@40            forty cameras, sub-streams analysed, nobody watches
    sub/kentongan-adaptive@40+50x4+4p    50 pages of 4 live tiles, and 4 playbacks

  quick      four cases in three minutes, compared with the stored ratios; changes no file
  standard   what design section 11 limits, then the peers, then fewer cameras, in 28 minutes (the default)
  full       and then the rest: every program with 1, 4, 10, 20 and 40 cameras, ours with 5 and 50
             viewers too, an hour and a half in all
  report     only writes docs/bench.md and the plots again

  ./run bench --plan                                 what would be measured, and for how long
  ./run bench full --window 60 --windows 3           a night of it
  ./run bench --cases 'sub/*@4' --out /tmp/try       only these, and nothing in docs/

Results are kept in docs/bench.json and told in docs/bench.md as each case ends, so an interrupted run
goes on where it was: a case is measured again when its program changed, when it was measured for shorter
than asked, when the machine was busy with other things, or with --fresh. CPU is user and system time of
the program and its children in per cent of one core, the median of the windows. Memory is PSS. The
simulator and the viewers are not counted; what else ran on the machine is told ("others"). ZoneMinder is
fetched and unpacked below build/, not installed.
"""
import argparse
import ctypes
import hashlib
import json
import os
import pathlib
import platform
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec

import measure
import report
from cases import WARM_UP_S, Case, choose
from programs import BUILD, ROOT, Failed, Kentongan, KentonganMonth, Playbacks

MEDIA = pathlib.Path(os.environ.get("KT_BENCH_MEDIA", ROOT / "demo" / "bench"))
SCENE = MEDIA / "bench.json"
DOCS = ROOT / "docs"
BUSY = 20                   # per cent of a core: more beside the measured, and it is measured again
RING_SECONDS = 10
GOP_S = 2                   # of the scene, see scene.py
PR_SET_CHILD_SUBREAPER = 36


# ------------------------------ one case ------------------------------

def start_simulator(cameras, folder):
    child = subprocess.Popen([str(BUILD / "tests/camera/kt-camera"), "--cameras", str(cameras), "--port", "0",
                              "--truth", f"{folder}/truth.json", str(MEDIA)], stdout=subprocess.PIPE, text=True)
    line = child.stdout.readline()
    if not line.startswith("ready"):
        sys.exit("bench: the camera simulator did not start")
    port = dict(f.split("=") for f in line.split()[1:])["port"]
    return child, f"rtsp://127.0.0.1:{port}"


def start_viewers(case, server, seconds):
    truth = json.loads((server.folder / "truth.json").read_text())
    # A camera's loop begins at the epoch less its offset, with a key frame as each GOP_S from there.
    phases = ",".join(str(truth["epoch_us"] - round(1e6 * camera["offset_s"])) for camera in truth["cameras"])
    arguments = (server.port, server.cookie, case.viewers, case.tiles, case.cameras, "sub" if server.sub else "main",
                 WARM_UP_S, seconds, round(1e6 * GOP_S), phases)
    return subprocess.Popen([str(BUILD / "tests/bench/viewers"), *map(str, arguments)], stdout=subprocess.PIPE, text=True)


def restart(program):
    """Seconds until it answers, and until all cameras record, on the ring that the case left."""
    program.stop()
    began = time.monotonic()
    answers = program.start()
    program.ready()
    return {"start_ms": round(1000 * answers), "all_record_ms": round(1000 * (time.monotonic() - began))}


def measure_case(case, window, windows):
    folder = tempfile.mkdtemp(prefix="case-", dir=BUILD / "bench")
    simulator, base = start_simulator(case.cameras, folder)
    program, viewers, playbacks = case.program(case.cameras, base, folder), None, None
    try:
        program.start()
        program.ready()
        if case.viewers:
            viewers = start_viewers(case, program, window * windows)
        if case.playbacks:
            playbacks = Playbacks(program, case.playbacks)
        time.sleep(WARM_UP_S)
        program.before()
        helpers = [simulator.pid, os.getpid()] + ([viewers.pid] if viewers else [])
        result = measure.measure(program.pids(), helpers, window, windows)
        program.check_alive()
        result["load"] = round(os.getloadavg()[0], 2)
        if viewers:
            result["live"] = json.loads(viewers.communicate(timeout=60)[0] or '{"failed": true}')
        if playbacks:
            playbacks.stop()
            result["playback_error"] = playbacks.error
        result.update(program.after(result["span_s"]))
        if isinstance(program, Kentongan):
            result.update(restart(program))
        return result
    except (Failed, OSError) as why:        # an HTTP answer that is an error, too
        return {"failed": " ".join(filter(None, (str(why), getattr(why, "url", None))))}
    finally:
        if playbacks:
            playbacks.stop()
        if viewers and viewers.poll() is None:
            viewers.kill()
            viewers.wait()
        program.stop()
        simulator.terminate()
        simulator.wait()
        shutil.rmtree(folder, ignore_errors=True)


# ------------------------------ other measurements ------------------------------

def measure_ring():
    """ring_bench and whatever other tests/bench/ring_* there is: JSON lines, kept as they are."""
    rows = []
    for program in sorted((BUILD / "tests" / "bench").glob("ring_*")):
        if not os.access(program, os.X_OK) or program.is_dir():
            continue
        with tempfile.TemporaryDirectory(prefix="ring-", dir=BUILD / "bench") as folder:
            out = subprocess.run([str(program), folder, str(RING_SECONDS)], capture_output=True, text=True)
        rows += [json.loads(line) for line in out.stdout.splitlines() if line.startswith("{")]
        if out.returncode:
            rows.append({"bench": program.name, "failed": out.stderr[-200:]})
    return {"rows": rows}


def measure_month():
    with tempfile.TemporaryDirectory(prefix="month-", dir=BUILD / "bench") as folder:
        program = KentonganMonth(folder)
        try:
            return program.figures()
        except Failed as why:
            return {"failed": str(why)}
        finally:
            program.stop()


# The tests that tell how long pictures take, and those that bring the browser to where they begin.
BROWSER_TESTS = ("right one opens", "over one WebSocket", "median latency", "first picture", "something moved",
                 "what was recorded", "playing an event", "a seek")


def measure_chromium():
    """What the browser tests tell of latency, first pictures and seeking, in Debian's Chromium."""
    folder = ROOT / "tests" / "browser"
    if not (folder / "node_modules").is_dir():
        return {"failed": "the browser tests are not installed: ./run tests browser"}
    tests = subprocess.Popen(["node", "browser.mjs", *BROWSER_TESTS], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             text=True, cwd=folder)
    try:
        out = tests.communicate()[0]
    finally:
        tests.terminate()       # it removes its folders
        tests.wait()
    notes = [line[2:] for line in out.splitlines() if re.match(r"# .*\d ms", line)]
    return {"notes": notes, **told(notes)} if notes else {"failed": "no test told a latency: " + out[-200:]}


def told(notes):
    """The figures in the notes of the browser tests. Of several rounds the first: the others are second tries."""
    figures = {"latency_ms": {}}
    for note in notes:
        latency = re.match(r"(.*): latency median (\d+) ms, .*99 % below (\d+) ms", note)
        if latency:
            figures["latency_ms"].setdefault(latency[1], [int(latency[2]), int(latency[3])])
        for key, begin in (("first_ms", "first picture after a click: "), ("seek_ms", "seek until the picture is there: ")):
            if note.startswith(begin):
                figures.setdefault(key, statistics.median(map(int, note[len(begin):-3].split())))
    return figures


# What is measured, about how many seconds that takes, and what it depends on.
OTHERS = {"month": (measure_month, 20, Kentongan.version),
          "ring": (measure_ring, 2 * RING_SECONDS + 20, lambda: "ring " + Kentongan.version()),
          "chromium": (measure_chromium, 60, Kentongan.version)}


# ------------------------------ all of them ------------------------------

def machine():
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if "model name" in line), "?")
    memory = next(int(line.split()[1]) for line in open("/proc/meminfo") if line.startswith("MemTotal"))
    return f"{cpu}, {os.cpu_count()} cores, {memory / 1048576:.0f} GiB, Linux {platform.release()}"


def read_results(docs):
    path = docs / "bench.json"
    stored = json.loads(path.read_text()) if path.exists() else {}
    return stored if isinstance(stored.get("cases"), dict) else {"cases": {}}


def results_here(docs):
    """What was measured on this machine, with this scene."""
    about = {"machine": machine(), "scene": SCENE.read_text() if SCENE.exists() else None}
    stored = read_results(docs)
    return {**about, "cases": stored["cases"] if all(stored.get(k) == v for k, v in about.items()) else {}}


def save_results(results, docs):
    path = docs / "bench.json"
    part = path.with_suffix(".part")
    part.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")
    part.rename(path)


class Job:
    """Something to measure: a case, or one of OTHERS."""

    def __init__(self, name, args):
        self.id, self.why_not, self.span_s = name, None, 0
        if name in OTHERS:
            self.measure, self.seconds, self.version = OTHERS[name]
            return
        case = Case(name)
        window, windows = case.windows(args.window, args.windows)
        self.span_s = window * windows
        self.measure = lambda: measure_case(case, window, windows)
        self.seconds, self.version, self.why_not = case.seconds(window, windows), case.program.version, case.program.missing()

    def known(self, results):
        """Is it measured already, with this program, for long enough and in peace?"""
        old = results["cases"].get(self.id)
        return old and "failed" not in old and old["version"] == self.version() and \
            old.get("span_s", 0) >= self.span_s and old.get("others_cpu", 0) < BUSY


def plan(args, results):
    """The jobs that are to be done."""
    jobs = []
    for job in (Job(name, args) for name in choose(args.mode, args.cases)):
        if job.why_not:
            print(f"bench: {job.id}: left out, {job.why_not}")
        elif args.fresh or args.mode == "quick" or not job.known(results):
            jobs.append(job)
    return jobs


def brief(result):
    if "failed" in result:
        return "FAILED: " + result["failed"]
    return ", ".join(f"{k} {result[k]}" for k in ("cpu", "pss_mb", "others_cpu", "lost", "live", "timeline_ms", "rows", "notes")
                     if k in result)


def commit():
    """The commit that is measured, or None where it cannot be told."""
    def git(*command):
        return subprocess.run(["git", *command], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    try:
        changed = git("status", "--porcelain", "--", ":!docs")
        return git("rev-parse", "--short", "HEAD") + (" with changes" if changed else "") if BUILD == ROOT / "build" else None
    except (OSError, subprocess.CalledProcessError):
        return None


def measure_all(jobs, keep):
    """KEEP(id, result) is called after each."""
    measured, left, of = {}, sum(job.seconds for job in jobs), commit()
    print(f"bench: {len(jobs)} to measure, about {left / 60:.0f} minutes", flush=True)
    for job in jobs:
        began, when = time.monotonic(), time.strftime("%Y-%m-%d %H:%M", time.gmtime())
        result = {"when": when, **job.measure(), "version": job.version(), "took_s": round(time.monotonic() - began)}
        if of:
            result["commit"] = of
        measured[job.id] = result
        left -= job.seconds
        print(f"{job.id}: {brief(result)}  [{result['took_s']} s; {left / 60:.0f} min left]", flush=True)
        keep(job.id, result)
    return measured


def draw_scene():
    """Once, and again when the drawing changed."""
    drawing = ROOT / "tests" / "bench" / "scene.py"
    made_by = hashlib.sha256(drawing.read_bytes()).hexdigest()[:12]
    if SCENE.exists() and json.loads(SCENE.read_text()).get("made_by") == made_by:
        return
    print("bench: drawing the scene (a minute, once)", flush=True)
    if subprocess.run([sys.executable, str(drawing), str(MEDIA)]).returncode:
        sys.exit("bench: there is no scene to measure with")


def leave_nothing_behind():
    """End what still runs below this process; programs whose parents ended come to us, see main()."""
    while below := measure.tree(os.getpid())[1:]:
        for pid in below:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        os.waitpid(-1, 0)


def check_installed():
    """`./run bench` installs all this; who calls this program otherwise is told what to do."""
    missing = [package for module, package in (("cv2", "python3-opencv"), ("numpy", "python3-numpy"),
                                               ("matplotlib", "python3-matplotlib")) if not find_spec(module)]
    missing += [p for p in ("ffmpeg",) if not shutil.which(p)]
    if missing:
        sys.exit(f"bench: missing packages: {' '.join(missing)}; ./run bench installs them")
    for program in ("server/kentongan", "tests/camera/kt-camera", "tests/bench/viewers"):
        if not (BUILD / program).exists():
            sys.exit(f"bench: {BUILD / program} is not built; ./run bench builds it")


def run(args):
    check_installed()
    if not args.plan:
        draw_scene()
        (BUILD / "bench").mkdir(parents=True, exist_ok=True)
        args.out.mkdir(parents=True, exist_ok=True)
    results = results_here(args.out)
    jobs = [] if args.mode == "report" else plan(args, results)
    if args.plan:
        print("\n".join(f"{job.seconds:5d} s  {job.id}" for job in jobs), f"\n{sum(job.seconds for job in jobs) / 60:.1f} minutes")
        return

    def keep(name, result):
        results["cases"][name] = result
        save_results(results, args.out)
        report.write(results, args.out)

    if args.mode == "quick":
        report.compare(measure_all(jobs, lambda *_: None), read_results(args.out), results["machine"])
        return
    try:
        if args.mode != "report":
            measure_all(jobs, keep)
    finally:
        if not jobs:        # else the last case wrote it
            report.write(results, args.out)
        report.plots(results, args.out)
        print(f"bench: wrote {args.out}/bench.md")


def main():
    parser = argparse.ArgumentParser(prog="./run bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", nargs="?", default="standard", choices=["quick", "standard", "full", "report"])
    parser.add_argument("--cases", nargs="+", metavar="PATTERN", help="ids of cases, or shell patterns of them")
    parser.add_argument("--window", type=int, metavar="S", help="seconds of a window, rounded up to show the whole scene")
    parser.add_argument("--windows", type=int, metavar="N", help="how many windows")
    parser.add_argument("--fresh", action="store_true", help="measure again what is known already")
    parser.add_argument("--plan", action="store_true", help="only say what would be measured, and for how long")
    parser.add_argument("--out", type=pathlib.Path, default=DOCS, metavar="DIR",
                        help="keep results, table and plots here (docs/), and compare with those here")
    args = parser.parse_args()
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        run(args)
    except KeyboardInterrupt:
        sys.exit("bench: interrupted; what was measured is kept")
    finally:
        leave_nothing_behind()


if __name__ == "__main__":
    main()
