#!/usr/bin/python3
"""Make video of what is not a visitor, and of visitors among it, with the truth.

usage: nuisance.py OUT_DIR [--seed N] [--only NAME,…]

Each scene NAME gives OUT_DIR/NAME.mp4 (nothing happens but the nuisance) and
OUT_DIR/NAME-visitor.mp4 (the same, and two people pass), each with a .json that lists
the passes in seconds. The same seed gives the same pictures. 640x360 at 10 pictures a
second, H.264 as cameras send it.
"""
import argparse
import json
import pathlib
import subprocess
import zlib

import cv2
import numpy as np

W, H, FPS, SECONDS = 640, 360, 10, 36
PASSES = ((10.0, 17.0), (24.0, 31.0))       # when a visitor is in the picture
RATE = 300_000


class Place:
    """A yard: wall with windows, fence, road, tree. Float BGR, 0 to 255."""

    def __init__(self, rng):
        img = np.zeros((H, W, 3), np.float32)
        img[:150] = (150, 140, 130)
        img[150:230] = (95, 125, 110)
        img[230:] = (105, 105, 108)
        for _ in range(14):                 # windows, doors, posters
            x, y = rng.integers(0, W - 60), rng.integers(5, 140)
            w, h = rng.integers(15, 60), rng.integers(12, 60)
            cv2.rectangle(img, (int(x), int(y)), (int(x + w), int(min(y + h, 149))),
                          tuple(float(v) for v in rng.integers(40, 220, 3)), -1)
        for x in range(0, W, 22):           # fence
            cv2.line(img, (x, 150), (x, 228), (70, 75, 80), 3)
        for scale, amount in ((4, 9), (16, 14), (64, 10)):      # texture
            noise = rng.normal(0, 1, (H // scale + 2, W // scale + 2)).astype(np.float32)
            img += cv2.resize(noise, (W, H), interpolation=cv2.INTER_CUBIC)[..., None] * amount
        self.base = np.clip(img, 0, 255)
        self.tree = self.make_tree(rng)

    @staticmethod
    def make_tree(rng):
        crown = np.zeros((H, W, 4), np.float32)
        for _ in range(420):
            r = abs(rng.normal(0, 42))
            a = rng.uniform(0, 2 * np.pi)
            x, y = int(520 + r * np.cos(a)), int(90 + 0.8 * r * np.sin(a))
            g = float(rng.uniform(40, 150))
            cv2.circle(crown, (x, y), int(rng.integers(2, 6)), (g * .5, g, g * .55, 1), -1)
        cv2.line(crown, (520, 120), (522, 240), (40, 50, 60, 1), 7)
        return crown


def visitor(img, t, rng_look):
    """Somebody who walks across: body, legs that swing, a soft outline."""
    for i, (start, end) in enumerate(PASSES):
        if not start <= t < end:
            continue
        u = (t - start) / (end - start)
        u = 1 - u if i % 2 else u
        x, y, s = -30 + u * (W + 60), 290 + 18 * i, 92 - 24 * i
        layer = np.zeros((H, W, 4), np.float32)
        coat, legs = rng_look[i]
        swing = 0.22 * s * np.sin(2 * np.pi * 1.8 * t)
        hip = (int(x), int(y - 0.48 * s))
        for side in (-1, 1):
            cv2.line(layer, hip, (int(x + side * swing), int(y)), legs + (1,), max(3, int(.11 * s)))
        cv2.ellipse(layer, (int(x), int(y - 0.62 * s)), (int(.15 * s), int(.24 * s)), 0, 0, 360,
                    coat + (1,), -1)
        cv2.circle(layer, (int(x), int(y - 0.93 * s)), int(.09 * s), (120, 150, 190, 1), -1)
        layer = cv2.GaussianBlur(layer, (3, 3), 0)
        a = layer[..., 3:]
        img = img * (1 - a) + layer[..., :3]
    return img


def soft_ellipse(cx, cy, rx, ry):
    yy, xx = np.mgrid[0:H, 0:W].astype(np.float32)
    return np.exp(-(((xx - cx) / rx) ** 2 + ((yy - cy) / ry) ** 2))


class Scene:
    """State of one nuisance over time; apply(img, t) changes the finished picture."""

    def __init__(self, name, rng):
        self.name, self.rng = name, rng
        self.shift = np.zeros(2)
        self.insects = []
        self.phase = rng.uniform(0, 6, 4)

    def place(self, place, t):
        img = place.base
        sway = (5.0 * np.sin(2.1 * t + self.phase[0]) + 3.0 * np.sin(5.3 * t + self.phase[1])) \
            if self.name == "tree" else 0.0
        yy, xx = np.mgrid[0:H, 0:W].astype(np.float32)
        bend = sway * np.clip((240 - yy) / 200, 0, 1)
        ripple = (1.8 * np.sin(xx / 9 + 7 * t) if self.name == "tree" else 0)
        tree = cv2.remap(place.tree, xx + bend.astype(np.float32),
                         (yy + ripple).astype(np.float32), cv2.INTER_LINEAR)
        a = np.clip(tree[..., 3:], 0, 1)
        return img * (1 - a) + tree[..., :3]

    def apply(self, img, t):
        return getattr(self, "do_" + self.name, lambda i, _: i)(img, t)

    def do_rain(self, img, _):
        layer = np.zeros((H, W), np.float32)
        for _ in range(170):
            x, y = int(self.rng.integers(0, W)), int(self.rng.integers(-20, H))
            n = int(self.rng.integers(8, 26))
            cv2.line(layer, (x, y), (x + n // 6, y + n), float(self.rng.uniform(12, 55)), 1)
        return img + layer[..., None]

    def do_jitter(self, img, t):
        gust = 1.0 + 1.6 * (np.sin(0.6 * t + self.phase[2]) > 0.3)
        self.shift = 0.4 * self.shift + self.rng.normal(0, gust, 2)
        m = np.float32([[1, 0, self.shift[0]], [0, 1, self.shift[1]]])
        return cv2.warpAffine(img, m, (W, H), borderMode=cv2.BORDER_REFLECT)

    def do_headlight(self, img, t):
        u = (t % 9.0) / 3.0
        dark = img * 0.38
        if u >= 1:
            return dark
        spot = soft_ellipse(-100 + u * (W + 200), 215 - 40 * u, 110, 65)
        return dark * (1 + 1.7 * spot[..., None]) + 14 * spot[..., None]

    def do_cloud(self, img, t):
        edge = (t % 18.0) / 6.0 * (W + 400) - 200
        xx = np.arange(W, dtype=np.float32)[None, :, None]
        shade = 1 - 0.42 / (1 + np.exp((xx - edge) / 55))
        if t % 18.0 > 9:
            shade = 1 - 0.42 + 0.42 * min(1.0, (t % 18.0 - 9) / 4)
        return img * shade

    def do_lamp(self, img, t):
        spot = soft_ellipse(180, 120, 170, 130)[..., None]
        return img * 0.5 * (1 + (0.9 * spot if int(t / 6) % 2 else 0))

    def do_irswitch(self, img, t):
        grey = cv2.cvtColor(np.clip(img, 0, 255).astype(np.uint8), cv2.COLOR_BGR2GRAY)
        night = np.clip(grey.astype(np.float32) * 0.8 + 20 + 50 * soft_ellipse(320, 230, 260, 150),
                        0, 255)[..., None].repeat(3, 2)
        cut = 20.0
        if t < cut:
            return img * (1 - 0.5 * t / cut)
        if t < cut + 0.4:
            return night * 0.2
        settle = 1 + 0.5 * np.exp(-(t - cut - 0.4) / 0.5)
        return night * settle

    def do_insects(self, img, _):
        if self.rng.uniform() < 0.12:
            side = self.rng.integers(0, 2)
            self.insects.append([float(-40 if side else W + 40), float(self.rng.uniform(30, H - 30)),
                                 float(self.rng.uniform(70, 190)) * (1 if side else -1),
                                 float(self.rng.normal(0, 30)), float(self.rng.uniform(10, 34))])
        layer = np.zeros((H, W), np.float32)
        for b in self.insects:
            b[0] += b[2]
            b[1] += b[3] + self.rng.normal(0, 18)
            layer = np.maximum(layer, 75 * soft_ellipse(b[0], b[1], b[4] * 1.8, b[4]))
        self.insects = [b for b in self.insects if -100 < b[0] < W + 100]
        return img * 0.5 + layer[..., None]

    def do_exposure(self, img, t):
        return img * (1.0, 0.78, 1.18, 0.9)[int(t / 5) % 4]

    def do_night(self, img, _):
        return img * 0.3 + 12


NOISE = {"night": 9.0, "irswitch": 3.0}
SCENES = ("calm", "tree", "rain", "jitter", "headlight", "cloud", "lamp", "irswitch", "insects",
          "exposure", "night", "keyframe")


def encode(out, frames, rate):
    command = ["ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "bgr24", "-s",
               f"{W}x{H}", "-r", str(FPS), "-i", "-", "-c:v", "libx264", "-threads", "1",
               "-preset", "veryfast", "-bf", "0", "-g", "20", "-keyint_min", "20",
               "-sc_threshold", "0", "-pix_fmt", "yuv420p", "-b:v", str(rate), "-maxrate", str(rate),
               "-bufsize", str(rate), str(out)]
    encoder = subprocess.Popen(command, stdin=subprocess.PIPE)
    for frame in frames:
        encoder.stdin.write(frame.tobytes())
    encoder.stdin.close()
    if encoder.wait() != 0:
        raise SystemExit("nuisance.py: ffmpeg failed")


def render(name, seed, with_visitor):
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    place, scene = Place(rng), Scene(name, rng)
    look = [(tuple(float(v) for v in rng.integers(20, 235, 3)),
             tuple(float(v) for v in rng.integers(20, 120, 3))) for _ in PASSES]
    grain = [rng.normal(0, NOISE.get(name, 2.0), (H, W, 1)).astype(np.float32) for _ in range(16)]
    for n in range(SECONDS * FPS):
        t = n / FPS
        img = scene.place(place, t)
        if with_visitor:
            img = visitor(img, t, look)
        img = scene.apply(img, t) + grain[rng.integers(16)]
        yield np.clip(img, 0, 255).astype(np.uint8)


def main():
    ap = argparse.ArgumentParser(description=__doc__,
                                 formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("out", type=pathlib.Path)
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--only", default="")
    a = ap.parse_args()
    a.out.mkdir(parents=True, exist_ok=True)
    for name in SCENES:
        if a.only and name not in a.only.split(","):
            continue
        for with_visitor in (False, True):
            stem = name + ("-visitor" if with_visitor else "")
            rate = 70_000 if name == "keyframe" else RATE
            encode(a.out / f"{stem}.mp4", render(name, a.seed, with_visitor), rate)
            truth = {"scene": name, "seed": a.seed, "passes": PASSES if with_visitor else ()}
            (a.out / f"{stem}.json").write_text(json.dumps(truth))


if __name__ == "__main__":
    main()
