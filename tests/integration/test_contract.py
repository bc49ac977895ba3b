#!/usr/bin/python3
"""docs/openapi.yaml is the contract: every route of it is asked, rightly and wrongly, and every answer is held against it."""
import base64
import datetime
import json
import re
import time
import urllib.parse

import yaml

from kt import PASSWORD, ROOT, SLOW, Cameras, Server, WebSocket, camera_list, format_time, note, resolve, run, test, wait_for

API = yaml.safe_load((ROOT / "docs/openapi.yaml").read_text())
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
TYPES = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "boolean": bool,
         "null": type(None)}
METHODS = ("get", "put", "post", "patch", "delete")

cameras = Cameras(1)
entry = camera_list(cameras)[0]
server = Server([entry], ring="64 MiB")
server.config.write_text(server.config.read_text().replace("language: id", "language: id, allow_loopback: true").replace(
    "cameras:", f"  vault: {{ path: {server.folder}/vault, max_size: 256 MiB }}\ncameras:"))
server.start()
server.wait_recording(["cam01"], 15)
began = time.time()
asked = set()


# ------------------------------ the document ------------------------------

def mismatches(schema, value, at="$"):
    """Where VALUE is not what SCHEMA says; a field that it does not name counts."""
    schema = resolve(API, schema)
    kinds = schema.get("type", "object")
    kinds = kinds if isinstance(kinds, list) else [kinds]
    if not any(isinstance(value, TYPES[k]) and not (isinstance(value, bool) and k in ("integer", "number"))
               for k in kinds):
        yield f"{at}: {value!r} is not {kinds}"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{at}: {value!r} is none of {schema['enum']}"
    if schema.get("format") == "date-time" and value is not None and not TIME.fullmatch(value):
        yield f"{at}: {value!r} is no time in UTC with milliseconds"
    if isinstance(value, (int, float)) and not isinstance(value, bool) and not (
            schema.get("minimum", value) <= value <= schema.get("maximum", value)):
        yield f"{at}: {value} is out of range"
    if isinstance(value, dict) and "properties" in schema:
        yield from (f"{at}: {name} is missing" for name in schema.get("required", ()) if name not in value)
        for name, inner in value.items():
            if name in schema["properties"]:
                yield from mismatches(schema["properties"][name], inner, f"{at}.{name}")
            else:
                yield f"{at}.{name} is not documented"
    if isinstance(value, list):
        for i, inner in enumerate(value):
            yield from mismatches(schema.get("items", {"type": list(TYPES)}), inner, f"{at}[{i}]")


def operation(method, path):
    """The documented operation of a request, and its pattern."""
    path = path.split("?")[0]
    for pattern, item in API["paths"].items():
        if method.lower() in item and re.fullmatch(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(pattern)), path):
            exact = pattern if "{" not in pattern else None
            if exact or path not in API["paths"]:
                return pattern, item[method.lower()]
    raise AssertionError(f"{method} {path} is not documented")


def check_headers(what, answer):
    for name, value in (("X-Content-Type-Options", "nosniff"), ("X-Frame-Options", "DENY"),
                        ("Referrer-Policy", "no-referrer"), ("Cross-Origin-Resource-Policy", "same-origin")):
        assert answer.headers[name] == value, f"{what}: {name} is {answer.headers[name]}"
    assert "Content-Security-Policy" in answer.headers and answer.headers["Cache-Control"], f"{what}: {answer.headers}"


def ask(method, path, body=None, status=None, **kwargs):
    """Ask, and hold the answer against the document."""
    pattern, op = operation(method, path)
    answer = server.request(method, path, body, **kwargs)
    what = f"{method} {path}"
    assert status is None or answer.status == status, f"{what}: {answer.status} {answer.body[:300]!r}"
    asked.add((method.lower(), pattern))
    check_headers(what, answer)
    kind = answer.headers.get("Content-Type", "").split(";")[0]
    documented = op["responses"].get(str(answer.status))
    if answer.status >= 400:
        assert kind == "application/problem+json", f"{what}: {answer.status} is {kind}"
        assert answer.json()["status"] == answer.status
        wrong = list(mismatches(API["components"]["schemas"]["Problem"], answer.json()))
        # 401, 403 for the wrong role, 413 and 415 are of all routes.
        assert documented or answer.status in (401, 403, 413, 415), f"{what}: {answer.status} is not documented"
        assert not wrong, f"{what}: {wrong}"
        return answer
    assert documented, f"{what}: {answer.status} is not documented"
    content = resolve(API, documented).get("content")
    if content is None:
        assert not answer.body, f"{what}: {answer.body[:100]!r} where nothing is documented"
        return answer
    assert kind in content, f"{what}: {kind} is not one of {list(content)}"
    if kind == "application/json":
        wrong = list(mismatches(content[kind]["schema"], answer.json()))
        assert not wrong, f"{what}: {wrong[:5]}"
        assert answer.headers["Cache-Control"] == "no-store", f"{what}: {answer.headers['Cache-Control']}"
    return answer


def span(first=-8, last=0):
    now = time.time()
    return urllib.parse.urlencode({"from": format_time(now + first), "to": format_time(now + last)})


# ------------------------------ every route, rightly ------------------------------

@test("what says who one is, and one's own things, answers as documented")
def own():
    ask("POST", "/session", {"username": "admin", "password": PASSWORD}, 200, cookie=False)
    ask("POST", "/session", {"username": "admin", "password": "salah-sekali"}, 401, cookie=False)
    ask("GET", "/session", None, 200)
    ask("GET", "/session", None, 401, cookie=False)
    ask("POST", "/session/totp", None, 200)
    ask("PUT", "/session/totp", {"code": "000000"}, 400)
    ask("DELETE", "/session/totp", {"password": "salah-sekali"}, 403)
    ask("DELETE", "/session/totp", {"password": PASSWORD}, 204)
    sessions = ask("GET", "/session/all", None, 200).json()["items"]
    other = [s["id"] for s in sessions if not s["current"]]
    ask("DELETE", f"/session/all/{other[0]}", None, 204)
    ask("DELETE", f"/session/all/{other[0]}", None, 404)
    ask("GET", "/session/settings", None, 200)
    ask("PUT", "/session/settings", {"wall": [1]}, 204)
    ask("PUT", "/session/settings", "[1]", 400)
    ask("PUT", "/session/password", {"old": "salah-sekali", "new": "ronda-malam-jumat"}, 403)
    ask("PUT", "/session/password", {"old": PASSWORD, "new": "123"}, 400)


@test("cameras and their recordings answer as documented")
def recordings():
    ask("GET", "/cameras", None, 200)
    ask("GET", "/cameras/cam01", None, 200)
    ask("GET", "/cameras/tiada", None, 404)
    added = ask("POST", "/cameras", {"id": "baru", "name": "Baru", "main": cameras.url(0), "enabled": False}, 201)
    assert added.headers["Location"] == "/api/v1/cameras/baru"
    ask("POST", "/cameras", {"id": "baru", "name": "Baru", "main": cameras.url(0)}, 409)
    ask("POST", "/cameras", {"id": "Salah!", "name": "Baru", "main": cameras.url(0)}, 400)
    ask("PATCH", "/cameras/baru", {"name": "Lain", "rules": {"version": 1, "zones": []}}, 200)
    ask("PATCH", "/cameras/cam01", {"name": "Lain"}, 403)
    ask("PATCH", "/cameras/tiada", {"name": "Lain"}, 404)
    ask("GET", "/cameras/baru/snapshot.jpg", None, 503)
    ask("DELETE", "/cameras/baru", None, 204)
    ask("DELETE", "/cameras/cam01", None, 403)
    ask("DELETE", "/cameras/tiada", None, 404)
    ask("POST", "/cameras/test", {"url": cameras.url(0)}, 200)
    ask("POST", "/cameras/test", {"url": "rtsp://127.0.0.1:1/x"}, 200)
    ask("POST", "/cameras/test", {"url": "http//x"}, 400)
    ask("POST", "/cameras/discover", {"range": "salah"}, 400)
    wait_for("there is a picture", 20, lambda: server.request("GET", "/cameras/cam01/snapshot.jpg").status == 200)
    assert ask("GET", "/cameras/cam01/snapshot.jpg", None, 200).body[:2] == b"\xff\xd8"
    wait_for("there is video to play", 20, lambda: server.get(f"/cameras/cam01/segments?{span()}").json()["items"])
    segment = ask("GET", f"/cameras/cam01/segments?{span()}", None, 200).json()["items"][0]
    for field in ("init", "url"):
        path = segment[field].removeprefix("/api/v1")
        answer = ask("GET", path, None, 200)
        assert "immutable" in answer.headers["Cache-Control"]
    ask("GET", "/cameras/cam01/segment.m4s?first=1&last=999999999", None)
    ask("GET", "/cameras/cam01/segment.m4s?first=x", None, 400)
    ask("GET", f"/inits/{'0' * 64}.mp4", None, 404)
    assert ask("GET", f"/cameras/cam01/playlist.m3u8?{span()}", None, 200).body.startswith(b"#EXTM3U")
    frame = ask("GET", f"/cameras/cam01/keyframe.mp4?at={format_time(time.time() - 1)}", None, 200)
    assert TIME.fullmatch(frame.headers["Kentongan-Start"])
    ask("GET", "/cameras/cam01/keyframe.mp4?at=2001-01-01T00:00:00Z", None, 404)
    ask("GET", "/cameras/cam01/keyframe.mp4", None, 400)
    for kind in ("segments", "playlist.m3u8", "clip.mp4", "activity"):
        ask("GET", f"/cameras/tiada/{kind}?{span()}", None, 404)
        ask("GET", f"/cameras/cam01/{kind}?{span(0, -9)}", None, 416)
        for query in ("", "?from=x&to=y", "?from=2026-01-01&to=2026-01-02", f"?{span()}&stream=lain"):
            if "stream" not in query or kind != "activity":
                ask("GET", f"/cameras/cam01/{kind}{query}", None, 400)
    ask("GET", f"/cameras/cam01/activity?{span()}&cells={'f' * 36}", None, 200)
    ask("GET", f"/cameras/cam01/activity?{span()}&cells=zz", None, 400)


@test("a clip has a known length, and every part of it can be asked for")
def parts():
    path = f"/cameras/cam01/clip.mp4?{urllib.parse.urlencode({'from': format_time(began), 'to': format_time(began + 3)})}"
    wait_for("these seconds are on disk", 20, lambda: time.time() > began + 6)
    whole = ask("GET", path, None, 200)
    assert int(whole.headers["Content-Length"]) == len(whole.body) and whole.headers["Accept-Ranges"] == "bytes"
    n, etag = len(whole.body), whole.headers["ETag"]
    head = server.request("HEAD", path)
    assert head.status == 200 and int(head.headers["Content-Length"]) == n and not head.body
    for text, first, last in (("0-0", 0, 0), ("100-299", 100, 299), (f"{n - 5}-", n - 5, n - 1), ("-7", n - 7, n - 1),
                              (f"5-{n + 999}", 5, n - 1)):
        part = ask("GET", path, None, 206, headers={"Range": f"bytes={text}", "If-Range": etag})
        assert part.body == whole.body[first:last + 1] and part.headers["Content-Range"] == f"bytes {first}-{last}/{n}"
    assert ask("GET", path, None, 200, headers={"Range": "bytes=0-9", "If-Range": '"lain"'}).body == whole.body
    assert ask("GET", path, None, 416, headers={"Range": f"bytes={n}-"}).headers["Content-Range"] == f"bytes */{n}"
    for text in ("bytes=9-3", "lines=1-2", "bytes=0-1,4-5", "bytes=x"):
        assert ask("GET", path, None, 200, headers={"Range": text}).body == whole.body, text


@test("events and the timeline answer as documented")
def events():
    event = wait_for("something moved", 90, lambda: server.events(type="motion"))[0]
    number = event["id"]
    ask("GET", "/events", None, 200)
    ask("GET", f"/events?camera=cam01&type=motion,line&seen=false&limit=1&{span(-900)}", None, 200)
    for query in ("limit=0", "limit=1001", "limit=x", "seen=maybe", "cursor=zz", "from=x"):
        ask("GET", f"/events?{query}", None, 400)
    assert ask("GET", "/events?camera=tiada", None, 200).json()["items"] == []
    ask("GET", f"/events?{span(0, -9)}", None, 416)
    ask("GET", f"/events/{number}", None, 200)
    assert ask("PATCH", f"/events/{number}", {"seen": True}, 200).json()["seen"] is True
    ask("PATCH", f"/events/{number}", {"seen": 1}, 400)
    ask("POST", "/events/seen", {"ids": [number], "seen": False}, 204)
    ask("POST", "/events/seen", {"ids": "semua", "seen": False}, 400)
    for wrong in ("999999999", "x", "-1", "99999999999999999999999"):
        ask("GET", f"/events/{wrong}", None, 404)
    wait_for("the picture of the event", 20, lambda: server.get(f"/events/{number}").json()["thumbnail"])
    assert ask("GET", f"/events/{number}/thumbnail.jpg", None, 200).body[:2] == b"\xff\xd8"
    ask("GET", f"/events/{number}/clip.mp4", None, 200)
    ask("GET", f"/events/{number}/clip.mp4", None, 206, headers={"Range": "bytes=0-99"})
    whole = ask("GET", f"/timeline?{span(-60)}", None, 200).json()
    assert [c["id"] for c in whole["cameras"]] == ["cam01"] and whole["buckets"] == 512
    one = ask("GET", f"/timeline?camera=cam01&buckets=4&{span(-60)}", None, 200).json()
    assert len(base64.b64decode(one["cameras"][0]["heat"])) in (0, 4)
    ask("GET", "/timeline", None, 400)
    ask("GET", f"/timeline?{span(0, -9)}", None, 416)
    for wrong in ("0", "4097", "x"):
        ask("GET", f"/timeline?buckets={wrong}&{span()}", None, 400)


@test("the live socket says of an event what the HTTP API says")
def live_event():
    view = WebSocket(server)
    view.socket.settimeout(120 * SLOW)
    while True:
        opcode, data = view.hear()
        if opcode == 1 and json.loads(data)["op"] == "event":
            break
    view.close()
    message = json.loads(data)
    assert message["phase"] in ("open", "update", "close"), message
    wrong = list(mismatches(API["components"]["schemas"]["Event"], message["event"]))
    assert not wrong, wrong
    ask("GET", f"/events/{message['event']['id']}", None, 200)


@test("a trial of rules answers as documented")
def trial():
    rules = {"version": 1, "zones": [{"name": "semua"}]}
    begin, end = (datetime.datetime.fromtimestamp(time.time() + s, datetime.timezone.utc).isoformat().replace("+00:00", "Z")
                  for s in (-20, 0))
    ask("POST", "/cameras/cam01/rules/trial", {"rules": {"version": 9}, "from": begin, "to": end}, 400)
    ask("POST", "/cameras/tiada/rules/trial", {"rules": None, "from": begin, "to": end}, 404)
    ask("POST", "/cameras/cam01/rules/trial", {"rules": rules, "from": begin, "to": end}, 202)
    wait_for("the trial ended", 60, lambda: ask("GET", "/cameras/cam01/rules/trial", None, 200).json()["state"] == "done")
    ask("DELETE", "/cameras/cam01/rules/trial", None)


@test("incidents, holds, packages and links answer as documented")
def evidence():
    now = time.time()
    what = {"title": "Motor hilang", "from": format_time(now - 10), "to": format_time(now - 2), "cameras": ["cam01"],
            "notes": "Pak RT melihat"}
    number = ask("POST", "/incidents", what, 201).json()["id"]
    for wrong in ({**what, "from": "kemarin"}, {**what, "title": 7}, {**what, "to": what["from"]}, {**what, "lain": 1}):
        ask("POST", "/incidents", wrong, 400)
    ask("GET", "/incidents", None, 200)
    ask("GET", f"/incidents/{number}", None, 200)
    ask("GET", "/incidents/999", None, 404)
    ask("PATCH", f"/incidents/{number}", {"notes": "lain"}, 200)
    ask("POST", f"/incidents/{number}/events", {"event": server.events()[0]["id"]}, 200)
    ask("POST", f"/incidents/{number}/events", {"event": 999999}, None)
    ask("POST", "/users", {"username": "aiptu-budi", "password": "ronda-malam-jumat", "role": "police"}, 201)
    ask("POST", f"/incidents/{number}/sharing", {"username": "aiptu-budi"}, 200)
    ask("POST", f"/incidents/{number}/sharing", {"username": "tiada"}, None)
    ours = server.cookie
    server.login("aiptu-budi", "ronda-malam-jumat")
    assert ask("GET", f"/incidents/{number}", None, 200).json()["names"] == {"cam01": "cam01"}
    ask("GET", "/incidents", None, 200)
    assert ask("GET", "/cameras", None, 200).json()["items"] == ask("GET", "/system", None, 200).json()["cameras"] == []
    server.cookie = ours
    hold = ask("POST", f"/incidents/{number}/holds", {}, 202).json()["items"][0]["id"]
    wait_for("it is held", 30, lambda: ask("GET", "/holds", None, 200).json()["items"][0]["state"] == "done")
    export = ask("POST", "/exports", {"incident": number, "officer": "Aiptu Budi"}, 202).json()["id"]
    ask("POST", "/exports", {"incident": 999}, 404)
    ask("POST", "/exports", {"incident": number, "kind": "lain"}, 400)
    wait_for("the package is there", 60, lambda: ask("GET", f"/exports/{export}", None, 200).json()["state"] == "done")
    ask("GET", f"/exports?incident={number}", None, 200)
    package = ask("GET", f"/exports/{export}/package.zip", None, 200)
    assert package.body[:2] == b"PK" and "attachment" in package.headers["Content-Disposition"]
    ask("GET", f"/exports/{export}/package.zip", None, 206, headers={"Range": "bytes=0-1"})
    ask("GET", f"/exports/{export}/package.zip", None, 416, headers={"Range": "bytes=99999999999-"})
    ask("GET", f"/exports/{export}/berita-acara.html", None, 200)
    share = ask("POST", f"/exports/{export}/shares", {"days": 2, "max_downloads": 1, "note": "Polsek"}, 201).json()
    for wrong in ({"days": 0}, {"days": 366}, {"pin": "12"}, {"max_downloads": -1}):
        ask("POST", f"/exports/{export}/shares", wrong, 400)
    ask("GET", f"/exports/{export}/shares", None, 200)
    page = server.request("GET", "/" + share["path"], cookie=False)
    check_headers(share["path"], page)
    assert page.status == 200 and page.headers["Content-Type"].startswith("text/html")
    ask("GET", f"/shares/{share['id']}/log", None, 200)
    ask("DELETE", f"/shares/{share['id']}", None, 204)
    gone = server.request("GET", "/" + share["path"], cookie=False)
    assert gone.status in (404, 410), gone.status
    ask("DELETE", f"/incidents/{number}", None, 409)
    ask("DELETE", f"/exports/{export}", None, 204)
    ask("DELETE", f"/holds/{hold}", None, 204)
    wait_for("it is let go", 20, lambda: server.get("/holds").json()["items"][0]["state"] == "cancelled")
    ask("DELETE", f"/holds/999", None, 404)
    ask("DELETE", f"/incidents/{number}", None, 409)                # it is remembered who was given a package
    spare = ask("POST", "/incidents", what, 201).json()["id"]
    held = ask("POST", f"/incidents/{spare}/holds", {}, 202).json()["items"][0]["id"]
    wait_for("it is held", 30, lambda: {"done"} == {h["state"] for h in server.get("/holds").json()["items"] if h["id"] == held})
    for _ in range(8):      # whatever the worker does just then: what was withdrawn does not come back
        export = ask("POST", "/exports", {"incident": spare}, 202).json()["id"]
        ask("DELETE", f"/exports/{export}", None, 204)
    wait_for("all are withdrawn", 20, lambda: {e["state"] for e in server.get(f"/exports?incident={spare}").json()["items"]}
             == {"cancelled"})
    ask("GET", f"/exports/{export}/package.zip", None, 409)
    ask("DELETE", f"/incidents/{spare}", None, 409)
    ask("DELETE", f"/holds/{held}", None, 204)
    wait_for("nothing holds it", 20, lambda: ask("DELETE", f"/incidents/{spare}", None).status == 204)
    ask("DELETE", f"/incidents/{spare}", None, 404)


@test("users, invitations, settings, the audit log and the system answer as documented")
def rest():
    for path in ("/system", "/settings", "/logs", "/logs?limit=3", "/users", "/invitations", "/audit", "/audit?limit=2",
                 "/audit.csv", "/audit/verify", "/openapi.yaml"):
        ask("GET", path, None, 200)
    for path in ("/logs?limit=0", "/logs?limit=x", "/audit?limit=1001", "/audit?cursor=zz", "/audit?from=x", "/audit.csv?to=x"):
        ask("GET", path, None, 400)
    first = ask("GET", "/audit?limit=2", None, 200).json()
    second = ask("GET", f"/audit?limit=2&cursor={first['next']}", None, 200).json()
    assert not {r["id"] for r in first["items"]} & {r["id"] for r in second["items"]}
    ask("PUT", "/settings", {"volunteer_hours": 48}, 200)
    for wrong in ({"volunteer_hours": -1}, {"volunteer_hours": 8785}, {"volunteer_hours": "x"}, {}):
        ask("PUT", "/settings", wrong, 400)
    ask("POST", "/users", {"username": "bu-siti", "password": "ronda-malam-jumat", "role": "volunteer"}, 201)
    ask("POST", "/users", {"username": "bu-siti", "password": "ronda-malam-jumat", "role": "volunteer"}, 409)
    for wrong in ({"username": "a b", "password": "ronda-malam-jumat", "role": "head"},
                  {"username": "b", "password": "pendek", "role": "head"},
                  {"username": "b", "password": "ronda-malam-jumat", "role": "raja"}):
        ask("POST", "/users", wrong, 400)
    ask("PATCH", "/users/bu-siti", {"cameras": ["cam01"], "disabled": False}, 200)
    ask("PATCH", "/users/bu-siti", {"role": "raja"}, 400)
    ask("PATCH", "/users/tiada", {"role": "head"}, 404)
    ask("DELETE", "/users/bu-siti/sessions", None, 204)
    ask("DELETE", "/users/bu-siti/totp", None, 204)
    ask("DELETE", "/users/tiada/totp", None, 404)
    ask("DELETE", "/users/bu-siti", None, 204)
    ask("DELETE", "/users/bu-siti", None, 404)
    token = ask("POST", "/invitations", {"role": "volunteer", "note": "Pak Joko", "days": 3}, 201).json()["token"]
    for wrong in ({"role": "raja"}, {"role": "head", "days": 61}, {"role": "head", "days": 0}, {}):
        ask("POST", "/invitations", wrong, 400)
    ask("POST", "/invitation/look", {"token": token}, 200, cookie=False)
    ask("POST", "/invitation/look", {"token": "salah"}, 404, cookie=False)
    ask("POST", "/invitation/accept", {"token": token, "username": "joko", "password": "pendek"}, 400, cookie=False)
    ask("POST", "/invitation/accept", {"token": token, "username": "joko", "password": "ronda-malam-jumat"}, 204, cookie=False)
    ask("POST", "/invitation/accept", {"token": token, "username": "joko2", "password": "ronda-malam-jumat"}, 404, cookie=False)
    ask("POST", "/invitations", {"role": "volunteer"}, 201)
    number = ask("GET", "/invitations", None, 200).json()["items"][0]["id"]
    ask("DELETE", f"/invitations/{number}", None, 204)
    ask("DELETE", f"/invitations/{number}", None, 404)
    ask("GET", "/live", None, None)
    ask("DELETE", f"/cameras/cam01/recordings?{span(-600, -590)}", None, 400)
    ask("DELETE", f"/cameras/cam01/recordings?{span(-600, -590)}", {"reason": "atas permintaan warga"}, 200)
    ask("DELETE", f"/cameras/cam01/recordings?{span(0, -9)}", {"reason": "atas permintaan warga"}, 416)


@test("another method is refused with those there are, and a body is what it says or refused")
def methods():
    for pattern, item in API["paths"].items():
        path = "//api/v1" + re.sub(r"\{\w+\}", "1", pattern)
        there = {m.upper() for m in METHODS if m in item}
        answer = server.request("BREW", path)
        assert answer.status == 405, f"BREW {path}: {answer.status}"
        check_headers(path, answer)
        allowed = set(answer.headers["Allow"].split(", "))
        assert allowed >= there and ("HEAD" in allowed) == ("GET" in allowed), f"{path}: {allowed}, documented {there}"
        for method in METHODS:
            body = resolve(API, item[method])["requestBody"] if "requestBody" in item.get(method, {}) else None
            if body and resolve(API, body).get("required"):
                wrongs = (b"", b"{", b"[]", b'"x"') + ((b'{"tiada-begini":1}',) if pattern != "/session/settings" else ())
                for wrong in wrongs:
                    status = server.request(method.upper(), path, wrong).status
                    # 404 or 403: what the path names is looked at first.
                    assert status in (400, 403, 404, 409), f"{method} {path} {wrong}: {status}"
                assert server.request(method.upper(), path, b"a=b", {"Content-Type": "application/x-www-form-urlencoded"}).status \
                    in (403, 404, 415), f"{method} {path}"


@test("every route was asked")
def complete():
    ask("DELETE", "/session/all", None, 204)
    server.login()
    ask("DELETE", "/session", None, 204)
    documented = {(m, p) for p, item in API["paths"].items() for m in METHODS if m in item}
    note(f"{len(asked)} of {len(documented)} operations")
    assert not documented - asked, sorted(documented - asked)


run()
