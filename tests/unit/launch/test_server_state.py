"""Labels of a server against those of the file and of the traffic."""

from __future__ import annotations

import pytest

from tfs_deploy.launch.server_state import label_notes, label_problems


@pytest.mark.parametrize(
    ("wanted", "reached", "split", "problems"),
    [
        ({"stable": 1}, {"stable": 1}, {"stable": 100.0}, []),
        ({"stable": 1}, {}, {}, ["label stable of a leads to no version instead of version 1"]),
        ({"stable": 1}, {"stable": 2}, {}, ["label stable of a leads to version 2 instead of version 1"]),
        ({}, {}, {"prod": 30.0}, ["label prod of a leads to no version; 30 % of the traffic goes there"]),
        ({}, {}, {"prod": 0.0}, []),
        ({}, {"prod": 1}, {"prod": 100.0}, []),
    ],
)
def test_a_label_that_is_counted_on_leads_where_it_should(wanted, reached, split, problems):
    assert list(label_problems("a", wanted, reached, split)) == problems


def test_a_label_that_the_file_does_not_have_is_noted():
    assert list(label_notes("a", {"stable": 1}, {"stable": 1, "vip": 2})) == [
        "label vip of a leads to version 2; the file does not have it"
    ]
