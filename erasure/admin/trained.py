"""Trained models at the desk: the inventory, and each job with its decisions and what an officer
may do about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.utils.html import format_html
from django.utils.safestring import SafeString

from erasure.admin import charts, words
from erasure.admin.doing import Doing
from erasure.admin.roles import allowed, at_desk
from erasure.advance import Job
from erasure.connect import open_store
from erasure.domain.errors import StoreError
from erasure.domain.models import ACTIONS, OVERRULING, policy_of
from erasure.flow import overrule, promote, training
from erasure.models import ModelJob
from erasure.stores.trained import TrainsModels
from erasure.tasks import enqueue
from lineage import selectors
from lineage.graph import Dataset

_FOLDER = "admin/erasure/modeljob"
_HISTORY = 10
_STATES: Mapping[str, tuple[str, str]] = {
    "queued": ("Waiting", "running"),
    "running": ("At work", "running"),
    "proposed": ("Waits for its owner's answer", "running"),
    "window": ("Replaced; the old version is kept", "running"),
    "blocked": ("Blocked", "stop"),
    "quarantined": ("Out of service, to be decided", "stop"),
    "cancelled": ("Cancelled", "ended"),
    "done": ("Done", "done"),
}


@admin.register(ModelJob)
class ModelJobAdmin(Doing):
    """Jobs: who waits is a number here, never a name."""

    sees = "see_models"
    list_display = ("dataset", "status", "people", "due_at", "due_why", "attempts", "error")
    list_filter = ("state",)
    change_list_template = f"{_FOLDER}/list.html"

    @admin.display(description="state", ordering="state")
    def status(self, job: ModelJob) -> SafeString:
        """As everywhere at the desk."""
        return _badge(job.state)

    def get_urls(self) -> list[URLPattern]:
        """The inventory and the deeds, before what Django has."""
        deeds = (
            ("overrule", self.overrule),
            ("begin", self.begin),
            ("cancel", self.cancel),
            ("accept", self.accept),
            ("decline", self.decline),
        )
        own = [
            path(f"<uuid:pk>/{name}/", self.admin_site.admin_view(view), name=f"erasure_job_{name}")
            for name, view in deeds
        ]
        listed = self.admin_site.admin_view(self.inventory)
        return [path("inventory/", listed, name="erasure_models"), *own, *super().get_urls()]

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """A job: what was decided for each version and why, and what came of it."""
        job = get_object_or_404(ModelJob, pk=object_id)
        if not self.has_view_permission(request, job):
            raise PermissionDenied
        first, rest = _parted(job.report)
        context = {
            **self.admin_site.each_context(request),
            "title": f"Model {job.dataset}",
            "job": job,
            "badge": _badge(job.state),
            "may": allowed(at_desk(request)),
            "open": job.state not in ("running", "done", "proposed", "window"),
            "answers": job.state == "window" or (job.state == "proposed" and not job.accepted_by),
            "actions": [(a, ACTIONS[a]) for a in OVERRULING],
            "decisions": _decisions(job),
            "told": _told(first),
            "folded": _told(rest),
            "checks": _told(job.report.get("checks") or {}),
        }
        return TemplateResponse(request, f"{_FOLDER}/job.html", context)

    def inventory(self, request: HttpRequest) -> HttpResponse:
        """Every model of the catalogue."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        models = selectors.models_declared().values()
        context = {
            **self.admin_site.each_context(request),
            "title": "Trained models",
            "models": [_shown(dataset) for dataset in models],
        }
        return TemplateResponse(request, f"{_FOLDER}/inventory.html", context)

    def overrule(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Decide otherwise, with a reason."""
        form = request.POST
        return self._deed(
            request,
            pk,
            lambda job, by: overrule.overrule(
                job,
                version=form.get("version", "*"),
                action=form.get("action", ""),
                by=by,
                because=form.get("because", ""),
                until=_day(form.get("until", "")),
            ),
            "Recorded. It counts when the job begins, or is tried again.",
        )

    def begin(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Not wait for the timetable."""
        return self._deed(
            request, pk, lambda job, by: training.begin_now(job, by=by), "The job has been queued."
        )

    def cancel(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Not carry it out, with a reason."""
        because = request.POST.get("because", "")
        return self._deed(
            request,
            pk,
            lambda job, by: training.cancel(job, by=by, because=because),
            "Cancelled. Whoever waits for it is blocked, with your reason.",
        )

    def accept(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Let the proposed version take the old one's place."""
        return self._deed(
            request,
            pk,
            lambda job, by: promote.accept(job, by=by),
            "Accepted. The version takes its place now; the old one goes.",
        )

    def decline(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Not have the new version, with a reason."""
        because = request.POST.get("because", "")
        return self._deed(
            request,
            pk,
            lambda job, by: promote.decline(job, by=by, because=because),
            "Declined. The old version is served; whoever waits is blocked, with your reason.",
        )

    def _after(self, one: ModelJob, done: object) -> ModelJob:
        enqueue(Job("train", one.id))
        return one


def _badge(state: str) -> SafeString:
    text, tone = _STATES[state]
    return format_html('<span class="badge badge-{}">{}</span>', tone, text)


def _day(text: str) -> date | None:
    try:
        return parse_date(text)
    except ValueError:
        return None  # is asked for again, where one is needed


# What an officer looks for first, in order; the rest is for whoever checks it.
_FIRST = (
    "closed", "suppression", "proposed", "old", "new", "method", "guarantee", "reexecution_matched",
    "certificate", "old_people", "new_people", "metric", "utility_before", "utility_after",
    "fell_back", "doubts", "removed", "quarantined", "loads", "derived_out_of_service",
    "endpoints",
)  # fmt: skip
_WORDS = {
    "old": "replaced version", "new": "new version", "reexecution_matched": "second training",
    "old_people": "people before", "new_people": "people after", "removed": "versions gone",
    "fell_back": "trained again because", "doubts": "to be looked at",
    "quarantined": "out of service", "loads": "can still be had", "metric": "measured by",
}  # fmt: skip


def _told(plain: Mapping[str, Any]) -> list[tuple[str, str]]:
    """A report as lines; what has lines of its own is shown by itself."""
    return [
        (_WORDS.get(name, name.replace("_", " ")), _words(name, value))
        for name, value in plain.items()
        if name != "checks" and value not in ("", None)
    ]


def _words(name: str, value: Any) -> str:
    if name == "reexecution_matched":
        return "gave the same bytes" if value else "was not made, or cannot be repeated"
    if isinstance(value, Mapping):
        pairs = ((k.replace("_", " "), _words("", v)) for k, v in value.items())
        return ", ".join(f"{k} {v}" for k, v in pairs)
    if isinstance(value, list):
        return ", ".join(_words("", v) for v in value)
    return words.plainly(value)


def _parted(report: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is said at once, and what is folded away: digests, roots, receipts, signatures."""
    first = {name: report[name] for name in _FIRST if name in report}
    return first, {k: v for k, v in report.items() if k not in first and k != "checks"}


def _shown(dataset: Dataset) -> dict[str, Any]:
    """One model. A store that is away is told, and hides no other model."""
    address, policy = dataset.address, policy_of(dataset.model)
    jobs = list(ModelJob.objects.filter(dataset=address))
    waiting = next((job for job in jobs if job.state == "queued"), None)
    sources = selectors.made_of(address)
    found: dict[str, Any] = {
        "dataset": dataset,
        "sources": sources,
        "policy": policy,
        "deployed": dataset.model.get("deployed") or (),
        "waiting": waiting,
        "late": bool(waiting and waiting.deadline and waiting.deadline < timezone.now()),
        "jobs": [(job, _badge(job.state), _decisions(job)) for job in jobs[:_HISTORY]],
        "records": [],
        "alarms": [],
    }
    try:
        with open_store(dataset.store) as store:
            if isinstance(store, TrainsModels):
                found["records"] = [_evidence(r, jobs) for r in store.records(dataset)]
                found["alarms"] = store.alarms(dataset)
    except StoreError as error:
        found["error"] = str(error)
    metric, points = _utility(jobs, found["records"], policy.metric)
    found["chart"] = charts.line(metric, points)
    return found


def _decisions(job: ModelJob) -> list[dict[str, Any]]:
    """What was decided for each version, in words."""
    return [
        {
            **d,
            "words": ACTIONS[d["action"]],
            "reason": words.plainly(d["reason"]),
            "until": words.plainly(d.get("until") or ""),
        }
        for d in job.decisions
    ]


def _evidence(record: Mapping[str, Any], jobs: Sequence[ModelJob]) -> dict[str, Any]:
    """A version with the job that made it: where its guarantee stands, and what shows it."""
    made = next((j for j in jobs if j.report.get("new") == record["version"]), None)
    told: Mapping[str, Any] = made.report if made else {}
    return {
        **record,
        "guarantee": record["guarantee"] or told.get("guarantee", ""),
        "method": record["method"] or told.get("method", ""),
        "made_by": made,
        "trained": words.plainly(str(record["trained_at"])[:10]),
    }


def _utility(
    jobs: Sequence[ModelJob], records: Sequence[Mapping[str, Any]], metric: str
) -> tuple[str, list[tuple[str, float, bool]]]:
    """Each version's figure, also of those that are gone by now, as their jobs have measured it;
    and whether it is still there."""
    figures: dict[str, str] = {}
    for job in reversed(jobs):
        told = job.report
        if told.get("metric") and (not metric or told["metric"] == metric):
            metric = told["metric"]
            figures |= {
                str(told[version]): told[figure]
                for version, figure in (("old", "utility_before"), ("new", "utility_after"))
                if told.get(version) and told.get(figure)
            }
    for record in records:
        metric = metric or next(iter(record["metrics"]), "")
        if metric in record["metrics"]:
            figures[str(record["version"])] = record["metrics"][metric]
    here = {str(r["version"]) for r in records}
    in_order = sorted(figures, key=lambda v: (not v.isdecimal(), v.zfill(12)))
    return metric, [(v, float(figures[v]), v in here) for v in in_order]
