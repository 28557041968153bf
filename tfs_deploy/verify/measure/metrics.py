# SPDX-License-Identifier: Apache-2.0
"""Metrics of served answers against labels, as functions of arrays, and their limits: ``accuracy>=0.95``."""

from __future__ import annotations

import operator
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tfs_deploy.errors import UsageError
from tfs_deploy.text import counted, did_you_mean
from tfs_deploy.verify.checks import failed, passed

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from tfs_deploy.verify.checks import Judgement

    Array = NDArray[Any]

_FORM: Final = re.compile(r"\s*(\w+)\s*(<=|>=|<|>)\s*(-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)\s*(%?)\s*")
_SIGNS: Final[dict[str, Callable[[float, float], bool]]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
_HINT: Final = "write it like accuracy>=0.95 or mae<0.1"
_TINY: Final = 1e-12


@dataclass(frozen=True, slots=True)
class MetricLimit:
    """A metric and its limit."""

    name: str
    sign: str
    limit: float

    @classmethod
    def parse(cls, text: str) -> MetricLimit:
        """Return the limit that a text such as ``accuracy>=0.95`` describes; ``UsageError`` for an invalid one."""
        match = _FORM.fullmatch(text)
        if match is None:
            raise UsageError(f"{text!r} is not a valid metric limit", hint=_HINT)
        name, sign, number, percent = match.groups()
        if name not in METRICS and not re.fullmatch(r"top\d+", name):
            hint = did_you_mean(name, METRICS, otherwise=f"metrics: {', '.join(METRICS)}, topN")
            raise UsageError(f"{text!r}: unknown metric {name!r}", hint=hint)
        return cls(name, sign, float(number) / (100 if percent else 1))

    def judge(self, outputs: Array, labels: Array) -> Judgement:
        """Judge the metric of served ``outputs``; ``UsageError`` if it does not fit them."""
        try:
            value = compute(self.name, outputs, labels)
        except (ValueError, TypeError, IndexError) as error:
            shown = [
                f"{each.dtype if each.dtype.kind != 'O' else 'text'} {list(each.shape)}" for each in (outputs, labels)
            ]
            raise UsageError(
                f"{self.name} cannot be computed from answers {shown[0]} and labels {shown[1]}: {error}",
                hint="choose another metric, --output or --label",
            ) from error
        holds = _SIGNS[self.sign](value, self.limit)
        reason = (
            f"{self.name} is {value:.6g} on {counted(len(labels), 'answer')}, {'within' if holds else 'outside'} {self}"
        )
        return (passed if holds else failed)(reason, value, self.name)

    def __str__(self) -> str:
        return f"{self.name} {self.sign} {self.limit:g}"


def compute(name: str, outputs: Array, labels: Array) -> float:
    """Return a metric; outputs are [rows, ...], labels [rows], or [rows, classes] as one-hot rows."""
    if len(outputs) != len(labels):
        raise UsageError(
            f"{counted(len(outputs), 'answer')} cannot be compared with {counted(len(labels), 'label')}",
            hint="choose another --output",
        )
    if name.startswith("top"):
        return _top(outputs, labels, int(name[3:]))
    return METRICS[name](outputs, labels)


def predicted(outputs: Array) -> Array:
    """Return the class of each row: that of the highest score, the side of a single score, or the value itself."""
    if outputs.ndim > 1 and outputs.shape[-1] == 1:
        outputs = outputs[..., 0]
    if outputs.ndim > 1 and outputs.dtype.kind == "O":
        raise UsageError(
            f"each row has {outputs.shape[-1]} texts, and none is known to be the answer",
            hint="choose another --output",
        )
    if outputs.ndim > 1:
        return np.asarray(outputs.argmax(axis=-1))
    if outputs.dtype.kind == "f":
        # logits go below 0 and above 1, probabilities do not
        return np.asarray(outputs > (0.5 if outputs.min() >= 0 and outputs.max() <= 1 else 0)).astype(np.int64)
    return outputs


def classes(labels: Array) -> Array:
    """Return the class of each label: that of a one-hot row, or the value itself."""
    if labels.ndim > 1 and labels.shape[-1] == 1:
        labels = labels[..., 0]
    return np.asarray(labels.argmax(axis=-1)) if labels.ndim > 1 else labels


def _accuracy(outputs: Array, labels: Array) -> float:
    ours, theirs = predicted(outputs), classes(labels)
    if ours.dtype.kind == "O" or theirs.dtype.kind in "OSU":
        return float(np.mean([_text(a) == _text(b) for a, b in zip(ours, theirs, strict=True)]))
    return float(np.mean(ours == theirs))


def _top(outputs: Array, labels: Array, count: int) -> float:
    if outputs.ndim != 2:
        raise UsageError(f"top{count} needs one score per class, not shape {list(outputs.shape)}", hint=_HINT)
    best = np.argsort(-outputs, axis=1, kind="stable")[:, :count]
    return float(np.mean((best == classes(labels)[:, np.newaxis]).any(axis=1)))


def _of_classes(outputs: Array, labels: Array) -> list[tuple[float, float]]:
    """Return precision and recall: of class 1 where there are two, else of each class."""
    ours, theirs = predicted(outputs), classes(labels).astype(np.int64)
    several = sorted(set(theirs.tolist()) | set(ours.tolist()))
    wanted = [1] if set(several) <= {0, 1} else several
    found = []
    for each in wanted:
        hits = float(np.sum((ours == each) & (theirs == each)))
        found.append((hits / max(float(np.sum(ours == each)), _TINY), hits / max(float(np.sum(theirs == each)), _TINY)))
    return found


def _precision(outputs: Array, labels: Array) -> float:
    return float(np.mean([precision for precision, _ in _of_classes(outputs, labels)]))


def _recall(outputs: Array, labels: Array) -> float:
    return float(np.mean([recall for _, recall in _of_classes(outputs, labels)]))


def _f1(outputs: Array, labels: Array) -> float:
    return float(np.mean([2 * p * r / max(p + r, _TINY) for p, r in _of_classes(outputs, labels)]))


def _auc(outputs: Array, labels: Array) -> float:
    """Return the area under the ROC curve of two classes, by ranks; ties count half."""
    scores = (outputs[..., -1] if outputs.ndim > 1 else outputs).astype(np.float64)
    positive = classes(labels).astype(np.int64) == 1
    count, others = int(positive.sum()), int((~positive).sum())
    if not count or not others:
        raise UsageError("auc needs labels of both classes, 0 and 1", hint=_HINT)
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return float((ranks[positive].sum() - count * (count + 1) / 2) / (count * others))


def _log_loss(outputs: Array, labels: Array) -> float:
    theirs = classes(labels).astype(np.int64)
    flat = outputs[..., 0] if outputs.ndim > 1 and outputs.shape[-1] == 1 else outputs
    both = np.stack([1 - flat, flat], axis=1) if flat.ndim == 1 else flat
    chosen = both[np.arange(len(theirs)), theirs].astype(np.float64)
    return float(-np.mean(np.log(np.clip(chosen, _TINY, 1))))


def _difference(outputs: Array, labels: Array) -> Array:
    ours, theirs = outputs.astype(np.float64), labels.astype(np.float64)
    if ours.size != theirs.size:
        raise UsageError(
            f"answers of shape {list(ours.shape)} cannot be compared with labels of shape {list(theirs.shape)}",
            hint="choose another --output or --label",
        )
    return ours.reshape(theirs.shape) - theirs


def _r2(outputs: Array, labels: Array) -> float:
    rest = float(np.sum(_difference(outputs, labels) ** 2))
    whole = float(np.sum((labels.astype(np.float64) - labels.astype(np.float64).mean(axis=0)) ** 2))
    return 1 - rest / max(whole, _TINY)


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


METRICS: Final[dict[str, Callable[[Array, Array], float]]] = {
    "accuracy": _accuracy,
    "precision": _precision,
    "recall": _recall,
    "f1": _f1,
    "auc": _auc,
    "log_loss": _log_loss,
    "mae": lambda outputs, labels: float(np.mean(np.abs(_difference(outputs, labels)))),
    "mse": lambda outputs, labels: float(np.mean(_difference(outputs, labels) ** 2)),
    "rmse": lambda outputs, labels: float(np.sqrt(np.mean(_difference(outputs, labels) ** 2))),
    "r2": _r2,
}
