#!/bin/sh
# The embedded server under the name and with the flags of the original.
exec python3 -m tfs_deploy.server "$@"
