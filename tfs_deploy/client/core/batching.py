# SPDX-License-Identifier: Apache-2.0
"""Batching for ``predict_many``, without I/O: stack single examples, split batches, report predictions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tfs_deploy.codec import as_array
from tfs_deploy.codec.arrays import is_python_value
from tfs_deploy.errors import (
    FailedPreconditionError,
    InvalidArgumentError,
    OutOfRangeError,
    RequestError,
    TfsDeployError,
    UsageError,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tfs_deploy.codec import PredictReply

#: errors that one bad example can cause: the batch is halved until the example is found
INPUT_ERRORS: Final = (RequestError, InvalidArgumentError, FailedPreconditionError, OutOfRangeError)

#: values that the text of a prediction shows
_MOST_SHOWN: Final = 8


class Prediction(Mapping[str, "NDArray[Any]"]):
    """The result for one example: its outputs, or ``error``.

    Attributes:
        index: the position of the example in the iterable, from 0.
        error: why there are no outputs; reading an output raises it.
        version: the version that answered, if the reply names it.
    """

    __slots__ = ("_outputs", "error", "index", "version")

    def __init__(
        self,
        index: int,
        outputs: dict[str, NDArray[Any]],
        *,
        version: int | None = None,
        error: TfsDeployError | None = None,
    ) -> None:
        self.index = index
        self.version = version
        self.error = error
        self._outputs = outputs

    @property
    def outputs(self) -> dict[str, NDArray[Any]]:
        """The outputs by name, without the batch dimension; raises ``error`` if there is one."""
        if self.error is not None:
            raise self.error
        return self._outputs

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.outputs[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.outputs)

    def __len__(self) -> int:
        return len(self.outputs)

    def __repr__(self) -> str:
        if self.error is not None:
            return f"Prediction({self.index}: {type(self.error).__name__}: {self.error.message})"
        outputs = ", ".join(f"{name} = {_value_text(value)}" for name, value in self._outputs.items())
        return f"Prediction({self.index}: {outputs})"


def _value_text(value: NDArray[Any]) -> str:
    """Return a small array's values, and the dtype and shape of a larger one."""
    return str(value.tolist()) if value.size <= _MOST_SHOWN else f"{value.dtype}{list(value.shape)}"


@dataclass(frozen=True, slots=True)
class Batch:
    """Consecutive examples; ``start`` is the index of the first."""

    start: int
    examples: list[Mapping[str, Any]]

    def halves(self) -> tuple[Batch, Batch]:
        """Return the two halves of the batch."""
        middle = len(self.examples) // 2
        return Batch(self.start, self.examples[:middle]), Batch(self.start + middle, self.examples[middle:])

    def stacked(self) -> dict[str, Any]:
        """Return the inputs with a leading batch dimension.

        Raises:
            RequestError: the examples have different names, or different shapes for one name.
        """
        first = self.examples[0]
        for example in self.examples:
            if not isinstance(example, Mapping):
                raise RequestError(
                    f"an example must be a mapping, not {type(example).__name__}",
                    hint='give mappings: {"name": value, ...}',
                )
            if example.keys() != first.keys():
                raise RequestError("the examples have different inputs", hint="give every example the same names")
        try:
            return {name: _stack([example[name] for example in self.examples]) for name in first}
        except ValueError as error:
            raise RequestError(f"the examples cannot be stacked: {error}", hint="give them the same shape") from error

    def predictions(self, reply: PredictReply) -> list[Prediction]:
        """Return the predictions in a reply, one for each example."""
        count = len(self.examples)
        for name, array in reply.items():
            if not array.ndim or array.shape[0] != count:
                raise RequestError(
                    f"output {name} has the shape {list(array.shape)} for {count} examples",
                    hint="leave it out with output_filter, or call predict: predict_many needs one row per example",
                )
        return [
            Prediction(self.start + row, {name: array[row] for name, array in reply.items()}, version=reply.version)
            for row in range(count)
        ]

    def failed(self, error: TfsDeployError) -> list[Prediction]:
        """Return failed predictions, one for each example."""
        return [Prediction(self.start + row, {}, error=error) for row in range(len(self.examples))]


def batches(examples: Iterable[Mapping[str, Any]], size: int) -> Iterator[Batch]:
    """Yield the examples in batches, in order; the last batch may be smaller."""
    start = 0
    collected: list[Mapping[str, Any]] = []
    if isinstance(examples, Mapping) or not isinstance(examples, Iterable):
        raise UsageError(
            f"the examples must be a list, not {type(examples).__name__}",
            hint='give a list of mappings: [{"name": value}]',
        )
    for example in examples:
        collected.append(example)
        if len(collected) == size:
            yield Batch(start, collected)
            start += size
            collected = []
    if collected:
        yield Batch(start, collected)


def check_sizes(batch_size: int, concurrency: int) -> None:
    """Raise a ``UsageError`` unless both are 1 or more."""
    for name, value in (("batch_size", batch_size), ("concurrency", concurrency)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise UsageError(f"not a valid {name}: {value!r}", hint="give 1 or more")


def _stack(values: list[Any]) -> Any:
    # Python values stay a list, so that they take the declared dtype
    if all(is_python_value(value) for value in values):
        return values
    return np.stack([as_array(value) for value in values])
