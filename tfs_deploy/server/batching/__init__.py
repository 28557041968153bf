# SPDX-License-Identifier: Apache-2.0
"""Request batching: options, scheduler, and the runner in front of an engine."""
