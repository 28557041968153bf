# SPDX-License-Identifier: Apache-2.0
"""A small stand-in for a model server: started with the same flags, it opens the same ports and nothing else."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time


def main() -> int:
    flags = dict(argument.lstrip("-").split("=", 1) for argument in sys.argv[1:])
    parent = os.getppid()
    behaviour = os.environ.get("STAND_IN", "")
    sys.stderr.write("stand-in starts\n")
    if behaviour == "fails":
        sys.stderr.write("error: the models cannot be served (hint: none)\n")
        return 2
    if behaviour == "is silent":
        return 3
    if behaviour == "crashes":
        os.kill(os.getpid(), signal.SIGSEGV)
    if behaviour == "ignores SIGTERM":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if behaviour != "opens nothing":
        listeners = [
            socket.create_server(("127.0.0.1", int(flags[key])))
            for key in ("port", "rest_api_port")
            if flags.get(key, "0") != "0"
        ]
        sys.stderr.write(f"listens on {[listener.getsockname()[1] for listener in listeners]}\n")
        sys.stderr.flush()
    # asked for, not told by the system: that would tell it when the thread ends that started this process
    while flags.get("exit_with_parent") != "true" or os.getppid() == parent:
        time.sleep(0.05)
    return 0


if __name__ == "__main__":
    sys.exit(main())
