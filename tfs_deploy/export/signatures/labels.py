# SPDX-License-Identifier: Apache-2.0
"""The wrapper steps that turn scores and class numbers into labels in the graph."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.errors import UsageError
from tfs_deploy.export.signatures.names import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tfs_deploy.export.signatures.bound_signature import BoundSignature
    from tfs_deploy.export.signatures.signature import Signature

#: the usual name of scores
PROBABILITIES: Final = "probabilities"
_SECOND: Final = "if it is the probability of the second label"
_LOGIT: Final = "if it is a logit"


@dataclass(frozen=True)
class AddLabels:
    """Adds an output with the label of each row: of its class number, of its highest score, or of its only score."""

    vocabulary: Vocabulary
    source: str | None
    name: str
    threshold: float | None = None

    def input_specs(self) -> Mapping[str, Any] | None:
        """Return ``None``: the inputs stay."""
        return None

    def attach(self, inner: BoundSignature, signature: Signature) -> BoundSignature:
        """Return the signature with one more output."""
        del signature

        def add(outputs: dict[str, Any]) -> dict[str, Any]:
            if self.name in outputs:
                message = f"Signature {inner.name!r} has an output {self.name!r} already"
                raise UsageError(message, hint="give the labels another name: with_vocabulary(..., name=...)")
            output = _Output.of(inner, outputs, self.source)
            return {**outputs, self.name: self.vocabulary.label(self._numbers(output))}

        return inner.wrap(inner.inputs, lambda tensors: tensors, add)

    def _numbers(self, output: _Output) -> Any:
        """Return the class numbers of an output."""
        import tensorflow as tf

        values = output.values
        if self.threshold is not None:
            return tf.cast(output.only_score(self.vocabulary.count()) >= self.threshold, tf.int64)
        if values.dtype.is_integer or values.dtype.is_bool:
            return values
        return tf.argmax(output.scores(self.vocabulary.count(), f"threshold=0.5 {_SECOND}, threshold=0.0 {_LOGIT}"), -1)


@dataclass(frozen=True)
class Classify:
    """Answers with ``scores`` and, if there is a vocabulary, the ``classes`` they belong to."""

    source: str | None
    vocabulary: Vocabulary | None

    def input_specs(self) -> Mapping[str, Any] | None:
        """Return ``None``: the inputs stay."""
        return None

    def attach(self, inner: BoundSignature, signature: Signature) -> BoundSignature:
        """Return the signature with the outputs of a Classify signature."""
        del signature

        def answer(outputs: dict[str, Any]) -> dict[str, Any]:
            import tensorflow as tf

            output = _Output.of(inner, outputs, self.source)
            if self.vocabulary is None:
                return {"scores": tf.cast(output.values, tf.float32)}
            both = "compute the scores of both labels in the signature's function: tf.concat([1 - p, p], axis=1)"
            scores = tf.cast(output.scores(self.vocabulary.count(), both), tf.float32)
            shape = tf.shape(scores)
            classes = self.vocabulary.label(tf.broadcast_to(tf.range(shape[-1], dtype=tf.int64), shape))
            return {"scores": scores, "classes": classes}

        return inner.wrap(inner.inputs, lambda tensors: tensors, answer)


@dataclass(frozen=True)
class Regress:
    """Answers with ``outputs``."""

    output: str

    def input_specs(self) -> Mapping[str, Any] | None:
        """Return ``None``: the inputs stay."""
        return None

    def attach(self, inner: BoundSignature, signature: Signature) -> BoundSignature:
        """Return the signature with the output of a Regress signature."""
        del signature

        def answer(outputs: dict[str, Any]) -> dict[str, Any]:
            import tensorflow as tf

            return {"outputs": tf.cast(_Output.of(inner, outputs, self.output).values, tf.float32)}

        return inner.wrap(inner.inputs, lambda tensors: tensors, answer)


@dataclass(frozen=True)
class _Output:
    """An output of the inner signature, eager or in a graph; ``flat``: it is one score a row, without a dimension."""

    signature: str
    name: str
    values: Any
    flat: bool

    @classmethod
    def of(cls, inner: BoundSignature, outputs: Mapping[str, Any], name: str | None) -> _Output:
        """Return the named output, else ``probabilities``, else the only one; ``UsageError`` lists what there is."""
        chosen = name or (PROBABILITIES if PROBABILITIES in outputs else next(iter(outputs)))
        if name is None and len(outputs) > 1 and chosen != PROBABILITIES:
            raise UsageError(
                f"Signature {inner.name!r} has several outputs, none called {PROBABILITIES!r}: {', '.join(outputs)}",
                hint="name the one that the labels are for",
            )
        if chosen not in outputs:
            raise UsageError(f"Signature {inner.name!r}: unknown output {chosen!r}", hint=did_you_mean(chosen, outputs))
        values = outputs[chosen]
        batches = [None if spec.shape is None else spec.shape[:1] for spec in inner.inputs.values()]
        rank = values.shape.rank
        flat = rank == 0 or (rank == 1 and any(size in (None, (None,), tuple(values.shape)) for size in batches))
        return cls(inner.name, chosen, values, flat)

    def scores(self, labels: int, remedy: str) -> Any:
        """Return the values as one score for each label in the last dimension.

        Raises:
            UsageError: they are not, as far as the shape is known; ``remedy`` is the hint for one score and two labels.
        """
        self._require_floating()
        count = self._count()
        if count not in (None, labels):
            shown = "one score" if count == 1 else f"{count} scores"
            raise UsageError(
                f"Signature {self.signature!r}: output {self.name!r} has {shown} for {_labels(labels)}",
                hint=remedy if (count, labels) == (1, 2) else "give one label for each score, in their order",
            )
        if self.flat:
            return self.values[..., None]
        return self._with_last(labels) if count is None else self.values

    def only_score(self, labels: int) -> Any:
        """Return the values as the one score of each row, without a last dimension of 1.

        Raises:
            UsageError: there are several scores, as far as the shape is known, or not two labels.
        """
        self._require_floating()
        if labels != 2:
            raise UsageError(
                f"Signature {self.signature!r}: a threshold chooses between two labels, the vocabulary has {labels}",
                hint="give two labels: the one below the threshold first",
            )
        count = self._count()
        if count not in (None, 1):
            raise UsageError(
                f"Signature {self.signature!r}: a threshold is for one score, output {self.name!r} has {count}",
                hint="leave threshold out: the highest score counts",
            )
        if self.flat:
            return self.values
        return (self._with_last(1) if count is None else self.values)[..., 0]

    def _count(self) -> int | None:
        """Return the number of scores a row, ``None`` if only a request shows it."""
        if self.flat:
            return 1
        return None if self.values.shape.rank is None else self.values.shape[-1]

    def _require_floating(self) -> None:
        if not self.values.dtype.is_floating:
            raise UsageError(
                f"Signature {self.signature!r}: output {self.name!r} is {self.values.dtype.name}, not scores",
                hint="choose an output of a floating dtype",
            )

    def _with_last(self, size: int) -> Any:
        """Return the values behind a check in the graph, as only a request shows how large their last dimension is."""
        import tensorflow as tf

        message = f"output {self.name} must have {size} in its last dimension"
        check = tf.debugging.assert_equal(tf.shape(self.values)[-1], size, message)
        with tf.control_dependencies([] if check is None else [check]):
            return tf.identity(self.values)


def _labels(count: int) -> str:
    return "one label" if count == 1 else f"{count} labels"


class Vocabulary:
    """Labels by class number: a list, a text file with one per line (becomes an asset), or a Keras lookup layer."""

    def __init__(self, labels: Sequence[str] | str | Path | Any, unknown: str = "") -> None:
        self._unknown = unknown
        self._labels = labels
        self._table: Any = None
        if isinstance(labels, (str, Path)):
            self._file = Path(labels)
            if not self._file.is_file():
                raise UsageError(
                    f"the vocabulary {labels} is not a file", hint="give a list of labels, or a file with one per line"
                )
        elif hasattr(labels, "get_vocabulary"):
            self._labels = [str(label) for label in labels.get_vocabulary()]

    def count(self) -> int:
        """Return how many labels there are; of a file, its lines as ``TextFileInitializer`` counts them."""
        if isinstance(self._labels, (str, Path)):
            text = self._file.read_bytes()
            return text.count(b"\n") + (not text.endswith(b"\n") and text != b"")
        return len(self._labels)

    def label(self, numbers: Any) -> Any:
        """Return the labels of class numbers (any integer dtype and shape); the unknown label for others."""
        import tensorflow as tf

        if self._table is None:
            with tf.init_scope():
                self._table = tf.lookup.StaticHashTable(self._initializer(), default_value=self._unknown)
        return self._table.lookup(tf.cast(numbers, tf.int64))

    def _initializer(self) -> Any:
        import tensorflow as tf

        if isinstance(self._labels, (str, Path)):
            return tf.lookup.TextFileInitializer(
                str(self._file),
                *(tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER),
                *(tf.string, tf.lookup.TextFileIndex.WHOLE_LINE),
            )
        labels = [label if isinstance(label, bytes) else str(label) for label in self._labels]
        keys = tf.range(len(labels), dtype=tf.int64)
        return tf.lookup.KeyValueTensorInitializer(keys, tf.constant(labels, tf.string))
