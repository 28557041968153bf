#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The embedded server under the name and with the flags of the original, open like it: inside a container the ports are
# published by the engine, and the host is another machine.
exec python3 -m tfs_deploy.server --address=0.0.0.0 --remote_reload=true "$@"
