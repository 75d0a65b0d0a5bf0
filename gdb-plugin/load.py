# SPDX-License-Identifier: GPL-2.0-or-later
"""What gdb sources to get Backhop's commands: `source .../gdb-plugin/load.py`.

`backhop replay` does that by itself. To use a replay that runs elsewhere (`backhop replay --serve
PORT FILE`), source this and say `backhop connect HOST:PORT`.
"""

import os
import sys

FOLDER = os.path.dirname(os.path.abspath(os.path.expanduser(__file__)))
if FOLDER not in sys.path:
    sys.path.insert(0, FOLDER)

import backhop.plugin  # noqa: E402

backhop.plugin.load()
