"""What the integration tests share: the real programs, started and stopped, and TAP.

A test file calls @test("promise kept") on its functions and run() at its end. Every
program started here is stopped when the file ends, however it ends. Temporary
folders are below $TMPDIR and go away unless KT_KEEP is set.
"""
import atexit
import base64
import contextlib
import datetime
import http.client
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.parse

ROOT = pathlib.Path(os.environ.get("KT_ROOT") or pathlib.Path(__file__).resolve().parents[2])
BUILD = pathlib.Path(os.environ.get("KT_BUILD") or ROOT / "build")
KENTONGAN = BUILD / "server" / "kentongan"
# The simulator is not what a sanitizer build is to look at.
CAMERA = ROOT / "build" / "tests" / "camera" / "kt-camera"
DEMO = ROOT / "demo"
SLOW = 4 if "san" in BUILD.name else 1      # sanitizers cost time: deadlines stretch, promises do not
PASSWORD = "kampung-aman-91"


# ------------------------------ tests and TAP ------------------------------

class Skip(Exception):
    pass


_tests = []


def test(promise):
    def add(function):
        _tests.append((promise, function))
        return function
    return add


def run():
    """Run what @test collected, in order; print TAP; exit 1 on a failure."""
    only = sys.argv[1:]
    failed = 0
    print(f"1..{len(_tests)}")
    for n, (promise, function) in enumerate(_tests, 1):
        if only and not any(word in function.__name__ for word in only):
            print(f"ok {n} - {promise} # SKIP not asked for")
            continue
        started = time.monotonic()
        try:
            function()
            print(f"ok {n} - {promise} ({time.monotonic() - started:.1f} s)")
        except Skip as why:
            print(f"ok {n} - {promise} # SKIP {why}")
        except Exception as error:      # a test may fail in any way; the next one still runs
            failed += 1
            print(f"not ok {n} - {promise}")
            for line in traceback.format_exc().splitlines()[-6:] if not isinstance(error, AssertionError) \
                    else [str(error) or traceback.format_exc().splitlines()[-3]]:
                print(f"#   {line}")
        sys.stdout.flush()
    sys.exit(1 if failed else 0)


def note(text):
    """A figure or a fact for whoever reads the log."""
    print(f"# {text}")
    sys.stdout.flush()


@contextlib.contextmanager
def unless_busy():
    """For promises that a machine can keep only where it has time: broken, they say nothing if other programs take the processor."""
    try:
        yield
    except AssertionError as error:
        load, cores = os.getloadavg()[0], os.cpu_count()
        if load <= 3 * cores:
            raise
        raise Skip(f"{error}, but the machine is busy: load {load:.1f} on {cores} cores") from error


def in_time(kept, what):
    """A promise about time."""
    with unless_busy():
        assert kept, what


PATIENCE = 3        # other programs run beside a test: what is no promise about time may take longer


def wait_for(what, seconds, condition, every=0.1):
    """Poll CONDITION until it is true; its value. WHAT goes into the failure. Promises about time: in_time()."""
    seconds *= PATIENCE
    deadline = time.monotonic() + seconds * SLOW
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {seconds * SLOW:g} s: {what}"
        time.sleep(every)


# ------------------------------ time ------------------------------

def parse_time(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def format_time(seconds):
    when = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


# ------------------------------ programs ------------------------------

_running = []
_folders = []


@atexit.register
def _stop_all():
    for process in _running:
        if process.poll() is None:
            process.kill()
            process.wait()
    for folder in _folders:
        if os.environ.get("KT_KEEP"):
            print(f"# kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


def start(command, log, **kwargs):
    with open(log, "ab") as out:
        process = subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                   start_new_session=True, **kwargs)
    _running.append(process)
    return process


def new_folder(name="kentongan"):
    folder = pathlib.Path(tempfile.mkdtemp(prefix=f"{name}-"))
    _folders.append(folder)
    return folder


def free_port():
    """Below those that the kernel gives to connections, so that what listened here can be started here again."""
    while True:
        port = random.randrange(15000, 32000)
        with contextlib.suppress(OSError), socket.socket() as s:
            s.bind(("127.0.0.1", port))
            return port


class Cameras:
    """kt-camera, and the truth about what its cameras see."""

    def __init__(self, n=8, options=(), media=DEMO, port=0):
        if not CAMERA.exists():
            raise Skip("kt-camera is not built (GStreamer's RTSP server is missing)")
        if not any(media.glob("*.json")):
            raise Skip(f"no footage in {media}")
        self.folder, self.n = new_folder("cameras"), n
        self.truth_file = self.folder / "truth.json"
        self.process = start([CAMERA, "--port", port or free_port(), "--cameras", n, "--truth", self.truth_file, *options, media],
                             self.folder / "log")
        ready = wait_for("kt-camera is ready", 15, lambda: re.search(r"ready port=(\d+)", self.log()) or
                         self.process.poll() is not None)
        assert ready is not True, f"kt-camera ended: {self.log()}"
        self.port = int(ready[1])
        self.truth = json.loads(self.truth_file.read_text())
        self.epoch = self.truth["epoch_us"] / 1e6

    def log(self):
        return (self.folder / "log").read_text(errors="replace")

    def url(self, i, stream="main", credentials=""):
        return f"rtsp://{credentials}127.0.0.1:{self.port}/cam{i + 1:02d}/{stream}"

    def loop_time(self, i, wall):
        camera = self.truth["cameras"][i]
        return (wall - self.epoch + camera["offset_s"]) % camera["loop_s"]

    def passes(self, i, begin, end):
        """(kind, enter, leave) in wall time of all passes that overlap BEGIN to END; what passes
        together counts as one."""
        camera = self.truth["cameras"][i]
        loop, found = camera["loop_s"], []
        turn = int((begin - self.epoch + camera["offset_s"]) // loop) - 1
        while self.epoch + turn * loop - camera["offset_s"] < end:
            start = self.epoch + turn * loop - camera["offset_s"]
            for p in sorted(camera["passes"], key=lambda p: p["enter"]):
                enter, leave = start + p["enter"], start + p["leave"]
                if found and enter < found[-1][2]:
                    found[-1] = (found[-1][0], found[-1][1], max(leave, found[-1][2]))
                else:
                    found.append((p["kind"], enter, leave))
            turn += 1
        return [p for p in found if p[2] > begin and p[1] < end]

    def stop(self):
        self.process.terminate()
        self.process.wait(5)


class Answer:
    def __init__(self, response, body):
        self.status, self.headers, self.body = response.status, response.headers, body

    def json(self):
        return json.loads(self.body)


class Server:
    """`kentongan serve` on a configuration of its own."""

    def __init__(self, cameras=(), folder=None, ring="256 MiB", clips="64 MiB", extra="", port=None, env=None, prefix=()):
        """CAMERAS: dicts with id, main and perhaps name, sub, transport, analysis."""
        self.folder = folder or new_folder()
        self.port = port or free_port()
        self.config = self.folder / "kentongan.yaml"
        self.config.write_text(self.yaml(cameras, ring, clips) + extra)
        self.prefix = prefix                # of the command, "unshare" for one
        self.env, self.cookie, self.process = env or {}, None, None

    def yaml(self, cameras, ring, clips):
        lines = [f"server: {{ listen: \"127.0.0.1:{self.port}\", timezone: Asia/Jakarta, language: id }}",
                 "storage:", f"  catalog: {self.folder}/catalog.db", "  rings:",
                 f"    - {{ name: video, path: {self.folder}/video, size: {ring} }}",
                 f"    - {{ name: clips, path: {self.folder}/clips, size: {clips}, only: events }}"]
        lines += ["cameras:"] if cameras else []
        for camera in cameras:
            camera = {"name": camera["id"], **camera}
            lines.append("  - { " + ", ".join(f"{k}: {json.dumps(v)}" for k, v in camera.items()) + " }")
        return "\n".join(lines) + "\n"

    def start(self, wait=True):
        env = {**os.environ, "KENTONGAN_ADMIN_PASSWORD": PASSWORD, **self.env}
        self.started = time.time()
        self.process = start([*self.prefix, KENTONGAN, "serve", "-c", self.config], self.folder / "log", env=env)
        if wait:
            wait_for(f"the server listens\n{self.log()[-2000:]}", 10, self.listens)
            self.login()
        return self

    def listens(self):
        assert self.process.poll() is None, f"the server ended with {self.process.returncode}:\n{self.log()[-2000:]}"
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    def log(self):
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def request(self, method, path, body=None, headers=None, cookie=True, timeout=60):
        """PATH is below /api/v1 unless it begins with '//' (then: from the root)."""
        headers = dict(headers or {})
        if cookie and self.cookie:
            headers["Cookie"] = self.cookie
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout * SLOW)
        try:
            connection.request(method, path[1:] if path.startswith("//") else "/api/v1" + path, body, headers)
            response = connection.getresponse()
            return Answer(response, response.read())
        finally:
            connection.close()

    def get(self, path, status=200, **kwargs):
        answer = self.request("GET", path, **kwargs)
        assert answer.status == status, f"GET {path}: {answer.status} {answer.body[:300]!r}"
        return answer

    def login(self, username="admin", password=PASSWORD):
        answer = self.request("POST", "/session", {"username": username, "password": password}, cookie=False)
        assert answer.status == 200, f"login: {answer.status} {answer.body[:300]!r}"
        self.cookie = answer.headers["Set-Cookie"].split(";")[0]
        return answer

    def cameras(self):
        return {c["id"]: c for c in self.get("/cameras").json()["items"]}

    def events(self, **query):
        return self.get("/events?" + urllib.parse.urlencode({"limit": 1000, **query})).json()["items"]

    def range_path(self, camera, kind, begin, end, stream="main"):
        query = urllib.parse.urlencode({"from": format_time(begin), "to": format_time(end), "stream": stream})
        return f"/cameras/{camera}/{kind}?{query}"

    def clip(self, camera, begin, end, stream="main", name="clip.mp4"):
        path = self.folder / name
        path.write_bytes(self.get(self.range_path(camera, "clip.mp4", begin, end, stream)).body)
        return path

    def timeline(self, camera, begin, end):
        query = urllib.parse.urlencode({"camera": camera, "from": format_time(begin), "to": format_time(end)})
        return self.get(f"/timeline?{query}").json()["cameras"][0]

    def wait_recording(self, ids, seconds):
        wait_for(lambda_text(ids), seconds, lambda: all(self.cameras()[i]["recording"] for i in ids))

    def signal(self, number):
        os.kill(self.process.pid, number)

    def stop_in_time(self):
        """SIGTERM, and it ends within 2 s; how long it took."""
        seconds = self.stop()
        in_time(seconds < 2 * SLOW, f"it ended {seconds:.2f} s after SIGTERM")
        return seconds

    def stop(self, seconds=30):
        """SIGTERM; how long it took. The exit status must be 0."""
        began = time.monotonic()
        self.signal(signal.SIGTERM)
        status = self.process.wait(seconds * SLOW)
        assert status == 0, f"exit status {status} after SIGTERM:\n{self.log()[-2000:]}"
        return time.monotonic() - began

    def kill(self):
        self.process.kill()
        self.process.wait()


class WebSocket:
    """The live socket of SERVER, as much of RFC 6455 as a viewer needs; over SOCKET where that is given (TLS)."""

    def __init__(self, server, cookie=None, origin=None, socket_=None, host=None):
        self.socket = socket_ or socket.create_connection(("127.0.0.1", server.port), 10)
        self.buffer = b""
        lines = ["GET /api/v1/live HTTP/1.1", f"Host: {host or f'127.0.0.1:{server.port}'}", "Connection: Upgrade",
                 "Upgrade: websocket", "Sec-WebSocket-Version: 13",
                 "Sec-WebSocket-Key: " + base64.b64encode(os.urandom(16)).decode(),
                 f"Cookie: {cookie or server.cookie}"]
        lines += [f"Origin: {origin}"] if origin else []
        self.socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        while b"\r\n\r\n" not in self.buffer:
            self.fill()
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        self.status = int(head.split()[1])

    def fill(self):
        more = self.socket.recv(65536)
        if not more:
            raise EOFError
        self.buffer += more

    def take(self, n):
        while len(self.buffer) < n:
            self.fill()
        out, self.buffer = self.buffer[:n], self.buffer[n:]
        return out

    def say(self, **message):
        data = json.dumps(message).encode()
        head = bytes([0x81, 0x80 | len(data)]) if len(data) < 126 else bytes([0x81, 0xfe]) + struct.pack(">H", len(data))
        self.socket.sendall(head + bytes(4) + data)

    def hear(self):
        """(opcode, bytes) of the next frame."""
        first, second = self.take(2)
        size = second & 0x7f
        if size >= 126:
            size = int.from_bytes(self.take(2 if size == 126 else 8), "big")
        return first & 15, self.take(size)

    def media(self, seconds):
        """(type, tile, key, sequence, lateness in s, bytes) of what comes within SECONDS."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            opcode, data = self.hear()
            if opcode == 2:
                version, kind, tile, flags, sequence, wall = struct.unpack_from("<BBHIQq", data)
                assert version == 1
                yield kind, tile, flags & 1, sequence, time.time() - wall / 1e6, data[24:]

    def close(self):
        self.socket.close()


def lambda_text(ids):
    return f"all of {', '.join(ids)} record"


def camera_list(cameras, n=None, **more):
    """Configuration entries for the first N cameras of the simulator."""
    return [{"id": f"cam{i + 1:02d}", "main": cameras.url(i), "sub": cameras.url(i, "sub"), **more}
            for i in range(n or cameras.n)]


def check_well(server):
    """No camera is called frozen, covered, moved …, and each says its rate."""
    trouble = [(e["camera"], e["type"]) for e in server.events() if e["type"].startswith("camera-")]
    assert not trouble, trouble
    rates = {(c["state"], c["fps_nominal"]) for c in server.cameras().values()}
    assert rates == {("recording", 15)}, rates


def memory_kib(pid):
    """Proportional set size."""
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.search(r"^Pss:\s+(\d+)", text, re.M)[1])


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


# ------------------------------ video ------------------------------

def resolve(document, node):
    """NODE of an OpenAPI document, or what it refers to."""
    while "$ref" in node:
        target = document
        for part in node["$ref"][2:].split("/"):
            target = target[part]
        node = target
    return node


def tool(*command, ok=True, timeout=120):
    """Run an FFmpeg tool; (standard output, standard error)."""
    done = subprocess.run([str(c) for c in command], capture_output=True, stdin=subprocess.DEVNULL,
                          timeout=timeout * SLOW)
    error = done.stderr.decode(errors="replace")
    assert not ok or done.returncode == 0, f"{' '.join(map(str, command))}:\n{error[-1500:]}"
    return done.stdout, error


def packets(path, stream="v:0", damaged=False):
    """[(pts seconds, size, is key)] as ffprobe reads them, in file order. No complaint, unless DAMAGED."""
    out, error = tool("ffprobe", "-v", "error", "-select_streams", stream, "-show_entries",
                      "packet=pts_time,size,flags", "-of", "csv=p=0", path)
    assert damaged or not error, f"ffprobe {path}: {error[:500]}"
    rows = [line.split(",") for line in out.decode().split()]
    return [(float(r[0]), int(r[1]), "K" in r[2]) for r in rows]


def source_sizes(scene, stream):
    return [size for _, size, _ in packets(DEMO / f"{scene}-{stream}.mp4")]


def check_nothing_lost(server, camera, begin, end, stream, fps, sizes):
    """The recording holds the loop's frames one after the other, told by their SIZES; how many."""
    rows = packets(server.clip(camera, begin, end, stream))
    steps = [b[0] - a[0] for a, b in zip(rows, rows[1:])]
    assert len(rows) >= (end - begin) * fps - 1, f"{camera} {stream}: {len(rows)} frames"
    # Key frames carry parameter sets as well; all others have exactly the size of the source's.
    n = len(sizes)
    if not any(all(key or size == sizes[(offset + i) % n] for i, (_, size, key) in enumerate(rows))
               for offset in range(n)):
        raise AssertionError(f"{camera} {stream}: its {len(rows)} frames are not those that were sent")
    assert max(steps) < 1.5 / fps, f"{camera} {stream}: none lost, but one stands {max(steps):.3f} s after another"
    return len(rows)


def decode_grey(path, width, height, *options):
    """All pictures of a video as bytes of luma. Fails on any decoding error."""
    out, error = tool("ffmpeg", "-nostdin", "-v", "error", *options, "-i", path, "-map", "0:v:0", "-fps_mode",
                      "passthrough", "-vf", f"scale={width}:{height},format=gray", "-f", "rawvideo", "-")
    assert not error, f"decoding {path}: {error[:500]}"
    assert len(out) % (width * height) == 0
    return [out[i:i + width * height] for i in range(0, len(out), width * height)]


def read_tick(picture, width):
    """The time on the strip of a demo picture in 1/30 s of loop time, or None when it does not read."""
    scale = width / 1920
    row = int((1080 - 36 + 6) * scale) * width
    cells = [picture[row + int((24 + 12 * i + 6) * scale)] > 122 for i in range(20)]
    if cells[:2] != [True, False] or not cells[19] or cells[18] != (sum(cells[2:18]) % 2 == 1):
        return None
    value = tick = int("".join("1" if c else "0" for c in cells[2:18]), 2)
    while value:
        value >>= 1
        tick ^= value
    return tick


def ticks(path, stream="main"):
    width = 1920 if stream == "main" else 640
    return [read_tick(p, width) for p in decode_grey(path, width, width * 9 // 16)]


def check_consecutive(numbers, stream="main", loop=2400):
    """Every frame is there once and in order."""
    step = 2 if stream == "main" else 3
    assert None not in numbers, f"frame {numbers.index(None)} of {len(numbers)} shows no time"
    wrong = [(i, a, b) for i, (a, b) in enumerate(zip(numbers, numbers[1:])) if (b - a) % loop != step]
    assert not wrong, f"{len(wrong)} breaks in {len(numbers)} frames, first after frame {wrong[0]}"
