# SPDX-License-Identifier: Apache-2.0
"""What every client does, without I/O: input checks, the steps of each request, retries, hooks, reading replies."""
