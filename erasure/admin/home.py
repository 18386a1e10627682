"""The first page: what waits for an officer, before the list of everything there is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone

from erasure.admin.filters import running
from erasure.admin.roles import allowed, at_desk
from erasure.models import DateDue, ErasureRequest, Expiry, Letter, ModelJob, Notice
from erasure.runs import dues

_ORDER = ("erasure", "lineage")
_DAILY = (
    "ErasureRequest",
    "Complaint",
    "Hold",
    "Letter",
    "Notice",
    "Expiry",
    "DateDue",
    "ModelJob",
)
_LIST = "admin:erasure_erasurerequest_changelist"


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """One line of what is to be done: how many, of what, and where they are listed; ``one``: the
    words for a single one, where they are others."""

    count: int
    words: str
    address: str
    tone: str
    one: str = ""

    @property
    def said(self) -> str:
        """Of what, by how many there are."""
        return self.one if self.count == 1 and self.one else self.words


def home(request: HttpRequest) -> HttpResponse:
    """The desk's first page, for whoever may see requests with what waits."""
    actor = at_desk(request)
    sees = actor.may("see_cases")
    extra: dict[str, Any] = {"waiting": waiting()} if sees else {}
    extra["app_list"] = sorted(map(_in_order, admin.site.get_app_list(request)), key=_position)
    extra["may_open"], extra["may"] = actor.may("open"), allowed(actor)
    return admin.site.index(request, extra_context=extra)


def _position(app: dict[str, Any]) -> int:
    """What officers use first; accounts last."""
    label = str(app["app_label"])
    return _ORDER.index(label) if label in _ORDER else len(_ORDER)


def _in_order(app: dict[str, Any]) -> dict[str, Any]:
    """What is worked on every day before what is looked up; the rest by name."""
    names = [model["object_name"] for model in app["models"]]
    places = [_DAILY.index(n) if n in _DAILY else len(_DAILY) for n in names]
    ordered = sorted(zip(places, app["models"], strict=True), key=lambda pair: pair[0])
    return {**app, "models": [model for _, model in ordered]}


def waiting() -> list[Waiting]:
    """What a person has to do first, then what goes on by itself."""
    requests = ErasureRequest.objects.all()
    listed = reverse(_LIST)
    told = reverse("admin:erasure_notice_changelist")
    return [
        Waiting(
            count=dues.overdue(requests, timezone.now()).count(),
            words="overdue",
            address=f"{listed}?due=overdue",
            tone="stop",
        ),
        Waiting(
            count=requests.filter(state="blocked").count(),
            words="blocked",
            address=f"{listed}?state=blocked",
            tone="stop",
        ),
        *(line for line in _standing_still(listed) if line.count),
        *(line for line in _complaints() if line.count),
        *(line for line in _by_hand(requests, listed) if line.count),
        Waiting(
            count=requests.filter(state="planned").count(),
            words="waiting for approval",
            address=f"{listed}?state=planned",
            tone="decide",
        ),
        *(line for line in _retention() if line.count),
        Waiting(
            count=Notice.objects.filter(told_at=None).count(),
            words="recipients to tell",
            one="recipient to tell",
            address=f"{told}?told_at__isempty=1",
            tone="decide",
        ),
        Waiting(
            count=running(requests).count(),
            words="running now",
            address=f"{listed}?due=running",
            tone="running",
        ),
    ]


def _by_hand(requests: QuerySet[ErasureRequest], listed: str) -> list[Waiting]:
    """What goes on once an officer has done something that nothing here does."""
    parts = (
        (dues.to_identify(requests), "identities to check", "identity to check", "identify"),
        (dues.to_hand_over(requests), "copies to hand over", "copy to hand over", "hand_over"),
        (dues.to_hand_on(requests), "to answer by hand", "", "hand_on"),
        (dues.to_tell_extended(requests), "to be told of more time", "", "extended"),
    )
    return [
        Waiting(
            count=some.count(), words=said, one=one, address=f"{listed}?due={part}", tone="decide"
        )
        for some, said, one, part in parts
    ]


def _complaints() -> list[Waiting]:
    """Those that are late, and those to confirm or to answer."""
    address, now = reverse("admin:erasure_complaint_changelist"), timezone.now()
    late, every = dues.complaints_overdue(now).count(), dues.open_complaints().count()
    return [
        Waiting(
            count=late,
            words="complaints overdue",
            one="complaint overdue",
            address=address,
            tone="stop",
        ),
        Waiting(
            count=every - late,
            words="complaints open",
            one="complaint open",
            address=address,
            tone="decide",
        ),
    ]


def _retention() -> list[Waiting]:
    """Data past their date: plans that stand still, and those to decide on."""
    address = reverse("admin:erasure_expiry_changelist")
    counts = dict(
        Expiry.objects.filter(state__in=("blocked", "planned"))
        .values_list("state")
        .annotate(count=Count("pk"))
        .order_by()
    )
    return [
        Waiting(
            count=counts.get("blocked", 0),
            words="retention plans blocked",
            one="retention plan blocked",
            address=f"{address}?state__exact=blocked",
            tone="stop",
        ),
        Waiting(
            count=counts.get("planned", 0),
            words="retention plans to approve",
            one="retention plan to approve",
            address=f"{address}?state__exact=planned",
            tone="decide",
        ),
    ]


def _standing_still(listed: str) -> list[Waiting]:
    """What should go on by itself and does not."""
    late = DateDue.objects.filter(done_at=None).exclude(error="")
    undoing = ErasureRequest.objects.filter(state="undoing").exclude(undo_window__error="")
    return [
        Waiting(
            count=late.count(),
            words="not gone on their date",
            address=reverse("admin:erasure_datedue_changelist"),
            tone="stop",
        ),
        Waiting(
            count=ModelJob.objects.filter(state__in=("blocked", "quarantined")).count(),
            words="models to decide on",
            one="model to decide on",
            address=reverse("admin:erasure_models"),
            tone="stop",
        ),
        Waiting(
            count=undoing.count(),
            words="undos that stand still",
            one="undo that stands still",
            address=f"{listed}?state=undoing",
            tone="stop",
        ),
        Waiting(
            count=Letter.objects.filter(state="blocked").count(),
            words="letters not sent",
            one="letter not sent",
            address=f"{reverse('admin:erasure_letter_changelist')}?state__exact=blocked",
            tone="stop",
        ),
    ]
