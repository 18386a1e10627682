"""The sandbox company: one person with data in every store, and a neighbour who must lose nothing.

``build`` makes the same company for the same number of people, seed and day. Its calendar ends on
the day before ``today``, so that retention ends and backups lie ahead whenever it is built.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from erasure.demo import lake, logs, shop, training
from erasure.demo.people import FEWEST, LEAVER, Dice, Person, Population
from erasure.domain.errors import UsageError
from erasure.stores.model_registry import Training, publish

CATALOGUE = Path(__file__).with_name("catalogue.yml")
DEMO_DIR = "LETHE_DEMO_DIR"
MODEL = "churn"
MODEL_STORE = "models"
_RECORD = "company.json"
_UNFINISHED = ".building"
Progress = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Company:
    """Where everything lies, and who is who.

    ``mine``: ids of the leaver's rows by table, those that are the leaver's alone. ``hash_key``:
    the model registry's option of that name; it is not written to the folder.
    """

    folder: Path
    today: date
    people: int
    seed: int
    leaver: Person
    neighbour: Person
    mine: Mapping[str, tuple[int, ...]]
    hash_key: str = field(repr=False)
    catalogue: Path = CATALOGUE

    @property
    def database(self) -> Path:
        """The web shop."""
        return self.folder / "shop.sqlite3"

    @property
    def backup(self) -> Path:
        """Last night's copy of the web shop."""
        night = self.today - timedelta(days=1)
        return self.folder / "backups" / f"shop-{night:%Y%m%d}.sqlite3"

    @property
    def lake(self) -> Path:
        """The folder of daily Parquet files."""
        return self.folder / "lake" / "orders"

    @property
    def logs(self) -> Path:
        """The folder of both logs, ``access`` and ``app``."""
        return self.folder / "logs"

    @property
    def models(self) -> Path:
        """The model registry."""
        return self.folder / "models"

    @property
    def environment(self) -> dict[str, str]:
        """What the catalogue's placeholders stand for."""
        return {DEMO_DIR: str(self.folder)}

    @property
    def cutoff(self) -> date:
        """Orders from this day on are what the model foresees."""
        return _cutoff(self.today)


def build(
    folder: Path,
    *,
    people: int = 5000,
    seed: int = 7,
    today: date | None = None,
    hash_key: str = "demo",
    progress: Progress | None = None,
) -> Company:
    """Make the company in ``folder``, which must be empty, absent, or left by a build that was
    cut short. ``hash_key``: what the store ``models`` will be opened with. ``progress`` is told
    what is being made. Raises UsageError.
    """
    if people < FEWEST:
        raise UsageError(f"people: the demo company needs at least {FEWEST}")
    _prepare(folder)
    tell = progress or _quiet
    today = today or datetime.now(UTC).date()
    last_day = today - timedelta(days=1)
    dice = Dice(seed)
    tell("people")
    population = Population(people, dice)
    orders = shop.make_orders(population, dice, last_day)
    company = Company(
        folder=folder.resolve(),
        today=today,
        people=people,
        seed=seed,
        leaver=population.leaver,
        neighbour=population.neighbour,
        mine=_mine(orders, people),
        hash_key=hash_key,
    )
    tell("database")
    shop.write(company.database, population, orders, dice)
    company.backup.parent.mkdir()
    shop.copy(company.database, company.backup)
    tell("lake")
    lake.write(company.lake, orders, lambda: tell("lake"))
    tell("logs")
    logs.write(company.logs, population, dice, last_day)
    tell("model")
    train(company)
    _record(company)
    return company


def train(company: Company) -> None:
    """Train the next version of the model on the lake as it is now, and make it current."""
    company.models.mkdir(exist_ok=True)
    how = Training(
        recipe=training.RECIPE,
        source={"orders": "../lake/orders"},
        seed=company.seed,
        person_key="customer_id",
        params={"cutoff": company.cutoff.isoformat()},
    )
    publish(company.models, MODEL, how, hash_key=company.hash_key)


def load(folder: Path, *, hash_key: str = "demo") -> Company | None:
    """The company that was built there, None where there is none or it is unfinished."""
    try:
        plain: dict[str, Any] = json.loads((folder / _RECORD).read_text())
    except FileNotFoundError:
        return None
    return Company(
        folder=folder.resolve(),
        today=date.fromisoformat(plain["today"]),
        people=plain["people"],
        seed=plain["seed"],
        leaver=Person(**plain["leaver"]),
        neighbour=Person(**plain["neighbour"]),
        mine={table: tuple(ids) for table, ids in plain["mine"].items()},
        hash_key=hash_key,
    )


def forget_cast(company: Company) -> None:
    """Remove the build's own record of who is who: it names the leaver, and lies among the data."""
    (company.folder / _RECORD).unlink(missing_ok=True)


def _cutoff(today: date) -> date:
    return today - timedelta(days=shop.QUIET_DAYS)


def _quiet(_: str) -> None:
    """Nobody wants to know."""


def _prepare(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / _UNFINISHED
    if unfinished.exists():
        for path in folder.iterdir():
            if path != unfinished:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
    elif any(folder.iterdir()):
        raise UsageError(f"{folder}: is not empty; name another folder for the demo company")
    unfinished.touch()


def _record(company: Company) -> None:
    plain = {
        "today": company.today.isoformat(),
        "people": company.people,
        "seed": company.seed,
        "leaver": asdict(company.leaver),
        "neighbour": asdict(company.neighbour),
        "mine": company.mine,
    }
    draft = company.folder / f".{_RECORD}"
    draft.write_text(json.dumps(plain, indent=1))
    draft.replace(company.folder / _RECORD)
    (company.folder / _UNFINISHED).unlink()


def _mine(orders: list[shop.Order], people: int) -> dict[str, tuple[int, ...]]:
    """See the numbering in :mod:`erasure.demo.shop`."""
    placed = tuple(o.id for o in orders if o.person.id == LEAVER)
    return {
        "customer": (LEAVER,),
        "address": (people + 1,),
        "orders": placed,
        "invoice": placed,
        "ticket": (1,),
        "ticket_message": (1, 5),
        "review": (1, 4),
    }
