# SPDX-License-Identifier: Apache-2.0
"""Ops of the stock server that reach out of the model, each with the reason.

Read off the kernels of TensorFlow 2.21: what opens a path or an address that the graph names. The ops of the loader
itself (``SAVING_OPS``, ``RESTORING_OPS``, ``TABLE_OPS``) are in every SavedModel, so the place decides about them
(``lint/own_files``); ``PATH_ATTRIBUTES`` are ops about which an attribute decides.
"""

# ruff: noqa: SIM905 (lists of words read better as words)

from __future__ import annotations

from typing import Final

from tfs_deploy.savedmodel.graph.ops import PYTHON_OPS

#: what such an op does -> the ops; all of them open, list, write or delete files of the machine, or leave it
_HOST: Final = {
    "reads a file that the graph names": """
        ReadFile WholeFileReader WholeFileReaderV2 TextLineReader TextLineReaderV2 TFRecordReader TFRecordReaderV2
        FixedLengthRecordReader FixedLengthRecordReaderV2 LMDBReader LMDBDataset ExperimentalLMDBDataset
        TextLineDataset TFRecordDataset TFRecordDatasetV2 FixedLengthRecordDataset FixedLengthRecordDatasetV2
        CSVDataset CSVDatasetV2 ExperimentalCSVDataset SqlDataset ExperimentalSqlDataset LoadDataset RecordInput
        ImmutableConst LoadAndRemapMatrix GenerateVocabRemapping SnapshotChunkDataset SnapshotDatasetReader
        SnapshotNestedDatasetReader DTensorRestoreV2""",
    "lists the files of a directory": """
        MatchingFiles MatchingFilesDataset ExperimentalMatchingFilesDataset ListSnapshotChunksDataset""",
    "writes a file that the graph names": """
        WriteFile SaveDataset SaveDatasetV2 SnapshotDataset SnapshotDatasetV2 DistributedSave DatasetToTFRecord
        ExperimentalDatasetToTFRecord DumpTensor CalibrationStatisticsSaver""",
    "writes summaries into files": """
        CreateSummaryFileWriter CreateSummaryDbWriter WriteSummary WriteScalarSummary WriteHistogramSummary
        WriteImageSummary WriteAudioSummary WriteGraphSummary WriteRawProtoSummary ImportEvent""",
    "sends values to the files or addresses of its debug_urls": """
        DebugIdentity DebugIdentityV2 DebugIdentityV3 DebugNanCount DebugNumericSummary DebugNumericSummaryV2""",
    "talks to other machines": """
        DataServiceDataset DataServiceDatasetV2 DataServiceDatasetV3 DataServiceDatasetV4 RegisterDataset
        RegisterDatasetV2 RemoteCall RpcCall RpcClient RpcServer RpcServerRegister RpcServerStart""",
    "changes how the server reaches files": "FileSystemSetConfiguration",
    "ends the server": "Abort",
}
_OTHER: Final = {
    "calls Python": " ".join(PYTHON_OPS),
    "keeps what it reads in a file, if it is given a name": "CacheDataset CacheDatasetV2",
    "reads a forest from a directory that the graph names": """
        SimpleMLLoadModelFromPath SimpleMLLoadModelFromPathWithHandle""",
    "runs a graph that it gets as a value": "DatasetFromGraph",
    "calls a native function of the server by its name": "XlaCustomCall XlaCustomCallV2",
}

#: ops by which a SavedModel's own saver writes checkpoints, which a server never asks it for
SAVING_OPS: Final = frozenset("Save SaveV2 SaveSlices MergeV2Checkpoints".split())
#: ops by which the server restores variables -> the position of the input that names the file
RESTORING_OPS: Final = {"Restore": 0, "RestoreV2": 0, "RestoreSlice": 0}
#: ops that fill lookup tables from assets when a model is loaded -> the position of the input that names the file
TABLE_OPS: Final = {"InitializeTableFromTextFile": 1, "InitializeTableFromTextFileV2": 1}
LOADER_OPS: Final = SAVING_OPS | RESTORING_OPS.keys() | TABLE_OPS.keys()

#: ops that open a file only if an attribute says so -> the attribute, beginnings of its values that name one, and of
#: those that do not (others name one)
PATH_ATTRIBUTES: Final[dict[str, tuple[str, tuple[bytes, ...], tuple[bytes, ...]]]] = {
    "PrintV2": ("output_stream", (b"file:",), (b"",)),
    "DecodeProtoV2": ("descriptor_source", (), (b"local://", b"bytes://")),
    "EncodeProto": ("descriptor_source", (), (b"local://", b"bytes://")),
}

HOST_OPS: Final = frozenset(" ".join(_HOST.values()).split()) | SAVING_OPS | RESTORING_OPS.keys()
#: op -> what it does that no model has to do
UNSAFE_OPS: Final = {op: what for what, ops in (_HOST | _OTHER).items() for op in ops.split()}


def names_file(op: str, value: bytes) -> bool:
    """Tell whether the attribute of an op of ``PATH_ATTRIBUTES`` names a file; empty: its default, which names none."""
    _, files, others = PATH_ATTRIBUTES[op]
    return bool(value) and (value.startswith(files) or not value.startswith(others))
