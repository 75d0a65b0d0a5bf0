# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the sources of a kernel image are. Plain: knows nothing of gdb.

kernel-lib/build.sh keeps them in `source` beside the image, and in `source-path` the path that the
debug information names instead. It has the kernel's name in it, so that each has its own.
"""

import os
from typing import Iterable, List, Tuple


def substitutions(images: Iterable[str]) -> List[Tuple[str, str]]:
    """Pairs for gdb's `set substitute-path`; none for images that have no sources here."""
    found: List[Tuple[str, str]] = []
    for image in sorted(images):
        for folder in (os.path.dirname(image), os.path.dirname(os.path.realpath(image))):
            try:
                with open(os.path.join(folder, "source-path"), encoding="utf-8") as stream:
                    path = stream.read().strip()
            except OSError:
                continue
            source = os.path.join(folder, "source")
            if path and os.path.isdir(source):
                found.append((path, source))
                break
    return found
