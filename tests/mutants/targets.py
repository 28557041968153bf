# SPDX-License-Identifier: Apache-2.0
"""The modules that mutants are made of by rules: how many of each, and the tests that must notice."""

from __future__ import annotations

_MACHINE = ("tests/unit/rollout/machine", "tests/unit/rollout/controller/test_controller.py")
_JOURNAL = (
    "tests/unit/state/test_journal.py",
    "tests/unit/state/test_sealed_lines.py",
    "tests/unit/test_durability.py",
)
_ATTEMPTS = ("tests/unit/client/core/test_call_policy.py", "tests/unit/client/call")
_CODEC = (
    "tests/unit/codec/test_wire.py",
    "tests/unit/codec/test_decode.py",
    "tests/unit/codec/test_predict.py",
    "tests/unit/codec/test_decode_malformed.py",
    "tests/unit/codec/test_cost_of_a_message.py",
    "tests/unit/codec/test_encode_and_decode.py",
)
_TLS = ("tests/unit/client/test_tls.py",)

#: module -> how many, tests
TARGETS: dict[str, tuple[int, tuple[str, ...]]] = {
    "tfs_deploy/rollout/machine/decide.py": (24, _MACHINE),
    "tfs_deploy/rollout/machine/withdraw.py": (14, _MACHINE),
    "tfs_deploy/rollout/machine/history.py": (12, _MACHINE),
    "tfs_deploy/rollout/machine/strategies.py": (8, ("tests/unit/rollout/machine",)),
    "tfs_deploy/state/journal.py": (16, _JOURNAL),
    "tfs_deploy/state/sealed_lines.py": (10, _JOURNAL),
    "tfs_deploy/state/lock.py": (14, ("tests/unit/state/test_lock.py",)),
    "tfs_deploy/atomic.py": (10, ("tests/unit/test_atomic.py", "tests/unit/test_durability.py")),
    "tfs_deploy/store/publish.py": (16, ("tests/unit/store/test_publish.py", "tests/unit/test_durability.py")),
    "tfs_deploy/store/retention.py": (14, ("tests/unit/store/test_retention.py",)),
    "tfs_deploy/store/verdict.py": (14, ("tests/unit/verify/test_verification.py",)),
    "tfs_deploy/config/transition.py": (10, ("tests/unit/config/test_transition.py",)),
    "tfs_deploy/client/core/call_policy.py": (14, _ATTEMPTS),
    "tfs_deploy/client/call/retries.py": (12, _ATTEMPTS),
    "tfs_deploy/client/call/deadline.py": (6, _ATTEMPTS),
    "tfs_deploy/client/transport/hedging.py": (10, ("tests/unit/client/transport",)),
    "tfs_deploy/client/tls.py": (12, _TLS),
    "tfs_deploy/client/grpc/channel.py": (8, ("tests/unit/client/grpc/test_channel.py",)),
    "tfs_deploy/client/rest/http_requests.py": (8, ("tests/unit/client/rest",)),
    "tfs_deploy/config/ssl.py": (6, ("tests/unit/config/test_ssl.py",)),
    "tfs_deploy/codec/decode.py": (16, _CODEC),
    "tfs_deploy/codec/wire.py": (10, _CODEC),
    "tfs_deploy/codec/predict.py": (8, _CODEC),
}
