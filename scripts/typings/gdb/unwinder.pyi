# SPDX-License-Identifier: GPL-2.0-or-later
# The part of gdb.unwinder (gdb 13) that gdb-plugin/ uses.
from typing import Any, Optional

class Unwinder:
    name: str
    enabled: bool
    def __init__(self, name: str) -> None: ...
    def __call__(self, pending_frame: Any) -> Any: ...

def register_unwinder(locus: Optional[object], unwinder: Unwinder, replace: bool = ...) -> None: ...
