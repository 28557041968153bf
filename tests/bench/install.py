# SPDX-License-Identifier: Apache-2.0
"""What a service pays for its client: this package, or TensorFlow Serving's own beside TensorFlow.

Run: python tests/bench/install.py      (two empty environments from the package index; 3 GB and some minutes)
Prints megabytes on the disk, packages, and of five fresh imports the least seconds and the peak memory.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from startup import measure

ROOT = Path(__file__).resolve().parents[2]
RUNS = 5
#: what is installed, and the imports of a program that calls Predict (TensorFlow Serving's own example imports these)
CLIENTS = {
    "tf-serving-deploy": (str(ROOT), "import tfs_deploy; tfs_deploy.Client"),
    "tensorflow-serving-api, tensorflow": (
        "tensorflow-serving-api",
        "import grpc, tensorflow\nfrom tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc",
    ),
}


def install(folder: Path, package: str) -> Path:
    """Make an environment that holds a package and what it needs, compiled as pip leaves it; return its Python."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin/python"
    subprocess.run([python, "-m", "pip", "install", "-q", package], check=True)
    return python


def main() -> None:
    """Install both, and print a row for each."""
    print(f"{'client':36} {'packages':>8} {'MB':>7} {'import s':>9} {'CPU s':>6} {'memory MB':>9}")
    for name, (package, code) in CLIENTS.items():
        with tempfile.TemporaryDirectory() as folder:
            python = install(Path(folder), package)
            (site,) = Path(folder).glob("lib/python*/site-packages")
            tools = ("pip", "setuptools", "pkg_resources", "_distutils_hack")
            files = [path for path in site.rglob("*") if path.relative_to(site).parts[0].partition("-")[0] not in tools]
            size = sum(path.stat().st_size for path in files if path.is_file()) / 1e6
            packages = len({path for path in site.glob("*.dist-info") if path.name.partition("-")[0] not in tools})
            measure([str(python), "-c", code])  # compiles what is not compiled, and fills the page cache
            seconds, memory, processor = map(
                min, zip(*(measure([str(python), "-c", code]) for _ in range(RUNS)), strict=True)
            )
        print(f"{name:36} {packages:8} {size:7.0f} {seconds:9.2f} {processor:6.2f} {memory:9.0f}", flush=True)


if __name__ == "__main__":
    main()
