# SPDX-License-Identifier: Apache-2.0
"""TFS1xx: the contract with clients."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from tfs_deploy.protos.signatures import CLASSIFY_METHOD, DEFAULT_SIGNATURE, PREDICT_METHOD, REGRESS_METHOD
from tfs_deploy.savedmodel.graph.scopes import node_name
from tfs_deploy.savedmodel.inspect import SERVE_TAGS
from tfs_deploy.savedmodel.lint.rules import LintedModel, Rule, Severity, Violation, listed
from tfs_deploy.savedmodel.samples import NOT_IN_JSON

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tfs_deploy.protos.signatures import SignatureInfo, TensorSpec

_METHODS: Final = frozenset({PREDICT_METHOD, CLASSIFY_METHOD, REGRESS_METHOD})
#: names that TensorFlow and Keras make up for unnamed tensors
_MADE_UP_OUTPUT: Final = re.compile(r"output_\d+|Identity(_\d+)?|StatefulPartitionedCall(_\d+)?")
_MADE_UP_INPUT: Final = re.compile(r"args_\d+(_\d+)?|input_\d+|inputs_\d+|keras_tensor(_?\d+)?|unknown(_\d+)?")
#: ops that take bytes, not text
_BINARY_OPS: Final = frozenset(
    {"DecodeJpeg", "DecodeAndCropJpeg", "DecodePng", "DecodeImage", "DecodeBmp", "DecodeGif", "DecodeWebP", "DecodeWav"}
    | {"DecodeRaw", "DecodePaddedRaw", "DecodeCompressed", "DecodeProtoV2", "ParseTensor"}
)
#: ops whose results are bytes, not text
_ENCODING_OPS: Final = frozenset(
    {"EncodeJpeg", "EncodeJpegVariableQuality", "EncodePng", "EncodeWav", "EncodeProto", "SerializeTensor"}
)
_EXAMPLE_OPS: Final = frozenset(
    {"ParseExample", "ParseExampleV2", "ParseSingleExample", "ParseSequenceExample", "ParseSequenceExampleV2"}
)
#: names that say it of an input: Estimators and ``from_examples`` use them
_EXAMPLE_NAMES: Final = re.compile(r".*examples?")


def _where(signature: SignatureInfo) -> str:
    return f"signature '{signature.name}'"


def _no_signature(model: LintedModel) -> Iterator[Violation]:
    if not model.info.signatures:
        yield Violation("saved_model.pb", "the model has no signature")


def _no_default(model: LintedModel) -> Iterator[Violation]:
    names = model.info.signatures
    if names and DEFAULT_SIGNATURE not in names:
        yield Violation("saved_model.pb", f"there is no signature '{DEFAULT_SIGNATURE}', only {listed(names)}")


def _no_serve_tag(model: LintedModel) -> Iterator[Violation]:
    tag_sets = model.info.tag_sets
    if not any(set(tags) == SERVE_TAGS for tags in tag_sets):
        there = " | ".join(", ".join(tags) or "none" for tags in tag_sets)
        yield Violation("saved_model.pb", f"no meta graph is tagged exactly 'serve' (tags: {there})")


def _made_up_outputs(model: LintedModel) -> Iterator[Violation]:
    for signature, spec in model.tensors("outputs"):
        if _MADE_UP_OUTPUT.fullmatch(spec.name):
            yield Violation(_where(signature), f"output '{spec.name}' has a made-up name")


def _made_up_inputs(model: LintedModel) -> Iterator[Violation]:
    for signature, spec in model.tensors("inputs"):
        if _MADE_UP_INPUT.fullmatch(spec.name):
            yield Violation(_where(signature), f"input '{spec.name}' has a made-up name")


def _takes_tensors(signature: SignatureInfo) -> bool:
    """Whether clients send the inputs as they are (Classify and Regress send tf.Examples)."""
    return signature.method not in (CLASSIFY_METHOD, REGRESS_METHOD)


def _fixed_batch(model: LintedModel) -> Iterator[Violation]:
    for signature, spec in model.tensors("inputs"):
        if spec.shape and spec.shape[0] is not None:
            yield Violation(
                _where(signature), f"input '{spec.name}' has the fixed first dimension {spec.shape[0]}: {spec}"
            )


def _is_scalar(spec: TensorSpec) -> bool:
    return spec.shape == ()


def _no_batch(model: LintedModel) -> Iterator[Violation]:
    for signature in filter(_takes_tensors, model.info.signatures.values()):
        inputs, outputs = signature.inputs.values(), signature.outputs.values()
        if not inputs or all(map(_is_scalar, inputs)):
            continue
        for side, specs in (("input", inputs), ("output", outputs)):
            for spec in filter(_is_scalar, specs):
                yield Violation(_where(signature), f"{side} '{spec.name}' is a scalar: it has no batch dimension")


def _scalar_only(model: LintedModel) -> Iterator[Violation]:
    for signature in filter(_takes_tensors, model.info.signatures.values()):
        if signature.inputs and all(map(_is_scalar, signature.inputs.values())):
            yield Violation(_where(signature), f"every input is a scalar: {listed(signature.inputs)}")


def _float64(model: LintedModel) -> Iterator[Violation]:
    for signature, spec in model.tensors("inputs"):
        if spec.dtype == "float64":
            yield Violation(_where(signature), f"input '{spec.name}' is float64")


def _string_names(model: LintedModel) -> Iterator[Violation]:
    for signature in filter(_takes_tensors, model.info.signatures.values()):
        ops = _ops_of(model, signature)
        decoding, parsing = sorted(ops & _BINARY_OPS), sorted(ops & _EXAMPLE_OPS)
        for name in _unmarked(signature.inputs):
            found = decoding or ([] if _EXAMPLE_NAMES.fullmatch(name) else parsing)
            if found:
                message = f"string input '{name}' does not end in '_bytes', but the graph uses {found[0]}"
                yield Violation(_where(signature), message)


def _binary_outputs(model: LintedModel) -> Iterator[Violation]:
    for signature in filter(_takes_tensors, model.info.signatures.values()):
        encoding = sorted(_ops_of(model, signature) & _ENCODING_OPS)
        for name in _unmarked(signature.outputs) if encoding else ():
            message = f"string output '{name}' does not end in '_bytes', but the graph uses {encoding[0]}"
            yield Violation(_where(signature), message)


def _ops_of(model: LintedModel, signature: SignatureInfo) -> set[str]:
    return set().union(*(scope.ops for scope in model.calls[signature.name]))


def _unmarked(specs: Mapping[str, TensorSpec]) -> list[str]:
    """Return the string tensors, none if the name of one says that it is the binary one."""
    texts = [name for name, spec in specs.items() if spec.dtype == "string"]
    return [] if any(name.endswith("_bytes") for name in texts) else texts


def _methods(model: LintedModel) -> Iterator[Violation]:
    for signature in model.info.signatures.values():
        if signature.method not in _METHODS:
            yield Violation(_where(signature), f"its method name is '{signature.method}'")


def _example_contract(model: LintedModel) -> Iterator[Violation]:
    for signature in model.info.signatures.values():
        if _takes_tensors(signature):
            continue
        classify = signature.method == CLASSIFY_METHOD
        allowed = {"classes", "scores"} if classify else {"outputs"}
        if list(signature.inputs) != ["inputs"]:
            yield Violation(
                _where(signature), f"its inputs are {listed(signature.inputs) or 'none'} instead of 'inputs'"
            )
        for spec in signature.inputs.values():
            if spec.dtype != "string":
                yield Violation(
                    _where(signature), f"input '{spec.name}' is {spec.dtype}, but tf.Examples arrive as string"
                )
        if not signature.outputs or not set(signature.outputs) <= allowed:
            wanted = "'classes' and 'scores'" if classify else "'outputs'"
            yield Violation(
                _where(signature), f"its outputs are {listed(signature.outputs) or 'none'} instead of {wanted}"
            )


def _dangling(model: LintedModel) -> Iterator[Violation]:
    nodes = model.info.serving.graph.nodes
    for side in ("inputs", "outputs"):
        for signature, spec in model.tensors(side):
            if not spec.tensor:
                kind = spec.composite or "sparse, ragged or composite"
                message = f"{side[:-1]} '{spec.name}' is not a dense tensor (but {kind})"
                yield Violation(_where(signature), message, hint="take and return its parts as dense tensors")
            elif node_name(spec.tensor) not in nodes:
                yield Violation(
                    _where(signature), f"{side[:-1]} '{spec.name}' is tensor '{spec.tensor}', which is not in the graph"
                )


def _not_in_json(model: LintedModel) -> Iterator[Violation]:
    for side in ("inputs", "outputs"):
        for signature, spec in model.tensors(side):
            if spec.dtype in NOT_IN_JSON:
                yield Violation(
                    _where(signature), f"{side[:-1]} '{spec.name}' is {spec.dtype}, which REST cannot carry"
                )


def _no_inputs(model: LintedModel) -> Iterator[Violation]:
    for signature in model.info.signatures.values():
        if not signature.inputs:
            yield Violation(_where(signature), "it has no inputs")


RULES: Final = (
    Rule(
        "TFS101",
        "no-signature",
        Severity.ERROR,
        "The model has no signature that a client can call.",
        "The server loads the model and then refuses every request.",
        "name the signatures at export, such as signatures={'serving_default': ...}",
        _no_signature,
    ),
    Rule(
        "TFS102",
        "no-default-signature",
        Severity.WARNING,
        "There is no signature `serving_default`.",
        "A request that names no signature asks for this one and fails.",
        "export one of the signatures as 'serving_default' too",
        _no_default,
    ),
    Rule(
        "TFS103",
        "made-up-output-name",
        Severity.WARNING,
        "An output has a name that TensorFlow or Keras made up, such as `output_0`.",
        "It is part of the contract with clients, and changes when the order or number of outputs does.",
        "let the exported function return a dict, such as {'probabilities': ...}",
        _made_up_outputs,
    ),
    Rule(
        "TFS104",
        "made-up-input-name",
        Severity.WARNING,
        "An input has a name that TensorFlow or Keras made up, such as `args_0` or `keras_tensor_12`.",
        "It is part of the contract with clients, and changes with the next training run.",
        "name it in the input specification, such as tf.TensorSpec(..., name='image')",
        _made_up_inputs,
    ),
    Rule(
        "TFS105",
        "fixed-batch-dimension",
        Severity.WARNING,
        "The first dimension of an input is a fixed number.",
        "Clients can send only this many rows at a time, and the server cannot join requests into batches.",
        "leave the first dimension open (None) in the input specification",
        _fixed_batch,
    ),
    Rule(
        "TFS106",
        "no-batch-dimension",
        Severity.WARNING,
        "Some input or output of a signature is a scalar while others have a batch dimension.",
        "The row format of REST (`instances`) and batching in the server need one row for each request everywhere.",
        "give it a first dimension of the batch size, or take the value out of the signature",
        _no_batch,
    ),
    Rule(
        "TFS107",
        "scalar-inputs-only",
        Severity.WARNING,
        "All inputs of a signature are scalars.",
        "It answers one request at a time: clients cannot send batches, and the server cannot build them.",
        "give the inputs a first dimension of open size (None)",
        _scalar_only,
    ),
    Rule(
        "TFS108",
        "float64-input",
        Severity.WARNING,
        "An input is float64.",
        "Requests are twice as large as necessary, and clients that send float32 are refused.",
        "take float32 and cast inside the model if it needs more",
        _float64,
    ),
    Rule(
        "TFS109",
        "string-input-name",
        Severity.WARNING,
        "A string input that the graph takes for binary data, and whose name does not end in `_bytes`.",
        "REST clients tell by the name whether a value is sent and returned in base64.",
        "name it with '_bytes' at the end",
        _string_names,
    ),
    Rule(
        "TFS110",
        "unknown-method",
        Severity.WARNING,
        "The server does not know the method name of a signature.",
        "With `--enable_signature_method_name_check` the server refuses to call it.",
        "use tensorflow/serving/predict, /classify or /regress",
        _methods,
    ),
    Rule(
        "TFS111",
        "classify-regress-contract",
        Severity.ERROR,
        "A classify or regress signature has other inputs or outputs than the method requires.",
        "The server feeds serialized tf.Examples to `inputs` and refuses every call otherwise (classifier.cc, "
        "regressor.cc).",
        "take 'inputs'; return 'classes' and 'scores' to classify, 'outputs' to regress",
        _example_contract,
    ),
    Rule(
        "TFS112",
        "tensor-not-in-graph",
        Severity.ERROR,
        "A signature names a tensor that the graph does not have, or one that is not dense.",
        "The server fails when it loads the model or when the signature is called.",
        "export the model again",
        _dangling,
    ),
    Rule(
        "TFS113",
        "not-in-json",
        Severity.INFO,
        "An input or output has a dtype that REST cannot carry: half, bfloat16, complex or uint16.",
        "gRPC clients can call the signature, REST clients get an error.",
        "cast to float32 in the signature if REST clients call it",
        _not_in_json,
    ),
    Rule(
        "TFS114",
        "no-inputs",
        Severity.INFO,
        "A signature has no inputs.",
        "It cannot be called over REST, and always returns the same unless it has state.",
        "call it over gRPC, or give it an input",
        _no_inputs,
    ),
    Rule(
        "TFS115",
        "no-serve-tag",
        Severity.ERROR,
        "No meta graph has exactly the tag `serve`.",
        "The server finds no meta graph to load unless started with `--saved_model_tags`.",
        "export with the tag 'serve', or start the server with --saved_model_tags",
        _no_serve_tag,
    ),
    Rule(
        "TFS116",
        "binary-output-name",
        Severity.WARNING,
        "A string output that the graph fills with binary data (an image, sound, a serialized message), and whose name "
        "does not end in `_bytes`.",
        "The REST API writes the bytes of a string output as they are, and no JSON parser reads the reply; an output "
        "named `*_bytes` is written in base64.",
        "name it with '_bytes' at the end, or encode it with tf.io.encode_base64",
        _binary_outputs,
    ),
)
