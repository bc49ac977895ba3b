#!/usr/bin/python3
"""Cameras that have names, and a name server that takes every question and answers none."""
import os
import socket
import subprocess
import threading
import time

from kt import SLOW, Cameras, Server, camera_list, new_folder, note, run, test, wait_for

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
server = Server(entries, prefix=PREFIX).start()


@test("a name server that hangs holds up no camera with an address, and is named")
def healthy():
    server.wait_recording(["cam01"], 10)
    wait_for("it asks for the cameras and for their stills", 10,
             lambda: hole.names >= {*names, *(f"foto-{name}" for name in names)})
    wait_for("the state says why", 25, lambda: "name server" in server.cameras()["named0"]["why"])
    server.wait_recording(["cam01"], 2)


@test("the recorder ends within 2 s while names are being looked up")
def ends():
    time.sleep(1)               # the next attempts are under way
    seconds = server.stop(60)
    note(f"{seconds:.2f} s; asked for {len(hole.names)} names")
    assert seconds < 2 * SLOW, f"{seconds:.2f} s"


run()
