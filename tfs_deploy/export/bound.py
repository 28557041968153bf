"""A signature whose function, input names and specs are all settled: what can be traced, and run as the original."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tfs_deploy.errors import TfsDeployError, UsageError
from tfs_deploy.export.calling import NamedCall, name_outputs
from tfs_deploy.export.specs import tf_spec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tfs_deploy.protos.signatures import TensorSpec


@dataclass(frozen=True)
class BoundSignature:
    """``original`` computes eagerly, ``traceable`` is what goes into the graph; both take tensors by input name."""

    name: str
    inputs: dict[str, TensorSpec]
    outputs: Mapping[str, Any] | Sequence[str] | None
    method: str
    original: NamedCall
    traceable: NamedCall

    def run(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Run the original eagerly on arrays and return arrays by output name."""
        import tensorflow as tf

        tensors = {name: tf.constant(inputs[name], spec.dtype) for name, spec in self.inputs.items()}
        try:
            outputs = name_outputs(self.name, self.original(tensors), self.outputs)
        except TfsDeployError:
            raise
        except Exception as error:
            raise UsageError(
                f"Signature {self.name!r}: the model fails on an example: {first_line(error)}",
                hint="correct the example, or the function of the signature",
            ) from error
        return {name: tensor.numpy() for name, tensor in outputs.items()}

    def trace(self) -> Any:
        """Return the concrete function; raises ``UsageError`` with the reason if the function cannot be traced."""
        import tensorflow as tf

        @tf.autograph.experimental.do_not_convert
        def signature_function(**inputs: Any) -> dict[str, Any]:
            return name_outputs(self.name, self.traceable(inputs), self.outputs)

        specs = {name: tf_spec(spec) for name, spec in self.inputs.items()}
        try:
            return tf.function(signature_function, autograph=False).get_concrete_function(**specs)
        except TfsDeployError:
            raise
        except Exception as error:
            raise UsageError(
                f"Signature {self.name!r} cannot be traced into a graph: {first_line(error)}",
                hint="use TensorFlow or keras.ops operations only, and shapes that hold for every batch size",
            ) from error


def first_line(error: BaseException) -> str:
    """Return what an exception says, cut to one readable line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = " ".join(lines) or type(error).__name__
    return f"{text[:300]}..." if len(text) > 300 else text.rstrip(".")
