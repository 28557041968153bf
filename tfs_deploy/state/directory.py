# SPDX-License-Identifier: Apache-2.0
"""The state directory of a deployment: every file and directory in it, in one table (``docs/state-directory.md``).

One module of this package owns each of them: its name, format, reader and writer. Everywhere else a state directory is
a value that is handed on (``Deployment.state_dir``): no other module joins a name to it, so that one day it may be
something else than a directory of this machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tfs_deploy.state import (
    active,
    config_generations,
    endpoint,
    journal,
    last_start,
    lock,
    mailbox,
    request_tallies,
    sealed_lines,
    server_log,
    server_record,
    traffic,
)

_ROLLOUT: Final = f"{journal.FOLDER}/MODEL"
_LOCKED: Final = "the deployment's lock"
_BY_UMASK: Final = "0666 less the umask"


@dataclass(frozen=True, slots=True)
class StateFile:
    """One kind of file.

    ``name`` is relative to the state directory; in it ``N`` stands for a number, ``MODEL`` for a model's name (quoted
    as in a URL) and ``CONSUMER`` for a host, a process and a random part. ``version`` is the latest format that is
    known, None where the content has no format of ours; ``lock`` is what a writer holds; ``mode`` are the permission
    bits.
    """

    name: str
    purpose: str
    writers: str
    readers: str
    deletable: str
    version: int | None = None
    lock: str = _LOCKED
    mode: str = "0644"


FILES: Final = (
    StateFile(
        lock.NAME,
        "who changes the deployment now, and for what; empty or out of date while no process does",
        "every command that changes something",
        "the same commands, `lock status`, `rollout status`",
        "never by hand: `tfs-deploy lock release` takes it from a process that hangs",
        lock="itself",
    ),
    StateFile(
        active.NAME,
        "versions and labels that rollouts left in force, instead of those in the deployment file",
        "`up`, rollouts",
        "every command that has to know what is served, retention",
        "yes, to go back to what the deployment file says at the next `up`",
        version=active.VERSION,
    ),
    StateFile(
        traffic.NAME,
        "how requests are split over labels, and which are copied",
        "`up`, rollouts",
        "`Router` in every consumer, `plan`, `status`, rollouts",
        "no while a rollout is unfinished; else yes: all requests then go to `stable`, until the next `up`",
        version=traffic.VERSION,
    ),
    StateFile(
        traffic.DAMAGED,
        "a traffic file that a rollout could not understand and has replaced",
        "rollouts",
        "people",
        "yes",
    ),
    StateFile(
        endpoint.NAME,
        "where the deployment's server answers now, or that it was stopped",
        "`up`, `down`",
        "`DeployedClient` in every consumer, `smoke`, `verify`",
        "no while the server runs: a `DeployedClient` fails until the next `up`",
        version=endpoint.VERSION,
    ),
    StateFile(
        server_record.Role.CURRENT.value,
        "which process is the embedded server, and how it was started",
        "`up`, `down`, `restart`, rollouts that restart a server",
        "every command that looks for the server, `doctor`, `DeployedClient` on the same machine",
        "only once that process has ended: a server without its record is not found again",
        version=server_record.VERSION,
    ),
    StateFile(
        server_record.Role.SUCCESSOR.value,
        "the same for a server that is to replace the one in use",
        "`up`, `restart`",
        "`up`, `down`: they stop what an interrupted replacement left",
        "as `server.json`",
        version=server_record.VERSION,
    ),
    StateFile(
        server_record.Role.PREDECESSOR.value,
        "the same for a server that has been replaced and is to stop",
        "`up`, `restart`",
        "`up`, `down`: they stop what an interrupted replacement left",
        "as `server.json`",
        version=server_record.VERSION,
    ),
    StateFile(
        last_start.NAME,
        "how many seconds the last start took",
        "`up`",
        "`plan`, for the length of a gap",
        "yes",
        version=last_start.VERSION,
    ),
    StateFile(
        config_generations.NAME,
        "link to the generation of the server in use",
        "`up`, `restart`",
        "`plan`, `up`, rollouts",
        "no while the server runs: it is restarted at the next `up`",
        mode="link",
    ),
    StateFile(
        f"{config_generations.NAME}.N/*.config",
        "the files that one server reads, in text format (`tfs-deploy config` shows them)",
        "`up`, `restart`, rollouts",
        "the server: all at its start, `models.config` again at a restart; `plan`, `up`, rollouts",
        "no for the generation that `config` leads to; `up` removes the others",
        mode="0644, `ssl.config` as the private key",
    ),
    StateFile(
        server_log.NAME,
        "output of the embedded server",
        "the server",
        "`logs`, errors of `up`",
        "yes, once the server has ended",
        lock="none: the server appends",
    ),
    StateFile(f"{server_log.NAME}.1", "the log before it", "`up`, `restart`", "people", "yes"),
    StateFile(
        server_log.SUCCESSOR,
        "output of a server that is to replace the one in use",
        "that server",
        "errors of `up`",
        "yes, unless `up` is at work",
        lock="none: the server appends",
    ),
    StateFile(f"{server_log.SUCCESSOR}.1", "the log before it", "`up`, `restart`", "people", "yes"),
    StateFile(
        server_log.FAILED,
        "the last lines of a container that did not come up",
        "`up`, `restart`",
        "`logs` while there is no container",
        "yes",
        mode=_BY_UMASK,
    ),
    StateFile(
        f"{_ROLLOUT}/NNNN.jsonl",
        "the journal of one rollout of a model; the highest number is the last one",
        "`rollout`, `rollback`, `Rollout`",
        "the same, `rollout status`, `watch`, `history`, `report`",
        "no while the rollout is unfinished; else yes: `rollback` then no longer knows the version before",
        version=sealed_lines.VERSION,
        mode="0644 less the umask",
    ),
    StateFile(
        f"{_ROLLOUT}/{journal.RESERVE_NAME}",
        "disk space reserved for a rollback, kept while a rollout is at work",
        "rollouts",
        "-",
        "yes, if no rollout is at work",
        mode=_BY_UMASK,
    ),
    StateFile(
        f"{_ROLLOUT}/{mailbox.NAME}",
        "one word for the rollout that is at work: abort, pause, promote, promote-now",
        "`rollout abort`, `pause`, `promote`",
        "the rollout, which removes it",
        "yes: the request is withdrawn",
        lock="none: replaced whole",
    ),
    StateFile(
        f"{request_tallies.FOLDER}/MODEL/CONSUMER.jsonl",
        "what one consumer process saw of its requests, for the gates of a rollout",
        "`Router`, in each consumer",
        "rollouts",
        "yes, if no rollout is at work",
        version=request_tallies.VERSION,
        lock="none: one file a process",
        mode=_BY_UMASK,
    ),
    StateFile(
        f"{request_tallies.FOLDER}/MODEL/{request_tallies.WATCHED}",
        "empty; there while a rollout is unfinished: consumers record all their requests",
        "rollouts",
        "`Router`, in each consumer",
        "yes: requests outside the steps are then not counted",
        mode=_BY_UMASK,
    ),
)
