#!/usr/bin/python3
"""HTTPS by certificate files: pages, cookies, live pictures, whole downloads; what is refused."""
import http.client
import json
import os
import signal
import socket
import ssl
import statistics
import subprocess
import threading
import time
import warnings

from kt import (KENTONGAN, PASSWORD, SLOW, Cameras, Server, WebSocket, camera_list, cpu_seconds, descriptors, format_time, in_time, new_folder, note,
                run, test, wait_for)

warnings.simplefilter("ignore", DeprecationWarning)
folder = new_folder("certificate")


def new_certificate():
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout",
                    folder / "key.pem", "-out", folder / "cert.pem", "-days", "3", "-subj", "/CN=localhost", "-addext",
                    "subjectAltName=DNS:localhost,IP:127.0.0.1"], check=True, capture_output=True)
    os.chmod(folder / "key.pem", 0o640)
    return ssl.PEM_cert_to_DER_cert((folder / "cert.pem").read_text())


first_certificate = new_certificate()
cameras = Cameras(4)
server = Server(camera_list(cameras), ring="64 MiB")
server.config.write_text(server.config.read_text().replace(
    "language: id", f"language: id, tls_cert: {folder}/cert.pem, tls_key: {folder}/key.pem"))
server.start(wait=False)
wait_for("the server listens", 10, server.listens)
context = ssl.create_default_context(cafile=folder / "cert.pem")
session = {}


def ask(method, path, body=None, headers=None):
    connection = http.client.HTTPSConnection("127.0.0.1", server.port, context=context, timeout=30 * SLOW)
    headers = {**({"Cookie": session["cookie"]} if session else {}), **(headers or {})}
    if body is not None:
        headers["Content-Type"] = "application/json"
    connection.request(method, path, body and json.dumps(body), headers)
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    return answer, data


def connect():
    return context.wrap_socket(socket.create_connection(("127.0.0.1", server.port), 10), server_hostname="127.0.0.1")


@test("pages and sessions over HTTPS: the cookie is Secure, the browser is told to stay with HTTPS")
def pages():
    answer, _ = ask("POST", "/api/v1/session", {"username": "admin", "password": PASSWORD})
    assert answer.status == 200, answer.status
    cookie = answer.headers["Set-Cookie"]
    assert "; Secure" in cookie and "; HttpOnly" in cookie, cookie
    assert answer.headers["Strict-Transport-Security"]
    session["cookie"] = cookie.split(";")[0]
    origin = {"Origin": f"https://127.0.0.1:{server.port}"}
    assert ask("PUT", "/api/v1/session/settings", {"a": 1}, origin)[0].status == 204
    assert ask("PUT", "/api/v1/session/settings", {"a": 1}, {"Origin": f"http://127.0.0.1:{server.port}"})[0].status == 403
    wait_for("four cameras record", 20, lambda: all(c["recording"] for c in json.loads(ask("GET", "/api/v1/cameras")[1])["items"]))


def watch():
    """The live socket, with tiles of all four cameras' main streams."""
    view = WebSocket(server, session["cookie"], socket_=connect())
    assert view.status == 101, view.status
    for tile in range(4):
        view.say(op="subscribe", tile=tile, camera=f"cam{tile + 1:02d}", stream="main")
    return view


@test("live pictures come through TLS as quickly as without")
def live():
    view, late, seen, end = watch(), [], set(), time.monotonic() + 6
    for kind, tile, _, _, age, _ in view.media(6):
        seen |= {tile} if kind == 2 else set()
        if kind == 2 and time.monotonic() > end - 5:
            late.append(age)
    view.close()
    note(f"{len(late)} chunks of four tiles, {statistics.median(late) * 1000:.0f} ms after their capture (median)")
    assert seen == {0, 1, 2, 3}, seen
    in_time(len(late) > 200, f"only {len(late)} pictures")
    in_time(statistics.median(late) < 0.3 * SLOW, f"pictures are {statistics.median(late):.2f} s late")


@test("what is large arrives whole, to eight at once, also to one who reads slowly")
def large():
    index = ask("GET", "/")[1]
    assert len(index) > 100
    now = time.time()
    span = "&".join(f"{k}=" + time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(t)) for k, t in (("from", now - 12), ("to", now - 4)))
    clip = f"/api/v1/cameras/cam01/clip.mp4?{span}"
    answer, whole = ask("GET", clip)
    assert answer.status == 200 and len(whole) == int(answer.headers["Content-Length"]) > 100000, answer.status
    same = []

    def again(slowly):
        s = connect()
        s.sendall(f"GET {clip} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nCookie: {session['cookie']}\r\n\r\n".encode())
        data = b""
        while more := s.recv(4096 if slowly else 65536):
            data += more
            if slowly:
                time.sleep(0.002)
        same.append(data.split(b"\r\n\r\n", 1)[1] == whole)

    threads = [threading.Thread(target=again, args=(i == 0,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert same == [True] * 8, same


@test("old versions of TLS, plain HTTP and silence are not answered; nothing is left of them")
def refused():
    before = descriptors(server.process.pid)
    for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
        old.minimum_version = old.maximum_version = version
        old.set_ciphers("ALL:@SECLEVEL=0")
        try:
            old.wrap_socket(socket.create_connection(("127.0.0.1", server.port), 10))
            raise AssertionError(f"{version} was accepted")
        except (ssl.SSLError, ConnectionError):
            pass
    with socket.create_connection(("127.0.0.1", server.port), 10) as s:
        s.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        try:
            answer = s.recv(4096)
        except OSError:
            answer = b""
        assert not answer.startswith(b"HTTP/"), answer
    silent = [socket.create_connection(("127.0.0.1", server.port), 10) for _ in range(100)]
    gone = [connect() for _ in range(20)]
    for s in gone:
        s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        s.close()
    cpu = cpu_seconds(server.process.pid)
    wait_for("the silent ones are cut off", 20, lambda: descriptors(server.process.pid) <= before + 3, every=0.5)
    note(f"{cpu_seconds(server.process.pid) - cpu:.1f} s of processor time while 100 kept silent")
    for s in silent:
        s.close()
    assert ask("GET", "/healthz")[0].status == 200


def served():
    """The certificate that a visitor gets now."""
    anything = ssl.create_default_context()
    anything.check_hostname, anything.verify_mode = False, ssl.CERT_NONE
    with anything.wrap_socket(socket.create_connection(("127.0.0.1", server.port), 10)) as s:
        return s.getpeercert(True)


def reload(word, count=1):
    before = server.log().count(word)
    server.signal(signal.SIGHUP)
    wait_for(word, 10, lambda: server.log().count(word) == before + count)


@test("a renewed certificate is taken at SIGHUP: who looks goes on looking, and no frame is lost")
def renewed():
    global context
    assert served() == first_certificate
    view, began = watch(), time.time()
    sequences, number = {tile: [] for tile in range(4)}, 0

    def look(seconds):
        nonlocal number
        for kind, tile, _, sequence, _, _ in view.media(seconds):
            if kind == 2:
                sequences[tile].append(sequence)
                number += 1

    look(2)
    second = new_certificate()
    reload("certificate read again")
    assert served() == second != first_certificate
    look(3)
    reload("read again: ")                                  # the same certificate: nothing to say of it
    assert server.log().count("certificate read again") == 1
    # What does not belong together, and half a file, change nothing.
    whole = (folder / "key.pem").read_bytes()
    (folder / "key.pem").write_bytes(subprocess.run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:prime256v1"],
                                                    check=True, capture_output=True).stdout)
    reload("certificate not changed: ")
    (folder / "key.pem").write_bytes(whole[:40])
    reload("certificate not changed: ")
    (folder / "key.pem").write_bytes(b"")
    reload("not reloaded: ")
    assert served() == second
    (folder / "key.pem").write_bytes(whole)
    look(1)
    view.close()
    assert all(len(s) > 60 and s == list(range(s[0], s[0] + len(s))) for s in sequences.values()), "the viewer missed frames"
    context = ssl.create_default_context(cafile=folder / "cert.pem")
    span = "&".join(f"{k}=" + format_time(t) for k, t in (("from", began), ("to", time.time() - 1)))
    for camera in json.loads(ask("GET", f"/api/v1/timeline?{span}")[1])["cameras"]:
        assert camera["gaps"] == [], camera
    note(f"{number} chunks of four tiles without a break, over a new certificate and three bad ones")


@test("a key that everybody may read, that is another's, or that is missing is one clear line")
def bad_files():
    other = new_folder("other")
    subprocess.run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-out",
                    other / "key.pem"], check=True, capture_output=True)
    os.chmod(other / "key.pem", 0o600)
    (other / "open.pem").write_bytes((folder / "key.pem").read_bytes())
    os.chmod(other / "open.pem", 0o644)
    for cert, key, word in ((folder / "cert.pem", other / "open.pem", "everybody may read it"),
                            (folder / "cert.pem", other / "key.pem", "belong together"),
                            (folder / "cert.pem", None, "belong together"),
                            (folder / "none.pem", folder / "key.pem", "none.pem")):
        lone = Server(folder=new_folder())
        lone.config.write_text(lone.config.read_text().replace(
            "language: id", f"language: id, tls_cert: {cert}" + (f", tls_key: {key}" if key else "")))
        done = subprocess.run([KENTONGAN, "serve", "-c", lone.config], capture_output=True, text=True, timeout=20 * SLOW)
        assert done.returncode == 1 and word in done.stderr, (word, done.stderr)
        assert "PRIVATE KEY" not in done.stderr
    assert "PRIVATE KEY" not in server.log()


@test("it stops as quickly as without TLS, with visitors connected")
def stops():
    visitors = [connect() for _ in range(5)]
    note(f"stopped in {server.stop_in_time():.2f} s")
    for s in visitors:
        s.close()


run()
