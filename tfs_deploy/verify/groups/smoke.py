"""Group ``smoke``: every signature over every transport, with recorded answers or with made-up inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfs_deploy.errors import DeadlineExceededError
from tfs_deploy.savedmodel.goldens import compare
from tfs_deploy.smoke.made_up_inputs import misfit
from tfs_deploy.verify.checks import Status, failed, passed, skipped
from tfs_deploy.verify.groups.behaviour import not_finite
from tfs_deploy.verify.probing.cases import guesses, is_guess, made_up_cases, recorded_cases
from tfs_deploy.verify.probing.prober import GRPC, LOCAL, REST, not_over_rest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tfs_deploy.protos.signatures import SignatureInfo
    from tfs_deploy.savedmodel.goldens import Golden
    from tfs_deploy.savedmodel.graph.features import Feature
    from tfs_deploy.verify.checks import Examiner, Judgement
    from tfs_deploy.verify.probing.cases import Case
    from tfs_deploy.verify.probing.prober import Answer, Asker


def choose_cases(
    asker: Asker,
    signature: SignatureInfo,
    goldens: Sequence[Golden],
    features: Sequence[Feature],
    warmed: Sequence[Case] = (),
) -> list[Case]:
    """Return what to ask a signature: its recorded calls, else its warmup requests and what it takes of made-up ones.

    The model in this process is tried first, which costs the server nothing; without it the server is.
    """
    recorded = recorded_cases(signature, goldens)
    if recorded:
        return recorded
    tried = LOCAL if asker.asks_local else GRPC
    first: list[Case] = []
    degenerate: list[list[Case]] = []
    for guess in guesses(signature, features):
        cases = made_up_cases(signature, features, guess)
        first = first or cases
        answer = asker.again(cases[0], tried)
        if answer.ok and not not_finite(answer.outputs):
            return [*warmed, *cases]
        if answer.ok:
            degenerate.append(cases)
        elif not answer.refused:
            break
    # a model that divides by a deviation has none to divide by in a sequence of one
    return [*warmed, *(degenerate[:2] or [first])[-1]]


def examine_answers(
    examiner: Examiner, asker: Asker, signatures: Mapping[str, SignatureInfo], cases: Mapping[str, Sequence[Case]]
) -> None:
    """Make the checks of every signature; all answers stay with ``asker`` for the groups that follow."""
    proven = False
    for name, signature in signatures.items():
        asked = cases[name]
        for case in asked:
            for way in asker.ways:
                judgement = _one(examiner, asker, signature, case, way)
                proven = proven or judgement.status is Status.PASSED
        if not any(case.golden for case in asked):
            examiner.tell(
                "smoke.signature", name, judge_signature(signature, [asker.ask(case, GRPC) for case in asked])
            )
    if not proven:
        reason = (
            "not one answer was proven: export with examples, so that answers are recorded (or --skip smoke.proven)"
        )
        examiner.tell("smoke.proven", "", failed(reason))


def _one(examiner: Examiner, asker: Asker, signature: SignatureInfo, case: Case, way: str) -> Judgement:
    identity = "smoke.recorded" if case.golden is not None else "smoke.made-up"
    about = f"{case}, over {way}"
    reason = not_over_rest(signature, case, asker.ask(case, GRPC).size) if way == REST else ""
    if reason:
        judgement = skipped(reason)
        examiner.tell(identity, about, judgement)
        return judgement
    answer = asker.ask(case, way)
    local = asker.ask(case, LOCAL) if answer.refused and asker.asks_local else None
    judgement = judge_answer(signature, case, answer, local, asker.version)
    examiner.tell(identity, about, judgement, answer.seconds)
    return judgement


def judge_answer(signature: SignatureInfo, case: Case, answer: Answer, local: Answer | None, version: int) -> Judgement:
    """Judge one answer by the recorded one, else by what the signature promises.

    A made-up request may be refused, unless the model itself (``local``) takes it.
    """
    if not answer.ok:
        if case.golden is None and answer.refused and (local is None or local.refused):
            return skipped(f"the model does not take this request: {answer.why}")
        if not case.ordinary and isinstance(answer.error, DeadlineExceededError):
            return skipped(f"an edge value takes too long: {answer.why}")
        return failed(answer.why)
    if answer.version is not None and answer.version != version:
        return failed(f"version {answer.version} answered, version {version} should")
    if case.golden is None:
        problem = misfit(signature, answer.outputs)
        return failed(problem) if problem else passed("as the signature promises", answer.seconds * 1000, "ms")
    mismatch = compare(case.golden.outputs, answer.outputs, case.rtol, case.atol)
    if mismatch is not None:
        return failed(str(mismatch), mismatch.max_abs_diff, "difference" if mismatch.max_abs_diff is not None else "")
    return passed("as recorded", answer.seconds * 1000, "ms")


def judge_signature(signature: SignatureInfo, answers: Sequence[Answer]) -> Judgement:
    """Judge a signature without recorded answers as a whole: it has to take something.

    A signature whose sizes and dtypes leave nothing to guess and that refuses everything is broken; of any other one
    can only say that nothing was proven.
    """
    taken = sum(answer.ok for answer in answers)
    if taken:
        return passed(f"{taken} of {len(answers)} made-up requests answered", float(taken), "answers")
    first = next((answer for answer in answers if not answer.refused), answers[0])
    if first.refused and is_guess(signature):
        return skipped(f"no made-up request is taken, export with examples to have it proven: {first.why}")
    return failed(f"it answers nothing that its inputs allow: {first.why}")
