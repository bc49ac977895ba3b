#!/usr/bin/env python3
"""A second reader of a ring, written from docs/ring-format.md alone: no code of the product.

usage: reader.py RINGDIR [--signatures]

Prints one JSON object: streams by name with their media records (sequence, start, end, size, hash),
gaps, the head of the chain, and everything that is wrong. Exit status 1 when something is.
"""
import hashlib
import json
import os
import struct
import subprocess
import sys
import tempfile

PAGE, HEADER = 4096, 256
SLAB, STREAM, INIT, MEDIA, GAP, HEAD, ERASE, RECYCLED = range(1, 9)


def sha(data):
    return hashlib.sha256(data).digest()


class Record:
    """One header, decoded."""

    def __init__(self, raw):
        (self.magic, self.version, self.type, self.uuid, self.life, self.seq, self.commit, self.commit_offset,
         self.stream, self.flags, self.run, self.start, self.end, self.dts, self.duration, self.frames,
         self.chunks, self.size, _, self.written, self.init, self.payload, self.previous,
         self.hash) = struct.unpack("<4sHH16sQQQQIIQqqqqIIIIq32s32s32s32s", raw)
        self.good = self.magic == b"KTRC" and self.version == 1 and sha(raw[:224]) == self.hash

    @property
    def space(self):
        return (HEADER + self.size + 7) // 8 * 8


class Ring:
    def __init__(self, folder, signatures):
        self.folder, self.signatures = folder, signatures
        self.problems, self.names, self.media, self.gaps = [], {}, {}, []
        self.recycled, self.erased, self.damaged = [], [], []
        self.heads = 0
        with open(os.path.join(folder, "ring.meta"), "rb") as f:
            meta = f.read(PAGE)
        if meta[:4] != b"KTRG" or sha(meta[:4064]) != meta[4064:]:
            raise SystemExit("ring.meta is damaged")
        self.uuid = meta[8:24]
        self.slab_bytes, self.count = struct.unpack_from("<QI", meta, 24)

    def bad(self, text):
        self.problems.append(text)

    # ---- which slabs ----

    def lives(self):
        found = []
        for number in range(self.count):
            path = os.path.join(self.folder, f"slab-{number:06d}.kts")
            if not os.path.exists(path):
                continue
            with open(path, "rb") as f:
                first = Record(f.read(HEADER).ljust(HEADER, b"\0"))
                f.seek(-PAGE, os.SEEK_END)
                trailer = self.trailer(f.read(PAGE))
            if first.good and first.uuid == self.uuid:
                found.append((first.life, first.seq, path))
                continue
            behind = self.behind_damage(path) if first.hash.strip(b"\0") else None
            if behind and not (trailer and trailer["life"] >= behind.life):
                found.append((behind.life, behind.seq - 1, path))
            elif trailer:
                found.append((trailer["life"], trailer["first"], path))
        return sorted(found)

    def behind_damage(self, path):
        with open(path, "rb") as f:
            data = f.read()
        at = data.find(b"KTRC", 0, 33 << 20)
        while at >= 0 and not (at % 8 == 0 and self.follows(data, at, None, None)):
            at = data.find(b"KTRC", at + 1, 33 << 20)
        r = self.follows(data, at, None, None) if at >= 0 else None
        return r if r and self.cut(self.walk(data, r.life), None) else None

    def trailer(self, page):
        if page[:4] != b"KTFT" or sha(page[:4064]) != page[4064:] or page[8:24] != self.uuid:
            return None
        keys = ["life", "first", "last", "commit", "end", "footer"]
        t = dict(zip(keys, struct.unpack_from("<6Q", page, 24)))
        t["entries"], t["stretches"], t["inits"] = struct.unpack_from("<3I", page, 72)
        t["entries_hash"], t["summary_hash"], t["first_previous"], t["head"] = struct.unpack_from(
            "<32s32s32s32s", page, 104)
        return t

    # ---- one slab ----

    def follows(self, data, at, last, life):
        if at + HEADER > len(data):
            return None
        r = Record(data[at:at + HEADER])
        if not r.good or r.uuid != self.uuid or (life and r.life != life) or at + r.space > len(data):
            return None
        if last and (r.seq <= last.seq or r.commit < last.commit):
            return None
        return r

    def walk(self, data, life):
        at, last, items = 0, None, []
        while True:
            r = self.follows(data, at, last, life)
            if not r and at % PAGE:
                page = (at + PAGE - 1) // PAGE * PAGE
                r = self.follows(data, page, last, life)
                if r and r.commit_offset == page:
                    at = page
                else:
                    r = None
            if not r:
                begin = at
                at = data.find(b"KTRC", begin, begin + (33 << 20))
                while at >= 0 and not (at % 8 == 0 and self.follows(data, at, last, life)):
                    at = data.find(b"KTRC", at + 1, begin + (33 << 20))
                if at < 0:
                    return items
                items.append((begin, None, False))
                r = self.follows(data, at, last, life)
            items.append((at, r, sha(data[at + HEADER:at + HEADER + r.size]) == r.payload))
            last = r
            at += r.space

    def cut(self, items, next_first):
        """What does not count: beyond the next slab's first record, or a torn tail."""
        if next_first:
            while items and (items[-1][1] is None or items[-1][1].seq >= next_first):
                items.pop()
        elif items:
            start = items[-1][1].commit_offset
            previous = None
            for i, (at, r, good) in enumerate(items):
                broken = r and previous and r.seq == previous.seq + 1 and r.previous != previous.hash
                torn_begin = at > start and (i == 0 or items[i - 1][0] < start)
                if at >= start and (r is None or not good or broken or torn_begin):
                    del items[i:]
                    break
                previous = r
        return items

    def names_of(self, table):
        for i in range(0, len(table), 64):
            number, name = struct.unpack_from("<I60s", table, i)
            self.names[number] = name.split(b"\0")[0].decode()

    def take(self, r, good, payload):
        if r.type == MEDIA:
            self.media.setdefault(r.stream, []).append((r, good))
        if not good:
            self.damaged.append(r)
            return
        if r.type in (SLAB, RECYCLED):
            life, first, last, oldest, newest = struct.unpack_from("<QQQqq", payload, 24)
            if life:
                self.recycled.append((last, payload[96:128]))
            if r.type == SLAB:
                size, streams = struct.unpack_from("<II", payload, 256)
                self.key = payload[128:128 + size]
                self.names_of(payload[272:272 + 64 * streams])
        elif r.type == STREAM:
            self.names_of(payload)
        elif r.type == INIT and sha(payload[112:]) != r.init:
            self.bad(f"record {r.seq}: init segment has another hash")
        elif r.type == GAP:
            self.gaps.append((r.stream, r.start, r.end, r.run))
        elif r.type == HEAD:
            self.head(r, payload)
        elif r.type == ERASE:
            for i in range(0, len(payload), 16):
                self.erased.append((r.stream, *struct.unpack_from("<QQ", payload, i)))

    def head(self, r, payload):
        magic, uuid, seq, digest, _, key = struct.unpack_from("<8s16sQ32sq32s", payload, 0)
        (size,) = struct.unpack_from("<H", payload, 104)
        if (magic, uuid, seq, digest) != (b"KTHEAD1\0", self.uuid, r.seq - 1, r.previous) or key != sha(self.key):
            self.bad(f"record {r.seq}: signs something else")
        self.heads += 1
        if self.signatures:
            with tempfile.TemporaryDirectory() as d:
                for name, data in (("m", payload[:104]), ("s", payload[106:106 + size]), ("k", self.key)):
                    with open(os.path.join(d, name), "wb") as f:
                        f.write(data)
                done = subprocess.run(["openssl", "dgst", "-sha256", "-verify", "k", "-keyform", "DER",
                                       "-signature", "s", "m"], cwd=d, capture_output=True, text=True)
            if done.returncode:
                self.bad(f"record {r.seq}: the signature is wrong: {done.stderr.strip()}")

    def footer(self, data, life, records):
        t = self.trailer(data[-PAGE:])
        if not t or t["life"] != life or (t["last"], t["head"]) != (records[-1][1].seq, records[-1][1].hash):
            return
        at = t["footer"]
        entries = data[at:at + 64 * t["entries"]]
        rest = data[at + len(entries):at + len(entries) + 64 * t["stretches"] + 48 * t["inits"]]
        if sha(entries) != t["entries_hash"] or sha(rest) != t["summary_hash"]:
            self.bad(f"life {life}: the footer is damaged")
            return
        listed = [struct.unpack_from("<QqqqQI", entries, i) for i in range(0, len(entries), 64)]
        real = [(r.seq, r.start, r.end, r.dts, at, r.size) for at, r in records if r.type == MEDIA]
        if sorted(listed) != sorted(real):
            self.bad(f"life {life}: the footer lists other records than there are")

    # ---- all of it ----

    def read(self):
        lives = self.lives()
        last = None
        for i, (life, first, path) in enumerate(lives):
            with open(path, "rb") as f:
                data = f.read()
            items = self.cut(self.walk(data, life), lives[i + 1][1] if i + 1 < len(lives) else None)
            for at, r, good in items:
                if r is None:
                    self.bad(f"{os.path.basename(path)}, byte {at}: a header is damaged")
                    last = None
                    continue
                if last is None and r.seq != 1 and i == 0:
                    self.oldest = r
                elif last and (r.seq != last.seq + 1 or r.previous != last.hash):
                    self.bad(f"record {r.seq}: the chain is broken")
                self.take(r, good, data[at + HEADER:at + HEADER + r.size])
                last = r
            records = [(at, r) for at, r, _ in items if r]
            if records:
                self.footer(data, life, records)
        self.last = last
        oldest = getattr(self, "oldest", None)
        if oldest and (oldest.seq - 1, oldest.previous) not in self.recycled:
            self.bad(f"the records before {oldest.seq} are gone without an account")
        for r in self.damaged:
            if not any(s == r.stream and a <= r.seq <= b for s, a, b in self.erased):
                self.bad(f"record {r.seq}: the payload is damaged")

    def result(self):
        streams = {}
        for number, name in self.names.items():
            streams[name] = [[r.seq, r.start, r.end, r.size, r.payload.hex()]
                             for r, good in self.media.get(number, []) if good]
        return {"uuid": self.uuid.hex(), "streams": streams, "heads": self.heads, "problems": self.problems,
                "gaps": [[self.names.get(s), a, b, why] for s, a, b, why in self.gaps],
                "last": self.last.seq if self.last else 0, "head": self.last.hash.hex() if self.last else ""}


def main():
    ring = Ring(sys.argv[1], "--signatures" in sys.argv)
    ring.read()
    json.dump(ring.result(), sys.stdout, indent=1)
    print()
    return 1 if ring.problems else 0


if __name__ == "__main__":
    sys.exit(main())
