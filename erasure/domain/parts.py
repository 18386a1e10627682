"""References to a part of a key, which lead to rows of other people. Pure."""

from __future__ import annotations

from erasure.domain.errors import UsageError
from erasure.domain.plan import World
from lineage.graph import Reach, Reference


def refuse_parts(reach: Reach, world: World) -> None:
    """Raises UsageError for a reference of the reach whose target is only a part of a composite
    primary key: branches count their orders each from one, and order 1 is everybody's.

    A part that is unique by itself, or an identity, names one person all the same.
    """
    for reference in dict.fromkeys(edge.reference for edge in reach.edges):
        if _is_part(reference, world):
            target = world.datasets[reference.target]
            key = ", ".join(target.key or _live_key(reference, world))
            raise UsageError(
                f"{reference.holder}.{', '.join(reference.holder_fields)}: refers to a part of the "
                f"key of {reference.target} ({key}), so it leads to rows of other people; declare "
                "a reference for each field of the key and name them in `composite`"
            )


def _live_key(reference: Reference, world: World) -> tuple[str, ...]:
    table = world.table(world.datasets[reference.target])
    return table.primary_key if table else ()


def _is_part(reference: Reference, world: World) -> bool:
    target = world.datasets[reference.target]
    table = world.table(target)
    names = set(reference.target_fields)
    if table is None or not names < set(table.primary_key):
        return False
    identities = {field.name for field in target.identities}
    alone = {column.name for column in table.columns if column.unique}
    return not names & (identities | alone)
