#!/usr/bin/python3
"""Eight cameras through the whole daemon: recorded, found again, and their events true."""
import re
import time

from kt import (BUILD, SLOW, Cameras, Server, camera_list, check_consecutive, check_well, cpu_seconds, in_time, memory_kib, note, packets, parse_time, run,
                test, ticks, tool, wait_for)

MAIN_FPS, SUB_FPS = 15, 10
cameras = Cameras(8)
ids = [f"cam{i + 1:02d}" for i in range(8)]
# The thread sanitizer makes decoding ten times dearer: two cores look at two cameras while ffmpeg runs beside them, or shed load.
watched = ids[:2] if "tsan" in BUILD.name else ids
configured = camera_list(cameras, analysis="full")
for camera in configured[len(watched):]:
    camera["analysis"] = "off"
server = Server(configured).start()


@test("all eight record within 5 s of the start")
def all_record():
    server.wait_recording(ids, 10)
    seconds = time.time() - server.started
    note(f"all recording {seconds:.1f} s after the start")
    in_time(seconds < 5.2, f"{seconds:.1f} s")


def settle(seconds):
    """Until SECONDS after the start have been recorded and are on disk."""
    time.sleep(max(0, server.started + seconds - time.time()))


@test("a range read back decodes with every frame in order and none missing")
def nothing_missing():
    settle(22)
    begin = server.started + 8
    for camera in ("cam01", "cam04"):
        for stream, fps in (("main", MAIN_FPS), ("sub", SUB_FPS)):
            clip = server.clip(camera, begin, begin + 10, stream)
            numbers = ticks(clip, stream)
            check_consecutive(numbers, stream)
            assert len(numbers) >= 10 * fps, f"{camera} {stream}: {len(numbers)} frames for 10 s"
            rows = packets(clip)
            steps = [b[0] - a[0] for a, b in zip(rows, rows[1:])]
            assert max(steps) < 1.5 / fps and min(steps) > 0.5 / fps, f"{camera} {stream}: {min(steps)} to {max(steps)} s"


@test("the timeline is right: a frame is where it was shown, within 250 ms")
def frame_time():
    begin = server.started + 8
    for camera in ("cam02", "cam07"):
        segments = server.get(server.range_path(camera, "segments", begin, begin + 6)).json()["items"]
        assert segments, f"no segments of {camera}"
        start = parse_time(segments[0]["start"])
        # Times in answers are cut to milliseconds: a moment later is surely in the same GOP.
        shown = ticks(server.clip(camera, start + 0.002, start + 1))[0] / 30
        i = ids.index(camera)
        error = (cameras.loop_time(i, start) - shown + 40) % 80 - 40
        note(f"{camera}: off by {error * 1000:.0f} ms")
        assert abs(error) < 0.25, f"{camera}: {error:.3f} s"


def stream_hash(source, *options):
    out, _ = tool("ffmpeg", "-nostdin", "-v", "error", *options, "-i", source, "-map", "0:v", "-c", "copy", "-bsf:v",
                  "h264_mp4toannexb", "-f", "streamhash", "-")
    return out.decode().strip()


@test("HLS and MP4 of the same range hold the same packets")
def hls_is_mp4():
    begin = server.started + 8
    segments = server.get(server.range_path("cam03", "segments", begin, begin + 8)).json()["items"]
    assert len(segments) >= 3, segments
    # From the start of one segment to the start of another: both must mean the same frames.
    start, end = parse_time(segments[0]["start"]), parse_time(segments[-1]["start"])
    mp4 = stream_hash(server.clip("cam03", start, end))
    path = server.range_path("cam03", "playlist.m3u8", start, end)
    hls = stream_hash(f"http://127.0.0.1:{server.port}/api/v1{path}", "-headers", f"Cookie: {server.cookie}\r\n",
                      "-allowed_extensions", "ALL")
    assert re.search(r"SHA256=[0-9a-f]{64}", mp4), mp4
    assert hls == mp4, f"{hls} and {mp4}"


@test("an MP4 is the same whole and in ranges")
def ranges():
    begin = server.started + 8
    path = server.range_path("cam05", "clip.mp4", begin, begin + 3)
    whole = server.get(path)
    size = len(whole.body)
    assert int(whole.headers["Content-Length"]) == size
    middle = server.get(path, 206, headers={"Range": "bytes=1000-200999"})
    assert middle.body == whole.body[1000:201000]
    assert middle.headers["Content-Range"] == f"bytes 1000-200999/{size}"
    tail = server.get(path, 206, headers={"Range": "bytes=-500"})
    assert tail.body == whole.body[-500:]
    server.get(path, 416, headers={"Range": f"bytes={size}-"})


@test("a snapshot is a JPEG of the right camera")
def snapshot():
    answer = server.get("/cameras/cam06/snapshot.jpg")
    assert answer.headers["Content-Type"] == "image/jpeg" and answer.body[:2] == b"\xff\xd8"
    path = server.folder / "snapshot.jpg"
    path.write_bytes(answer.body)
    out, error = tool("ffprobe", "-v", "error", "-show_entries", "stream=width,height", "-of", "csv=p=0", path)
    assert not error and int(out.split(b",")[0]) >= 320, (out, error)


def overlap(event, p, end):
    return parse_time(event["start"]) < p[2] + 1 and (parse_time(event["end"]) if event["end"] else end) > p[1] - 1


@test("events: each pass gives exactly one, on the right camera, within 1 s of the truth")
def events():
    settle(88)
    begin, end = server.started + 12, server.started + 84
    expected, errors, unmatched = 0, [], []
    time.sleep(6)       # an event closes some quiet seconds after its pass
    for i, camera in enumerate(watched):
        found = [e for e in server.events(camera=camera) if e["type"] == "motion" and parse_time(e["start"]) >= begin - 1]
        for p in cameras.passes(i, begin, end):
            if p[1] < begin or p[2] > end:
                found = [e for e in found if not overlap(e, p, end)]
                continue
            expected += 1
            match = [e for e in found if overlap(e, p, end)]
            found = [e for e in found if e not in match]
            if len(match) != 1:
                unmatched.append(f"{camera}: a {p[0]} gave {len(match)} events")
                continue
            assert match[0]["camera"] == camera
            errors.append((abs(parse_time(match[0]["start"]) - p[1]), f"{camera} {p[0]} start"))
            errors.append((abs(parse_time(match[0]["end"]) - p[2]), f"{camera} {p[0]} end"))
        unmatched += [f"{camera}: an event at loop time {cameras.loop_time(i, parse_time(e['start'])):.1f} s of an empty scene"
                      for e in found if parse_time(e["start"]) < end - 2]
    assert expected >= len(watched), f"only {expected} passes: the test saw too little"
    worst = sorted(errors, reverse=True)
    note(f"{expected} passes, worst: " + ", ".join(f"{name} {error:.2f} s" for error, name in worst[:4]))
    assert not unmatched, "; ".join(unmatched)
    in_time(worst[0][0] <= 1, f"{worst[0][1]} is {worst[0][0]:.2f} s off")


@test("an event has a thumbnail and a clip that shows its frames")
def event_media():
    event = next(e for e in server.events() if e["type"] == "motion" and e["end"])
    picture = server.get(f"/events/{event['id']}/thumbnail.jpg")
    assert picture.body[:2] == b"\xff\xd8"
    path = server.folder / "event.mp4"
    path.write_bytes(server.get(f"/events/{event['id']}/clip.mp4").body)
    numbers = ticks(path)
    check_consecutive(numbers)
    i = ids.index(event["camera"])
    moment = cameras.loop_time(i, parse_time(event["start"])) * 30
    assert any(abs(n - moment) < 30 for n in numbers), "the clip does not show the event's start"


@test("the timeline of all cameras: one span each, no gap since the start")
def timeline():
    begin, end = server.started + 6, server.started + 80
    for camera in ids:
        line = server.timeline(camera, begin, end)
        assert len(line["spans"]) == 1, f"{camera}: {line['spans']}"
        assert parse_time(line["spans"][0]["from"]) <= begin + 1 and parse_time(line["spans"][0]["to"]) >= end - 1
        assert not line["gaps"], f"{camera}: {line['gaps']}"


@test("nothing was dropped, and the figures are told")
def figures():
    system = server.get("/system").json()
    for ring in system["rings"]:
        assert ring["state"] == "ok" and not ring.get("lost_intervals") and not ring.get("dropped_chunks"), ring
    elapsed = time.time() - server.started
    note(f"8 cameras, recorded and analysed in full: {cpu_seconds(server.process.pid) / elapsed * 100:.1f} % of a core, "
         f"{memory_kib(server.process.pid) / 1024:.0f} MiB")


@test("nobody calls a camera frozen, covered or moved that is well")
def well():
    check_well(server)


@test("SIGTERM ends it within 2 s, and the recordings end where it ended")
def ends():
    seconds = server.stop()
    note(f"ended in {seconds:.2f} s")
    stopped = time.time()
    again = Server(camera_list(cameras, n=1, analysis="off"), folder=server.folder, port=server.port).start()
    line = wait_for("the old recording is listed", 5, lambda: again.timeline("cam01", server.started, stopped)["spans"])
    assert parse_time(line[-1]["to"]) > stopped - seconds - 2.5, (line, stopped)
    numbers = ticks(again.clip("cam01", stopped - seconds - 6, stopped))
    check_consecutive(numbers)
    assert len(numbers) > 3 * MAIN_FPS
    again.stop()
    in_time(seconds < 2 * SLOW, f"it ended {seconds:.2f} s after SIGTERM")


run()
