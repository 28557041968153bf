# SPDX-License-Identifier: Apache-2.0
"""The state machine of a rollout: plan, observation, history, and the one next action. Pure."""
