# SPDX-License-Identifier: Apache-2.0
"""Group ``behaviour``: the same answer twice, alone and in a batch; finite numbers; class labels in one order."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from tfs_deploy.codec.quantized import integers
from tfs_deploy.errors import StatusError
from tfs_deploy.savedmodel.goldens import compare
from tfs_deploy.verify.checks import failed, passed, skipped
from tfs_deploy.verify.probing.cases import ONES, ROWS, ZEROS, Case, rows_of, shapes_of
from tfs_deploy.verify.probing.local_runner import LocalRunner
from tfs_deploy.verify.probing.prober import GRPC, Answer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from tfs_deploy.savedmodel.goldens import Mismatch
    from tfs_deploy.verify.checks import Judgement
    from tfs_deploy.verify.probing.prober import Prober
    from tfs_deploy.verify.served_version import ServedVersion

#: other kernels compute a batch than a row, and sum in another order
_BATCH_RTOL, _BATCH_ATOL = 1e-4, 1e-5


def verify_behaviour(version: ServedVersion) -> None:
    """Make the checks of every signature over gRPC, on requests that it answered."""
    checker, prober, cases = version.checker, version.prober, version.cases
    for name in version.signatures:
        answered = [(case, answer) for case in cases[name] if (answer := prober.probe(case, GRPC)).ok and case.ordinary]
        if not answered:
            for identity in ("deterministic", "batch", "finite"):
                checker.record(f"behaviour.{identity}", name, skipped("the signature answered no ordinary request"))
            continue
        plan = version.plan(name)
        widest = max(answered, key=lambda pair: pair[0].rows or 0)
        asked_again = widest if plan.everywhere else answered[0]
        checker.check("behaviour.deterministic", name, partial(_again, prober, *asked_again, plan.repeats))
        checker.check("behaviour.batch", name, partial(_alone, prober, *widest, plan.alone))
        checker.check("behaviour.finite", name, partial(judge_finite, answered))
        labels = label_rows([answer for _, answer in answered])
        if labels:
            checker.check("behaviour.labels", name, partial(judge_labels, labels))


def _again(prober: Prober, case: Case, answer: Answer, repeats: int) -> Judgement:
    before = answer
    # twice more where that is cheap: requests in between may have undone what the first one changed
    for number in range(repeats):
        again = prober.repeat(case) if number == 0 else prober.probe_again(case, GRPC)
        if not again.ok:
            return failed(f"{case.name}: the second request is not answered: {again.reason}")
        mismatch = compare(before.outputs, again.outputs, case.rtol, case.atol)
        if mismatch is not None:
            return failed(f"{case.name}: the second answer differs: {mismatch}", mismatch.max_abs_diff)
        before = again
    return passed("the same request gives the same answer")


def _alone(prober: Prober, case: Case, answer: Answer, most: int) -> Judgement:
    if case.rows is None or case.rows < 1:
        return skipped("the inputs have no batch dimension")
    if case.rows == 1:
        case, answer = _repeated(prober, case)
        if not answer.ok:
            return failed(f"one row is answered, but a batch of {ROWS} copies of it is not: {answer.reason}")
    compared: set[str] = set()
    rows = range(min(case.rows or 0, most))
    for row in rows:
        single = Case(case.signature, f"{case.name}, row {row} alone", rows_of(case.inputs, row, row + 1), 1)
        alone = prober.probe(single, GRPC)
        problem = judge_row(row, answer, alone, case)
        if problem is not None:
            return problem
        compared |= rowwise(answer, alone, case.rows or 0)
    if not compared:
        return skipped(f"no output has a row for each of the {case.rows} rows sent")
    return passed(
        f"{len(rows)} rows get the same answer alone and in a batch of {case.rows}", float(case.rows or 0), "rows"
    )


def _repeated(prober: Prober, case: Case) -> tuple[Case, Answer]:
    """Send a batch of copies of a row; return it and the answer."""
    inputs = {name: np.repeat(array, ROWS, axis=0) for name, array in case.inputs.items()}
    several = Case(case.signature, f"{case.name}, {ROWS} times", inputs, ROWS, golden=case.golden)
    return several, prober.probe(several, GRPC)


def judge_row(row: int, batch: Answer, alone: Answer, case: Case) -> Judgement | None:
    """Return what is wrong with one row of a batch, by its answer alone; ``None`` if they are the same."""
    if not alone.ok:
        return failed(f"row {row} is answered in a batch, but not alone: {alone.reason}")
    mismatches: list[Mismatch] = []
    for read in (_as_row, _as_crossing):
        expected = {
            name: read(batch.outputs[name], row, alone.outputs.get(name))
            for name in rowwise(batch, alone, case.rows or 0)
        }
        mismatch = compare(expected, alone.outputs, max(case.rtol, _BATCH_RTOL), max(case.atol, _BATCH_ATOL))
        if mismatch is None:
            return None
        mismatches.append(mismatch)
    first = mismatches[0]
    return failed(f"row {row} alone gets another answer than in a batch of {case.rows}: {first}", first.max_abs_diff)


def _as_row(array: NDArray[Any], row: int, alone: NDArray[Any] | None) -> NDArray[Any]:
    return without_padding(array[row : row + 1], alone)


def _as_crossing(array: NDArray[Any], row: int, alone: NDArray[Any] | None) -> NDArray[Any]:
    """Return one row of an output, and of that what belongs to the same row of the other inputs.

    Scores of each user for each item, [users, items], have a column for each item; alone they have one.
    """
    one = array[row : row + 1]
    if alone is None or alone.ndim != array.ndim:
        return one
    for axis in range(1, array.ndim):
        if array.shape[axis] == len(array) and alone.shape[axis] == 1:
            one = np.take(one, [row], axis=axis)
    return one


def rowwise(batch: Answer, alone: Answer, rows: int) -> set[str]:
    """Return the names of the outputs that have a row for each row sent.

    Other outputs belong to the batch or the model, such as the names of three classes beside three rows.
    """
    return {
        name
        for name, array in batch.outputs.items()
        if array.shape[:1] == (rows,) and (name not in alone.outputs or alone.outputs[name].shape != array.shape)
    }


def without_padding(row: NDArray[Any], alone: NDArray[Any] | None) -> NDArray[Any]:
    """Return a row of a batch cut to the size that it has alone, if only padding (one value throughout) is cut off.

    The words of a text, for example, come in rows as long as the longest text of the batch.
    """
    if alone is None or row.ndim != alone.ndim or row.shape == alone.shape:
        return row
    if any(longer < size for longer, size in zip(row.shape, alone.shape, strict=True)):
        return row
    inside = np.zeros(row.shape, bool)
    inside[tuple(slice(size) for size in alone.shape)] = True
    rest = row[~inside]
    return row[tuple(slice(size) for size in alone.shape)] if (rest == rest[0]).all() else row


def judge_finite(answered: Sequence[tuple[Case, Answer]]) -> Judgement:
    """Judge whether answers are finite.

    Answers to recorded requests, to warmup requests and to rows that differ must be. The answer to one row of the same
    number throughout need not be, since such a row has no variance to divide by; but a model that handles ones must
    handle zeros too. Integer zeros are padding: a row of nothing else has no content to answer for.
    """
    bad = {case: where for case, answer in answered if (where := not_finite(_without_padding_rows(case, answer)))}
    fine = {case.name for case, _ in answered if case not in bad}
    wrong = [
        case for case in bad if case.name not in (ONES, ZEROS) or (case.name == ZEROS and _must_be_finite(case, fine))
    ]
    if wrong or len(bad) == len(answered):
        case = min(wrong or bad, key=lambda each: each.golden is None)
        return failed(f"{case.name}: {bad[case]}; sent {shapes_of(case)}", float(len(bad)), "answers")
    if bad:
        case, where = next(iter(bad.items()))
        return passed(f"finite for ordinary requests; {case.name}: {where}", float(len(bad)), "answers")
    return passed(f"{len(answered)} answers are finite", 0.0, "answers")


def _must_be_finite(zeros: Case, fine: set[str]) -> bool:
    return ONES in fine and any(integers(array).dtype.kind not in "iubO" for array in zeros.inputs.values())


def _without_padding_rows(case: Case, answer: Answer) -> Mapping[str, NDArray[Any]]:
    """Return the outputs without those for rows of integers that are all 0."""
    arrays = [integers(array) for array in case.inputs.values()]
    if (
        case.rows is None
        or case.rows < ROWS
        or case.golden is not None
        or any(a.dtype.kind not in "iub" for a in arrays)
    ):
        return answer.outputs
    filled = np.any([array.reshape(case.rows, -1).any(axis=1) for array in arrays], axis=0)
    return {name: array[filled] if array.shape[:1] == (case.rows,) else array for name, array in answer.outputs.items()}


def not_finite(outputs: Mapping[str, NDArray[Any]]) -> str:
    """Return which output is NaN or infinite, empty if none is."""
    for name, array in outputs.items():
        if array.dtype.kind in "OSUbiu":
            continue
        wide = array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)
        wrong = ~np.isfinite(wide)
        if wrong.any():
            share = 100 * float(wrong.mean())
            what = "NaN" if np.isnan(wide).any() else "infinite"
            return f"output '{name}' is {what} ({share:.0f} % of its values)"
    return ""


@dataclass(frozen=True, slots=True)
class Labels:
    """The class labels of one row; ``ranked`` if the scores descend from the first to the last."""

    names: tuple[bytes, ...]
    ranked: bool = False

    def __str__(self) -> str:
        return _texts(self.names)


def label_rows(answers: Sequence[Answer]) -> list[Labels]:
    """Return the class labels of every row of the answers with an output ``classes`` of text beside ``scores``."""
    rows: list[Labels] = []
    for answer in answers:
        classes, scores = answer.outputs.get("classes"), answer.outputs.get("scores")
        if classes is not None and scores is not None and classes.ndim == 2 and classes.dtype.kind == "O":
            down = (
                np.all(scores[:, :-1] >= scores[:, 1:], axis=1)
                if scores.shape == classes.shape
                else [False] * len(classes)
            )
            rows += [Labels(tuple(row), bool(each)) for row, each in zip(classes, down, strict=True)]
    return rows


def are_ranked(rows: Sequence[Labels]) -> bool:
    """Return whether each row lists its labels by score, the best first, rather than in a fixed order."""
    return any(row.names != rows[0].names for row in rows) and all(row.ranked for row in rows)


def judge_labels(rows: Sequence[Labels]) -> Judgement:
    """Judge whether class labels come in one order, since callers identify a class by its position.

    Labels sorted by their scores, the best first, follow another convention, in which the position is the rank.
    """
    twice = next(((row, label) for row in rows for label in row.names if row.names.count(label) > 1), None)
    if twice is not None:
        return failed(f"label {_texts([twice[1]])} names several classes: {twice[0]}")
    if are_ranked(rows):
        return passed(f"labels are ranked by their scores: {rows[0]}", float(len(rows[0].names)), "labels")
    other = next((row for row in rows if row.names != rows[0].names), None)
    if other is not None:
        return failed(f"the order of the labels changes, but not with their scores: {rows[0]}, then {other}")
    return passed(f"{len(rows[0].names)} labels in one order: {rows[0]}", float(len(rows[0].names)), "labels")


def verify_baseline_labels(version: ServedVersion, baseline: Path) -> None:
    """Compare the labels of every signature that has some with those of the baseline, run on this machine."""
    checker, prober = version.checker, version.prober
    labelled = []
    for own in version.cases.values():
        answered = [(case, answer) for case in own if case.ordinary and (answer := prober.probe(case, GRPC)).ok]
        rows = label_rows([answer for _, answer in answered])
        if rows and not are_ranked(rows):
            labelled.append((answered[0][0], rows[0]))
    if not labelled or not checker.wants("behaviour.baseline-labels"):
        return
    with LocalRunner(baseline) as runner:
        for case, labels in labelled:
            checker.check(
                "behaviour.baseline-labels",
                case.signature,
                partial(_as_baseline, runner, case, labels, prober.timeout),
            )


def _as_baseline(runner: LocalRunner, case: Case, labels: Labels, timeout: float) -> Judgement:
    try:
        outputs = runner.predict(case.signature, case.inputs, timeout=timeout)
    except StatusError as error:
        return skipped(f"the baseline does not answer this request: {error.message}")
    rows = label_rows([Answer(outputs)])
    if not rows:
        return skipped("the baseline has no labels")
    if rows[0].names != labels.names:
        return failed(f"the labels are {labels}, those of the baseline {rows[0]}")
    return passed("the labels and their order are those of the baseline")


def _texts(labels: Sequence[bytes]) -> str:
    shown = ", ".join(label.decode(errors="replace") for label in labels[:5])
    return f"{shown}, ..." if len(labels) > 5 else shown
