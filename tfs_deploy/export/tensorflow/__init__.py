# SPDX-License-Identifier: Apache-2.0
"""Work around TensorFlow itself: checkpoints, checksums while it writes, its log output."""
