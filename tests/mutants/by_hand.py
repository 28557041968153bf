"""The rules that are broken one by one: where, how, and the tests that must notice."""

from __future__ import annotations

from mutant import Mutant

_DECIDE = "tfs_deploy/rollout/machine/decide.py"
_DECIDE_TESTS = ("tests/unit/rollout/machine/test_decide.py",)
_DURABLE = ("tests/unit/test_durability.py",)

MUTANTS = (
    Mutant(
        "decide: judged before a step is baked",
        _DECIDE,
        "        return min(past.step_at + every, baked)",
        "        return past.step_at",
        _DECIDE_TESTS,
    ),
    Mutant(
        "decide: first judgement waits beyond the bake",
        _DECIDE,
        "        return min(past.step_at + every, baked)",
        "        return past.step_at + every",
        _DECIDE_TESTS,
    ),
    Mutant(
        "decide: later judgement waits beyond the bake",
        _DECIDE,
        "        return min(past.judged_at + every, baked)",
        "        return past.judged_at + every",
        _DECIDE_TESTS,
    ),
    Mutant(
        "decide: the label drops other labels",
        _DECIDE,
        "    labels = {**plan.others, plan.stable: server.labels.get(plan.stable, plan.old), plan.canary: plan.new}",
        "    labels = {plan.stable: server.labels.get(plan.stable, plan.old), plan.canary: plan.new}",
        ("tests/unit/rollout/controller/test_controller.py",),
    ),
    Mutant(
        "journal: half a line is not cut off",
        "tfs_deploy/state/journal.py",
        "            file.truncate(end)  # half a line of a process that was killed\n            file.seek(end)",
        "            file.seek(0, 2)",
        ("tests/unit/state/test_journal.py", "tests/unit/state/test_sealed_lines.py"),
    ),
    Mutant(
        "journal: an entry is not synced",
        "tfs_deploy/state/journal.py",
        "                os.fsync(file.fileno())\n",
        "",
        _DURABLE,
    ),
    Mutant(
        "journal: its directory is not synced",
        "tfs_deploy/state/journal.py",
        "            sync_directory(self.path.parent)",
        "            pass",
        _DURABLE,
    ),
    Mutant(
        "journal: a line's place is not checked",
        "tfs_deploy/state/sealed_lines.py",
        'if document.get("previous") != chain:',
        "if False:",
        ("tests/unit/state/test_sealed_lines.py",),
    ),
    Mutant(
        "journal: a line's content is not checked",
        "tfs_deploy/state/sealed_lines.py",
        '    if seal(_without_seal(document), chain) != line + b"\\n":',
        "    if False:",
        ("tests/unit/state/test_sealed_lines.py",),
    ),
    Mutant(
        "atomic: a file is not synced",
        "tfs_deploy/atomic.py",
        "            os.fsync(file.fileno())\n",
        "",
        _DURABLE,
    ),
    Mutant(
        "atomic: its directory is not synced",
        "tfs_deploy/atomic.py",
        "        sync_directory(directory)\n",
        "",
        _DURABLE,
    ),
    Mutant(
        "atomic: the parent of a new directory is not synced",
        "tfs_deploy/atomic.py",
        "        sync_directory(directory.parent)\n",
        "        pass\n",
        _DURABLE,
    ),
    Mutant(
        "publish: files are not synced",
        "tfs_deploy/store/publish.py",
        "                os.fsync(handle)\n",
        "                pass\n",
        _DURABLE,
    ),
    Mutant(
        "publish: directories are not synced",
        "tfs_deploy/store/publish.py",
        "        sync_directory(Path(place))\n",
        "",
        _DURABLE,
    ),
    Mutant(
        "publish: the tree is not synced",
        "tfs_deploy/store/publish.py",
        "            sync_tree(self.path)\n            with lock_base_path",
        "            with lock_base_path",
        _DURABLE,
    ),
    Mutant(
        "publish: the base path is not synced",
        "tfs_deploy/store/publish.py",
        "                sync_directory(self.base_path)\n",
        "",
        _DURABLE,
    ),
    Mutant(
        "retention: a linked version is pruned",
        "tfs_deploy/store/retention.py",
        "if version.path.is_dir() and not version.path.is_symlink()]",
        "if version.path.is_dir()]",
        ("tests/unit/store/test_retention.py",),
    ),
    Mutant(
        "lock: not looked at again once taken",
        "tfs_deploy/state/lock.py",
        "            if _is_at(path, descriptor):\n                return descriptor",
        "            return descriptor",
        ("tests/unit/state/test_lock.py",),
    ),
    Mutant(
        "verdict: the model's own answer does not count",
        "tfs_deploy/store/verdict.py",
        '    if document["ok"] and (failed or refused):',
        '    if document["ok"] and failed:',
        ("tests/unit/verify/test_verification.py",),
    ),
    Mutant(
        "verdict: the checksum does not count",
        "tfs_deploy/store/verdict.py",
        '    if document.get(_CHECKSUM, "") not in ("", _checksum(document)):',
        "    if False:",
        ("tests/unit/verify/test_verification.py",),
    ),
    Mutant(
        "codec: what is filled is not counted",
        "tfs_deploy/codec/predict.py",
        "    if filled > MAX_FILLED:",
        "    if False:",
        ("tests/unit/codec/test_cost_of_a_message.py",),
    ),
    Mutant(
        "metrics: names of refused requests are not bounded",
        "tfs_deploy/server/metrics.py",
        "            if len(self._refused) >= _MOST_NAMES or len(model) > _LONGEST_NAME:",
        "            if len(model) > _LONGEST_NAME:",
        ("tests/unit/server/test_metrics.py",),
    ),
)
