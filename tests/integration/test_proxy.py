#!/usr/bin/python3
"""Behind the proxies of configs/, as they are there but for names, ports and paths. Whichever of nginx and Caddy is
installed is tried (./run does not install them: they would listen on this machine's ports)."""
import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import statistics
import subprocess
import time

from kt import (PASSWORD, ROOT, SLOW, Cameras, Server, Skip, WebSocket, camera_list, format_time, free_port, new_folder, note, run, start,
                test, wait_for)

os.environ["PATH"] += ":/usr/sbin"
cameras = Cameras(1)
server = Server(camera_list(cameras), ring="64 MiB").start()
server.wait_recording(["cam01"], 15)
began = time.time()
folder = new_folder("proxy")
subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout",
                folder / "key.pem", "-out", folder / "cert.pem", "-days", "3", "-subj", "/CN=cctv.example.org", "-addext",
                "subjectAltName=DNS:cctv.example.org"], check=True, capture_output=True)
context = ssl.create_default_context(cafile=folder / "cert.pem")


def replaced(text, *pairs):
    for old, new in pairs:
        assert old in text, f"{old!r} is not in the sample any more"
        text = text.replace(old, str(new))
    return text


class Proxy:
    """One of the samples, at work in a folder of its own."""

    def __init__(self, name):
        if not shutil.which(name):
            raise Skip(f"{name} is not installed")
        self.name, self.port, self.plain = name, free_port(), free_port()
        self.folder = new_folder(name)
        getattr(self, name)()
        wait_for(f"{name} listens: {self.folder}", 20, self.listens)

    def listens(self):
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self.port)) == 0

    def nginx(self):
        sample = replaced((ROOT / "configs/nginx.conf").read_text(), ("127.0.0.1:8080", f"127.0.0.1:{server.port}"),
                          ("listen 443 ssl http2", f"listen 127.0.0.1:{self.port} ssl http2"),
                          ("    listen [::]:443 ssl http2;\n", ""), ("listen 80;", f"listen 127.0.0.1:{self.plain};"),
                          ("    listen [::]:80;\n", ""),
                          ("/etc/letsencrypt/live/cctv.example.org/fullchain.pem", folder / "cert.pem"),
                          ("/etc/letsencrypt/live/cctv.example.org/privkey.pem", folder / "key.pem"))
        paths = "".join(f"{kind}_temp_path {self.folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        (self.folder / "nginx.conf").write_text(
            f"daemon off;\n{'user root;' if os.geteuid() == 0 else ''}\npid {self.folder}/pid;\nerror_log {self.folder}/error.log;\nevents {{ }}\n"
            f"http {{\naccess_log off;\n{paths}{sample}}}\n")
        self.process = start(["nginx", "-c", self.folder / "nginx.conf", "-e", self.folder / "error.log"], self.folder / "log")

    def caddy(self):
        sample = replaced((ROOT / "configs/Caddyfile").read_text(), ("\n{\n", f"\n{{\n\tadmin off\n\tauto_https disable_redirects\n"
                          f"\tstorage file_system {self.folder}/storage\n"), ("\ncctv.example.org {", f"\nhttps://cctv.example.org:{self.port} {{\n"
                          f"\tbind 127.0.0.1\n\ttls {folder}/cert.pem {folder}/key.pem"), ("127.0.0.1:8080", f"127.0.0.1:{server.port}"))
        (self.folder / "Caddyfile").write_text(sample)
        self.process = start(["caddy", "run", "--config", self.folder / "Caddyfile", "--adapter", "caddyfile"], self.folder / "log",
                             env={**os.environ, "HOME": str(self.folder)})

    def connect(self):
        return context.wrap_socket(socket.create_connection(("127.0.0.1", self.port), 10 * SLOW), server_hostname="cctv.example.org")

    def ask(self, method, path, body=None, headers=None, cookie=None):
        connection = http.client.HTTPSConnection("cctv.example.org", self.port, timeout=20 * SLOW)
        connection.sock = self.connect()
        headers = {"Host": f"cctv.example.org:{self.port}", **({"Cookie": cookie} if cookie else {}), **(headers or {})}
        if body is not None:
            headers["Content-Type"] = "application/json"
        connection.request(method, path, body if body is None or isinstance(body, bytes) else json.dumps(body), headers)
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        return answer, data

    def login(self):
        def try_it():       # the test before guessed passwords
            answer, _ = self.ask("POST", "/api/v1/session", {"username": "admin", "password": PASSWORD},
                                 {"Origin": f"https://cctv.example.org:{self.port}"})
            assert answer.status in (200, 429), answer.status
            return answer.headers["Set-Cookie"]
        return wait_for("logged in", 60, try_it, every=1)

    def stop(self):
        os.killpg(self.process.pid, signal.SIGKILL)     # Caddy would wait for its visitors
        self.process.wait()


def pages(p):
    set_cookie = p.login()
    assert "; Secure" in set_cookie and "; HttpOnly" in set_cookie, set_cookie
    cookie = set_cookie.split(";")[0]
    answer, body = p.ask("GET", "/", cookie=cookie)
    assert answer.status == 200 and b"<html" in body and answer.headers["Strict-Transport-Security"], answer.headers
    refused, _ = p.ask("PUT", "/api/v1/session/settings", {"a": 1}, {"Origin": "https://evil.example"}, cookie)
    assert refused.status == 403
    kept, _ = p.ask("PUT", "/api/v1/session/settings", {"a": 1}, {"Origin": f"https://cctv.example.org:{p.port}"}, cookie)
    assert kept.status == 204, kept.status
    return cookie


def live(p, cookie):
    host = f"cctv.example.org:{p.port}"
    view = WebSocket(server, cookie, f"https://{host}", p.connect(), host)
    assert view.status == 101, view.status
    view.say(op="subscribe", tile=0, camera="cam01", stream="main")
    seen = [(kind, age) for kind, _, _, _, age, _ in view.media(3 * SLOW)]
    late = [age for kind, age in seen[-30:] if kind == 2]
    note(f"{p.name}: {len(seen)} live messages in 3 s, the last {max(late) * 1000:.0f} ms after their capture at most")
    assert seen[0][0] == 1 and len(late) >= 25 and statistics.median(late) < 0.3 * SLOW, (seen[:3], late)
    view.close()


def parts(p, cookie):
    wait_for("some seconds are recorded", 20, lambda: time.time() > began + 8)
    path = f"/api/v1/cameras/cam01/clip.mp4?from={format_time(began + 1)}&to={format_time(began + 6)}"
    answer, whole = p.ask("GET", path, cookie=cookie)
    assert answer.status == 200 and len(whole) == int(answer.headers["Content-Length"]) > 100_000
    answer, part = p.ask("GET", path, headers={"Range": "bytes=1000-1999"}, cookie=cookie)
    assert answer.status == 206 and part == whole[1000:2000] and answer.headers["Content-Range"] == f"bytes 1000-1999/{len(whole)}"


def bounds(p, cookie):
    answer, body = p.ask("PUT", "/api/v1/session/settings", b'{"a":"' + b"x" * 150_000 + b'"}', cookie=cookie)
    too_large = (413, 502) if p.name == "caddy" else (413,)     # Caddy 2.6 cuts it off and calls that a bad gateway
    assert answer.status in too_large, (answer.status, body[:200])
    answer, body = p.ask("PUT", "/api/v1/session/settings", b'{"a":"' + b"x" * 3_000_000 + b'"}', cookie=cookie)
    assert answer.status in too_large, (answer.status, body[:200])
    # A body that never comes is given up, by the proxy or behind it.
    s = p.connect()
    s.settimeout(40 * SLOW)
    s.sendall((f"PUT /api/v1/session/settings HTTP/1.1\r\nHost: cctv.example.org:{p.port}\r\nContent-Type: application/json\r\n"
               f"Content-Length: 1000\r\nCookie: {cookie}\r\n\r\n{{").encode())
    began_waiting = time.monotonic()
    while s.recv(4096):
        pass
    note(f"{p.name}: a body that does not come is given up after {time.monotonic() - began_waiting:.0f} s")


def addresses(p, cookie):
    """Who guesses passwords is known by the address of the connection, whatever it says of itself."""
    statuses = []
    for n in range(12):
        answer, _ = p.ask("POST", "/api/v1/session", {"username": "admin", "password": "salah-sekali"},
                          {"X-Forwarded-For": f"198.51.100.{n}", "X-Real-IP": f"198.51.100.{n}", "Forwarded": f"for=198.51.100.{n}"})
        statuses.append(answer.status)
    assert 429 in statuses and not set(statuses) - {401, 429}, statuses
    rows = json.loads(p.ask("GET", "/api/v1/audit?action=login-failed&limit=50", cookie=cookie)[1])["items"]
    assert rows and {r["address"] for r in rows} == {"127.0.0.1"}, {r["address"] for r in rows}
    # Numbers about the recorder are for its own machine.
    hidden, _ = p.ask("GET", "/metrics")
    assert hidden.status in (401, 403, 404), hidden.status


for name in ("nginx", "caddy"):
    def promise(name=name):
        p = Proxy(name)
        try:
            cookie = pages(p)
            live(p, cookie)
            parts(p, cookie)
            bounds(p, cookie)
            addresses(p, cookie)
            if name == "nginx":
                plain = http.client.HTTPConnection("127.0.0.1", p.plain, timeout=10)
                plain.request("GET", "/a", headers={"Host": "cctv.example.org"})
                assert plain.getresponse().headers["Location"] == "https://cctv.example.org/a"
        finally:
            p.stop()
    promise.__name__ = name
    test(f"behind {name} with its sample: log in, live pictures, parts of clips, bounds, and who asks")(promise)

run()
