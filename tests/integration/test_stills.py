#!/usr/bin/python3
"""Pictures by HTTP from cameras whose stream gives none: digest logins, redirects, nonsense, and who may be asked."""
import base64
import contextlib
import hashlib
import http.server
import json
import re
import signal
import socket
import threading
import time
import urllib.parse

from kt import Server, format_time, free_port, new_folder, parse_time, run, test, tool, wait_for

PASSWORD = "kunci@pos:91"
REALM, NONCE = "snapshot", "8f3e"
folder = new_folder("stills")
tool("ffmpeg", "-nostdin", "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=1280x720", "-frames:v", "1", folder / "a.jpg")
JPEG = (folder / "a.jpg").read_bytes()
heard = []              # (path, headers) of every request
refused = []            # paths of those with a wrong password
elsewhere = socket.create_server(("127.0.0.2", 0))
elsewhere.settimeout(0.01)


def md5(text):
    return hashlib.md5(text.encode()).hexdigest()


class Camera(http.server.BaseHTTPRequestHandler):
    """/digest wants one, /basic too, /redirect leads away, /html, /huge, /slow and /broken are what they say."""
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def knows_password(self):
        given = dict(re.findall(r'(\w+)="?([^",]*)"?', self.headers.get("Authorization", "")))
        want = md5(f"{md5(f'ronda:{REALM}:{PASSWORD}')}:{NONCE}:{md5('GET:' + given.get('uri', ''))}")
        return given.get("response") == want

    def do_GET(self):
        heard.append((self.path, self.headers))
        if self.path == "/digest" and not self.knows_password():
            if "Authorization" in self.headers:
                refused.append(self.path)
            self.answer(401, WWW_Authenticate=f'Digest realm="{REALM}", nonce="{NONCE}"')
        elif self.path == "/basic" and self.headers.get("Authorization") != "Basic " + base64.b64encode(
                f"ronda:{PASSWORD}".encode()).decode():
            self.answer(401, WWW_Authenticate='Basic realm="x"')
        elif self.path == "/redirect":
            self.answer(302, Location=f"http://127.0.0.2:{elsewhere.getsockname()[1]}/")
        elif self.path == "/html":
            self.answer(200, b"<html>log in first</html>")
        elif self.path == "/broken":
            self.answer(200, JPEG[:200])
        elif self.path == "/huge":
            with contextlib.suppress(OSError):      # hung up on, as it should be
                self.answer(200, b"\xff\xd8" + bytes(9 << 20))
        elif self.path == "/slow":
            time.sleep(12)
        else:
            self.answer(200, JPEG)


web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Camera)
web.daemon_threads = True
threading.Thread(target=web.serve_forever, daemon=True).start()
LOGIN = "ronda:" + urllib.parse.quote(PASSWORD, safe="")
DEAD = free_port()


def camera(name, url=None, main_login=LOGIN):
    return {"id": name, "main": f"rtsp://{main_login}@127.0.0.1:{DEAD}/", "analysis": "off",
            "snapshot": url or f"http://127.0.0.1:{web.server_port}/{name}"}


BAD = {"redirect": "redirects are not followed", "html": "no JPEG", "broken": "no JPEG", "huge": "too large",
       "slow": "no picture", "wrong": "refuses this user name"}
server = Server([camera("digest"), camera("basic", f"http://{LOGIN}@127.0.0.1:{web.server_port}/basic"),
                 {**camera("typed"), "snapshot": f"http://ronda:{PASSWORD}@127.0.0.1:{web.server_port}/digest"},
                 *[camera(n) for n in BAD if n != "wrong"],
                 {**camera("wrong", main_login="ronda:salah"), "snapshot": f"http://127.0.0.1:{web.server_port}/digest"},
                 {"id": "none", "main": f"rtsp://127.0.0.1:{DEAD}/", "analysis": "off"}]).start()
guarded = Server([]).start()


def picture(name):
    answer = server.request("GET", f"/cameras/{name}/snapshot.jpg")
    return answer if answer.status == 200 else None


@test("a camera without a stream shows what its snapshot address gives, by digest, with the password of the stream")
def digest():
    for name in ("digest", "basic", "typed"):
        answer = wait_for(f"a picture of {name}", 10, lambda: picture(name))
        assert answer.body[:3] == b"\xff\xd8\xff" and answer.body != JPEG, "encoded anew"
        (folder / "got.jpg").write_bytes(answer.body)
        out, _ = tool("ffprobe", "-v", "error", "-show_entries", "stream=width,height", "-of", "csv=p=0", folder / "got.jpg")
        assert out.strip() == b"1280,720", out
        age = time.time() - parse_time(answer.headers["Kentongan-Start"])
        assert 0 <= age < 20, f"{age} s, {format_time(time.time())}"


@test("it is still offline, and says so: a picture is no recording")
def offline():
    state = server.cameras()["digest"]
    assert not state["recording"] and state["state"] in ("offline", "connecting") and state["why"], state


@test("what is no picture is none: redirects, pages, bombs, silence, a refused password")
def nonsense():
    for name, why in BAD.items():
        wait_for(f"{name} is said in the log", 15, lambda: re.search(f"{name}: snapshot: .*{why}", server.log()))
        assert server.request("GET", f"/cameras/{name}/snapshot.jpg").status == 503, name
    assert server.request("GET", "/cameras/none/snapshot.jpg").status == 503
    try:
        elsewhere.accept()
        raise AssertionError("somebody followed the redirect")
    except TimeoutError:
        pass


@test("a camera is not asked more often than every ten seconds, and hardly at all when the password is wrong")
def patience():
    time.sleep(max(0, 22 - (time.time() - server.started)))
    elapsed = time.time() - server.started
    asked = [path for path, _ in heard]
    # Two requests an answer: the first one brings the nonce.
    assert asked.count("/basic") <= 2 * (elapsed / 10 + 1), asked
    assert asked.count("/redirect") <= elapsed / 30 + 1, asked
    assert 1 <= len(refused) <= elapsed / 30 + 1, len(refused)


@test("SIGHUP and a changed password are tried at once")
def changed():
    before = len(refused)
    server.signal(signal.SIGHUP)
    wait_for("SIGHUP: the refused password is tried again", 10, lambda: len(refused) > before)
    server.config.write_text(server.config.read_text().replace("ronda:salah", LOGIN))
    server.signal(signal.SIGHUP)
    wait_for("a picture with the new password", 10, lambda: picture("wrong"))


@test("an address is tried before it is saved, and shows its picture")
def tried():
    free = Server([])
    free.config.write_text(free.config.read_text().replace("server: {", "server: { allow_loopback: true,"))
    free.start()
    found = free.request("POST", "/cameras/test", {"url": f"http://{LOGIN}@127.0.0.1:{web.server_port}/digest"}).json()
    assert found["ok"] and base64.b64decode(found["picture"])[:3] == b"\xff\xd8\xff", {**found, "picture": None}
    found = free.request("POST", "/cameras/test", {"url": f"http://{LOGIN}@127.0.0.1:{web.server_port}/html"}).json()
    assert not found["ok"] and "JPEG" in found["why"], found
    body = {"id": "baru", "name": "Baru", "main": f"rtsp://{LOGIN}@127.0.0.1:{DEAD}/",
            "snapshot": f"http://127.0.0.1:{web.server_port}/digest"}
    added = free.request("POST", "/cameras", body)
    assert added.status == 201 and added.json()["snapshot"] == body["snapshot"], added.body
    wait_for("its picture", 10, lambda: free.request("GET", "/cameras/baru/snapshot.jpg").status == 200)
    wrong = {**body, "id": "salah", "main": f"rtsp://ronda:salah@127.0.0.1:{DEAD}/"}
    assert free.request("POST", "/cameras", wrong).status == 201
    wait_for("its password is refused", 10, lambda: "salah: snapshot: the camera refuses" in free.log())
    assert free.request("PATCH", "/cameras/salah", {"main": body["main"]}).status == 200
    wait_for("a picture with the right one, at once", 10, lambda: free.request("GET", "/cameras/salah/snapshot.jpg").status == 200)
    assert free.request("PATCH", "/cameras/baru", {"snapshot": ""}).json()["snapshot"] == ""
    wait_for("no picture any more", 5, lambda: free.request("GET", "/cameras/baru/snapshot.jpg").status == 503)
    free.stop()


@test("a snapshot address must not lead to the recorder itself")
def guard():
    for url in (f"http://127.0.0.1:{web.server_port}/x", "http://[::1]/", "http://169.254.169.254/latest",
                "file:///etc/passwd", "rtsp://192.0.2.1/"):
        answer = guarded.request("POST", "/cameras", {"id": "x", "name": "X", "main": "rtsp://192.0.2.1/", "snapshot": url})
        assert answer.status == 400, (url, answer.status, answer.body)
        if not url.startswith("rtsp"):
            assert guarded.request("POST", "/cameras/test", {"url": url}).status == 400, url
    assert not any(path == "/x" for path, _ in heard)


@test("no password in the log or in any answer")
def secrets():
    for word in ("kunci", urllib.parse.quote(PASSWORD, safe=""), "salah"):
        assert word not in server.log() + guarded.log()
        for path in ("/cameras", "/cameras/digest", "/logs?limit=1000"):
            assert word.encode() not in server.request("GET", path).body, path
    assert "***" in json.dumps(server.cameras()["typed"]["snapshot"])


@test("it ends within 2 s")
def ends():
    server.stop_in_time()


run()
