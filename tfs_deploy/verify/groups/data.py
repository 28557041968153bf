# SPDX-License-Identifier: Apache-2.0
"""Group ``data``: send a data set to the served model and compute metrics on its answers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tfs_deploy.codec.dtypes import numpy_dtype
from tfs_deploy.codec.quantized import quantized
from tfs_deploy.errors import TfsDeployError, UsageError
from tfs_deploy.protos.signatures import DEFAULT_SIGNATURE
from tfs_deploy.text import counted
from tfs_deploy.verify.checks import failed, passed
from tfs_deploy.verify.measure.data_sets import RECORD

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from tfs_deploy.protos.signatures import SignatureInfo
    from tfs_deploy.verify.measure.metrics import MetricLimit
    from tfs_deploy.verify.probing.prober import Prober
    from tfs_deploy.verify.served_version import ServedVersion

    Array = NDArray[Any]

#: names of the column of labels, the likeliest first
_LABELS: Final = ("label", "labels", "target", "targets", "class", "y")
#: outputs to compute metrics on where there are several, the likeliest first
_OUTPUTS: Final = ("probabilities", "scores", "logits", "predictions", "prediction", "outputs", "output_0")


@dataclass(frozen=True, slots=True, eq=False)
class DataSettings:
    """A data set: its columns, the limits of its metrics, and names where the defaults do not fit."""

    columns: Mapping[str, Array]
    metrics: tuple[MetricLimit, ...]
    signature: str | None = None
    label: str | None = None
    output: str | None = None
    batch: int = 32

    @property
    def rows(self) -> int:
        """The number of examples."""
        return len(next(iter(self.columns.values())))


def verify_data(version: ServedVersion, settings: DataSettings | None, progress: Callable[[int], None]) -> None:
    """Send the data set and judge its metrics; ``progress`` is called with the number of rows answered.

    Raises ``UsageError`` for a data set that does not fit the signature.
    """
    checker = version.checker
    if settings is None or not checker.wants("data"):
        return
    signature = choose_signature(version.signatures, settings.signature)
    label = choose_label(settings, signature)
    inputs = inputs_of(settings, signature, label)
    answered: list[Mapping[str, Array]] = []
    check = checker.check(
        "data.answers",
        f"{signature.name}, {counted(settings.rows, 'row')}",
        lambda: _send(version.prober, signature, inputs, settings, progress, answered),
    )
    if check is None or check.failed:
        return
    output = choose_output(answered[0], settings.output)
    shapes = {part[output].shape[1:] for part in answered}
    if len(shapes) > 1:
        shown = " and ".join(str(list(shape)) for shape in sorted(shapes)[:2])
        raise UsageError(f"output '{output}' has rows of several shapes: {shown}", hint="choose another --output")
    labels = settings.columns[label]
    outputs = np.concatenate([named_classes(part, output, labels) for part in answered])
    for metric in settings.metrics:
        about = f"{signature.name}, output '{output}', {metric.name}"
        checker.check("data.metric", about, partial(metric.judge, outputs, labels))


def require_fit(signatures: Mapping[str, SignatureInfo], settings: DataSettings) -> None:
    """Raise ``UsageError`` for a data set that does not fit the signatures, before anything is started."""
    signature = choose_signature(signatures, settings.signature)
    inputs_of(settings, signature, choose_label(settings, signature))
    if settings.metrics:
        choose_output(signature.outputs, settings.output)


def choose_signature(signatures: Mapping[str, SignatureInfo], name: str | None) -> SignatureInfo:
    """Return the named signature, else ``serving_default``, else the only one."""
    only = next(iter(signatures)) if len(signatures) == 1 else DEFAULT_SIGNATURE
    chosen = name or (DEFAULT_SIGNATURE if DEFAULT_SIGNATURE in signatures else only)
    if chosen not in signatures:
        raise UsageError(f"unknown signature {chosen!r}", hint=f"--signature: {', '.join(signatures)}")
    return signatures[chosen]


def choose_label(settings: DataSettings, signature: SignatureInfo) -> str:
    """Return the column of labels: the named one, else one with a usual name, else the only one left."""
    names = [name for name in settings.columns if name not in signature.inputs and name != RECORD]
    chosen = settings.label or next((name for name in _LABELS if name in names), names[0] if len(names) == 1 else "")
    if chosen not in settings.columns:
        there = ", ".join(settings.columns)
        raise UsageError(
            f"the data set has no label column {chosen!r}" if chosen else "the data set has no label column",
            hint=f"--label: one of {there}",
        )
    return chosen


def named_classes(answer: Mapping[str, Array], output: str, labels: Array) -> Array:
    """Return an output; where labels are text and the answer has ``classes`` and ``scores``, each row's best class.

    The position of a score means nothing then: its class is named beside it.
    """
    names, scores = answer.get("classes"), answer.get("scores")
    wanted = labels.dtype.kind == "O" and output in ("classes", "scores")
    if not wanted or names is None or scores is None or names.ndim != 2 or names.shape != scores.shape:
        return answer[output]
    return np.asarray(names[np.arange(len(names)), scores.argmax(axis=1)])


def choose_output(outputs: Mapping[str, object], name: str | None) -> str:
    """Return the output to compute metrics on."""
    chosen = name or (next(iter(outputs)) if len(outputs) == 1 else next((n for n in _OUTPUTS if n in outputs), ""))
    if chosen not in outputs:
        raise UsageError(
            f"unknown output {chosen!r}" if chosen else "the signature has several outputs",
            hint=f"--output: one of {', '.join(outputs)}",
        )
    return chosen


def inputs_of(settings: DataSettings, signature: SignatureInfo, label: str) -> dict[str, Array]:
    """Return the inputs of all rows with the signature's dtypes, by the names of the columns.

    A signature with one input takes the only column beside the labels, or whole records of tf.Examples.
    """
    columns = {name: column for name, column in settings.columns.items() if name != label}
    wanted = [name for name in signature.inputs if name not in signature.defaults]
    if len(wanted) == 1 and wanted[0] not in columns:
        spec = signature.inputs[wanted[0]]
        if spec.dtype == "string" and RECORD in columns:
            return {wanted[0]: columns[RECORD]}
        plain = [name for name in columns if name != RECORD]
        if len(plain) == 1:
            columns = {wanted[0]: columns[plain[0]]}
    missing = [name for name in wanted if name not in columns]
    if missing:
        there = ", ".join(name for name in columns if name != RECORD) or "none"
        raise UsageError(f"the data set has no column for input '{missing[0]}'", hint=f"its columns: {there}")
    return {name: _as(columns[name], signature, name) for name in signature.inputs if name in columns}


def _as(column: Array, signature: SignatureInfo, name: str) -> Array:
    spec = signature.inputs[name]
    if (spec.dtype == "string") != (column.dtype.kind == "O"):
        raise UsageError(
            f"the column for input '{name}' is {column.dtype}, but the input is {spec}", hint="convert the column"
        )
    with np.errstate(invalid="ignore"):  # the comparison below finds values that do not fit
        array = column if spec.dtype == "string" else column.astype(numpy_dtype(spec.dtype))
    if array.dtype.kind in "iub" and not np.array_equal(array, column):
        raise UsageError(
            f"the column for input '{name}' has values that {spec.dtype} cannot hold", hint="round or convert them"
        )
    rest = spec.shape[1:] if spec.shape else ()
    fixed = tuple(size for size in rest if size is not None)
    # flat rows, as in a table, take the shape of the input
    fits = len(fixed) == len(rest) and array[0:1].size == math.prod(fixed)
    return quantized(array.reshape(-1, *fixed) if fits else array, spec.dtype)


def _send(
    prober: Prober,
    signature: SignatureInfo,
    inputs: Mapping[str, Array],
    settings: DataSettings,
    progress: Callable[[int], None],
    answered: list[Mapping[str, Array]],
) -> Any:
    for start in range(0, settings.rows, settings.batch):
        part = {name: array[start : start + settings.batch] for name, array in inputs.items()}
        rows = len(next(iter(part.values())))
        try:
            reply = prober.grpc.predict(prober.model, part, signature=signature.name, version=prober.version)
        except TfsDeployError as error:
            return failed(f"rows {start} to {start + rows - 1} are not answered: {error.message}")
        short = next((name for name, array in reply.outputs.items() if array.shape[:1] != (rows,)), None)
        if short is not None:
            return failed(f"output '{short}' has shape {list(reply.outputs[short].shape)} for {counted(rows, 'row')}")
        answered.append(dict(reply.outputs))
        progress(rows)
    return passed(f"{counted(settings.rows, 'row')} answered", float(settings.rows), "rows")
