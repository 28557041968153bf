# SPDX-License-Identifier: Apache-2.0
"""Smoke: call a label or a version over each transport and compare with the answers recorded at export.

The metadata of a label tell which version answers (GetModelStatus ignores labels, get_model_status_impl.cc). Then each
recorded call is sent; where nothing was recorded, inputs are made up from the signature, and the outputs must fit the
signature and agree between the transports.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tfs_deploy.errors import InvalidArgumentError, ModelError, TfsDeployError
from tfs_deploy.savedmodel.goldens import Golden, compare, read_goldens
from tfs_deploy.savedmodel.samples import NOT_IN_JSON
from tfs_deploy.savedmodel.versions import find_version
from tfs_deploy.smoke.json_text import not_text
from tfs_deploy.smoke.made_up_inputs import made_up_inputs, output_mismatch
from tfs_deploy.smoke.results import ANSWERS, AS_RECORDED, MADE_UP_REFUSED, NO_RECORDED, Outcome, SmokeCheck, Target

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tfs_deploy.client import ModelMetadata, PredictReply
    from tfs_deploy.client.protocols import Predictor
    from tfs_deploy.protos.signatures import SignatureInfo


@dataclass(frozen=True, slots=True)
class ToleranceOverride:
    """Tolerances that replace those recorded with a golden."""

    rtol: float | None = None
    atol: float | None = None


@dataclass(frozen=True, slots=True)
class _TargetCaller:
    """Calls one target of one model over one transport."""

    model: str
    target: Target
    transport: str
    client: Predictor

    def check(self, name: str, outcome: Outcome, detail: str = "", **more: Any) -> SmokeCheck:
        return SmokeCheck(self.model, str(self.target), self.transport, name, outcome, detail, **more)

    def metadata(self) -> ModelMetadata:
        if self.target.label is not None:
            return self.client.metadata(self.model, label=self.target.label)
        return self.client.metadata(self.model, version=self.target.version)

    def predict(self, signature: str, inputs: Mapping[str, Any]) -> PredictReply:
        if self.target.label is not None:
            return self.client.predict(self.model, inputs, signature=signature, label=self.target.label)
        return self.client.predict(self.model, inputs, signature=signature, version=self.target.version)

    def garbled(self, reply: PredictReply) -> str:
        """Return why other clients cannot read this reply's JSON, empty if they can."""
        return not_text(reply.outputs) if self.transport == "rest" else ""


def smoke_target(
    model: str,
    base_path: Path,
    target: Target,
    clients: Mapping[str, Predictor],
    *,
    tolerance: ToleranceOverride | None = None,
) -> Iterator[SmokeCheck]:
    """Yield the checks of one label or version, over each of ``clients`` by transport name (``grpc``, ``rest``)."""
    made_up_replies: dict[str, PredictReply] = {}
    for transport, client in clients.items():
        caller = _TargetCaller(model, target, transport, client)
        try:
            metadata = caller.metadata()
        except TfsDeployError as error:
            yield caller.check(ANSWERS, Outcome.FAILED, error.message, retriable=error.retriable)
            continue
        version = target.version if metadata.version is None else metadata.version
        try:
            goldens = _goldens(base_path, version)
        except ModelError as error:
            yield _answers(caller, metadata.version, "")
            yield caller.check("goldens", Outcome.FAILED, error.message)
            continue
        yield _answers(caller, metadata.version, "" if goldens else NO_RECORDED)
        if goldens:
            yield from _recorded(caller, metadata, goldens, tolerance or ToleranceOverride())
        else:
            yield from _unrecorded(caller, metadata, made_up_replies)


def _goldens(base_path: Path, version: int | None) -> list[Golden]:
    return [] if version is None else read_goldens(find_version(base_path, version).path)


def _answers(caller: _TargetCaller, version: int | None, detail: str) -> SmokeCheck:
    expected = caller.target.version
    if expected is not None and version is not None and version != expected:
        detail = f"version {version} answered instead of version {expected}"
        return caller.check(ANSWERS, Outcome.FAILED, detail, version=version)
    return caller.check(ANSWERS, Outcome.OK, detail, version=version)


def _recorded(
    caller: _TargetCaller, metadata: ModelMetadata, goldens: list[Golden], tolerance: ToleranceOverride
) -> Iterator[SmokeCheck]:
    seen: dict[str, int] = {}
    for golden in goldens:
        number = seen[golden.signature] = seen.get(golden.signature, 0) + 1
        name = golden.signature if number == 1 else f"{golden.signature} #{number}"
        signature = metadata.signatures.get(golden.signature)
        if signature is None:
            there = ", ".join(metadata.signatures) or "none"
            yield caller.check(name, Outcome.FAILED, f"the served version has no such signature; it has: {there}")
        elif caller.transport == "rest" and (dtype := _not_in_json(signature)):
            yield caller.check(name, Outcome.SKIPPED, f"the REST API cannot carry {dtype}")
        else:
            yield _one_recorded(caller, name, golden, metadata.version, tolerance)


def _one_recorded(
    caller: _TargetCaller, name: str, golden: Golden, version: int | None, tolerance: ToleranceOverride
) -> SmokeCheck:
    started = time.perf_counter()
    try:
        reply = caller.predict(golden.signature, golden.inputs)
    except TfsDeployError as error:
        return caller.check(name, Outcome.FAILED, error.message, version=version, retriable=error.retriable)
    seconds = time.perf_counter() - started
    answered = version if reply.version is None else reply.version
    facts: dict[str, Any] = {"version": answered, "seconds": seconds}
    if version is not None and answered != version:
        return caller.check(name, Outcome.FAILED, f"version {answered} answered instead of version {version}", **facts)
    rtol = golden.rtol if tolerance.rtol is None else tolerance.rtol
    atol = golden.atol if tolerance.atol is None else tolerance.atol
    mismatch = compare(golden.outputs, reply.outputs, rtol, atol)
    problem = caller.garbled(reply) if mismatch is None else str(mismatch)
    if problem:
        return caller.check(name, Outcome.FAILED, problem, **facts)
    return caller.check(name, Outcome.OK, AS_RECORDED, **facts)


def _unrecorded(
    caller: _TargetCaller, metadata: ModelMetadata, replies: dict[str, PredictReply]
) -> Iterator[SmokeCheck]:
    """Yield the checks of each signature with made-up inputs; ``replies``: those over the transports before."""
    for name, signature in metadata.signatures.items():
        if not signature.inputs:
            yield caller.check(name, Outcome.SKIPPED, f"{NO_RECORDED}, and the signature takes no inputs")
        elif caller.transport == "rest" and (dtype := _not_in_json(signature)):
            yield caller.check(name, Outcome.SKIPPED, f"the REST API cannot carry {dtype}")
        else:
            yield _one_unrecorded(caller, signature, metadata.version, replies)


def _one_unrecorded(
    caller: _TargetCaller, signature: SignatureInfo, version: int | None, replies: dict[str, PredictReply]
) -> SmokeCheck:
    started = time.perf_counter()
    try:
        reply = caller.predict(signature.name, made_up_inputs(signature))
    except InvalidArgumentError as error:  # a correct model may refuse these values
        detail = f"{NO_RECORDED}, and {MADE_UP_REFUSED}: {error.message}"
        return caller.check(signature.name, Outcome.SKIPPED, detail, version=version)
    except TfsDeployError as error:
        return caller.check(signature.name, Outcome.FAILED, error.message, version=version, retriable=error.retriable)
    answered = version if reply.version is None else reply.version
    facts: dict[str, Any] = {"version": answered, "seconds": time.perf_counter() - started}
    problem = output_mismatch(signature, reply.outputs) or caller.garbled(reply) or None
    earlier = replies.setdefault(signature.name, reply)
    if problem is None and earlier is not reply:
        mismatch = compare(earlier.outputs, reply.outputs, 1e-5, 1e-5)
        problem = None if mismatch is None else f"the transports disagree: {mismatch}"
    if problem is not None:
        return caller.check(signature.name, Outcome.FAILED, problem, **facts)
    return caller.check(signature.name, Outcome.OK, "made-up inputs", **facts)


def _not_in_json(signature: SignatureInfo) -> str | None:
    specs = (*signature.inputs.values(), *signature.outputs.values())
    return next((spec.dtype for spec in specs if spec.dtype in NOT_IN_JSON), None)
