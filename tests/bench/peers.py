"""The peers that are installed, or built beside us, and just run. See zoneminder.py for the one that is not."""
import hashlib

from programs import BUILD, ROOT, Program, first_line


class Ffmpeg(Program):
    """ffmpeg -c copy, one process for each camera."""
    needs = "ffmpeg"

    def start(self):
        for i in range(1, self.cameras + 1):
            self.spawn(["ffmpeg", "-v", "error", "-rtsp_transport", "tcp", "-i",
                        f"{self.base}/cam{i:02d}/main", "-c", "copy", "-f", "segment",
                        "-segment_time", "60", str(self.folder / f"cam{i:02d}-%03d.mp4")])


class Plain(Program):
    """plain.c: libavformat and libavcodec, a thread for each stream."""
    mode = "record"

    @classmethod
    def version(cls):
        return "plain.c " + hashlib.sha256((ROOT / "tests/bench/plain.c").read_bytes()).hexdigest()[:12]

    def start(self):
        self.spawn([str(BUILD / "tests/bench/plain"), str(self.folder), self.mode, self.base,
                    str(self.cameras)])


class PlainSub(Plain):
    mode = "sub"


class PlainMain(Plain):
    mode = "main"


class MotionSub(Program):
    """Motion: analyses the sub-stream, passes the main stream through on events."""
    needs, end_s = "motion", 5
    stream = ("sub", 640, 360, 10)
    high = "netcam_high_url {base}/cam{i:02d}/main\n"

    @classmethod
    def version(cls):
        return first_line("motion", "-h")

    def start(self):
        kind, width, height, rate = self.stream
        conf = ["daemon off", "setup_mode off", "webcontrol_port 0", "stream_port 0", "picture_output off",
                "movie_output on", "movie_passthrough on", "log_level 4"]
        for i in range(1, self.cameras + 1):
            path = self.folder / f"camera{i}.conf"
            path.write_text(f"camera_id {i}\nnetcam_url {self.base}/cam{i:02d}/{kind}\n"
                            + self.high.format(base=self.base, i=i) +
                            f"width {width}\nheight {height}\nframerate {rate}\ntarget_dir {self.folder}\n")
            conf.append(f"camera {path}")
        (self.folder / "motion.conf").write_text("\n".join(conf) + "\n")
        self.spawn(["motion", "-n", "-c", str(self.folder / "motion.conf")])


class MotionMain(MotionSub):
    stream, high = ("main", 1920, 1080, 15), ""
