"""Machines of a model's owner: pipelines that train, endpoints that are told. Signed, and by the
one narrow way out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from django.utils import timezone

from erasure import calling
from erasure.connect import resolve
from erasure.domain.errors import CallFailed, StoreError
from lineage.graph import Dataset

_SECONDS = 20.0


class Pipelines:
    """A :class:`erasure.stores.trained.Caller`. ``place`` names the model in errors."""

    def __init__(self, place: str) -> None:
        self.place = place

    def post(self, url: str, body: bytes, *, secret: str, key: str) -> bytes:
        """Raises StoreError; passing where trying again can help."""
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        headers |= self._signature(secret, body)
        return self._taken(url, lambda: calling.post(
            url, body, headers=headers, timeout=_SECONDS))  # fmt: skip

    def get(self, url: str, *, secret: str, key: str) -> bytes:
        """As :meth:`post`; what is signed is the empty body."""
        headers = {"Idempotency-Key": key} | self._signature(secret, b"")
        return self._taken(url, lambda: calling.get(url, headers=headers, timeout=_SECONDS))

    def _signature(self, secret: str, body: bytes) -> dict[str, str]:
        if not secret:
            raise StoreError(self.place, "a call needs a secret to be signed with; name one")
        known = resolve(secret, self.place)
        return calling.sign(known.encode(), body, timezone.now())

    def _taken(self, url: str, call: Any) -> bytes:
        try:
            answer: calling.Answer = call()
        except CallFailed as error:
            raise StoreError(self.place, str(error), permanent=error.permanent) from None
        if not answer.taken:
            passing = answer.status >= 500 or answer.status in (408, 429)
            host = urlsplit(url).hostname
            raise StoreError(
                self.place, f"{host}: answers with {answer.status}", permanent=not passing
            )
        return answer.body


def tell_endpoints(dataset: Dataset, told: Mapping[str, Any], key: str) -> dict[str, str]:
    """``model.webhooks`` of the catalogue learn what is served now. Returns what became of each, by
    host: what is served does not wait for them."""
    caller, outcome = Pipelines(dataset.address), {}
    body = json.dumps(told, sort_keys=True).encode()
    secret = str(dataset.model.get("webhook_secret", ""))
    for url in dataset.model.get("webhooks") or ():
        host = urlsplit(str(url)).hostname or "?"
        try:
            caller.post(str(url), body, secret=secret, key=key)
            outcome[host] = "told"
        except StoreError as error:
            outcome[host] = f"not told: {error}"
    return outcome
