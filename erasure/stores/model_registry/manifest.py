"""What is known of a model version: who was in its training, by keyed hash; how to repeat it."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from erasure.domain import merkle
from erasure.domain.errors import StoreError
from erasure.domain.values import Scalar, hashed

FORMAT = 1
GUARANTEE = "bit-exact"


class Hasher:
    """Keyed hashes of one model's people: HMAC-SHA256 under a key of that model's own, so that
    the manifests of two models cannot be joined."""

    def __init__(self, secret: str, model: str) -> None:
        self._key = hmac.new(secret.encode(), f"model:{model}".encode(), hashlib.sha256).digest()

    @property
    def key(self) -> bytes:
        """The model's own key, under which its estimators know people."""
        return self._key

    @property
    def rows_key(self) -> bytes:
        """What opens the training rows that are kept beside the model's versions."""
        return hmac.new(self._key, b"training rows", hashlib.sha256).digest()

    def __call__(self, value: Scalar, kind: str | None = None) -> str:
        """Hex, 64 characters; 42 and "42" are one person."""
        text = hashed(value, kind).encode(errors="surrogatepass")
        return hmac.new(self._key, text, hashlib.sha256).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Retrained:
    """What took the place of what: written into the new version's manifest, before it is used.

    Versions by name; digests are hex SHA-256 of the artifacts; roots are Merkle roots over the
    manifests' people; ``people`` counts them. ``guarantee`` as in the model's evidence;
    ``reexecution_matched``: a second training gave the same bytes. ``certificate``: the number
    that shows a removal in place; ``checks``: what was tested before it was used; ``fell_back``:
    why the way that was decided had to give way to a training; ``doubts``: what the owner
    should look at; ``empirical_since``: when somebody was first taken out approximately since the
    last training. Figures as text, in JSON without floats.
    """

    old: str
    new: str
    old_artifact: str
    new_artifact: str
    old_people_root: str
    new_people_root: str
    old_people: int
    new_people: int
    old_data: str
    new_data: str
    reexecution_matched: bool
    metric: str = ""
    utility_before: str = ""
    utility_after: str = ""
    guarantee: str = GUARANTEE
    action: str = "retrain"
    method: str = "batched exact retrain"
    certificate: Mapping[str, str] = field(default_factory=dict)
    checks: Mapping[str, Any] = field(default_factory=dict)
    fell_back: str = ""
    doubts: str = ""
    empirical_since: str = ""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """One model version. ``people`` maps keyed hashes to row counts; nothing in it is personal.

    ``source`` maps the recipe's names to addresses: with a scheme (``name://…``) as they are,
    else paths relative to the registry's folder. ``person_kind``: identity kind of the person
    key, empty for a plain key. ``data``: digest of the training set. ``family``, ``forgets`` (the
    guarantee of its own way to do so), ``holds_rows``: what kind of model it is; ``seconds``: what
    the training took. ``inferred``: there is no manifest; anybody may have been in it.
    """

    model: str
    version: str
    recipe: str
    seed: int
    params: Mapping[str, Any]
    source: Mapping[str, str]
    trained_at: str
    person_key: str
    person_kind: str
    people: Mapping[str, int]
    data: str
    artifact: str
    metrics: Mapping[str, float] = field(default_factory=dict)
    libraries: Mapping[str, str] = field(default_factory=dict)
    replaces: Retrained | None = None
    family: str = ""
    forgets: str = ""
    holds_rows: bool = False
    seconds: float | None = None
    inferred: bool = False
    format: int = FORMAT

    @property
    def people_root(self) -> str:
        """Merkle root (RFC 6962) over the sorted ``hash:rows``."""
        leaves = (merkle.leaf_hash(f"{h}:{n}".encode()) for h, n in sorted(self.people.items()))
        return merkle.root(leaves).hex()

    def dumps(self) -> bytes:
        """Canonical JSON, people sorted by hash."""
        plain = {**asdict(self), "people_root": self.people_root}
        del plain["inferred"]  # what has a manifest is not
        return json.dumps(plain, indent=1, sort_keys=True).encode()


def fault(head: Mapping[str, Any], person_key: str, person_kind: str) -> str:
    """Why a recorded manifest cannot show that somebody was not in the training, in words; empty
    where it can. It has to know people, and by the key and kind that the model knows them by."""
    if not head["people"]:
        return "the manifest holds nobody, so it proves nothing; record the training's people"
    said = (str(head.get("person_key", "")), str(head.get("person_kind", "")))
    if said != (person_key, person_kind):
        theirs, ours = (" of kind ".join(filter(None, both)) or "no named key"
                        for both in (said, (person_key, person_kind)))  # fmt: skip
        return (
            f"the manifest knows people by {theirs}, the model by {ours}; record the training with "
            "the model's person_key and person_kind"
        )
    return ""


def unknown(model: str, version: str, artifact: str) -> Manifest:
    """Of a version that nobody recorded."""
    return Manifest(
        model=model, version=version, recipe="", seed=0, params={}, source={}, trained_at="",
        person_key="", person_kind="", people={}, data="", artifact=artifact, inferred=True,
    )  # fmt: skip


def read(place: str, path: Path) -> Manifest:
    """The manifest at ``path``. Raises StoreError where it is missing, damaged or altered:
    without it nobody can tell who is in the version."""
    try:
        plain = json.loads(path.read_bytes())
        root = plain.pop("people_root")
        if plain["replaces"] is not None:
            plain["replaces"] = Retrained(**plain["replaces"])
        manifest = Manifest(**plain)
        intact = root == manifest.people_root
    except FileNotFoundError:
        raise StoreError(place, "has no manifest, so nobody can tell who is in it") from None
    except OSError as error:
        raise StoreError(place, f"the manifest cannot be read: {error.strerror}") from None
    except (ValueError, TypeError, KeyError, AttributeError):
        raise StoreError(place, "the manifest is damaged; restore it or retire it") from None
    if not intact or manifest.format != FORMAT:
        raise StoreError(place, "the manifest was altered or is of another format")
    return manifest
