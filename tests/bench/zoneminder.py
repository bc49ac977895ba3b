"""ZoneMinder as a peer, from Debian's packages, which are unpacked into the build folder and not installed.

Its capture daemons and a database of their own run as zoneminder.sh says; there is no web server and none of
its watchdogs, which cost extra. It cannot record one stream and look at another, so it gets a monitor for
each, as its users do: the main stream recorded and not decoded, the sub-stream in `Modect`.
"""
import os
import pathlib
import re
import shutil
import signal
import subprocess

import measure
from programs import BUILD, Failed, Program

HERE = pathlib.Path(__file__).resolve().parent
HOME = BUILD / "bench" / "zoneminder"
PACKAGES = ("zoneminder", "mariadb-server-core", "mariadb-client-core",
            "libmariadb3", "libpcre3", "libjwt-gnutls0", "libaio1", "liburing2", "libnuma1")
CREATE = "usr/share/zoneminder/db/zm_create.sql"
VERSION_IN = re.compile(r"'ZM_DYN_CURR_VERSION', Value = '([0-9.]+)'")
INSIDE = "/mnt"             # where zoneminder.sh shows the case's folder: names in its database are short
SUB_IDS = 1000              # monitor of the sub-stream of camera i: SUB_IDS + i


def unpack():
    """Fetch and unpack what is not there yet."""
    part = HOME.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    got = subprocess.run(["apt-get", "-q", "download", *PACKAGES], cwd=part, capture_output=True, text=True)
    if got.returncode:
        raise Failed("its packages cannot be fetched: " + (got.stderr.strip().splitlines() or ["?"])[-1])
    for package in part.glob("*.deb"):
        subprocess.run(["dpkg", "-x", str(package), str(part)], check=True)
        package.unlink()
    part.rename(HOME)


def monitor(i, url, function, size, decode):
    """SQL that adds a monitor. What is not named here has ZoneMinder's default."""
    width, height = size
    area = width * height
    corners = f"0,0 {width - 1},0 {width - 1},{height - 1} 0,{height - 1}"
    # The zone is the one of its own web page but for sizes: people are smaller than three per cent of this scene.
    return (f"INSERT INTO Monitors SET Id={i}, Name='m{i}', StorageId=1, Type='Ffmpeg', Function='{function}', "
            f"DecodingEnabled={decode}, Method='rtpRtsp', Path='{url}', Width={width}, Height={height}, Colours=4, "
            f"SaveJPEGs=0, VideoWriter=2;\n"
            f"INSERT INTO Zones SET MonitorId={i}, Name='All', Type='Active', Units='Percent', NumCoords=4, "
            f"Coords='{corners}', Area={area}, AlarmRGB=0xff0000, CheckMethod='Blobs', MinPixelThreshold=25, "
            f"MinAlarmPixels={area // 300}, MaxAlarmPixels={area * 3 // 4}, FilterX=3, FilterY=3, "
            f"MinFilterPixels={area // 300}, MaxFilterPixels={area * 3 // 4}, MinBlobPixels={area // 500}, MinBlobs=1;\n")


class ZoneMinder(Program):
    """Records the main streams."""
    main = ("Record", 0)        # function, decode?
    sub = None

    @classmethod
    def missing(cls):
        if HOME.is_dir():
            return None
        if os.environ.get("KT_NO_INSTALL"):
            return "ZoneMinder is not unpacked, and KT_NO_INSTALL is set"
        return None if shutil.which("apt-get") and shutil.which("dpkg") else "ZoneMinder comes from Debian packages"

    @classmethod
    def version(cls):
        return "zoneminder " + VERSION_IN.search((HOME / CREATE).read_text()).group(1) if HOME.is_dir() else "zoneminder"

    def start(self):
        if not HOME.is_dir():
            unpack()
        ids, sql = [], f"DELETE FROM Storage; INSERT INTO Storage SET Id=1, Name='Default', Path='{INSIDE}/events';\n"
        for i in range(1, self.cameras + 1):
            sql += monitor(i, f"{self.base}/cam{i:02d}/main", self.main[0], (1920, 1080), self.main[1])
            ids.append(i)
            if self.sub:
                sql += monitor(SUB_IDS + i, f"{self.base}/cam{i:02d}/sub", self.sub, (640, 360), 1)
                ids.append(SUB_IDS + i)
        (self.folder / "monitors.sql").write_text(sql)
        (self.folder / "events").mkdir()
        conf = self.folder / "etc/zm/conf.d/99-bench.conf"
        conf.parent.mkdir(parents=True)
        conf.write_text(f"ZM_DB_HOST=localhost:{INSIDE}/db.sock\nZM_DIR_EVENTS={INSIDE}/events\n"
                        f"ZM_PATH_SOCKS={INSIDE}\nZM_PATH_LOGS={INSIDE}\nZM_PATH_SWAP={INSIDE}\n")
        apart = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        as_root = ["--map-root-user"] if os.geteuid() else []
        self.spawn([*apart, *as_root, str(HERE / "zoneminder.sh"), str(HOME), str(self.folder), " ".join(map(str, ids))])

    def writing(self):
        """Ids of the monitors that have written a video."""
        return {int(path.parts[len(self.folder.parts) + 1]) for path in self.folder.glob("events/**/*.mp4")}

    def all_record(self):
        return sum(i <= SUB_IDS for i in self.writing()) == self.cameras

    def ready(self):
        self.wait(60, "its database does not start", (self.folder / "started").exists)
        self.wait(60, "not all monitors record", self.all_record)

    def after(self, span_s):
        """Does each monitor's process live still? The windows would not count what it had cost."""
        living = sum(pathlib.Path(f"/proc/{p}/comm").read_text() == "zmc\n" for p in self.pids())
        if living != self.cameras * (2 if self.sub else 1):
            raise Failed(f"only {living} of its capture daemons are left")
        return {"saw_motion": sum(i > SUB_IDS for i in self.writing())} if self.sub else {}

    def stop(self):
        """unshare itself is deaf to signals; its child is the script, and all others end with it."""
        for c in self.children:
            for pid in measure.tree(c.pid)[1:2]:
                os.kill(pid, signal.SIGTERM)
        super().stop()


class ZoneMinderSub(ZoneMinder):
    sub = "Modect"


class ZoneMinderMain(ZoneMinder):
    """Records and looks at the main streams."""
    main = ("Mocord", 1)
