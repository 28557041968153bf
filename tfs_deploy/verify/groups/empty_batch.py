"""Part of group ``smoke``, made last: a batch of no rows, which a server that batches may never answer.

TensorFlow Serving with ``--enable_batching`` keeps such a request for ever (batching_session.cc puts it into no
batch), so it has a deadline of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tfs_deploy.errors import DeadlineExceededError
from tfs_deploy.verify.checks import failed, passed, skipped
from tfs_deploy.verify.probing.cases import empty_case
from tfs_deploy.verify.probing.prober import GRPC, LOCAL

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tfs_deploy.protos.signatures import SignatureInfo
    from tfs_deploy.verify.checks import Examiner, Judgement
    from tfs_deploy.verify.probing.cases import Case
    from tfs_deploy.verify.probing.prober import Answer, Asker

_PATIENCE: Final = 3.0


def examine_empty_batches(
    examiner: Examiner,
    asker: Asker,
    signatures: Mapping[str, SignatureInfo],
    cases: Mapping[str, Sequence[Case]],
    *,
    batching: bool | None,
) -> None:
    """Ask every signature that answered a batch for none at all."""
    for name in signatures:
        answered = [case for case in cases[name] if case.rows and asker.ask(case, GRPC).ok]
        if not answered:
            continue
        # with one row, an output of one value for the whole batch would look like one with a row
        like = max(answered, key=lambda case: case.rows or 0)
        case = empty_case(signatures[name], like.inputs)
        answer = asker.ask(case, GRPC, timeout=min(_PATIENCE, asker.timeout))
        local = asker.ask(case, LOCAL) if asker.asks_local and not answer.ok and not answer.lost else None
        examiner.tell(
            "smoke.empty-batch", name, judge_empty(answer, local, like, asker.ask(like, GRPC), batching=batching)
        )


def judge_empty(answer: Answer, local: Answer | None, like: Case, full: Answer, *, batching: bool | None) -> Judgement:
    """Judge the answer to an empty batch: no rows, or a clean refusal; ``batching`` is ``None`` where unknown."""
    if isinstance(answer.error, DeadlineExceededError):
        if batching is not False:
            return skipped("no answer to an empty batch, as from every server that batches: do not send one")
        return failed(f"an empty batch is not answered: {answer.why}")
    if answer.refused or (local is not None and not local.ok and not answer.ok):
        return passed(f"an empty batch is refused: {answer.why}")
    if not answer.ok:
        return failed(f"an empty batch: {answer.why}")
    for name, array in full.outputs.items():
        got = answer.outputs.get(name)
        if got is not None and array.shape[:1] == (like.rows,) and got.shape[:1] != (0,):
            return failed(f"an empty batch gives output '{name}' of shape {list(got.shape)}")
    return passed("an empty batch gives an empty answer")
