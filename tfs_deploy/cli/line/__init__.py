# SPDX-License-Identifier: Apache-2.0
"""How a command line is read: options with their variables, and what TAB completes."""
