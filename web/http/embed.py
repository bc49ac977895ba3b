#!/usr/bin/env python3
"""Put the browser app into the program.

  embed.py DIST OPENAPI OUT_C OUT_S [DEPFILE]

DIST is where web/ui/build.mjs left its files and assets.json; when it is not
there, a page that says so is embedded instead. OUT_S holds the bytes (.incbin),
OUT_C the table that web/http/assets.h declares.
"""
import hashlib
import json
import os
import sys

NOT_BUILT = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Kentongan</title>
<h1>Kentongan</h1><p>The recorder runs, but this build has no browser app in it: node or its
modules were missing. Run <code>./run build</code> with the network up. The interface for programs
is at <a href="/api/v1/openapi.yaml">/api/v1/openapi.yaml</a>.</p></html>
"""


def read_dist(dist):
    with open(os.path.join(dist, 'assets.json'), encoding='utf-8') as f:
        for entry in json.load(f):
            path = os.path.join(dist, entry['path'])
            yield {
                'path': '/' + entry['path'], 'mime': entry['type'], 'plain': path,
                'br': path + '.br' if entry.get('br') else None,
                'gz': path + '.gz' if entry.get('gz') else None,
                'immutable': entry.get('immutable', False),
            }


def c_string(text):
    return json.dumps(text)


def main():
    dist, openapi, out_c, out_s = sys.argv[1:5]
    assets = []
    if os.path.exists(os.path.join(dist, 'assets.json')):
        assets += read_dist(dist)
    else:
        page = os.path.join(os.path.dirname(os.path.abspath(out_c)), 'not-built.html')
        with open(page, 'w', encoding='utf-8') as f:
            f.write(NOT_BUILT)
        assets.append({'path': '/index.html', 'mime': 'text/html; charset=utf-8', 'plain': page,
                       'br': None, 'gz': None, 'immutable': False})
    assets.append({'path': '/api/v1/openapi.yaml', 'mime': 'application/yaml', 'plain': openapi,
                   'br': None, 'gz': None, 'immutable': False})
    assets.sort(key=lambda a: a['path'].encode())
    inputs = []
    with open(out_s, 'w', encoding='utf-8') as s, open(out_c, 'w', encoding='utf-8') as c:
        s.write('    .section .note.GNU-stack,"",%progbits\n    .section .rodata\n')
        c.write('#include "web/http/assets.h"\n\n')
        rows = []
        for i, a in enumerate(assets):
            parts = []
            for kind in ('plain', 'br', 'gz'):
                path = a[kind]
                if path is None:
                    parts.append('{ 0 }')
                    continue
                path = os.path.abspath(path)
                inputs.append(path)
                name = f'kt_asset_{i}_{kind}'
                s.write(f'    .global {name}\n    .hidden {name}\n    .balign 16\n{name}:\n'
                        f'    .incbin {c_string(path)}\n    .byte 0\n')
                c.write(f'extern const unsigned char {name}[];\n')
                parts.append(f'{{ {name}, {os.path.getsize(path)} }}')
            with open(a['plain'], 'rb') as f:
                etag = hashlib.sha256(f.read()).hexdigest()[:20]
            rows.append('    { %s, %s, %s, %s,\n      %s },\n' % (
                c_string(a['path']), c_string(a['mime']), c_string(f'"{etag}"'),
                'true' if a['immutable'] else 'false', ', '.join(parts)))
        c.write('\nconst struct kt_asset kt_assets[] = {\n' + ''.join(rows) + '};\n')
        c.write(f'const size_t kt_n_assets = {len(rows)};\n')
    if len(sys.argv) > 5:
        with open(sys.argv[5], 'w', encoding='utf-8') as f:
            f.write(f'{out_c} {out_s}: ' + ' '.join(p.replace(' ', '\\ ') for p in inputs) + '\n')


main()
