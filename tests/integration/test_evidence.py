#!/usr/bin/python3
"""From an incident to a stranger's computer: hold, package, link, and checking what arrived with ordinary
programs alone. A time stamping service (openssl ts) is at work for the second package."""
import ctypes
import hashlib
import http.server
import json
import os
import re
import shutil
import subprocess
import threading
import time
import zipfile

from kt import KENTONGAN, Cameras, Server, camera_list, format_time, new_folder, note, run, test, tool, wait_for

CA_CONFIG = """
[req]
distinguished_name = dn
[dn]
[ca]
basicConstraints = critical,CA:true
[tsa]
extendedKeyUsage = critical,timeStamping
[tsa_config]
serial = {folder}/serial
signer_cert = {folder}/tsa.pem
signer_key = {folder}/tsa.key
certs = {folder}/ca.pem
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
accuracy = secs:1
"""


class Authority:
    """A time stamping service: openssl ts behind HTTP."""

    def __init__(self):
        self.folder, self.asked, self.way = new_folder("tsa"), 0, "right"
        (self.folder / "conf").write_text(CA_CONFIG.format(folder=self.folder))
        (self.folder / "serial").write_text("01\n")
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        self.openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "10", "-subj", "/CN=Test root",
                     "-config", "conf", "-extensions", "ca")
        self.openssl("req", "-new", *key, "-keyout", "tsa.key", "-out", "tsa.csr", "-subj", "/CN=Test time stamping",
                     "-config", "conf")
        self.openssl("x509", "-req", "-in", "tsa.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-out",
                     "tsa.pem", "-days", "10", "-extfile", "conf", "-extensions", "tsa")
        authority = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                reply = authority.reply(self.rfile.read(int(self.headers["Content-Length"])), self.headers)
                self.send_response(200)
                self.send_header("Content-Type", "application/timestamp-reply")
                self.send_header("Content-Length", str(len(reply)))
                self.end_headers()
                self.wfile.write(reply)

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/tsr"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def openssl(self, *arguments):
        subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True)

    def reply(self, query, headers):
        self.asked += 1
        assert headers["Content-Type"] == "application/timestamp-query"
        if self.way == "of other data":
            self.openssl("ts", "-query", "-digest", "00" * 32, "-sha256", "-cert", "-out", "query")
        else:
            (self.folder / "query").write_bytes(query)
        self.openssl("ts", "-reply", "-config", "conf", "-section", "tsa_config", "-queryfile", "query", "-out", "reply")
        reply = (self.folder / "reply").read_bytes()
        if self.way == "not signed":
            reply = reply[:-20] + bytes(20)
        return reply


authority = Authority()
cameras = Cameras(2)
server = Server(camera_list(cameras), ring="64 MiB")
server.config.write_text(server.config.read_text().replace(
    "cameras:", f"""  vault: {{ path: {server.folder}/vault, max_size: 1 GiB, timestamp_url: "{authority.url}",
           timestamp_ca: {authority.folder}/ca.pem }}
cameras:"""))
server.start()
server.wait_recording(["cam01", "cam02"], 15)
def clock_vouched():
    """Does the kernel hold the wall clock for synchronised? As in <sys/timex.h>: the result, or a flag, says not."""
    class Timex(ctypes.Structure):
        _fields_ = [("modes", ctypes.c_uint), *((name, ctypes.c_long) for name in ("offset", "freq", "maxerror", "esterror")),
                    ("status", ctypes.c_int), ("rest", ctypes.c_char * 512)]
    now = Timex()
    state = ctypes.CDLL(None).adjtimex(ctypes.byref(now))
    return 0 <= state < 5 and not now.status & 0x40


began = time.time()
vouched = clock_vouched()
elsewhere = new_folder("stranger")
made = {}


def post(path, body, status, **kwargs):
    answer = server.request("POST", path, body, **kwargs)
    assert answer.status == status, f"POST {path}: {answer.status} {answer.body[:400]!r}"
    return answer.json()


def export(incident):
    number = post("/exports", {"incident": incident, "agency": "Polsek Melati", "officer": "Bripka Sari",
                               "officer_id": "87654321", "letter": "B/12/XI/2026", "purpose": "penyelidikan"}, 202)["id"]
    wait_for("the package is made", 30,
             lambda: server.get(f"/exports/{number}").json()["state"] not in ("waiting", "running"))
    package = server.get(f"/exports/{number}").json()
    assert package["state"] == "done", package
    return package


def commands(folder):
    """What BACA-SAYA.txt tells a stranger to type."""
    return re.findall(r"^    \$ (.*)$", (folder / "BACA-SAYA.txt").read_text(), re.M)


def paper(folder):
    """The numbers that stand on the printed page."""
    text = (folder / "BERITA-ACARA.html").read_text()
    return dict(zip(("MANIFEST", "KEY"), re.findall(r"<code>([0-9a-f]{64})</code>", text)))


def by_hand(folder, numbers, path="/usr/bin:/bin"):
    """Exit status of each command, run with nothing but the system's programs."""
    env = {"PATH": path, "HOME": str(folder), **numbers}
    return [subprocess.run(["sh", "-ec", c], cwd=folder, env=env, capture_output=True).returncode for c in commands(folder)]


def verify(*arguments):
    """Exit status and words of `kentongan verify`."""
    done = subprocess.run([KENTONGAN, "verify", *map(str, arguments)], capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def unpack(data, name):
    folder = elsewhere / name
    folder.mkdir()
    (folder / "package.zip").write_bytes(data)
    with zipfile.ZipFile(folder / "package.zip") as z:
        z.extractall(folder)
    (inside,) = [p for p in folder.iterdir() if p.is_dir()]
    return inside


@test("an incident is held, packed and handed over by a link with a PIN; it checks with ordinary programs")
def story():
    while time.time() < began + 8:
        time.sleep(0.2)
    incident = post("/incidents", {"title": "Motor hilang", "from": format_time(began + 1), "to": format_time(began + 5),
                                   "cameras": ["cam01", "cam02"], "notes": "Honda Beat hitam"}, 201)["id"]
    made["incident"] = incident
    post(f"/incidents/{incident}/holds", {"stream": "main"}, 202)
    wait_for("both holds are done", 30, lambda: [h["state"] for h in server.get(f"/incidents/{incident}").json()["holds"]]
             == ["done", "done"])
    package = made["package"] = export(incident)
    share = post(f"/exports/{package['id']}/shares", {"pin": "480215", "max_downloads": 2, "days": 1}, 201)
    link = share["path"]
    page = server.request("GET", "/" + link, cookie=False)
    assert page.status == 200 and b"<form" in page.body and b"Motor hilang" not in page.body, page.body[:300]
    form = {"Content-Type": "application/x-www-form-urlencoded"}

    def typed(pin):
        answer = server.request("POST", "/" + link, f"pin={pin}", headers=form, cookie=False)
        assert answer.status == 303 and answer.headers["Location"] == link, answer.status
        return {"Cookie": answer.headers["Set-Cookie"].split(";")[0]}

    wrong = server.request("GET", "/" + link, headers=typed("000000"), cookie=False)
    assert wrong.status == 403 and b"package.zip" not in wrong.body, (wrong.status, wrong.body[:200])
    for headers in ({}, typed("480216")):
        refused = server.request("GET", "/" + link + "/package.zip", headers=headers, cookie=False)
        assert refused.status == 403 and not refused.body.startswith(b"PK"), refused.status
    page = server.request("GET", "/" + link, headers=typed("480215"), cookie=False)
    assert page.status == 200 and b"package.zip" in page.body, page.body[:300]
    zipped = server.request("GET", "/" + link + "/package.zip", headers=typed("480215"), cookie=False)
    assert zipped.status == 200 and len(zipped.body) == package["size"], (zipped.status, zipped.body[:200])
    folder = made["folder"] = unpack(zipped.body, "first")
    made["zip"] = zipped.body
    numbers = made["paper"] = paper(folder)
    assert numbers["MANIFEST"] == package["manifest_sha256"]
    statuses = by_hand(folder, numbers)
    assert statuses == [0] * len(statuses) and len(statuses) >= 9, statuses
    log = server.get(f"/shares/{share['id']}/log").json()["items"]
    assert {"seen", "wrong-pin", "download"} <= {u["what"] for u in log}, log


@test("the manifest says who, why, when, in which state of the clock, and which records of the ring")
def manifest():
    m = json.loads((made["folder"] / "manifest.json").read_text())
    assert m["request"]["officer"] == "Bripka Sari" and m["request"]["letter"] == "B/12/XI/2026"
    assert m["exported"]["by"] == "admin"
    assert len(m["cameras"]) == 2
    if clock_vouched() == vouched:      # a time server may have come or gone meanwhile
        note(f"this machine's clock is {'' if vouched else 'not '}synchronised")
        assert m["exported"]["clock"]["synchronised"] is vouched, m["exported"]
        told = server.get("/system").json()
        assert told["clock"]["synchronised"] is told["clock_synchronised"] is vouched, told["clock"]
        for clip in (clip for camera in m["cameras"] for clip in camera["clips"]):
            assert clip["ring_records_with_unsynchronised_clock"] == (0 if vouched else clip["ring_records"]), clip
    for camera in m["cameras"]:
        for clip in camera["clips"]:
            assert clip["recorded"]["from"].endswith("Z") and clip["recorded"]["from_local"].endswith("+07:00")
            assert clip["chain"]["ring"] and clip["chain"]["head_hash"] and clip["chain"]["signed"], clip
            assert clip["ring_records"] >= 4 and clip["mime"].startswith("video/mp4; codecs=")
            hashed = tool("ffmpeg", "-v", "error", "-i", made["folder"] / clip["file"], "-map", "0:v", "-c", "copy", "-f",
                          "streamhash", "-hash", "sha256", "-")[0].decode().strip()
            assert hashed.endswith(clip["stream_hash"]), (hashed, clip["stream_hash"])


@test("the time stamp of a service is checked by the program and by openssl, also against one's own copy")
def stamped():
    folder, numbers = made["folder"], made["paper"]
    assert (folder / "SHA256SUMS.tsr").exists() and authority.asked == 1
    paper = ["--key", numbers["KEY"], "--manifest", numbers["MANIFEST"]]
    status, said = verify(*paper, "--tsa-ca", authority.folder / "ca.pem", folder)
    assert status == 0 and "Test time stamping vouches" in said and "OK: the package is as it was exported" in said, said
    note("kentongan verify: " + next(line for line in said.splitlines() if "vouches" in line).strip())
    other = Authority()
    status, said = verify(*paper, "--tsa-ca", other.folder / "ca.pem", folder)
    assert status == 1 and "time stamp is not right" in said, said
    copy = elsewhere / "stamp" / folder.name
    shutil.copytree(folder, copy)
    with open(copy / "SHA256SUMS.tsr", "r+b") as f:
        f.seek(-8, os.SEEK_END)
        f.write(bytes(8))
    assert verify(*paper, copy)[0] == 1
    assert by_hand(copy, numbers)[-1] != 0


@test("a time stamp of something else, or not signed, is not taken; the package says that it has none")
def false_stamps():
    for way, word in (("of other data", "imprint"), ("not signed", "")):
        authority.way = way
        package = export(made["incident"])
        assert "without a time stamp" in package["why"] and word in package["why"], package["why"]
    authority.way = "right"


@test("without an answer of the service a package is made all the same, and says so")
def no_service():
    authority.server.shutdown()
    authority.server.server_close()
    package = export(made["incident"])
    assert "without a time stamp" in package["why"], package
    body = server.get(f"/exports/{package['id']}/package.zip").body
    folder = unpack(body, "unstamped")
    assert not (folder / "SHA256SUMS.tsr").exists()
    statuses = by_hand(folder, paper(folder))
    assert statuses == [0] * len(statuses), statuses
    status, said = verify(folder)
    assert status == 0 and "without a time stamp: http://127.0.0.1" in said, said
    m = json.loads((folder / "manifest.json").read_text())
    before = json.loads((made["folder"] / "manifest.json").read_text())
    assert m["serial"] == before["serial"] + 3 and m["previous_manifest"], (m["serial"], before["serial"])


@test("it checks on a machine that has nothing but a shell, coreutils, findutils, grep and openssl")
def bare():
    tools = elsewhere / "bin"
    tools.mkdir()
    for name in ("sh", "grep", "basename", "sha256sum", "test", "find", "wc", "openssl", "env"):
        (tools / name).symlink_to(shutil.which(name))
    statuses = by_hand(made["folder"], made["paper"], path=str(tools))
    assert statuses == [0] * len(statuses), list(zip(statuses, commands(made["folder"])))


@test("a kill in the middle of a hold leaves nothing half done: after the next start it is whole")
def killed():
    incident = post("/incidents", {"title": "Kedua", "from": format_time(began + 1), "to": format_time(began + 6),
                                   "cameras": ["cam01", "cam02"]}, 201)["id"]
    post(f"/incidents/{incident}/holds", {}, 202)
    server.kill()
    server.start()
    wait_for("the holds are done after the restart", 30, lambda: [
        h["state"] for h in server.get(f"/incidents/{incident}").json()["holds"]] == ["done", "done"])
    vault = server.folder / "vault"
    assert not list(vault.glob("*.part*")), list(vault.iterdir())
    package = export(incident)
    folder = unpack(server.get(f"/exports/{package['id']}/package.zip").body, "after-kill")
    statuses = by_hand(folder, paper(folder))
    assert statuses == [0] * len(statuses), statuses
    assert verify(folder)[0] == 0


def grey(path, at):
    """One picture of PATH as rows of luma, 320 wide."""
    data = tool("ffmpeg", "-v", "error", "-ss", str(at), "-i", path, "-frames:v", "1", "-vf", "scale=320:180", "-f", "rawvideo",
                "-pix_fmt", "gray", "-")[0]
    return [data[i * 320:(i + 1) * 320] for i in range(180)]


@test("copies for looking at have the time in the picture and parts masked; they are called copies and no evidence")
def copies():
    mask = {"camera": "cam01", "x": 0.5, "y": 0.25, "w": 0.5, "h": 0.5}
    for wrong in ({**mask, "w": 0.6}, {**mask, "x": -0.1}, {**mask, "more": 1}, "all", {"camera": "cam01"}):
        post("/exports", {"incident": made["incident"], "kind": "copy", "masks": [wrong]}, 400)
    post("/exports", {"incident": made["incident"], "kind": "package", "masks": [mask]}, 400)
    for wrong in ("cam01", [], [1], {"cam01": 1}):
        post("/exports", {"incident": made["incident"], "kind": "copy", "cameras": wrong}, 400)
    post("/exports", {"incident": made["incident"], "cameras": ["cam01"]}, 400)
    nothing = post("/exports", {"incident": made["incident"], "kind": "copy", "cameras": ["cam99"]}, 202)["id"]
    wait_for("it is refused", 20, lambda: server.get(f"/exports/{nothing}").json()["state"] == "failed")
    number = post("/exports", {"incident": made["incident"], "kind": "copy", "masks": [mask]}, 202)["id"]
    began = time.monotonic()
    wait_for("the copies are made", 120, lambda: server.get(f"/exports/{number}").json()["state"] not in ("waiting", "running"))
    done = server.get(f"/exports/{number}").json()
    assert done["state"] == "done" and done["name"].startswith("SALINAN-DISAMARKAN-"), done
    note(f"two copies of 5 s in 1080p took {time.monotonic() - began:.1f} s")
    folder = unpack(server.get(f"/exports/{number}/package.zip").body, "copies")
    assert all(p.name.startswith("SALINAN") or p.name == "BACA-SAYA.txt" for p in folder.iterdir()), list(folder.iterdir())
    about = json.loads((folder / "SALINAN.json").read_text())
    originals = {clip["sha256"]: clip for camera in json.loads((made["folder"] / "manifest.json").read_text())["cameras"]
                 for clip in camera["clips"]}
    for copy in about["copies"]:
        original = originals[copy["made_of"]["sha256"]]
        path = folder / copy["file"]
        assert hashlib.sha256(path.read_bytes()).hexdigest() == copy["sha256"] != copy["made_of"]["sha256"]
        seconds = [float(tool("ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", p)[0])
                   for p in (path, made["folder"] / original["file"])]
        assert abs(seconds[0] - seconds[1]) < 0.2, seconds
        picture, source = grey(path, 1), grey(made["folder"] / original["file"], 1)
        covered = max(max(row[164:316]) for row in picture[49:131])
        assert (covered < 24) == (copy["camera"] == "cam01"), (copy["camera"], covered)
        assert max(picture[3][:120]) > 150 and min(picture[3][:120]) < 40, "no time in the picture"
        middle = [abs(a - b) for row, other in zip(picture[60:120], source[60:120]) for a, b in zip(row[:150], other[:150])]
        assert sum(middle) / len(middle) < 8, "the rest of the picture is another"
    assert verify(folder)[0] == 1
    clip = next(made["folder"].glob("clip-cam02-*.mp4"))
    out = elsewhere / "SALINAN-cam02.mp4"
    tool(KENTONGAN, "copy", "--mask", "0,0,1,1", clip, out)
    assert max(max(row[170:316]) for row in grey(out, 1)[40:140]) < 24
    assert subprocess.run([KENTONGAN, "copy", clip, elsewhere / "clip.mp4"], capture_output=True).returncode == 2
    assert server.request("DELETE", f"/exports/{number}").status == 204
    assert not list((server.folder / "vault").glob("SALINAN*"))


@test("a withdrawn link is an address that does not exist any more; a used-up one says so")
def withdrawn():
    share = post(f"/exports/{made['package']['id']}/shares", {"max_downloads": 1, "days": 1}, 201)
    link = share["path"]
    first = server.request("GET", "/" + link + "/package.zip", cookie=False)
    assert first.status == 200 and first.body == made["zip"]
    second = server.request("GET", "/" + link + "/package.zip", cookie=False)
    assert second.status in (403, 410), second.status
    assert server.request("DELETE", f"/shares/{share['id']}").status == 204
    assert server.request("GET", "/" + link, cookie=False).status in (404, 410)


run()
