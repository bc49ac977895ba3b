#!/usr/bin/python3
"""kill -9, and the next start: what was acknowledged is there, at most 2 s are lost."""
import json
import subprocess
import time

from kt import ROOT, SLOW, Cameras, Server, camera_list, check_consecutive, note, parse_time, run, test, ticks, wait_for

cameras = Cameras(4)
ids = [f"cam{i + 1:02d}" for i in range(4)]
configuration = camera_list(cameras, analysis="off")
server = Server(configuration).start()


def restart():
    fresh = Server(configuration, folder=server.folder, port=server.port)
    return fresh.start()


@test("killed three times in a row, each start records again and keeps what was there")
def killed():
    global server
    server.wait_recording(ids, 8)
    for turn in range(3):
        time.sleep(7)
        killed_at, began = time.time(), server.started
        server.kill()
        # A camera begins with its last key frame, up to 2 s old; the last break is to be a gap all the same, which is 2 s.
        time.sleep(3 if turn < 2 else 5)
        server = restart()
        note(f"turn {turn + 1}: listening again {time.time() - server.started:.1f} s after the start")
        server.wait_recording(ids, 8)
        lost = []
        for camera in ids:
            # Not the first moments of the new run, whose oldest frames were taken before it began.
            spans = [s for s in server.timeline(camera, began, server.started)["spans"]
                     if parse_time(s["from"]) < killed_at]
            assert spans, f"nothing of {camera} survived"
            lost.append(killed_at - parse_time(spans[-1]["to"]))
        note(f"turn {turn + 1}: lost {max(lost):.2f} s")
        assert max(lost) <= 2 * SLOW, f"lost {max(lost):.2f} s"


@test("the recordings from before play, every frame in order")
def plays():
    first = min(parse_time(server.timeline(c, server.started - 120, time.time())["spans"][0]["from"]) for c in ids)
    for camera in ids[:2]:
        numbers = ticks(server.clip(camera, first + 2, first + 6))
        check_consecutive(numbers)
        assert len(numbers) >= 4 * 15, len(numbers)


@test("the break itself is a gap with a reason")
def gap():
    line = server.timeline("cam01", server.started - 10, time.time())
    assert line["gaps"], line
    assert all(g["reason"] for g in line["gaps"]), line["gaps"]
    note(", ".join(sorted({g["reason"] for g in line["gaps"]})))


@test("events and users are still there")
def catalog():
    assert server.get("/session").json()["username"] == "admin"
    server.get("/events")


@test("yesterday's video is found at the next start")
def tomorrow():
    global server
    before = server.timeline("cam02", server.started - 120, time.time())["spans"]
    server.stop()
    server = restart()
    after = wait_for("spans", 5, lambda: server.timeline("cam02", parse_time(before[0]["from"]), server.started)["spans"])
    assert abs(parse_time(after[0]["from"]) - parse_time(before[0]["from"])) < 1, (before, after)
    server.stop()


def records(ring, stream):
    """What is in a ring of the stopped server, told by the reader that shares no code with it: (start, end, hash), in seconds."""
    done = subprocess.run(["python3", ROOT / "tests/faults/ring/reader.py", server.folder / ring], capture_output=True, text=True)
    read = json.loads(done.stdout)
    assert not read["problems"], read["problems"]
    return [(start / 1e6, end / 1e6, payload) for _, start, end, _, payload in read["streams"].get(stream, [])]


@test("killed in the middle of an event, the next start copies what the ring of events lacks, once")
def in_an_event():
    global server
    watching = camera_list(cameras, analysis="full")
    server = Server(watching).start()
    event = wait_for("somebody comes", 120, lambda: next((e for e in server.events() if not e["end"] and e["type"] in (
        "person", "car", "motorbike", "motion")), None), 0.2)
    begun, stream = parse_time(event["start"]), event["camera"] + "/main"
    time.sleep(max(0, begun + 6 - time.time()))
    server.kill()
    killed_at = time.time()
    server = Server(watching, folder=server.folder, port=server.port).start()
    ended = server.get(f"/events/{event['id']}").json()["end"]
    # A frame has its camera's time, which a busy machine may believe to be a moment later.
    assert ended and begun < parse_time(ended) < killed_at + 2, (event, ended)
    time.sleep(5)                               # two rounds of the copier
    server.stop()
    there = [r for r in records("video", stream) if r[1] > begun - 4 and r[0] < killed_at]
    kept = [r for r in records("clips", stream)]
    note(f"{event['type']} of {event['camera']}: {len(there)} records to the kill, {killed_at - there[-1][1]:.1f} s before it")
    assert len(there) >= 5 and killed_at - there[-1][1] < 2 * SLOW, there
    assert all(kept.count(r) == 1 for r in there), (begun, killed_at, there, kept)
    assert len(set(kept)) == len(kept)


run()
