# SPDX-License-Identifier: Apache-2.0
"""REST: the dialect of the API, HTTP connections and transports."""
