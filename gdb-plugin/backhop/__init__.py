# SPDX-License-Identifier: GPL-2.0-or-later
"""Backhop's gdb plugin. `plugin` registers the commands; `model` and `text` know nothing of gdb."""
