# SPDX-License-Identifier: Apache-2.0
"""The model manager: configs, version policies, sources, loads, labels and states."""
