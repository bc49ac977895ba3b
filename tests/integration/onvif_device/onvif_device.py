#!/usr/bin/python3
"""onvif_device.py - cameras that speak ONVIF, for tests: real SOAP 1.2 answers, WS-Discovery, logins.

usage: onvif_device.py [--count N] [--address 127.0.0.2] [--port 0] [--discovery] [OPTIONS]

Listens on N addresses (the given one and those after it), one port. Prints "ready port=P"
and then nothing. Ends when standard input does.

  --user NAME --password P   login wanted; without: none
  --auth wsse|http           which kind of login: WS-Security digest token, or HTTP digest
  --clock SECONDS            how far its clock is ahead of ours (tokens are checked against it)
  --media2                   offers Media2 with an H.265 profile
  --old                      knows no GetServices
  --streams N                how many streams of an input: 2, or 3 and 4 as cameras have them
  --channels N               a recorder with N video inputs
  --claims HOST              says that its services and streams are at HOST
  --bad MODE                 garbage | dtd | huge | silent | html | endless-profiles | no-stream
"""
import argparse
import base64
import datetime
import hashlib
import http.server
import os
import re
import socket
import socketserver
import struct
import sys
import threading
import time

NS = ('xmlns:env="http://www.w3.org/2003/05/soap-envelope" xmlns:tds="http://www.onvif.org/ver10/device/wsdl" '
      'xmlns:trt="http://www.onvif.org/ver10/media/wsdl" xmlns:tr2="http://www.onvif.org/ver20/media/wsdl" '
      'xmlns:tt="http://www.onvif.org/ver10/schema" xmlns:ter="http://www.onvif.org/ver10/error"')
GROUP, DISCOVERY_PORT = "239.255.255.250", 3702
REALM = "onvif"


def envelope(body):
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<env:Envelope {NS}><env:Body>{body}</env:Body></env:Envelope>'


def fault(subcode, text):
    return envelope(f'<env:Fault><env:Code><env:Value>env:Sender</env:Value><env:Subcode><env:Value>{subcode}'
                    f'</env:Value></env:Subcode></env:Code><env:Reason><env:Text xml:lang="en">{text}</env:Text>'
                    '</env:Reason></env:Fault>')


class Device:
    """What one camera answers; nothing here knows about sockets."""

    def __init__(self, options, number):
        self.o = options
        self.number = number
        self.nonces = set()

    def now(self):
        return datetime.datetime.utcnow() + datetime.timedelta(seconds=self.o.clock)

    def token_is_good(self, request):
        """WS-Security UsernameToken: digest right, fresh by our clock, nonce new."""
        fields = {}
        for name in ("Username", "Password", "Nonce", "Created"):
            match = re.search(r"<(?:\w+:)?%s(?:\s[^>]*)?>([^<]*)<" % name, request)
            if not match:
                return False
            fields[name] = match[1]
        if "#PasswordDigest" not in request or fields["Username"] != self.o.user:
            return False
        nonce = base64.b64decode(fields["Nonce"])
        created = datetime.datetime.strptime(fields["Created"][:19], "%Y-%m-%dT%H:%M:%S")
        if abs((self.now() - created).total_seconds()) > 30 or nonce in self.nonces:
            return False
        self.nonces.add(nonce)
        wanted = hashlib.sha1(nonce + fields["Created"].encode() + self.o.password.encode()).digest()
        return base64.b64decode(fields["Password"]) == wanted

    def answer(self, request, base, stream_base):
        """(HTTP status, text) for REQUEST. BASE and STREAM_BASE: where services and streams are said to be."""
        match = re.search(r"<(?:\w+:)?Body>\s*<(?:(\w+):)?(\w+)", request)
        if not match:
            return 400, fault("ter:WellFormed", "what?")
        action, version2 = match[2], match[1] == "tr2"
        if action == "GetSystemDateAndTime":
            return 200, self.clock()
        if self.o.user and self.o.auth == "wsse" and not self.token_is_good(request):
            return 400, fault("ter:NotAuthorized", "Sender not Authorized")
        return self.ask(action, version2, request, base, stream_base)

    def ask(self, action, version2, request, base, stream_base):
        if action == "GetDeviceInformation":
            return 200, envelope(
                "<tds:GetDeviceInformationResponse><tds:Manufacturer>Kampung</tds:Manufacturer>"
                f"<tds:Model>KT-{self.number}</tds:Model><tds:FirmwareVersion>1.2</tds:FirmwareVersion>"
                f"<tds:SerialNumber>{self.number:08d}</tds:SerialNumber><tds:HardwareId>1</tds:HardwareId>"
                "</tds:GetDeviceInformationResponse>")
        if action == "GetServices" and not self.o.old:
            return 200, self.services(base)
        if action == "GetCapabilities":
            return 200, envelope(
                f"<tds:GetCapabilitiesResponse><tds:Capabilities><tt:Device><tt:XAddr>{base}/onvif/device_service"
                f"</tt:XAddr></tt:Device><tt:Media><tt:XAddr>{base}/onvif/media</tt:XAddr></tt:Media>"
                "</tds:Capabilities></tds:GetCapabilitiesResponse>")
        if action == "GetProfiles":
            return 200, self.profiles2() if version2 else self.profiles()
        if action in ("GetStreamUri", "GetSnapshotUri"):
            return self.uri(action, version2, request, base, stream_base)
        return 500, fault("ter:ActionNotSupported", "Optional Action Not Implemented")

    def clock(self):
        t = self.now()
        return envelope(
            "<tds:GetSystemDateAndTimeResponse><tds:SystemDateAndTime><tt:DateTimeType>NTP</tt:DateTimeType>"
            "<tt:DaylightSavings>false</tt:DaylightSavings><tt:TimeZone><tt:TZ>WIB-7</tt:TZ></tt:TimeZone>"
            f"<tt:UTCDateTime><tt:Time><tt:Hour>{t.hour}</tt:Hour><tt:Minute>{t.minute}</tt:Minute>"
            f"<tt:Second>{t.second}</tt:Second></tt:Time><tt:Date><tt:Year>{t.year}</tt:Year>"
            f"<tt:Month>{t.month}</tt:Month><tt:Day>{t.day}</tt:Day></tt:Date></tt:UTCDateTime>"
            "</tds:SystemDateAndTime></tds:GetSystemDateAndTimeResponse>")

    def services(self, base):
        known = [("http://www.onvif.org/ver10/device/wsdl", "device_service"),
                 ("http://www.onvif.org/ver10/media/wsdl", "media")]
        if self.o.media2:
            known.append(("http://www.onvif.org/ver20/media/wsdl", "media2"))
        return envelope("<tds:GetServicesResponse>" + "".join(
            f"<tds:Service><tds:Namespace>{ns}</tds:Namespace><tds:XAddr>{base}/onvif/{path}</tds:XAddr>"
            "<tds:Version><tt:Major>2</tt:Major><tt:Minor>60</tt:Minor></tds:Version></tds:Service>"
            for ns, path in known) + "</tds:GetServicesResponse>")

    def profiles(self):
        sizes = [("main", 1920, 1080, 15, 2048, "H264"), ("sub", 640, 360, 10, 300, "H264"), ("third", 704, 576, 5, 900, "JPEG"),
                 ("phone", 320, 180, 5, 100, "H264")][:self.o.streams]
        count = 200 if self.o.bad == "endless-profiles" else self.o.channels
        return envelope("<trt:GetProfilesResponse>" + "".join(
            f'<trt:Profiles token="c{c}_{name}" fixed="true"><tt:Name>{name} &amp; {c}</tt:Name>'
            f'<tt:VideoSourceConfiguration token="vsc{c}"><tt:SourceToken>source{c}</tt:SourceToken>'
            f"</tt:VideoSourceConfiguration><tt:VideoEncoderConfiguration><tt:Encoding>{codec}</tt:Encoding>"
            f"<tt:Resolution><tt:Width>{w}</tt:Width><tt:Height>{h}</tt:Height></tt:Resolution><tt:RateControl>"
            f"<tt:FrameRateLimit>{fps}</tt:FrameRateLimit><tt:BitrateLimit>{kbps}</tt:BitrateLimit>"
            "</tt:RateControl></tt:VideoEncoderConfiguration></trt:Profiles>"
            for c in range(count) for name, w, h, fps, kbps, codec in sizes) + "</trt:GetProfilesResponse>")

    def profiles2(self):
        return envelope(
            '<tr2:GetProfilesResponse><tr2:Profiles token="p1"><tr2:Name>4K</tr2:Name><tr2:Configurations>'
            '<tr2:VideoSource token="v"><tt:SourceToken>s</tt:SourceToken></tr2:VideoSource><tr2:VideoEncoder token="e">'
            "<tt:Encoding>H265</tt:Encoding><tt:Resolution><tt:Width>3840</tt:Width><tt:Height>2160</tt:Height>"
            "</tt:Resolution><tt:RateControl><tt:FrameRateLimit>12.5</tt:FrameRateLimit><tt:BitrateLimit>4096"
            "</tt:BitrateLimit></tt:RateControl></tr2:VideoEncoder></tr2:Configurations></tr2:Profiles>"
            '<tr2:Profiles token="audio-only"><tr2:Name>a</tr2:Name></tr2:Profiles></tr2:GetProfilesResponse>')

    def uri(self, action, version2, request, base, stream_base):
        token = re.search(r"ProfileToken>([^<]*)<", request)[1]
        if self.o.bad == "no-stream" or (action == "GetSnapshotUri" and self.o.old):
            return 400, fault("ter:InvalidArgVal", "no such profile")
        stream = f"{stream_base}/{token}?user=x&amp;a=1"
        if self.o.rtsp:         # where kt-camera is
            stream = f"{stream_base.rsplit(':', 1)[0]}:{self.o.rtsp}/cam{self.number:02d}/{token.rsplit('_', 1)[1]}"
        uri = stream if action == "GetStreamUri" else f"{base}/snap/{token}.jpg"
        if version2:
            return 200, envelope(f"<tr2:{action}Response><tr2:Uri>{uri}</tr2:Uri></tr2:{action}Response>")
        return 200, envelope(f"<trt:{action}Response><trt:MediaUri><tt:Uri>{uri}</tt:Uri><tt:Timeout>PT0S"
                             f"</tt:Timeout></trt:MediaUri></trt:{action}Response>")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def reply(self, status, text, content="application/soap+xml; charset=utf-8", headers=()):
        data = text.encode()
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Type", content)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def http_digest_is_good(self):
        fields = dict(re.findall(r'(\w+)="?([^",]*)"?', self.headers.get("Authorization", "")))
        if fields.get("username") != self.server.o.user or "response" not in fields:
            return False
        md5 = lambda text: hashlib.md5(text.encode()).hexdigest()
        ha1 = md5(f"{fields['username']}:{REALM}:{self.server.o.password}")
        ha2 = md5(f"POST:{fields['uri']}")
        return fields["response"] == md5(f"{ha1}:{fields['nonce']}:{fields['nc']}:{fields['cnonce']}:auth:{ha2}")

    def bad_answer(self):
        bad = self.server.o.bad
        if bad == "silent":
            time.sleep(15)
        elif bad == "garbage":
            self.reply(200, "\0\1<<<>>&&" * 50)
        elif bad == "html":
            self.reply(200, "<html><body>Login</body></html>", "text/html")
        elif bad == "huge":
            self.reply(200, envelope("<x>" + "A" * (8 << 20) + "</x>"))
        elif bad == "dtd":
            self.reply(200, '<?xml version="1.0"?><!DOCTYPE e [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">'
                            '<!ENTITY f SYSTEM "file:///etc/hostname">]><e>&b;&f;</e>')
        else:
            return False
        return True

    def do_POST(self):
        request = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode(errors="replace")
        o = self.server.o
        try:
            if self.bad_answer():
                return
            if o.user and o.auth == "http" and "GetSystemDateAndTime" not in request and not self.http_digest_is_good():
                nonce = os.urandom(8).hex()
                self.reply(401, "", headers=[("WWW-Authenticate",
                                              f'Digest realm="{REALM}", qop="auth", nonce="{nonce}", algorithm=MD5')])
                return
            address, port = self.server.server_address
            host = o.claims or address
            self.reply(*self.server.device.answer(request, f"http://{host}:{port}", f"rtsp://{host}:{port + 1}"))
        except OSError:
            pass


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64


def announce(server, o):
    """Answer WS-Discovery probes that reach ADDRESS by multicast."""
    address, port = server.server_address
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((GROUP, DISCOVERY_PORT))
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                    struct.pack("4s4s", socket.inet_aton(GROUP), socket.inet_aton("127.0.0.1")))
    back = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    back.bind((address, 0))
    while True:
        data, sender = sock.recvfrom(65536)
        message = re.search(r"MessageID>([^<]*)<", data.decode(errors="replace"))
        if b"Probe" not in data or not message:
            continue
        host = o.claims or address
        back.sendto(f"""<?xml version="1.0" encoding="UTF-8"?>
<e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope" xmlns:w="http://schemas.xmlsoap.org/ws/2004/08/addressing"
 xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery" xmlns:dn="http://www.onvif.org/ver10/network/wsdl"><e:Header>
<w:RelatesTo>{message[1]}</w:RelatesTo></e:Header><e:Body><d:ProbeMatches><d:ProbeMatch><w:EndpointReference>
<w:Address>urn:uuid:00000000-0000-4000-8000-{server.device.number:012d}</w:Address></w:EndpointReference>
<d:Types>dn:NetworkVideoTransmitter</d:Types><d:Scopes>onvif://www.onvif.org/Profile/Streaming
 onvif://www.onvif.org/name/Gerbang%20{server.device.number} onvif://www.onvif.org/hardware/KT</d:Scopes>
<d:XAddrs>http://[fe80::1]/onvif/device_service http://{host}:{port}/onvif/device_service</d:XAddrs>
<d:MetadataVersion>1</d:MetadataVersion></d:ProbeMatch></d:ProbeMatches></e:Body></e:Envelope>""".encode(), sender)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--count", type=int, default=1)
    p.add_argument("--streams", type=int, default=2)
    p.add_argument("--address", default="127.0.0.1")
    p.add_argument("--port", type=int, default=0)
    p.add_argument("--discovery", action="store_true")
    p.add_argument("--user", default="")
    p.add_argument("--password", default="")
    p.add_argument("--auth", choices=["wsse", "http"], default="wsse")
    p.add_argument("--clock", type=float, default=0)
    p.add_argument("--media2", action="store_true")
    p.add_argument("--old", action="store_true")
    p.add_argument("--channels", type=int, default=1)
    p.add_argument("--claims", default="")
    p.add_argument("--bad", default="")
    p.add_argument("--rtsp", type=int, default=0)
    o = p.parse_args()
    first, port = struct.unpack("!I", socket.inet_aton(o.address))[0], o.port
    for number in range(o.count):
        server = Server((socket.inet_ntoa(struct.pack("!I", first + number)), port), Handler)
        port = server.server_address[1]
        server.o, server.device = o, Device(o, number + 1)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        if o.discovery:
            threading.Thread(target=announce, args=(server, o), daemon=True).start()
    print(f"ready port={port}", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
