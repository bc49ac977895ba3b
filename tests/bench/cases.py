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
COUNTS = (1, 4, 10, 20, 40)
WATCHED = ("5x16", "50x4")  # pages x tiles, each beside four playbacks
WARM_UP_S = 10              # backgrounds settle, caches fill
LOOP_S = 100                # of the scene
# What has a limit to keep, see report.py; --plan and standard begin with them.
LIMITED = ["record/kentongan@40", "sub/kentongan-adaptive@40", "sub/kentongan-full@40", "main/kentongan-adaptive@40"]
LIMITED_WINDOWS = (60, 2)   # seconds, how many
MANY_WINDOWS = (15, 2)      # of the others with forty cameras
FEW_WINDOW_S = {1: 50, 4: 25, 10: 20, 20: 15}   # fewer cameras need longer to show the whole scene

# Most wanted first: who stops it halfway has them.
STANDARD = LIMITED + """
sub/kentongan-adaptive@40+16x16 month ring chromium
record/ffmpeg@40 sub/motion@40 record/plain@40 sub/plain@40 sub/zoneminder@40
sub/kentongan-adaptive@10 sub/motion@10 record/kentongan@10 record/ffmpeg@10
main/kentongan-adaptive@4 main/motion@4 main/plain@4 main/zoneminder@4
sub/kentongan-adaptive@1
main/kentongan-full@40 sub/kentongan-adaptive@40+5x16+4p sub/kentongan-adaptive@40+50x4+4p
sub/kentongan-adaptive@20 sub/motion@20 record/zoneminder@40 sub/motion@1
""".split()
QUICK = ["record/ffmpeg@10", "record/kentongan@10", "sub/motion@10", "sub/kentongan-adaptive@10"]


def grid():
    """{row: [id, ...]}: every program, and ours with people who watch, with each number of cameras."""
    rows = {name: [f"{name}@{n}" for n in COUNTS if n <= AT_MOST.get(name, n)] for name in PROGRAMS}
    for name, program in PROGRAMS.items():
        if issubclass(program, Kentongan):
            rows.update({f"{name}+{v}+4p": [f"{name}@{n}+{v}+4p" for n in COUNTS] for v in WATCHED})
    return rows


def full():
    """What standard has first, the rest by number of cameras, many first."""
    rest = [case for row in grid().values() for case in row]
    return list(dict.fromkeys(STANDARD + sorted(rest, key=lambda case: -Case(case).cameras)))


class Case:
    """What an id like 'sub/kentongan-adaptive@40+16x16+4p' says."""

    def __init__(self, text):
        match = re.fullmatch(r"([a-z]+/[a-z-]+)@(\d+)(?:\+(\d+)x(\d+))?(?:\+(\d+)p)?", text)
        if not match or match[1] not in PROGRAMS or not 1 <= int(match[2]) <= 99:
            sys.exit(f"bench: no such case: {text} (--plan shows them)")
        self.id, self.name, self.program = text, match[1], PROGRAMS[match[1]]
        self.cameras, self.viewers, self.tiles, self.playbacks = (int(g or 0) for g in match.groups()[1:])
        self.own = issubclass(self.program, Kentongan)

    def windows(self, window=None, windows=None):
        """(length of a window in seconds, how many)"""
        few = FEW_WINDOW_S.get(self.cameras)
        length, n = LIMITED_WINDOWS if self.id in LIMITED else (few, 1) if few else MANY_WINDOWS
        # Cameras are evenly spread over the loop: together they show all of it in LOOP_S / cameras; a
        # single one shows one of its two stretches in each half.
        whole = max(1, LOOP_S // max(2, self.cameras))
        return -(-(window or length) // whole) * whole, windows or n

    def seconds(self, window, windows):
        """About how long it takes, all in all."""
        return window * windows + WARM_UP_S + self.program.settle_s(self.cameras) + self.program.end_s


def choose(mode, patterns):
    """The ids to measure."""
    ids = {"quick": QUICK, "full": full()}.get(mode, STANDARD)
    if patterns:
        known = full()
        ids = [i for pattern in patterns for i in (fnmatch.filter(known, pattern) or [pattern])]
    return list(dict.fromkeys(ids))
