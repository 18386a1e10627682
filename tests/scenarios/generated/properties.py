"""The property, as every engine holds it: in how many worlds, and how many may be refused."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings

from tests.scenarios.generated.engines import Engine
from tests.scenarios.generated.forgetting import CARRIED_OUT, hold
from tests.scenarios.generated.generator import worlds
from tests.scenarios.generated.world import World

NIGHTLY = 2_000
_AT_NIGHT = pytest.param(NIGHTLY, marks=pytest.mark.nightly)
# The ordinary run is the same every time; the nightly one looks further each night. On a server a
# world takes longer, and the gate has to end.
HOW_MANY, ON_A_SERVER = [200, _AT_NIGHT], [100, _AT_NIGHT]


def hold_everywhere(engine: Engine, examples: int) -> None:
    """Forget random people from that many generated worlds."""
    became: Counter[bool] = Counter()

    @settings(
        max_examples=examples,
        derandomize=examples != NIGHTLY,
        deadline=None,
        database=None,
        print_blob=True,
    )
    @given(world=worlds())
    def forgets(world: World) -> None:
        became.update(fate == CARRIED_OUT for fate in hold(engine, world))

    forgets()
    assert became[False] * 2 < became[True], f"most should be carried out: {dict(became)}"
