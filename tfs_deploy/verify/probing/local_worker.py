# SPDX-License-Identifier: Apache-2.0
"""Runs a model for ``local_runner``: ``python -m tfs_deploy.verify.probing.local_worker VERSION_DIR``.

Frames on standard input and output: a length (8 bytes, little endian), then that many bytes. A frame in is a Predict
request; a frame out is ``+`` and a Predict response, or ``-`` and a JSON object of code and message. The first frame
out tells that the model is loaded.
"""

from __future__ import annotations

import json
import os
import struct
import sys
from typing import IO, Final

from tfs_deploy.codec import decode_predict_request, encode_predict_response
from tfs_deploy.errors import Code, InvalidArgumentError, RequestError, StatusError, TfsDeployError

LENGTH: Final = struct.Struct("<Q")


def write_frame(stream: IO[bytes], data: bytes) -> None:
    """Send one frame."""
    stream.write(LENGTH.pack(len(data)))
    stream.write(data)
    stream.flush()


def read_frame(stream: IO[bytes]) -> bytes | None:
    """Receive one frame, ``None`` at the end."""
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    size: int = LENGTH.unpack(head)[0]
    data = stream.read(size)
    return data if len(data) == size else None


def main(path: str) -> int:
    """Load the model, then answer until the input ends; return the exit code."""
    # TensorFlow's output must not get between the frames
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    from tfs_deploy.runtime.local_model import load_model

    try:
        model = load_model(path, allow_newer=True)
    except TfsDeployError as error:
        write_frame(answers, _refusal(error))
        return 0
    with model:
        write_frame(answers, b"+")
        while (frame := read_frame(sys.stdin.buffer)) is not None:
            call = decode_predict_request(frame)
            try:
                outputs = model.predict(call.inputs, call.signature)
                reply = b"+" + encode_predict_response(outputs, model="", version=0, signature=call.signature or "")
            except TfsDeployError as error:
                reply = _refusal(error)
            write_frame(answers, reply)
    return 0


def _refusal(error: TfsDeployError) -> bytes:
    if isinstance(error, StatusError):
        code = error.code
    else:
        code = InvalidArgumentError.code if isinstance(error, RequestError) else Code.UNKNOWN
    about = {"code": int(code), "message": error.message, "type": type(error).__name__}
    return b"-" + json.dumps(about).encode()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
