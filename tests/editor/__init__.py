# SPDX-License-Identifier: Apache-2.0
"""What editors make of a deployment file, by the language server that VS Code uses."""
