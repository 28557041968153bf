# SPDX-License-Identifier: Apache-2.0
"""The file formats of a SavedModel, read without TensorFlow."""
