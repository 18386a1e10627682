"""References to a part of a key, which lead to rows of other people. Pure."""

from __future__ import annotations

from erasure.domain.errors import UsageError
from erasure.domain.plan import World
from lineage.graph import Reach, Reference


def refuse_parts(reach: Reach, world: World) -> None:
    """Raises UsageError for a reference of the reach whose target is only a part of a composite
    primary key, or that is only a part of a composite foreign key: branches count their orders each
    from one, and order 1 is everybody's.

    A part that is unique by itself, or an identity, names one person all the same.
    """
    for reference in dict.fromkeys(edge.reference for edge in reach.edges):
        if _is_part(reference, world):
            target = world.datasets[reference.target]
            whole = _whole(reference, world)
            key = ", ".join(whole or target.key or _live_key(reference, world))
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
    if table is None or not (names < set(table.primary_key) or _whole(reference, world)):
        return False
    identities = {field.name for field in target.identities}
    alone = {column.name for column in table.columns if column.unique}
    return not names & (identities | alone)


def _whole(reference: Reference, world: World) -> tuple[str, ...]:
    """What the live foreign key refers to of which the reference is only a part; empty where it is
    none, or a foreign key by itself as well."""
    holder = world.table(world.datasets[reference.holder])
    target = world.table(world.datasets[reference.target])
    if holder is None or target is None:
        return ()
    pairs = set(zip(reference.holder_fields, reference.target_fields, strict=True))
    whole: tuple[str, ...] = ()
    for key in holder.foreign_keys:
        live = set(zip(key.columns, key.target_columns, strict=True))
        if key.target != target.name or not pairs <= live:
            continue
        if pairs == live:
            return ()
        whole = key.target_columns
    return whole
