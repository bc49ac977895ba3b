#!/usr/bin/env python3
"""network.py PORT - a network between browser and server that can be made slow.

Listens on a free port (printed first) and passes everything to 127.0.0.1:PORT. A line with a number on
standard input is the new rate to the browser, in bytes a second for all connections together; 0 is
as fast as it goes. Receive buffers are small, so what does not fit waits at the server, as it does
where the narrow place is a radio link.
"""
import asyncio
import socket
import sys

BUFFER = 16384
STEP = 0.05
rate = 0
allowance = 0.0


async def pass_on(reader, writer, limited):
    global allowance
    try:
        while True:
            while limited and rate and allowance <= 0:
                await asyncio.sleep(STEP)
            data = await reader.read(4096 if limited and rate else 65536)
            if not data:
                break
            allowance -= len(data)
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    writer.close()


async def join(reader, writer, port):
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
    sock.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
    except OSError:
        writer.close()
        return
    up_reader, up_writer = await asyncio.open_connection(sock=sock, limit=BUFFER)
    await asyncio.gather(pass_on(reader, up_writer, False), pass_on(up_reader, writer, True))


async def refill():
    global allowance
    while True:
        await asyncio.sleep(STEP)
        allowance = min(rate * 2 * STEP, allowance + rate * STEP) if rate else 0


async def hear():
    global rate
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        rate = int(line)


async def main():
    port = int(sys.argv[1])
    server = await asyncio.start_server(lambda r, w: join(r, w, port), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    filling = asyncio.ensure_future(refill())
    await hear()  # until standard input is closed
    filling.cancel()


asyncio.run(main())
