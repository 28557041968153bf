# SPDX-License-Identifier: Apache-2.0
"""The REST half of the codec: JSON to and from arrays, on the client and on the server."""
