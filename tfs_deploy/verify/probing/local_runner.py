# SPDX-License-Identifier: Apache-2.0
"""Run the model in this machine's TensorFlow, in a process of its own that may crash."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import subprocess
import time
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.codec import decode_predict_response, encode_predict_request
from tfs_deploy.errors import DeadlineExceededError, TfsDeployError, UnavailableError, status_error
from tfs_deploy.host.python_module import module_command
from tfs_deploy.launch.exit_status import describe_exit
from tfs_deploy.verify.probing.local_worker import LENGTH

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray
    from typing_extensions import Self

#: seconds that the process may take to load TensorFlow and the model
_LOAD_TIMEOUT: Final = 60.0
_STOP: Final = 5.0
#: most starts of the process
_STARTS: Final = 3


class LocalRunner:
    """The local model; it starts to load at once, beside the start of the server, and ``ready`` waits for it.

    ``failure`` is why it cannot be used, empty as long as it can.
    """

    def __init__(self, path: Path) -> None:
        self.failure = ""
        self._path = path
        self._starts = 0
        self._process = self._spawn()
        self._loaded = False

    def _spawn(self) -> subprocess.Popen[bytes]:
        self._starts += 1
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
        return subprocess.Popen(
            module_command("tfs_deploy.verify.probing.local_worker", str(self._path)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )

    def ready(self) -> bool:
        """Wait until the model is loaded; return whether it is."""
        if not self._loaded and not self.failure:
            try:
                _answer(self._receive(_LOAD_TIMEOUT))
                self._loaded = True
            except TfsDeployError as error:
                self._give_up(error.message)
        return self._loaded and not self.failure

    def predict(self, signature: str, inputs: Mapping[str, NDArray[Any]], *, timeout: float) -> dict[str, NDArray[Any]]:
        """Run a signature and return its outputs; ``StatusError`` if the model refuses, takes too long or crashes."""
        if not self.ready():
            raise UnavailableError(self.failure)
        request = encode_predict_request("", inputs, signature=signature)
        try:
            stream = self._process.stdin
            if stream is not None:
                stream.write(LENGTH.pack(len(request)) + request)
                stream.flush()
            return dict(_answer(self._receive(timeout)).items())
        except BrokenPipeError:
            why, late = self._how_it_ended(), False
        except _LostError as error:
            why, late = error.message, error.late
        self._give_up(why)
        raise DeadlineExceededError(why) if late else UnavailableError(why)

    def close(self) -> None:
        """End the process."""
        process, streams = self._process, (self._process.stdin, self._process.stdout)
        if not self._loaded:
            process.kill()  # nothing to wait for: it only holds memory
        with contextlib.suppress(BrokenPipeError):
            if streams[0] is not None:
                streams[0].close()
        try:
            process.wait(_STOP)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if streams[1] is not None:
            streams[1].close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _give_up(self, why: str) -> None:
        """End the process, which answers no more, and start another one, a few times at most."""
        self._process.kill()
        was_loaded, self._loaded = self._loaded, False
        self.close()
        if was_loaded and self._starts < _STARTS:
            self._process = self._spawn()
        else:
            self.failure = why

    def _how_it_ended(self) -> str:
        try:
            code = self._process.wait(_STOP)
        except subprocess.TimeoutExpired:
            code = None
        code = 128 - code if code is not None and code < 0 else code
        return f"the model ended the process that ran it: {describe_exit(code)}"

    def _receive(self, timeout: float) -> bytes:
        """Return one frame; raises ``_LostError`` if none comes."""
        end = time.monotonic() + timeout
        head = self._read(LENGTH.size, end, timeout)
        return self._read(LENGTH.unpack(head)[0], end, timeout)

    def _read(self, size: int, end: float, timeout: float) -> bytes:
        stream = self._process.stdout
        data = bytearray()
        if stream is None:
            return b""
        with selectors.DefaultSelector() as selector:
            selector.register(stream, selectors.EVENT_READ)
            while len(data) < size:
                if not selector.select(max(end - time.monotonic(), 0)):
                    raise _LostError(f"the model did not answer within {timeout:g} s", late=True)
                part = os.read(stream.fileno(), min(size - len(data), 1 << 20))
                if not part:
                    raise _LostError(self._how_it_ended(), late=False)
                data += part
        return bytes(data)


class _LostError(UnavailableError):
    """The process ended, or did not answer in time (``late``)."""

    def __init__(self, message: str, *, late: bool) -> None:
        super().__init__(message)
        self.late = late


def _answer(frame: bytes) -> Any:
    if frame[:1] == b"+":
        return decode_predict_response(frame[1:]) if len(frame) > 1 else None
    about = json.loads(frame[1:])
    raise status_error(about["code"], about["message"], reached=True)
