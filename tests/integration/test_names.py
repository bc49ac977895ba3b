#!/usr/bin/python3
"""Cameras that have names, and a name server that takes every question and answers none."""
import os
import socket
import subprocess
import threading
import time

from kt import SLOW, Cameras, Server, camera_list, in_time, new_folder, note, run, test, wait_for

ADDRESS = "127.0.0.153"
folder = new_folder("names")
(folder / "resolv.conf").write_text(f"nameserver {ADDRESS}\n")
# A mount namespace of the daemon's own, in which this is /etc/resolv.conf.
PREFIX = ["unshare", "-m", "sh", "-c", f"mount --bind {folder}/resolv.conf /etc/resolv.conf && exec \"$@\"", "sh"]
if os.geteuid() != 0 or subprocess.run([*PREFIX, "true"], capture_output=True).returncode != 0:
    print("1..0 # SKIP no mount namespace, or no port 53, for this user")
    raise SystemExit(77)


class BlackHole(threading.Thread):
    """Hears questions; `names` are those that were asked for."""

    def __init__(self):
        super().__init__(daemon=True)
        self.socket, self.names = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), set()
        self.socket.bind((ADDRESS, 53))
        self.start()

    def run(self):
        while True:
            question, at, labels = self.socket.recv(512), 12, []
            while question[at]:
                labels.append(question[at + 1:at + 1 + question[at]].decode())
                at += 1 + question[at]
            self.names.add(".".join(labels))


hole = BlackHole()
cameras = Cameras(1)
entries = camera_list(cameras, analysis="off")
names = [f"kamera-{n}.example" for n in range(3)]
entries += [{"id": f"named{n}", "main": f"rtsp://{name}/main", "sub": f"rtsp://{name}/sub", "analysis": "off",
             "snapshot": f"http://foto-{name}/still.jpg"} for n, name in enumerate(names)]
entries += [{"id": "library", "main": "rtsp://kamera-libav.example/main", "transport": "libav", "analysis": "off"},
            {"id": "known", "main": cameras.url(0, "main").replace("127.0.0.1", "localhost"), "transport": "libav", "analysis": "off"}]
server = Server(entries, prefix=PREFIX).start()


@test("a name server that hangs holds up no camera with an address, and is named")
def healthy():
    server.wait_recording(["cam01"], 10)
    in_time(time.time() - server.started < 10, f"cam01 records {time.time() - server.started:.1f} s after the start")
    wait_for("it asks for the cameras and for their stills", 10,
             lambda: hole.names >= {*names, *(f"foto-{name}" for name in names)})
    server.wait_recording(["known"], 15)
    for name in ("named0", "library"):
        wait_for("the state says why", 30, lambda name=name: "name server" in server.cameras()[name]["why"])
    server.wait_recording(["cam01"], 2)


@test("the recorder ends within 2 s while names are being looked up: cameras' and those that people type")
def ends():
    typed = [("/cameras/test", {"url": "rtsp://coba.example/main"}), ("/cameras/test", {"url": "http://coba-foto.example/still.jpg"}),
             ("/cameras", {"id": "baru", "name": "Baru", "main": "rtsp://baru.example/main"})]

    def ask(path, body):
        try:
            server.request("POST", path, body)
        except OSError:             # it ended meanwhile
            pass

    asking = [threading.Thread(target=ask, args=each, daemon=True) for each in typed]
    for thread in asking:
        thread.start()
    wait_for("it asks for what was typed", 10, lambda: hole.names >= {"coba.example", "coba-foto.example", "baru.example"})
    hole.names.discard("kamera-libav.example")
    wait_for("the library's camera is tried again", 70, lambda: "kamera-libav.example" in hole.names)
    for path, body in typed:
        thread = threading.Thread(target=ask, args=(path, body), daemon=True)
        thread.start()
        asking.append(thread)
    hole.names.discard("coba.example")
    wait_for("it asks again", 20, lambda: "coba.example" in hole.names)
    seconds = server.stop(60)
    note(f"{seconds:.2f} s; asked for {len(hole.names)} names")
    in_time(seconds < 2 * SLOW, f"it took {seconds:.2f} s")
    for thread in asking:
        thread.join(10)


run()
