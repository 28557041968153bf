# SPDX-License-Identifier: Apache-2.0
"""The wheel: the same bytes from anywhere, small, and its base install is a working client without TensorFlow."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
import venv
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.metadata import Metadata

from support.pins import write_pins

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A source archive of this tree, and the wheel that is built from that archive."""
    out = tmp_path_factory.mktemp("dist")
    # The build backend is part of the development extra, so no second environment has to be made for it.
    run([sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT)])
    return out


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    (path,) = dist.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def sdist(dist: Path) -> Path:
    (path,) = dist.glob("*.tar.gz")
    return path


def run(command: list[str], cwd: Path = ROOT) -> str:
    result = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=cwd)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_wheel_is_small(wheel):
    assert wheel.stat().st_size < 1_400_000


def test_a_copy_with_other_times_and_modes_builds_the_same_bytes(sdist, wheel, tmp_path):
    """The wheel straight from that tree is also the one that the source archive built."""
    tree = tmp_path / "tree"
    with tarfile.open(sdist) as archive:
        names = sorted(name.partition("/")[2] for name in archive.getnames())
    for name in names:
        if name != "PKG-INFO":
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, tree / name)
            (tree / name).chmod(0o600)
    run([sys.executable, "-m", "hatchling", "build", "-d", str(tmp_path / "dist")], tree)
    assert (tmp_path / "dist" / wheel.name).read_bytes() == wheel.read_bytes()
    assert (tmp_path / "dist" / sdist.name).read_bytes() == sdist.read_bytes()


def test_they_hold_the_package_and_its_licence_and_nothing_else(sdist, wheel):
    with ZipFile(wheel) as archive:
        names = archive.namelist()
    package = {name for name in names if name.startswith("tfs_deploy/")}
    tracked = run(["git", "ls-files", "tfs_deploy"]).splitlines()
    assert package == set(tracked)
    pages = {name.rpartition("/")[2] for name in names if ".data/data/share/man/man1/" in name}
    assert pages == {path.name for path in (ROOT / "man").iterdir()}
    others = [name for name in names if name not in package and ".data/" not in name]
    rest = {re.sub(r"^[^/]+\.dist-info/", "", name) for name in others}
    assert rest == {"METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE", "licenses/NOTICE"}
    assert "tfs_deploy/py.typed" in package
    with tarfile.open(sdist) as archive:
        sources = {name.partition("/")[2] for name in archive.getnames()}
    tops = {name.partition("/")[0] for name in sources - package}
    documents = {"CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "NOTICE", "README.md", "SECURITY.md"}
    assert package <= sources
    assert tops == {"configs", "man", "pyproject.toml", ".gitignore", "PKG-INFO", *documents}


def test_the_metadata_is_valid_and_names_the_licence(wheel):
    with ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("/METADATA")]
        metadata = Metadata.from_email(archive.read(name), validate=True)
    assert metadata.name == "tf-serving-deploy"
    assert metadata.license_expression == "Apache-2.0"
    assert metadata.license_files == ["LICENSE", "NOTICE"]
    assert str(metadata.requires_python) == ">=3.10"
    assert metadata.description_content_type == "text/markdown"


def test_pytest_finds_the_plugin_under_the_name_that_a_conftest_may_give_it(wheel):
    with ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith("entry_points.txt"))
        points = archive.read(name).decode()
    assert "[pytest11]\ntfs_deploy.server.pytest_plugin = tfs_deploy.server.pytest_plugin\n" in points


def test_base_install_is_a_client(wheel, tmp_path):
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / "bin" / "python"
    constraints = write_pins(tmp_path / "pins.txt")
    install = [str(python), "-m", "pip", "install", "-q", "-c", str(constraints), str(wheel)]
    result = subprocess.run(install, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    code = (
        "import sys, tfs_deploy\n"
        "client = tfs_deploy.Client('localhost:1')\n"
        "data = tfs_deploy.codec.encode_predict_request('m', {'x': [1.0]})\n"
        "assert tfs_deploy.codec.decode_predict_request(data).model == 'm'\n"
        "client.close()\n"
        "from importlib.metadata import distributions\n"
        "print(*sorted(d.metadata['Name'].lower() for d in distributions()))\n"
    )
    result = subprocess.run([str(python), "-c", code], capture_output=True, text=True, timeout=300, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    installed = set(result.stdout.split()) - {"pip", "setuptools", "wheel"}
    assert installed == {"tf-serving-deploy", "numpy", "grpcio", "protobuf", "typing_extensions"}
    result = subprocess.run(
        [str(python), "-m", "tfs_deploy"], capture_output=True, text=True, timeout=300, cwd=tmp_path
    )
    assert (result.returncode, "pip install 'tf-serving-deploy[cli]'" in result.stderr) == (3, True)


@pytest.mark.full
@pytest.mark.timeout(1200)
def test_the_release_script_is_content():
    """Twine, and an empty environment of every Python that is here; what is built is in dist/, as of a release."""
    result = subprocess.run([ROOT / "scripts/build_release"], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stderr.count("PASSED") == 2
    assert ": works" in result.stderr
