#!/usr/bin/python3
"""The bench scene: real people over a static background about 15 % of the time.

Debian's opencv-doc ships vtest.avi, 79 s of pedestrians seen by a surveillance camera.
Its temporal median is the empty scene. The loop shows the empty scene with sensor
noise, and two stretches of the real video. Rate-controlled H.264, as cameras send it.

usage: scene.py OUT_DIR     makes bench-main.mp4, bench-sub.mp4 and bench.json
"""
import hashlib
import json
import pathlib
import subprocess
import sys

import cv2
import numpy as np

SOURCE = "/usr/share/doc/opencv-doc/examples/data/vtest.avi"
LOOP_S, SOURCE_FPS = 100, 10
STRETCHES = ((30.0, 8.0), (70.0, 7.0))      # start in the loop, seconds of real video
NOISE_SIGMA = 2.0
STREAMS = {                                 # size, frames a second, bit rate, GOP
    "main": ((1920, 1080), 15, 2_000_000, 30),
    "sub": ((640, 360), 10, 300_000, 20),
}


def read_source():
    video = cv2.VideoCapture(SOURCE)
    frames = []
    while True:
        ok, frame = video.read()
        if not ok:
            break
        frames.append(frame[72:504, :])     # 768x432: 16:9
    if not frames:
        sys.exit(f"scene.py: cannot read {SOURCE}; install opencv-doc")
    return frames


def loop_frame(frames, empty, t):
    """The picture at T seconds of the loop, without noise."""
    at = 0.0
    for start, length in STRETCHES:
        if start <= t < start + length:
            index = int((at + t - start) * SOURCE_FPS)
            return frames[index % len(frames)]
        at += length
    return empty


def encode(frames, empty, out, size, fps, rate, gop):
    command = ["ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "yuv420p",
               "-s", f"{size[0]}x{size[1]}", "-r", str(fps), "-i", "-", "-c:v", "libx264",
               "-preset", "veryfast", "-profile:v", "high", "-bf", "0", "-g", str(gop),
               "-keyint_min", str(gop), "-sc_threshold", "0", "-b:v", str(rate),
               "-maxrate", str(rate * 6 // 5), "-bufsize", str(rate * 2), str(out)]
    encoder = subprocess.Popen(command, stdin=subprocess.PIPE)
    rng = np.random.default_rng(1)
    noise = [np.rint(rng.normal(0, NOISE_SIGMA, (size[1], size[0]))).astype(np.int16)
             for _ in range(8)]
    for n in range(LOOP_S * fps):
        picture = cv2.resize(loop_frame(frames, empty, n / fps), size)
        yuv = cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420)
        luma = yuv[:size[1]].astype(np.int16) + noise[rng.integers(len(noise))]
        yuv[:size[1]] = np.clip(luma, 0, 255)
        encoder.stdin.write(yuv.tobytes())
    encoder.stdin.close()
    if encoder.wait() != 0:
        sys.exit("scene.py: ffmpeg failed")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    out = pathlib.Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    frames = read_source()
    empty = np.median(np.stack(frames[::8]), axis=0).astype(np.uint8)
    for name, (size, fps, rate, gop) in STREAMS.items():
        encode(frames, empty, out / f"bench-{name}.mp4", size, fps, rate, gop)
    passes = [{"kind": "people", "enter": start, "leave": start + length}
              for start, length in STRETCHES]
    about = {"scene": "bench", "name": "BENCH", "loop_s": float(LOOP_S), "passes": passes,
             "made_by": hashlib.sha256(pathlib.Path(__file__).read_bytes()).hexdigest()[:12]}
    (out / "bench.json").write_text(json.dumps(about, indent=1))


if __name__ == "__main__":
    main()
