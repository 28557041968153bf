# SPDX-License-Identifier: Apache-2.0
"""A verification as JUnit XML."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from support.verifications import MIXED
from tfs_deploy.report.junit import junit_xml


def test_junit_has_a_case_for_every_check_and_is_xml_whatever_a_server_said():
    root = ET.fromstring(junit_xml(MIXED))
    assert root.attrib | {"tests": "3", "failures": "1", "skipped": "1"} == root.attrib
    cases = root.findall("testsuite/testcase")
    assert [case.attrib["name"] for case in cases] == [
        *("files.lint [serving_default]", "smoke.recorded [serving_default]", "parity.grpc-rest [serving_default]")
    ]
    (failure,) = root.findall(".//failure")
    assert failure.attrib["message"] == 'no: <b>&"x"</b> | \ufffd and \ufffd'
    assert [suite.attrib["name"] for suite in root.findall("testsuite")] == ["m 1", "m 1 on embedded"]
    assert len(root.findall(".//skipped")) == 1
