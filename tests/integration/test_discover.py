#!/usr/bin/python3
"""`kentongan discover` against ONVIF devices that are really there: logins, clocks, lies and nonsense."""
import json
import os
import subprocess
import sys
import time

from kt import KENTONGAN, in_time, note, run, test

DEVICE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "onvif_device", "onvif_device.py")
PASSWORD = 'r@h<a>s&ia "1"'
LOGIN = ["--user", "petugas", "--password", PASSWORD]


class Devices:
    """Simulated devices for the length of a with block."""

    def __init__(self, *options):
        self.options = options

    def __enter__(self):
        self.process = subprocess.Popen([sys.executable, DEVICE, *self.options], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        self.port = line.strip().split("=")[1]
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()


def discover(*options, password=None, stdin=None):
    """(exit status, items, everything that was printed)"""
    env = {k: v for k, v in os.environ.items() if k != "KENTONGAN_CAMERA_PASSWORD"}
    if password is not None:
        env["KENTONGAN_CAMERA_PASSWORD"] = password
    done = subprocess.run([KENTONGAN, "discover", *options], env=env, capture_output=True, text=True, timeout=60,
                          input=stdin)
    items = json.loads(done.stdout)["items"] if "--json" in options and done.returncode == 0 else None
    return done.returncode, items, done.stdout + done.stderr


def one(device, *options, address="127.0.0.1", **more):
    return discover("--range", f"{address}:{device.port}", "--json", *options, **more)[1][0]


@test("multicast finds them and names them")
def multicast_finds_them_and_names_them():
    with Devices("--count", "3", "--discovery"):
        status, items, _ = discover("--interface", "lo", "--wait", "2", "--json")
    assert status == 0
    assert [i["host"] for i in items] == ["127.0.0.1", "127.0.0.2", "127.0.0.3"], items
    assert items[1]["name"] == "Gerbang 2" and items[1]["state"] == "ready", items[1]


@test("an address range finds forty with one password")
def an_address_range_finds_forty_with_one_password():
    with Devices("--count", "40", "--address", "127.0.0.2", *LOGIN) as d:
        start = time.monotonic()
        status, items, _ = discover("--range", "127.0.0.0/26", "--ports", d.port, "--user", "petugas", "--json",
                                    password=PASSWORD)
        seconds = time.monotonic() - start
    assert status == 0 and len(items) == 40, len(items)
    assert all(i["state"] == "ready" for i in items), [i["why"] for i in items]
    assert items[39]["host"] == "127.0.0.41" and items[39]["serial"] == "00000040"
    assert items[0]["suggested"][0]["main"].endswith("/c0_main?user=x&a=1"), items[0]["suggested"]
    assert items[0]["suggested"][0]["sub"].endswith("/c0_sub?user=x&a=1")
    note(f"forty in {seconds:.1f} s")


@test("of a camera with two and three sub-streams the fitting one is suggested, the others are named")
def of_many_streams():
    for streams in (3, 4):
        with Devices("--streams", str(streams), *LOGIN) as d:
            item = one(d, "--user", "petugas", password=PASSWORD)
        assert [p["codec"] for p in item["profiles"]] == ["h264", "h264", "jpeg", "h264"][:streams], item["profiles"]
        chosen = item["suggested"][0]
        assert "/c0_main" in chosen["main"] and "/c0_sub" in chosen["sub"], chosen


@test("a token is made with the clock of the camera")
def a_token_is_made_with_the_clock_of_the_camera():
    with Devices(*LOGIN, "--clock=-31536000") as d:
        camera = one(d, "--user", "petugas", password=PASSWORD)
    assert camera["state"] == "ready", camera
    assert abs(camera["clock_offset_seconds"] + 31536000) < 2, camera["clock_offset_seconds"]


@test("http digest works where a camera wants it")
def http_digest_works_where_a_camera_wants_it():
    with Devices(*LOGIN, "--auth", "http") as d:
        assert one(d, "--user", "petugas", password=PASSWORD)["state"] == "ready"
        assert one(d, "--user", "petugas", password="wrong")["state"] == "wrong-password"


@test("a wrong or missing password is said")
def a_wrong_or_missing_password_is_said():
    with Devices(*LOGIN) as d:
        assert one(d, "--user", "petugas", password="wrong")["state"] == "wrong-password"
        assert one(d)["state"] == "password-needed"


@test("the password comes from environment file or input and is never printed")
def the_password_comes_from_environment_file_or_input_and_is_never_printed():
    with Devices(*LOGIN) as d:
        camera = one(d, "--user", "petugas", "--password-file", "-", stdin=PASSWORD + "\n")
        assert camera["state"] == "ready", camera
        for form in ("--json", "--yaml", None):
            options = ["--range", f"127.0.0.1:{d.port}", "--user", "petugas"] + ([form] if form else [])
            status, _, printed = discover(*options, password=PASSWORD)
            assert status == 0 and "r@h" not in printed and "r%40h" not in printed, printed


@test("media2 gives its h265 profile")
def media2_gives_its_h265_profile():
    with Devices("--media2") as d:
        camera = one(d)
    assert camera["profiles"][0]["codec"] == "h265" and camera["profiles"][0]["width"] == 3840, camera
    assert len(camera["profiles"]) == 1


@test("old devices are asked the old way")
def old_devices_are_asked_the_old_way():
    with Devices("--old", *LOGIN) as d:
        assert one(d, "--user", "petugas", password=PASSWORD)["state"] == "ready"


@test("a recorder gives one camera for each input")
def a_recorder_gives_one_camera_for_each_input():
    with Devices("--channels", "4") as d:
        camera = one(d)
        _, _, yaml = discover("--range", f"127.0.0.1:{d.port}", "--yaml")
    assert [s["source"] for s in camera["suggested"]] == ["source0", "source1", "source2", "source3"]
    assert yaml.count("  - id: kt-1-") == 4, yaml


@test("what it claims does not lead elsewhere")
def what_it_claims_does_not_lead_elsewhere():
    with Devices("--claims", "10.255.255.1", "--discovery", "--address", "127.0.0.9") as d:
        camera = one(d, address="127.0.0.9")
        found = discover("--interface", "lo", "--wait", "1.2", "--json")[1]
    assert camera["state"] == "ready", camera
    assert camera["profiles"][0]["stream"].startswith("rtsp://127.0.0.9:"), camera["profiles"][0]
    assert found[0]["host"] == "127.0.0.9" and found[0]["state"] == "ready", found


@test("nonsense is reported and hurts nobody")
def nonsense_is_reported_and_hurts_nobody():
    for mode in ("garbage", "dtd", "html", "huge", "no-stream"):
        with Devices("--bad", mode) as d:
            camera = one(d)
            assert camera["state"] == "failed" and camera["why"], (mode, camera)
            assert "hostname" not in json.dumps(camera)
    with Devices("--bad", "endless-profiles") as d:
        camera = one(d)
        assert camera["state"] == "ready" and len(camera["profiles"]) == 32


@test("a silent device is given up")
def a_silent_device_is_given_up():
    with Devices("--bad", "silent") as d:
        start = time.monotonic()
        assert one(d)["state"] == "failed"
        in_time(time.monotonic() - start < 12, f"it took {time.monotonic() - start:.1f} s")


@test("yaml lines are a configuration")
def yaml_lines_are_a_configuration():
    with Devices("--count", "2", *LOGIN) as d:
        _, _, yaml = discover("--range", f"127.0.0.1-2:{d.port}", "--user", "petugas", "--yaml", password=PASSWORD)
    assert "rtsp://petugas:${CAM_PASS}@127.0.0.2:" in yaml, yaml
    assert yaml.count("  - id: ") == 2 and yaml.count("    sub: ") == 2


@test("bad options are usage errors")
def bad_options_are_usage_errors():
    assert discover("--range", "10.0.0.0/8")[0] == 2
    assert discover("--nonsense")[0] == 2
    assert discover("--json", "--yaml")[0] == 2
    assert discover("--user", "x", "--password-file", "/nonexistent", "--range", "127.0.0.1")[0] == 1     # well said, but it is not there
    status, _, printed = discover("--help")
    assert status == 0 and "--range" in printed


run()
