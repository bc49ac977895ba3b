#!/usr/bin/python3
"""RTSP servers that nobody here wrote: VLC's and rtsp-server-perl's. Both speak UDP only."""
import os
import shutil
import time

from kt import (DEMO, Server, SLOW, Skip, check_consecutive, free_port, new_folder, note, run, start, test, ticks,
                wait_for)

SCENE = "1-gerbang-sub.mp4"
folder = new_folder("foreign")
log = folder / "log"


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


def perl():
    """rtsp-server-perl hands on what somebody announces to it: here, ffmpeg."""
    if not shutil.which("rtsp-server-perl"):
        raise Skip("rtsp-server-perl is not installed")
    source, client = free_port(), free_port()
    start(["rtsp-server-perl", "--serverport", source, "--clientport", client, "--client_listen_address", "127.0.0.1",
           "--source_listen_address", "127.0.0.1", "--rtp_start_port", 20000 + free_port() % 10000 // 4 * 4], log)
    time.sleep(2 * SLOW)
    start(["ffmpeg", "-nostdin", "-v", "error", "-re", "-stream_loop", "-1", "-i", DEMO / SCENE, "-c", "copy", "-f",
           "rtsp", "-rtsp_transport", "udp", f"rtsp://127.0.0.1:{source}/cam"], log)
    time.sleep(2 * SLOW)
    return f"rtsp://127.0.0.1:{client}/cam"


def record(url):
    server = Server([{"id": "cam", "main": url, "transport": "udp", "analysis": "off"}]).start()
    server.wait_recording(["cam"], 12)
    began = time.time()
    note(f"recording {began - server.started:.1f} s after the start")
    time.sleep(14)
    numbers = ticks(server.clip("cam", began + 2, began + 10), "sub")
    server.stop()
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


run()
