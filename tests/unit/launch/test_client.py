# SPDX-License-Identifier: Apache-2.0
"""The name under which a client takes the certificate of a server."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from tfs_deploy.launch.client import certificate_name


def test_the_name_in_a_certificate(tmp_path):
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    line = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -keyout /dev/null"
    for subject, more, expected in (
        ("/CN=one.example", [], "one.example"),
        ("/CN=x", ["-addext", "subjectAltName=DNS:*.two.example"], "host.two.example"),
        ("/O=nobody", [], None),
    ):
        path = tmp_path / "c.pem"
        subprocess.run([*line.split(), "-subj", subject, "-out", path, *more], check=True, capture_output=True)
        assert certificate_name(path) == expected
