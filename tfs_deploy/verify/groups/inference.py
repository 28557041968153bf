"""Part of group ``smoke``: Classify and Regress, which answer tf.Examples with what Predict says of them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from tfs_deploy.protos.signatures import CLASSIFY_METHOD, REGRESS_METHOD
from tfs_deploy.savedmodel.goldens import compare
from tfs_deploy.verify.checks import failed, passed, skipped
from tfs_deploy.verify.probing.prober import GRPC

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from tfs_deploy.client import Client, RestClient
    from tfs_deploy.client.call.inference_replies import ClassifyReply, RegressReply
    from tfs_deploy.protos.signatures import SignatureInfo
    from tfs_deploy.verify.checks import Examiner, Judgement
    from tfs_deploy.verify.probing.cases import Case
    from tfs_deploy.verify.probing.prober import Answer, Asker

_METHODS = {CLASSIFY_METHOD: "classify", REGRESS_METHOD: "regress"}


def examine_inference(
    examiner: Examiner, asker: Asker, signatures: Mapping[str, SignatureInfo], cases: Mapping[str, Sequence[Case]]
) -> None:
    """Ask the signatures of these methods for what Predict answered to the same tf.Examples."""
    for name, signature in signatures.items():
        method = _METHODS.get(signature.method)
        spec = next(iter(signature.inputs.values()), None)
        if method is None or spec is None or spec.dtype != "string":
            continue
        case = next((c for c in cases[name] if c.ordinary and c.inputs and asker.ask(c, GRPC).ok), None)
        for way, client in (("grpc", asker.grpc), ("rest", asker.rest)):
            about = f"{name}, over {way}"
            if client is None:
                continue
            if case is None:
                examiner.tell(f"smoke.{method}", about, skipped("it answered no tf.Example to compare with"))
            else:
                examiner.check(f"smoke.{method}", about, partial(_ask, asker, client, method, case))


def judge_classes(reply: ClassifyReply, outputs: Mapping[str, NDArray[Any]], rtol: float, atol: float) -> Judgement:
    """Judge the classes of a reply by the outputs ``classes`` and ``scores`` of the signature."""
    found: dict[str, NDArray[Any]] = {}
    if "scores" in outputs:
        found["scores"] = np.array([[each.score for each in row] for row in reply], np.float32)
    if "classes" in outputs:
        found["classes"] = np.array([[each.label.encode() for each in row] for row in reply], object)
    return _judge({name: outputs[name] for name in found}, found, rtol, atol)


def judge_values(reply: RegressReply, outputs: Mapping[str, NDArray[Any]], rtol: float, atol: float) -> Judgement:
    """Judge the values of a reply by the output ``outputs`` of the signature, [batch] or [batch, 1]."""
    expected = next(iter(outputs.values())).reshape(-1)
    return _judge({"outputs": expected}, {"outputs": reply.values}, rtol, atol)


def _ask(asker: Asker, client: Client | RestClient, method: str, case: Case) -> Judgement:
    records = [bytes(record) for record in next(iter(case.inputs.values())).reshape(-1)]
    answer: Answer = asker.ask(case, GRPC)
    options = {"signature": case.signature, "version": asker.version, "timeout": asker.timeout}
    if method == "classify":
        return judge_classes(client.classify(asker.model, records, **options), answer.outputs, case.rtol, case.atol)  # type: ignore[arg-type]
    return judge_values(client.regress(asker.model, records, **options), answer.outputs, case.rtol, case.atol)  # type: ignore[arg-type]


def _judge(
    expected: Mapping[str, NDArray[Any]], found: Mapping[str, NDArray[Any]], rtol: float, atol: float
) -> Judgement:
    mismatch = compare(expected, found, rtol, atol)
    if mismatch is not None:
        return failed(f"another answer than Predict gives: {mismatch}", mismatch.max_abs_diff)
    return passed("as Predict answers")
