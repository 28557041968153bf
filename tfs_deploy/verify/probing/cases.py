# SPDX-License-Identifier: Apache-2.0
"""The requests for a signature: recorded calls, and inputs made up from its dtypes and shapes alone.

Nothing in a SavedModel tells which sizes a free dimension takes, or which texts: guesses are tried one after the other
until the model accepts one.
"""

from __future__ import annotations

import math
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tfs_deploy.codec.dtypes import numpy_dtype
from tfs_deploy.codec.quantized import quantized_inputs
from tfs_deploy.savedmodel.goldens import DEFAULT_ATOL, DEFAULT_RTOL
from tfs_deploy.savedmodel.samples import example_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from tfs_deploy.protos.signatures import SignatureInfo, TensorSpec
    from tfs_deploy.savedmodel.goldens import Golden
    from tfs_deploy.savedmodel.graph.features import Feature

    Array = NDArray[Any]

#: rows of a case with several rows
ROWS: Final = 3
#: guesses for free sizes beside the batch; the last ones are lengths of sound
SIZES: Final = (1, 4, 32, 128, 224, 1024, 4096, 16384)
#: elements of the largest input that is made up with a guessed size
_MOST_ELEMENTS: Final = 1 << 20
#: one row of ones, the plainest request
ONES: Final = "ones"
ZEROS: Final = "zeros"
#: rows that differ
SEVERAL: Final = f"{ROWS} rows"
EMPTY: Final = "empty batch"
_SEED: Final = 20240
#: values that a float32 holds exactly and that few functions turn into infinity
_LARGE: Final = 1024.0
_LARGEST: Final = 32767
_ODD: Final = b"\xff\x00\xfe"


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One request for a signature.

    ``rows`` is its batch size, if any; ``ordinary`` is false for edge values, which a model may refuse; ``golden``
    holds the recorded answer; ``binary`` marks bytes that are not text.
    """

    signature: str
    name: str
    inputs: dict[str, Array]
    rows: int | None = None
    ordinary: bool = True
    golden: Golden | None = None
    binary: bool = False

    @property
    def rtol(self) -> float:
        """The relative tolerance for its outputs."""
        return DEFAULT_RTOL if self.golden is None else self.golden.rtol

    @property
    def atol(self) -> float:
        """The absolute tolerance for its outputs."""
        return DEFAULT_ATOL if self.golden is None else self.golden.atol

    def __str__(self) -> str:
        return f"{self.signature}, {self.name}"


@dataclass(frozen=True, slots=True)
class Guess:
    """A guess at what a SavedModel does not tell: the free sizes, and what an input of text means."""

    size: int = 1
    text: bytes = b"text"


PLAIN: Final = Guess()


def is_batched(signature: SignatureInfo) -> bool:
    """Return whether the first dimension of every input is free, so that it can be a batch."""
    shapes = [spec.shape for spec in signature.inputs.values()]
    return bool(shapes) and all(shape is None or (len(shape) > 0 and shape[0] is None) for shape in shapes)


def _has_text(signature: SignatureInfo) -> bool:
    return any(spec.dtype == "string" for spec in signature.inputs.values())


def has_free_sizes(signature: SignatureInfo) -> bool:
    """Return whether a size other than the batch is free, so that made-up sizes are a guess."""
    return any(spec.shape is None or None in spec.shape[1:] for spec in signature.inputs.values())


def is_guess(signature: SignatureInfo) -> bool:
    """Return whether a correct model may refuse made-up inputs: free sizes, or text of unknown meaning."""
    return has_free_sizes(signature) or _has_text(signature)


def recorded_cases(signature: SignatureInfo, goldens: Sequence[Golden]) -> list[Case]:
    """Return the recorded calls of a signature, and the first row of the first call alone."""
    own = [golden for golden in goldens if golden.signature == signature.name]
    cases = [
        Case(signature.name, f"recorded #{number}", inputs, rows_in(signature, inputs), golden=golden)
        for number, golden in enumerate(own, 1)
        for inputs in [dict(quantized_inputs(signature.inputs, golden.inputs))]
    ]
    first = cases[0] if cases else None
    if first is not None and first.rows is not None and first.rows > 1:
        cases.append(Case(signature.name, "first recorded row", rows_of(first.inputs, 0, 1), 1))
    return cases


def made_up_cases(signature: SignatureInfo, features: Sequence[Feature] = (), guess: Guess = PLAIN) -> list[Case]:
    """Return requests made up from a signature; ``features`` are those of its tf.Examples."""
    if not signature.inputs:
        return [Case(signature.name, "no inputs", {})]
    make = _Maker(signature, features, guess)
    # a number for the whole request, such as a temperature or a count, is rarely 0
    all_zero = any(spec.shape != () for spec in signature.inputs.values())
    cases = [make.case(ONES, make.filled(1)), make.case(ZEROS, make.filled(0), ordinary=all_zero)]
    if make.batched:
        cases.append(make.case(SEVERAL, make.varied(), ROWS))
    low, high = make.filled(low=True), make.filled(low=False)
    return [
        *cases,
        make.case("smallest values", low, ordinary=False),
        make.case("largest values", high, ordinary=False, binary=make.odd_bytes),
    ]


def guesses(signature: SignatureInfo, features: Sequence[Feature] = ()) -> list[Guess]:
    """Return the guesses to try, the plainest first, until the model accepts a request."""
    texts = _TEXTS if _has_text(signature) and not features else _TEXTS[:1]
    sizes = [size for size in SIZES if _elements(signature, size) <= _MOST_ELEMENTS] or SIZES[:1]
    if not has_free_sizes(signature):
        sizes = SIZES[:1]
    return [Guess(size, text) for text in texts for size in sizes]


def _elements(signature: SignatureInfo, size: int) -> int:
    """Return the elements of the largest input with several rows of a size."""
    return max((math.prod(_shape(spec, ROWS, size)) for spec in signature.inputs.values()), default=0)


def shapes_of(case: Case) -> str:
    """Return the shapes of a request's inputs, for a sentence."""
    return ", ".join(f"{name} {list(array.shape)}" for name, array in case.inputs.items())


def empty_case(signature: SignatureInfo, like: Mapping[str, Array]) -> Case:
    """Return a request without rows, its other sizes those of another request."""
    return Case(signature.name, EMPTY, rows_of(like, 0, 0), 0, ordinary=False)


def rows_of(inputs: Mapping[str, Array], start: int, stop: int) -> dict[str, Array]:
    """Return some rows of every input."""
    return {name: array[start:stop] for name, array in inputs.items()}


def rows_in(signature: SignatureInfo, inputs: Mapping[str, Array]) -> int | None:
    """Return the batch size of inputs, ``None`` if they are not a batch."""
    sizes = {array.shape[0] if array.ndim else -1 for array in inputs.values()}
    return sizes.pop() if is_batched(signature) and len(sizes) == 1 and -1 not in sizes else None


def _shape(spec: TensorSpec, rows: int, size: int) -> tuple[int, ...]:
    if spec.shape is None:
        return (rows,)
    rest = tuple(size if each is None else each for each in spec.shape[1:])
    return ((rows if spec.shape[0] is None else spec.shape[0]), *rest) if spec.shape else ()


class _Maker:
    """Makes the inputs of one signature."""

    def __init__(self, signature: SignatureInfo, features: Sequence[Feature], guess: Guess) -> None:
        self.batched = is_batched(signature)
        self._signature = signature
        self._guess = guess
        self._examples = [_example(features, number) for number in range(ROWS)] if features else []
        self.odd_bytes = _has_text(signature) and not features

    def case(
        self, name: str, inputs: dict[str, Array], rows: int = 1, *, ordinary: bool = True, binary: bool = False
    ) -> Case:
        count = rows if self.batched else None
        sent = dict(quantized_inputs(self._signature.inputs, inputs))
        return Case(self._signature.name, name, sent, count, ordinary=ordinary, binary=binary)

    def filled(self, value: int = 0, *, low: bool | None = None) -> dict[str, Array]:
        """Return one row of a value, or of the smallest or largest values; scalars beside other inputs are never 0."""
        beside = any(spec.shape != () for spec in self._signature.inputs.values())
        texts = self._examples or [self._guess.text if low is None else b"" if low else _ODD]
        filled = {}
        for key, spec in self._signature.inputs.items():
            shape = _shape(spec, 1, self._guess.size)
            if spec.dtype == "string":
                filled[key] = _strings(shape, texts)
            else:
                limits = _limits(spec)
                plain = 1 if beside and spec.shape == () else value
                number = plain if low is None else limits[0] if low else limits[1]
                filled[key] = np.full(shape, number, numpy_dtype(spec.dtype))
        return filled

    def varied(self) -> dict[str, Array]:
        """Return several rows that differ."""
        plain = [self._guess.text, b"another text", "h\u00e9llo \u4e16\u754c".encode()]
        texts = self._examples or (plain if self._guess.text == _TEXTS[0] else [self._guess.text])
        return {
            key: _strings(shape, texts) if spec.dtype == "string" else _varied(spec, shape)
            for key, spec in self._signature.inputs.items()
            for shape in [_shape(spec, ROWS, self._guess.size)]
        }


def _limits(spec: TensorSpec) -> tuple[Any, Any]:
    dtype = numpy_dtype(spec.dtype)
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        # a larger number may be taken for a size: a tensor of that many rows would exhaust the memory
        return max(limits.min, -1 if dtype.itemsize > 1 else limits.min), min(limits.max, _LARGEST)
    return (False, True) if dtype.kind == "b" else (-_LARGE, _LARGE)


def _varied(spec: TensorSpec, shape: tuple[int, ...]) -> Array:
    """Return rows that differ: floats in [0, 1), integers 0 and 1, as images, scores and indices have them."""
    generator = np.random.default_rng(_SEED)
    dtype = numpy_dtype(spec.dtype)
    if dtype.kind in "iub":
        rows = np.arange(shape[0]) % 2 if shape else np.array(1)
        return np.broadcast_to(rows.reshape(-1, *(1 for _ in shape[1:])), shape).astype(dtype)
    return np.asarray(generator.random(shape)).astype(dtype)


def _strings(shape: tuple[int, ...], values: Sequence[bytes]) -> Array:
    array = np.empty(shape, object)
    flat = array.reshape(-1)
    for position in range(flat.size):
        flat[position] = values[position % len(values)]
    return flat.reshape(shape)


def _png(size: int = 8) -> bytes:
    """Return an image of one colour: ``size`` x ``size``, RGB."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = (b"\0" + b"\x80\x40\x20" * size) * size
    head = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


#: what an input of text may mean: text, a number, an image (TensorFlow's decoders know it by its first bytes), JSON
_TEXTS: Final = (b"text", b"0", _png(), b"{}")


def _example(features: Sequence[Feature], number: int) -> bytes:
    """Return a serialized tf.Example; those of other numbers differ in their values."""
    from tfs_deploy import protos

    example = protos.Example.FromString(example_bytes(features))
    for feature in example.features.feature.values():
        kind = feature.WhichOneof("kind")
        if kind == "float_list":
            feature.float_list.value[:] = [value + number / 4 for value in feature.float_list.value]
        elif kind == "int64_list":
            feature.int64_list.value[:] = [(value + number) % 2 for value in feature.int64_list.value]
    return bytes(example.SerializeToString(deterministic=True))
