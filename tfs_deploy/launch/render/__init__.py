# SPDX-License-Identifier: Apache-2.0
"""A deployment as files for other tools: a compose project, a Dockerfile."""
