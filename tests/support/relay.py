# SPDX-License-Identifier: Apache-2.0
"""A wire to a server that a test may freeze, cut, or let only drops through."""

from __future__ import annotations

import contextlib
import socket
import threading

from typing_extensions import Self


class Relay:
    """Hands bytes on between its own port and ``target``; what is set on it counts from the next bytes on.

    Attributes:
        frozen: hands nothing on, as a machine that is stopped: connections and bytes are still taken by the kernel.
        reply_limit: bytes of replies that are handed on until it freezes by itself.
        drops: hands replies on byte by byte, with pauses.
        cuts: how many connections it ends as soon as something arrives on them.
    """

    def __init__(self, target: str) -> None:
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.frozen = False
        self.reply_limit: int | None = None
        self.drops = False
        self.cuts = 0
        self._over = threading.Event()
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for each in (self._listener, *self._sockets):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for each in (self._listener, *self._sockets):
            each.close()

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self._sockets.append(near)
            if self.cuts:
                self.cuts -= 1
                with contextlib.suppress(OSError):
                    near.recv(1)
                    near.shutdown(socket.SHUT_RDWR)
                continue
            far = socket.create_connection(self._target)
            self._sockets.append(far)
            for source, sink, back in ((near, far, False), (far, near, True)):
                thread = threading.Thread(target=self._pump, args=(source, sink, back), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _pump(self, source: socket.socket, sink: socket.socket, back: bool) -> None:
        try:
            while self._thawed() and (data := source.recv(16 if back and self.drops else 65536)):
                if back and self.reply_limit is not None:
                    data = data[: self.reply_limit]
                    self.reply_limit -= len(data)
                    self.frozen = self.reply_limit == 0
                if back and self.drops:
                    for byte in data:
                        sink.sendall(bytes([byte]))
                        self._over.wait(0.02)
                elif data and (back or self._thawed()):
                    sink.sendall(data)
        except OSError:
            pass
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)

    def _thawed(self) -> bool:
        while self.frozen and not self._over.wait(0.005):
            pass
        return not self._over.is_set()


@contextlib.contextmanager
def full_backlog():
    """Yield an address that takes no more connections: whoever connects hears nothing."""
    with socket.socket() as listener, contextlib.ExitStack() as stack:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield f"127.0.0.1:{listener.getsockname()[1]}"
