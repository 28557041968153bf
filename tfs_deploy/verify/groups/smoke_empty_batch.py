# SPDX-License-Identifier: Apache-2.0
"""Part of group ``smoke`` that runs last: an empty batch, which a server that batches may never answer.

TensorFlow Serving with ``--enable_batching`` never answers such a request (batching_session.cc adds it to no batch),
so it gets a short timeout of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tfs_deploy.verify.checks import failed, passed, skipped
from tfs_deploy.verify.probing.cases import empty_case
from tfs_deploy.verify.probing.prober import GRPC, LOCAL

if TYPE_CHECKING:
    from tfs_deploy.verify.checks import Judgement
    from tfs_deploy.verify.probing.cases import Case
    from tfs_deploy.verify.probing.prober import Answer
    from tfs_deploy.verify.served_version import ServedVersion

_PATIENCE: Final = 3.0


def verify_empty_batches(version: ServedVersion) -> None:
    """Send an empty batch to every signature that answered a batch."""
    checker, prober, cases = version.checker, version.prober, version.cases
    for name, signature in version.signatures.items():
        answered = [case for case in cases[name] if case.rows and prober.probe(case, GRPC).ok]
        if not answered:
            continue
        # a batch of one row would not tell an output for each row from one for the whole batch
        like = max(answered, key=lambda case: case.rows or 0)
        case = empty_case(signature, like.inputs)
        answer = prober.probe(case, GRPC, timeout=min(_PATIENCE, prober.timeout))
        local = prober.probe(case, LOCAL) if prober.has_local and not answer.ok and not answer.lost else None
        checker.record(
            "smoke.empty-batch",
            name,
            judge_empty(answer, local, like, prober.probe(like, GRPC), batching=version.endpoint.batching),
        )


def judge_empty(answer: Answer, local: Answer | None, like: Case, full: Answer, *, batching: bool | None) -> Judgement:
    """Judge the answer to an empty batch: no rows or a clean refusal are right; ``batching`` ``None``: unknown."""
    if answer.late:
        if batching is not False:
            return skipped(
                "the server does not answer an empty batch (with batching on, no server does): do not send one"
            )
        return failed(f"an empty batch is not answered: {answer.reason}")
    if answer.refused or (local is not None and not local.ok and not answer.ok):
        return passed(f"an empty batch is refused: {answer.reason}")
    if not answer.ok:
        return failed(f"an empty batch: {answer.reason}")
    for name, array in full.outputs.items():
        got = answer.outputs.get(name)
        if got is not None and array.shape[:1] == (like.rows,) and got.shape[:1] != (0,):
            return failed(f"an empty batch returns output '{name}' of shape {list(got.shape)}")
    return passed("an empty batch returns an empty answer")
