"""What is measured: the programs, the cases, and how long each takes."""
import fnmatch
import re
import sys

from peers import Ffmpeg, MotionMain, MotionSub, Plain, PlainMain, PlainSub
from programs import Kentongan, KentonganAdaptive, KentonganFull, KentonganMainAdaptive, KentonganMainFull
from zoneminder import ZoneMinder, ZoneMinderMain, ZoneMinderSub

PROGRAMS = {
    "record/ffmpeg": Ffmpeg,
    "record/plain": Plain,
    "record/zoneminder": ZoneMinder,
    "record/kentongan": Kentongan,
    "sub/motion": MotionSub,
    "sub/plain": PlainSub,
    "sub/zoneminder": ZoneMinderSub,
    "sub/kentongan-adaptive": KentonganAdaptive,
    "sub/kentongan-full": KentonganFull,
    "main/motion": MotionMain,
    "main/plain": PlainMain,
    "main/zoneminder": ZoneMinderMain,
    "main/kentongan-adaptive": KentonganMainAdaptive,
    "main/kentongan-full": KentonganMainFull,
}
AT_MOST = {"main/motion": 10, "main/zoneminder": 4}     # cameras: forty take ten cores, and 50 GB of memory
WARM_UP_S = 10              # backgrounds settle, caches fill
LOOP_S = 100                # of the scene
OWN_WINDOW_S = 30           # of standard: what is claimed is measured longest
PEER_WINDOW_S = 15
FEW_WINDOW_S = {1: 50, 4: 25, 10: 20, 20: 15}   # fewer cameras need longer to show the whole scene

STANDARD = """
record/kentongan@40 sub/kentongan-adaptive@40 sub/kentongan-full@40
main/kentongan-adaptive@40 main/kentongan-full@40
record/ffmpeg@40 record/plain@40 sub/motion@40 sub/plain@40 sub/zoneminder@40
sub/kentongan-adaptive@40+16x16 sub/kentongan-adaptive@40+5x16+4p sub/kentongan-adaptive@40+50x4+4p
month ring chromium
sub/kentongan-adaptive@10 sub/motion@10 record/kentongan@10 record/ffmpeg@10
sub/kentongan-adaptive@20 sub/motion@20 sub/kentongan-adaptive@4 sub/motion@4 sub/zoneminder@4
main/kentongan-adaptive@4 main/motion@4 main/plain@4
sub/kentongan-adaptive@1
""".split()
QUICK = ["record/ffmpeg@10", "record/kentongan@10", "sub/motion@10", "sub/kentongan-adaptive@10"]


def full():
    ids = []
    for n in (1, 4, 10, 20, 40):
        ids += [f"{p}@{n}" for p in PROGRAMS if n <= AT_MOST.get(p, n)]
        ids += [f"{p}@{n}+{v}+4p" for p in PROGRAMS if issubclass(PROGRAMS[p], Kentongan) for v in ("5x16", "50x4")]
    return ids + ["sub/kentongan-adaptive@40+16x16", "month", "ring", "chromium"]


class Case:
    """What an id like 'sub/kentongan-adaptive@40+16x16+4p' says."""

    def __init__(self, text):
        match = re.fullmatch(r"([a-z]+/[a-z-]+)@(\d+)(?:\+(\d+)x(\d+))?(?:\+(\d+)p)?", text)
        if not match or match[1] not in PROGRAMS or not 1 <= int(match[2]) <= 99:
            sys.exit(f"bench: no such case: {text} (--plan shows them)")
        self.id, self.name, self.program = text, match[1], PROGRAMS[match[1]]
        self.cameras, self.viewers, self.tiles, self.playbacks = (int(g or 0) for g in match.groups()[1:])
        self.own = issubclass(self.program, Kentongan)

    def windows(self, mode, window=None, windows=None):
        """(length of a window in seconds, how many)"""
        few = FEW_WINDOW_S.get(self.cameras)
        length, n = {"quick": (20, 1), "full": (60, 3)}.get(mode) or \
            ((few, 1) if few else (OWN_WINDOW_S if self.own else PEER_WINDOW_S, 2))
        # Cameras are evenly spread over the loop: together they show all of it in LOOP_S / cameras; a
        # single one shows one of its two stretches in each half.
        whole = max(1, LOOP_S // max(2, self.cameras))
        return -(-(window or length) // whole) * whole, windows or n

    def seconds(self, window, windows):
        """About how long it takes, all in all."""
        asking = 3 + self.cameras // 10 if self.own else 1        # figures, a restart
        return window * windows + WARM_UP_S + self.program.settle_s(self.cameras) + asking


def choose(mode, patterns):
    """The ids to measure."""
    ids = {"quick": QUICK, "full": full()}.get(mode, STANDARD)
    if patterns:
        known = dict.fromkeys(STANDARD + full())
        ids = [i for pattern in patterns for i in (fnmatch.filter(known, pattern) or [pattern])]
    return list(dict.fromkeys(ids))
