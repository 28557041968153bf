# SPDX-License-Identifier: Apache-2.0
"""Places that hold the versions of one model: a directory, or a bucket of S3, Google Cloud Storage or Azure."""
