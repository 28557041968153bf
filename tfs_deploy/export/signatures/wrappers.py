# SPDX-License-Identifier: Apache-2.0
"""Ready-made signatures that put preprocessing and labels into the graph, so that every client gets the same.

Each takes an inner signature (default: the model's own call) and returns a signature, so they nest::

    classify_examples(labels, from_image_bytes((28, 28), 1), scores="probabilities")
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from tfs_deploy.errors import UsageError
from tfs_deploy.export.signatures.example_parsing import ParseExamples
from tfs_deploy.export.signatures.images import DecodeImages
from tfs_deploy.export.signatures.labels import AddLabels, Classify, Regress, Vocabulary
from tfs_deploy.export.signatures.signature import Signature
from tfs_deploy.export.signatures.wrapped_signature import WrappedSignature, WrapperStep

Inner: TypeAlias = "Signature | Callable[..., Any] | str | None"


def from_examples(
    feature_spec: Mapping[str, Any] | None = None, signature: Inner = None, *, input_name: str | None = None
) -> Signature:
    """Take serialized tf.Examples (string [batch]) and parse them into the inputs of ``signature``.

    Args:
        feature_spec: ``{input: tf.io.FixedLenFeature and the like, or (dtype, shape) with the batch dimension}``;
            default: from the inputs' own specs. Dtypes that a tf.Example cannot hold are cast.
        signature: the one that takes the features.
        input_name: default ``examples``; ``inputs`` for Classify and Regress, as TensorFlow Serving wants it.
    """
    inner = _inner(signature)
    name = input_name or ("examples" if inner.method == "predict" else "inputs")
    return _around(inner, ParseExamples(feature_spec, name))


def from_image_bytes(
    size: tuple[int, int],
    channels: int = 3,
    signature: Inner = None,
    *,
    input_name: str = "image_bytes",
    image_input: str | None = None,
    scale: float = 1 / 255,
    offset: float = 0.0,
    resize: str = "bilinear",
) -> Signature:
    """Take encoded images (JPEG, PNG, GIF, BMP; string [batch]), decode and resize them for ``signature``.

    Args:
        size: height and width that the model takes.
        channels: 1 (gray), 3 (RGB) or 4 (RGBA).
        signature: the one that takes the images, float32 (or its own dtype) [batch, height, width, channels].
        input_name: must end in ``_bytes``, the ending that other REST tools of TensorFlow Serving know as base64.
        image_input: the input that takes the images, if there are several.
        scale: pixels of 0..255 are multiplied by this, for inputs of a floating dtype; the default gives 0..1.
        offset: added after scaling.
        resize: method of ``tf.image.resize``.
    """
    if not input_name.endswith("_bytes"):
        raise UsageError(
            f"the input name {input_name!r} does not end in '_bytes'", hint=f"name it '{input_name}_bytes'"
        )
    if len(size) != 2 or min(size) < 1 or channels not in (1, 3, 4):
        raise UsageError(
            f"size {size} with {channels} channels is not a valid image",
            hint="from_image_bytes((height, width), channels=3)",
        )
    step = DecodeImages((int(size[0]), int(size[1])), channels, input_name, image_input, scale, offset, resize)
    return _around(_inner(signature), step)


def with_vocabulary(
    vocabulary: Sequence[str] | str | Path | Any,
    signature: Inner = None,
    *,
    output: str | None = None,
    name: str = "label",
    unknown: str = "",
    threshold: float | None = None,
) -> Signature:
    """Add an output with the class labels as strings (string, the shape of the class numbers).

    Args:
        vocabulary: the labels in order, a file with one per line (becomes an asset of the SavedModel), or a Keras
            lookup layer such as ``StringLookup``.
        signature: the one that computes ``output``.
        output: class numbers (an integer dtype, or bool), or scores whose last dimension is the classes, one for each
            label: the highest counts. Default: ``probabilities``, else the only output.
        name: of the new output.
        unknown: the label of numbers beyond the vocabulary.
        threshold: for one score a row ([batch] or [batch, 1]) and two labels: scores from here on have the second one.
            0.5 for a probability, 0.0 for a logit.

    At export, ``UsageError`` is raised for a vocabulary that has not one label for each score.
    """
    return _around(_inner(signature), AddLabels(Vocabulary(vocabulary, unknown), output, name, threshold))


def classify_examples(
    vocabulary: Sequence[str] | str | Path | Any | None = None,
    signature: Inner = None,
    *,
    scores: str | None = None,
    feature_spec: Mapping[str, Any] | None = None,
) -> Signature:
    """Make a Classify signature: tf.Examples in, ``scores`` and (with a vocabulary) ``classes`` out.

    ``scores``: the output of ``signature`` with one score per class, [batch, classes]; default: ``probabilities``, else
    the only output. At export, ``UsageError`` is raised for a vocabulary that has not one label for each score.
    """
    labels = None if vocabulary is None else Vocabulary(vocabulary)
    return _example_method("classify", Classify(scores, labels), signature, feature_spec)


def regress_examples(
    signature: Inner = None, *, output: str, feature_spec: Mapping[str, Any] | None = None
) -> Signature:
    """Make a Regress signature: tf.Examples in, ``outputs`` out, the value of ``output``, [batch] or [batch, 1]."""
    return _example_method("regress", Regress(output), signature, feature_spec)


def _example_method(
    method: str, answer: WrapperStep, signature: Inner, feature_spec: Mapping[str, Any] | None
) -> Signature:
    parsed = from_examples(feature_spec, signature, input_name="inputs")
    return WrappedSignature(method=method, inner=parsed, step=answer)


def _around(inner: Signature, step: WrapperStep) -> Signature:
    return WrappedSignature(method=inner.method, inner=inner, step=step)


def _inner(signature: Inner) -> Signature:
    if signature is None:
        return Signature()
    return signature if isinstance(signature, Signature) else Signature(signature)
