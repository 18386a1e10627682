"""What is done with a case of the fixed cast: identify, plan, approve, run."""

from __future__ import annotations

from erasure.advance import Job, due_jobs, finish_keys, perform
from erasure.flow import decide, identify, intake, planning
from erasure.models import ErasureRequest, LedgerLeaf
from tests.flow.cast import APPROVER, OFFICER


def identified(*identifiers: tuple[str, str]) -> ErasureRequest:
    """A case of which it is known who asks."""
    request = intake.open_request(identifiers, by=OFFICER)
    return identify.confirm_identity(request, by=OFFICER, method="mailbox confirmed")


def planned(*emails: str) -> ErasureRequest:
    """A case with a plan to decide on; the emails are one person's."""
    request = identified(*(("email", email) for email in emails))
    planning.make_plan(request, by=OFFICER)
    return request


def approved(*emails: str) -> ErasureRequest:
    """A case whose plan was approved."""
    request = planned(*emails)
    plan = request.plans.get(state="draft")
    decide.approve_plan(request, digest=plan.digest, by=APPROVER)
    return request


def started(*requests: ErasureRequest) -> ErasureRequest:
    """The run of these cases is opened: found and sealed, nothing touched. Returns the first."""
    perform(Job("advance", requests[0].id))
    for request in requests:
        request.refresh_from_db()
        assert request.state == "executing", request.state
    return requests[0]


def act(request: ErasureRequest, store: str = "shop_db") -> None:
    """The run acts on one store."""
    assert request.run_id is not None
    perform(Job("act", request.run_id, store))


def work_off(*requests: ErasureRequest) -> None:
    """Carry the cases as far as they go, the way a worker does."""
    waiting = [Job("advance", request.id) for request in requests]
    for _ in range(200):
        if not waiting:
            break
        waiting += perform(waiting.pop(0))
    else:
        raise AssertionError("the jobs never end")
    for request in requests:
        request.refresh_from_db()


def sweep() -> None:
    """What beat does, until it finds nothing more to do: a round writes down whatever it moves."""
    for _ in range(20):
        written = LedgerLeaf.objects.count()
        finish_keys()
        jobs = list(due_jobs())
        while jobs:
            jobs += perform(jobs.pop(0))
        if LedgerLeaf.objects.count() == written:
            return
    raise AssertionError("the sweep never ends")
