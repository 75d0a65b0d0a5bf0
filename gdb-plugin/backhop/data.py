# SPDX-License-Identifier: GPL-2.0-or-later
"""What `--json` and the MI commands give to programs. Plain: knows nothing of gdb."""

import json
from typing import Any, Optional

from backhop.model import Event, Node, Object, Position


def of_node(node: Node, selected: Optional[int]) -> Object:
    return {"node": node.number, "node_name": node.name, "image": node.image, "base": node.base,
            "size": node.size, "threads": node.threads, "is_running": node.is_running,
            "is_selected": node.number == selected}


def of_event(event: Event) -> Object:
    return {"event": event.event, "vtime_ns": event.vtime_ns, "node": event.node,
            "node_name": event.node_name, "kind": event.kind, "cause": event.cause,
            "packet": event.packet, "hop": event.hop, "length": event.length}


def of_position(position: Position) -> Object:
    return {"event": position.event, "tick": position.tick, "instruction": position.instruction,
            "vtime_ns": position.vtime_ns, "node": position.node,
            "node_name": position.node_name, "place": position.target,
            "divergence": position.divergence}


def as_json(data: Any) -> str:
    return json.dumps(data)


def as_mi(data: Any) -> Any:
    """MI knows strings, lists and tuples: no numbers, no truth values, nothing that is absent."""
    if isinstance(data, dict):
        return {name.replace("_", "-"): as_mi(value) for name, value in data.items()
                if value is not None}
    if isinstance(data, list):
        return [as_mi(item) for item in data]
    return str(data).lower() if isinstance(data, bool) else str(data)
