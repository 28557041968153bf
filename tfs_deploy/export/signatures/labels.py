"""The wrapper steps that turn scores and class numbers into labels in the graph."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfs_deploy.errors import UsageError
from tfs_deploy.export.signatures.names import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tfs_deploy.export.signatures.bound_signature import BoundSignature
    from tfs_deploy.export.signatures.signature import Signature


@dataclass(frozen=True)
class AddLabels:
    """Adds an output with the label of each row: of its class number, or of its highest score."""

    vocabulary: Vocabulary
    source: str
    name: str

    def input_specs(self) -> Mapping[str, Any] | None:
        """Return ``None``: the inputs stay."""
        return None

    def attach(self, inner: BoundSignature, signature: Signature) -> BoundSignature:
        """Return the signature with one more output."""
        del signature

        def add(outputs: dict[str, Any]) -> dict[str, Any]:
            import tensorflow as tf

            scores = pick(inner.name, outputs, self.source)
            numbers = scores if scores.dtype.is_integer else tf.argmax(scores, axis=-1)
            return {**outputs, self.name: self.vocabulary.label(numbers)}

        return inner.wrap(inner.inputs, lambda tensors: tensors, add)


@dataclass(frozen=True)
class Classify:
    """Answers with ``scores`` and, if there is a vocabulary, the ``classes`` they belong to."""

    scores: str
    vocabulary: Vocabulary | None

    def input_specs(self) -> Mapping[str, Any] | None:
        """Return ``None``: the inputs stay."""
        return None

    def attach(self, inner: BoundSignature, signature: Signature) -> BoundSignature:
        """Return the signature with the outputs of a Classify signature."""
        del signature

        def answer(outputs: dict[str, Any]) -> dict[str, Any]:
            import tensorflow as tf

            scores = tf.cast(pick(inner.name, outputs, self.scores), tf.float32)
            if self.vocabulary is None:
                return {"scores": scores}
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

            return {"outputs": tf.cast(pick(inner.name, outputs, self.output), tf.float32)}

        return inner.wrap(inner.inputs, lambda tensors: tensors, answer)


def pick(signature: str, outputs: Mapping[str, Any], name: str) -> Any:
    """Return an output of the inner signature; ``UsageError`` names the closest one."""
    if name in outputs:
        return outputs[name]
    raise UsageError(f"Signature {signature!r}: unknown output {name!r}", hint=did_you_mean(name, outputs))


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
