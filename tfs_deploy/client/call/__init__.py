# SPDX-License-Identifier: Apache-2.0
"""The values of one call: the request, its deadline, headers, retries, record and reply. No I/O."""
