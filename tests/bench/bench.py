#!/usr/bin/python3
"""Kentongan beside its peers, on the same streams, on the same machine, one after the other.

Each case is a program, a number of cameras and perhaps people who watch:

    sub/kentongan-adaptive@40            forty cameras, sub-streams analysed, nobody watches
    sub/kentongan-adaptive@40+50x4+4p    50 pages of 4 live tiles, and 4 playbacks

  quick      four cases in three minutes, compared with the stored ratios; changes no file
  standard   what docs/bench.md is about, in 25 minutes (the default)
  full       every program with 1, 4, 10, 20 and 40 cameras, 0, 5 and 50 viewers: hours
  report     only writes docs/bench.md and the plots again

Results are kept in docs/bench.json as each case ends, so an interrupted run goes on where it was:
a case is measured again when its program changed, when the machine was busy with other things, or with
--fresh. CPU is user and system time of
the program and its children in per cent of one core, the median of the windows. Memory is PSS.
The simulator and the viewers are not counted; what else ran on the machine is told ("others").
"""
import argparse
import fnmatch
import hashlib
import json
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time

import measure
import report
from programs import BUILD, PROGRAMS, ROOT, Failed, Kentongan, KentonganMonth, Playbacks, available

MEDIA = pathlib.Path(os.environ.get("KT_BENCH_MEDIA", ROOT / "demo" / "bench"))
RESULTS = ROOT / "docs" / "bench.json"
WARM_UP_S = 12              # backgrounds settle, caches fill
OVERHEAD_S = 22             # of a case with forty cameras: start, questions, restart, stop
BUSY = 20                   # per cent of a core: more beside the measured, and it is measured again
LOOP_S = 100                # of the scene
RING_SECONDS = 30

STANDARD = """
record/ffmpeg@40 record/plain@40 record/kentongan@40
sub/motion@40 sub/plain@40 sub/kentongan-adaptive@40 sub/kentongan-full@40
main/kentongan-adaptive@40
sub/kentongan-adaptive@40+50x4+4p sub/kentongan-adaptive@40+16x16
record/ffmpeg@10 record/kentongan@10 sub/motion@10 sub/plain@10 sub/kentongan-adaptive@10
main/motion@4 main/plain@4 main/kentongan-adaptive@4
month ring chromium
""".split()
QUICK = ["record/ffmpeg@10", "record/kentongan@10", "sub/plain@10", "sub/kentongan-adaptive@10"]


def full():
    """Motion on main streams takes ten cores for forty cameras: it is measured up to ten."""
    ids = []
    for n in (1, 4, 10, 20, 40):
        ids += [f"{p}@{n}" for p in PROGRAMS if not (p == "main/motion" and n > 10)]
        ids += [f"{p}@{n}+{v}+4p" for p in PROGRAMS if PROGRAMS[p].__name__.startswith("Kentongan")
                for v in ("5x16", "50x4")]
    return ids + ["sub/kentongan-adaptive@40+16x16", "month", "ring", "chromium"]


# ------------------------------ one case ------------------------------

class Case:
    """What an id like 'sub/kentongan-adaptive@40+16x16+4p' says."""

    def __init__(self, text):
        match = re.fullmatch(r"([a-z]+/[a-z-]+)@(\d+)(?:\+(\d+)x(\d+))?(?:\+(\d+)p)?", text)
        if not match or match[1] not in PROGRAMS:
            sys.exit(f"bench: no such case: {text}")
        self.id, self.name, self.program = text, match[1], PROGRAMS[match[1]]
        self.cameras, self.viewers, self.tiles, self.playbacks = (int(g or 0) for g in match.groups()[1:])

    def version(self):
        return self.program.version()

    def seconds(self, args):
        """(length of a window, how many)"""
        # Cameras are evenly spread over the loop: together they show all of it in LOOP_S / cameras.
        whole = LOOP_S // self.cameras or 1
        window = args.window or {"quick": 20, "full": 60}.get(args.mode, 15)
        window = -(-window // whole) * whole
        return window, args.windows or {"quick": 1, "full": 3}.get(args.mode, max(1, 50 // window))

    def duration(self, args):
        window, windows = self.seconds(args)
        return window * windows + WARM_UP_S + 6 + OVERHEAD_S * self.cameras // 40


def start_simulator(cameras, folder):
    child = subprocess.Popen([str(BUILD / "tests/camera/kt-camera"), "--cameras", str(cameras), "--port", "0",
                              "--truth", f"{folder}/truth.json", str(MEDIA)], stdout=subprocess.PIPE, text=True)
    line = child.stdout.readline()
    if not line.startswith("ready"):
        sys.exit("bench: the camera simulator did not start")
    port = dict(f.split("=") for f in line.split()[1:])["port"]
    return child, f"rtsp://127.0.0.1:{port}"


def start_viewers(case, server, seconds):
    stream = "sub" if server.sub else "main"
    return subprocess.Popen([str(BUILD / "tests/bench/viewers"), str(server.port), server.cookie, str(case.viewers),
                             str(case.tiles), str(case.cameras), stream, str(WARM_UP_S), str(seconds)],
                            stdout=subprocess.PIPE, text=True)


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
    except Failed as why:
        return {"failed": str(why)}
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
    out = subprocess.run(["node", "browser.mjs", *BROWSER_TESTS], capture_output=True, text=True, cwd=folder)
    notes = [line[2:] for line in out.stdout.splitlines() if re.match(r"# .*\d ms", line)]
    return {"notes": notes} if notes else {"failed": "no test told a latency: " + out.stdout[-200:]}


OTHERS = {"month": (measure_month, 30, Kentongan.version),
          "ring": (measure_ring, 2 * RING_SECONDS + 60, lambda: "ring " + Kentongan.version()),
          "chromium": (measure_chromium, 70, Kentongan.version)}


# ------------------------------ all of them ------------------------------

def machine():
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if "model name" in line), "?")
    memory = next(int(line.split()[1]) for line in open("/proc/meminfo") if line.startswith("MemTotal"))
    return f"{cpu}, {os.cpu_count()} cores, {memory / 1048576:.0f} GiB, Linux {platform.release()}"


def load_results():
    about = {"machine": machine(), "scene": (MEDIA / "bench.json").read_text()}
    stored = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    if not isinstance(stored, dict) or stored.get("machine") != about["machine"] or stored.get("scene") != about["scene"]:
        stored = {"cases": {}}
    return {**about, "cases": stored["cases"]}


def save_results(results):
    part = RESULTS.with_suffix(".part")
    part.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")
    part.rename(RESULTS)


def choose(args):
    if args.mode == "quick":
        ids = QUICK
    elif args.mode == "full":
        ids = full()
    else:
        ids = STANDARD
    if args.cases:
        known = dict.fromkeys(STANDARD + full())
        ids = [i for pattern in args.cases for i in (fnmatch.filter(known, pattern) or [pattern])]
    return list(dict.fromkeys(ids))


def plan(ids, args, results):
    """(id, measure(), seconds that it takes, version) of what is to be done."""
    todo = []
    for i in ids:
        if i in OTHERS:
            function, seconds, version = OTHERS[i]
            version = version()
        else:
            case = Case(i)
            if not available(case.program):
                print(f"bench: {i}: left out, {case.program.needs} is not installed")
                continue
            window, windows = case.seconds(args)
            function = (lambda c=case, w=window, n=windows: measure_case(c, w, n))
            seconds, version = case.duration(args), case.version()
        old = results["cases"].get(i)
        known = old and "failed" not in old and old["version"] == version and old.get("others_cpu", 0) < BUSY
        if not known or args.fresh or args.mode == "quick":
            todo.append((i, function, seconds, version))
    return todo


def brief(result):
    if "failed" in result:
        return "FAILED: " + result["failed"]
    return ", ".join(f"{k} {result[k]}" for k in ("cpu", "pss_mb", "others_cpu", "lost", "live", "timeline_ms", "rows", "notes")
                     if k in result)


def measure_all(todo, results, keep):
    measured = {}
    left = sum(t[2] for t in todo)
    print(f"bench: {len(todo)} to measure, about {left / 60:.0f} minutes", flush=True)
    for i, function, seconds, version in todo:
        result = {"version": version, "when": time.strftime("%Y-%m-%d %H:%M", time.gmtime()), **function()}
        measured[i] = result
        left -= seconds
        print(f"{i}: {brief(result)}  [{left / 60:.0f} min left]", flush=True)
        if keep:
            results["cases"][i] = result
            save_results(results)
    return measured


def draw_scene():
    """Once, and again when the drawing changed."""
    drawing, about = ROOT / "tests" / "bench" / "scene.py", MEDIA / "bench.json"
    made_by = hashlib.sha256(drawing.read_bytes()).hexdigest()[:12]
    if about.exists() and json.loads(about.read_text()).get("made_by") == made_by:
        return
    print("bench: drawing the scene (a minute, once)", flush=True)
    subprocess.run([sys.executable, str(drawing), str(MEDIA)], check=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", nargs="?", default="standard", choices=["quick", "standard", "full", "report"])
    parser.add_argument("--cases", nargs="+", metavar="PATTERN", help="ids of cases, or shell patterns of them")
    parser.add_argument("--window", type=int, metavar="S", help="seconds of a window")
    parser.add_argument("--windows", type=int, metavar="N", help="how many windows (3)")
    parser.add_argument("--fresh", action="store_true", help="measure again what is known already")
    parser.add_argument("--list", action="store_true", help="say what would be measured")
    parser.add_argument("--dry", action="store_true", help="change no file")
    args = parser.parse_args()
    draw_scene()
    (BUILD / "bench").mkdir(exist_ok=True)
    results = load_results()
    if args.mode != "report":
        todo = plan(choose(args), args, results)
        if args.list:
            print("\n".join(f"{t[2]:5d} s  {t[0]}" for t in todo), f"\n{sum(t[2] for t in todo) / 60:.0f} minutes")
            return
        quick = args.mode == "quick"
        measured = measure_all(todo, results, keep=not (quick or args.dry))
        if quick:
            report.compare(measured, results["cases"])
        if quick or args.dry:
            return
    report.write(results, ROOT / "docs")


if __name__ == "__main__":
    main()
