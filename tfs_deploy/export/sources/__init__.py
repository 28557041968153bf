# SPDX-License-Identifier: Apache-2.0
"""The kinds of models that can be exported; ``kinds`` lists them."""
