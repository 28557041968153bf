# SPDX-License-Identifier: Apache-2.0
"""The requests for a signature: recorded and made up."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tfs_deploy import protos
from tfs_deploy.protos.signatures import PREDICT_METHOD, SignatureInfo, TensorSpec
from tfs_deploy.savedmodel.goldens import Golden
from tfs_deploy.savedmodel.graph.features import Feature
from tfs_deploy.smoke.made_up_inputs import output_mismatch
from tfs_deploy.verify.probing.cases import (
    empty_case,
    guesses,
    is_batched,
    is_guess,
    made_up_cases,
    recorded_cases,
)

DTYPES = ("float32", "float64", "int8", "uint8", "int32", "int64", "bool", "string", "float16", "bfloat16")
Y = {"y": TensorSpec("y", "float32", (None,))}
X = SignatureInfo("s", PREDICT_METHOD, {"x": TensorSpec("x", "float32", (None,))}, Y)
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


def test_long_sizes_are_tried_as_long_as_the_input_stays_small():
    sound = SignatureInfo("s", PREDICT_METHOD, {"wave": TensorSpec("wave", "float32", (None, None))})
    assert [guess.size for guess in guesses(sound)][-1] == 16384
    image = SignatureInfo("s", PREDICT_METHOD, {"i": TensorSpec("i", "float32", (None, None, None, 3))})
    assert [guess.size for guess in guesses(image)][-1] == 224


def test_a_scalar_beside_other_inputs_is_never_zero():
    """It is a temperature, a count or a size; alone, 0 is an edge value."""
    scale = TensorSpec("scale", "float32", ())
    beside = SignatureInfo("s", PREDICT_METHOD, {**X.inputs, "scale": scale})
    zeros = next(case for case in made_up_cases(beside) if case.name == "zeros")
    assert (zeros.inputs["scale"], zeros.inputs["x"].tolist(), zeros.ordinary) == (1, [0], True)
    alone = SignatureInfo("s", PREDICT_METHOD, {"scale": scale})
    zeros = next(case for case in made_up_cases(alone) if case.name == "zeros")
    assert (zeros.inputs["scale"], zeros.ordinary) == (0, False)


def test_recorded_calls_come_with_their_first_row_alone():
    golden = Golden("s", {"x": np.ones(4, np.float32)}, {"y": np.ones(4, np.float32)}, rtol=0.5)
    cases = recorded_cases(X, [golden, Golden("other", {}, {})])
    assert [(case.name, case.rows) for case in cases] == [("recorded #1", 4), ("first recorded row", 1)]
    assert cases[0].rtol == 0.5
    assert empty_case(X, cases[0].inputs).inputs["x"].shape == (0,)
