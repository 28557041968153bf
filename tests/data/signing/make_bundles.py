# SPDX-License-Identifier: Apache-2.0
"""Records what ``model-signing`` writes about tests/data/verify/plain/1: ``make_bundles.py MODEL_SIGNING FOLDER``.

MODEL_SIGNING is the command of an environment that has model-signing==1.1.1 and pyOpenSSL<25.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from support.signing import authority, verdict_about, write_certificate, write_key

PLAIN = Path(__file__).parents[1] / "verify/plain/1"
YEARS = 100


def main(program: str, target: Path) -> None:
    """Write the keys, and the bundles over the version and its verdict, into a folder."""
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        key, public = write_key(work, "key")
        shutil.copy(public, target / "key.pem")
        root_key, root = authority(work, "root", days=365 * YEARS)
        shutil.copy(root, target / "root.pem")
        own_key, _ = write_key(work, "own")
        certificate = write_certificate(work, "own", own_key, issuer=(root_key, root), days=365 * YEARS)
        version, folder = work / "plain", work / "verdict"
        shutil.copytree(PLAIN, version)
        (version / "assets.extra").mkdir()
        folder.mkdir()
        verdict_about(version, folder)
        shutil.copy(folder / "verdict.json", target)
        for about, name in ((version, "signature"), (folder, "verdict.sig")):
            by_key = ["key", about, "--private_key", key, "--signature", target / f"key.{name}.json"]
            chain = ["--signing_certificate", certificate, "--certificate_chain", root]
            out = ["--signature", target / f"certificate.{name}.json"]
            by_certificate = ["certificate", about, "--private_key", own_key, *chain, *out]
            for words in (by_key, by_certificate):
                subprocess.run([program, "sign", *map(str, words)], check=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
