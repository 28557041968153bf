# SPDX-License-Identifier: Apache-2.0
"""What ``up`` has to do: ``observe`` reads the facts once, ``decide`` makes steps of them without touching anything."""
