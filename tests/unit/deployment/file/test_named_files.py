# SPDX-License-Identifier: Apache-2.0
"""Files that a deployment file names: certificates, session and platform configs, mounts, and what models need."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tfs_deploy.deployment.file import load_deployment
from tfs_deploy.errors import SpecError

HEAD = "name: a\nmodels: [{name: m, base_path: m}]\n"


@pytest.fixture
def folder(tmp_path, models) -> Path:
    shutil.copytree(models / "zoo/1", tmp_path / "m/1")
    return tmp_path


def problems(folder: Path, text: str) -> list[str]:
    path = folder / "a.yaml"
    path.write_text(text)
    with pytest.raises(SpecError) as caught:
        load_deployment(path, check_disk=True)
    return [str(problem).replace(f"{folder}/", "") for problem in caught.value.problems]


@pytest.fixture(scope="session")
def certificates(tmp_path_factory) -> Path:
    """Two pairs of key and certificate, and an encrypted key."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    place = tmp_path_factory.mktemp("pem")
    for name in ("one", "two"):
        line = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=localhost -days 2"
        subprocess.run(
            [*line.split(), "-keyout", place / f"{name}.key", "-out", place / f"{name}.crt"],
            check=True,
            capture_output=True,
        )
    lock = ["openssl", "pkey", "-aes256", "-passout", "pass:secret"]
    subprocess.run([*lock, "-in", place / "one.key", "-out", place / "locked.key"], check=True, capture_output=True)
    (place / "text").write_text("hello\n")
    (place / "broken.crt").write_text("-----BEGIN CERTIFICATE-----\nhello\n-----END CERTIFICATE-----\n")
    return place


TLS = {
    "key missing": ("{key: none.key, cert: one.crt}", "3: ssl.key: none.key cannot be read: No such file or directory"),
    "cert is a key": ("{key: one.key, cert: one.key}", "3: ssl.cert: one.key holds no PEM block with a certificate"),
    "key is text": ("{key: text, cert: one.crt}", "3: ssl.key: text holds no PEM block with a private key"),
    "two pairs": ("{key: two.key, cert: one.crt}", "3: ssl.key: two.key is not the key of one.crt"),
    "locked": (
        "{key: locked.key, cert: one.crt}",
        "3: ssl.key: locked.key is encrypted: the server cannot ask for a password",
    ),
    "broken ca": (
        "{key: one.key, cert: one.crt, ca: broken.crt}",
        "3: ssl.ca: broken.crt holds no usable certificate",
    ),
    "another authority": (
        "{key: one.key, cert: one.crt, ca: two.crt, client_verify: true}",
        "3: ssl.client_verify: two.crt did not sign one.crt, which up, status and rollouts present: name a pair",
    ),
    "a pair of another authority": (
        "{key: two.key, cert: two.crt, ca: two.crt, client_verify: true, client_key: one.key, client_cert: one.crt}",
        "3: ssl.client_cert: one.crt is not accepted by two.crt: self",
    ),
    "half a pair": ("{key: one.key, cert: one.crt, client_cert: one.crt}", "3: ssl.client_cert: needs client_key"),
    "not the key of the pair": (
        "{key: one.key, cert: one.crt, client_key: one.key, client_cert: two.crt}",
        "3: ssl.client_key: one.key is not the key of two.crt",
    ),
    "verify without ca": (
        "{key: one.key, cert: one.crt, client_verify: true}",
        "3: ssl.client_verify: needs ca: the CA certificates that sign the clients' certificates",
    ),
}


@pytest.mark.parametrize(("section", "expected"), TLS.values(), ids=TLS)
def test_certificates_that_the_server_cannot_use(folder, certificates, section, expected):
    for path in certificates.iterdir():
        shutil.copy(path, folder)
    (found,) = problems(folder, f"{HEAD}ssl: {section}\n")
    assert found.startswith(f"a.yaml:{expected}")


@pytest.mark.parametrize(("days", "expected"), [(3, "one.crt expired on 20"), (-3, "one.crt is not valid before 20")])
def test_a_certificate_that_is_not_valid_now(folder, certificates, monkeypatch, days, expected):
    for path in certificates.iterdir():
        shutil.copy(path, folder)
    then = time.time() + days * 86_400
    monkeypatch.setattr(time, "time", lambda: then)
    (found,) = problems(folder, f"{HEAD}ssl: {{key: one.key, cert: one.crt}}\n")
    assert found.startswith(f"a.yaml:3: ssl.cert: {expected}")


def test_certificates_that_fit(folder, certificates):
    for path in certificates.iterdir():
        shutil.copy(path, folder)
    path = folder / "a.yaml"
    (folder / "said.crt").write_text("\ufeff# Zertifikat f\u00fcr das Modell\n\n" + (folder / "one.crt").read_text())
    for section in (
        "{key: one.key, cert: said.crt}",
        "{key: one.key, cert: one.crt, ca: two.crt}",
        "{key: two.key, cert: two.crt, ca: two.crt, client_verify: true}",
        "{key: one.key, cert: one.crt, ca: two.crt, client_verify: true, client_key: two.key, client_cert: two.crt}",
    ):
        path.write_text(f"{HEAD}ssl: {section}\n")
        assert load_deployment(path, check_disk=True).ssl.key.parent == folder


def test_session_and_platform_configs_are_read(folder):
    (folder / "s").write_text("intra_op_parallelism_threads: 2\nno_such_field: 1\n")
    found = problems(folder, f"{HEAD}server: {{session_config: s, platform_config: none}}\n")
    assert found[0].startswith("a.yaml:3: server.platform_config: none cannot be read: No such file")
    assert found[1].startswith("a.yaml:3: server.session_config: s:2: ")
    assert "no_such_field" in found[1]


def test_mounts_have_to_be_there(folder):
    docker = "{target: docker, docker: {image: 'own/image:1', mounts: [{source: none, target: /x}]}}"
    assert problems(folder, f"{HEAD}server: {docker}\n") == [
        "a.yaml:3: server.docker.mounts[0].source: none does not exist"
    ]


def test_a_model_of_a_newer_tensorflow_than_the_image(folder):
    """The zoo was written by TensorFlow 2.21."""
    image = "server: {target: docker, docker: {image: 'tensorflow/serving:2.19.1'}}\n"
    refused = "newer than the image's 2.19 (serve it all the same: server.docker.allow_newer_tensorflow: true)"
    assert problems(folder, HEAD + image) == [
        f"a.yaml:2: models[0].base_path: version 1 was written by TensorFlow 2.21, {refused}"
    ]
    allowed = "'tensorflow/serving:2.19.1', allow_newer_tensorflow: true"
    for other in (allowed, "'tensorflow/serving:2.21.0'", "'own/image:1'", "'own/image:1', serving_version: '2.21'"):
        path = folder / "a.yaml"
        path.write_text(f"{HEAD}server: {{target: docker, docker: {{image: {other}}}}}\n")
        assert load_deployment(path, check_disk=True)


def test_two_names_of_one_directory(folder):
    (folder / "n").symlink_to("m")
    text = "name: a\nmodels:\n  - {name: m, base_path: m}\n  - {name: n, base_path: n}\n"
    assert problems(folder, text) == [
        "a.yaml:4: models[1].base_path: leads to m, which is also the base path of model 'm'"
    ]
