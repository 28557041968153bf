# SPDX-License-Identifier: Apache-2.0
"""The error tree: exit codes, hints, canonical status."""

from __future__ import annotations

import inspect
import pickle

import pytest

from tfs_deploy import errors
from tfs_deploy.extras import import_extra


def test_every_canonical_code_has_its_error():
    for code in errors.Code:
        if code is errors.Code.OK:
            continue
        error = errors.status_error(code, "text")
        assert error.code is code
        assert error.message == "text"


@pytest.mark.parametrize("number", [0, 99, -1])
def test_a_number_that_is_no_error_code_is_unknown(number):
    assert type(errors.status_error(number, "text")) is errors.UnknownError


def test_exit_codes():
    kinds = {
        errors.UsageError: 2,
        errors.ModelError: 2,
        errors.VerdictError: 1,
        errors.EnvironmentFault: 3,
        errors.LockedError: 4,
        errors.NotFoundError: 2,
        errors.UnavailableError: 3,
    }
    assert {kind: kind.exit_code for kind in kinds} == kinds


def test_hint_is_part_of_the_text():
    assert str(errors.UsageError("no such model", hint="look")) == "no such model (hint: look)"


def test_spec_error_lists_every_problem():
    problems = [errors.Problem("a.yaml", 3, "models[0].name", "is empty"), errors.Problem("a.yaml", 9, "", "is odd")]
    assert errors.SpecError(problems).message.splitlines() == ["a.yaml:3: models[0].name: is empty", "a.yaml:9: is odd"]


def test_every_error_can_be_pickled():
    problem = errors.Problem("a.yaml", 3, "models[0].name", "is empty")
    made = [
        errors.MissingExtraError("httpx", "rest"),
        errors.PlatformError("the embedded server"),
        errors.SpecError([problem], hint="look"),
        errors.UnavailableError("no answer", hint="start it", reached=False, retriable=False),
        *(errors.status_error(code, "text", reached=True) for code in errors.Code),
    ]
    for error in made:
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), str(again), again.args) == (type(error), str(error), error.args)
        assert vars(again) == vars(error)


def test_the_tree_drawn_in_the_docstring_names_every_branch():
    drawn = inspect.getdoc(errors) or ""
    branches = [
        value
        for value in vars(errors).values()
        if inspect.isclass(value)
        and issubclass(value, errors.TfsDeployError)
        and not issubclass(value, errors.StatusError)
    ]
    assert [branch.__name__ for branch in branches if branch.__name__ not in drawn] == []


def test_missing_extra_says_what_to_install():
    with pytest.raises(errors.MissingExtraError) as caught:
        import_extra("a_package_that_is_not_there.inside", "docker")
    assert caught.value.hint == "pip install 'tf-serving-deploy[docker]'"
    assert caught.value.message == "a_package_that_is_not_there is not installed"
