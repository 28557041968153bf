# SPDX-License-Identifier: Apache-2.0
"""TensorFlow 1 graphs: a live session, a checkpoint with its ``.meta`` file, a frozen GraphDef."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.errors import UsageError
from tfs_deploy.export.signatures.bound_signature import first_line
from tfs_deploy.export.signatures.method_contract import check_method
from tfs_deploy.export.signatures.names import check_name, did_you_mean
from tfs_deploy.export.signatures.signature import METHODS, Signature
from tfs_deploy.export.signatures.wrapped_signature import WrappedSignature
from tfs_deploy.export.sources.pruning import pruned_meta_graph, unfed_placeholders, variables_of
from tfs_deploy.protos.signatures import TensorSpec, signature_info

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from tfs_deploy.export.tensorflow.hashing import Hasher

    Array = np.ndarray[Any, Any]
_HOUSEKEEPING: Final = frozenset(
    {"Const", "Placeholder", "ReadVariableOp", "VarHandleOp", "VarIsInitializedOp", "Assign", "AssignVariableOp"}
)
#: scopes of ``tf.gradients``, savers and initializers
_TRAINING_SCOPE: Final = re.compile(r"(^|/)(gradients(_\d+)?|save(_\d+)?|Initializer|report_uninitialized_variables)/")
_TRAINING_OP: Final = re.compile(
    r"(Resource(Sparse)?)?(Sparse)?Apply|Assign|ResourceScatter|Scatter(Update|Add|Sub)|.*Summary$"
)


class GraphSource:
    """Tensors of a graph, with the session that holds its variables; neither is changed."""

    def __init__(
        self, graph: Any, session: Any, signatures: Mapping[str, Signature] | None, tags: Sequence[str]
    ) -> None:
        if not signatures:
            raise UsageError(
                "a TensorFlow 1 graph does not say what to serve",
                hint="signatures={'serving_default': Signature(inputs={'x': 'x:0'}, outputs={'y': 'y:0'})}, "
                f"or -s 'serving_default(x=x:0) -> y=y:0'; {_candidates(graph)}",
            )
        self._graph = graph
        self._session = session
        self._tags = list(tags)
        self._inputs = {name: _tensors(name, "input", graph, one) for name, one in signatures.items()}
        self._outputs = {name: _tensors(name, "output", graph, one) for name, one in signatures.items()}
        for name in signatures:
            self._refuse_unfed(name)
        self._definitions = {
            name: _definition(name, METHODS[one.method], self._inputs[name], self._outputs[name])
            for name, one in signatures.items()
        }

    def _refuse_unfed(self, signature: str) -> None:
        missing = unfed_placeholders(self._outputs[signature].values(), self._inputs[signature].values())
        if missing:
            raise UsageError(
                f"Signature {signature!r}: the outputs need the placeholder {missing[0]!r}, which is not an input",
                hint=f"add it to the inputs: {{'{missing[0]}': '{missing[0]}:0'}}, or choose outputs without it",
            )

    def inputs(self, signature: str) -> dict[str, TensorSpec] | None:
        """Return the input specs of a signature, ``None`` if there is no such signature."""
        definition = self._definitions.get(signature)
        return None if definition is None else signature_info(signature, definition).inputs

    def defaults(self, signature: str) -> Mapping[str, Array]:
        """Return nothing: a graph has tensors, not arguments."""
        del signature
        return {}

    def signature_names(self) -> list[str]:
        """List the signatures that will be written."""
        return list(self._definitions)

    def run(self, signature: str, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run the tensors in the session."""
        import tensorflow as tf

        feeds = {tensor: inputs[name] for name, tensor in self._inputs[signature].items()}
        try:
            outputs: dict[str, Array] = self._session.run(self._outputs[signature], feeds)
        except tf.errors.OpError as error:
            raise UsageError(
                f"Signature {signature!r}: the graph fails on an example: {first_line(error)}",
                hint="initialize or restore all variables, and feed every input that the outputs need",
            ) from error
        return outputs

    def save(self, directory: Path, _hasher: Hasher) -> None:
        """Write the part of the graph that the outputs need, with the values of its variables."""
        import tensorflow as tf

        fetched = [tensor.op.name for outputs in self._outputs.values() for tensor in outputs.values()]
        fed = [tensor.op.name for inputs in self._inputs.values() for tensor in inputs.values()]
        meta_graph, variables = pruned_meta_graph(self._graph, [*fetched, *fed])
        values = self._values(variables)
        with tf.Graph().as_default() as copy, tf.compat.v1.Session(graph=copy) as session:
            tf.compat.v1.train.import_meta_graph(meta_graph)
            tables = tf.compat.v1.get_collection(tf.compat.v1.GraphKeys.TABLE_INITIALIZERS)
            initialize = tf.group(*tables) if tables else None
            for variable in tf.compat.v1.global_variables():
                variable.load(values[variable.op.name], session)
            builder = tf.compat.v1.saved_model.Builder(str(directory))
            builder.add_meta_graph_and_variables(
                session,
                self._tags,
                signature_def_map=self._definitions,
                assets_collection=tf.compat.v1.get_collection(tf.compat.v1.GraphKeys.ASSET_FILEPATHS),
                main_op=initialize,
                strip_default_attrs=True,
            )
            builder.save()

    def close(self) -> None:
        """Do nothing: the caller owns the session."""

    def _values(self, names: Sequence[str]) -> dict[str, Any]:
        """Read variables out of the session, by the name of their op."""
        import tensorflow as tf

        variables = variables_of(self._graph)
        try:
            values: dict[str, Any] = self._session.run({name: variables[name] for name in names})
        except tf.errors.FailedPreconditionError as error:
            raise UsageError(
                f"a variable has no value: {first_line(error)}",
                hint="run the initializer or restore a checkpoint first",
            ) from error
        return values


class OwnedGraphSource(GraphSource):
    """A graph that was read from files into a session of its own."""

    def close(self) -> None:
        """Free the session."""
        self._session.close()


def open_session(session: Any, signatures: Mapping[str, Signature] | None, tags: Sequence[str]) -> GraphSource:
    """Open a live ``tf.compat.v1.Session``."""
    return GraphSource(session.graph, session, signatures, tags)


def _tensors(signature: str, role: str, graph: Any, given: Signature) -> dict[str, Any]:
    """Return the tensors of one side of a signature by name."""
    if isinstance(given, WrappedSignature) or given.function is not None:
        raise UsageError(
            f"Signature {signature!r}: a TensorFlow 1 graph has tensors, not functions",
            hint="export it as it is, then export that SavedModel with the function or wrapper around its signature",
        )
    side = given.inputs if role == "input" else given.outputs
    if not side and role == "input":
        return {}
    if not isinstance(side, Mapping) or not side:
        raise UsageError(
            f"Signature {signature!r}: it does not name its {role}s",
            hint=f"{role}s={{'name': 'tensor:0'}}; {_candidates(graph)}",
        )
    return {check_name(signature, role, name): find_tensor(signature, graph, value) for name, value in side.items()}


def find_tensor(signature: str, graph: Any, value: Any) -> Any:
    """Return the tensor of a graph that a tensor, operation, variable or name refers to."""
    import tensorflow as tf

    if isinstance(value, (tf.SparseTensor, tf.RaggedTensor)):
        raise UsageError(
            f"Signature {signature!r}: {value!r} has several tensors", hint="give each of them a name of its own"
        )
    try:
        element = graph.as_graph_element(value, allow_tensor=True, allow_operation=True)
        return element.outputs[0] if isinstance(element, tf.Operation) else element
    except (KeyError, ValueError, TypeError, IndexError) as error:
        names = [operation.name for operation in graph.get_operations()]
        hint = did_you_mean(value.partition(":")[0], names) if isinstance(value, str) else "give a tensor or its name"
        raise UsageError(f"Signature {signature!r}: the graph has no tensor {value!r}", hint=hint) from error


def _definition(name: str, method: str, inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> Any:
    import tensorflow as tf

    info = tf.compat.v1.saved_model.build_tensor_info
    with tf.Graph().as_default():  # it refuses to work eagerly
        sides = [{key: info(tensor) for key, tensor in side.items()} for side in (inputs, outputs)]
        definition = tf.compat.v1.saved_model.build_signature_def(*sides, method)
    check_method(name, method, signature_info(name, definition).inputs, outputs)
    return definition


def _candidates(graph: Any) -> str:
    """Return a hint with likely tensors: placeholders, and results that nothing but training consumes."""
    operations = [operation for operation in graph.get_operations() if not _is_training(operation)]
    fed = [op for op in operations if op.type == "Placeholder"]
    computed = set(fed)
    for operation in operations:
        if any(tensor.op in computed for tensor in operation.inputs):
            computed.add(operation)
    results = [op.name for op in operations if _is_result(op) and (op in computed or not fed)][-6:]
    inputs = [op.name for op in fed[:6]]
    return f"placeholders: {', '.join(inputs) or 'none'}; last results: {', '.join(results) or 'none'}"


def _is_result(operation: Any) -> bool:
    """Tell whether an operation computes a result that no other one consumes, apart from what trains and saves."""
    if operation.type in _HOUSEKEEPING:
        return False
    consumers = (consumer for tensor in operation.outputs for consumer in tensor.consumers())
    return bool(operation.outputs) and all(_is_training(consumer) for consumer in consumers)


def _is_training(operation: Any) -> bool:
    """Tell whether an operation is of gradients, an optimizer, summaries, a variable's first value or a saver."""
    return _TRAINING_SCOPE.search(operation.name) is not None or _TRAINING_OP.match(operation.type) is not None
