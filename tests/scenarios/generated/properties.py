"""The property, as every engine holds it: in how many schemas, and how many may be refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, assume, given, reject, seed, settings

from tests.scenarios.generated.engines import Engine
from tests.scenarios.generated.forgetting import CARRIED_OUT, hold
from tests.scenarios.generated.generator import worlds
from tests.scenarios.generated.world import Link, Table, World

# The ordinary run is the same every time; the nightly one looks further each night.
NIGHTLY = 2_000
HOW_MANY = [200, pytest.param(NIGHTLY, marks=pytest.mark.nightly)]


def hold_everywhere(engine: Engine, schemas: int) -> None:
    """Forget random people from generated databases, until that many different schemas were carried
    out to their end. Each engine has worlds of its own; what must be refused comes on top."""
    became: Counter[bool] = Counter()
    held: set[tuple[tuple[Table, ...], tuple[Link, ...]]] = set()
    carried_out = 0
    broken: list[World] = []

    @settings(
        max_examples=schemas,
        deadline=None,
        database=None,
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
    @given(world=worlds())
    def forgets(world: World) -> None:
        nonlocal carried_out
        schema = (world.tables, world.links)
        # Hypothesis varies what it has drawn before: more than half of it would be the same again.
        # Whoever looks for the smallest counterexample needs that, too.
        assume(broken or schema not in held)
        broken.append(world)
        try:
            # At night all of it, as whoever asks has it.
            fates = hold(engine, world, witnessed=schemas == NIGHTLY)
        except Exception as fault:  # whatever it is, with the world that shows it
            fault.add_note(repr(world))
            raise
        broken.pop()
        held.add(schema)
        became.update(fate == CARRIED_OUT for fate in fates)
        if CARRIED_OUT not in fates:
            reject()
        carried_out += 1

    of_its_own: Callable[[], None] = forgets
    if schemas != NIGHTLY:
        of_its_own = seed(type(engine).__name__)(forgets)
    of_its_own()
    assert carried_out >= schemas, f"only {carried_out} were carried out"
    assert became[False] * 4 < became[True], f"most should be carried out: {dict(became)}"
