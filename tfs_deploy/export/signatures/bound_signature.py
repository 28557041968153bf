# SPDX-License-Identifier: Apache-2.0
"""A signature bound to a function and its input specs: it can be traced, and run as the original."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.errors import TfsDeployError, UsageError
from tfs_deploy.export.signatures.method_contract import check_method
from tfs_deploy.export.signatures.names import check_name, check_traced_inputs
from tfs_deploy.export.signatures.results import Outputs, name_outputs
from tfs_deploy.export.signatures.specs import tf_spec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tfs_deploy.export.signatures.arguments import NamedCall
    from tfs_deploy.export.signatures.nest import NestPath
    from tfs_deploy.protos.signatures import TensorSpec

#: what TensorFlow says of a call to a function whose definition, beyond 2 GB, it could not serialize
_LOST_DEFINITION: Final = "Signature specifies 0 arguments, got"
_STYLE: Final = re.compile(r"\x1b\[[0-9;]*m")
_PLACE: Final = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+), in .* \*$')
_ERROR: Final = re.compile(r"[A-Za-z_][\w.]*(Error|Exception|Warning|Interrupt|Exit)\b")


@dataclass(frozen=True)
class BoundSignature:
    """``eager`` computes as the original does, ``graph`` is what gets traced.

    Both take tensors by input name and return tensors by output name. ``guessed`` are the inputs whose dtype the model
    does not know, ``defaults`` the values of inputs that a request may leave out.
    """

    name: str
    inputs: dict[str, TensorSpec]
    method: str
    eager: NamedCall
    graph: NamedCall
    guessed: frozenset[str] = frozenset()
    defaults: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        name: str,
        inputs: dict[str, TensorSpec],
        method: str,
        call: NamedCall,
        outputs: Outputs,
        graph: NamedCall | None = None,
        own_outputs: Mapping[NestPath, str] | None = None,
    ) -> BoundSignature:
        """Return the signature of a call whose results ``outputs`` names; ``graph``: another call to trace.

        ``own_outputs``: the model's own names of the results, by their paths.
        """

        def naming(function: NamedCall) -> NamedCall:
            return lambda tensors: name_outputs(name, function(tensors), outputs, own_outputs)

        return cls(name, inputs, method, naming(call), naming(graph or call))

    def wrap(
        self,
        inputs: dict[str, TensorSpec],
        before: Callable[[Mapping[str, Any]], Mapping[str, Any]],
        after: Callable[[dict[str, Any]], dict[str, Any]],
    ) -> BoundSignature:
        """Return a signature that computes ``after(this(before(inputs)))``."""
        eager, graph = self.eager, self.graph
        return replace(
            self,
            inputs=inputs,
            eager=lambda tensors: after(eager(before(tensors))),
            graph=lambda tensors: after(graph(before(tensors))),
            guessed=self.guessed & set(inputs),
            defaults={name: value for name, value in self.defaults.items() if name in inputs},
        )

    def run(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Run the original eagerly on arrays and return arrays by output name."""
        import tensorflow as tf

        given = {**self.defaults, **inputs}
        tensors = {name: tf.constant(given[name], spec.dtype) for name, spec in self.inputs.items()}
        try:
            outputs = self.eager(tensors)
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

        names = list(check_traced_inputs(self.name, self.inputs))

        def signature_function(*tensors: Any) -> dict[str, Any]:
            outputs: dict[str, Any] = self.graph(dict(zip(names, tensors, strict=True)))
            return {check_name(self.name, "output", name): tf.identity(tensor) for name, tensor in outputs.items()}

        # Positional arguments, whose specs carry the names: TensorFlow would rewrite a keyword such as capital-gain.
        specs = [tf_spec(spec) for spec in self.inputs.values()]
        try:
            concrete = tf.function(signature_function, autograph=False).get_concrete_function(*specs)
        except TfsDeployError:
            raise
        except Exception as error:
            if _LOST_DEFINITION in str(error):
                raise too_large() from error
            raise UsageError(
                f"Signature {self.name!r} cannot be traced into a graph: {first_line(error)}",
                hint="use TensorFlow or keras.ops operations only, and shapes that hold for every batch size",
            ) from error
        check_method(self.name, self.method, self.inputs, concrete.structured_outputs)
        return concrete


def too_large() -> UsageError:
    """Return the error of a model whose constants make its graph larger than a file of protobuf can be."""
    return UsageError(
        "the graph is larger than 2 GB, the limit of a protobuf file",
        hint="keep weights in variables (tf.Variable), not in constants",
    )


def first_line(error: BaseException) -> str:
    """Return the message of an exception as one readable line."""
    # Keras prints parts of its messages in bold.
    lines = [line.strip() for line in _STYLE.sub("", str(error)).splitlines() if line.strip()]
    if lines and lines[0] == "in user code:":
        lines = _of_user_code(lines)
    text = " ".join(lines) or type(error).__name__
    return f"{text[:300]}..." if len(text) > 300 else text.rstrip(".")


def _of_user_code(lines: list[str]) -> list[str]:
    """Shorten AutoGraph's report to the error itself and the last place in the user's own code (marked ``*``)."""
    places = [match for line in lines if (match := _PLACE.match(line))]
    start = next((number for number, line in enumerate(lines) if _ERROR.match(line)), len(lines) - 1)
    where = [f"({Path(places[-1]['file']).name}, line {places[-1]['line']})"] if places else []
    return [*lines[start:], *where]
