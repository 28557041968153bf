# SPDX-License-Identifier: Apache-2.0
"""The controller: one tick observes, decides, writes the intention, acts, writes the outcome."""
