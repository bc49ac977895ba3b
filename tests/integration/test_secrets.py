#!/usr/bin/python3
"""Passwords of cameras, of people and of services are in no answer, no log line, no package, no list of processes,
no core file; and in no file that somebody else may read."""
import io
import os
import pathlib
import re
import stat
import subprocess
import time
import urllib.parse
import zipfile

import yaml

from kt import (BUILD, KENTONGAN, PASSWORD, ROOT, Cameras, Server, Skip, camera_list, format_time, free_port, new_folder, note, run, start, test,
                wait_for)

FILE, BROWSER, HOOK, PERSON, GUESS = ("rahasia-berkas-77", "rahasia-kamera-78", "rahasia-kait-79", "rahasia-orang-80", "rahasia-coba-81")
ENVIRONMENT = "rahasia-lingkungan-82"
SECRETS = (FILE, BROWSER, HOOK, PERSON, GUESS, ENVIRONMENT, PASSWORD)
API = yaml.safe_load((ROOT / "docs/openapi.yaml").read_text())

os.umask(0o022)      # what a shell gives; files must be private all the same
cameras = Cameras(1, options=["--auth", f"kamera:{FILE}"])
broken = free_port()
server = Server([{"id": "cam01", "main": cameras.url(0, credentials=f"kamera:{FILE}@"), "sub": cameras.url(0, "sub", f"kamera:{FILE}@")},
                 {"id": "mati", "main": f"rtsp://kamera:${{CAM_PASS}}@127.0.0.1:{broken}/x",
                  "snapshot": f"http://kamera:${{CAM_PASS}}@127.0.0.1:{broken}/x.jpg"}], ring="64 MiB", env={"CAM_PASS": ENVIRONMENT})
text = server.config.read_text().replace("language: id", "language: id, allow_loopback: true").replace(
    "cameras:", f"  vault: {{ path: {server.folder}/vault, max_size: 256 MiB }}\ncameras:")
server.config.write_text(text + f"""alerts:
  channels:
    - {{ type: webhook, url: "http://127.0.0.1:{broken}/hook", secret: {HOOK} }}
""")
server.config.chmod(0o600)
server.process = start([KENTONGAN, "serve", "-c", server.config, "--verbose"], server.folder / "log",
                       env={**os.environ, "KENTONGAN_ADMIN_PASSWORD": PASSWORD, **server.env})
wait_for(f"the server listens\n{server.log()[-800:]}", 10, server.listens)
server.login()
server.wait_recording(["cam01"], 20)
began = time.time()


def clean(what, data):
    """DATA holds no secret, plain, encoded for an address, or in base64."""
    data = data if isinstance(data, bytes) else data.encode()
    for secret in SECRETS:
        for form in (secret.encode(), urllib.parse.quote(secret).encode()):
            assert form not in data, f"{what} holds {secret}: {data[max(0, data.find(form) - 80):][:160]!r}"


@test("cameras, people and services with passwords are there")
def there():
    for body in ({"id": "tambah", "name": "x", "main": f"rtsp://kamera:{BROWSER}@127.0.0.1:{broken}/x",
                  "snapshot": f"http://kamera:{BROWSER}@127.0.0.1:{broken}/x.jpg"},):
        assert server.request("POST", "/cameras", body).status == 201
    for name, role in (("bu-rt", "head"), ("pak-jaga", "volunteer"), ("bripka", "police")):
        assert server.request("POST", "/users", {"username": name, "password": PERSON, "role": role}).status == 201
    assert server.request("PATCH", "/users/pak-jaga", {"password": PERSON + "x"}).status == 200


@test("refusals do not repeat what was sent")
def refusals():
    for method, path, body in (
            ("POST", "/session", {"username": "admin", "password": GUESS}), ("POST", "/session", {"username": GUESS, "password": "x" * 8}),
            ("POST", "/cameras", {"id": "a", "name": "x", "main": f"rtsp://k:{GUESS}@127.0.0.1:99999/x"}),
            ("POST", "/cameras", {"id": "a", "name": "x", "main": f"gopher://k:{GUESS}@127.0.0.1/x"}),
            ("POST", "/cameras", {"id": "a", "name": "x", "main": f"rtsp://k:{GUESS}@tidak.ada.invalid/x", "enabled": False}),
            ("POST", "/cameras/test", {"url": f"rtsp://k:{GUESS}@127.0.0.1:{broken}/x"}),
            ("POST", "/cameras/test", {"url": f"http://k:{GUESS}@127.0.0.1:{broken}/x"}),
            ("POST", "/cameras/test", {"url": f"rtsp://k:{GUESS}@{GUESS}@@:x/"}),
            ("PUT", "/session/password", {"old": GUESS, "new": "pagar bambu"}), ("POST", "/users", {"username": "a b", "password": GUESS, "role": "head"}),
            ("DELETE", "/session/totp", {"password": GUESS}), ("PATCH", "/users/bu-rt", {"password": GUESS, "role": "king"})):
        answer = server.request(method, path, body)
        clean(f"{method} {path}", answer.body + str(answer.headers).encode())


@test("no answer of any route, to whoever asks, holds one")
def answers():
    wait_for("some seconds are recorded", 20, lambda: time.time() > began + 8)
    span = {"from": format_time(began + 1), "to": format_time(began + 6)}
    incident = server.request("POST", "/incidents", {"title": "x", "notes": "", "cameras": ["cam01"], **span}).json()["id"]
    assert server.request("POST", f"/incidents/{incident}/holds", {"stream": "main"}).status in (200, 202)
    export = server.request("POST", "/exports", {"incident": incident, "officer": "x", "agency": "x", "letter": "x", "purpose": "x"}).json()["id"]
    wait_for("the package is made", 30, lambda: server.get(f"/exports/{export}").json()["state"] == "done")
    package = zipfile.ZipFile(io.BytesIO(server.get(f"/exports/{export}/package.zip").body))
    for name in package.namelist():
        clean(f"the package's {name}", package.read(name))
    asked = 0
    cookie = server.cookie
    for who in ("admin", "bu-rt", "bripka"):
        if who != "admin":
            server.login(who, PERSON)
        for path, methods in API["paths"].items():
            if "get" not in methods or path == "/live":
                continue
            for camera in ("cam01", "mati", "tambah"):
                query = {"at": format_time(began + 3), "first": 1, "last": 1, "stream": "main", **span}
                known = {"id": camera, "incident": str(incident), "export": str(export), "username": "bu-rt", "hash": "0" * 64}
                target = re.sub(r"\{(\w+)\}", lambda m: known.get(m[1], "1"), path) + "?" + urllib.parse.urlencode(query)
                answer = server.request("GET", target)
                clean(f"GET {target} as {who}", answer.body + str(answer.headers).encode())
                asked += answer.status == 200
    server.cookie = cookie
    for path in ("//metrics", "//healthz", "//openapi.yaml"):
        clean(path, server.request("GET", path).body)
    assert server.get("/cameras/mati").json()["main"] == f"rtsp://kamera:***@127.0.0.1:{broken}/x"
    note(f"{asked} answers with something in them")


@test("no line of the log does, at its most talkative, not even about what fails")
def log():
    wait_for("the dead camera was tried", 20, lambda: "mati" in server.log())
    clean("the log", server.log())


@test("the tools do not print them, and the list of processes does not show them")
def tools():
    pid = server.process.pid
    clean("the command line", pathlib.Path(f"/proc/{pid}/cmdline").read_bytes())
    for thread in pathlib.Path(f"/proc/{pid}/task").iterdir():
        clean("a thread's name", (thread / "comm").read_bytes())
    environment = {**os.environ, "CAM_PASS": ENVIRONMENT}
    for command in (["check", "-c", server.config, "--seconds", "2"], ["user", "list", "-c", server.config],
                    ["verify", server.folder / "video"],
                    ["export", "-c", server.config, "--camera", "mati", "--from", format_time(began), "--to", format_time(began + 2), "-o",
                     server.folder / "x.mp4"]):
        done = subprocess.run([KENTONGAN, *command], capture_output=True, env=environment, timeout=60)
        clean(f"kentongan {command[0]}", done.stdout + done.stderr)
    # A mistake beside a password is told without it.
    broken_file = new_folder() / "kentongan.yaml"
    broken_file.write_text(server.config.read_text().replace("cameras:", "cameras:\n  - { id: x, main: \"rtsq://k:" + GUESS + "@h/x\" }", 1))
    done = subprocess.run([KENTONGAN, "check", "-c", broken_file], capture_output=True, env=environment, timeout=60)
    assert done.returncode == 1
    clean("the complaint about a configuration", done.stdout + done.stderr)


@test("files that hold one, or anything of people, are the recorder's alone, whatever the shell's umask")
def files():
    holding = set()
    for path in server.folder.rglob("*"):
        if path.is_dir() or path.name == "log" or path.stat().st_size > 32 << 20:
            continue
        mode = stat.S_IMODE(path.stat().st_mode)
        data = path.read_bytes()
        if any(s.encode() in data for s in SECRETS):
            holding.add(path.relative_to(server.folder).as_posix())
            assert mode & 0o077 == 0, f"{path}: {mode:o}"
        if path.name.startswith("catalog.db") or path.name.endswith((".pem", ".key")) and "pub" not in path.name:
            assert mode & 0o077 == 0 or b"PRIVATE" not in data and not path.name.startswith("catalog.db"), f"{path}: {mode:o}"
    note(f"in {', '.join(sorted(holding))}")
    # Passwords of people are hashes; the webhook's and the file's cameras are not copied from the file.
    whole = b"".join(p.read_bytes() for p in server.folder.glob("catalog.db*") if p.is_file())
    for secret in (PERSON, PASSWORD, FILE, HOOK, ENVIRONMENT, GUESS + "@127.0.0.1:99999"):
        assert secret.encode() not in whole, secret
    assert b"$argon2id$" in whole and BROWSER.encode() in whole
    evidence = [p for p in (server.folder / "vault").rglob("*") if p.is_file()]
    assert evidence and all(stat.S_IMODE(p.stat().st_mode) & 0o007 == 0 for p in evidence), [f"{p}: {p.stat().st_mode:o}" for p in evidence]


NOBODY = 65534


@test("another program of the same user can read neither its memory nor its environment")
def others():
    if os.geteuid() != 0 or "san" in BUILD.name:
        raise Skip("needs another user, and sanitizers read the memory themselves")
    lone = Server(folder=new_folder())
    for path in (lone.folder, lone.config):
        os.chown(path, NOBODY, NOBODY)
    lone.process = start([KENTONGAN, "serve", "-c", lone.config], lone.folder / "log", user=NOBODY, group=NOBODY, extra_groups=[],
                         env={"KENTONGAN_ADMIN_PASSWORD": PASSWORD})
    wait_for(f"the server listens\n{lone.log()[-800:]}", 10, lone.listens)
    sleeper = start(["/bin/sleep", "30"], lone.folder / "sleep", user=NOBODY, group=NOBODY, extra_groups=[])
    for pid, readable in ((sleeper.pid, True), (lone.process.pid, False)):
        for name in ("environ", "maps"):
            done = subprocess.run(["/bin/cat", f"/proc/{pid}/{name}"], capture_output=True, user=NOBODY, group=NOBODY, extra_groups=[])
            assert (done.returncode == 0) == readable, (pid, name, done)
    lone.stop()


@test("a crash leaves nothing of its memory")
def memory():
    pid = server.process.pid
    limits = pathlib.Path(f"/proc/{pid}/limits").read_text()
    assert re.search(r"Max core file size\s+0\s+0", limits), limits
    os.kill(pid, 6)
    status = os.waitpid(pid, 0)[1]
    assert os.WTERMSIG(status) == 6 and not os.WCOREDUMP(status)
    server.process.returncode = -6
    clean("the log after a crash", server.log())


run()
