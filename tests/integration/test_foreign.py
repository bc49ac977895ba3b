#!/usr/bin/python3
"""RTSP servers that nobody here wrote: VLC's and rtsp-server-perl's, which speak UDP only, and GStreamer's with TLS."""
import contextlib
import functools
import os
import shutil
import socket
import time

from kt import (DEMO, Cameras, Server, Skip, check_consecutive, free_port, new_folder, note, run,
                start, test, ticks, tool, unless_busy, wait_for)

SCENE = "1-gerbang-sub.mp4"
folder = new_folder("foreign")
log = folder / "log"


@functools.cache
def vlc():
    """VLC, which will not run as root. It is not to fetch anything, so its home is an empty folder."""
    if not shutil.which("cvlc"):
        raise Skip("VLC is not installed")
    home = new_folder("vlc")
    shutil.copy(DEMO / SCENE, home / SCENE)
    as_nobody = []
    if os.geteuid() == 0:
        shutil.chown(home, "nobody")
        home.chmod(0o755)
        as_nobody = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
    port = free_port()
    start([*as_nobody, "env", f"HOME={home}", "cvlc", "-I", "dummy", "--no-dbus", "--loop", home / SCENE, "--sout",
           f"#rtp{{sdp=rtsp://:{port}/cam}}", "--rtsp-host", "127.0.0.1", "--sout-keep", "--no-sout-audio"], log)
    return f"rtsp://127.0.0.1:{port}/cam"


def listens(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def offers(port):
    """Somebody has announced a stream there."""
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as s:
            s.sendall(f"DESCRIBE rtsp://127.0.0.1:{port}/cam RTSP/1.0\r\nCSeq: 1\r\nAccept: application/sdp\r\n\r\n".encode())
            return b" 200 " in s.recv(64)
    except OSError:
        return False


@functools.cache                # two of them want the same ports, whatever they are told
def perl():
    """rtsp-server-perl hands on what somebody announces to it: here, ffmpeg."""
    if not shutil.which("rtsp-server-perl"):
        raise Skip("rtsp-server-perl is not installed")
    source, client = free_port(), free_port()
    start(["rtsp-server-perl", "--serverport", source, "--clientport", client, "--client_listen_address", "127.0.0.1",
           "--source_listen_address", "127.0.0.1", "--rtp_start_port", 20000 + free_port() % 10000 // 4 * 4], log)
    wait_for("it listens", 10, lambda: listens(source))
    start(["ffmpeg", "-nostdin", "-v", "error", "-re", "-stream_loop", "-1", "-i", DEMO / SCENE, "-c", "copy", "-f",
           "rtsp", "-rtsp_transport", "udp", f"rtsp://127.0.0.1:{source}/cam"], log)
    wait_for("the stream is announced", 10, lambda: offers(client))
    return f"rtsp://127.0.0.1:{client}/cam"


def record(url):
    server = Server([{"id": "cam", "main": url, "transport": "udp", "analysis": "off"}]).start()
    server.wait_recording(["cam"], 12)
    began = time.time()
    note(f"recording {began - server.started:.1f} s after the start")
    time.sleep(14)
    numbers = ticks(server.clip("cam", began + 2, began + 10), "sub")
    server.stop()
    with unless_busy():         # over UDP, what is not fetched in time is lost
        assert len(numbers) >= 75, f"{len(numbers)} frames of 80"
        check_consecutive(numbers, "sub")


@test("what VLC serves is recorded, every frame in order")
def from_vlc():
    record(vlc())


@test("what rtsp-server-perl hands on is recorded, every frame in order")
def from_perl():
    record(perl())


@test("both went on by themselves after the server was started again")
def both_again():
    servers = [vlc(), perl()]
    cameras = [{"id": f"cam{i}", "main": url, "transport": "udp", "analysis": "off"} for i, url in enumerate(servers)]
    for _ in range(2):
        server = Server(cameras).start()
        server.wait_recording(["cam0", "cam1"], 12)
        wait_for("a frame of each", 5, lambda: all(c.get("last_frame") for c in server.cameras().values()))
        server.stop()


def certificate(name):
    """Self-signed, as cameras have it; with its key in one file."""
    pem, key = folder / f"{name}.pem", folder / f"{name}.key"
    tool("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", pem, "-subj", f"/CN={name}")
    pem.write_text(key.read_text() + pem.read_text())
    return pem


@test("over TLS with a self-signed certificate every frame is recorded; another certificate is said and costs nothing")
def over_tls():
    try:
        cameras = Cameras(1, ["--auth", "ronda:malam9", "--tls", certificate("first")])
    except AssertionError as why:
        raise Skip(f"GLib has no TLS here: {why}") from why
    entry = {"id": "cam01", "transport": "tls", "analysis": "off",
             **{kind: cameras.url(0, kind, "ronda:malam9@") for kind in ("main", "sub")}}
    server = Server([entry]).start()
    server.wait_recording(["cam01"], 10)
    began = time.time()
    time.sleep(12)
    check_consecutive(ticks(server.clip("cam01", began + 1, began + 9, "sub"), "sub"), "sub")
    check_consecutive(ticks(server.clip("cam01", began + 1, began + 5)))
    assert "certificate" not in server.log()
    cameras.stop()
    again = Cameras(1, ["--auth", "ronda:malam9", "--tls", certificate("second")], port=cameras.port)
    wait_for("it records again", 20, lambda: server.cameras()["cam01"]["recording"])
    wait_for("main and sub say it", 20, lambda: server.log().count("another certificate than before") == 2)
    assert "malam9" not in server.log()
    server.stop()
    again.stop()


run()
