#!/usr/bin/python3
"""Adding cameras in the browser: find, try, save; what may not be reached; and who is told when one goes away."""
import base64
import hashlib
import hmac
import http.server
import json
import os
import subprocess
import sys
import threading

from kt import Cameras, Server, camera_list, free_port, run, test, wait_for

DEVICE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "onvif_device", "onvif_device.py")
SECRET = "kunci-ronda"

heard = []


class Hook(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        heard.append((self.headers, body))
        self.send_response(204)
        self.end_headers()


hook = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook)
threading.Thread(target=hook.serve_forever, daemon=True).start()
alerts = f"""alerts:
  link: http://127.0.0.1/
  channels:
    - {{ type: webhook, url: "http://127.0.0.1:{hook.server_port}/", secret: {SECRET}, events: [camera-offline, camera-back] }}
"""

cameras = Cameras(1)
guarded = Server(camera_list(cameras, n=1, analysis="off"), extra=alerts).start()
guarded.wait_recording(["cam01"], 8)
stream = camera_list(cameras, n=1)[0]


def problem(answer, status):
    assert answer.status == status, f"{answer.status} instead of {status}: {answer.body[:200]!r}"
    return answer.json()


@test("an address that leads to the recorder itself is refused, however it is spelled")
def refused():
    port = stream["main"].split(":")[2].split("/")[0]
    for host in ("127.0.0.1", "localhost", "127.1", "0x7f.1", "2130706433", "0.0.0.0", "[::1]", "[::ffff:127.0.0.1]",
                 "169.254.169.254", "169.254.1.1", "224.0.0.1"):
        url = f"rtsp://{host}:{port}/cam01/main"
        for path, body in (("/cameras", {"id": "x", "name": "X", "main": url}),
                           ("/cameras", {"id": "x", "name": "X", "main": "rtsp://192.0.2.1/", "sub": url}),
                           ("/cameras/test", {"url": url})):
            answer = problem(guarded.request("POST", path, body), 400)
            assert "not allowed" in json.dumps(answer), (host, answer)
    assert problem(guarded.request("GET", "/cameras/x"), 404)
    answer = guarded.request("POST", "/cameras/discover", {"range": f"http://127.0.0.1:{hook.server_port}/x"})
    assert answer.status == 200 and answer.json()["items"][0]["state"] == "failed", answer.body
    assert "loopback" in answer.json()["items"][0]["why"], answer.body
    assert not heard, "somebody reached the web hook"


@test("what is no address is refused with words")
def no_address():
    for url in ("ftp://192.0.2.1/", "file:///etc/passwd", "rtsp:", "", "concat:rtsp://192.0.2.1/"):
        problem(guarded.request("POST", "/cameras/test", {"url": url}), 400)
    for ask in ({"range": "10.0.0.0/8"}, {"range": "evil"}, {"range": 7}, {"colour": "red"}):
        problem(guarded.request("POST", "/cameras/discover", ask), 400)


@test("a camera that goes away is told by signed web hook, and so is its return")
def told():
    cameras.stop()
    try:
        wait_for("the alert", 60, lambda: heard)
    except AssertionError as late:
        raise AssertionError(f"{late}: {guarded.request('GET', '/cameras').body}\n{guarded.log()[-600:]}") from late
    headers, body = heard[0]
    mac = hmac.new(SECRET.encode(), headers["X-Kentongan-Timestamp"].encode() + b"." + body, hashlib.sha256).hexdigest()
    assert headers["X-Kentongan-Signature"] == "sha256=" + mac
    alert = json.loads(body)
    assert alert["kind"] == "camera-offline" and alert["camera"] == "cam01" and "tidak terhubung" in alert["text"], alert


@test("with leave to use this machine, trying an address shows what it is, with a picture")
def tried():
    more = Cameras(1)
    server = Server(extra="")
    text = server.config.read_text()
    server.config.write_text(text.replace("server: {", "server: { allow_loopback: true,"))
    server.start()
    url = camera_list(more, n=1)[0]["main"]
    answer = server.request("POST", "/cameras/test", {"url": url})
    assert answer.status == 200, answer.body
    found = answer.json()
    assert found["ok"] and found["codec"] == "h264" and found["width"] > 0, {**found, "picture": None}
    assert base64.b64decode(found["picture"])[:3] == b"\xff\xd8\xff"
    dead = server.request("POST", "/cameras/test", {"url": f"rtsp://u:rahasia9@127.0.0.1:{free_port()}/"}).json()
    assert not dead["ok"] and dead["why"] and "rahasia9" not in json.dumps(dead), dead
    assert "rahasia9" not in server.log()

    device = subprocess.Popen([sys.executable, DEVICE, "--user", "u", "--password", "rahasia8"], text=True,
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    port = device.stdout.readline().strip().split("=")[1]
    ask = {"range": f"127.0.0.1:{port}", "user": "u", "password": "rahasia8"}
    answer = server.request("POST", "/cameras/discover", ask)
    device.stdin.close()
    device.wait(10)
    device.stdout.close()
    item = answer.json()["items"][0]
    assert item["state"] == "ready" and item["url"].startswith("rtsp://127.0.0.1:") and item["sub"], item
    assert b"rahasia8" not in answer.body and "rahasia8" not in server.log()

    assert server.request("POST", "/cameras", {"id": "baru", "name": "Baru", "main": url}).status == 201
    server.wait_recording(["baru"], 10)
    server.stop()


run()
