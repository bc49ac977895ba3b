"""docs/bench.md and its plots, from docs/bench.json; and the comparison of `./run bench quick`."""
import pathlib

from cases import COUNTS, grid

HERE = pathlib.Path(__file__).resolve().parent
WORSE = 1.15                # a ratio to a peer that grew by more than this is told

INTRO = """\
# Measured beside the peers

Written by `./run bench`; `./run bench --help` tells how to choose cases. {machine}.

All programs get the same streams over RTSP/TCP from the same simulator on the same machine, one after
the other. The scene: people over a static background about 15 % of the time (Debian's `vtest.avi`), sensor
noise, rate-controlled H.264, 1080p15 with 2 Mbit/s as main and 640×360@10 with 300 kbit/s as sub, each camera
with a phase of its own. CPU is user and system time in per cent of **one** core, the median of the windows, with
the least and the most of them where there are several. "Others" is what else ran on the machine meanwhile, beside the program, the
simulator and the viewers: where it is not small, compare with care. Memory is PSS. Ratios count, not
seconds: this machine is not yours. Each figure says when it was measured (UTC) and at which commit: a later run replaces only
what it measures.

`record` writes the main streams; `sub` analyses the sub-streams too; `main` analyses the main streams
(there is no sub-stream). Motion analyses and writes only while something moves; `plain` is
`tests/bench/plain.c`, what an afternoon with libavformat and libavcodec gives. ZoneMinder's figures are those of its
capture daemons and of their MariaDB, without web server and watchdogs; it has a monitor for each stream, the main one
recorded and not decoded, with its own defaults but for the size of what moves (`tests/bench/zoneminder.py`).
"""

PLOTS = ["![CPU by number of cameras](bench-cpu.svg)", "", "![Memory by number of cameras](bench-memory.svg)", "",
         "![Switches, fsyncs, answers of Kentongan by number of cameras](bench-more.svg)", ""]
COLOURS = {"kentongan": "C4", "kentongan-adaptive": "C0", "kentongan-full": "C9", "ffmpeg": "C1", "motion": "C2",
           "zoneminder": "C3", "plain": "C7"}
# The third plot: title, unit, key.
GROWING = (("context switches", "a second", "switches_per_s"), ("fsyncs", "a second", "fsyncs_per_s"),
           ("timeline of all cameras", "ms", "timeline_ms"), ("seek", "ms", "seek_ms"), ("restart", "ms", "start_ms"))

# What design section 11 asks of forty cameras: text, the most, unit, which case, how to find it there.
WATCHED = "sub/kentongan-adaptive@40+16x16"
LIMITS = (
    ("CPU, record only", 4, "%", "record/kentongan@40", lambda r: r["cpu"]),
    ("CPU, record and analyse sub-streams, adaptive", 20, "%", "sub/kentongan-adaptive@40", lambda r: r["cpu"]),
    ("CPU, record and analyse sub-streams, every frame", 30, "%", "sub/kentongan-full@40", lambda r: r["cpu"]),
    ("CPU, record and analyse 1080p main streams, adaptive", 80, "%", "main/kentongan-adaptive@40", lambda r: r["cpu"]),
    ("memory, sub-streams analysed", 250, "MB", "sub/kentongan-adaptive@40", lambda r: r["pss_mb"]),
    ("live: camera to socket, 256 tiles, median", 300, "ms", WATCHED, lambda r: r["live"]["late_p50_ms"]),
    ("live: camera to screen, Chromium, median", 300, "ms", "chromium", lambda r: max(m for m, _ in r["latency_ms"].values())),
    ("live: first picture of a tile, at the socket, median", 300, "ms", WATCHED, lambda r: r["live"]["first_p50_ms"]),
    ("live: first picture of a tile, Chromium, median", 300, "ms", "chromium", lambda r: r["first_ms"]),
    ("timeline of 40 cameras, 30 days asked for", 100, "ms", "month", lambda r: r["timeline_ms"]["30"]),
    ("list of segments ten days back", 100, "ms", "month", lambda r: r["old_list_ms"]),
    ("seek: list, init segment, first segment", 500, "ms", "sub/kentongan-adaptive@40", lambda r: r["seek_ms"]),
    ("seek in Chromium until the picture is there, median", 500, "ms", "chromium", lambda r: r["seek_ms"]),
    ("start on a full ring until it answers", 2000, "ms", "sub/kentongan-adaptive@40", lambda r: r["start_ms"]),
    ("start on a ring and catalog of a month", 2000, "ms", "month", lambda r: r["start_ms"]),
    ("index of a full ring of 1 TB", 2000, "ms", "ring",
     lambda r: next(1000 * row["seconds"] for row in r["rows"] if row.get("ring") == "1 TB" and row["bench"] == "load")),
)
RATIOS = (("record/kentongan", "record/ffmpeg"), ("record/kentongan", "record/plain"),
          ("sub/kentongan-adaptive", "sub/motion"), ("sub/kentongan-adaptive", "sub/plain"),
          ("sub/kentongan-adaptive", "sub/zoneminder"))
# What does not depend on how fast a machine is: key, in words, by how much it may grow.
FIGURES = (("pss_mb", "memory, MB", WORSE), ("fsyncs_per_s", "fsyncs a second", 1.3),
           ("written_per_payload", "bytes written per payload", 1.1), ("switches_per_s", "context switches a second", 1.5))


def lost(result):
    """Frames and more that a case lost, or None where it cannot be asked."""
    return sum(result["lost"].values()) if "lost" in result else None


def cameras_of(case):
    return int(case.split("@")[1].split("+")[0])


def of(result):
    """When, and what."""
    version = result.get("version", "")
    what = result.get("commit") or (f"binary {version.split()[-1]}" if "kentongan" in version else "")
    return ", ".join(filter(None, (result.get("when"), what)))


def order(item):
    case = item[0]
    kind = ("record", "sub", "main").index(case.split("/")[0])
    return kind, cameras_of(case), case.count("+"), "kentongan" in case, case


def table(head, rows):
    """Markdown; the first column is text, the others are figures."""
    return ["| " + " | ".join(head) + " |", "|---|" + "--:|" * (len(head) - 1)] + \
           ["| " + " | ".join(str(c) for c in row) + " |" for row in rows] + [""]


def limits(cases):
    rows = []
    for text, most, unit, case, find in LIMITS:
        try:
            value = find(cases[case])
        except (KeyError, StopIteration, ValueError):
            rows.append((text, f"{most} {unit}", "not measured", "", ""))
            continue
        rows.append((text, f"{most} {unit}", f"{value:g} {unit}", "yes" if value <= most else "**no**", of(cases[case])))
    known = [n for n in map(lost, cases.values()) if n is not None]
    if known:
        rows.append((f"frames lost, all {len(known)} cases", "0", sum(known), "**no**" if sum(known) else "yes", "see below"))
    return ["## What it must reach", ""] + table(("forty cameras", "at most", "measured", "kept", "when, commit"), rows)


def costs(cases):
    rows = []
    for case, r in sorted(cases.items(), key=order):
        if "failed" in r:
            rows.append((f"`{case}`", "failed: " + r["failed"], *[""] * 8, of(r)))
            continue
        spread = f" ({min(r['cpu_windows']):.1f}–{max(r['cpu_windows']):.1f})" if len(r["cpu_windows"]) > 1 else ""
        missing = lost(r)
        shed = " †" if r.get("shed_load") else ""
        rows.append((f"`{case}`{shed}", f"{r['cpu']:.1f}{spread}", f"{r['cpu'] / cameras_of(case):.2f}", f"{r['pss_mb']:.0f}",
                     f"{len(r['cpu_windows'])} × {r['window_s']}", r["switches_per_s"], r.get("fsyncs_per_s", ""), r.get("written_per_payload", ""),
                     "" if missing is None else missing, r["others_cpu"], of(r)))
    return ["## What each costs", ""] + \
        table(("case@cameras", "CPU %", "a camera", "PSS MB", "windows, s", "switches/s", "fsyncs/s", "bytes written per payload",
               "lost", "others %", "when, commit"), rows) + \
        (["† The machine was too busy: analysis looked at less than it was asked to.", ""]
         if any(r.get("shed_load") for r in cases.values()) else [])


def growth(cases):
    """CPU by number of cameras, and what one more costs; and what of all that could be measured is not."""
    rows, left = [], 0
    for name, row in grid().items():
        points = {cameras_of(case): cases[case] for case in row if case in cases}
        left += len(row) - len(points)
        few, many = min(points, default=0), max(points, default=0)
        more = [f"{(points[many][key] - points[few][key]) / (many - few):.{digits}f}" if few < many else ""
                for key, digits in (("cpu", 2), ("pss_mb", 1))]
        possible = [cameras_of(case) for case in row]
        rows.append((f"`{name}`", *(f"{points[n]['cpu']:.1f}" if n in points else "" if n in possible else "×" for n in COUNTS), *more))
    return ["## How it grows", "", "CPU in per cent of one core, by number of cameras; what limits it is told at the end. ×: more than two",
            f"cores can do. An empty cell is not measured: `./run bench full` measures the {left} cases that are left.", ""] + \
        table(("", *map(str, COUNTS), "one more camera: CPU %", "MB"), rows) + PLOTS


def by_thread(cases):
    """Of the cases with forty cameras and Kentongan: which thread took how much."""
    chosen = [(c, r["threads"]) for c, r in sorted(cases.items(), key=order)
              if "kentongan" in c and "@40" in c and r.get("threads")]
    names = sorted({n for _, t in chosen for n in t}, key=lambda n: -max(sum(t.get(n, [0])) for _, t in chosen))
    rows = [(f"`{n}`", *("" if n not in t else "{:.1f} + {:.1f}".format(*t[n]) for _, t in chosen)) for n in names]
    return ["## Which thread", "", "User + system time in per cent of one core.", ""] + \
        table(("thread", *(f"`{c}`" for c, _ in chosen)), rows) if rows else []


def viewers(cases):
    rows = []
    for case, r in sorted(cases.items(), key=order):
        v = r.get("live")
        if v and "failed" not in v:
            rows.append((f"`{case}`", v["mb_per_s"], v["messages_per_s"], v["late_p50_ms"], v["late_p99_ms"],
                         v["first_p50_ms"], v["first_max_ms"], v["drops"], lost(r),
                         f"{v['off_min_ms']:.0f} to {v['off_max_ms']:.0f}"))
    if not rows:
        return []
    return ["## People who watch", "",
            "`+16x16`: 16 pages of 16 live tiles; `+4p`: four playbacks. Late is from the moment when the camera took the frame",
            "to its last byte at the viewer's socket; first is from asking to the whole first picture. Off is how far the recorder's",
            "time of a frame is from the camera's, the least and the most of all cameras.", ""] + \
        table(("case", "MB/s", "messages/s", "late p50 ms", "late p99 ms", "first p50 ms", "first max ms",
               "told `dropped`", "recorded frames lost", "off ms"), rows)


def answers(cases):
    rows = [(f"`{case}`", r["timeline_ms"], r["seek_ms"], r["start_ms"], r["all_record_ms"])
            for case, r in sorted(cases.items(), key=order) if "timeline_ms" in r and "start_ms" in r]
    return ["## Answers", "", "The timeline of all cameras over 30 days, of which these have recorded minutes; see below for a whole month.",
            ""] + table(("case", "timeline ms", "seek ms", "start ms", "all record again ms"), rows) if rows else []


def month(result):
    if "timeline_ms" not in result:
        return []
    days = dict(sorted(result["timeline_ms"].items(), key=lambda item: int(item[0])))
    return ["## A month of forty cameras", "",
            f"A made-up month (`tests/bench/history.c`: 238 000 events, 170 000 records), asked over HTTP. {of(result)}.", ""] + \
        table(("", *(f"timeline of {d} days, ms" for d in days), "segments of 10 days ago, ms", "start ms"),
              [("median", *days.values(), result["old_list_ms"], result["start_ms"])])


def plain(value):
    return {True: "yes", False: "**no**"}[value] if isinstance(value, bool) else value


def ring(result):
    """A table for each kind of JSON line that the ring's benches print."""
    lines, groups = ["## The ring alone", "", f"`tests/bench/ring_bench.c`. {of(result)}.", ""], {}
    for row in result.get("rows", []):
        groups.setdefault((row.get("bench", "?"), tuple(k for k in row if k != "bench")), []).append(row)
    for (name, keys), rows in groups.items():
        lines += table((name, *keys), [("", *(plain(r[k]) for k in keys)) for r in rows])
    return lines if groups else []


def chromium(result):
    if not result.get("notes"):
        return []
    rows = [(f"live, camera to screen: {what}", *values) for what, values in result.get("latency_ms", {}).items()]
    rows += [(what, result[key], "") for what, key in (("first picture after a click", "first_ms"),
                                                       ("seek until the picture is there", "seek_ms")) if key in result]
    return ["## In Chromium", "", "Debian's Chromium on the same machine, software decoding, eight cameras; from the browser tests, which read",
            f"the camera's clock from the picture. {of(result)}. What they told:", ""] + table(("", "median ms", "p99 ms"), rows) + \
        [f"- {note}" for note in result["notes"]] + [""]


def plot(panels, path):
    """PANELS: (title, label of the vertical axis, [(name, [(cameras, value), …]), …])."""
    import matplotlib
    matplotlib.use("svg")
    from matplotlib import pyplot
    matplotlib.rcParams["svg.hashsalt"] = "kentongan"
    figure, all_axes = pyplot.subplots(1, len(panels), figsize=(4 * len(panels), 4))
    for (title, label, lines), axes in zip(panels, all_axes):
        for name, points in lines:
            axes.plot(*zip(*points), marker="o", label=name, color=COLOURS.get(name))
        axes.set(title=title, xlabel="cameras", ylabel=label, xlim=(0, 42))
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
        if lines:
            axes.legend(fontsize="small")
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def lines_of(cases, names, key):
    """[(last part of the name, [(cameras, figure KEY), …]), …] of those NAMES that have it; nobody watches."""
    found = [(name.split("/")[1], sorted((cameras_of(c), r[key]) for c, r in cases.items()
                                         if c.split("@")[0] == name and "+" not in c and key in r)) for name in names]
    return [(name, points) for name, points in found if points]


def plots(results, docs):
    cases = of_programs(results)[1]
    names = sorted({c.split("@")[0] for c in cases})
    for file, key, label in (("cpu", "cpu", "CPU, % of one core"), ("memory", "pss_mb", "PSS, MB")):
        plot([(kind, label, lines_of(cases, [n for n in names if n.startswith(kind + "/")], key))
              for kind in ("record", "sub", "main")], docs / f"bench-{file}.svg")
    plot([(title, label, lines_of(cases, ["record/kentongan", "sub/kentongan-adaptive"], key))
          for title, label, key in GROWING], docs / "bench-more.svg")


def of_programs(results):
    """The cases that are a program with cameras, and those of them that did not fail."""
    programs = {i: r for i, r in results["cases"].items() if "@" in i}
    return programs, {i: r for i, r in programs.items() if "failed" not in r}


def write(results, docs):
    """bench.md; the plots that it shows are plots()."""
    programs, good = of_programs(results)
    others = results["cases"]
    versions = sorted({r["version"] for r in good.values() if "kentongan" not in r["version"]})
    told = "Versions: " + "; ".join(versions) + "." if good else "Nothing is measured yet on this machine."
    lines = [INTRO.format(machine=results["machine"]), told, "",
             *limits({**others, **good}), *(costs(programs) if programs else []), *(growth(good) if good else []),
             *by_thread(good), *viewers(good), *answers(good), *month(others.get("month", {})),
             *ring(others.get("ring", {})), *chromium(others.get("chromium", {})), (HERE / "where.md").read_text()]
    (docs / "bench.md").write_text("\n".join(lines))


def ratio(cases, ours, peer, cameras):
    a, b = cases.get(f"{ours}@{cameras}", {}), cases.get(f"{peer}@{cameras}", {})
    return a["cpu"] / b["cpu"] if a.get("cpu") and b.get("cpu") else None


def verdict(what, now, was, most, worse):
    """Print how NOW compares; what grew more than MOST times is added to WORSE. Returns whether it could."""
    if was is None:
        print(f"{what}: {now:.4g}, nothing stored to compare with")
        return False
    text = "WORSE" if now > was * most else "better" if now < was / most else "as before"
    print(f"{what}: {now:.4g}, was {was:.4g}: {text}")
    if text == "WORSE":
        worse.append(what)
    return True


def compare(measured, stored, machine):
    """Say what got worse against what is STORED. It informs, it gates nothing."""
    worse, cases, compared = [], stored["cases"], 0
    for i in measured:
        if i in cases:
            print(f"stored: {i} of {of(cases[i])}")
    if stored.get("machine", machine) != machine:
        print(f"The stored figures are from another machine ({stored['machine']}): what is no ratio may differ for that.")
    busy = max((r.get("others_cpu", 0) for r in measured.values()), default=0)
    if busy > 20:
        print(f"Other programs took up to {busy:.0f} % of a core meanwhile: measure again before you believe it.")
    for cameras in sorted({cameras_of(i) for i in measured}):
        for ours, peer in RATIOS:
            now = ratio(measured, ours, peer, cameras)
            if now is not None:
                compared += verdict(f"CPU of {ours} to that of {peer}, {cameras} cameras", now,
                                    ratio(cases, ours, peer, cameras), WORSE, worse)
    for i, r in measured.items():
        if "failed" in r:
            worse.append(f"{i}: {r['failed']}")
        if lost(r):
            worse.append(f"{i}: lost {r['lost']}")
        for key, what, most in FIGURES if "kentongan" in i else ():
            if key in r:
                verdict(f"{what} of {i}", r[key], cases.get(i, {}).get(key), most, worse)
    if worse:
        print("bench: worse than stored: " + "; ".join(worse))
    elif compared:
        print("bench: nothing got worse")
    else:
        print("bench: no stored ratio to compare with: ./run bench makes them")
