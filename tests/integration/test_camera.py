#!/usr/bin/python3
"""The simulated cameras keep their own promises: the other tests stand on them."""
import subprocess
import time

from kt import SLOW, Cameras, check_consecutive, in_time, new_folder, run, test, ticks, tool

if SLOW > 1:
    print("1..0 # SKIP the simulator is not what a sanitizer build is to look at")
    raise SystemExit(77)
cameras = Cameras(8)


def record(i, stream, seconds, url=None):
    path = new_folder("record") / "out.mkv"
    tool("ffmpeg", "-nostdin", "-v", "fatal", "-rtsp_transport", "tcp", "-i", url or cameras.url(i, stream),
         "-t", seconds, "-c", "copy", path)
    return path


@test("every frame is sent once and in order, also where the loop closes")
def seamless():
    # The camera whose loop closes next, but not at once.
    def left(i):
        return (cameras.truth["cameras"][i]["loop_s"] - cameras.loop_time(i, time.time()) - 3) % 80

    i = min(range(cameras.n), key=left)
    time.sleep(left(i))
    numbers = ticks(record(i, "sub", 8), "sub")
    assert len(numbers) > 60
    check_consecutive(numbers, "sub")
    assert numbers[-1] < numbers[0], "the loop did not close within the recording"


@test("what a camera shows is what the truth says, and not an old picture")
def truth_is_true():
    for i in (0, 3, 5):
        began = time.time()
        numbers = ticks(record(i, "sub", 3), "sub")
        shown, now = numbers[-1] / 30, cameras.loop_time(i, time.time())
        # ffmpeg ends within a moment of the last frame; it never shows the future.
        late = (now - shown) % cameras.truth["cameras"][i]["loop_s"]
        assert late < time.time() - began, f"camera {i} shows {shown:.2f} s at {now:.2f} s"
        in_time(late < 1.5, f"camera {i} is {late:.2f} s late")


@test("a client starts at a key frame, within a GOP of now")
def starts_at_key():
    began = time.monotonic()
    path = record(2, "main", 1)
    out, error = tool("ffprobe", "-v", "error", "-show_entries", "packet=flags", "-of", "csv=p=0", path)
    assert out.startswith(b"K") and not error, error
    in_time(time.monotonic() - began < 8, f"it took {time.monotonic() - began:.1f} s")


@test("with a password, a wrong one is refused and the right one works")
def digest():
    guarded = Cameras(1, ["--auth", "ronda:malam"])
    record(0, "sub", 1, guarded.url(0, "sub", "ronda:malam@"))
    for wrong in ("ronda:siang@", ""):
        done = subprocess.run(["ffprobe", "-v", "error", "-rtsp_transport", "tcp", guarded.url(0, "sub", wrong)],
                              capture_output=True, text=True)
        assert done.returncode != 0 and "401" in done.stderr, done.stderr
    guarded.stop()


@test("over UDP it sends the same frames")
def udp():
    both = Cameras(2, ["--udp"])
    path = new_folder("record") / "out.mkv"
    tool("ffmpeg", "-nostdin", "-v", "fatal", "-rtsp_transport", "udp", "-i", both.url(1, "sub"), "-t", "4",
         "-c", "copy", path)
    check_consecutive(ticks(path, "sub"), "sub")
    both.stop()


run()
