#!/usr/bin/python3
"""Texts that mean something elsewhere (tests/corpus/hostile.json) in every field, path, query and header: here
they are texts. What docs/openapi.yaml names is walked, so a new route or field is walked too."""
import csv
import html.parser
import io
import json
import pathlib
import re
import socket
import subprocess
import threading
import time
import urllib.parse
import zipfile

import yaml

from kt import (BUILD, KENTONGAN, PASSWORD, ROOT, SLOW, Cameras, Server, Skip, WebSocket, camera_list, format_time, new_folder, note, resolve, run,
                test, wait_for)

CORPUS = json.loads((ROOT / "tests/corpus/hostile.json").read_text())
TEXTS = [text for texts in CORPUS.values() for text in texts]
API = yaml.safe_load((ROOT / "docs/openapi.yaml").read_text())
WORD = "ronda-malam-jumat"
LINE = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (ERROR|WARN |INFO |DEBUG) [\w/-]+: ")
HIDDEN = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff]")
# What would end the walk itself, or waits for the network.
LEFT_OUT = {("delete", "/session"), ("delete", "/session/all"), ("post", "/cameras/discover")}

cameras = Cameras(1)
folder = new_folder("corpus")
(folder / "web").mkdir()
(folder / "web" / "index.html").write_text("<!doctype html><title>app</title>")
(folder / "secret.txt").write_text("root:x:0:0: not for visitors")
(folder / "data").mkdir()
server = Server([{**camera_list(cameras)[0], "name": " ".join(CORPUS["script"])[:120]}], ring="64 MiB", folder=folder / "data",
                env={"KENTONGAN_WEB_ROOT": str(folder / "web")})
server.config.write_text(server.config.read_text().replace(
    "cameras:", f"  vault: {{ path: {server.folder}/vault, max_size: 256 MiB }}\ncameras:"))
server.start()
server.wait_recording(["cam01"], 15)
began = time.time()


class Connection:
    """Requests one after another on one connection: an answer that is not where it should be is found at the next."""

    def __init__(self, address):
        self.address, self.socket, self.count = address, None, 0

    def send(self, method, target, body=None, headers=None):
        lines = [f"{method} {target} HTTP/1.1", "Host: pos", f"Cookie: {server.cookie}", f"X-Forwarded-For: {self.address}"]
        data = b"" if body is None else json.dumps(body).encode()
        lines += [] if body is None else ["Content-Type: application/json", f"Content-Length: {len(data)}"]
        lines += [f"{k}: {v}" for k, v in (headers or {}).items()]
        raw = "\r\n".join(lines).encode("utf-8", "surrogatepass") + b"\r\n\r\n" + data
        self.count += 1
        for again in (True, False):
            try:
                if not self.socket:
                    self.socket = socket.create_connection(("127.0.0.1", server.port), 20 * SLOW)
                    self.file = self.socket.makefile("rb")
                self.socket.sendall(raw)
                return self.read(f"{method} {target[:200]} {data[:200]!r}")
            except (ConnectionError, EOFError):
                self.socket = None
                assert again, f"no answer: {method} {target[:200]} {data[:200]!r}"

    def read(self, what):
        first = self.file.readline()
        if not first:
            raise EOFError
        status = re.match(rb"HTTP/1\.1 (\d{3}) ", first)
        assert status, f"{what}: no answer begins with {first!r}"
        headers = {}
        while (line := self.file.readline().rstrip(b"\r\n")):
            name, _, value = line.partition(b":")
            headers[name.decode("latin-1").lower()] = value.strip()
        length = int(headers.get("content-length", 0))
        body = self.file.read(length) if status[1] not in (b"204", b"304") else b""
        if headers.get("connection") == b"close":
            self.socket = None
        return int(status[1]), headers, body


answers = {}


def judge(what, answer):
    status, headers, body = answer
    answers[status] = answers.get(status, 0) + 1
    assert status != 401 or "session" in what or "invitation" in what, f"{what}: the walk is no longer logged in"
    assert status < 500, f"{what}: {status} {body[:300]!r}"
    assert "x-injected" not in headers and b"evil" not in headers.get("set-cookie", b""), f"{what}: {headers}"
    kind = headers.get("content-type", b"")
    assert b"html" not in kind, f"{what}: {kind}"
    assert b"root:x:0:0" not in body and b"[fonts]" not in body, f"{what}: a file came out"
    if b"json" in kind:
        json.loads(body)
    return status, body


def sample(schema):
    """A value that fits SCHEMA."""
    schema = resolve(API, schema)
    kind = schema.get("type", "object")
    kind = kind[0] if isinstance(kind, list) else kind
    if "enum" in schema:
        return schema["enum"][0]
    if schema.get("format") == "date-time":
        return format_time(began)
    if kind == "object":
        return {k: sample(v) for k, v in schema.get("properties", {}).items()}
    if kind == "array":
        return [sample(schema.get("items", {"type": "string"}))]
    return {"string": "x", "integer": 1, "number": 0.5, "boolean": True}.get(kind)


def places(value, path=()):
    """Where in VALUE a text may stand instead."""
    if isinstance(value, dict):
        for k, v in value.items():
            yield from places(v, path + (k,))
    elif isinstance(value, list):
        for i, v in enumerate(value):
            yield from places(v, path + (i,))
    else:
        yield path


def put(value, path, text):
    value = json.loads(json.dumps(value))
    at = value
    for part in path[:-1]:
        at = at[part]
    at[path[-1]] = text
    return value


def operations():
    for path, methods in API["paths"].items():
        for method, op in methods.items():
            if method == "parameters" or (method, path) in LEFT_OUT:
                continue
            parameters = [resolve(API, p) for p in methods.get("parameters", []) + op.get("parameters", [])]
            content = resolve(API, op["requestBody"])["content"] if "requestBody" in op else {}
            yield method, path, parameters, content.get("application/json", {}).get("schema")


def fill(path, name=None, text=None):
    known = {"id": "cam01", "username": "bu-rt", "hash": "0" * 64}
    return re.sub(r"\{(\w+)\}", lambda m: urllib.parse.quote(text, safe="") if m[1] == name else known.get(m[1], "1"), path)


def in_parallel(jobs, work):
    """WORK(connection, job) for all JOBS, on four connections; the first failure is raised."""
    jobs, failed, lock, sent = list(jobs), [], threading.Lock(), []

    def one(n):
        connection = Connection(f"203.0.113.{n + 1}")
        while True:
            with lock:
                if failed or not jobs:
                    break
                job = jobs.pop()
            try:
                work(connection, job)
            except Exception as error:
                failed.append(error)
        sent.append(connection.count)

    threads = [threading.Thread(target=one, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
    return sum(sent)


@test("there are enough of them, of every kind")
def enough():
    assert len(TEXTS) >= 60 and len(set(TEXTS)) == len(TEXTS)
    for text in TEXTS:      # the file is read by browsers too
        text.encode("utf-8")


@test("in every parameter of every route a hostile text is a text: no error inside, no file, no header, no HTML")
def parameters():
    for name in ("bu-rt", "pak-rt"):        # one is changed and deleted by the walk
        assert server.request("POST", "/users", {"username": name, "password": WORD, "role": "head"}).status == 201
    now = time.time()
    times = {"from": format_time(now - 60), "to": format_time(now), "at": format_time(now - 5), "first": "1", "last": "1"}
    jobs = []
    for method, path, params, schema in operations():
        query = {p["name"]: times[p["name"]] for p in params if p["in"] == "query" and p["name"] in times}
        for p in params:
            for text in TEXTS:
                if p["in"] == "path":
                    jobs.append((method, fill(path, p["name"], text) + ("?" + urllib.parse.urlencode(query) if query else "")))
                else:
                    jobs.append((method, fill(path) + "?" + urllib.parse.urlencode({**query, p["name"]: text})))

    def work(connection, job):
        method, target = job
        judge(f"{method} {target[:300]}", connection.send(method.upper(), "/api/v1" + target, {} if method != "get" and
                                                          method != "delete" else None))

    note(f"{in_parallel(jobs, work)} requests; answers {dict(sorted(answers.items()))}")


@test("in every field of every body a hostile text is refused or kept as it is")
def fields():
    jobs, seen = [], set()
    for method, path, _, schema in operations():
        if not schema:
            continue
        whole = sample(schema)
        for place in places(whole):
            seen.add((method, path, place))
            # Hashing a password takes a tenth of a second on purpose: some of each kind say as much.
            slow = {"password", "old", "new"} & set(map(str, place)) or path.endswith(("/accept", "/trial", "/cameras/test"))
            jobs += [(method, path, put(whole, place, text)) for text in (TEXTS[::12] if slow else TEXTS)]
    assert len(seen) > 50, len(seen)

    def work(connection, job):
        method, path, body = job
        status, answer = judge(f"{method} {path} {json.dumps(body)[:300]}",
                               connection.send(method.upper(), "/api/v1" + fill(path), body))
        if method == "post" and path == "/incidents" and status == 201:
            made = json.loads(answer)
            assert made["title"] == body["title"] and made["notes"] == body["notes"], (made, body)
        if path == "/users" and status == 201:
            assert not HIDDEN.search(body["username"]) and not set(" <>\"'&/") & set(body["username"]), body
        if method == "post" and path == "/cameras" and status == 201:
            connection.send("DELETE", f"/api/v1/cameras/{body['id']}")

    note(f"{in_parallel(jobs, work)} requests, {len(seen)} fields; answers {dict(sorted(answers.items()))}")


@test("in headers, and as the path itself, nothing comes out and nothing is let in")
def raw():
    connection = Connection("203.0.113.9")
    for text in TEXTS:
        line = text.replace("\r", "").replace("\n", "").replace("\0", "")
        for name in ("User-Agent", "Referer", "Accept-Language", "If-None-Match", "Range", "If-Range"):
            judge(f"{name}: {line}", connection.send("GET", "/api/v1/cameras", headers={name: line}))
    for text in CORPUS["path"] + CORPUS["header"]:
        line = re.sub(r"[\r\n\0]", "", text)
        for prefix in ("/", "/assets/", "/e/", "/api/v1/", "/api/v1/cameras/"):
            for target in (prefix + line.replace(" ", "%20"), prefix + urllib.parse.quote(text, safe="/")):
                status, headers, body = connection.send("GET", target.encode("utf-8").decode("latin-1"))
                assert status < 500 and b"root:" not in body and "x-injected" not in headers, (target, status, body[:100])
                assert b"SQLite format" not in body, target


@test("on the live socket they are answered with an error, and it goes on")
def live():
    def hear(view, kind):
        """Messages until one of KIND comes: an op, or a number for media of that tile."""
        while True:
            opcode, data = view.hear()
            assert opcode in (1, 2), (opcode, data)
            if kind == (json.loads(data)["op"] if opcode == 1 else int.from_bytes(data[2:4], "little")):
                break

    for first in range(0, len(TEXTS), 60):      # 200 messages at once are too many for one visitor
        view = WebSocket(server)
        for text in TEXTS[first:first + 60]:
            view.say(op=text, tile=1)
            view.say(op="subscribe", tile=1, camera=text, stream="sub")
            hear(view, "error")
            view.say(op="subscribe", tile=1, camera="cam01", stream=text)
            hear(view, "error")
        view.say(op="subscribe", tile=7, camera="cam01", stream="main")
        hear(view, 7)
        view.close()


@test("every account, session and table is still there, and the audit log is whole")
def nothing_lost():
    wait_for("the administrator may log in", 20, lambda: server.request(
        "POST", "/session", {"username": "admin", "password": PASSWORD}, {"X-Forwarded-For": "198.51.100.7"}, cookie=False).status == 200)
    names = {u["username"] for u in server.get("/users").json()["items"]}
    assert {"admin", "pak-rt"} <= names, names
    assert server.get("/audit/verify").json()["ok"] is True
    # Nothing of it is a condition: a filter that matches nothing gives nothing.
    for text in CORPUS["sql"]:
        for query in ({"camera": text}, {"type": text}, {"rule": text}):
            answer = server.request("GET", "/events?" + urllib.parse.urlencode(query))
            assert answer.status == 400 or answer.json()["items"] == [], (query, answer.body[:200])
        answer = server.request("GET", "/audit?" + urllib.parse.urlencode({"who": text}))
        assert answer.status == 400 or answer.json()["items"] == [], (text, answer.body[:200])
    assert not list(pathlib.Path("/tmp").glob("kt-pwned*"))
    assert {p.name for p in folder.iterdir()} == {"web", "secret.txt", "data"}


@test("a line of the log is one line, and a terminal that shows it does as it always does")
def log():
    text = (server.folder / "log").read_bytes().decode("utf-8")      # and nothing that is no UTF-8
    for line in text.splitlines(keepends=False):
        assert LINE.match(line) or line.startswith("First start"), line
    found = HIDDEN.search(text)
    assert not found, repr(text[max(0, found.start() - 60):found.end() + 60])
    assert not re.search(r"^\S+Z INFO  kentongan: stopped", text, re.M)
    for line in server.get("/logs?limit=500").json()["items"]:
        assert not HIDDEN.search(line["text"]), line


def no_formula(text, what):
    """A spreadsheet makes nothing of any cell of the table TEXT."""
    rows = list(csv.reader(io.StringIO(text)))
    assert len(rows) > 1, what
    for row in rows:
        for cell in row:
            assert not cell.startswith(("=", "+", "-", "@", "\t", "\r")), f"{what}: {cell!r}"
            assert "\n" not in cell and "\r" not in cell, f"{what}: {cell!r}"


@test("the audit log as a table holds no formula and one line a row")
def table():
    no_formula(server.get("/audit.csv").body.decode(), "audit.csv")


class Page(html.parser.HTMLParser):
    """What a browser would make of a page: elements and attributes."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.text = set(), [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.attributes += attributes

    def handle_data(self, data):
        self.text += data


def harmless(text, what):
    page = Page(text)
    bad = page.tags & {"script", "iframe", "object", "embed", "base", "form", "input", "math", "details", "textarea"}
    assert not bad, f"{what}: {bad}"
    for name, value in page.attributes:
        assert not name.startswith("on") and not re.match(r"\s*(javascript|data|http):", value or "", re.I) or \
            (value or "").startswith(("data:image/", "data:,")), f"{what}: {name}={value}"
    return page


@test("in a package, its printed page and the officer's page they are texts, and its files lie in its folder")
def package():
    wait_for("there is a recording", 20, lambda: time.time() > began + 6)
    end = time.time() - 2
    hostile = [t for t in TEXTS if "\0" not in t and t.strip()]
    pages, names = [], set()
    short = [t for t in hostile if len(t) < 50]
    both = [t[:100] for t in hostile if len(t) >= 50] + [f"{a} {b}" for a, b in zip(short[::2], short[1::2])]
    for n in range(0, len(both), 6):
        take = (both[n:n + 6] + both[:6])[:6]
        made = server.request("POST", "/incidents", {"title": take[0], "notes": "\n".join(hostile)[:9000], "cameras": ["cam01"],
                                                     "from": format_time(end - 2), "to": format_time(end)})
        if made.status != 201:
            made = server.request("POST", "/incidents", {"title": "x", "notes": take[0], "cameras": ["cam01"],
                                                         "from": format_time(end - 2), "to": format_time(end)})
        assert made.status == 201, made.body
        incident = made.json()["id"]
        assert server.request("POST", f"/incidents/{incident}/holds", {"stream": "main"}).status in (200, 202)
        fields = dict(zip(("agency", "officer", "officer_id", "letter", "purpose"), take[1:]))
        answer = server.request("POST", "/exports", {"incident": incident, **fields})
        if answer.status == 400:
            continue
        assert answer.status == 202, answer.body
        number = answer.json()["id"]
        wait_for("the package is made", 30, lambda: server.get(f"/exports/{number}").json()["state"] not in ("waiting", "running"), every=0.05)
        assert server.get(f"/exports/{number}").json()["state"] == "done"
        done = server.get(f"/exports/{number}/package.zip")
        names.add(done.headers["Content-Disposition"])
        archive = zipfile.ZipFile(io.BytesIO(done.body))
        for name in archive.namelist():
            assert re.fullmatch(r"EV-[A-Za-z0-9-]+(/log)?/[A-Za-z0-9._-]+", name), name
        inside = {pathlib.PurePath(n).name: archive.read(n).decode() for n in archive.namelist() if not n.endswith((".mp4", ".sig", ".tsr"))
                  and "log/" not in n}
        page = harmless(inside["BERITA-ACARA.html"], "berita acara")
        shown = [f for f in fields.values() if f.strip()]
        pages.append(sum(f in page.text for f in shown) / max(1, len(shown)))
        for line in inside["BACA-SAYA.txt"].splitlines() + inside["README.txt"].splitlines():
            assert not HIDDEN.search(line), line
        assert json.loads(inside["manifest.json"])
        no_formula(inside["custody.csv"], "custody.csv")
        harmless(server.get(f"/exports/{number}/berita-acara.html").body.decode(), "the printed page")
        (server.folder / "package.zip").write_bytes(done.body)
        told = subprocess.run([KENTONGAN, "verify", server.folder / "package.zip"], capture_output=True)
        assert told.returncode == 0 and not HIDDEN.search(told.stdout.decode()), told.stdout[-500:]
        link = server.request("POST", f"/exports/{number}/shares", {"note": take[1]})
        assert link.status == 201, link.body
        harmless(server.get("/" + link.json()["path"]).body.decode(), "the officer's page")
    note(f"{len(pages)} packages; {sum(pages) / len(pages) * 100:.0f} % of the fields stand on the page letter by letter")
    assert len(pages) > 5 and sum(pages) / len(pages) > 0.5
    for name in names:
        assert re.fullmatch(r'attachment; filename="EV-[A-Za-z0-9-]+\.zip"', name), name


# ------------------------------ where they would have led ------------------------------

INSIDE = ["127.0.0.1", "127.1", "127.0.1", "0x7f.1", "0x7f000001", "2130706433", "017700000001", "0177.0.0.1", "127.000.000.001", "0",
          "0.0.0.0", "[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]",
          "localhost", "LOCALHOST", "localhost.", "169.254.169.254", "169.254.1.1", "0xa9fea9fe", "2852039166", "[::ffff:169.254.169.254]",
          "[fe80::1]", "[fe80::1%25lo]", "[fd00:ec2::254]", "[ff02::1]", "255.255.255.255", "224.0.0.1", "100.100.100.200", "127.0.0.1%00.example",
          "1%32%37.0.0.1", "%31%32%37%2e0.0.1"]


class Canary:
    """Nobody should come here."""

    def __init__(self):
        self.came, self.heard = 0, b""
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        while True:
            s, _ = self.listener.accept()
            self.came += 1
            threading.Thread(target=self.serve, args=(s,), daemon=True).start()

    def serve(self, s):
        with s:
            s.settimeout(5)
            data = b""
            try:
                while (more := s.recv(65536)):
                    data += more
                    self.heard += more
                    while b"\r\n\r\n" in data:
                        head, data = data.split(b"\r\n\r\n", 1)
                        s.sendall(self.answer(head))
            except OSError:
                pass

    def answer(self, head):
        number = re.search(rb"CSeq: (\d+)", head)
        protocol = b"RTSP/1.0" if number else b"HTTP/1.1"
        challenge = b'WWW-Authenticate: Digest realm="a", nonce="b"\r\nWWW-Authenticate: Basic realm="a"\r\n'
        return protocol + b" 401 Unauthorized\r\n" + (b"CSeq: " + number[1] + b"\r\n" if number else b"") + challenge + b"Content-Length: 0\r\n\r\n"


@test("a camera's address typed in the browser does not lead inside, however it is spelled")
def inside():
    canary = Canary()
    for n, host in enumerate(INSIDE):
        for scheme, key in (("rtsp", "main"), ("rtsp", "sub"), ("http", "snapshot")):
            body = {"id": f"dalam-{n}", "name": "x", "main": "rtsp://192.0.2.1/x", key: f"{scheme}://{host}:{canary.port}/x"}
            answer = server.request("POST", "/cameras", body)
            assert answer.status in (400, 201), (host, answer.status, answer.body[:200])
            if answer.status == 201:        # a name that nobody knows: the guard at the socket remains
                server.request("DELETE", f"/cameras/dalam-{n}")
                assert not re.fullmatch(r"[0-9a-fx.:\[\]]+|localhost", host, re.I), f"{host} was taken"
        if n % 4 == 0:
            tried = server.request("POST", "/cameras/test", {"url": f"rtsp://{host}:{canary.port}/x"})
            assert tried.status in (200, 400) and not (tried.status == 200 and tried.json().get("ok")), (host, tried.body[:200])
    assert canary.came == 0, f"{canary.came} connections"


@test("a name that meant a camera and then means this machine is not followed")
def rebinding():
    if "san" in BUILD.name:
        raise Skip("what is preloaded and a sanitizer do not go together")
    canary = Canary()
    lone = Server(folder=new_folder(), env={"LD_PRELOAD": str(ROOT / "build/tests/integration/libkt_name_shim.so")}).start()
    for key, url in (("main", "rtsp://rebind-a.example"), ("snapshot", "http://rebind-b.example")):
        body = {"id": f"balik-{key}", "name": "x", "main": "rtsp://192.0.2.1/x", key: f"{url}:{canary.port}/x"}
        answer = lone.request("POST", "/cameras", body)
        assert answer.status == 201, answer.body    # the first answer of the name server is public
    wait_for("it is refused at the connection", 20, lambda: "loopback" in lone.cameras()["balik-main"]["why"] or
             "not allowed" in lone.cameras()["balik-main"]["why"])
    time.sleep(3)
    note(lone.cameras()["balik-main"]["why"])
    lone.stop()
    assert canary.came == 0, f"{canary.came} connections"


@test("what stands in a camera's address stays in its place: no header more in what is sent to it")
def sent():
    canary = Canary()
    lone = Server(folder=new_folder())
    lone.config.write_text(lone.config.read_text().replace("language: id", "language: id, allow_loopback: true"))
    lone.start()
    host = f"127.0.0.1:{canary.port}"
    made = 0
    for n, text in enumerate(["a%0d%0aX-Injected:%20yes%0d%0a", "a%0aX-Injected:%20yes", "a%22,%20X-Injected=%22", "a\"b", "%s%n"]):
        for where in (f"{text}:p@{host}/s", f"u:{text}@{host}/s", f"u:p@{host}/{text}", f"u:p@{host}/?a={text}"):
            for key, scheme in (("main", "rtsp"), ("snapshot", "http")):
                body = {"id": f"k-{made}", "name": "x", "main": "rtsp://192.0.2.1/x", key: f"{scheme}://{where}"}
                made += 1
                answer = lone.request("POST", "/cameras", body)
                assert answer.status in (201, 400), (where, answer.body)
    wait_for("they came", 20, lambda: canary.came > 10)
    time.sleep(4)
    note(f"{canary.came} connections, {len(canary.heard)} bytes")
    for line in re.split(rb"[\r\n]+", canary.heard):
        assert not line.lower().startswith(b"x-injected"), line
    lone.stop()


run()
