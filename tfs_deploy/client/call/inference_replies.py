# SPDX-License-Identifier: Apache-2.0
"""What Classify, Regress and MultiInference return (apis/classification.proto, regression.proto, inference.proto)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from tfs_deploy.errors import RequestError
from tfs_deploy.protos.signatures import DEFAULT_SIGNATURE
from tfs_deploy.text import counted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: examples that the text of a reply shows
_MOST_SHOWN: Final = 8


class ScoredClass(NamedTuple):
    """One class of an example; ``label`` is empty if the signature has no classes, ``score`` 0 if it has no scores."""

    label: str
    score: float


class ClassifyReply(Sequence[list[ScoredClass]]):
    """The classes of each example, in the order of the signature, and the version that answered."""

    __slots__ = ("model", "results", "signature", "version")

    def __init__(self, results: list[list[ScoredClass]], *, model: str, version: int | None, signature: str) -> None:
        self.results = results
        self.model = model
        self.version = version
        self.signature = signature

    def __getitem__(self, index: Any) -> Any:
        return self.results[index]

    def __len__(self) -> int:
        return len(self.results)

    def __iter__(self) -> Iterator[list[ScoredClass]]:
        return iter(self.results)

    def best(self) -> list[ScoredClass]:
        """Return the class with the highest score for each example."""
        return [max(classes, key=lambda each: each.score) for classes in self.results]

    def __repr__(self) -> str:
        best = [f"{each.label} {each.score:.3g}".strip() for each in self.best()[:_MOST_SHOWN]]
        shown = ", ".join([*best, "..."] if len(self) > _MOST_SHOWN else best)
        size = counted(len(self), "example")
        return f"ClassifyReply({size}: {shown}; {self.model} version {self.version}, {self.signature})"


class RegressReply(Sequence[float]):
    """The value of each example, and the version that answered; ``values`` is a read-only float32 array."""

    __slots__ = ("model", "signature", "values", "version")

    def __init__(self, values: NDArray[np.float32], *, model: str, version: int | None, signature: str) -> None:
        values.flags.writeable = False
        self.values = values
        self.model = model
        self.version = version
        self.signature = signature

    def __getitem__(self, index: Any) -> Any:
        return self.values[index].tolist()

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        values = [f"{value:.6g}" for value in self.values[:_MOST_SHOWN]]
        shown = ", ".join([*values, "..."] if len(self) > _MOST_SHOWN else values)
        size = counted(len(self), "example")
        return f"RegressReply({size}: {shown}; {self.model} version {self.version}, {self.signature})"


#: what MultiInference returns for each task
TaskReply: TypeAlias = "ClassifyReply | RegressReply"


class Task(NamedTuple):
    """One part of a MultiInference: ``method`` is ``classify`` or ``regress``; no signature = ``serving_default``."""

    method: str
    signature: str | None = None


def checked_tasks(tasks: Sequence[Any]) -> list[Task]:
    """Return the tasks, given as ``Task`` or as pairs of method and signature; ``RequestError`` for anything else."""
    checked = []
    for task in tasks:
        try:
            found = Task(*task) if not isinstance(task, str) else Task(task)
        except TypeError:
            found = Task("")
        if found.method not in ("classify", "regress"):
            raise RequestError(f"not a valid task: {task!r}", hint='give pairs such as ("classify", "serving_default")')
        checked.append(found)
    if not checked:
        raise RequestError("no tasks are given", hint='give pairs such as ("classify", "serving_default")')
    return checked


def signature_name(signature: str | None) -> str:
    """Return the name of the requested signature."""
    return signature or DEFAULT_SIGNATURE
