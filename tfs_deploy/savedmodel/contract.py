# SPDX-License-Identifier: Apache-2.0
"""Compare two versions of a model: what changes for clients, and whether it breaks them.

Inputs may accept more and outputs may promise more; everything else breaks a client that was written for the old
version. (The server itself refuses requests with missing or extra inputs: predict_util.cc.)
"""

from __future__ import annotations

import enum
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.savedmodel.describe import custom_ops

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tfs_deploy.protos.signatures import SignatureInfo, TensorSpec
    from tfs_deploy.savedmodel.graph.features import Feature
    from tfs_deploy.savedmodel.inspect import SavedModelInfo

    Shape = tuple[int | None, ...] | None


class Compatibility(enum.Enum):
    """What a change means to a client of the old version, from harmless to harmful."""

    COMPATIBLE = "compatible"
    ADDITION = "compatible addition"
    BREAKING = "breaking"


@dataclass(frozen=True, slots=True)
class Change:
    """One change: of a signature, or of one of its tensors (``input 'x'``, ``output 'y'``, ``feature 'age'``).

    ``signature`` is empty for a change of the whole model: of its tag sets.
    """

    compatibility: Compatibility
    signature: str
    tensor: str
    message: str

    @property
    def where(self) -> str:
        """The place of the change, as sentences name it."""
        signature = f"signature '{self.signature}'" if self.signature else ""
        return ", ".join(filter(None, (signature, self.tensor)))


@dataclass(frozen=True, slots=True)
class ModelDiff:
    """All differences between two versions; ``ops`` counts the ops added (or, negative, removed) by the new one."""

    old: SavedModelInfo
    new: SavedModelInfo
    changes: tuple[Change, ...]
    ops: dict[str, int]
    new_custom_ops: tuple[str, ...]

    @property
    def verdict(self) -> Compatibility:
        """The worst of the changes."""
        order = list(Compatibility)
        return max((change.compatibility for change in self.changes), key=order.index, default=order[0])

    @property
    def breaking(self) -> list[Change]:
        """The changes that break clients."""
        return [change for change in self.changes if change.compatibility is Compatibility.BREAKING]


def diff_models(old: SavedModelInfo, new: SavedModelInfo) -> ModelDiff:
    """Compare two versions: tag sets, contract, ops, variables."""
    changes = [*_tag_sets(old, new), *contract_changes(old.signatures, new.signatures)]
    for name in sorted(old.signatures.keys() & new.signatures.keys()):
        changes += _features(name, old.features(name), new.features(name))
    difference = Counter(new.ops)
    difference.subtract(old.ops)
    ops = {op: count for op, count in sorted(difference.items()) if count}
    added = sorted(set(custom_ops(new)) - set(custom_ops(old)))
    return ModelDiff(old, new, tuple(changes), ops, tuple(added))


def _tag_sets(old: SavedModelInfo, new: SavedModelInfo) -> Iterator[Change]:
    """Yield which sets of tags are gone or new: a server loads the meta graph with exactly its tags, or nothing."""
    before, after = ({frozenset(tags) for tags in info.tag_sets} for info in (old, new))
    for tags in sorted(map(sorted, before ^ after)):
        place = f"tag set '{','.join(tags)}'"
        if frozenset(tags) in after:
            yield Change(Compatibility.ADDITION, "", place, "it is new")
        else:
            there = " | ".join(sorted(",".join(sorted(each)) or "none" for each in after))
            message = f"it is gone (there: {there}), so a server with these --saved_model_tags cannot load the model"
            yield Change(Compatibility.BREAKING, "", place, message)


def contract_changes(old: Mapping[str, SignatureInfo], new: Mapping[str, SignatureInfo]) -> Iterator[Change]:
    """Yield what changed between the signatures of two versions, by signature and tensor."""
    for name in sorted(old.keys() | new.keys()):
        if name not in new:
            yield Change(Compatibility.BREAKING, name, "", "the signature is gone")
        elif name not in old:
            yield Change(Compatibility.ADDITION, name, "", "the signature is new")
        else:
            yield from _signature(old[name], new[name])


def _signature(old: SignatureInfo, new: SignatureInfo) -> Iterator[Change]:
    if old.method != new.method:
        message = f"its method is '{new.method}' instead of '{old.method}'"
        yield Change(Compatibility.BREAKING, old.name, "", message)
    for tensor, compatibility, message in (*_inputs(old, new), *_outputs(old, new)):
        yield Change(compatibility, old.name, tensor, message)


_Found = tuple[str, Compatibility, str]


def _inputs(old: SignatureInfo, new: SignatureInfo) -> Iterator[_Found]:
    for name in sorted(old.inputs.keys() | new.inputs.keys()):
        tensor = f"input '{name}'"
        if name not in new.inputs:
            yield tensor, Compatibility.BREAKING, f"it is gone{_renamed(name, old.inputs, new.inputs)}"
        elif name not in old.inputs:
            optional = name in new.defaults
            kind = Compatibility.ADDITION if optional else Compatibility.BREAKING
            yield tensor, kind, f"it is new and {'optional' if optional else 'required'}: {new.inputs[name]}"
        else:
            yield from _default(tensor, was=name in old.defaults, now=name in new.defaults)
            yield from _spec(tensor, old.inputs[name], new.inputs[name], is_input=True)


def _default(tensor: str, *, was: bool, now: bool) -> Iterator[_Found]:
    if was and not now:
        yield tensor, Compatibility.BREAKING, "it is required, and was optional"
    elif now and not was:
        yield tensor, Compatibility.ADDITION, "it is optional, and was required"


def _outputs(old: SignatureInfo, new: SignatureInfo) -> Iterator[_Found]:
    for name in sorted(old.outputs.keys() | new.outputs.keys()):
        tensor = f"output '{name}'"
        if name not in new.outputs:
            yield tensor, Compatibility.BREAKING, f"it is gone{_renamed(name, old.outputs, new.outputs)}"
        elif name not in old.outputs:
            # With one output a REST reply holds bare values, with more an object of them (json_tensor.cc).
            rest = "; REST replies now name their outputs" if len(old.outputs) == 1 else ""
            yield tensor, Compatibility.ADDITION, f"it is new: {new.outputs[name]}{rest}"
        else:
            yield from _spec(tensor, old.outputs[name], new.outputs[name], is_input=False)


def _renamed(name: str, old: Mapping[str, TensorSpec], new: Mapping[str, TensorSpec]) -> str:
    """Return a note with the likely new name of a removed tensor: that of the only new one like it."""
    like = [
        other
        for other, spec in new.items()
        if other not in old and (spec.dtype, spec.shape) == (old[name].dtype, old[name].shape)
    ]
    return f" (renamed to '{like[0]}'?)" if len(like) == 1 else ""


def _spec(tensor: str, old: TensorSpec, new: TensorSpec, *, is_input: bool) -> Iterator[_Found]:
    if old.dtype != new.dtype:
        yield tensor, Compatibility.BREAKING, f"its dtype is {new.dtype} instead of {old.dtype}"
    if old.shape == new.shape:
        return
    change = f"from {old} to {new}"
    wider, narrower = covers(new.shape, old.shape), covers(old.shape, new.shape)
    if is_input and wider:
        yield tensor, Compatibility.ADDITION, f"its shape is wider, {change}"
    elif not is_input and narrower and not _lost_batch(old.shape, new.shape):
        yield tensor, Compatibility.COMPATIBLE, f"its shape is narrower, {change}"
    else:
        how = "narrower" if narrower else "wider" if wider else "another"
        yield tensor, Compatibility.BREAKING, f"its shape is {how}, {change}"


def covers(wide: Shape, narrow: Shape) -> bool:
    """Whether every shape that fits ``narrow`` fits ``wide`` too."""
    if wide is None:
        return True
    if narrow is None or len(wide) != len(narrow):
        return False
    return all(a is None or a == b for a, b in zip(wide, narrow, strict=True))


def _lost_batch(old: Shape, new: Shape) -> bool:
    """Whether the first dimension was open and is not any more: replies no longer have a row for each row sent."""
    return bool(old and new and old[0] is None and new[0] is not None)


def _features(signature: str, old: Sequence[Feature], new: Sequence[Feature]) -> Iterator[Change]:
    """Yield what changed in the tf.Examples that a signature parses."""
    before, after = ({feature.name: feature for feature in features} for features in (old, new))
    if not before or not after:
        return
    for name in sorted(before.keys() | after.keys()):
        kind, message = _feature(before.get(name), after.get(name))
        if message:
            yield Change(kind, signature, f"feature '{name}'", message)


def _feature(old: Feature | None, new: Feature | None) -> tuple[Compatibility, str]:
    if new is None:
        return Compatibility.COMPATIBLE, "it is no longer read"
    if old is None:
        kind = Compatibility.BREAKING if new.required else Compatibility.ADDITION
        return kind, f"it is new and {'required' if new.required else 'optional'}"
    if old.dtype != new.dtype:
        return Compatibility.BREAKING, f"its dtype is {new.dtype} instead of {old.dtype}"
    if old.shape != new.shape:
        return Compatibility.BREAKING, f"its shape is {_shape(new)} instead of {_shape(old)}"
    if new.required and not old.required:
        return Compatibility.BREAKING, "it is required, and was optional"
    return Compatibility.COMPATIBLE, ""


def _shape(feature: Feature) -> str:
    return "of any length" if feature.shape is None else str(list(feature.shape))


def describe_diff(diff: ModelDiff) -> dict[str, Any]:
    """Return a diff as one JSON document."""
    return {
        "old": str(diff.old.path),
        "new": str(diff.new.path),
        "verdict": diff.verdict.value,
        "breaking": bool(diff.breaking),
        "changes": [
            {"compatibility": c.compatibility.value, "signature": c.signature, "tensor": c.tensor, "message": c.message}
            for c in diff.changes
        ],
        "unchanged": sorted(
            (diff.old.signatures.keys() & diff.new.signatures.keys()) - {change.signature for change in diff.changes}
        ),
        **{key: {"old": read(diff.old), "new": read(diff.new)} for key, read in _NUMBERS.items()},
        "ops": diff.ops,
        "new_custom_ops": list(diff.new_custom_ops),
    }


_NUMBERS: Final[dict[str, Any]] = {
    "tensorflow_version": lambda info: info.tensorflow_version,
    "variables": lambda info: len(info.variables),
    "variable_bytes": lambda info: info.variable_bytes,
    "saved_model_bytes": lambda info: info.pb_bytes,
    "nodes": lambda info: info.serving.graph.node_count,
}
