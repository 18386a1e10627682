"""What happens to each version of a model that people are to be forgotten in, when, and why. Pure.

The table of decisions, from top to bottom: the first rule that applies decides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Literal

from erasure.domain.costs import Cost, cost_of

Action = Literal[
    "none", "refer", "delete", "rebuild", "unlearn", "retrain_shards", "retrain", "approximate",
    "filter", "quarantine",
]  # fmt: skip
ACTIONS: Mapping[Action, str] = {
    "none": "nothing: the person is not in it",
    "refer": "nothing: assessed as anonymous",
    "delete": "delete this version everywhere",
    "rebuild": "build it again without the rows",
    "unlearn": "take the people out of its statistics",
    "retrain_shards": "train the shards again that knew the people",
    "retrain": "train it again without the people",
    "approximate": "approximate, until the next training",
    "filter": "keep it behind an output filter; whoever waits still waits",
    "quarantine": "take it out of service until somebody decides",
}
# What an officer may decide instead: neither is an opinion, who is in a manifest and until when an
# assessment counts.
OVERRULING: tuple[Action, ...] = tuple(
    a for a in reversed(tuple(ACTIONS)) if a not in ("none", "refer")
)
# Weaker to the right; what a policy demands is met by itself and everything to its left.
GUARANTEES = ("bit-exact", "exact in distribution", "exact to tolerance", "(ε,δ)", "empirical")
_DAYS = {"d": 1, "w": 7, "m": 30, "y": 365}
# A training is executed twice and then verified: what that takes, in trainings.
TRAININGS = 3.0
# An approximate removal is trusted for no longer, where no timetable says when training is next.
NEXT_TRAINING = timedelta(days=90)
SHARDED = ("sharded", "forest")


@dataclass(frozen=True, kw_only=True)
class VersionFacts:
    """What is known of one version.

    ``known``: how many of the people waiting are in its training, ``people`` how many there are
    at all; ``inferred``: there is no manifest, lineage alone says that they may be in it;
    ``family``: what kind of model; ``guarantee``: that of its own way to forget, empty where it
    has none; ``holds_rows``: training rows are in the artifact by design; ``recipe``: it can be
    trained again; ``seconds``: what the last training took, None where nobody knows;
    ``empirical_since``: when somebody was first taken out approximately since the last training
    (ISO); ``root``: the Merkle root of its manifest; ``trained_on``: datasets that lineage leads
    from.
    """

    version: str
    current: bool
    known: int
    people: int
    family: str = ""
    guarantee: str = ""
    holds_rows: bool = False
    recipe: bool = False
    inferred: bool = False
    seconds: float | None = None
    root: str = ""
    trained_on: tuple[str, ...] = ()
    empirical_since: str = ""


@dataclass(frozen=True, kw_only=True)
class ModelPolicy:
    """What the catalogue demands of a model: ``guarantee``, the weakest that is accepted; the
    figure that a new version must reach; when waiting people are taken out together; how dear a
    training may be; until when it counts as anonymous, by which assessment; ``propose``: its owner
    promotes a new version; ``rollback``: how long the old one is kept, and not served; ``cost``:
    what a training costs; ``executions``: how often a training is carried out to be verified;
    ``references``: with how many reference models it is attacked afterwards."""

    guarantee: str = "exact to tolerance"
    metric: str = ""
    low: float | None = None
    max_drop: float | None = None
    max_slice_drop: float | None = None
    max_drift: float = 0.25
    every: timedelta | None = None
    people: int | None = None
    share: float | None = None
    drift: float | None = None
    new_data: float | None = None
    margin: timedelta = timedelta(days=3)
    most_seconds: float | None = None
    attempts: int = 5
    anonymous_until: date | None = None
    assessment: str = ""
    propose: bool = False
    rollback: timedelta | None = None
    cost: Cost | None = None
    executions: int = 2
    references: int = 0


def policy_of(model: Mapping[str, Any]) -> ModelPolicy:
    """From ``erasure.model`` of the catalogue, whose words were checked at import."""
    utility, batch = model.get("utility") or {}, model.get("batch") or {}
    assessed = model.get("anonymous") or {}
    until = assessed.get("until")
    given: dict[str, Any] = {
        "guarantee": model.get("guarantee"),
        "metric": utility.get("metric"),
        "low": utility.get("min"),
        "max_drop": utility.get("max_drop"),
        "max_slice_drop": utility.get("max_slice_drop"),
        "max_drift": utility.get("max_drift"),
        "every": _span(batch.get("every")),
        "people": batch.get("people"),
        "share": batch.get("share"),
        "drift": batch.get("drift"),
        "new_data": batch.get("new_data"),
        "margin": _span(model.get("deadline_margin")),
        "most_seconds": model.get("most_seconds"),
        "attempts": model.get("attempts"),
        "anonymous_until": date.fromisoformat(str(until)) if until else None,
        "assessment": assessed.get("assessment"),
        "propose": True if model.get("promote") == "propose" else None,
        "rollback": _span(model.get("rollback")),
        "cost": cost_of(model.get("cost")),
        "executions": _executions(model.get("recipe")),
        "references": _even((model.get("audit") or {}).get("references")),
    }
    return ModelPolicy(**{name: value for name, value in given.items() if value is not None})


def _even(count: int | None) -> int | None:
    """Half of the reference models know each person."""
    return count if count is None else count + count % 2


def _executions(recipe: Any) -> int:
    """Functions and commands are executed twice, what runs elsewhere once."""
    if not isinstance(recipe, Mapping):
        return 2
    return 2 if "command" in recipe and recipe.get("repeat") is not False else 1


def _span(text: str | None) -> timedelta | None:
    return timedelta(days=int(text[:-1]) * _DAYS[text[-1]]) if text else None


@dataclass(frozen=True, kw_only=True)
class Circumstances:
    """``deadline``: of the earliest request that waits; ``unlawful``: the data had no lawful
    basis, or an authority ordered it."""

    now: datetime
    deadline: datetime | None = None
    unlawful: bool = False


@dataclass(frozen=True, kw_only=True)
class Decision:
    """``action`` and why, in words for the officer. ``until``: when it has to be looked at
    again. ``by``: who overruled the table, empty where it decided."""

    version: str
    action: Action
    reason: str
    until: date | None = None
    by: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        """As JSON without floats, for evidence."""
        facts = {
            k: str(v) if isinstance(v, float) else list(v) if isinstance(v, tuple) else v
            for k, v in self.facts.items()
        }
        until = self.until.isoformat() if self.until else None
        return {**asdict(self), "until": until, "facts": facts}


Rule = Callable[[VersionFacts, ModelPolicy, Circumstances], tuple[Action, str] | None]


def decide(facts: VersionFacts, policy: ModelPolicy, case: Circumstances) -> Decision:
    """What happens to one version. Never nothing without a reason: what no rule knows how to
    forget is taken out of service."""
    for rule in _RULES:
        if found := rule(facts, policy, case):
            action, reason = found
            if facts.inferred:
                of = f", trained on {', '.join(facts.trained_on)}" if facts.trained_on else ""
                reason = f"{reason} (membership inferred from the lineage{of}: it has no manifest)"
            until = policy.anonymous_until if action == "refer" else None
            if action == "approximate":
                until = trusted_until(facts.empirical_since or case.now.isoformat(), policy).date()
            return Decision(
                version=facts.version, action=action, reason=reason, until=until,
                facts=asdict(facts),
            )  # fmt: skip
    raise AssertionError("the last rule always applies")


def overruled(
    decision: Decision, action: Action, *, by: str, because: str, until: date | None = None
) -> Decision:
    """An officer knows better; what the table had said stays readable."""
    said = f"{because} (the table said: {decision.action}, {decision.reason})"
    return Decision(
        version=decision.version, action=action, reason=said, until=until, by=by,
        facts=decision.facts,
    )  # fmt: skip


def trusted_until(since: str, policy: ModelPolicy) -> datetime:
    """``since`` (ISO) is the first approximate step after a training."""
    return datetime.fromisoformat(since) + (policy.every or NEXT_TRAINING)


def trusted_no_more(since: str, policy: ModelPolicy, now: datetime) -> bool:
    """Whether the next training should have been; not where there was no such step."""
    return bool(since) and now > trusted_until(since, policy)


def accepted(guarantee: str, policy: ModelPolicy) -> bool:
    """Whether a method's guarantee is as strong as the policy demands."""
    if guarantee not in GUARANTEES or policy.guarantee not in GUARANTEES:
        return False
    return GUARANTEES.index(guarantee) <= GUARANTEES.index(policy.guarantee)


def _absent(facts: VersionFacts, _p: ModelPolicy, _c: Circumstances) -> tuple[Action, str] | None:
    if facts.known or facts.inferred:
        return None
    return "none", f"nobody who waits is among the {facts.people} people of its manifest"


def _unlawful(
    facts: VersionFacts, _p: ModelPolicy, case: Circumstances
) -> tuple[Action, str] | None:
    if not case.unlawful:
        return None
    return "quarantine", "no lawful basis, or an authority's order: this and what derives from it"


def _anonymous(
    facts: VersionFacts, policy: ModelPolicy, case: Circumstances
) -> tuple[Action, str] | None:
    until = policy.anonymous_until
    if until is None or not policy.assessment or case.now.date() > until:
        return None
    return "refer", f"assessed as anonymous until {until.isoformat()}: {policy.assessment}"


def _superseded(
    facts: VersionFacts, _p: ModelPolicy, _c: Circumstances
) -> tuple[Action, str] | None:
    return None if facts.current else ("delete", "superseded: nobody uses this version any more")


def _with_rows(
    facts: VersionFacts, policy: ModelPolicy, case: Circumstances
) -> tuple[Action, str] | None:
    if not facts.holds_rows or not facts.recipe:
        return None
    return "rebuild", f"a model of kind '{facts.family}' holds training rows by design"


def _in_place(
    facts: VersionFacts, policy: ModelPolicy, case: Circumstances
) -> tuple[Action, str] | None:
    if facts.inferred or not accepted(facts.guarantee, policy):
        return None
    if trusted_no_more(facts.empirical_since, policy, case.now):
        return None
    if facts.guarantee == GUARANTEES[-1]:
        return "approximate", "the policy accepts an empirical method, until the next training"
    if facts.family in SHARDED:
        return "retrain_shards", "trained in parts by person: the other parts never knew them"
    return "unlearn", f"can forget them in place: {facts.guarantee}"


def _affordable(
    facts: VersionFacts, policy: ModelPolicy, case: Circumstances
) -> tuple[Action, str] | None:
    if not facts.recipe or too_dear(facts, policy) or _too_late(facts, policy, case):
        return None
    together = f", for all {facts.known} at once" if facts.known > 1 else ""
    if trusted_no_more(facts.empirical_since, policy, case.now):
        return "retrain", f"the time of its approximate removals is over{together}"
    return "retrain", f"can be trained again before the deadline{together}"


def too_dear(facts: VersionFacts, policy: ModelPolicy) -> bool:
    """Whether training it again would cost more than the policy allows."""
    if policy.most_seconds is None or facts.seconds is None:
        return False
    return facts.seconds * TRAININGS > policy.most_seconds


def _too_late(facts: VersionFacts, policy: ModelPolicy, case: Circumstances) -> bool:
    """Too late to be done in time; once the time is over, late is better than never."""
    if case.deadline is None or case.deadline <= case.now:
        return False
    took = timedelta(seconds=(facts.seconds or 0.0) * TRAININGS)
    return case.now + took > case.deadline


def _undecided(facts: VersionFacts, policy: ModelPolicy, case: Circumstances) -> tuple[Action, str]:
    if not facts.recipe:
        return "quarantine", "it cannot be trained again: there is no recipe; add one or retire it"
    if too_dear(facts, policy):
        return "quarantine", "training it again costs more than its policy allows"
    return "quarantine", "training it again would not be done before the deadline"


_RULES: tuple[Rule, ...] = (
    _absent, _unlawful, _anonymous, _superseded, _with_rows, _in_place, _affordable, _undecided,
)  # fmt: skip


def kept_until(now: datetime, deadline: datetime | None, policy: ModelPolicy) -> datetime | None:
    """Until when the version that was replaced is kept; never past the deadline of whoever waits,
    less the margin. None: it goes at once."""
    if policy.rollback is None:
        return None
    until = now + policy.rollback
    if deadline is not None:
        until = min(until, deadline - policy.margin)
    return until if until > now else None
