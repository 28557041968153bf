# SPDX-License-Identifier: Apache-2.0
"""Group ``parity``: gRPC, REST and the local model give the same outputs; the right version answers."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tfs_deploy.savedmodel.goldens import compare
from tfs_deploy.verify.checks import failed, passed, skipped
from tfs_deploy.verify.probing.prober import GRPC, LOCAL, REST
from tfs_deploy.verify.verification import ValueDifference

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from tfs_deploy.verify.checks import Checker, Judgement
    from tfs_deploy.verify.probing.cases import Case
    from tfs_deploy.verify.probing.prober import Answer, Prober
    from tfs_deploy.verify.served_version import ServedVersion

#: id -> the two transports to compare
PAIRS: Final = {
    "parity.local-grpc": (LOCAL, GRPC),
    "parity.grpc-rest": (GRPC, REST),
    "parity.local-rest": (LOCAL, REST),
}


def verify_parity(version: ServedVersion) -> None:
    """Compare the answers over each transport, signature by signature, with each other and with the local model's."""
    checker, prober, cases = version.checker, version.prober, version.cases
    for name in version.signatures:
        # the local model is as slow as the server's
        locally = version.plan(name).everywhere_of(cases[name])
        answers = {LOCAL: _answers(prober, locally, LOCAL)}
        answers |= {transport: _answers(prober, cases[name], transport) for transport in prober.transports}
        for identity, (left, right) in PAIRS.items():
            if REST in (left, right) and prober.rest is None:
                continue
            if LOCAL in (left, right) and not prober.has_local:
                why = prober.local.failure if prober.local is not None else "the model does not run locally"
                checker.record(identity, name, skipped(f"there is no local answer to compare with: {why}"))
                continue
            pairs = [
                (case, answers[left][case], answers[right][case])
                for case in cases[name]
                if case in answers[left] and case in answers[right]
            ]
            # the time of the server's answers counts for the groups that asked for them
            seconds = sum(one.seconds for _, one, _ in pairs) if identity == "parity.local-grpc" else 0.0
            checker.check(identity, name, partial(judge_pairs, pairs, left, right), seconds)
            version.evidence.differences += _differences(checker, name, f"{left} and {right}", pairs)
        checker.check("parity.version", name, partial(_versions, answers, prober.version))


def judge_pairs(pairs: Sequence[tuple[Case, Answer, Answer]], left: str, right: str) -> Judgement:
    """Judge whether two transports give the same answer to every request."""
    both = [(case, one, other) for case, one, other in pairs if one.ok and other.ok]
    for case, one, other in both:
        missing = sorted(one.outputs.keys() ^ other.outputs.keys())
        if missing:
            return failed(f"{case.name}: only one of {left} and {right} returns output '{missing[0]}'")
        mismatch = compare(one.outputs, other.outputs, case.rtol, case.atol)
        if mismatch is not None:
            return failed(f"{case.name}: {right} does not answer as {left}: {mismatch}", mismatch.max_abs_diff)
    unequal = next((each for each in pairs if each[1].ok != each[2].ok and not _is_late(*each)), None)
    if unequal is not None:
        case, one, other = unequal
        loser, why = (right, other.reason) if one.ok else (left, one.reason)
        return failed(f"{case.name}: {loser} does not answer, but the other does: {why}")
    if not both:
        return skipped("no request was answered over both")
    largest = max(
        (_largest(one.outputs, other.outputs, name) for _, one, other in both for name in one.outputs), default=0
    )
    return passed(f"{len(both)} answers are the same", float(largest), "largest difference")


def _is_late(case: Case, one: Answer, other: Answer) -> bool:
    """Return whether an edge value timed out over one transport; the other may just have been in time."""
    return not case.ordinary and (one.late or other.late)


def _answers(prober: Prober, cases: Sequence[Case], transport: str) -> dict[Case, Answer]:
    if transport == LOCAL and prober.has_local:
        # a request that timed out on the server would time out here too
        sent = [case for case in cases if not prober.probe(case, GRPC).lost]
        return {case: prober.probe(case, LOCAL) for case in sent}
    # some requests cannot be sent over REST
    return {
        case: prober.answers[case.signature, case.name, transport]
        for case in cases
        if (case.signature, case.name, transport) in prober.answers
    }


def _versions(answers: Mapping[str, Mapping[Case, Answer]], version: int) -> Judgement:
    given = [answer.version for answer in answers[GRPC].values() if answer.ok]
    wrong = next((each for each in given if each != version), None)
    if wrong is not None:
        return failed(f"version {wrong} answered over gRPC instead of version {version}")
    return passed(f"version {version} gave every answer") if given else skipped("no request was answered")


def _differences(
    checker: Checker, name: str, between: str, pairs: Sequence[tuple[Case, Answer, Answer]]
) -> list[ValueDifference]:
    """Return the largest difference of each numeric output, for the report."""
    found: dict[str, tuple[float, float]] = {}
    for case, one, other in pairs:
        if not (one.ok and other.ok):
            continue
        for output in one.outputs.keys() & other.outputs.keys():
            array = np.asarray(one.outputs[output])
            if array.dtype.kind in "fc" or array.dtype.kind == "V":
                scale = float(np.nanmax(np.abs(_finite(array)), initial=0.0))
                before = found.get(output, (0.0, 0.0))
                largest = _largest(one.outputs, other.outputs, output)
                found[output] = (max(before[0], largest), max(before[1], case.atol + case.rtol * scale))
    return [
        ValueDifference(checker.model, checker.target, name, between, output, largest, allowed)
        for output, (largest, allowed) in sorted(found.items())
    ]


def _largest(one: Mapping[str, NDArray[Any]], other: Mapping[str, NDArray[Any]], name: str) -> float:
    left, right = np.asarray(one[name]), np.asarray(other[name])
    if left.dtype.kind in "OSUb" or left.shape != right.shape:
        return 0.0
    with np.errstate(all="ignore"):
        return float(np.max(np.abs(_finite(left) - _finite(right)), initial=0.0))


def _finite(array: NDArray[Any]) -> NDArray[Any]:
    wide = np.asarray(array).astype(np.complex128 if array.dtype.kind == "c" else np.float64)
    return np.where(np.isfinite(wide), wide, 0)
