#!/usr/bin/python3
"""Make video of what is not a visitor, and of visitors among it, with the truth.

usage: nuisance.py OUT_DIR [--seed N] [--only NAME,…]

Each scene NAME gives OUT_DIR/NAME.mp4 (nothing happens but the nuisance) and
OUT_DIR/NAME-visitor.mp4 (the same, and two people pass), each with a .json that lists
the passes in seconds, and NAME-visitor.mkv, the pixels of the people (lossless, 0 or 255).
The same seed gives the same pictures; another gives another place, other people and
another strength of the nuisance. 640x360 at 10 pictures a second, H.264 as cameras send it.
"""
import argparse
import functools
import json
import pathlib
import subprocess
import zlib

import cv2
import numpy as np

W, H, FPS, SECONDS = 640, 360, 10, 36
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


class Visit:
    """One pass of somebody: when, where, how large, what they wear."""

    def __init__(self, rng, number, name):
        took = rng.uniform(4.5, 9.0)
        self.start = 8.0 + 14.0 * number + rng.uniform(0, 3)
        self.end = self.start + took
        self.back = bool(rng.integers(0, 2))
        self.size = rng.uniform(48, 112)
        self.y = rng.uniform(262, 330)
        self.coat = tuple(float(v) for v in rng.integers(20, 235, 3))
        self.legs = tuple(float(v) for v in rng.integers(20, 120, 3))
        if name == "camouflage":            # dressed like the road
            self.coat = tuple(float(105 + rng.normal(0, 14)) for _ in range(3))
            self.legs = tuple(float(100 + rng.normal(0, 14)) for _ in range(3))
        if name == "thermal":               # warm
            self.coat = (205.0, 205.0, 205.0)
            self.legs = (170.0, 170.0, 170.0)
        self.pause = 0.0
        if name == "stander" and number == 0:
            self.pause = 9.0                # stops half way for so long
            self.end += self.pause

    def span(self):
        return self.start, self.end

    def place(self, t):
        """How far along the way, 0 to 1, and how the legs stand."""
        u = t - self.start
        half = (self.end - self.start - self.pause) / 2
        if self.pause and u > half:
            u = max(half, u - self.pause)
        return u / (2 * half), u

    def layer(self, t):
        u, walked = self.place(t)
        s = self.size
        x, y = -30 + (1 - u if self.back else u) * (W + 60), self.y
        layer = np.zeros((H, W, 4), np.float32)
        swing = 0.22 * s * np.sin(2 * np.pi * 1.8 * walked)
        hip = (int(x), int(y - 0.48 * s))
        for side in (-1, 1):
            cv2.line(layer, hip, (int(x + side * swing), int(y)), self.legs + (1,),
                     max(3, int(.11 * s)))
        cv2.ellipse(layer, (int(x), int(y - 0.62 * s)), (int(.15 * s), int(.24 * s)), 0, 0, 360,
                    self.coat + (1,), -1)
        head = (215, 215, 215, 1) if self.coat[0] == self.coat[1] == 205 else (120, 150, 190, 1)
        cv2.circle(layer, (int(x), int(y - 0.93 * s)), int(.09 * s), head, -1)
        return cv2.GaussianBlur(layer, (3, 3), 0)


def draw_visitors(img, visits, t):
    """The picture with those who are in it, and their pixels, 0 to 1."""
    there = np.zeros((H, W), np.float32)
    for v in visits:
        if not v.start <= t < v.end:
            continue
        layer = v.layer(t)
        a = layer[..., 3:]
        img = img * (1 - a) + layer[..., :3]
        there = np.maximum(there, a[..., 0])
    return img, there


def grey(img):
    return (img @ np.float32([0.114, 0.587, 0.299]))[..., None].repeat(3, 2)


@functools.lru_cache(maxsize=16)
def soft_ellipse(cx, cy, rx, ry):
    yy, xx = np.mgrid[0:H, 0:W].astype(np.float32)
    return np.exp(-(((xx - cx) / rx) ** 2 + ((yy - cy) / ry) ** 2))


class Scene:
    """State of one nuisance over time; apply(img, t) changes the finished picture."""

    def __init__(self, name, rng):
        self.name, self.rng = name, rng
        self.shift = np.zeros(2)
        self.insects = []
        self.phase = rng.uniform(0, 6, 8)
        self.strength = rng.uniform(0.7, 1.3)       # of the nuisance
        self.still = None
        self.warp = None                            # where the picture is moved to
        self.flakes = rng.uniform(0, 1, (260, 4))
        self.ripple = cv2.resize(rng.normal(0, 1, (90, 160)).astype(np.float32), (W, H),
                                 interpolation=cv2.INTER_CUBIC)

    def place(self, place, t):
        if self.name != "tree":
            if self.still is None:
                self.still = self.bent(place, 0)
            return self.still
        return self.bent(place, t)

    def bent(self, place, t):
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

    def moved(self, img, matrix):
        self.warp = matrix
        return cv2.warpAffine(img, matrix, (W, H), borderMode=cv2.BORDER_REFLECT)

    def do_shake(self, img, t):
        """A pole in the wind: to and fro, larger in gusts."""
        gust = self.strength * (2.5 + 3.5 * max(0.0, np.sin(0.5 * t + self.phase[2])))
        f = 1.2 + 0.3 * self.phase[3]
        x = gust * np.sin(2 * np.pi * f * t + self.phase[0])
        y = 0.5 * gust * np.sin(2 * np.pi * 1.3 * f * t + self.phase[1])
        return self.moved(img, np.float32([[1, 0, x], [0, 1, y]]))

    def do_nudge(self, img, t):
        """Somebody knocked at the camera: from 20 s on it looks a little elsewhere."""
        x, y = (14 * self.strength, -6) if t >= 20 else (0, 0)
        return self.moved(img, np.float32([[1, 0, x], [0, 1, y]]))

    def do_pan(self, img, t):
        """A camera on a motor that looks to the side for a while."""
        u = np.clip((t - 18) / 1.5, 0, 1) - np.clip((t - 33) / 1.5, 0, 1)
        return self.moved(img, np.float32([[1, 0, -220 * u], [0, 1, 0]]))

    def do_snow(self, img, t):
        layer = np.zeros((H, W), np.float32)
        for x, y, size, speed in self.flakes:
            r = 1 + int(size ** 6 * 7)              # few are near and large
            fall = (60 + 120 * speed) * (1 + size)
            cx = (x * W + 25 * np.sin(t * (1 + speed) + 40 * size) + 40 * t) % W
            cy = (y * H + fall * t) % H
            cv2.circle(layer, (int(cx), int(cy)), r, 70 * self.strength + 40, -1)
        layer = cv2.GaussianBlur(layer, (5, 5), 0)
        return img * 0.8 + 30 + layer[..., None]

    def do_water(self, img, t):
        """A canal across the middle: glitter that drifts."""
        a = np.roll(self.ripple, int(31 * t), 1) * np.roll(self.ripple, -int(23 * t), 1)
        b = np.roll(self.ripple, int(17 * t) % H, 0)
        shine = 26 * self.strength * (a + 0.7 * b)
        shine = shine * soft_ellipse(320, 195, 600, 38)
        return img + shine[..., None]

    def do_dapple(self, img, t):
        """Sun through leaves: their shadows move on the road."""
        s = 5 * self.strength
        shift = np.float32([[1, 0, s * np.sin(1.7 * t + self.phase[0])],
                            [0, 1, s * 0.6 * np.sin(2.6 * t + self.phase[1])]])
        leaves = cv2.warpAffine(cv2.GaussianBlur(self.ripple, (0, 0), 4), shift, (W, H))
        shade = 1 / (1 + np.exp(-8 * leaves))
        where = soft_ellipse(400, 280, 260, 110)
        return img * (1.1 - 0.45 * (shade * where)[..., None])

    def do_laundry(self, img, t):
        """Cloths on a line, in the wind."""
        for i, c in enumerate(((40, 40, 200), (220, 220, 225), (190, 120, 40))):
            x0, wave = 90 + 130 * i, 9 * self.strength
            bottom = [(x0 + k * 16 + wave * np.sin(2.3 * t + self.phase[i] + k * .7),
                       185 + wave * np.sin(3.1 * t + k + self.phase[i + 3])) for k in range(5)]
            pts = np.array([(x0, 110), (x0 + 64, 110)] + bottom[::-1], np.int32)
            img = img.copy()
            cv2.fillPoly(img, [pts], c)
        return img

    def do_hunting(self, img, t):
        """Automatic gain that never finds rest."""
        return img * (1 + 0.16 * self.strength * np.sin(2 * np.pi * t / 5 + self.phase[0]))

    def do_tube(self, img, t):
        """A failing fluorescent tube; bands of mains frequency creep over the picture."""
        yy = np.arange(H, dtype=np.float32)[:, None, None]
        band = 1 + 0.05 * self.strength * np.sin(yy / 30 + 2.2 * t)
        flick = 0.7 if (t % 6.0) < 2.0 and int(t * 10) % 3 == 0 else 1.0
        return img * 0.8 * band * flick

    def do_television(self, img, t):
        step = int(t / (1.5 * self.strength))
        r = np.random.default_rng([step, 7])
        screen = cv2.resize(r.uniform(20, 220, (5, 8, 3)).astype(np.float32), (84, 50))
        img = img * 0.6
        img[60:110, 400:484] = screen * (0.9 + 0.1 * np.sin(9 * t))
        glow = soft_ellipse(442, 130, 120, 80) * float(screen.mean()) * 0.15
        return img + glow[..., None]

    def do_web(self, img, t):
        """A thread of a spider in front of the lens, lit by infrared."""
        layer = np.zeros((H, W), np.float32)
        for k in range(3):
            x = 200 + 120 * k + 26 * self.strength * np.sin(1.1 * t + self.phase[k])
            cv2.line(layer, (int(200 + 120 * k), -10), (int(x), 370), 90, 5)
        layer = cv2.GaussianBlur(layer, (0, 0), 5)
        return grey(img) * 0.45 + 10 + layer[..., None]

    def do_fog(self, img, t):
        return 178 + (img - 178) * 0.28 + 4 * np.sin(0.4 * t)

    def do_thermal(self, img, _):
        return cv2.GaussianBlur(60 + (grey(img) - 110) * 0.3, (0, 0), 2.2)

    def do_nightroad(self, img, t):
        """Infrared, strong noise, and a lamp post whose light trembles."""
        lit = 0.22 + 0.35 * soft_ellipse(300, 260, 220, 120)
        return grey(img) * lit[..., None] * (1 + 0.05 * np.sin(21 * t)) + 16

    def do_smoke(self, img, t):
        """Rubbish burns: a soft plume."""
        drift = np.roll(np.roll(cv2.GaussianBlur(self.ripple, (0, 0), 14), -int(20 * t), 0),
                        int(12 * t), 1)
        thick = np.clip(0.35 + 2.5 * drift, 0, 1) * soft_ellipse(180, 150, 110, 150)
        a = 0.55 * self.strength * thick[..., None]
        return img * (1 - np.clip(a, 0, 0.8)) + 190 * np.clip(a, 0, 0.8)

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
        return self.moved(img, np.float32([[1, 0, self.shift[0]], [0, 1, self.shift[1]]]))

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


NOISE = {"night": 9.0, "irswitch": 3.0, "nightroad": 7.0, "thermal": 3.0, "web": 4.0}
RATES = {"keyframe": 70_000, "thermal": 150_000}
PICTURES_A_SECOND = {"slow": 3}
SCENES = ("calm", "tree", "rain", "jitter", "headlight", "cloud", "lamp", "irswitch", "insects",
          "exposure", "night", "keyframe", "shake", "nudge", "pan", "snow", "water", "dapple",
          "laundry", "hunting", "tube", "television", "web", "fog", "thermal", "nightroad", "smoke",
          "camouflage", "stander", "slow")


def encoder(out, fps, rate):
    command = ["ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "bgr24", "-s",
               f"{W}x{H}", "-r", str(fps), "-i", "-", "-c:v", "libx264", "-threads", "1",
               "-preset", "veryfast", "-bf", "0", "-g", str(2 * fps), "-keyint_min", str(2 * fps),
               "-sc_threshold", "0", "-pix_fmt", "yuv420p", "-b:v", str(rate), "-maxrate", str(rate),
               "-bufsize", str(rate), str(out)]
    return subprocess.Popen(command, stdin=subprocess.PIPE)


def truth_encoder(out, fps):
    command = ["ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "gray", "-s",
               f"{W}x{H}", "-r", str(fps), "-i", "-", "-c:v", "ffv1", str(out)]
    return subprocess.Popen(command, stdin=subprocess.PIPE)


def finish(process):
    process.stdin.close()
    if process.wait() != 0:
        raise SystemExit("nuisance.py: ffmpeg failed")


def render(name, seed, fps, visits):
    """Pictures, and the pixels of visitors in them."""
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    place, scene = Place(rng), Scene(name, rng)
    grain = [rng.normal(0, NOISE.get(name, 2.0), (H, W, 1)).astype(np.float32) for _ in range(16)]
    for n in range(SECONDS * fps):
        t = n / fps
        img, there = draw_visitors(scene.place(place, t), visits, t)
        img = scene.apply(img, t) + np.roll(grain[rng.integers(16)], rng.integers(W), 1)
        if scene.warp is not None:
            there = cv2.warpAffine(there, scene.warp, (W, H))
        yield np.clip(img, 0, 255).astype(np.uint8), there


def make(out, name, seed, with_visitor):
    stem = name + ("-visitor" if with_visitor else "")
    fps = PICTURES_A_SECOND.get(name, FPS)
    rng = np.random.default_rng([seed, zlib.crc32(name.encode()), 1])
    visits = [Visit(rng, i, name) for i in range(2)] if with_visitor else []
    video = encoder(out / f"{stem}.mp4", fps, RATES.get(name, RATE))
    truth = truth_encoder(out / f"{stem}.mkv", fps) if with_visitor else None
    for img, there in render(name, seed, fps, visits):
        video.stdin.write(img.tobytes())
        if truth:
            truth.stdin.write(((there > 0.5) * np.uint8(255)).tobytes())
    finish(video)
    if truth:
        finish(truth)
    (out / f"{stem}.json").write_text(json.dumps(
        {"scene": name, "seed": seed, "passes": [v.span() for v in visits]}))


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
            make(a.out, name, a.seed, with_visitor)


if __name__ == "__main__":
    main()
