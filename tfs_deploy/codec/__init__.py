# SPDX-License-Identifier: Apache-2.0
"""Arrays to and from the bytes of Predict messages, without protobuf objects in between.

Everything here is a pure function of its arguments. Decoded arrays are read-only and, wherever the wire holds an
array's memory, views on the buffer they were read from.
"""

from __future__ import annotations

from tfs_deploy.codec.arrays import as_array
from tfs_deploy.codec.decode import decode_tensor
from tfs_deploy.codec.dtypes import dtype_number, numpy_dtype
from tfs_deploy.codec.encode import encode_tensor
from tfs_deploy.codec.messages import PredictCall, PredictReply
from tfs_deploy.codec.predict import (
    decode_predict_request,
    decode_predict_response,
    encode_predict_request,
    encode_predict_response,
)

__all__ = [
    "PredictCall",
    "PredictReply",
    "as_array",
    "decode_predict_request",
    "decode_predict_response",
    "decode_tensor",
    "dtype_number",
    "encode_predict_request",
    "encode_predict_response",
    "encode_tensor",
    "numpy_dtype",
]
