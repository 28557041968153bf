# SPDX-License-Identifier: Apache-2.0
"""TFS2xx: what the graph does when it is loaded or called."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from tfs_deploy.savedmodel.graph.op_libraries import is_in_op_library
from tfs_deploy.savedmodel.graph.ops import (
    CONTAINER_OPS,
    GENERATOR_OPS,
    PRINT_OPS,
    PYTHON_OPS,
    XLA_OPS,
    is_known_op,
    is_training_op,
)
from tfs_deploy.savedmodel.graph.scopes import COMPILED, SEEDED, TRAINING, UNSEEDED
from tfs_deploy.savedmodel.graph.unsafe_ops import HOST_OPS
from tfs_deploy.savedmodel.lint.rules import LintedModel, Rule, Severity, Violation
from tfs_deploy.text import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tfs_deploy.savedmodel.graph.scopes import Scope

#: a graph with this many bytes of weights inside is likely a frozen one
_LARGE_CONSTANTS: Final = 64 << 20
_ASSIGN_OP: Final = re.compile(
    r"Assign(Add|Sub)?(Variable(Op|XlaConcatND))?|Resource(Scatter|StridedSlice)\w+|Scatter\w+|(Resource)?CountUpTo"
    r"|StridedSliceAssign"
)
#: functions of names, not of variables
_NOT_ASSIGN: Final = frozenset({"ScatterNd", "ScatterNdNonAliasingAdd"})
#: draws from the seed that it is given, such as the state of Keras' seed generators
_STATELESS_RANDOM: Final = re.compile(r"StatelessRandom\w+|Stateless(TruncatedNormal|Multinomial|Parameterized)\w*")
_LOADING: Final = "loading"
_VERSION: Final = re.compile(r"(\d+)\.(\d+)")


def _places(model: LintedModel) -> Iterator[tuple[str, Scope]]:
    """Yield what runs, with what runs it first: a signature, or loading the model; each function once."""
    seen: set[str] = set()
    everything = [(f"signature '{name}'", scopes) for name, scopes in model.calls.items()]
    for where, scopes in (*everything, (_LOADING, model.info.reached_at_load)):
        for scope in scopes:
            if not scope.name or scope.name not in seen:
                seen.add(scope.name)
                yield where, scope


def _reached(model: LintedModel, wanted: Callable[[str], bool]) -> dict[str, tuple[str, str]]:
    """Return the wanted ops that run somewhere: op -> (what runs it first, its node)."""
    found: dict[str, tuple[str, str]] = {}
    for where, scope in _places(model):
        for op, node in scope.examples.items():
            if op not in found and wanted(op):
                found[op] = (where, f"'{node}'{_inside(scope)}")
    return dict(sorted(found.items()))


def _inside(scope: Scope) -> str:
    return f" in function '{scope.name}'" if scope.name else ""


def _python(model: LintedModel) -> Iterator[Violation]:
    reached = _reached(model, PYTHON_OPS.__contains__)
    for op, (where, node) in reached.items():
        yield Violation(where, f"{op} {node} calls a function of the Python process that exported the model")
    for op in sorted(PYTHON_OPS.intersection(model.info.ops) - reached.keys()):
        yield Violation("the graph", f"it holds {op}, though no signature reaches it", severity=Severity.WARNING)


def _custom(model: LintedModel) -> Iterator[Violation]:
    functions = model.info.serving.graph.functions

    def unknown(op: str) -> bool:
        return op not in functions and not is_known_op(op) and not is_in_op_library(op)

    reached = _reached(model, unknown)
    for op, (where, node) in reached.items():
        yield Violation(where, f"op {op} {node} is not part of TensorFlow")
    main = model.info.serving.graph.main.ops
    for op in sorted(filter(unknown, model.info.ops.keys() - reached.keys())):
        # The server checks the ops of the main graph when it loads it, those of functions when they are called.
        severity = Severity.ERROR if op in main else Severity.WARNING
        yield Violation("the graph", f"op {op} is not part of TensorFlow; no signature reaches it", severity=severity)


def _host(model: LintedModel) -> Iterator[Violation]:
    for op, (where, node) in _reached(model, HOST_OPS.__contains__).items():
        yield Violation(where, f"{op} {node} reaches out of the model, to files or other machines")


def _prints(model: LintedModel) -> Iterator[Violation]:
    for op, (where, node) in _reached(model, PRINT_OPS.__contains__).items():
        yield Violation(where, f"{op} {node} writes to the server's log at every call")


def _training(model: LintedModel) -> Iterator[Violation]:
    reached = _reached(model, is_training_op)
    for op, (where, node) in reached.items():
        yield Violation(where, f"{op} {node} belongs to training")
    yield from _flagged(model, TRAINING, "runs in training mode")


def _random(model: LintedModel) -> Iterator[Violation]:
    yield from _flagged(model, UNSEEDED, "draws random numbers without a seed")
    yield from _flagged(model, SEEDED, "draws other random numbers of its seed at every call")
    for op, (where, node) in _reached(model, (GENERATOR_OPS | {"Timestamp"}).__contains__).items():
        if where != _LOADING:
            what = "reads the clock" if op == "Timestamp" else "draws other random numbers at every call"
            yield Violation(where, f"{op} {node} {what}")
    yield from _moving_seeds(model)


def _moving_seeds(model: LintedModel) -> Iterator[Violation]:
    """Find random ops whose seed is a variable that the signature moves on: Keras' dropout in training mode."""
    for name, scopes in model.calls.items():
        ops = set().union(*(scope.ops for scope in scopes))
        drawing = sorted(op for op in ops if _STATELESS_RANDOM.fullmatch(op) and "Get" not in op)
        if drawing and not ops & GENERATOR_OPS and _assigning(ops):
            what = "and the signature changes variables: the seed may be one of them"
            yield Violation(f"signature '{name}'", f"{drawing[0]} draws random numbers, {what}")


def _flagged(model: LintedModel, flag: str, what: str) -> Iterator[Violation]:
    seen: set[str] = set()
    for where, scope in _places(model):
        for op, found in scope.flagged:
            # Initial values that are drawn when the model is loaded are overwritten by the variables.
            if found == flag and op not in seen and where != _LOADING:
                seen.add(op)
                yield Violation(where, f"{op}{_inside(scope)} {what}")


def _assigns(model: LintedModel) -> Iterator[Violation]:
    for name, scopes in model.calls.items():
        ops = set().union(*(scope.ops for scope in scopes))
        for what, changing in (("variables", _assigning(ops)), ("tables or queues", sorted(ops & CONTAINER_OPS))):
            if changing:
                yield Violation(f"signature '{name}'", f"it changes {what} ({', '.join(changing)})")


def _assigning(ops: set[str]) -> list[str]:
    return sorted(op for op in ops - _NOT_ASSIGN if _ASSIGN_OP.fullmatch(op))


def _newer(model: LintedModel) -> Iterator[Violation]:
    match = _VERSION.match(model.info.tensorflow_version)
    release = model.server.release
    if release is None or match is None:
        return
    if (int(match[1]), int(match[2])) > release:
        image = ".".join(map(str, release))
        yield Violation(
            "saved_model.pb", f"it was written by TensorFlow {model.info.tensorflow_version}, but the server is {image}"
        )


def _compiled(model: LintedModel) -> Iterator[Violation]:
    if model.server.xla:
        return
    for name, scopes in model.calls.items():
        first = next((found for scope in scopes for found in _compiled_in(scope)), None)
        if first is not None:
            refuses = "which a server without --xla_cpu_compilation_enabled=true refuses"
            yield Violation(f"signature '{name}'", f"{first} is compiled with XLA, {refuses}")


def _compiled_in(scope: Scope) -> Iterator[str]:
    yield from (f"{op} '{scope.examples[op]}'{_inside(scope)}" for op in sorted(XLA_OPS & scope.ops.keys()))
    yield from (f"{op}{_inside(scope)} (jit_compile=True)" for op, flag in scope.flagged if flag == COMPILED)


def _pinned(model: LintedModel) -> Iterator[Violation]:
    for device, node in sorted(model.info.serving.graph.pinned.items()):
        yield Violation("the graph", f"node '{node}' is pinned to {device}")


def _frozen(model: LintedModel) -> Iterator[Violation]:
    graph = model.info.serving.graph
    if graph.large_constant_bytes > _LARGE_CONSTANTS:
        verb = "holds" if graph.large_constants == 1 else "hold"
        size = graph.large_constant_bytes / 1e6
        yield Violation(
            "saved_model.pb", f"{counted(graph.large_constants, 'constant')} of the graph {verb} {size:.0f} MB"
        )


RULES: Final = (
    Rule(
        "TFS201",
        "python-function",
        Severity.ERROR,
        "The graph calls Python: `PyFunc`, `PyFuncStateless` or `EagerPyFunc`; a warning if no signature reaches it.",
        "tf.py_function and tf.numpy_function leave only a reference to a function in the process that made them. "
        "The server has no Python, so the call fails.",
        "write the function with TensorFlow ops, or run it in the client",
        _python,
    ),
    Rule(
        "TFS202",
        "custom-op",
        Severity.ERROR,
        "The graph uses an op that neither TensorFlow nor the stock server has; a warning if only functions that no "
        "signature reaches use it.",
        "The server fails with `Op type not registered`. Its image links in the ops of TensorFlow, TensorFlow Text and "
        "the inference ops of TensorFlow Decision Forests.",
        "build a server with this op linked in, or replace the op; the embedded server takes --load-op-library FILE.so",
        _custom,
    ),
    Rule(
        "TFS203",
        "host-access",
        Severity.ERROR,
        "A signature, or loading the model, runs an op that reads, writes or lists files, talks to other machines or "
        "ends the process: `ReadFile`, `WriteFile`, `MatchingFiles`, readers, datasets over files, `SaveV2`, "
        "summaries, `RemoteCall`, `Abort`.",
        "The model reaches what the server's user can reach. Paths of the training machine do not exist there.",
        "take the data as an input, or keep it among the model's assets and variables",
        _host,
    ),
    Rule(
        "TFS204",
        "prints",
        Severity.WARNING,
        "A signature runs `Print` or `PrintV2`.",
        "Every request writes to the server's log, which costs time and may put user data there.",
        "remove tf.print from the served function",
        _prints,
    ),
    Rule(
        "TFS205",
        "training-op",
        Severity.WARNING,
        "A signature runs an op of training: it computes or applies gradients, computes a loss, or normalises batches "
        "in training mode.",
        "Serving is slower than necessary, and with batch statistics a row's result depends on the rows beside it.",
        "export a function that calls the model with training=False",
        _training,
    ),
    Rule(
        "TFS206",
        "unseeded-random",
        Severity.WARNING,
        "A signature draws random numbers: from an op without a seed or with one (whose numbers differ too, call by "
        "call), from a `tf.random.Generator`, or from a seed in a variable, as Keras' dropout in training does, or "
        "it reads the clock.",
        "The same request gets a different answer each time, so goldens and comparisons of versions fail.",
        "call the model with training=False (dropout), or draw with tf.random.stateless_* and a constant seed",
        _random,
    ),
    Rule(
        "TFS207",
        "newer-tensorflow",
        Severity.ERROR,
        "The model was written by a newer TensorFlow than the server has (`--image-version`, or `--deployment` for the "
        "image in a deployment file).",
        "Ops and attributes that the server does not know make the load fail, which it retries for minutes.",
        "use an image of at least that version, export with an older TensorFlow, or try it: "
        "server.docker.allow_newer_tensorflow: true (verify on that image: --target docker)",
        _newer,
    ),
    Rule(
        "TFS208",
        "changes-variables",
        Severity.WARNING,
        "A signature assigns variables, or changes what a lookup table or a queue holds.",
        "An answer depends on earlier requests and on the replica that gives it, and the state is lost with the "
        "version.",
        "keep state outside the model",
        _assigns,
    ),
    Rule(
        "TFS209",
        "weights-in-graph",
        Severity.INFO,
        "Constants inside the graph hold more than 64 MB.",
        "They are parsed and copied at every load, and count towards the 2 GB limit of a protobuf file.",
        "keep weights in variables",
        _frozen,
    ),
    Rule(
        "TFS210",
        "xla-compilation",
        Severity.ERROR,
        "A signature calls a function that was made with `jit_compile=True`, or runs an op `Xla...`, and the server is "
        "not known to compile with XLA (`--deployment` tells it).",
        "The server answers such a request with `XLA compilation disabled` (HTTP 500) unless it was started with "
        "`--xla_cpu_compilation_enabled=true`.",
        "set server.flags.xla_cpu_compilation_enabled: true in the deployment file (--xla_cpu_compilation_enabled=true "
        "on a command line), or export without jit_compile; Keras makes grouped convolutions (groups=, as in ConvNeXt) "
        "with it: there the flag, or layers.DepthwiseConv2D where every channel is a group",
        _compiled,
    ),
    Rule(
        "TFS211",
        "pinned-device",
        Severity.WARNING,
        "A node of the graph asks for a device other than the CPU of the server: a GPU, a TPU, or another machine.",
        "TensorFlow 1 graphs keep the devices of the training. A server without such a device does not load the model "
        "(`Cannot assign a device for operation`).",
        "set allow_soft_placement: true in server.session_config, or export the graph with clear_devices=True",
        _pinned,
    ),
)
