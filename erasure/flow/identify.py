"""Who is asking? What was proved, and how, is recorded before anything is searched for."""

from __future__ import annotations

from erasure.models import ErasureRequest
from erasure.transitions import move


def confirm_identity(request: ErasureRequest, *, by: str, method: str) -> ErasureRequest:
    """Record how identity was checked, and move the request to ``identified``."""
    return move(request, "identified", by=by, because=method, also={"identity_check": method})
