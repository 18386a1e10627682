"""``POST /api/v1/lineage`` and ``/api/v1/lineage/batch``: where pipelines send their events.

Plain views: they answer as soon as the events are stored. Errors are problem+json (RFC 9457).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Any

from django.db import OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from lineage import intake, keys, tasks
from lineage.bodies import Refused, decode

MOST_BYTES = 10 * 2**20
MOST_BATCH_BYTES = 20 * 2**20
MOST_EVENTS = 10_000
_View = Callable[[HttpRequest], HttpResponse]


def problem(status: int, detail: str) -> HttpResponse:
    """An error as RFC 9457 has it; never with anything of the body that was sent."""
    title = HTTPStatus(status).phrase
    plain = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    response = JsonResponse(plain, status=status)
    response["Content-Type"] = "application/problem+json"
    return response


def _guarded(view: _View) -> _View:
    """POST with a key that is in use, or a problem; the body is not read before that."""

    @csrf_exempt
    @wraps(view)
    def guarded(request: HttpRequest) -> HttpResponse:
        if request.method != "POST":
            response = problem(405, "events are sent with POST")
            response["Allow"] = "POST"
            return response
        try:
            if not _admitted(request):
                response = problem(401, "send the key of this client as Authorization: Bearer …")
                response["WWW-Authenticate"] = 'Bearer realm="lineage"'
                return response
            return view(request)
        except Refused as refused:
            return problem(refused.status, refused.detail)
        except OperationalError:
            # Clients send again after a 503; nothing was acknowledged.
            response = problem(503, "the database is not there; send it again later")
            response["Retry-After"] = "5"
            return response

    return guarded


def _admitted(request: HttpRequest) -> bool:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return scheme.lower() == "bearer" and keys.admits(token.strip())


@_guarded
def one(request: HttpRequest) -> HttpResponse:
    """One event: 201 once it is stored, also when it was stored before."""
    plain = _body(request, MOST_BYTES)
    if isinstance(plain, list):
        return problem(422, "one event is expected here; send arrays to /api/v1/lineage/batch")
    taken = intake.take([plain])
    if taken.refused:
        return problem(422, taken.refused[0][1])
    tasks.wake(taken.digests[-1])
    return HttpResponse(status=201)


@_guarded
def batch(request: HttpRequest) -> HttpResponse:
    """An array of events: 204 when all are stored, else 200 and which are not; those that are
    sound are stored in either case."""
    plain = _body(request, MOST_BATCH_BYTES)
    if not isinstance(plain, list):
        return problem(422, "an array of events is expected here")
    if len(plain) > MOST_EVENTS:
        return problem(413, f"more than {MOST_EVENTS} events; send several batches")
    taken = intake.take(plain)
    if taken.digests:
        tasks.wake(taken.digests[-1])
    return JsonResponse(_summary(len(plain), taken)) if taken.refused else HttpResponse(status=204)


def _summary(received: int, taken: intake.Taken) -> dict[str, Any]:
    failed = len(taken.refused)
    return {
        "status": "partial_success" if taken.digests else "failure",
        "summary": {
            "received": received,
            "successful": received - failed,
            "failed": failed,
            "retriable": 0,
            "non_retriable": failed,
        },
        "failed_events": [
            {"index": index, "reason": reason, "retriable": False}
            for index, reason in taken.refused
        ],
    }


def _body(request: HttpRequest, most: int) -> Any:
    length = request.headers.get("Content-Length", "")
    if length.isdecimal() and int(length) > most:
        raise Refused(413, f"longer than {most} bytes; send fewer or smaller events")
    return decode(request.read, encoding=request.headers.get("Content-Encoding", ""), most=most)
