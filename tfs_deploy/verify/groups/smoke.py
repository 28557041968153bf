# SPDX-License-Identifier: Apache-2.0
"""Group ``smoke``: every signature over every transport, with recorded answers or with made-up inputs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tfs_deploy.savedmodel.goldens import compare
from tfs_deploy.smoke.json_text import not_text
from tfs_deploy.smoke.made_up_inputs import output_mismatch
from tfs_deploy.verify.checks import CheckStatus, failed, passed, skipped
from tfs_deploy.verify.groups.behaviour import not_finite
from tfs_deploy.verify.probing.cases import guesses, has_free_sizes, is_guess, made_up_cases, recorded_cases, shapes_of
from tfs_deploy.verify.probing.prober import GRPC, LOCAL, REST, rest_obstacle

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tfs_deploy.protos.signatures import SignatureInfo
    from tfs_deploy.savedmodel.goldens import Golden
    from tfs_deploy.savedmodel.graph.features import Feature
    from tfs_deploy.verify.checks import Checker, Judgement
    from tfs_deploy.verify.probing.cases import Case
    from tfs_deploy.verify.probing.prober import Answer, Prober
    from tfs_deploy.verify.served_version import ServedVersion


def choose_cases(
    prober: Prober,
    signature: SignatureInfo,
    goldens: Sequence[Golden],
    features: Sequence[Feature],
    warmup: Sequence[Case] = (),
) -> list[Case]:
    """Return the requests for a signature: its recorded calls, else its warmup requests and made-up ones that fit.

    Guesses are tried on the local model, which costs the server nothing; without one on the server.
    """
    recorded = recorded_cases(signature, goldens)
    if recorded:
        return recorded
    tries = guesses(signature, features)
    if len(tries) == 1:  # nothing to choose
        return [*warmup, *made_up_cases(signature, features, tries[0])]
    tried = LOCAL if prober.has_local else GRPC
    first: list[Case] = []
    degenerate: list[list[Case]] = []
    for guess in tries:
        cases = made_up_cases(signature, features, guess)
        timeout = None if first else prober.first_timeout
        first = first or cases
        answer = prober.probe_again(cases[0], tried, timeout=timeout)
        if answer.ok and not not_finite(answer.outputs):
            prober.answers[cases[0].signature, cases[0].name, tried] = answer
            return [*warmup, *cases]
        if answer.ok:
            degenerate.append(cases)
        elif not answer.refused:
            break
    # a model that divides by a standard deviation needs more than a sequence of one
    return [*warmup, *(degenerate[:2] or [first])[-1]]


def verify_smoke(version: ServedVersion) -> None:
    """Make the checks of every signature; the prober keeps all answers for the groups that follow."""
    checker, prober, cases = version.checker, version.prober, version.cases
    proven = False
    for name, signature in version.signatures.items():
        sent = cases[name]
        plan = version.plan(name)
        for case in sent:
            for transport in prober.transports:
                if transport == GRPC or plan.everywhere or case is sent[0]:
                    judgement = _check_answer(checker, prober, signature, case, transport)
                    proven = proven or judgement.status is CheckStatus.PASSED
                else:
                    checker.record(_identity(case), f"{case}, over {transport}", skipped(plan.why))
        if not any(case.golden for case in sent):
            judgement = judge_signature(signature, [prober.probe(case, GRPC) for case in sent])
            if has_free_sizes(signature):
                judgement = replace(judgement, reason=f"{judgement.reason}; sent {shapes_of(sent[-1])}")
            checker.record("smoke.signature", name, judgement)
    if not proven:
        reason = "no answer was verified: export with examples, so that answers are recorded (or --skip smoke.proven)"
        checker.record("smoke.proven", "", failed(reason))


def _identity(case: Case) -> str:
    return "smoke.recorded" if case.golden is not None else "smoke.made-up"


def _check_answer(checker: Checker, prober: Prober, signature: SignatureInfo, case: Case, transport: str) -> Judgement:
    identity = _identity(case)
    about = f"{case}, over {transport}"
    if transport == REST:
        grpc = prober.probe(case, GRPC)
        reason, garbled = rest_obstacle(signature, case, grpc.size), "" if case.binary else not_text(grpc.outputs)
        if reason or garbled:
            judgement = failed(garbled) if garbled else skipped(reason)
            checker.record(identity, about, judgement)
            return judgement
    answer = prober.probe(case, transport)
    local = prober.probe(case, LOCAL) if answer.refused and prober.has_local else None
    judgement = judge_answer(signature, case, answer, local, prober.version)
    checker.record(identity, about, judgement, answer.seconds)
    return judgement


def judge_answer(signature: SignatureInfo, case: Case, answer: Answer, local: Answer | None, version: int) -> Judgement:
    """Judge one answer by the recorded one, else by the signature.

    A made-up request may be refused, unless the local model accepts it.
    """
    if not answer.ok:
        if case.golden is None and answer.refused and (local is None or local.refused):
            return skipped(f"the model refuses this made-up request: {answer.reason}")
        if not case.ordinary and answer.late:
            return skipped(f"an edge value takes too long: {answer.reason}")
        return failed(answer.reason)
    if answer.version is not None and answer.version != version:
        return failed(f"version {answer.version} answered instead of version {version}")
    if case.golden is None:
        problem = output_mismatch(signature, answer.outputs)
        return failed(problem) if problem else passed("matches the signature", answer.seconds * 1000, "ms")
    mismatch = compare(case.golden.outputs, answer.outputs, case.rtol, case.atol)
    if mismatch is not None:
        return failed(str(mismatch), mismatch.max_abs_diff, "difference" if mismatch.max_abs_diff is not None else "")
    return passed("as recorded", answer.seconds * 1000, "ms")


def judge_signature(signature: SignatureInfo, answers: Sequence[Answer]) -> Judgement:
    """Judge a signature without recorded answers as a whole: it must accept some request.

    A signature that refuses everything is broken if there was nothing to guess; else nothing is proven.
    """
    taken = sum(answer.ok for answer in answers)
    if taken:
        return passed(f"{taken} of {len(answers)} made-up requests answered", float(taken), "answers")
    first = next((answer for answer in answers if not answer.refused), answers[0])
    if first.refused and is_guess(signature):
        return skipped(f"every made-up request is refused; export with examples to prove the signature: {first.reason}")
    return failed(f"the signature answers no request that its inputs allow: {first.reason}")
