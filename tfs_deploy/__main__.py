"""``python -m tfs_deploy`` is ``tfs-deploy``."""

import sys

from tfs_deploy.cli.entry import main

if __name__ == "__main__":
    sys.exit(main())
