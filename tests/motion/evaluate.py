#!/usr/bin/python3
"""How well does motion detection do? Measures, and keeps the table in docs/motion.md.

usage: evaluate.py [--build DIR] [--work DIR] [--seeds N,…] [--write]

Footage with truth is looked for in $KT_FOOTAGE or ../shared/footage beside the checkout;
without it only the made scenes are measured, and the output says so. What is made
(H.264 of the footage, made scenes) stays in --work for the next time.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
SEQUENCES = (("cdnet_highway", "input", 0), ("cdnet_pedestrians", "input", 0),
             ("sbi_CAVIAR2", "input", 1), ("sbi_IBMtest2", "input", 1), ("ucsd_peds", "all", 0))
OTHERS = ("intel_car_detection/car-detection.mp4", "tud_stadtmitte/TUD-Stadtmitte.mp4")
COSTLY = ("calm", "tree", "rain", "cloud-visitor", "headlight-visitor", "jitter-visitor", "night-visitor")
BEGIN, END = "<!-- evaluate: begin -->", "<!-- evaluate: end -->"


def run(*command, **kw):
    return subprocess.run([str(c) for c in command], check=True, text=True, capture_output=True,
                          **kw).stdout


def footage():
    for place in (os.environ.get("KT_FOOTAGE"), ROOT.parent / "shared/footage"):
        if place and pathlib.Path(place).is_dir():
            return pathlib.Path(place)
    return None


def analyze(a, video, *options):
    lines = run(a.build / "server/kentongan", "analyze", video, *options).splitlines()
    return [json.loads(x)["event"] for x in lines if x.startswith('{"event"')], lines


def fresh(folder):
    """FOLDER without files from before."""
    if folder.exists():
        for old in folder.iterdir():
            old.unlink()
    folder.parent.mkdir(exist_ok=True)
    return folder


def score(a, where, name, offset, video, *options):
    masks = fresh(a.work / "masks" / name)
    began = time.monotonic()
    analyze(a, video, "--masks", masks, *options)
    took = time.monotonic() - began
    result = json.loads(run("/usr/bin/python3", where / "score.py", where / name, masks,
                            "--offset", offset))
    return result, took


def encoded(a, where, name, pictures):
    video = a.work / f"{name}.mp4"
    if not video.exists():
        run("bash", where / "mkvideo.sh", where / name / pictures, video,
            env={**os.environ, "CRF": "28"})
    return video


def pixel_table(a, where):
    out = ["| sequence | F | recall | precision | frame recall | frame precision | events found "
           "| F, decoded as `serve` does | F, started cold |", "|---|---|---|---|---|---|---|---|---|"]
    total, fast_total, cold_total = 0.0, 0.0, 0.0
    for name, pictures, offset in SEQUENCES:
        video = encoded(a, where, name, pictures)
        r, _ = score(a, where, name, offset, video)
        cold, _ = score(a, where, name, offset, video, "--cold")
        fast, _ = score(a, where, name, offset, video, "--fast")
        total, fast_total, cold_total = total + r["f"], fast_total + fast["f"], cold_total + cold["f"]
        out.append(f"| {name} | {r['f']:.3f} | {r['recall']:.3f} | {r['precision']:.3f} "
                   f"| {r['frame_recall']:.3f} | {r['frame_precision']:.3f} "
                   f"| {r['events_found']} of {r['events']} | {fast['f']:.3f} | {cold['f']:.3f} |")
    out.append(f"| **mean** | **{total / len(SEQUENCES):.3f}** | | | | | "
               f"| {fast_total / len(SEQUENCES):.3f} | {cold_total / len(SEQUENCES):.3f} |")
    return out


def trees(a, where):
    """Waving trees, before which somebody passes from picture 242 on."""
    video = a.work / "wallflower_wavingtrees.mp4"
    if not video.exists():
        run("ffmpeg", "-nostdin", "-v", "error", "-framerate", "25", "-i", where / "wallflower_wavingtrees/b%05d.bmp",
            "-c:v", "libx264", "-threads", "1", "-crf", "28", "-g", "25", "-bf", "0", "-pix_fmt", "yuv420p", video)
    said = []
    for how, options in (("known place", []), ("decoded as `serve` does", ["--fast"]), ("started cold", ["--cold"])):
        events, _ = analyze(a, video, *options)
        false = [e for e in events if e["end"] < 242 / 25]
        found = "found" if len(events) > len(false) else "missed"
        said.append(f"{how}: {len(false)} false events, who passes is {found}")
    return ["Waving trees before which somebody passes for 0.7 s (Wallflower): " + "; ".join(said) + "."]


def modes_table(a, videos):
    out = ["| video | packets | events, full | found by adaptive | latest start | decoded "
           "| CPU, of full |", "|---|---|---|---|---|---|---|"]
    full = both = 0
    for video in videos:
        r = json.loads(run(a.build / "tests/motion/kt-compare-modes", video, 2))
        full, both = full + r["full"], both + r["in_both"]
        out.append(f"| {video.stem}, twice | {r['packets']} | {r['full']} | {r['in_both']} "
                   f"| {r['latest_start_s']:.1f} s | {100 * r['decoded'] // r['packets']} % "
                   f"| {100 * r['cpu_adaptive_s'] / r['cpu_full_s']:.0f} % |")
    out.append(f"| **all** | | {full} | {both} | | | |")
    return out


def wide(a, name):
    """The sequence as a camera's sub-stream, 640x360: analysed at 320x180."""
    video = a.work / f"wide-{name}.mp4"
    if not video.exists():
        run("ffmpeg", "-nostdin", "-v", "error", "-i", a.work / f"{name}.mp4", "-vf", "scale=640:360", "-c:v", "libx264",
            "-threads", "1", "-preset", "veryfast", "-crf", "23", "-bf", "0", "-g", "50", video)
    return video


def cost_table(a, videos):
    out = ["| video | pictures | µs a picture | dearest hundredth | the first |", "|---|---|---|---|---|"]
    mean = 0.0
    for video in videos:
        r = json.loads(run(a.build / "tests/motion/kt-motion-cost", video))
        mean += r["us"] / len(videos)
        out.append(f"| {video.stem} | {r['pictures']} | {r['us']:.0f} | {r['us_dearest_hundredth']:.0f} "
                   f"| {r['us_first']:.0f} |")
    out.append(f"| **mean** | | **{mean:.0f}** | | |")
    return out


def overlaps(event, span):
    return event["start"] <= span[1] and event["end"] >= span[0]


def pixels(truth_video, masks):
    """F of the masks against the lossless video of who was there; its soft edges do not count."""
    import cv2
    import numpy
    video, n, right, wrong, missed = cv2.VideoCapture(str(truth_video)), 0, 0, 0, 0
    while True:
        got, picture = video.read()
        if not got:
            return 2 * right / max(1, 2 * right + wrong + missed)
        n += 1
        mask = cv2.imread(str(masks / f"{n:06d}.pgm"), cv2.IMREAD_GRAYSCALE)
        small = cv2.resize(picture[:, :, 0], (320, 180), interpolation=cv2.INTER_AREA)
        seen = cv2.resize(mask, (320, 180), interpolation=cv2.INTER_NEAREST) > 0
        right += numpy.count_nonzero(seen & (small > 200))
        wrong += numpy.count_nonzero(seen & (small < 10))
        missed += numpy.count_nonzero(~seen & (small > 200))


def nuisance_table(a, seeds):
    out = ["| nuisance | false events, nothing there | visitors found | false events beside them | F |",
           "|---|---|---|---|---|"]
    rows = {}
    for seed in seeds:
        place = a.work / f"nuisance-{seed}"
        if not (place / "complete").exists():
            run("/usr/bin/python3", ROOT / "tests/motion/nuisance.py", place, "--seed", seed)
            (place / "complete").touch()
        for truth_file in sorted(place.glob("*.json")):
            truth = json.loads(truth_file.read_text())
            masks = fresh(a.work / "masks" / "nuisance") if truth["passes"] else None
            events, _ = analyze(a, truth_file.with_suffix(".mp4"),
                                *(["--masks", masks] if masks else []))
            row = rows.setdefault(truth["scene"], [0, 0, 0, 0, []])
            if masks:
                row[4].append(pixels(truth_file.with_suffix(".mkv"), masks))
            if not truth["passes"]:
                row[0] += len(events)
                continue
            row[1] += sum(any(overlaps(e, p) for e in events) for p in truth["passes"])
            row[2] += len(truth["passes"])
            row[3] += sum(not any(overlaps(e, p) for p in truth["passes"]) for e in events)
    for name, row in rows.items():
        out.append(f"| {name} | {row[0]} | {row[1]} of {row[2]} | {row[3]} "
                   f"| {sum(row[4]) / len(row[4]):.2f} |")
    total = [sum(r[i] for r in rows.values()) for i in range(4)]
    f = [x for row in rows.values() for x in row[4]]
    out.append(f"| **all** | **{total[0]}** | **{total[1]} of {total[2]}** | **{total[3]}** "
               f"| **{sum(f) / len(f):.2f}** |")
    return out


def main():
    ap = argparse.ArgumentParser(description=__doc__,
                                 formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    ap.add_argument("--work", type=pathlib.Path, default=ROOT / "build/motion-eval")
    ap.add_argument("--seeds", default="1")
    ap.add_argument("--write", action="store_true", help="put the tables into docs/motion.md")
    a = ap.parse_args()
    a.work.mkdir(parents=True, exist_ok=True)
    where, text, videos = footage(), [], []
    if where:
        text += ["Real sequences with truth for every pixel, as H.264 at crf 28:", ""]
        text += pixel_table(a, where) + [""] + trees(a, where) + [""]
        videos = [a.work / f"{name}.mp4" for name, _, _ in SEQUENCES]
        videos += [where / other for other in OTHERS]
    else:
        text += ["*No footage found ($KT_FOOTAGE): real sequences were not measured.*", ""]
    seeds = a.seeds.split(",")
    text += [f"Made scenes (`tests/motion/nuisance.py`, seeds {', '.join(seeds)}), 36 s each:", ""]
    text += nuisance_table(a, seeds) + [""]
    videos += sorted((a.work / f"nuisance-{seeds[0]}").glob("*-visitor.mp4"))
    text += ["Adaptive decoding against full decoding, same packets:", ""]
    text += modes_table(a, videos)
    costly = [wide(a, name) for name, _, _ in SEQUENCES] if where else []
    costly += [a.work / f"nuisance-{seeds[0]}" / f"{name}.mp4" for name in COSTLY]
    text += ["", "From luma to tracks and events at 320×180, decoding left out, CPU time (`kt-motion-cost`):", ""]
    text += cost_table(a, costly)
    print("\n".join(text))
    if a.write:
        doc = ROOT / "docs/motion.md"
        old = doc.read_text()
        head, rest = old.split(BEGIN)
        doc.write_text(head + BEGIN + "\n" + "\n".join(text) + "\n" + END + rest.split(END)[1])
    return 0


if __name__ == "__main__":
    sys.exit(main())
