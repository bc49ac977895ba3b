#!/usr/bin/env python3
"""Put one file into the program: embed.py FILE SYMBOL OUT_S

Makes SYMBOL and SYMBOL_end, for `extern const unsigned char SYMBOL[]`.
"""
import os
import sys

source, symbol, out = sys.argv[1:4]
path = os.path.abspath(source).replace('\\', '\\\\').replace('"', '\\"')
with open(out, 'w', encoding='utf-8') as f:
    f.write(f'''    .section .note.GNU-stack,"",%progbits
    .section .rodata
    .global {symbol}
    .global {symbol}_end
{symbol}:
    .incbin "{path}"
{symbol}_end:
    .byte 0
''')
