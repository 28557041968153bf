# SPDX-License-Identifier: Apache-2.0
"""One request on one servable: Predict, Classify, Regress and MultiInference."""
