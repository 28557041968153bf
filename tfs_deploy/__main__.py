# SPDX-License-Identifier: Apache-2.0
"""``python -m tfs_deploy`` is ``tfs-deploy``."""

import sys

from tfs_deploy.cli.entry import main

if __name__ == "__main__":
    sys.exit(main())
