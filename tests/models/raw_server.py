"""A server on the loopback interface that sends whatever bytes it is told to, piece by piece."""

import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress


class RawServer:
    """Every request is read whole, then gets `pieces`, `pause_s` seconds apart, and the connection is closed."""

    def __init__(self) -> None:
        self.pieces: Sequence[bytes] = ()
        self.pause_s = 0.0
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/v1"

    def serve(self) -> None:
        with suppress(OSError):  # closed
            while True:
                client, _ = self._socket.accept()
                with client, suppress(OSError):  # who leaves early is part of the tests
                    client.settimeout(60)
                    self._answer(client)

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _answer(self, client: socket.socket) -> None:
        read = b""
        while b"\r\n\r\n" not in read:
            read += client.recv(1 << 16)
        head, _, body = read.partition(b"\r\n\r\n")
        length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        while len(body) < length:
            body += client.recv(1 << 16)
        for piece in self.pieces:
            client.sendall(piece)
            time.sleep(self.pause_s)


@contextmanager
def raw_server() -> Iterator[RawServer]:
    server = RawServer()
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.close()
        thread.join(5)
