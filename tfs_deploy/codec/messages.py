# SPDX-License-Identifier: Apache-2.0
"""Predict requests and replies as plain values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypedDict

from tfs_deploy.protos.signatures import DEFAULT_SIGNATURE

if TYPE_CHECKING:
    from numpy.typing import NDArray


class RequestOptions(TypedDict, total=False):
    """What a PredictRequest says besides the model's name and the inputs; see ``encode_predict_request``."""

    signature: str | None
    label: str | None
    version: int | None
    output_filter: Iterable[str]


@dataclass(frozen=True, slots=True)
class PredictCall:
    """A PredictRequest: ``None`` where the request names no signature, version or label.

    ``filled_bytes`` of the inputs were not sent, but follow from shapes with more elements than values.
    """

    model: str
    signature: str | None = None
    version: int | None = None
    label: str | None = None
    inputs: dict[str, NDArray[Any]] = field(default_factory=dict)
    output_filter: tuple[str, ...] = ()
    filled_bytes: int = 0


class PredictReply(Mapping[str, "NDArray[Any]"]):
    """The outputs of a Predict by name, and which model, version and signature answered.

    Arrays are read-only views on the reply's bytes: ``.copy()`` one to write to it. String outputs are object arrays
    of ``bytes``. ``version`` is ``None`` where the transport does not say (REST).
    """

    __slots__ = ("model", "outputs", "signature", "version")

    def __init__(
        self,
        outputs: dict[str, NDArray[Any]],
        *,
        model: str = "",
        version: int | None = None,
        signature: str = DEFAULT_SIGNATURE,
    ) -> None:
        self.outputs = outputs
        self.model = model
        self.version = version
        self.signature = signature

    def __getitem__(self, name: str) -> NDArray[Any]:
        try:
            return self.outputs[name]
        except KeyError:
            raise KeyError(f"{name!r} is not an output of {self.model}; it has {sorted(self.outputs)}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self.outputs)

    def __len__(self) -> int:
        return len(self.outputs)

    def __repr__(self) -> str:
        outputs = ", ".join(f"{name}: {array.dtype}{list(array.shape)}" for name, array in self.outputs.items())
        return f"PredictReply({outputs}; {self.model} version {self.version}, {self.signature})"
