"""Versions of a registered model, and runs that made one which nobody registers any more: what
each consists of, and who was in its training.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import unquote, urlsplit

from erasure.domain.errors import EvidenceError, StoreError
from erasure.stores.model_registry.manifest import Hasher
from erasure.stores.model_registry.mlflow import far, rows
from erasure.stores.model_registry.mlflow.client import Opened, found, paged
from erasure.unlearning import manifest
from erasure.unlearning.logged import FOLDER, MANIFEST, MODEL_TAG
from erasure.unlearning.manifest import TrainingManifest

ALIAS = "champion"
RETIRING = "lethe.retiring."
PROVENANCE = "lethe.provenance"
QUARANTINED = "lethe.quarantined"
REFUSED = "lethe.refused"
EXEMPT = "lethe.exempt."
RUN = "run/"
_PARENT = "tags.`mlflow.parentRunId` = '{run}'"


@dataclass(frozen=True, kw_only=True)
class Place:
    """What a version consists of: ``version``, its number or ``run/<id>``; the ``runs`` that made
    it, first its own, then those nested in it; logged ``models`` by id; ``folders``, where their
    artifacts lie; ``copies``, versions of other names with the same content; ``aliases``."""

    model: str
    version: str
    runs: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    copies: tuple[tuple[str, str], ...] = ()
    aliases: tuple[str, ...] = ()

    def dumps(self) -> str:
        return json.dumps({k: v for k, v in asdict(self).items() if v})

    @classmethod
    def loads(cls, text: str) -> Place:
        plain: dict[str, Any] = json.loads(text)
        return cls(
            model=str(plain["model"]),
            version=str(plain["version"]),
            runs=tuple(plain.get("runs", ())),
            models=tuple(plain.get("models", ())),
            folders=tuple(plain.get("folders", ())),
            copies=tuple((str(a), str(b)) for a, b in plain.get("copies", ())),
            aliases=tuple(plain.get("aliases", ())),
        )


@dataclass(kw_only=True)
class Known:
    """A version as it stands. ``said``: its manifest, None where none was logged; ``exempt``: the
    last day (ISO) on which it counts as anonymous, empty where it does not."""

    place: Place
    current: bool
    said: TrainingManifest | None = None
    people: Mapping[str, int] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    seconds: float | None = None
    trained_at: str = ""
    quarantined: str = ""
    refused: str = ""
    exempt: str = ""
    signed: bool = False


class Registered:
    """One registered model of a registry. ``name`` may name one version of it: ``churn/2``."""

    def __init__(self, at: Opened, name: str, secret: str, alias: str = ALIAS) -> None:
        model, _, only = name.partition("/")
        self.at, self.model, self.only = at, model, only
        self._secret, self.alias = secret, alias
        self.place = f"{at.place}, {model}"
        self._listed: list[tuple[str, str, str]] | None = None

    def hasher(self, known: Known | None = None) -> Hasher:
        """That of a version's manifest: a copy under another name keeps its original's."""
        said = known.said if known else None
        return Hasher(self._secret, str(said.head["model"]) if said else self.model)

    def exists(self) -> bool:
        """Whether the registry knows the model, or a run that says it made it."""
        return bool(self.record() or any(self._orphans({""})))

    def record(self) -> Any:
        """The registered model, None without one."""
        return found(self.at.client.get_registered_model, self.model)

    def all(self) -> list[Known]:
        """Versions, oldest first, then runs without one."""
        client, record = self.at.client, self.record()
        mine = _named(self.model)
        search = client.search_model_versions
        listed = [] if record is None else list(paged(search, filter_string=mine))
        listed.sort(key=lambda v: int(v.version))
        current = self.current(listed)
        known = [self._version(v, str(v.version) == current) for v in listed]
        runs = {run for one in known for run in one.place.runs}
        known += [self._run(run) for run in self._orphans(runs)]
        tags = {} if record is None else record.tags
        for one in known:
            one.exempt = tags.get(tagged(EXEMPT, one.place.version), "")
        return [k for k in known if self.only in ("", k.place.version)]

    def current(self, listed: list[Any] | None = None) -> str | None:
        """The version its alias names, else the latest that is neither out of service nor was
        refused as a replacement."""
        record = self.record()
        if record is None:
            return None
        if self.alias in record.aliases:
            return str(record.aliases[self.alias])
        if listed is None:
            listed = list(paged(self.at.client.search_model_versions,
                                filter_string=_named(self.model)))  # fmt: skip
        left = [
            int(v.version) for v in listed if not {QUARANTINED, REFUSED} & (v.tags or {}).keys()
        ]
        return str(max(left)) if left else None

    def _version(self, version: Any, current: bool) -> Known:
        run = found(self.at.client.get_run, version.run_id) if version.run_id else None
        models = self._models(version, run)
        record = self.record()
        aliases = tuple(a for a, v in record.aliases.items() if str(v) == str(version.version))
        place = Place(
            model=self.model,
            version=str(version.version),
            runs=self._runs(version.run_id) if run else (),
            models=models,
            folders=self._folders(version, run, models),
            copies=tuple(self._copies(version)),
            aliases=aliases,
        )
        known = self._known(place, run, current=current)
        known.quarantined = (version.tags or {}).get(QUARANTINED, "")
        known.refused = (version.tags or {}).get(REFUSED, "")
        known.signed = PROVENANCE in (version.tags or {})
        return known

    def _run(self, run: Any) -> Known:
        models = self._models(None, run)
        place = Place(
            model=self.model,
            version=f"{RUN}{run.info.run_id}",
            runs=self._runs(run.info.run_id),
            models=models,
            folders=self._folders(None, run, models),
        )
        return self._known(place, run, current=False)

    def _known(self, place: Place, run: Any, *, current: bool) -> Known:
        known = Known(place=place, current=current)
        if run is None:
            return known
        known.metrics = dict(run.data.metrics)
        known.params = dict(run.data.params)
        if run.info.end_time and run.info.start_time:
            known.seconds = (run.info.end_time - run.info.start_time) / 1000
        known.said = self._manifest(run)
        if known.said is not None:
            known.people = {name.hex(): count for name, count in known.said.entries()}
        return known

    def _manifest(self, run: Any) -> TrainingManifest | None:
        folder = local(run.info.artifact_uri)
        if folder is None:
            with TemporaryDirectory() as brought:
                where = f"{FOLDER}/{MANIFEST}"
                path = far.fetched(self.at, run.info.artifact_uri, where, Path(brought))
                return self._read(run, path)
        return self._read(run, folder / FOLDER / MANIFEST)

    def _read(self, run: Any, path: Path | None) -> TrainingManifest | None:
        if path is None or not path.is_file():
            return None
        try:
            said = manifest.read(path)
            said.check(Hasher(self._secret, str(said.head["model"])).key)
        except EvidenceError as error:
            raise StoreError(self.place, f"run {run.info.run_id}: {error}") from None
        return said

    def _runs(self, run_id: str) -> tuple[str, ...]:
        """The run and those nested in it: trials of the same training, on the same rows."""
        from mlflow.entities import ViewType

        runs = [run_id]
        for one in runs:
            run = found(self.at.client.get_run, one)
            if run is not None:
                nested = paged(
                    self.at.client.search_runs,
                    experiment_ids=[run.info.experiment_id],
                    filter_string=_PARENT.format(run=one),
                    run_view_type=ViewType.ALL,
                )
                runs += [r.info.run_id for r in nested if r.info.run_id not in runs]
        return tuple(runs)

    def _models(self, version: Any, run: Any) -> tuple[str, ...]:
        """Logged models of a version and of its runs, also those that were deleted by half."""
        ids = [getattr(version, "model_id", None)]
        source = getattr(version, "source", "") or ""
        if source.startswith("models:/m-"):
            ids.append(source.removeprefix("models:/").partition("/")[0])
        outputs = getattr(getattr(run, "outputs", None), "model_outputs", None) or []
        ids += [output.model_id for output in outputs]
        if run is not None:
            ids += rows.models_of(self.at.uri, self._runs(run.info.run_id))
        return tuple(dict.fromkeys(i for i in ids if i))

    def _orphans(self, known: set[str]) -> Iterator[Any]:
        """Runs, deleted ones too, that say they made this model and belong to no version of it:
        what MLflow leaves when a version is deleted."""
        from mlflow.entities import ViewType

        client = self.at.client
        spaces = [e.experiment_id for e in paged(client.search_experiments, view_type=ViewType.ALL)]
        for run in paged(
            client.search_runs,
            experiment_ids=spaces,
            filter_string=f"tags.`{MODEL_TAG}` = {_quoted(self.model)}",
            run_view_type=ViewType.ALL,
        ):
            if run.info.run_id not in known:
                yield run

    def _folders(self, version: Any, run: Any, models: tuple[str, ...]) -> tuple[str, ...]:
        client = self.at.client
        uris = []
        if run is not None:
            uris += [client.get_run(one).info.artifact_uri for one in self._runs(run.info.run_id)]
        uris += rows.locations(self.at.uri, models)
        if version is not None and version.source and not version.source.startswith("models:"):
            uris.append(found(client.get_model_version_download_uri, version.name, version.version))
        told = [uri for uri in uris if uri and not uri.startswith(("runs:", "models:"))]
        return tuple(dict.fromkeys(told))

    def _copies(self, version: Any) -> Iterator[tuple[str, str]]:
        """Versions under other names that were copied from this one: the same content."""
        mine = f"models:/{version.name}/{version.version}"
        if self._listed is None:
            self._listed = [
                (v.name, str(v.version), v.source)
                for v in paged(self.at.client.search_model_versions)
            ]
        for name, number, source in self._listed:
            if source == mine and (name, number) != (version.name, str(version.version)):
                yield name, number


def tagged(kind: str, version: str) -> str:
    """The name of a tag of the registered model that is about one version."""
    return kind + version.replace("/", ".")


def siblings(at: Opened, place: Place) -> list[str]:
    """Versions of other models that the same run made, and that are no copies of this one."""
    copies = {(place.model, place.version), *place.copies}
    search = at.client.search_model_versions
    return [
        f"{other.name}/{other.version}"
        for run in place.runs
        for other in paged(search, filter_string=f"run_id = '{run}'")
        if (other.name, str(other.version)) not in copies
    ]


def beneath(at: Opened, place: Place) -> list[str]:
    """Versions and experiments whose files lie in a folder of this version, and are not its own."""
    from mlflow.entities import ViewType

    copies = {(place.model, place.version), *place.copies}
    tops = tuple(_below(str(whole(place, f) if (f := local(u)) else u)) for u in place.folders)
    others = [
        (f"{v.name}/{v.version}", str(v.source or ""))
        for v in paged(at.client.search_model_versions)
        if (v.name, str(v.version)) not in copies and v.run_id not in place.runs
    ]
    spaces = paged(at.client.search_experiments, view_type=ViewType.ALL)
    others += [(f"experiment {s.experiment_id}", s.artifact_location) for s in spaces]
    return [name for name, uri in others if _below(str(local(uri) or uri)).startswith(tops)]


def _below(place: str) -> str:
    return place.rstrip("/") + "/"


def whole(place: Place, folder: Path) -> Path:
    """What goes with a folder of artifacts: a run's, or a logged model's, lie in one of its own."""
    own = folder.name == "artifacts" and folder.parent.name in (*place.runs, *place.models)
    return folder.parent if own else folder


def local(uri: str | None) -> Path | None:
    """The folder of a ``file:`` address or a plain path; None for anything else."""
    parts = urlsplit(uri or "")
    if not uri or parts.scheme not in ("", "file"):
        return None
    return Path(unquote(parts.path))


def _named(model: str) -> str:
    return f"name = {_quoted(model)}"


def _quoted(text: str) -> str:
    if "'" in text:
        raise StoreError(text, "a model's name with a quotation mark cannot be searched for")
    return f"'{text}'"
