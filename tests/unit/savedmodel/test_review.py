# SPDX-License-Identifier: Apache-2.0
"""The judge of a version's files, and what its callers accept."""

from __future__ import annotations

import numpy as np

from tfs_deploy.savedmodel import inspect_model
from tfs_deploy.savedmodel.goldens import Golden, write_goldens
from tfs_deploy.savedmodel.lint import Severity
from tfs_deploy.savedmodel.manifest import build_manifest, write_manifest
from tfs_deploy.savedmodel.review import (
    BREAKING,
    GOLDENS_WITHOUT_SIGNATURE,
    LINT_CODES,
    NO_GOLDENS,
    NO_MANIFEST,
    NO_WARMUP,
    NOT_AS_EXPORTED,
    Accepts,
    Remark,
    Review,
    review_contract,
    review_files,
    review_goldens,
    review_lint,
    review_manifest,
    review_warmup,
)

ERROR = Remark("a", ("here", "there"), "it is wrong")
WARNING = Remark("b", (), "it is odd", severity=Severity.WARNING)


def codes(review: Review) -> list[str]:
    return [remark.code for remark in review.remarks]


def test_only_errors_are_refused_and_only_those_that_are_not_accepted():
    review = Review((ERROR, WARNING), 2)
    assert Accepts().refused(review) == [ERROR]
    assert Accepts().accepted(review) == []
    assert Accepts(frozenset("ab")).refused(review) == []
    assert Accepts(frozenset("ab")).accepted(review) == [ERROR]
    assert (str(ERROR), str(WARNING)) == ("here there: it is wrong", "it is odd")


def test_a_bare_version_lacks_everything_that_an_export_records(copy_model):
    info = inspect_model(copy_model())
    assert codes(review_manifest(info.path)) == codes(review_files(info)) == [NO_MANIFEST]
    assert codes(review_goldens(info)) == [NO_GOLDENS]
    assert codes(review_warmup(info)) == [NO_WARMUP]
    assert set(codes(review_lint(info))) <= LINT_CODES
    assert review_contract(info, info) == Review()


def test_files_are_compared_with_the_manifest(copy_model):
    folder = copy_model()
    write_manifest(folder, build_manifest(folder, signature_digest=""))
    intact = review_manifest(folder)
    assert (intact.remarks, intact.examined > 0) == ((), True)
    (folder / "extra").write_text("")
    (changed,) = review_manifest(folder).remarks
    assert (changed.code, str(changed)) == (NOT_AS_EXPORTED, "extra: unlisted, it was added after the export")


def test_goldens_belong_to_signatures(copy_model):
    folder = copy_model()
    x = np.ones(1, np.float32)
    write_goldens(folder, [Golden("serving_default", {"x": x}, {"y": x}), Golden("gone", {"x": x}, {"y": x})])
    review = review_goldens(inspect_model(folder))
    assert (codes(review), review.remarks[0].where, review.examined) == (
        [GOLDENS_WITHOUT_SIGNATURE],
        "signature 'gone'",
        2,
    )


def test_a_change_that_breaks_callers_is_an_error(copy_model):
    folder = copy_model()
    old, new = inspect_model(folder), inspect_model(folder)
    new.signatures["serving_default"].outputs.clear()
    review = review_contract(new, old)
    assert [(r.code, r.places[0]) for r in Accepts().refused(review)] == [
        (BREAKING, "serving_default") for _ in review.remarks
    ]
    assert review.examined == len(review.remarks) > 0
