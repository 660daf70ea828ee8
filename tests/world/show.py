"""Answers of a world as people read them."""

COLUMNS = ("index", "id", "address", "power", "ec2", "lifecycle", "imds", "up")
# Where there are workers, too.
WITH_ROLE = ("index", "role", *COLUMNS[1:])


def text(answer) -> str:
    """Any answer of a verb."""
    if isinstance(answer, list):
        return "\n".join(_line(item) if isinstance(item, dict) else str(item) for item in answer)
    if "nodes" in answer:
        return world(answer)
    if "lifecycle" in answer:
        return table([answer])
    return _line(answer)


def world(status: dict) -> str:
    """The whole status."""
    balancer = status["load_balancer"]
    targets = ", ".join(f"{address} {state}" for address, state in balancer["targets"].items()) or "no targets"
    head = [
        f"world in {status['folder']}",
        f"AWS {status['aws']}  desired capacity {_desired(status)}{'' if status['settled'] else ' (not settled)'}",
        f"load balancer {status['endpoint']} {balancer['mode']}: {targets}",
        *(f"instance {_line(refresh)}" for refresh in status["refresh"]),
        *(f"fault {_line(fault)}" for fault in status["faults"]),
    ]
    columns = COLUMNS if status.get("workers") is None else WITH_ROLE
    columns += ("kubernetes",) if any(node.get("kubernetes") for node in status["nodes"]) else ()
    return "\n".join([*head, table(status["nodes"], columns)])


def _desired(status: dict) -> str:
    workers = status.get("workers")
    return str(status["desired"]) if workers is None else f"{status['desired']} and {workers} workers"


def table(nodes: list[dict], columns: tuple[str, ...] = COLUMNS) -> str:
    """One line per machine."""
    rows = [columns] + [tuple(str(node[name]) if node[name] is not None else "-" for name in columns) for node in nodes]
    widths = [max(len(row[i]) for row in rows) for i in range(len(columns))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _line(fields: dict) -> str:
    return " ".join(f"{name}={value}" for name, value in fields.items() if value not in ("", None)) or "done"
