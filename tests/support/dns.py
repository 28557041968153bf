# SPDX-License-Identifier: Apache-2.0
"""A name server for one name, whose addresses a test changes (RFC 1035)."""

from __future__ import annotations

import socket
import struct
import threading

from typing_extensions import Self

_A = 1


class NameServer:
    """Answers each question for an IPv4 address with ``addresses``, and any other with none."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        # an empty datagram ends it
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while True:
            question, sender = self._socket.recvfrom(512)
            if not question:
                return
            end = question.index(b"\0", 12) + 5
            kind = struct.unpack(">H", question[end - 4 : end - 2])[0]
            found = self.addresses if kind == _A else ()
            head = question[:2] + struct.pack(">HHHHH", 0x8580, 1, len(found), 0, 0)
            records = b"".join(
                struct.pack(">HHHIH", 0xC00C, _A, 1, 0, 4) + socket.inet_aton(address) for address in found
            )
            self._socket.sendto(head + question[12:end] + records, sender)
