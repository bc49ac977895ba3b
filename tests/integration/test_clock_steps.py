#!/usr/bin/python3
"""The recorder's clock is stepped while it records: an hour ahead, back, back into what is recorded, and out of 1970.
What the kernel thinks of it is stored with every record and told."""
import io
import json
import os
import struct
import time
import zipfile

from kt import BUILD, SLOW, Cameras, Server, camera_list, format_time, new_folder, note, run, test, ticks, wait_for

SHIM = BUILD / "tests" / "integration" / "libkt_clock_shim.so"
if not SHIM.exists() or SLOW > 1:
    print("1..0 # SKIP the clock cannot be shifted under a sanitizer")
    raise SystemExit(77)
HOUR = 3600
RUN = 8                # seconds between two steps; key frames come every 2
STEPS = [float(s) for s in os.environ.get("KT_CLOCK_STEPS", "12 -12 3 -3 60 -40").split()]   # seconds, never back to before the first
cameras = Cameras(2)


class Clock:
    """The daemon's clock, which is the machine's plus `ahead` seconds."""

    def __init__(self, ahead=0.0):
        self.path = new_folder("clock") / "offset"
        self.path.write_bytes(bytes(16))
        self.file = open(self.path, "r+b", buffering=0)
        self.set(ahead)

    def set(self, ahead):
        self.ahead = ahead
        self.file.seek(0)
        self.file.write(struct.pack("=q", int(ahead * 1e9)))

    def vouch(self, synchronised):
        """What adjtimex(2) tells the daemon of it from now on."""
        self.file.seek(8)
        self.file.write(struct.pack("=q", 1 if synchronised else 2))

    def now(self):
        return time.time() + self.ahead

    def server(self):
        return Server(camera_list(cameras, analysis="off"), env={"LD_PRELOAD": str(SHIM), "KT_CLOCK_OFFSET": str(self.path)})


def frames(server, begin, end, name):
    """The numbers on the frames of the sub-stream between two times, in the order in which they are played."""
    return ticks(server.clip("cam01", begin, end, "sub", name), "sub")


def breaks(numbers, loop=2400):
    return [(a, b) for a, b in zip(numbers, numbers[1:]) if (b - a) % loop != 3]


clock = Clock()
server = clock.server().start()
server.wait_recording(["cam01", "cam02"], 10)
parts = []              # (from, to) on the daemon's clock


def record(ahead):
    clock.set(ahead)
    begin = clock.now()
    time.sleep(RUN)
    parts.append((begin, clock.now()))


@test("an hour ahead and an hour back: nothing is lost, each frame is found at the time that the clock showed")
def an_hour():
    for ahead in (0, HOUR, 0):
        record(ahead)
    time.sleep(3)
    line = server.timeline("cam01", parts[0][0] - 60, parts[1][1] + 60)
    assert len(line["spans"]) == 3, line["spans"]
    assert any(g["reason"] == "clock-step" for g in line["gaps"]), line["gaps"]
    # Up to the next key frame the old run keeps the old clock: that is where the seams are.
    early = frames(server, parts[0][0], parts[0][1] + 4, "early.mp4")
    ahead = frames(server, parts[1][0] - 4, parts[1][1] + 10, "ahead.mp4")
    late = frames(server, parts[2][0] - 0.5, clock.now(), "late.mp4")
    assert not breaks(ahead), breaks(ahead)
    whole = [n for n in early if n is not None]
    assert len(ahead) >= (RUN - 3) * 10, len(ahead)
    first, last = whole.index(ahead[0]) if ahead[0] in whole else len(whole), ahead[-1]
    note(f"{len(early)} frames before, {len(ahead)} an hour ahead, {len(late)} after")
    everything = whole[:first] + ahead + [n for n in late if (n - last) % 2400 in range(1, 1200)]
    assert not breaks(everything), breaks(everything)


@test("back into what is recorded already: both stay, none is overwritten or hidden, and order is kept")
def back_into_it():
    begin = clock.now()
    time.sleep(RUN)
    clock.set(-RUN)             # the same wall time once more
    time.sleep(RUN + 4)
    end = clock.now()
    items = server.get(server.range_path("cam01", "segments", begin, end + 1, "sub")).json()["items"]
    runs = {}
    for item in items:
        runs.setdefault(item["run"], []).append(item)
    seconds = {run: sum(i["duration"] for i in list_) for run, list_ in runs.items()}
    note(f"seconds of each run in {format_time(begin)} and {end - begin:.0f} s on: {seconds}")
    assert len(runs) == 2 and min(seconds.values()) > RUN - 3, seconds
    numbers = frames(server, begin, end + 1, "twice.mp4")
    note(f"{len(numbers)} frames, {len(set(numbers))} different, breaks {breaks(numbers)[:8]}")
    assert len(numbers) >= (2 * RUN - 3) * 10, len(numbers)
    assert len(set(numbers)) == len(numbers), f"there twice: {[n for n in numbers if numbers.count(n) > 1]}"
    assert len(breaks(numbers)) <= 1, breaks(numbers)       # one seam


@test("steps of seconds, ahead and back and into each other: every frame is there, once, each run whole and in its order")
def small_steps():
    begin = clock.now()
    time.sleep(RUN)
    latest = clock.now()
    for step in STEPS:
        clock.set(clock.ahead + step)
        time.sleep(RUN)
        latest = max(latest, clock.now())
    time.sleep(3)
    # Up to the next key frame the old run keeps the old clock.
    numbers = frames(server, begin, max(latest, clock.now()) + 4, "steps.mp4")
    assert None not in numbers, numbers
    assert len(set(numbers)) == len(numbers), f"there twice: {[n for n in numbers if numbers.count(n) > 1]}"
    # As they were taken; the clip begins at the first of them.
    taken = sorted((n - numbers[0]) % 2400 for n in numbers)
    missing = [(a, b) for a, b in zip(taken, taken[1:]) if b - a != 3]
    note(f"{len(numbers)} frames of {taken[-1] / 30:.1f} s, seams {len(breaks(numbers))}")
    assert not missing, missing
    assert taken[-1] >= (len(STEPS) + 1) * RUN * 30 - 60, taken[-1]
    # Two runs of one time are played one after the other: a seam where each begins.
    assert len(breaks(numbers)) <= 2 * len(STEPS), breaks(numbers)


@test("it goes on after all that, and ends as it should")
def goes_on():
    clock.set(0)
    time.sleep(4)
    assert all(c["recording"] for c in server.cameras().values()), server.cameras()
    server.stop_in_time()


@test("a boot in 1970: it records, then the clock is set, and both are found")
def from_1970():
    boot = Clock(300 - time.time())
    old = boot.server().start()
    old.wait_recording(["cam01", "cam02"], 10)
    begin = boot.now()
    assert begin < 1000, begin
    time.sleep(RUN)
    set_at = boot.now()
    boot.set(0)
    old.login()                 # the session of 1970 has ended
    now = time.time()
    wait_for("a run with the right time", 10, lambda: old.timeline("cam01", now - 5, now + 60)["spans"])
    time.sleep(RUN)
    before = frames(old, begin, set_at + 3, "1970.mp4")
    after = frames(old, now - 1, time.time(), "now.mp4")
    note(f"{len(before)} frames of 1970, {len(after)} of today")
    assert len(before) >= (RUN - 1) * 10 and not breaks(before), breaks(before)
    assert len(after) >= (RUN - 4) * 10 and not breaks(after), breaks(after)
    gap = (after[0] - before[-1]) % 2400
    assert gap <= 3 or gap > 1200, f"{gap / 30:.1f} s are missing where the clock was set"
    assert old.timeline("cam01", 0, 4000)["spans"], "1970 is not shown"
    old.stop_in_time()


@test("whether the kernel vouches for the clock is told, stored with each record, and said in a package")
def vouched():
    kernel = Clock()
    kernel.vouch(True)
    seen = kernel.server()
    seen.config.write_text(seen.config.read_text().replace(
        "cameras:", f"  vault: {{ path: {seen.folder}/vault, max_size: 1 GiB }}\ncameras:"))
    seen.start()
    seen.wait_recording(["cam01"], 10)

    def post(path, body):
        answer = seen.request("POST", path, body)
        assert answer.status in (201, 202), f"POST {path}: {answer.status} {answer.body[:300]!r}"
        return answer.json()["id"]

    def finished(path, what):
        wait_for(what, 30, lambda: seen.get(path).json()["state"] not in ("waiting", "running"))
        assert seen.get(path).json()["state"] == "done", seen.get(path).json()

    def package_of(begin, end):
        incident = post("/incidents", {"title": "Jam", "from": format_time(begin), "to": format_time(end), "cameras": ["cam01"]})
        seen.request("POST", f"/incidents/{incident}/holds", {"stream": "main"})
        wait_for("the hold is done", 30, lambda: [h["state"] for h in seen.get(f"/incidents/{incident}").json()["holds"]] == ["done"])
        export = post("/exports", {"incident": incident, "agency": "Polsek Melati", "officer": "Bripka Sari",
                                   "officer_id": "87654321", "letter": "B/12/XI/2026", "purpose": "penyelidikan"})
        finished(f"/exports/{export}", "the package is made")
        with zipfile.ZipFile(io.BytesIO(seen.get(f"/exports/{export}/package.zip").body)) as z:
            name, = (n for n in z.namelist() if n.endswith("/manifest.json"))
            manifest = json.loads(z.read(name))
        clips = [c for camera in manifest["cameras"] for c in camera["clips"]]
        records = sum(c["ring_records"] for c in clips)
        assert records >= 2, clips
        return manifest["exported"]["clock"]["synchronised"], sum(c["ring_records_with_unsynchronised_clock"] for c in clips) / records

    def told():
        system = seen.get("/system").json()
        assert system["clock"]["synchronised"] is system["clock_synchronised"], system["clock"]
        return system["clock_synchronised"]

    begin = time.time()
    time.sleep(RUN)
    assert told() is True
    assert package_of(begin, begin + RUN - 4) == (True, 0)
    kernel.vouch(False)
    doubted = time.time()
    assert told() is False
    time.sleep(RUN + 4)         # a clip begins with the key frame before
    assert package_of(doubted + 4, doubted + RUN) == (False, 1)
    assert package_of(begin, begin + RUN - 4) == (False, 0), "what was stored then is not what was true then"
    seen.stop_in_time()


run()
