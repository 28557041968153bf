"""Group ``parity``: the model in this process, over gRPC and over REST, per output; and which version answered."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tfs_deploy.errors import DeadlineExceededError
from tfs_deploy.savedmodel.goldens import compare
from tfs_deploy.verify.checks import failed, passed, skipped
from tfs_deploy.verify.probing.prober import GRPC, LOCAL, REST
from tfs_deploy.verify.verification import Difference

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from tfs_deploy.protos.signatures import SignatureInfo
    from tfs_deploy.verify.checks import Examiner, Judgement
    from tfs_deploy.verify.probing.cases import Case
    from tfs_deploy.verify.probing.prober import Answer, Asker

#: id -> the two ways that are compared
PAIRS: Final = {
    "parity.local-grpc": (LOCAL, GRPC),
    "parity.grpc-rest": (GRPC, REST),
    "parity.local-rest": (LOCAL, REST),
}


def examine_parity(
    examiner: Examiner,
    asker: Asker,
    signatures: Mapping[str, SignatureInfo],
    cases: Mapping[str, Sequence[Case]],
    differences: list[Difference],
) -> None:
    """Compare the answers that were given, signature by signature, and those of the model in this process."""
    for name in signatures:
        answers = {way: _answers(asker, cases[name], way) for way in (LOCAL, *asker.ways)}
        for identity, (left, right) in PAIRS.items():
            if REST in (left, right) and asker.rest is None:
                continue
            if LOCAL in (left, right) and not asker.asks_local:
                why = asker.local.why_not if asker.local is not None else "it is not asked"
                examiner.tell(identity, name, skipped(f"there is no local answer to compare with: {why}"))
                continue
            pairs = [
                (case, answers[left][case], answers[right][case])
                for case in cases[name]
                if case in answers[left] and case in answers[right]
            ]
            examiner.check(identity, name, partial(judge_pairs, pairs, left, right))
            differences += _differences(examiner, name, f"{left} and {right}", pairs)
        examiner.check("parity.version", name, partial(_versions, answers, asker.version))


def judge_pairs(pairs: Sequence[tuple[Case, Answer, Answer]], left: str, right: str) -> Judgement:
    """Judge whether two ways give the same to every request that both answered."""
    both = [(case, one, other) for case, one, other in pairs if one.ok and other.ok]
    for case, one, other in both:
        missing = sorted(one.outputs.keys() ^ other.outputs.keys())
        if missing:
            return failed(f"{case.name}: only one of {left} and {right} returns output '{missing[0]}'")
        mismatch = compare(one.outputs, other.outputs, case.rtol, case.atol)
        if mismatch is not None:
            return failed(f"{case.name}: {right} does not answer as {left}: {mismatch}", mismatch.max_abs_diff)
    torn = next((each for each in pairs if each[1].ok != each[2].ok and not _is_late(*each)), None)
    if torn is not None:
        case, one, other = torn
        loser, why = (right, other.why) if one.ok else (left, one.why)
        return failed(f"{case.name}: {loser} does not answer, the other one does: {why}")
    if not both:
        return skipped("no request was answered by both")
    largest = max(
        (_largest(one.outputs, other.outputs, name) for _, one, other in both for name in one.outputs), default=0
    )
    return passed(f"{len(both)} answers are the same", float(largest), "largest difference")


def _is_late(case: Case, one: Answer, other: Answer) -> bool:
    """Whether one way only took too long for an edge value, which the other may have made in time by a hair."""
    return not case.ordinary and any(isinstance(each.error, DeadlineExceededError) for each in (one, other))


def _answers(asker: Asker, cases: Sequence[Case], way: str) -> dict[Case, Answer]:
    if way == LOCAL and asker.asks_local:
        # what the server did not answer in time would only take this process's time as well
        asked = [case for case in cases if not asker.ask(case, GRPC).lost]
        return {case: asker.ask(case, LOCAL) for case in asked}
    # what could not be asked over REST was not
    return {
        case: asker.answers[case.signature, case.name, way]
        for case in cases
        if (case.signature, case.name, way) in asker.answers
    }


def _versions(answers: Mapping[str, Mapping[Case, Answer]], version: int) -> Judgement:
    given = [answer.version for answer in answers[GRPC].values() if answer.ok]
    wrong = next((each for each in given if each != version), None)
    if wrong is not None:
        return failed(f"version {wrong} answered over gRPC, version {version} should")
    return passed(f"version {version} gave every answer") if given else skipped("there was no answer")


def _differences(
    examiner: Examiner, name: str, between: str, pairs: Sequence[tuple[Case, Answer, Answer]]
) -> list[Difference]:
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
        Difference(examiner.model, examiner.target, name, between, output, largest, allowed)
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
