# SPDX-License-Identifier: Apache-2.0
"""The gRPC adapter: bytes in, bytes out."""
