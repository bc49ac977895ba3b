#!/usr/bin/python3
"""A camera that misbehaves on command: a raw RTSP server whose paths name the behaviour.

usage: hostile.py [--port P] [--journal FILE] [--canary P] MEDIA_DIR   rtsp://127.0.0.1:P/MODE
       hostile.py --list                                               every mode, and what it does
       hostile.py --make MEDIA_DIR                                     encode what is sent (needs ffmpeg)

Unlike kt-camera this is no library's server: every byte is our own, so that every
byte can be wrong. Prints "ready port=P" when clients may connect. One thread a connection.
The journal has a JSON line for every visit of a client and for every stream that begins.
See hostile_modes.py for the behaviours.
"""
import argparse
import base64
import hashlib
import json
import os
import pathlib
import random
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

MTU = 1400
VIDEO_RATE = 90000


# ------------------------------ media ------------------------------

STILL = "trim=end_frame=1,loop=-1:1,scale=320:180,trim=duration"     # the first picture, for so many seconds
ENCODED = {     # name: (seconds, fps, ffmpeg options)
    "plain.h264": (20, 10, "-c:v libx264 -preset ultrafast -g 20 -bf 0"),
    "small.h264": (20, 10, "-vf scale=320:180 -c:v libx264 -preset ultrafast -g 20 -bf 0"),
    "other.h264": (20, 10, "-c:v libx264 -preset ultrafast -g 20 -bf 0 -refs 3 -coder 1 -profile:v high"),
    "bframes.h264": (20, 10, "-c:v libx264 -preset veryfast -g 20 -bf 2 -b_strategy 0"),
    "longgop.h264": (310, 5, "-vf scale=320:180 -c:v libx264 -preset ultrafast -g 1500 -keyint_min 1500 -sc_threshold 0 -bf 0"),
    "still.h264": (20, 10, f"-vf {STILL}=20 -c:v libx264 -preset ultrafast -g 200 -keyint_min 200 -bf 0"),
    "still-long.h264": (310, 5, f"-vf {STILL}=310 -c:v libx264 -preset ultrafast -g 1500 -keyint_min 1500 -bf 0"),
    "noise.h264": (20, 10, f"-vf {STILL}=20,noise=alls=12:allf=t -c:v libx264 -preset ultrafast -g 200 -keyint_min 200 -bf 0"),
    "says25.h264": (20, 25, "-vf scale=320:180 -c:v libx264 -preset ultrafast -g 50 -bf 0"),
    "plain.hevc": (10, 10, "-vf scale=320:180 -c:v libx265 -preset ultrafast -g 20 -x265-params log-level=error:bframes=0"),
    "audio.aac": (20, 10, "-c:a aac -b:a 32k -ar 16000 -ac 1 -f adts -vn"),
    "audio.ulaw": (20, 10, "-c:a pcm_mulaw -ar 8000 -ac 1 -f mulaw -vn"),
    "audio.alaw": (20, 10, "-c:a pcm_alaw -ar 8000 -ac 1 -f alaw -vn"),
    "plain.mjpeg": (5, 10, "-vf scale=320:176 -c:v mjpeg -q:v 8 -huffman default -pix_fmt yuvj420p -f mjpeg"),
}


def make_media(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for name, (seconds, fps, options) in ENCODED.items():
        if (folder / name).exists():
            continue
        part = folder / ("part-" + name)
        subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-y", "-f", "lavfi", "-i",
                        f"testsrc2=s=640x360:r={fps}:d={seconds}", "-f", "lavfi", "-i",
                        f"sine=frequency=440:duration={seconds}", *options.split(), str(part)], check=True)
        part.rename(folder / name)


def split_nals(data):
    """Annex B to NAL units."""
    starts, at = [], data.find(b"\0\0\1")
    while at >= 0:
        starts.append(at + 3)
        at = data.find(b"\0\0\1", at + 3)
    ends = [s - 3 for s in starts[1:]] + [len(data)]
    return [data[s:e].rstrip(b"\0") for s, e in zip(starts, ends)]


class Video:
    """Access units of one elementary stream, each a list of NAL units."""

    def __init__(self, folder, name):
        self.fps = ENCODED[name][1]
        self.codec = {"h264": "H264", "hevc": "H265", "mjpeg": "JPEG"}[name.split(".")[1]]
        data = (folder / name).read_bytes()
        if self.codec == "JPEG":
            self.units = [[b"\xff\xd8" + p] for p in data.split(b"\xff\xd8")[1:]]
            self.keys = [True] * len(self.units)
            self.parameters = []
            return
        self.units, self.keys, self.parameters = [], [], []
        unit, has_slice, key = [], False, False
        for nal in split_nals(data):
            kind = nal[0] & 31 if self.codec == "H264" else nal[0] >> 1 & 63
            is_slice = kind in (1, 5) if self.codec == "H264" else kind < 32
            first = is_slice and nal[1 if self.codec == "H264" else 2] & 0x80
            parameter = kind in (7, 8) if self.codec == "H264" else kind in (32, 33, 34)
            if has_slice and (first or not is_slice):
                self.add(unit, key)
                unit, has_slice, key = [], False, False
            if parameter and nal not in self.parameters:
                self.parameters.append(nal)
            has_slice = has_slice or is_slice
            key = key or (kind == 5 if self.codec == "H264" else 16 <= kind <= 21)
            unit.append(nal)
        self.add(unit, key)

    def add(self, unit, key):
        self.units.append(unit)
        self.keys.append(key)


class Audio:
    def __init__(self, folder, name):
        data = (folder / name).read_bytes()
        self.codec, self.rate = name.split(".")[1], 16000 if name.endswith("aac") else 8000
        if self.codec == "aac":
            self.samples, self.units, at = 1024, [], 0
            while at + 7 <= len(data):
                size = (data[at + 3] & 3) << 11 | data[at + 4] << 3 | data[at + 5] >> 5
                self.units.append(data[at + 7:at + size])
                at += size
        else:
            self.samples = 320
            self.units = [data[i:i + 320] for i in range(0, len(data) - 319, 320)]

    def sdp(self):
        if self.codec == "aac":
            return ("m=audio 0 RTP/AVP 97\r\na=rtpmap:97 MPEG4-GENERIC/16000/1\r\na=fmtp:97 streamtype=5;"
                    "profile-level-id=1;mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;config=1408\r\n"
                    "a=control:track1\r\n")
        number = 0 if self.codec == "ulaw" else 8
        return f"m=audio 0 RTP/AVP {number}\r\na=rtpmap:{number} PCM{'U' if number == 0 else 'A'}/8000\r\na=control:track1\r\n"

    def payload_type(self):
        return {"aac": 97, "ulaw": 0, "alaw": 8}[self.codec]

    def payload(self, n):
        unit = self.units[n % len(self.units)]
        return struct.pack(">HH", 16, len(unit) << 3) + unit if self.codec == "aac" else unit


# ------------------------------ RTP payloads ------------------------------

def payloads_h264(nals):
    for nal in nals:
        if len(nal) <= MTU:
            yield nal
            continue
        head, kind, body = nal[0] & 0xe0 | 28, nal[0] & 31, nal[1:]
        for at in range(0, len(body), MTU - 2):
            part = body[at:at + MTU - 2]
            flags = (0x80 if at == 0 else 0) | (0x40 if at + len(part) == len(body) else 0)
            yield bytes((head, flags | kind)) + part


def payloads_h265(nals):
    for nal in nals:
        if len(nal) <= MTU:
            yield nal
            continue
        kind, body = nal[0] >> 1 & 63, nal[2:]
        for at in range(0, len(body), MTU - 3):
            part = body[at:at + MTU - 3]
            flags = (0x80 if at == 0 else 0) | (0x40 if at + len(part) == len(body) else 0)
            yield bytes((nal[0] & 0x81 | 49 << 1, nal[1], flags | kind)) + part


def payloads_jpeg(nals):
    """RFC 2435, with the quantisation tables in the first packet (Q = 255)."""
    jpeg, tables, at, width, height = nals[0], b"", 2, 0, 0
    while at < len(jpeg):
        marker, size = jpeg[at + 1], struct.unpack(">H", jpeg[at + 2:at + 4])[0]
        body = jpeg[at + 4:at + 2 + size]
        if marker == 0xdb:
            while body:
                tables += body[1:65]
                body = body[65:]
        elif marker == 0xc0:
            height, width = struct.unpack(">HH", body[1:5])
        at += 2 + size
        if marker == 0xda:
            break
    if len(tables) == 64:
        tables += tables
    scan = jpeg[at:].split(b"\xff\xd9")[0]
    for offset in range(0, len(scan), MTU - 140):
        header = struct.pack(">I", offset) + bytes((1, 255, width // 8, height // 8))
        if offset == 0:
            header += struct.pack(">BBH", 0, 0, len(tables)) + tables
        yield header + scan[offset:offset + MTU - 140]


PAYLOADS = {"H264": payloads_h264, "H265": payloads_h265, "JPEG": payloads_jpeg}


def describe_video(video, parameters="all"):
    number = 26 if video.codec == "JPEG" else 96
    lines = f"m=video 0 RTP/AVP {number}\r\n"
    if video.codec == "JPEG":
        return lines + "a=control:track0\r\n"
    lines += f"a=rtpmap:96 {video.codec}/90000\r\n"
    sets = [base64.b64encode(p).decode() for p in video.parameters]
    if video.codec == "H264":
        value = {"all": ";sprop-parameter-sets=" + ",".join(sets), "half": f";sprop-parameter-sets={sets[0]}",
                 "empty": ";sprop-parameter-sets=", "comma": ";sprop-parameter-sets=,", "none": ""}[parameters]
        lines += f"a=fmtp:96 packetization-mode=1{value}\r\n"
    elif parameters == "all":
        lines += "a=fmtp:96 " + ";".join(f"sprop-{n}={s}" for n, s in zip(("vps", "sps", "pps"), sets)) + "\r\n"
    return lines + "a=control:track0\r\n"


# ------------------------------ a connection ------------------------------

class Closed(Exception):
    pass


class Track:
    def __init__(self, number):
        self.number = number                # of the track: 0 video, 1 audio
        self.channel = 2 * number
        self.sequence, self.ssrc = random.getrandbits(16), random.getrandbits(32)
        self.offset = random.getrandbits(32)
        self.udp = None                     # (socket, address of RTP) when not interleaved
        self.packets = self.octets = 0


class Connection:
    """One client; its behaviour is a mode of hostile_modes.py, chosen by the path of the first request."""

    def __init__(self, sock, server):
        self.socket, self.server = sock, server
        self.buffer, self.requests, self.mode = b"", 0, None
        self.session, self.playing, self.tracks = f"{random.getrandbits(40):x}", False, {}
        self.sent = 0                       # frames of video
        self.started = self.due = self.audio_due = 0.0
        self.audio_sent = 0
        self.held = None                    # a packet that reordering keeps back

    # --- bytes ---

    def write(self, data):
        try:
            self.mode.write(self, data) if self.mode else self.socket.sendall(data)
        except OSError as error:
            raise Closed from error

    def read(self, timeout):
        """Read what comes within TIMEOUT; False when nothing did."""
        if not select.select([self.socket], [], [], max(0, timeout))[0]:
            return False
        try:
            data = self.socket.recv(65536)
        except OSError as error:
            raise Closed from error
        if not data:
            raise Closed
        self.buffer += data
        return True

    def next_request(self):
        """(method, url, headers) of the first whole request in the buffer, or None. Skips RTCP."""
        while self.buffer[:1] == b"$":
            if len(self.buffer) < 4 or len(self.buffer) < 4 + struct.unpack(">H", self.buffer[2:4])[0]:
                return None
            self.buffer = self.buffer[4 + struct.unpack(">H", self.buffer[2:4])[0]:]
        head, end, rest = self.buffer.partition(b"\r\n\r\n")
        if not end:
            return None
        lines = head.decode(errors="replace").split("\r\n")
        headers = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:])}
        self.buffer = rest[int(headers.get("content-length", 0)):]
        if lines[0].startswith("RTSP/"):        # an answer to a request of ours
            return self.next_request()
        method, url = (lines[0].split(" ") + ["", ""])[:2]
        return method, url, headers

    def reply(self, request, status="200 OK", headers="", body=b""):
        text = f"RTSP/1.0 {status}\r\nCSeq: {request[2].get('cseq', '0')}\r\n{headers}"
        if body:
            text += f"Content-Length: {len(body)}\r\n"
        self.write(text.encode() + b"\r\n" + body)

    # --- RTP ---

    def interleave(self, channel, packet):
        self.write(struct.pack(">BBH", 0x24, channel, len(packet)) + packet)

    def send_rtp(self, track, payload, timestamp, marker, number=96, ssrc=None):
        packet = struct.pack(">BBHII", 0x80, (0x80 if marker else 0) | number, track.sequence,
                             (timestamp + track.offset) & 0xffffffff, track.ssrc if ssrc is None else ssrc) + payload
        track.sequence = (track.sequence + 1) & 0xffff
        track.packets += 1
        track.octets += len(payload)
        self.mode.send_packet(self, track, packet)

    def deliver(self, track, packet, rtcp=0):
        if track.udp:
            sock, address = track.udp
            sock.sendto(packet, (address[0], address[1] + rtcp))
        else:
            self.interleave(track.channel + rtcp, packet)

    def send_unit(self, video, unit, timestamp, track=None):
        track = track or self.tracks.get(0)
        parts = list(PAYLOADS[video.codec](unit))
        for i, part in enumerate(parts):
            self.send_rtp(track, part, timestamp, i + 1 == len(parts), 26 if video.codec == "JPEG" else 96)

    def send_report(self, timestamp, wall=None, ssrc=None):
        track = self.tracks[0]
        wall = time.time() if wall is None else wall
        seconds = int(wall) + 2208988800
        report = struct.pack(">BBHIIIIII", 0x80, 200, 6, track.ssrc if ssrc is None else ssrc, seconds & 0xffffffff,
                             int(wall % 1 * 2**32), (timestamp + track.offset) & 0xffffffff, track.packets & 0xffffffff,
                             track.octets & 0xffffffff)
        self.deliver(track, report, rtcp=1)

    # --- the life of it ---

    def run(self):
        try:
            while True:
                request = self.next_request()
                if request:
                    self.requests += 1
                    if not self.mode:
                        self.mode = self.server.mode_for(request[1])
                    self.mode.on_request(self, request)
                    continue
                timeout = self.mode.idle(self) if self.mode else 10
                if timeout is None:
                    raise Closed
                self.read(timeout)
        except Closed:
            pass
        finally:
            self.socket.close()
            for track in self.tracks.values():
                if track.udp:
                    track.udp[0].close()


class Server:
    def __init__(self, folder, port, modes, journal=None, canary=554):
        self.folder, self.modes, self.media, self.canary = folder, modes, {}, canary
        self.lock, self.visits = threading.Lock(), {}
        self.journal = open(journal, "w", buffering=1) if journal else None
        self.listener = socket.create_server(("127.0.0.1", port), backlog=128)
        self.port = self.listener.getsockname()[1]

    def load(self, name):
        with self.lock:
            if name not in self.media:
                kind = Audio if name.startswith("audio") else Video
                self.media[name] = kind(self.folder, name)
            return self.media[name]

    def mode_for(self, url):
        """The behaviour that URL's first path element names; how often it was asked for is its visit number."""
        name = url.split("://", 1)[-1].partition("/")[2].partition("/")[0].partition("?")[0]
        kind = self.modes.get(name) or self.modes["not-found"]
        with self.lock:
            self.visits[name] = self.visits.get(name, 0) + 1
            visit = self.visits[name]
        self.note(mode=name, visit=visit, asked=time.time())
        return kind(self, visit)

    def note(self, **facts):
        with self.lock:
            if self.journal:
                self.journal.write(json.dumps(facts) + "\n")

    def serve(self):
        while True:
            sock, _ = self.listener.accept()
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.settimeout(20)
            threading.Thread(target=Connection(sock, self).run, daemon=True).start()


def md5(text):
    return hashlib.md5(text.encode()).hexdigest()


def main():
    from hostile_modes import MODES
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--journal")
    parser.add_argument("--canary", type=int, default=554)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--make", action="store_true")
    parser.add_argument("media", nargs="?", type=pathlib.Path)
    options = parser.parse_args()
    if options.list:
        for name, mode in sorted(MODES.items()):
            print(f"{name:22} {' '.join(mode.__doc__.split())}")
        return
    if not options.media:
        parser.error("where is the media?")
    make_media(options.media)
    if options.make:
        return
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    server = Server(options.media, options.port, MODES, options.journal, options.canary)
    print(f"ready port={server.port}", flush=True)
    server.serve()


if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    sys.modules["hostile"] = sys.modules["__main__"]
    main()
