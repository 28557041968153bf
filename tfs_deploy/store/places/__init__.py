# SPDX-License-Identifier: Apache-2.0
"""Places that hold the versions of one model: a directory, a bucket, or a repository of a registry."""
