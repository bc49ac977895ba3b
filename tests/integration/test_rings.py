#!/usr/bin/python3
"""Several rings, each for its cameras and streams: who records where, what a person is told, and bad disks."""
import hashlib
import json
import os
import pty
import re
import shutil
import subprocess
import time
import zipfile

from kt import KENTONGAN, SLOW, Cameras, Server, camera_list, format_time, note, parse_time, run, test, tool, wait_for

RINGS = """    - {{ name: clips, path: {0}/clips, size: 16 MiB, only: events }}
    - {{ name: gate, path: {0}/gate, size: 8 MiB, cameras: [cam01], streams: main }}
    - {{ name: rest, path: {0}/rest, size: 32 MiB, cameras: [cam02, cam03, dari-peramban] }}
    - {{ name: wall, path: {0}/wall, size: 16 MiB, cameras: [cam01], streams: sub }}
    - {{ name: gate-clips, path: {0}/gate-clips, size: 16 MiB, only: events, cameras: [cam01], streams: all }}
  vault: {{ path: {0}/vault, max_size: 1 GiB }}
"""
cameras = Cameras(3)


class ManyRings(Server):
    def yaml(self, cameras, ring, clips):
        text = super().yaml(cameras, ring, clips)
        begin, end = text.index("    - { name: video"), text.index("cameras:")
        return text[:begin] + RINGS.format(self.folder) + text[end:]


server = ManyRings(camera_list(cameras, analysis="full")).start()
first = server.started
server.wait_recording(["cam01", "cam02", "cam03"], 10)


def rings():
    return {r["name"]: r for r in server.get("/system").json()["rings"]}


def used(camera, stream, begin=None):
    """The rings that playback of the time since BEGIN reads."""
    begin = begin or server.started
    answer = server.request("GET", server.range_path(camera, "playlist.m3u8", begin, time.time(), stream))
    return sorted(set(re.findall(r"ring=([a-z-]+)", answer.body.decode()))) if answer.status == 200 else []


@test("each stream is in the ring that is for it")
def routed():
    wait_for("all streams can be played", 10, lambda: all(used(c, s) for c in ("cam01", "cam02", "cam03") for s in ("main", "sub")))
    assert used("cam01", "main") == ["gate"] and used("cam01", "sub") == ["wall"]
    for camera in "cam02", "cam03":
        assert used(camera, "main") == ["rest"] and used(camera, "sub") == ["rest"]


@test("the API says for whom each ring is, what it holds, and that it is too small")
def told():
    told = wait_for("the rates are known", 15, lambda: (r := rings()) and r["gate"]["days"] and r["wall"]["days"] and r)
    assert list(told) == ["gate", "rest", "wall", "clips", "gate-clips"], list(told)
    assert told["gate"]["cameras"] == ["cam01"] and told["clips"]["cameras"] is None
    assert [r["streams"] for r in told.values()] == ["main", "all", "sub", "main", "all"]
    assert [r["only"] for r in told.values()] == ["all"] * 3 + ["events"] * 2
    for name in "gate", "rest", "wall":
        ring = told[name]
        assert ring["oldest"] and 0 < ring["days_held"] < 0.01 and ring["too_small"], ring
    assert not told["clips"]["too_small"]
    assert server.get("/system").json()["recording"] and server.get("//healthz").status == 200


@test("an event is in every ring of events that is for it, with what was before it")
def kept():
    events = wait_for("something happened at cam01", 90, lambda: [
        e for e in server.events(camera="cam01") if e["end"] and e["type"] in ("person", "car", "motorbike", "motion")], 1)
    held = wait_for("it is in the rings of events", 30, lambda: (r := rings()) and r["clips"]["oldest"]
                    and r["gate-clips"]["oldest"] and r)
    note(f"{events[-1]['start']}: clips from {held['clips']['oldest']}, gate-clips from {held['gate-clips']['oldest']}")
    assert held["gate-clips"]["oldest"] < events[-1]["start"]


def whole_over_the_seam(path):
    """Ten seconds that two rings have between them: from zero, without a hole, and every frame decodes."""
    shown = tool("ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries", "packet=pts_time", "-of", "csv=p=0", path)
    times = sorted(float(t) for t in shown[0].decode().replace(",", "").split())
    note(f"{path.name}: {len(times)} frames, {times[-1]:.2f} s")
    assert times[0] < 0.001 and 9.5 < times[-1] < 13, times
    assert max(b - a for a, b in zip(times, times[1:])) < 0.2, times
    tool("ffmpeg", "-v", "error", "-xerror", "-i", path, "-f", "null", "-")


@test("what the ring of the gate forgot is on the timeline, and is played from that of the events")
def older():
    wait_for("the ring of the gate went round", 90, lambda: rings()["gate"]["written"] > 9.5e6, 1)
    oldest, now = parse_time(rings()["gate"]["oldest"]), time.time()
    line = server.timeline("cam01", first, now)
    spans = [(parse_time(s["from"]), parse_time(s["to"])) for s in line["spans"]]
    assert spans == sorted(spans) and spans[0][0] < oldest - 1 and spans[-1][1] > oldest + 10, (oldest, spans)
    assert not line["gaps"], line["gaps"]       # between two events nothing is missing
    items = server.get(server.range_path("cam01", "segments", first, now)).json()["items"]
    order = [re.search("ring=([a-z-]+)", item["url"])[1] for item in items]
    assert order == sorted(order) and set(order) == {"clips", "gate"}, order
    starts = [parse_time(item["start"]) for item in items]
    assert all(a + i["duration"] <= b + 0.002 for a, b, i in zip(starts, starts[1:], items)), starts
    for item in items[0], items[order.index("gate")]:
        assert server.get("/" + item["url"]).body
    playlist = server.get(server.range_path("cam01", "playlist.m3u8", first, now)).body.decode()
    used_by_hls = re.findall("ring=([a-z-]+)", playlist)
    assert used_by_hls == sorted(used_by_hls) and set(used_by_hls) == {"clips", "gate"}, playlist
    assert "#EXT-X-DISCONTINUITY" in playlist[playlist.rindex("ring=clips"):playlist.index("ring=gate")], playlist
    both = [server.folder / "both.mp4", server.folder / "exported.mp4"]
    both[0].write_bytes(server.get(server.range_path("cam01", "clip.mp4", oldest - 5, oldest + 5)).body)
    done = subprocess.run([KENTONGAN, "export", "-c", server.config, "--camera", "cam01", "--from", str(oldest - 5), "--to",
                           str(oldest + 5), "-o", both[1]], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    for path in both:
        whole_over_the_seam(path)


def post(path, body, status):
    answer = server.request("POST", path, body)
    assert answer.status == status, f"POST {path}: {answer.status} {answer.body[:400]!r}"
    return answer.json()


@test("a hold takes each stretch from the ring that has it, and the package of both is accepted")
def held():
    now = time.time()
    begin, end = parse_time(rings()["clips"]["oldest"]), now - 5
    incident = post("/incidents", {"title": "Dua cincin", "from": format_time(begin), "to": format_time(end), "cameras": ["cam01"]}, 201)["id"]
    post(f"/incidents/{incident}/holds", {"stream": "main"}, 202)
    hold = wait_for("it is held", 30, lambda: (h := server.get(f"/incidents/{incident}").json()["holds"][0])
                    and h["state"] not in ("waiting", "running") and h)
    assert hold["state"] == "done", hold
    made = post("/exports", {"incident": incident, "agency": "Polsek Melati", "officer": "Bripka Sari", "officer_id": "1", "letter": "B/1",
                              "purpose": "penyelidikan"}, 202)["id"]
    package = wait_for("it is packed", 30, lambda: (e := server.get(f"/exports/{made}").json())["state"] == "done" and e)
    path = server.folder / f"{package['name']}.zip"
    path.write_bytes(server.get(f"/exports/{made}/package.zip").body)
    done = subprocess.run([KENTONGAN, "verify", path], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    with zipfile.ZipFile(path) as z:
        (camera,) = json.loads(z.read(next(n for n in z.namelist() if n.endswith("manifest.json"))))["cameras"]
    assert len({c["chain"]["ring"] for c in camera["clips"]}) >= 2, camera["clips"]
    covered = [(parse_time(c["recorded"]["from"]), parse_time(c["recorded"]["to"])) for c in camera["clips"]]
    missing = [(parse_time(g["from"]), parse_time(g["to"])) for g in camera["gaps"]]
    note(f"{len(covered)} clips of two rings, {len(missing)} gaps")
    at = begin
    for first, last in sorted(covered + missing):           # between them they are all of the span
        assert first <= at + 1.5, (at, covered, missing)
        at = max(at, last)
    assert at > end - 1.5
    for item in server.get(server.range_path("cam01", "segments", begin, end)).json()["items"]:
        start = parse_time(item["start"])
        if start > begin + 1 and start + item["duration"] < end:    # what playback has is no gap
            assert not any(a < start + item["duration"] - 0.2 and b > start + 0.2 for a, b in missing), (item, missing)


@test("a span of a camera is erased in all rings and of its events, the rest plays, and the chains stay whole")
def erased():
    begin = time.time() - 12
    end = begin + 4

    def recorded():
        """Seconds of [BEGIN, END) that playback has."""
        items = [(parse_time(i["start"]), parse_time(i["start"]) + i["duration"]) for i in
                 server.get(server.range_path("cam01", "segments", begin, end)).json()["items"]]
        return sum(max(0, min(b, end) - max(a, begin)) for a, b in items)

    assert recorded() > 2
    path = server.range_path("cam01", "recordings", begin, end)
    why = {"reason": "Diminta warga rumah 12"}
    assert server.request("DELETE", server.range_path("cam01", "recordings", begin, begin + 3700), why).status == 416
    for nothing in {}, {"reason": " "}, {"reason": 7}, {"reason": "x", "camera": "cam02"}:
        assert server.request("DELETE", path, nothing).status == 400, nothing
    gone = server.request("DELETE", path, why)
    assert gone.status == 200 and gone.json()["records"] >= 8, (gone.status, gone.body)      # of two streams
    assert recorded() < 0.2, recorded()
    clip = server.request("GET", server.range_path("cam01", "clip.mp4", begin + 0.5, end - 0.5))
    assert clip.status == 404 or parse_time(clip.headers["Kentongan-Start"]) < begin, clip.status
    gaps = server.timeline("cam01", begin - 5, end + 5)["gaps"]
    assert any(g["reason"] == "erased" for g in gaps), gaps
    assert server.get(server.range_path("cam03", "clip.mp4", begin, end)).body      # another camera's
    event = next(e for e in server.events(camera="cam01") if e["end"]
                 and server.request("GET", f"/events/{e['id']}/thumbnail.jpg").status == 200)
    seen = parse_time(event["start"])
    gone = server.request("DELETE", server.range_path("cam01", "recordings", seen, seen + 1), why).json()
    assert gone["pictures"] >= 1 and server.request("GET", f"/events/{event['id']}/thumbnail.jpg").status == 404, gone
    lines = [e["detail"] for e in server.get("/audit").json()["items"] if e["action"] == "erase"]
    assert [(e["reason"], e["complete"]) for e in lines] == [("Diminta warga rumah 12", True)] * 2, lines
    server.stop()
    for ring in "gate", "clips", "gate-clips", "wall":
        found = subprocess.run([KENTONGAN, "verify", server.folder / ring], capture_output=True, text=True, timeout=60)
        assert found.returncode == 0 and "erased by a person" in found.stdout, (ring, found.stdout)
    server.start()


@test("a ring that is away costs its cameras only, and the recorder is not well")
def away():
    global server
    server.stop()
    shutil.move(server.folder / "gate", server.folder / "moved")
    server = ManyRings(camera_list(cameras, analysis="off"), folder=server.folder, port=server.port).start()
    server.wait_recording(["cam02", "cam03"], 10)
    camera = server.cameras()["cam01"]
    assert not camera["recording"] and "ring gate" in camera["why"], camera
    assert not server.get("/system").json()["recording"]
    assert server.get("//healthz", status=503)
    assert set(used("cam01", "main", first)) in ({"clips"}, {"clips", "gate-clips"})   # what was kept can be played
    server.stop()
    shutil.move(server.folder / "moved", server.folder / "gate")


def written_slabs(ring):
    """Slab files that hold records, oldest first."""
    found = []
    for path in (server.folder / ring).glob("slab-*.kts"):
        with path.open("rb") as f:
            header = f.read(256)
        if header[:4] == b"KTRC":
            found.append((int.from_bytes(header[24:32], "little"), path))
    return [path for _, path in sorted(found)]


@test("what the disk lost of an old recording is found while the recorder runs, told, and costs nothing else")
def scrubbed():
    global server
    slabs = written_slabs("gate-clips")
    assert len(slabs) >= 2, slabs
    size = slabs[0].stat().st_size
    with slabs[0].open("r+b") as f:
        for at in size // 4, size // 2, size * 3 // 4:
            f.seek(at)
            byte = f.read(1)[0]
            f.seek(at)
            f.write(bytes([byte ^ 0x10]))
    server = ManyRings(camera_list(cameras, analysis="off"), folder=server.folder, port=server.port).start()
    server.wait_recording(["cam01", "cam02", "cam03"], 10)
    found = wait_for("the scrub came by", 30, lambda: rings()["gate-clips"]["corrupt_records"])
    log = server.log()
    assert found <= 3 and "gate-clips: damage on disk: slab " in log, (found, log)
    assert all(r["corrupt_records"] == 0 for name, r in rings().items() if name != "gate-clips"), rings()
    assert f'ring_corrupt_records_total{{ring="gate-clips"}}' in server.get("//metrics").body.decode()
    server.stop()


@test("another ring's slab, an emptied one and a cut one are named; the first is left as it is")
def bad_slabs():
    global server
    slabs = written_slabs("gate")
    assert len(slabs) >= 7, slabs
    foreign, empty, cut = slabs[1], slabs[3], slabs[5]
    shutil.copy(written_slabs("rest")[0], foreign)
    os.truncate(foreign, empty.stat().st_size)
    with empty.open("r+b") as f:
        f.write(bytes(empty.stat().st_size))
    os.truncate(cut, cut.stat().st_size // 3)
    before = hashlib.sha256(foreign.read_bytes()).hexdigest()
    found = subprocess.run([KENTONGAN, "verify", server.folder / "gate"], capture_output=True, text=True, timeout=60)
    assert found.returncode == 1 and "BAD" in found.stdout and "belongs to another ring" in found.stdout, found.stdout
    number = {name: int(path.stem[5:]) for name, path in dict(foreign=foreign, empty=empty, cut=cut).items()}
    server = ManyRings(camera_list(cameras, analysis="off"), folder=server.folder, port=server.port).start()
    server.wait_recording(["cam01", "cam02", "cam03"], 10)
    log = server.log()
    assert f"slab file {number['foreign']} belongs to another ring: it is left as it is" in log, log
    assert f"slab file {number['empty']}: nothing readable is left" in log, log
    assert f"slab file {number['cut']} was missing or had the wrong size" in log, log
    wait_for("the ring went round once more", 110, lambda: rings()["gate"]["written"] > 9e6, 1)
    server.stop()
    assert hashlib.sha256(foreign.read_bytes()).hexdigest() == before
    foreign.unlink()


@test("recover shows a bar and the time left, and makes files that play")
def recover():
    out = server.folder / "out"
    shown = b""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(KENTONGAN, ["kentongan", "recover", str(server.folder / "gate"), "-o", str(out)])
    while True:
        try:
            some = os.read(terminal, 4096)
        except OSError:
            break
        if not some:
            break
        shown += some
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, shown
    note(shown.decode(errors="replace").strip().splitlines()[-1])
    assert re.search(rb"\[#*\.*\] +\d+ %, \d+:\d\d left", shown), shown
    files = sorted(out.glob("**/*.mp4"))
    assert files
    for path in files:
        tool("ffmpeg", "-v", "error", "-xerror", "-i", path, "-f", "null", "-")


@test("check says what is too small, what has no room, what is another version, and which camera it does not know")
def checked():
    text = server.config.read_text()
    meta = server.folder / "wall" / "ring.meta"
    page = bytearray(meta.read_bytes())
    page[4] = 2
    page[4064:] = hashlib.sha256(page[:4064]).digest()
    meta.write_bytes(page)
    server.config.write_text(text.replace(f"{server.folder}/rest, size: 32 MiB", f"{server.folder}/new, size: 900 TiB"))
    found = subprocess.run([KENTONGAN, "check", "-c", server.config, "--seconds", str(int(3 * SLOW))], capture_output=True,
                           text=True, timeout=60)
    server.config.write_text(text)
    assert found.returncode == 1, found.stdout
    for words in (r"gate +8 MiB in .*\n.*has video from .*\n +holds [\d.]+ hours of the .* of 1 streams\n +TOO SMALL for these cameras: a day takes",
                  r"rest .*\n +NO ROOM: ", r"wall .*\n +FAILED: .* is of another version",
                  r"no camera 'dari-peramban' in this file"):
        assert re.search(words, found.stdout), f"{words}\n{found.stdout}"
    assert server.config.parent.joinpath("wall", "ring.meta").read_bytes() == bytes(page)


run()
