#!/usr/bin/python3
"""Cameras are changed in the file and in the browser while others record: those lose no frame."""
import signal
import time

from kt import SLOW, Cameras, Server, camera_list, check_consecutive, new_folder, note, packets, run, test, ticks, wait_for

cameras = Cameras(8)
entries = camera_list(cameras, analysis="off")
# In the file: cam01 and cam02 stay, cam03 is renamed, cam04 goes, cam05 comes.
server = Server(entries[:4]).start()

def ids():
    return set(server.cameras())


@test("SIGHUP changes the cameras that the file changes")
def file_changes():
    server.wait_recording(["cam01", "cam02", "cam03", "cam04"], 10)
    time.sleep(2)
    server.begin = time.time()
    for turn in range(3):
        time.sleep(2)
        renamed = {**entries[2], "name": f"Nama {turn}"}
        server.config.write_text(server.yaml([*entries[:2], renamed, entries[4]] if turn % 2 == 0 else
                                             [*entries[:2], renamed, entries[3]], "256 MiB", "64 MiB"))
        server.signal(signal.SIGHUP)
        wait_for("the file is applied", 5, lambda: server.cameras()["cam03"]["name"] == f"Nama {turn}")
    assert ids() >= {"cam01", "cam02", "cam03", "cam05"} and "cam04" not in ids(), ids()
    server.wait_recording(["cam03", "cam05"], 10)


@test("a file that makes no sense changes nothing")
def bad_file():
    good = server.config.read_text()
    server.config.write_text(good.replace("cameras:", "kameras:"))
    server.signal(signal.SIGHUP)
    wait_for("it is said", 5, lambda: "kameras" in server.log())
    server.config.write_text(good)
    assert ids() >= {"cam01", "cam02", "cam03", "cam05"}, ids()


@test("rules of the file that cannot be read cost the rules, not the recording")
def unreadable_rules():
    rules = new_folder() / "rules.json"
    rules.write_text('{"version": 1, "zones": [{"name": ""}]}')
    good = server.config.read_text()
    server.config.write_text(server.yaml([*entries[:2], {**entries[2], "rules_file": str(rules)}, entries[4]], "256 MiB", "64 MiB"))
    server.signal(signal.SIGHUP)
    wait_for("it is said", 5, lambda: "watched without its rules" in server.log())
    server.wait_recording(["cam03"], 10)
    server.config.write_text(good)
    server.signal(signal.SIGHUP)
    wait_for("the file is applied", 5, lambda: server.cameras()["cam03"]["name"].startswith("Nama"))


@test("the browser adds, changes, switches off and removes")
def browser_changes():
    # The simulator is on this machine, which the browser may not name: a camera that is not there does as well.
    for turn in range(4):
        name = f"baru-{turn}"
        assert server.request("POST", "/cameras", {"id": name, "name": name, "main": "rtsp://192.0.2.1/x"}).status == 201
        assert server.request("PATCH", f"/cameras/{name}", {"enabled": False}).json()["state"] == "disabled"
        assert server.request("PATCH", f"/cameras/{name}", {"enabled": True, "name": "Lain"}).json()["name"] == "Lain"
        assert server.request("DELETE", f"/cameras/{name}").status == 204
        time.sleep(1)
    assert not any(i.startswith("baru") for i in ids())


@test("rules that make no sense are refused in words, and the camera keeps those it has")
def bad_rules():
    good = {"version": 1, "zones": [{"name": "gerbang"}]}
    assert server.request("POST", "/cameras", {"id": "aturan", "name": "Aturan", "main": "rtsp://192.0.2.1/x", "rules": good}).status == 201
    for bad, word in (({"version": 1, "zones": [{"name": ""}]}, "name"), ({"version": 1, "zones": [{"name": "a", "hours": ["22-5"]}]}, "hours"),
                      ({"version": 9}, "version")):
        answer = server.request("PATCH", "/cameras/aturan", {"rules": bad})
        assert answer.status == 400 and word in answer.json()["detail"], answer.body
        assert server.cameras()["aturan"]["rules"] == good
    assert server.request("PATCH", "/cameras/aturan", {"name": "Lain"}).status == 200, "one refusal is the end of all changes"
    assert server.request("DELETE", "/cameras/aturan").status == 204


@test("the cameras that nobody touched lost no frame in all that")
def untouched():
    begin, end = server.begin, time.time() - 2
    for camera in ("cam01", "cam02"):
        line = server.timeline(camera, begin, end)
        assert len(line["spans"]) == 1 and not line["gaps"], line
        for stream, fps in (("main", 15), ("sub", 10)):
            rows = packets(server.clip(camera, begin, end, stream))
            steps = [b[0] - a[0] for a, b in zip(rows, rows[1:])]
            assert len(rows) >= (end - begin) * fps - 1 and max(steps) < 1.5 / fps, \
                f"{camera} {stream}: {len(rows)} frames in {end - begin:.1f} s, the longest step {max(steps):.3f} s"
            note(f"{camera} {stream}: {len(rows)} frames in {end - begin:.1f} s, the longest step {max(steps):.3f} s")
        check_consecutive(ticks(server.clip(camera, begin, end, "sub"), "sub"), "sub")
        assert server.cameras()[camera]["reconnects"] == 0
    assert SLOW > 1 or "disk-stall" not in server.log()


@test("it ends within 2 s")
def ends():
    server.stop_in_time()


run()
