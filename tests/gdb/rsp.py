# SPDX-License-Identifier: GPL-2.0-or-later
"""A bare client of the remote protocol, for tests and benchmarks that need the packets themselves.

    with Server(trace) as server:
        print(server.ask("qSupported"))
        stop = server.resume("vCont;c")
"""

import json
import os
import re
import socket
import subprocess
import time
from types import TracebackType
from typing import Any, Dict, List, Optional, Tuple, Type

BACKHOP = os.environ.get("BACKHOP", "backhop")
TIMEOUT_S = 600.0


class Server:
    """`backhop replay --serve` and one connection to it."""

    def __init__(self, trace: str, backhop: str = BACKHOP, *options: str,
                 **environment: str) -> None:
        self.process = subprocess.Popen([backhop, "replay", *options, "--serve", "0", trace],
                                        stderr=subprocess.PIPE, text=True,
                                        env={**os.environ, **environment})
        assert self.process.stderr is not None
        line = self.process.stderr.readline()
        match = re.search(r"serving on 127\.0\.0\.1:(\d+)", line)
        if not match:
            raise RuntimeError(f"the server says: {line.strip()}")
        self.socket = socket.create_connection(("127.0.0.1", int(match.group(1))), TIMEOUT_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.input = b""
        self.console: List[str] = []  # what the user would have been told
        self.has_acks = True
        self.ask("qSupported:multiprocess+;swbreak+;hwbreak+")
        self.ask("QStartNoAckMode")
        self.has_acks = False

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], value: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        self.socket.close()
        if self.process.poll() is None:
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.process.stderr is not None:
            self.process.stderr.close()

    def send(self, packet: bytes) -> None:
        total = sum(packet) & 0xff
        self.socket.sendall(b"$" + packet + b"#%02x" % total)

    def receive(self) -> bytes:
        """The payload of the next packet, escapes still in."""
        while True:
            self.input = self.input.lstrip(b"+")
            end = self.input.find(b"#")
            if end >= 0 and len(self.input) >= end + 3:
                payload = self.input[1:end]
                self.input = self.input[end + 3:]
                if self.has_acks:
                    self.socket.sendall(b"+")
                return payload
            data = self.socket.recv(65536)
            if not data:
                raise EOFError("the server has closed the connection")
            self.input += data

    def ask(self, packet: str) -> str:
        self.send(packet.encode("latin-1"))
        return self.receive().decode("latin-1")

    def resume(self, packet: str) -> str:
        """The stop reply, without those that only ask to read the library list."""
        self.send(packet.encode())
        return self.wait_stop(packet)

    def wait_stop(self, packet: str = "") -> str:
        while True:
            reply = self.receive().decode("latin-1")
            if reply.startswith("O") and reply != "OK":
                self.console.append(bytes.fromhex(reply[1:]).decode())
            elif "library:" in reply and packet:
                self.send(packet.encode())
            else:
                return reply

    def private(self, packet: str) -> Any:
        reply = self.ask(packet)
        if reply.startswith("E."):
            raise RuntimeError(reply[2:])
        return json.loads(bytes.fromhex(reply))

    def goto(self, place: str) -> str:
        self.private("QBackhop:goto:" + place.encode().hex())
        return self.resume("bc")

    def position(self) -> Tuple[int, int, int]:
        at: Dict[str, Any] = self.private("qBackhop:position")
        return at["event"], at["tick"], at["instruction"]

    def document(self, name: str) -> bytes:
        """A document of qXfer, whole: "threads:read:" for example."""
        content = b""
        while True:
            self.send(f"qXfer:{name}:{len(content):x},ff00".encode())
            reply = self.receive()
            if reply[:1] not in (b"m", b"l"):
                raise RuntimeError(f"{name}: {reply!r}")
            content += unescape(reply[1:])
            if reply[:1] == b"l":
                return content

    def registers(self) -> str:
        return self.ask("g")


def unescape(data: bytes) -> bytes:
    return re.sub(rb"}(.)", lambda match: bytes([match.group(1)[0] ^ 0x20]), data, flags=re.S)


def register_value(stop: str, number: int) -> int:
    """An expedited register of a stop reply."""
    match = re.search(rf"(?:;|^T..){number:02x}:([0-9a-f]+);", stop)
    if not match:
        raise RuntimeError(f"register {number} isn't in {stop}")
    return int.from_bytes(bytes.fromhex(match.group(1)), "little")


def signal_of(stop: str) -> int:
    return int(stop[1:3], 16)


def timed(function: Any, *arguments: Any) -> Tuple[float, Any]:
    start = time.monotonic()
    result = function(*arguments)
    return time.monotonic() - start, result
