"""A way to a server that counts what passes, can be cut, and can answer late."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

# "GET /bucket/key HTTP/1.1"; a listing is "GET /bucket?list-type=2…".
_OBJECT = re.compile(rb"GET (/[^/? ]+/[^? ]+) HTTP")


class Relay:
    """Connections to a port of this machine, handed on.

    asked: paths of objects that were read, in order. breaks_after: so many of them; then nothing answers any more.
    """

    def __init__(self, port: int) -> None:
        self.asked: list[str] = []
        self.breaks_after: int | None = None
        self._port = port
        self._lock = threading.Lock()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = [self._listening]
        self.port: int = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Refuse every connection from now on, and cut those that there are."""
        with self._lock:
            closing, self._open = self._open, []
        for one in closing:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                here, _ = self._listening.accept()
                there = socket.create_connection(("127.0.0.1", self._port))
                with self._lock:
                    self._open += [here, there]
                threading.Thread(target=self._pump, args=(here, there, True), daemon=True).start()
                threading.Thread(target=self._pump, args=(there, here, False), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket, asks: bool) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                if asks:
                    self._count(data)
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def _count(self, data: bytes) -> None:
        self.asked += [found.decode() for found in _OBJECT.findall(data)]
        if self.breaks_after is not None and len(self.asked) > self.breaks_after:
            self.close()
            time.sleep(0.01)


@contextmanager
def relayed(environment: dict[str, str]) -> Iterator[tuple[Relay, dict[str, str]]]:
    """A relay to a server, and the variables with which it is found."""
    relay = Relay(int(environment["AWS_ENDPOINT_URL"].rpartition(":")[2]))
    try:
        yield relay, {**environment, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{relay.port}"}
    finally:
        relay.close()
