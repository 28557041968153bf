# SPDX-License-Identifier: Apache-2.0
"""Part of group ``smoke``: Classify and Regress must answer tf.Examples as Predict does."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from google.protobuf.message import DecodeError

from tfs_deploy import protos
from tfs_deploy.protos.signatures import CLASSIFY_METHOD, REGRESS_METHOD
from tfs_deploy.savedmodel.goldens import compare
from tfs_deploy.verify.checks import failed, passed, skipped
from tfs_deploy.verify.probing.cases import Case
from tfs_deploy.verify.probing.prober import GRPC

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from tfs_deploy.client import Client, RestClient
    from tfs_deploy.client.call.inference_replies import ClassifyReply, RegressReply
    from tfs_deploy.verify.checks import Judgement
    from tfs_deploy.verify.probing.prober import Answer, Prober
    from tfs_deploy.verify.served_version import ServedVersion

_METHODS = {CLASSIFY_METHOD: "classify", REGRESS_METHOD: "regress"}


def verify_inference(version: ServedVersion) -> None:
    """Compare Classify and Regress with what Predict answered to the same tf.Examples."""
    checker, prober, cases = version.checker, version.prober, version.cases
    for name, signature in version.signatures.items():
        method = _METHODS.get(signature.method)
        spec = next(iter(signature.inputs.values()), None)
        if method is None or spec is None or spec.dtype != "string":
            continue
        case = next((c for c in cases[name] if c.ordinary and c.inputs and prober.probe(c, GRPC).ok), None)
        refused = ""
        if case is not None and not are_examples(case):
            case = as_examples(case)
            refused = prober.probe(case, GRPC).reason
        for transport, client in (("grpc", prober.grpc), ("rest", prober.rest)):
            about = f"{name}, over {transport}"
            if client is None:
                continue
            if case is None:
                checker.record(f"smoke.{method}", about, skipped("Predict answered no tf.Example to compare with"))
            elif refused:
                reason = f"its input takes other text than the tf.Examples of {method.title()}: {refused}"
                checker.record(f"smoke.{method}", about, skipped(reason))
            else:
                checker.check(f"smoke.{method}", about, partial(_ask, prober, client, method, case))


def are_examples(case: Case) -> bool:
    """Return whether a case holds serialized tf.Examples, which are all that Classify and Regress can send."""
    for record in next(iter(case.inputs.values())).reshape(-1):
        try:
            example = protos.Example.FromString(bytes(record))
        except DecodeError:
            return False
        if record and not example.HasField("features"):
            return False
    return True


def as_examples(case: Case) -> Case:
    """Return a case with each text in a tf.Example: what a signature gets whose receiver does not parse them."""
    (name, texts), *_ = case.inputs.items()
    records = np.empty(texts.shape, object)
    for position, text in enumerate(texts.reshape(-1)):
        example = protos.Example()
        example.features.feature[name].bytes_list.value.append(text)
        records.reshape(-1)[position] = example.SerializeToString()
    return Case(case.signature, f"{case.name}, as tf.Examples", {name: records}, case.rows, ordinary=case.ordinary)


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


def _ask(prober: Prober, client: Client | RestClient, method: str, case: Case) -> Judgement:
    records = [bytes(record) for record in next(iter(case.inputs.values())).reshape(-1)]
    answer: Answer = prober.probe(case, GRPC)
    options = {"signature": case.signature, "version": prober.version, "timeout": prober.timeout}
    if method == "classify":
        return judge_classes(client.classify(prober.model, records, **options), answer.outputs, case.rtol, case.atol)  # type: ignore[arg-type]
    return judge_values(client.regress(prober.model, records, **options), answer.outputs, case.rtol, case.atol)  # type: ignore[arg-type]


def _judge(
    expected: Mapping[str, NDArray[Any]], found: Mapping[str, NDArray[Any]], rtol: float, atol: float
) -> Judgement:
    mismatch = compare(expected, found, rtol, atol)
    if mismatch is not None:
        return failed(f"differs from the answer of Predict: {mismatch}", mismatch.max_abs_diff)
    return passed("same answer as Predict")
