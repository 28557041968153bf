"""Group ``load``: does a server load the version at the first try, and is it the one that answers?"""

from __future__ import annotations

import re
import time
from functools import partial
from typing import TYPE_CHECKING, Final

from tfs_deploy.errors import (
    Code,
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
    from tfs_deploy.verify.checks import Examiner
    from tfs_deploy.verify.serving import Endpoint
    from tfs_deploy.verify.subjects import Subject

#: seconds for a start, and for each 100 MB that are loaded
_BASE, _PER_100_MB = 45.0, 1.0
_POLL: Final = 0.1
_ADDRESS: Final = "check the address of --target; a server with TLS needs the deployment file with its certificates"
_REFUSALS: Final = ("the server did not start: ", "the server does not answer on ")
#: how both servers write which servable a message is about (core/servable_id.h)
_SERVABLE: Final = re.compile(r"\{?name: (?P<name>\S+) version: (?P<version>-?\d+)\}?")


def load_timeout(model_bytes: int) -> float:
    """Return how many seconds a load may take, by what is to be read."""
    return _BASE + _PER_100_MB * model_bytes / 1e8


def is_refusal(error: LaunchError) -> bool:
    """Whether a server began and ended, or took too long; anything else is wrong with the image or this machine."""
    return error.message.startswith(_REFUSALS)


def tell_refusal(examiner: Examiner, subjects: Iterable[Subject], error: LaunchError, seconds: float) -> None:
    """Report that a server did not start: for the version that its reason names, else for all."""
    named = _SERVABLE.search(error.message)
    for subject in subjects:
        mine = named is None or (named["name"], named["version"]) == (subject.name, str(subject.version))
        judgement = (
            failed(_reason(error), seconds, "s") if mine else skipped("another model kept the server from starting")
        )
        examiner.of(model=str(subject)).tell("load.served", "", judgement, seconds)


def examine_load(
    examiner: Examiner, subject: Subject, client: Client, endpoint: Endpoint, disk: Mapping[str, SignatureInfo]
) -> bool:
    """Make the checks of a version on a server that answers; return whether it can be asked."""
    seconds = endpoint.seconds
    began = time.monotonic()
    judgement = judge_states(_states(client, subject), subject.version, seconds)
    examiner.tell("load.served", "", judgement, seconds or time.monotonic() - began)
    if judgement.status.value != "passed":
        return False
    examiner.check("load.version", "", partial(_version, client, subject))
    for label in subject.labels:
        examiner.check("load.label", f"label {label}", partial(_version, client, subject, label))
    examiner.check("load.signatures", "", lambda: _signatures(client, subject, disk))
    return True


def require_rest(subject: Subject, client: RestClient) -> None:
    """Raise ``EnvironmentFault`` if nobody speaks HTTP where the REST API should be; what it says is for the checks."""
    try:
        client.status(subject.name)
    except (UnavailableError, DeadlineExceededError) as error:
        raise EnvironmentFault(
            f"the REST API does not answer: {error.message}",
            hint=f"{_ADDRESS}; without /RESTPORT it is left out",
            retriable=True,
        ) from error
    except (StatusError, RequestError):
        return


def judge_states(states: Iterable[VersionStatus], version: int, seconds: float) -> Judgement:
    """Judge what a server says of a model's versions."""
    there = {state.version: state for state in states}
    state = there.get(version)
    if state is None:
        others = ", ".join(map(str, there.values())) or "no model of that name (--model names another)"
        return failed(f"the server does not serve version {version}: {others}")
    if state.failed:
        return failed(f"the server refused it: {state.message}", seconds, "s")
    if not state.available:
        return failed(f"version {version} is {state.state}", seconds, "s")
    return passed("loaded at the first try" if seconds else "it is served", seconds or None, "s" if seconds else "")


def judge_signatures(disk: Mapping[str, SignatureInfo], served: Mapping[str, SignatureInfo]) -> Judgement:
    """Judge whether the server offers what the files say."""
    changes = [c for c in contract_changes(disk, served) if c.compatibility is not Compatibility.COMPATIBLE]
    if changes:
        first = changes[0]
        what = f"signature '{first.signature}'" + (f", {first.tensor}" if first.tensor else "")
        return failed(f"the server offers something else than the files: {what}: {first.message}")
    return passed(
        f"{len(served)} signature{'s' * (len(served) != 1)} as in the files", float(len(served)), "signatures"
    )


def _states(client: Client, subject: Subject) -> list[VersionStatus]:
    """Wait for a model that is not decided yet; a server that is not there is no fault of the model."""
    end = time.monotonic() + _BASE
    while True:
        try:
            states = client.status(subject.name)
        except (UnavailableError, DeadlineExceededError) as error:
            raise EnvironmentFault(
                f"the server does not answer: {error.message}", hint=_ADDRESS, retriable=True
            ) from error
        except StatusError as error:
            if error.code is not Code.NOT_FOUND:
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
        return failed(f"version {metadata.version} answers, version {subject.version} should")
    return passed(f"version {subject.version} answers")


def _signatures(client: Client, subject: Subject, disk: Mapping[str, SignatureInfo]) -> Judgement:
    return judge_signatures(disk, client.metadata(subject.name, version=subject.version).signatures)


def _reason(error: LaunchError) -> str:
    return error.message.removeprefix("the server did not start: ")
