"""What is asked of a signature, and how each kind of answer is judged."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfs_deploy import protos
from tfs_deploy.errors import DeadlineExceededError, InternalError, InvalidArgumentError, UnavailableError, UsageError
from tfs_deploy.protos.signatures import PREDICT_METHOD, SignatureInfo, TensorSpec
from tfs_deploy.savedmodel.goldens import Golden
from tfs_deploy.savedmodel.graph.features import Feature
from tfs_deploy.savedmodel.lint import Finding, Severity
from tfs_deploy.savedmodel.review import of_findings
from tfs_deploy.smoke.made_up_inputs import output_mismatch
from tfs_deploy.verify.checks import Check, Checker, CheckStatus, excluded_checks, failed, passed
from tfs_deploy.verify.groups.behaviour import (
    Labels,
    are_ranked,
    judge_finite,
    judge_labels,
    judge_row,
    label_rows,
    rowwise,
)
from tfs_deploy.verify.groups.files import judge_lint
from tfs_deploy.verify.groups.load import load_timeout
from tfs_deploy.verify.groups.parity import judge_pairs
from tfs_deploy.verify.groups.refusals import judge_http, judge_refusal, wrong_cases
from tfs_deploy.verify.groups.smoke import judge_answer, judge_signature
from tfs_deploy.verify.groups.smoke_empty_batch import judge_empty
from tfs_deploy.verify.probing.cases import (
    Case,
    empty_case,
    guesses,
    is_batched,
    is_guess,
    made_up_cases,
    recorded_cases,
)
from tfs_deploy.verify.probing.prober import Answer, rest_obstacle

DTYPES = ("float32", "float64", "int8", "uint8", "int32", "int64", "bool", "string", "float16", "bfloat16")
Y = {"y": TensorSpec("y", "float32", (None,))}
X = SignatureInfo("s", PREDICT_METHOD, {"x": TensorSpec("x", "float32", (None,))}, Y)
ONES = Case("s", "ones", {"x": np.ones(1, np.float32)}, 1)


def right(rows: int = 1, version: int | None = 1) -> Answer:
    return Answer({"y": np.ones(rows, np.float32)}, version)


shapes = st.none() | st.lists(st.none() | st.integers(1, 3), max_size=3).map(tuple)
specs = st.builds(lambda dtype, shape: TensorSpec("x", dtype, shape), st.sampled_from(DTYPES), shapes)


@given(specs)
def test_made_up_requests_fit_their_signature(spec):
    signature = SignatureInfo("s", PREDICT_METHOD, {"x": spec})
    promise = SignatureInfo("s", PREDICT_METHOD, {}, {"x": spec})
    cases = made_up_cases(signature)
    assert len({case.name for case in cases}) == len(cases)
    for case in cases:
        assert output_mismatch(promise, case.inputs) is None
        if case.rows is not None:
            assert case.inputs["x"].shape[0] == case.rows
    assert {case.rows for case in cases} == ({1, 3} if is_batched(signature) else {None})


def test_several_rows_differ_so_that_mixing_them_shows():
    (rows,) = (case.inputs["x"] for case in made_up_cases(X) if case.rows == 3)
    assert len(set(rows.tolist())) == 3
    words = SignatureInfo("s", PREDICT_METHOD, {"w": TensorSpec("w", "string", (None,))})
    (rows,) = (case.inputs["w"] for case in made_up_cases(words) if case.rows == 3)
    assert len(set(rows.tolist())) == 3


def test_examples_hold_the_features_that_a_graph_parses():
    signature = SignatureInfo("s", PREDICT_METHOD, {"inputs": TensorSpec("inputs", "string", (None,))})
    features = [Feature("age", "int64", ()), Feature("v", "float32", (2,))]
    for case in made_up_cases(signature, features):
        for record in case.inputs["inputs"]:
            example = protos.Example.FromString(record)
            assert len(example.features.feature["v"].float_list.value) == 2
            assert len(example.features.feature["age"].int64_list.value) == 1


def test_sizes_that_are_free_and_the_meaning_of_text_are_guessed_in_turn():
    image = SignatureInfo("s", PREDICT_METHOD, {"i": TensorSpec("i", "float32", (None, None, None, 3))})
    assert [guess.size for guess in guesses(image)][:3] == [1, 4, 32]
    text = SignatureInfo("s", PREDICT_METHOD, {"t": TensorSpec("t", "string", (None,))})
    assert any(guess.text.startswith(b"\x89PNG") for guess in guesses(text))
    assert len(guesses(X)) == 1
    assert (is_guess(image), is_guess(text), is_guess(X)) == (True, True, False)


def test_recorded_calls_come_with_their_first_row_alone():
    golden = Golden("s", {"x": np.ones(4, np.float32)}, {"y": np.ones(4, np.float32)}, rtol=0.5)
    cases = recorded_cases(X, [golden, Golden("other", {}, {})])
    assert [(case.name, case.rows) for case in cases] == [("recorded #1", 4), ("first recorded row", 1)]
    assert cases[0].rtol == 0.5
    assert empty_case(X, cases[0].inputs).inputs["x"].shape == (0,)


@pytest.mark.parametrize(
    ("answer", "local", "golden", "status"),
    [
        (right(), None, False, CheckStatus.PASSED),
        (right(version=2), None, False, CheckStatus.FAILED),
        (Answer({"y": np.ones(1, np.int64)}), None, False, CheckStatus.FAILED),
        (Answer({}), None, False, CheckStatus.FAILED),
        (Answer(error=InvalidArgumentError("no")), None, False, CheckStatus.SKIPPED),
        (
            Answer(error=InvalidArgumentError("no")),
            Answer(error=InvalidArgumentError("no")),
            False,
            CheckStatus.SKIPPED,
        ),
        (Answer(error=InvalidArgumentError("no")), right(), False, CheckStatus.FAILED),
        (Answer(error=InvalidArgumentError("no")), None, True, CheckStatus.FAILED),
        (Answer(error=InternalError("no")), None, False, CheckStatus.FAILED),
        (Answer(error=DeadlineExceededError("late")), None, False, CheckStatus.FAILED),
        (right(), None, True, CheckStatus.PASSED),
        (Answer({"y": np.zeros(1, np.float32)}), None, True, CheckStatus.FAILED),
    ],
)
def test_answers(answer, local, golden, status):
    recorded = Golden("s", ONES.inputs, {"y": np.ones(1, np.float32)}) if golden else None
    case = Case("s", "ones", ONES.inputs, 1, golden=recorded)
    assert judge_answer(X, case, answer, local, 1).status is status


def test_an_edge_value_that_takes_too_long_proves_nothing():
    late = Answer(error=DeadlineExceededError("late"))
    case = Case("s", "largest values", ONES.inputs, 1, ordinary=False)
    assert judge_answer(X, case, late, None, 1).status is CheckStatus.SKIPPED


def test_a_signature_that_takes_nothing_is_broken_unless_its_inputs_were_guessed():
    no = Answer(error=InvalidArgumentError("no"))
    text = SignatureInfo("s", PREDICT_METHOD, {"t": TensorSpec("t", "string", (None,))})
    assert judge_signature(X, [no, no]).status is CheckStatus.FAILED
    assert judge_signature(text, [no, no]).status is CheckStatus.SKIPPED
    assert judge_signature(text, [no, Answer(error=InternalError("no"))]).status is CheckStatus.FAILED
    assert judge_signature(X, [no, right()]).status is CheckStatus.PASSED


@pytest.mark.parametrize(
    ("dtype", "output", "case", "can"),
    [
        ("float32", "y", ONES, True),
        ("float16", "y", ONES, False),
        ("float32", "y", Case("s", "none", {}), False),
        ("float32", "y", Case("s", "empty", ONES.inputs, 0), False),
        ("string", "t", Case("s", "odd", ONES.inputs, 1, binary=True), False),
        ("string", "t_bytes", Case("s", "odd", ONES.inputs, 1, binary=True), True),
    ],
)
def test_what_rest_can_carry(dtype, output, case, can):
    signature = SignatureInfo("s", PREDICT_METHOD, X.inputs, {output: TensorSpec(output, dtype, (None,))})
    assert (rest_obstacle(signature, case) == "") is can


def test_numbers_that_are_not_finite():
    bad = Answer({"y": np.array([np.nan, 1], np.float32)})
    recorded = Case("s", "recorded #1", ONES.inputs, golden=Golden("s", {}, {}))
    assert judge_finite([(ONES, right())]).status is CheckStatus.PASSED
    assert judge_finite([(ONES, bad)]).status is CheckStatus.FAILED
    assert judge_finite([(ONES, right()), (recorded, bad)]).status is CheckStatus.FAILED
    assert "50 %" in judge_finite([(recorded, bad)]).reason


def zeros(dtype: str) -> Case:
    return Case("s", "zeros", {"x": np.zeros(1, dtype)}, 1)


ROWS = Case("s", "3 rows", {"x": np.arange(3, dtype=np.float32)}, 3)
WARMUP = Case("s", "warmup #1", ONES.inputs, 1)


@pytest.mark.parametrize(
    ("bad", "good", "status"),
    [
        ([zeros("float32")], [ONES, ROWS], CheckStatus.FAILED),  # 0 / 0
        ([zeros("int32")], [ONES, ROWS], CheckStatus.PASSED),  # a mean of nothing but padding
        ([ONES, zeros("float32")], [ROWS], CheckStatus.PASSED),  # a deviation of one number
        ([ONES], [ROWS, zeros("float32")], CheckStatus.PASSED),
        ([ROWS], [ONES, zeros("float32")], CheckStatus.FAILED),
        ([WARMUP], [ONES, ROWS], CheckStatus.FAILED),
        ([ROWS, ONES, zeros("int32")], [], CheckStatus.FAILED),
    ],
)
def test_which_made_up_requests_may_be_answered_without_a_number(bad, good, status):
    nan = Answer({"y": np.array([np.nan], np.float32)})
    judgement = judge_finite([*((case, right()) for case in good), *((case, nan) for case in bad)])
    assert judgement.status is status
    assert bad[0].name in judgement.reason


AB, BA = Labels((b"a", b"b")), Labels((b"b", b"a"))
RANKED_AB, RANKED_BA = Labels(AB.names, ranked=True), Labels(BA.names, ranked=True)


@pytest.mark.parametrize(
    ("rows", "status"),
    [
        ([AB, AB], CheckStatus.PASSED),
        ([AB, BA], CheckStatus.FAILED),
        ([RANKED_AB, RANKED_AB], CheckStatus.PASSED),
        ([RANKED_AB, RANKED_BA], CheckStatus.PASSED),
        ([RANKED_AB, BA], CheckStatus.FAILED),
        ([Labels((b"a", b"a"))], CheckStatus.FAILED),
        ([RANKED_AB, Labels((b"c", b"c"), ranked=True)], CheckStatus.FAILED),
    ],
)
def test_labels_have_one_order_or_are_ranked_and_one_meaning(rows, status):
    assert judge_labels(rows).status is status


def test_labels_are_ranked_if_their_scores_go_down():
    classes = np.array([[b"a", b"b"], [b"b", b"a"], [b"a", b"b"]], object)
    scores = np.array([[0.9, 0.1], [0.5, 0.5], [0.2, 0.8]], np.float32)
    assert [row.ranked for row in label_rows([Answer({"classes": classes, "scores": scores})])] == [True, True, False]
    assert label_rows([Answer({"classes": classes})]) == []
    assert not are_ranked([RANKED_AB, RANKED_AB])  # always the same: each label has its place


@pytest.mark.parametrize(
    ("answer", "batching", "status"),
    [
        (right(0), False, CheckStatus.PASSED),
        (right(1), False, CheckStatus.FAILED),
        (Answer(error=InvalidArgumentError("no")), False, CheckStatus.PASSED),
        (Answer(error=InternalError("no")), False, CheckStatus.FAILED),
        (Answer(error=DeadlineExceededError("late")), False, CheckStatus.FAILED),
        (Answer(error=DeadlineExceededError("late")), True, CheckStatus.SKIPPED),
        (Answer(error=DeadlineExceededError("late")), None, CheckStatus.SKIPPED),
    ],
)
def test_empty_batches(answer, batching, status):
    assert judge_empty(answer, None, ONES, right(), batching=batching).status is status


@pytest.mark.parametrize(
    ("answer", "may_fit", "local", "status"),
    [
        (Answer(error=InvalidArgumentError("no")), False, None, CheckStatus.PASSED),
        (right(), False, None, CheckStatus.FAILED),
        (right(), True, None, CheckStatus.SKIPPED),
        (Answer(error=InternalError("no")), True, None, CheckStatus.FAILED),
        (Answer(error=InternalError("no")), True, Answer(error=InternalError("no")), CheckStatus.PASSED),
        (Answer(error=DeadlineExceededError("late")), True, None, CheckStatus.FAILED),
        (Answer(error=UnavailableError("gone")), False, None, CheckStatus.FAILED),
    ],
)
def test_refusals(answer, may_fit, local, status):
    assert judge_refusal(answer, local=local, may_fit=may_fit).status is status


def test_refusals_over_rest():
    assert judge_http(400, '{"error": "no"}').status is CheckStatus.PASSED
    assert judge_http(404, '{"error": "no"}').status is CheckStatus.PASSED
    assert judge_http(404, "<html>").status is CheckStatus.FAILED
    assert judge_http(500, '{"error": "no"}').status is CheckStatus.FAILED
    assert judge_http(200, "{}").status is CheckStatus.FAILED


def test_wrong_requests_are_wrong_in_one_thing():
    wrong = dict(wrong_cases(X, ONES))
    assert wrong["input-name"].inputs.keys().isdisjoint({"x"})
    assert wrong["missing-input"].inputs == {}
    assert wrong["dtype"].inputs["x"].dtype == object
    assert wrong["shape"].inputs["x"].shape == (1, 1)
    fixed = SignatureInfo("s", PREDICT_METHOD, {"x": TensorSpec("x", "float32", (None, 3))}, Y)
    like = Case("s", "ones", {"x": np.ones((2, 3), np.float32)}, 2)
    assert dict(wrong_cases(fixed, like))["shape"].inputs["x"].shape == (2, 4)


def test_an_examiner_turns_answers_into_checks_and_leaves_out_what_it_is_told():
    made: list[Check] = []
    checker = Checker(made.append, "m 1", "embedded", frozenset({"smoke.b", "load"}))

    def refused():
        raise InternalError("broken\nover two lines")

    def wrong():
        raise UsageError("no such thing")

    checker.check("smoke.a", "", refused)
    checker.check("smoke.b", "", refused)
    checker.record("load.served", "", failed("no"))
    checker.check("smoke.c", "s", lambda: passed("yes", 2, "rows"))
    assert [(check.id, check.status.value, check.reason) for check in made] == [
        ("smoke.a", "failed", "broken over two lines"),
        ("smoke.c", "passed", "yes"),
    ]
    with pytest.raises(UsageError):
        checker.check("smoke.d", "", wrong)


def test_a_check_is_json_whatever_it_measured():
    check = Check("data.metric", "m 1", "", "embedded", CheckStatus.FAILED, "no", float("nan"))
    assert check.as_dict()["measured"] is None


def test_checks_are_left_out_by_group_and_id():
    assert excluded_checks(["smoke.recorded", "load"]) == {"smoke.recorded", "load"}
    assert "files" not in excluded_checks([], ["files"])
    assert {"load", "smoke"} <= excluded_checks([], ["files"])
    with pytest.raises(UsageError) as caught:
        excluded_checks(["smok"])
    assert caught.value.hint == "did you mean 'smoke'?"


def test_big_models_get_more_time():
    assert load_timeout(0) < load_timeout(10**10) < 300


@pytest.mark.parametrize(
    ("ordinary", "error", "status"),
    [
        (True, DeadlineExceededError("late"), CheckStatus.FAILED),
        (False, DeadlineExceededError("late"), CheckStatus.PASSED),  # the other one made it by a hair
        (False, InternalError("no"), CheckStatus.FAILED),
    ],
)
def test_two_ways_have_to_answer_the_same_requests(ordinary, error, status):
    edge = Case("s", "largest values", ONES.inputs, 1, ordinary=ordinary)
    for pair in ((right(), Answer(error=error)), (Answer(error=error), right())):
        assert judge_pairs([(ONES, right(), right()), (edge, *pair)], "local", "grpc").status is status


@pytest.mark.parametrize(
    ("found", "status"),
    [
        ([("TFS202", Severity.ERROR)], CheckStatus.FAILED),
        ([("TFS111", Severity.ERROR)], CheckStatus.PASSED),  # whether Classify answers is asked
        ([("TFS111", Severity.ERROR), ("TFS202", Severity.ERROR)], CheckStatus.FAILED),
        ([("TFS110", Severity.WARNING)], CheckStatus.PASSED),
        ([], CheckStatus.PASSED),
    ],
)
def test_lint_errors_fail_but_for_those_that_the_server_is_asked_about(found, status):
    findings = [Finding(rule, "name", severity, "", "message", "hint") for rule, severity in found]
    judgement = judge_lint(of_findings(findings))
    assert judgement.status is status
    assert all(rule in judgement.reason for rule, _ in found[-1:])


@pytest.mark.parametrize(
    ("row", "alone", "same"),
    [
        ([[1, 2, 0, 0]], [[1, 2]], True),
        ([[b"a", b"", b""]], [[b"a"]], True),
        ([[[1, 0], [0, 0]]], [[[1]]], True),
        ([[1, 2, 0, 7]], [[1, 2]], False),  # more than padding
        ([[1, 2]], [[1, 2, 0]], False),
        ([[1, 3, 0]], [[1, 2]], False),
        ([[1, 2]], [1, 2], False),
    ],
)
def test_a_row_may_be_filled_up_to_the_longest_of_its_batch(row, alone, same):
    dtype = object if isinstance(np.ravel(row)[0], bytes) else np.int64
    batch = Answer({"y": np.array([*row, *row], dtype)})
    case = Case("s", "2 rows", {"x": np.zeros((2, 1))}, 2)
    judgement = judge_row(0, batch, Answer({"y": np.array(alone, dtype)}), case)
    assert (judgement is None) is same


def test_rows_of_nothing_but_padding_need_no_number():
    rows = Case("s", "3 rows", {"tokens": np.array([[0, 0], [1, 1], [0, 0]], np.int32)}, 3)
    content = Answer({"y": np.array([np.nan, 1, np.nan], np.float32)})
    assert judge_finite([(ONES, right()), (rows, content)]).status is CheckStatus.PASSED
    wrong = Answer({"y": np.array([1, np.nan, 1], np.float32)})
    assert judge_finite([(ONES, right()), (rows, wrong)]).status is CheckStatus.FAILED
    floats = Case("s", "3 rows", {"x": np.array([[0, 0], [1, 1], [0, 0]], np.float32)}, 3)
    assert judge_finite([(ONES, right()), (floats, content)]).status is CheckStatus.FAILED


def test_what_is_said_of_the_whole_batch_is_not_taken_for_its_rows():
    case = Case("s", "3 rows", {"x": np.zeros((3, 1))}, 3)
    names = np.array([b"iris", b"rose", b"lily"], object)
    batch = Answer({"y": np.array([1, 2, 3]), "names": names, "total": np.array(6)})
    alone = Answer({"y": np.array([2]), "names": names, "total": np.array(2)})
    assert rowwise(batch, alone, 3) == {"y"}
    assert judge_row(1, batch, alone, case) is None
    assert judge_row(0, batch, alone, case) is not None
    lost = judge_row(0, batch, Answer({"names": names}), case)
    assert lost is not None
    assert "'y': it is missing" in lost.reason
