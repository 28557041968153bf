"""The state machine of a rollout: plan, observation, history, and the one next action. Pure."""
