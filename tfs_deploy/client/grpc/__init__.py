# SPDX-License-Identifier: Apache-2.0
"""gRPC: the dialect of the API, channels and transports."""
