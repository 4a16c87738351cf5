"""Defaults of every notebook server; the command line that the service gives wins over them."""

import os

c = get_config()  # noqa: F821 (Jupyter defines it)

# Files and terminals open at home, not in the root directory that the container starts in.
home = os.environ.get("HOME", "/")
if os.path.isdir(home):
    c.ServerApp.root_dir = home
