# SPDX-License-Identifier: Apache-2.0
"""Ops by name: those of stock TensorFlow, those that the server adds, and those that cause trouble."""

# ruff: noqa: SIM905 (lists of words read better as words)

from __future__ import annotations

import functools
from importlib import resources
from typing import Final

#: ops that the server's image links in besides TensorFlow's own (model_servers/BUILD, SUPPORTED_TENSORFLOW_OPS):
#: TensorFlow Text and, since 2.11, the inference ops of TensorFlow Decision Forests
SERVER_OPS: Final = frozenset(
    """
    CaseFoldUTF8 ConstrainedSequence FastBertNormalize FastWordpieceTokenizeWithOffsets FindSourceOffsets
    MaxSpanningTree NormalizeUTF8 NormalizeUTF8WithOffsetsMap PhraseTokenize RegexSplitWithOffsets RougeL
    SentenceFragments SentenceFragmentsV2 SentencepieceDetokenizeOp SentencepieceIdToStringOp SentencepieceOp
    SentencepieceStringToIdOp SentencepieceTokenizeOp SentencepieceTokenizeWithOffsetsOp SentencepieceVocabSizeOp
    SplitMergeTokenizeWithOffsets TFText>BoiseTagsToOffsets TFText>ByteSplitByOffsets TFText>ByteSplitWithOffsets
    TFText>FastSentencepieceDetokenize TFText>FastSentencepieceTokenize TFText>FastWordpieceDetokenize
    TFText>NgramsStringJoin TFText>OffsetsToBoiseTags TFText>PhraseDetokenize TFText>RoundRobinGenerateMasks
    TFText>RoundRobinTrim TFText>Utf8Binarize TFText>WhitespaceTokenizeWithOffsetsV2 TokenizerFromLogits
    UnicodeScriptTokenizeWithOffsets WhitespaceTokenizeWithOffsets WordpieceTokenizeWithOffsets
    SimpleMLCreateModelResource SimpleMLInferenceLeafIndexOpWithHandle SimpleMLInferenceOp
    SimpleMLInferenceOpWithHandle SimpleMLLoadModelFromPath SimpleMLLoadModelFromPathWithHandle
    """.split(),
)

#: ops that call back into the Python process that made them; the server knows their names but has no code for them
PYTHON_OPS: Final = frozenset({"PyFunc", "PyFuncStateless", "EagerPyFunc"})

#: ops whose kernels on a CPU compile with XLA when they run (kernels of the XLA_JIT ops in tensorflow/compiler/jit)
XLA_OPS: Final = frozenset(
    """
    XlaBroadcastHelper XlaCallModule XlaConv XlaConvV2 XlaDequantize XlaDot XlaDotV2 XlaDynamicSlice
    XlaDynamicUpdateSlice XlaEinsum XlaGather XlaIf XlaKeyValueSort XlaLaunch XlaLaunchV2 XlaOptimizationBarrier XlaPad
    XlaReduce XlaReducePrecision XlaReduceWindow XlaReplicaId XlaRngBitGenerator XlaScatter XlaSelectAndScatter
    XlaSelfAdjointEig XlaSharding XlaSort XlaSpmdShardToFullShape XlaSvd XlaVariadicReduce XlaVariadicReduceV2
    XlaVariadicSort XlaWhile
    """.split(),
)

#: ops that write to the server's own log
PRINT_OPS: Final = frozenset({"Print", "PrintV2"})

_OPTIMIZERS: Final = (
    "Adadelta Adagrad AdagradDA AdagradV2 Adam AdamWithAmsgrad AdaMax AddSign CenteredRMSProp Ftrl FtrlV2 "
    "GradientDescent KerasMomentum Momentum PowerSign ProximalAdagrad ProximalGradientDescent RMSProp"
).split()
_APPLY_OPS: Final = frozenset(
    f"{prefix}{name}"
    for prefix in ("Apply", "SparseApply", "ResourceApply", "ResourceSparseApply")
    for name in _OPTIMIZERS
)
#: ops that compute losses and gradients whose names do not end in ``Grad``
_LOSS_OPS: Final = frozenset(
    """
    SoftmaxCrossEntropyWithLogits SparseSoftmaxCrossEntropyWithLogits CTCLoss CTCLossV2 SymbolicGradient
    """.split(),
)
#: gradients by their names, but the forward ops of transposed convolutions
_TRANSPOSED_OPS: Final = frozenset(
    """
    Conv2DBackpropInput Conv2DBackpropInputV2 Conv3DBackpropInput Conv3DBackpropInputV2
    DepthwiseConv2dNativeBackpropInput
    """.split(),
)
#: ops that draw from the state of a tf.random.Generator, which they move on
GENERATOR_OPS: Final = frozenset(
    """
    NonDeterministicInts RngReadAndSkip RngSkip StatefulRandomBinomial StatefulStandardNormal StatefulStandardNormalV2
    StatefulTruncatedNormal StatefulUniform StatefulUniformFullInt StatefulUniformInt
    """.split(),
)
#: ops that change what a table, a queue, a staging area or an accumulator holds
CONTAINER_OPS: Final = frozenset(
    """
    LookupTableImport LookupTableImportV2 LookupTableInsert LookupTableInsertV2 LookupTableRemoveV2
    QueueDequeue QueueDequeueMany QueueDequeueManyV2 QueueDequeueUpTo QueueDequeueUpToV2 QueueDequeueV2
    QueueEnqueue QueueEnqueueMany QueueEnqueueManyV2 QueueEnqueueV2
    Stage StageClear Unstage MapStage MapClear MapUnstage MapUnstageNoKey OrderedMapStage OrderedMapClear
    OrderedMapUnstage OrderedMapUnstageNoKey BarrierInsertMany BarrierTakeMany
    AccumulatorApplyGradient AccumulatorTakeGradient ResourceAccumulatorApplyGradient ResourceAccumulatorTakeGradient
    SparseAccumulatorApplyGradient SparseAccumulatorTakeGradient
    """.split(),
)
#: batch normalisation, which trains unless its attribute ``is_training`` says otherwise
BATCH_NORM_OPS: Final = frozenset({"FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"})

#: ops that hold the value of a variable
VARIABLE_OPS: Final = frozenset({"VarHandleOp", "Variable", "VariableV2"})


def is_training_op(op: str) -> bool:
    """Whether an op belongs to training: it applies gradients, computes them, or computes a loss."""
    if op in _APPLY_OPS or op in _LOSS_OPS:
        return True
    is_gradient = op.endswith(("Grad", "GradV2", "GradV3")) or "Backprop" in op
    return is_gradient and op not in _TRANSPOSED_OPS and op in stock_ops()


@functools.lru_cache(maxsize=1)
def stock_ops() -> dict[str, str]:
    """Return the ops of stock TensorFlow with their letters (see ``scripts/make_op_list``)."""
    text = resources.files(__package__).joinpath("stock_ops.txt").read_text(encoding="ascii")
    pairs = (line.partition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: letters for name, _, letters in pairs}


def stock_version() -> str:
    """Return the version of the TensorFlow that the list of stock ops was read from."""
    text = resources.files(__package__).joinpath("stock_ops.txt").read_text(encoding="ascii")
    return text.partition(",")[0].rpartition(" ")[2]


def is_known_op(op: str) -> bool:
    """Whether the stock server can load a graph with this op."""
    return op in stock_ops() or op in SERVER_OPS
