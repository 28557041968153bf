# SPDX-License-Identifier: Apache-2.0
"""Gates: judgements of a step. One file a gate; all of them, with their texts, are listed in ``registry``."""
