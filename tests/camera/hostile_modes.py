"""The behaviours of hostile.py: one class each, named as in the path of the address.

Mode is a camera that does everything right; the others change one thing. `expects` is
what a recorder must make of it (see tests/integration/test_hostile.py):
  records    the recording is as good as what was sent, in one run
  restarts   the same, in several runs
  flagged    nothing worth recording comes: the state says so, and why, within 15 s
  quiet      the same, and nothing is said of the picture
  slow       as restarts, and that it sends fewer frames than it says is told
  settles    after half a minute the recording is as good as what was sent
  refused    it never gets as far as a session; offline, with the reason
`share` is how much of the time must be recorded at least of what restarts, `damaged` says that
frames themselves arrive broken or not at all.
"""
import os
import random
import re
import struct
import time

from hostile import PAYLOADS, VIDEO_RATE, Closed, Track, describe_video, md5

MODES = {}


def mode(name):
    def add(kind):
        kind.name = name
        MODES[name] = kind
        return kind
    return add


@mode("good")
class Mode:
    """Does everything right: what the others are compared with."""
    expects = "records"
    video, audio = "plain.h264", None
    gaps = ()                       # why nothing is recorded at times, besides that it is silent
    because = ""                    # what the state says of it, a regular expression
    analysis = "off"                # how its pictures are looked at
    sprop, timeout, reports = "all", 60, True
    share, damaged = 0.5, False
    sub_stream = False              # is to be asked for a second stream, at the same path with /sub
    password = None                 # (user, password): ask for digest authentication

    def __init__(self, server, visit):
        self.server, self.visit = server, visit
        self.source = server.load(self.video)
        self.sound = server.load(self.audio) if self.audio else None
        self.nonce, self.last_report, self.last_heard = f"{random.getrandbits(64):x}", 0.0, time.monotonic()

    # --- signalling ---

    def on_request(self, c, request):
        self.last_heard = time.monotonic()
        if not self.authorised(c, request):
            return
        handler = getattr(self, "on_" + request[0].lower(), None)
        if handler:
            handler(c, request)
        else:
            c.reply(request, "501 Not Implemented")

    def challenge(self, stale=False):
        return (f'WWW-Authenticate: Digest realm="camera", nonce="{self.nonce}"' +
                (", stale=TRUE" if stale else "") + "\r\n")

    def authorised(self, c, request):
        if not self.password:
            return True
        given = dict(re.findall(r'(\w+)="?([^",]*)"?', request[2].get("authorization", "")))
        user, word = self.password
        wanted = md5(f"{md5(f'{user}:camera:{word}')}:{self.nonce}:{md5(request[0] + ':' + given.get('uri', ''))}")
        if given.get("response") == wanted and given.get("nonce") == self.nonce:
            return True
        c.reply(request, "401 Unauthorized", self.challenge(stale="nonce" in given))
        return False

    def on_options(self, c, request):
        c.reply(request, headers="Public: OPTIONS, DESCRIBE, SETUP, PLAY, PAUSE, TEARDOWN, GET_PARAMETER\r\n")

    def sdp(self):
        text = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=camera\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\na=control:*\r\n"
        text += describe_video(self.source, self.sprop)
        return text + (self.sound.sdp() if self.sound else "")

    def on_describe(self, c, request):
        c.reply(request, headers=f"Content-Base: {request[1].rstrip('/')}/\r\nContent-Type: application/sdp\r\n",
                body=self.sdp().encode())

    def on_setup(self, c, request):
        number = 1 if request[1].rstrip("/").endswith("track1") else 0
        track = Track(number)
        self.set_transport(c, track, request)
        c.tracks[number] = track
        c.reply(request, headers=self.transport + f"Session: {c.session};timeout={self.timeout}\r\n")

    def set_transport(self, c, track, request):
        wanted = request[2].get("transport", "")
        channels = re.search(r"interleaved=(\d+)", wanted)
        if channels:
            track.channel = int(channels[1])
        self.transport = (f"Transport: RTP/AVP/TCP;unicast;interleaved={track.channel}-{track.channel + 1};"
                          f"ssrc={track.ssrc:08X}\r\n")

    def on_play(self, c, request):
        self.answer_play(c, request)
        self.start(c)

    def answer_play(self, c, request):
        track = c.tracks[0]
        c.reply(request, headers=f"Session: {c.session}\r\nRange: npt=0.000-\r\n"
                f"RTP-Info: url={request[1]}/track0;seq={track.sequence};rtptime={track.offset}\r\n")

    def start(self, c):
        c.playing, c.started = True, time.monotonic()
        c.due = c.audio_due = c.started
        self.server.note(mode=self.name, visit=self.visit, playing=time.time())

    def on_get_parameter(self, c, request):
        c.reply(request, headers=f"Session: {c.session}\r\n")

    on_set_parameter = on_pause = on_get_parameter

    def on_teardown(self, c, request):
        c.reply(request)
        raise Closed

    # --- sending ---

    def write(self, c, data):
        c.socket.sendall(data)

    def send_packet(self, c, track, packet):
        c.deliver(track, packet)

    def timestamp(self, n):
        return n * VIDEO_RATE // self.source.fps

    def period(self):
        return 1 / self.source.fps

    def unit(self, n):
        return self.source.units[n % len(self.source.units)]

    def send_frame(self, c):
        c.send_unit(self.source, self.unit(c.sent), self.timestamp(c.sent))

    def audio_timestamp(self, n):
        return n * self.sound.samples

    def send_sound(self, c):
        if 1 in c.tracks:
            c.send_rtp(c.tracks[1], self.sound.payload(c.audio_sent), self.audio_timestamp(c.audio_sent), True,
                       self.sound.payload_type())
        c.audio_sent += 1
        c.audio_due += self.sound.samples / self.sound.rate

    def report(self, c):
        c.send_report(self.timestamp(c.sent))

    def idle(self, c):
        """Send what is due; seconds until something is due again, or None to hang up."""
        if not c.playing:
            return 10
        now = time.monotonic()
        while c.due <= now:
            self.send_frame(c)
            if c.sent == 0:
                self.server.note(mode=self.name, visit=self.visit, late=time.monotonic() - c.due)
            c.sent += 1
            c.due += self.period()
        while self.sound and c.audio_due <= now:
            self.send_sound(c)
        if self.reports and now - self.last_report > 5:
            self.last_report = now
            self.report(c)
        return min(c.due, c.audio_due if self.sound else c.due) - time.monotonic()


# ------------------------------ nothing worth recording ------------------------------

@mode("not-found")
class NotFound(Mode):
    """Answers 404 to DESCRIBE."""
    expects = "refused"
    because = "no such stream"

    def on_describe(self, c, request):
        c.reply(request, "404 Not Found")


@mode("no-frames")
class NoFrames(Mode):
    """The session is up and answers, but no RTP ever comes."""
    expects = "flagged"
    because = "no video for"
    analysis = "full"

    def idle(self, c):
        return 1


@mode("no-key-frame")
class NoKeyFrame(Mode):
    """RTP flows, but never a key frame."""
    expects = "flagged"
    because = "key frame"
    analysis = "full"

    def send_frame(self, c):
        if not self.source.keys[c.sent % len(self.source.units)]:
            super().send_frame(c)


@mode("frozen")
class Frozen(Mode):
    """The same picture for ever, with time going on."""
    expects = "frozen"
    analysis = "full"

    def unit(self, n):
        return self.source.units[0]


@mode("frozen-gop-20")
class FrozenGop20(Mode):
    """The same picture for ever, coded as a stuck sensor is: nothing changes, and a key frame every 20 s."""
    expects = "frozen"
    video, analysis = "still.h264", "adaptive"


@mode("frozen-gop-300")
class FrozenGop300(Mode):
    """The same picture for ever, and a key frame every five minutes."""
    expects = "frozen"
    video, analysis = "still-long.h264", "adaptive"


@mode("quiet")
class Quiet(Mode):
    """Nothing moves, but the picture has noise, and a key frame every 20 s: not frozen."""
    expects = "quiet"
    video, analysis = "noise.h264", "adaptive"


@mode("accept-silence")
class AcceptSilence(Mode):
    """Accepts the connection and never answers."""
    expects = "refused"
    because = "no answer"

    def on_request(self, c, request):
        pass


@mode("one-session")
class OneSession(Mode):
    """Has one encoder: whoever comes last gets the stream, whoever had it is cut off."""
    expects = "settles"
    analysis = "full"
    sub_stream = True
    newest = None

    def start(self, c):
        super().start(c)
        OneSession.newest = c

    def idle(self, c):
        return None if c.playing and OneSession.newest is not c else super().idle(c)


@mode("close-at-once")
class CloseAtOnce(Mode):
    """Hangs up on the first request."""
    expects = "refused"
    because = "closed the connection"

    def on_request(self, c, request):
        raise Closed


@mode("close-after-play")
class CloseAfterPlay(Mode):
    """Answers PLAY and hangs up."""
    expects = "flagged"
    because = "closed the connection|ended the session"
    analysis = "full"

    def on_play(self, c, request):
        self.answer_play(c, request)
        raise Closed


@mode("trickle")
class Trickle(Mode):
    """One byte of the answer a second."""
    expects = "refused"
    because = "no answer"

    def write(self, c, data):
        for i in range(len(data)):
            c.socket.sendall(data[i:i + 1])
            time.sleep(1)


@mode("endless-header")
class EndlessHeader(Mode):
    """An answer whose headers never end."""
    expects = "refused"
    because = "does not speak RTSP|too long|garbage"

    def on_describe(self, c, request):
        c.write(b"RTSP/1.0 200 OK\r\n")
        for i in range(200000):
            c.write(b"X-Padding-%d: %s\r\n" % (i, b"x" * 900))


@mode("huge-sdp")
class HugeSdp(Mode):
    """Announces 1 GB of SDP and sends it as fast as it can."""
    expects = "refused"
    because = "does not speak RTSP|too long|garbage"

    def on_describe(self, c, request):
        c.write(f"RTSP/1.0 200 OK\r\nCSeq: {request[2].get('cseq', 0)}\r\nContent-Type: application/sdp\r\n"
                f"Content-Length: {1 << 30}\r\n\r\n".encode())
        line = b"a=x-comment:" + b"y" * 4000 + b"\r\n"
        for _ in range((1 << 30) // len(line)):
            c.write(line)


@mode("negative-length")
class NegativeLength(Mode):
    """A Content-Length below zero."""
    expects = "refused"
    because = "does not speak RTSP|garbage|no video"

    def on_describe(self, c, request):
        c.write(f"RTSP/1.0 200 OK\r\nCSeq: {request[2].get('cseq', 0)}\r\nContent-Type: application/sdp\r\n"
                f"Content-Length: -5\r\n\r\n{self.sdp()}".encode())


@mode("binary-answer")
class BinaryAnswer(Mode):
    """Answers with random bytes instead of RTSP."""
    expects = "refused"
    because = "does not speak RTSP|garbage"

    def on_request(self, c, request):
        c.write(os.urandom(3000))


@mode("redirect-loop")
class RedirectLoop(Mode):
    """302 to itself, for ever."""
    expects = "refused"
    because = "redirects"

    def on_describe(self, c, request):
        c.reply(request, "302 Moved Temporarily", f"Location: rtsp://127.0.0.1:{self.server.port}/redirect-loop\r\n")


@mode("redirect-elsewhere")
class RedirectElsewhere(Mode):
    """302 to another host and port, where a recorder must not go."""
    expects = "refused"
    because = "redirects to another address: refused"

    def on_describe(self, c, request):
        c.reply(request, "302 Moved Temporarily", f"Location: rtsp://127.0.0.2:{self.server.canary}/admin\r\n")


@mode("unknown-codec")
class UnknownCodec(Mode):
    """Offers video in a codec no recorder keeps."""
    expects = "refused"
    because = "codec .* cannot be recorded"

    def sdp(self):
        return super().sdp().replace("H264/90000", "X-SECRET/90000")


@mode("only-audio")
class OnlyAudio(Mode):
    """Has a microphone, but no picture."""
    expects = "refused"
    because = "no video"
    audio = "audio.ulaw"

    def sdp(self):
        head, _, _ = super().sdp().partition("m=video")
        return head + self.sound.sdp()


@mode("empty-sdp")
class EmptySdp(Mode):
    """200 OK, and nothing in it."""
    expects = "refused"
    because = "no video"

    def sdp(self):
        return "v=0\r\n"


# ------------------------------ time ------------------------------

@mode("jump-back")
class JumpBack(Mode):
    """Every 10 s one frame is stamped 9 800 s in the past."""

    def timestamp(self, n):
        return super().timestamp(n) - (9800 * VIDEO_RATE if n % 100 == 99 else 0)


@mode("jump-ahead")
class JumpAhead(Mode):
    """Every 10 s one frame is stamped 37 600 s in the future."""

    def timestamp(self, n):
        return super().timestamp(n) + (37600 * VIDEO_RATE if n % 100 == 99 else 0)


@mode("step-ahead")
class StepAhead(Mode):
    """After 8 s the camera's clock steps by 9 800 s and stays there."""
    expects = "restarts"

    def timestamp(self, n):
        return super().timestamp(n) + (9800 * VIDEO_RATE if n >= 80 else 0)


@mode("step-back")
class StepBack(Mode):
    """After 8 s the camera's clock steps back by 3 600 s and stays there."""
    expects = "restarts"

    def timestamp(self, n):
        return super().timestamp(n) - (3600 * VIDEO_RATE if n >= 80 else 0)


@mode("wrap")
class Wrap(Mode):
    """The 32-bit timestamp wraps 3 s after the start, the sequence number soon after."""

    def set_transport(self, c, track, request):
        super().set_transport(c, track, request)
        track.offset, track.sequence = (1 << 32) - 3 * VIDEO_RATE, 65500


@mode("same-timestamp")
class SameTimestamp(Mode):
    """Two frames at a time carry one timestamp."""

    def timestamp(self, n):
        return super().timestamp(n - n % 2)


@mode("backward-steps")
class BackwardSteps(Mode):
    """Now and then a timestamp is 61 ms before its predecessor."""

    def timestamp(self, n):
        return super().timestamp(n) - (161 * 90 if n % 25 == 24 else 0)


@mode("no-timestamps")
class NoTimestamps(Mode):
    """Every packet has timestamp 0."""
    expects = "restarts"

    def timestamp(self, n):
        return 0


@mode("rate-lie")
class RateLie(Mode):
    """Stamps its frames for 12.5 a second and sends 10: media time and wall time part."""
    expects = "restarts"

    def timestamp(self, n):
        return n * VIDEO_RATE * 2 // 25


@mode("says-25-sends-21")
class Says25Sends21(Mode):
    """Says 25 frames a second in its parameter sets, stamps its frames so, and sends 21."""
    expects = "slow"
    video = "says25.h264"

    def period(self):
        return 1 / 21


@mode("slow-clock")
class SlowClock(Mode):
    """A crystal 400 ppm slow: within what steering must follow."""

    def timestamp(self, n):
        return int(super().timestamp(n) * 0.9996)


@mode("bursts")
class Bursts(Mode):
    """Sends 1.5 s of frames at once, then nothing for 1.5 s."""

    def idle(self, c):
        if not c.playing:
            return 10
        left = c.due + 1.5 - time.monotonic()
        if left > 0:
            return left
        return super().idle(c)


@mode("reports-wrong")
class ReportsWrong(Mode):
    """Sender reports that say it is 1970."""

    def report(self, c):
        c.send_report(self.timestamp(c.sent), wall=12.5)


@mode("reports-late")
class ReportsLate(Mode):
    """Sender reports that come seconds after what they tell of, each later than the one before."""

    def report(self, c):
        late = min(6 + c.sent // self.source.fps // 5 * 3, 45)
        c.send_report(self.timestamp(c.sent - late * self.source.fps), wall=time.time() - late)


@mode("reports-foreign")
class ReportsForeign(Mode):
    """Sender reports of a source that sends nothing."""

    def report(self, c):
        c.send_report(self.timestamp(c.sent), ssrc=0xdeadbeef)


@mode("reports-none")
class ReportsNone(Mode):
    """No RTCP at all."""
    reports = False


@mode("reports-broken")
class ReportsBroken(Mode):
    """RTCP packets that claim to be longer than they are, or are empty."""

    def report(self, c):
        for bad in (b"", b"\x80", b"\x80\xc8\xff\xff" + b"\0" * 20, os.urandom(60)):
            c.deliver(c.tracks[0], bad, rtcp=1)


# ------------------------------ the picture ------------------------------

@mode("long-gop")
class LongGop(Mode):
    """A key frame every five minutes ("smart codec")."""
    video = "longgop.h264"


@mode("b-frames")
class BFrames(Mode):
    """Frames come in decoding order, timestamps jump back and forth."""
    video = "bframes.h264"
    # With two B-frames between: I0 P3 B1 B2 P6 B4 B5 ...

    def timestamp(self, n):
        gop, i = divmod(n, 20)
        shown = 0 if i == 0 else min(i + 2, 19) if i % 3 == 1 else i - 1
        return super().timestamp(gop * 20 + shown)


@mode("new-parameters")
class NewParameters(Mode):
    """After 8 s SPS and PPS change, without a word in RTSP (day and night)."""
    expects = "restarts"

    def __init__(self, server, visit):
        super().__init__(server, visit)
        self.later = server.load("other.h264")

    def unit(self, n):
        return super().unit(n) if n < 80 else self.later.units[n % len(self.later.units)]


@mode("new-resolution")
class NewResolution(NewParameters):
    """After 8 s the picture is 320x180 instead of 640x360."""

    def __init__(self, server, visit):
        super().__init__(server, visit)
        self.later = server.load("small.h264")


@mode("new-codec")
class NewCodec(Mode):
    """H.264 for 8 s, then it hangs up and comes back with H.265."""
    expects = "restarts"

    def __init__(self, server, visit):
        if visit > 1:
            self.video = "plain.hevc"
        super().__init__(server, visit)

    def send_frame(self, c):
        if self.visit == 1 and c.sent >= 80:
            raise Closed
        super().send_frame(c)


@mode("no-parameters")
class NoParameters(Mode):
    """No parameter sets in the SDP; they come in line."""
    sprop = "none"


@mode("half-parameters")
class HalfParameters(Mode):
    """Only the SPS in the SDP."""
    sprop = "half"


@mode("empty-parameters")
class EmptyParameters(Mode):
    """sprop-parameter-sets is there, and empty."""
    sprop = "empty"


@mode("comma-parameters")
class CommaParameters(Mode):
    """sprop-parameter-sets is a lone comma."""
    sprop = "comma"


@mode("wrong-parameters")
class WrongParameters(Mode):
    """The SDP has the parameter sets of another stream; the right ones come in line."""

    def sdp(self):
        return super().sdp().replace(describe_video(self.source), describe_video(self.server.load("small.h264")))


@mode("annexb")
class AnnexB(Mode):
    """NAL units with start codes inside RTP, several to a packet."""

    def unit(self, n):
        return [b"\0\0\0\1".join([b""] + super().unit(n))[4:]] if n % 20 == 0 else super().unit(n)


@mode("trailing-zeros")
class TrailingZeros(Mode):
    """Bytes after the end of the parameter sets."""

    def unit(self, n):
        return [nal + b"\0\0\0" if nal[0] & 31 in (7, 8) else nal for nal in super().unit(n)]


@mode("broken-frames")
class BrokenFrames(Mode):
    """One frame in seven is noise, between good ones."""
    damaged = True
    analysis = "full"

    def unit(self, n):
        unit = super().unit(n)
        return unit if n % 7 != 3 else [nal[:2] + os.urandom(len(nal) - 2) if nal[0] & 31 in (1, 5) else nal
                                        for nal in unit]


@mode("broken-parameters")
class BrokenParameters(Mode):
    """Every 10 s the parameter sets before a key frame are noise; later they are right again."""
    expects = "restarts"
    damaged = True

    def unit(self, n):
        unit = super().unit(n)
        return unit if n % 100 != 60 else [nal[:1] + os.urandom(len(nal) - 1) if nal[0] & 31 in (7, 8) else nal
                                           for nal in unit]


@mode("huge-frame")
class HugeFrame(Mode):
    """Every 10 s a frame of 24 MB."""

    def unit(self, n):
        return super().unit(n) if n % 100 != 50 else [b"\x41" + b"\x9a" * 24_000_000]


@mode("hevc")
class Hevc(Mode):
    """H.265."""
    video = "plain.hevc"


@mode("mjpeg")
class Mjpeg(Mode):
    """Motion JPEG."""
    video = "plain.mjpeg"


SEI_MARK = b"KENTONGAN-SEAL-1"       # sixteen bytes, as user_data_unregistered begins with


@mode("sei")
class Sei(Mode):
    """Signs every frame: a number in an SEI unit."""

    def unit(self, n):
        text = SEI_MARK + b"%08d" % (n + 1)
        sei = b"\x06\x05" + bytes((len(text),)) + text + b"\x80"
        unit = super().unit(n)
        first = next(i for i, nal in enumerate(unit) if nal[0] & 31 in (1, 5))
        return unit[:first] + [sei] + unit[first:]


@mode("sei-hevc")
class SeiHevc(Mode):
    """Signs every frame of H.265 likewise."""
    video = "plain.hevc"

    def unit(self, n):
        text = SEI_MARK + b"%08d" % (n + 1)
        sei = b"\x4e\x01\x05" + bytes((len(text),)) + text + b"\x80"
        unit = super().unit(n)
        first = next(i for i, nal in enumerate(unit) if nal[0] >> 1 & 63 < 32)
        return unit[:first] + [sei] + unit[first:]


# ------------------------------ sound ------------------------------

@mode("audio-aac")
class AudioAac(Mode):
    """Sound in AAC."""
    audio = "audio.aac"


@mode("audio-ulaw")
class AudioUlaw(Mode):
    """Sound in G.711 u-law."""
    audio = "audio.ulaw"


@mode("audio-alaw")
class AudioAlaw(Mode):
    """Sound in G.711 A-law."""
    audio = "audio.alaw"


@mode("audio-broken")
class AudioBroken(Mode):
    """Sound whose timestamps jump about; the picture is sound."""
    audio = "audio.ulaw"

    def audio_timestamp(self, n):
        return super().audio_timestamp(n) + random.choice((0, 0, -8000, 80000, 1 << 30))


@mode("audio-silent")
class AudioSilent(Mode):
    """Announces sound that never comes."""
    audio = "audio.aac"

    def send_sound(self, c):
        c.audio_due += 1


# ------------------------------ the session ------------------------------

@mode("digest")
class Digest(Mode):
    """Digest authentication, done right. ronda:malam."""
    password = ("ronda", "malam")


@mode("digest-nonces")
class DigestNonces(Digest):
    """A new nonce for every third request; the old one is stale."""

    def authorised(self, c, request):
        if c.requests % 3 == 0:
            self.nonce = f"{random.getrandbits(64):x}"
        return super().authorised(c, request)


@mode("digest-keepalive")
class DigestKeepalive(Digest):
    """Keep-alives are refused with 401 and a new nonce; the stream goes on."""
    timeout = 10

    def authorised(self, c, request):
        if c.playing and request[0] != "TEARDOWN":
            self.nonce = f"{random.getrandbits(64):x}"
        return super().authorised(c, request)


@mode("digest-never")
class DigestNever(Digest):
    """Refuses every password: 401 for ever."""
    expects = "refused"
    because = "user name or password"

    def authorised(self, c, request):
        self.nonce = f"{random.getrandbits(64):x}"
        c.reply(request, "401 Unauthorized", self.challenge())
        return False


class KeepaliveRefused(Mode):
    """Keep-alives are refused; the stream goes on."""
    timeout, answer = 10, "400 Bad Request"

    def on_options(self, c, request):
        if c.playing:
            c.reply(request, self.answer)
        else:
            super().on_options(c, request)

    def on_get_parameter(self, c, request):
        c.reply(request, self.answer)


@mode("keepalive-400")
class Keepalive400(KeepaliveRefused):
    """Keep-alives are answered 400."""


@mode("keepalive-454")
class Keepalive454(KeepaliveRefused):
    """Keep-alives are answered 454 Session Not Found; the stream goes on."""
    answer = "454 Session Not Found"


@mode("keepalive-cseq")
class KeepaliveCseq(Mode):
    """Keep-alives are answered 400 with the wrong CSeq."""
    timeout = 10

    def on_get_parameter(self, c, request):
        c.write(b"RTSP/1.0 400 Bad Request\r\nCSeq: 0\r\n\r\n")


@mode("keepalive-silent")
class KeepaliveSilent(Mode):
    """Keep-alives are not answered at all; the stream goes on."""
    timeout = 10

    def on_get_parameter(self, c, request):
        pass

    def on_options(self, c, request):
        if not c.playing:
            super().on_options(c, request)


@mode("keepalive-needed")
class KeepaliveNeeded(Mode):
    """Hangs up when it has not heard a request for the 6 s that its session lasts."""
    timeout = 6

    def idle(self, c):
        return None if c.playing and time.monotonic() - self.last_heard > self.timeout else super().idle(c)


@mode("session-renamed")
class SessionRenamed(Mode):
    """A session id with odd characters, a space before the SSRC, a mode in quotes."""

    def on_setup(self, c, request):
        c.session = "a-b_c.d+e$f"
        super().on_setup(c, request)

    def set_transport(self, c, track, request):
        super().set_transport(c, track, request)
        self.transport = self.transport.replace("ssrc=", "mode=\"PLAY\";ssrc= ")


@mode("no-content-base")
class NoContentBase(Mode):
    """Neither Content-Base nor Content-Type; control addresses are relative."""

    def on_describe(self, c, request):
        c.reply(request, body=self.sdp().encode())


@mode("strange-control")
class StrangeControl(Mode):
    """Content-Base without a scheme, an absolute control address, lower-case headers."""

    def on_describe(self, c, request):
        sdp = self.sdp().replace("a=control:track0", f"a=control:{request[1].rstrip('/')}/track0")
        c.write(f"RTSP/1.0 200 OK\r\ncseq:{request[2].get('cseq', 0)}\r\ncontent-base: 127.0.0.1/x/\r\n"
                f"content-type:application/sdp\r\ncontent-length:   {len(sdp)}  \r\n\r\n{sdp}".encode())


@mode("other-channels")
class OtherChannels(Mode):
    """Answers with other interleaved channels than were asked for."""

    def set_transport(self, c, track, request):
        track.channel = 6 + 2 * track.number
        self.transport = f"Transport: RTP/AVP/TCP;unicast;interleaved={track.channel}-{track.channel + 1}\r\n"


@mode("early-frames")
class EarlyFrames(Mode):
    """Frames come before the answer to PLAY does."""

    def on_play(self, c, request):
        self.start(c)
        for _ in range(3):
            self.send_frame(c)
            c.sent += 1
            c.due += self.period()
        self.answer_play(c, request)


@mode("asks-back")
class AsksBack(Mode):
    """Sends requests of its own in between (ANNOUNCE, OPTIONS, SET_PARAMETER)."""

    def send_frame(self, c):
        if c.sent % 30 == 10:
            c.write(b"OPTIONS * RTSP/1.0\r\nCSeq: 77\r\n\r\n")
        if c.sent % 30 == 20:
            c.write(b"ANNOUNCE rtsp://127.0.0.1/x RTSP/1.0\r\nCSeq: 78\r\nContent-Length: 4\r\n\r\nv=0\n")
        super().send_frame(c)


@mode("play-info-wrong")
class PlayInfoWrong(Mode):
    """RTP-Info with sequence and time of another stream."""

    def answer_play(self, c, request):
        c.reply(request, headers=f"Session: {c.session}\r\nRTP-Info: url=nowhere;seq=0;rtptime=4294967295,url=;seq=;rtptime=\r\n")


# ------------------------------ the wire ------------------------------

@mode("half-close")
class HalfClose(Mode):
    """After 5 s it stops sending but keeps the connection half open."""
    expects = "restarts"
    share = 0.3

    def send_frame(self, c):
        if c.sent == 50:
            c.socket.shutdown(1)
            c.playing = False
            return
        super().send_frame(c)


@mode("stops")
class Stops(Mode):
    """After 5 s nothing comes any more, on a connection that stays."""
    expects = "restarts"
    share = 0.15

    def send_frame(self, c):
        if c.sent < 50:
            super().send_frame(c)


@mode("hangs-up")
class HangsUp(Mode):
    """Hangs up every 5 s."""
    expects = "restarts"
    share = 0.4

    def send_frame(self, c):
        if c.sent == 50:
            raise Closed
        super().send_frame(c)


@mode("garbage")
class Garbage(Mode):
    """Random bytes between the frames, every 4 s."""
    expects = "restarts"

    def send_frame(self, c):
        if c.sent % 40 == 30:
            c.write(os.urandom(random.randrange(1, 400)).replace(b"$", b"#"))
        super().send_frame(c)


@mode("wrong-length")
class WrongLength(Mode):
    """Every 4 s an interleaved packet says it is longer than it is (a partial write)."""
    expects = "restarts"

    def send_frame(self, c):
        if c.sent % 40 == 30:
            c.write(struct.pack(">BBH", 0x24, 0, 1200) + os.urandom(300))
        super().send_frame(c)


@mode("crumbs")
class Crumbs(Mode):
    """Everything comes in writes of 1 to 40 bytes."""

    def write(self, c, data):
        at = 0
        while at < len(data):
            size = random.randrange(1, 40)
            c.socket.sendall(data[at:at + size])
            at += size


@mode("empty-packets")
class EmptyPackets(Mode):
    """RTP packets without payload, with padding only, too short, of unknown type, on unknown channels."""

    def send_frame(self, c):
        track = c.tracks[0]
        for bad in (b"", b"\x80", b"\x80\x60\0\1\0\0\0\0\0\0\0\0", struct.pack(">BBHII", 0xa0, 96, 5, 0, track.ssrc) + b"\0\0\0\xff",
                    struct.pack(">BBHII", 0x90, 96, 5, 0, track.ssrc) + b"\xbe\xde\xff\xff"):
            c.interleave(track.channel, bad)
        c.interleave(33, os.urandom(50))
        super().send_frame(c)


@mode("countless-units")
class CountlessUnits(Mode):
    """Every 4 s ten thousand small units of one moment, each marked as the end of a frame."""
    expects, damaged = "restarts", True

    def send_frame(self, c):
        if c.sent % 40 == 30:
            track, data = c.tracks[0], []
            for _ in range(10000):
                data.append(struct.pack(">BBHBBHII", 0x24, track.channel, 144, 0x80, 0xe0, track.sequence,
                                        (self.timestamp(c.sent) - 90 + track.offset) & 0xffffffff, track.ssrc))
                data.append(b"\x06\x05\xc8".ljust(132))
                track.sequence = (track.sequence + 1) & 0xffff
            c.write(b"".join(data))
        super().send_frame(c)


@mode("odd-fragments")
class OddFragments(Mode):
    """Fragments without a byte in them; the type of the unit is another in each."""

    def send_frame(self, c):
        parts = []
        for part in PAYLOADS["H264"](self.unit(c.sent)):
            if part[0] & 31 == 28 and not part[1] & 0x80:
                parts.append(bytes([part[0], 2]))
                part = bytes([part[0], part[1] & 0xe0 | 3]) + part[2:]
            parts.append(part)
        for i, part in enumerate(parts):
            c.send_rtp(c.tracks[0], part, self.timestamp(c.sent), i + 1 == len(parts))


@mode("other-source")
class OtherSource(Mode):
    """Packets of an older session (another SSRC) come in between."""

    def send_frame(self, c):
        super().send_frame(c)
        track = c.tracks[0]
        packet = struct.pack(">BBHII", 0x80, 96, (track.sequence + 9000) & 0xffff, 12345, 0x0badf00d)
        c.interleave(track.channel, packet + b"\x41" + os.urandom(700))


@mode("lost-packets")
class LostPackets(Mode):
    """One packet in twenty is missing, even over TCP."""
    damaged = True

    def send_packet(self, c, track, packet):
        if random.random() >= 0.05:
            super().send_packet(c, track, packet)


class Udp(Mode):
    """Over UDP."""
    transport_setting = "udp"

    def set_transport(self, c, track, request):
        import socket
        ports = re.search(r"client_port=(\d+)", request[2].get("transport", ""))
        if not ports:
            super().set_transport(c, track, request)
            return
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("127.0.0.1", 0))
        track.udp = (sock, ("127.0.0.1", int(ports[1])))
        port = sock.getsockname()[1]
        self.transport = (f"Transport: RTP/AVP;unicast;client_port={ports[1]}-{int(ports[1]) + 1};"
                          f"server_port={port}-{port + 1};ssrc={track.ssrc:08X}\r\n")


@mode("udp-good")
class UdpGood(Udp):
    """Over UDP, nothing lost."""


@mode("udp-lossy")
class UdpLossy(Udp):
    """Over UDP: one packet in twenty is lost, one in twenty comes late, some come twice."""
    damaged = True

    def send_packet(self, c, track, packet):
        dice = random.random()
        if dice < 0.05:
            return
        if dice < 0.10 and c.held is None:
            c.held = packet
            return
        c.deliver(track, packet)
        if dice > 0.97:
            c.deliver(track, packet)
        if c.held is not None:
            c.deliver(track, c.held)
            c.held = None


@mode("udp-refused")
class UdpRefused(Mode):
    """Asked for UDP, it answers 461 Unsupported Transport."""
    transport_setting = "udp"
    expects = "refused"
    because = "does not offer UDP"

    def on_setup(self, c, request):
        if "TCP" not in request[2].get("transport", ""):
            c.reply(request, "461 Unsupported Transport")
        else:
            super().on_setup(c, request)
