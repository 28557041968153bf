# SPDX-License-Identifier: Apache-2.0
"""Group ``load``: the server loads the version at the first try, and that version answers."""

from __future__ import annotations

import re
import time
from functools import partial
from typing import TYPE_CHECKING, Final

from tfs_deploy.client.call.status_errors import is_missing
from tfs_deploy.errors import (
    DeadlineExceededError,
    EnvironmentFault,
    RequestError,
    StatusError,
    UnavailableError,
)
from tfs_deploy.savedmodel.contract import Compatibility, contract_changes
from tfs_deploy.verify.checks import Judgement, failed, passed, skipped

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tfs_deploy.client import Client, RestClient, VersionStatus
    from tfs_deploy.errors import LaunchError
    from tfs_deploy.protos.signatures import SignatureInfo
    from tfs_deploy.verify.checks import Checker
    from tfs_deploy.verify.subjects import Subject

#: seconds for a start, and for each 100 MB to load
_BASE, _PER_100_MB = 45.0, 1.0
_POLL: Final = 0.1
_ADDRESS: Final = "check the address of --target; a server with TLS needs the deployment file with its certificates"
_REFUSALS: Final = ("the server did not start: ", "the server does not answer on ")
#: how both servers name a servable in a message (core/servable_id.h)
_SERVABLE: Final = re.compile(r"\{?name: (?P<name>\S+) version: (?P<version>-?\d+)\}?")


def load_timeout(model_bytes: int) -> float:
    """Return how many seconds the load of this many bytes may take."""
    return _BASE + _PER_100_MB * model_bytes / 1e8


def is_refusal(error: LaunchError) -> bool:
    """Return whether the server ended during its start or took too long; other errors are not the model's."""
    return error.message.startswith(_REFUSALS)


def record_refusal(checker: Checker, subjects: Iterable[Subject], error: LaunchError, seconds: float) -> None:
    """Report that a server did not start: for the version that its reason names, else for all versions."""
    named = _SERVABLE.search(error.message)
    for subject in subjects:
        mine = named is None or (named["name"], named["version"]) == (subject.name, str(subject.version))
        judgement = (
            failed(_reason(error), seconds, "s") if mine else skipped("another model kept the server from starting")
        )
        checker.of(model=str(subject)).record("load.served", "", judgement, seconds)


def verify_load(
    checker: Checker,
    subject: Subject,
    client: Client,
    *,
    signatures: Mapping[str, SignatureInfo],
    start_seconds: float,
) -> bool:
    """Check that a server has loaded a version; return whether requests can be sent to it."""
    began = time.monotonic()
    judgement = judge_states(_states(client, subject), subject.version, start_seconds)
    checker.record("load.served", "", judgement, start_seconds or time.monotonic() - began)
    if judgement.status.value != "passed":
        return False
    checker.check("load.version", "", partial(_version, client, subject))
    for label in subject.labels:
        checker.check("load.label", f"label {label}", partial(_version, client, subject, label))
    checker.check("load.signatures", "", lambda: _signatures(client, subject, signatures))
    return True


def require_rest(subject: Subject, client: RestClient) -> None:
    """Raise ``EnvironmentFault`` if there is no HTTP server at the REST address; its answers are for the checks."""
    try:
        client.status(subject.name)
    except (UnavailableError, DeadlineExceededError) as error:
        raise EnvironmentFault(
            f"the REST API does not answer: {error.message}",
            hint=f"{_ADDRESS}; without /RESTPORT only gRPC is checked",
            retriable=True,
        ) from error
    except (StatusError, RequestError):
        return


def judge_states(states: Iterable[VersionStatus], version: int, seconds: float) -> Judgement:
    """Judge the state of a version among those that a server reports."""
    there = {state.version: state for state in states}
    state = there.get(version)
    if state is None:
        others = ", ".join(map(str, there.values())) or "no model of that name (--model names another)"
        return failed(f"the server does not serve version {version}: {others}")
    if state.failed:
        return failed(f"the server could not load it: {state.message}", seconds, "s")
    if not state.available:
        return failed(f"version {version} is {state.state}", seconds, "s")
    return passed("loaded at the first try" if seconds else "served", seconds or None, "s" if seconds else "")


def judge_signatures(disk: Mapping[str, SignatureInfo], served: Mapping[str, SignatureInfo]) -> Judgement:
    """Judge whether the server has the signatures of the files."""
    changes = [c for c in contract_changes(disk, served) if c.compatibility is not Compatibility.COMPATIBLE]
    if changes:
        first = changes[0]
        what = f"signature '{first.signature}'" + (f", {first.tensor}" if first.tensor else "")
        return failed(f"the server's signatures differ from the files: {what}: {first.message}")
    return passed(
        f"{len(served)} signature{'s' * (len(served) != 1)} as in the files", float(len(served)), "signatures"
    )


def _states(client: Client, subject: Subject) -> list[VersionStatus]:
    """Return the states of a model, once its version is available or ended; raise if the server does not answer."""
    end = time.monotonic() + _BASE
    while True:
        try:
            states = client.status(subject.name)
        except (UnavailableError, DeadlineExceededError) as error:
            raise EnvironmentFault(
                f"the server does not answer: {error.message}", hint=_ADDRESS, retriable=True
            ) from error
        except StatusError as error:
            if not is_missing(error):
                raise
            return []
        mine = next((state for state in states if state.version == subject.version), None)
        if mine is None or mine.available or mine.state == "END" or time.monotonic() > end:
            return states
        time.sleep(_POLL)


def _version(client: Client, subject: Subject, label: str | None = None) -> Judgement:
    version = None if label else subject.version
    metadata = client.metadata(subject.name, label=label, version=version)
    if metadata.version is not None and metadata.version != subject.version:
        return failed(f"version {metadata.version} answered instead of version {subject.version}")
    return passed(f"version {subject.version} answers")


def _signatures(client: Client, subject: Subject, disk: Mapping[str, SignatureInfo]) -> Judgement:
    return judge_signatures(disk, client.metadata(subject.name, version=subject.version).signatures)


def _reason(error: LaunchError) -> str:
    return error.message.removeprefix("the server did not start: ")
