"""The only Celery file here: a task takes an id, calls one function, enqueues what follows.

The database is the truth and knows what is due; losing the broker loses nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from uuid import UUID

from celery import Task, shared_task
from celery.app import app_or_default
from celery.worker import WorkController
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from erasure import canaries
from erasure.advance import ATTEMPTS, Job, due_jobs, finish_keys, follow_up, give_up, perform
from erasure.domain.errors import StoreError
from erasure.flow import digest, tell_lineage
from lineage import tasks as lineage_tasks

TRAINING = "training"


def enqueue(job: Job) -> None:
    """Send a job once the current transaction has committed. Ids only."""
    if job.name == "act":
        message = act_on_store.s(str(job.id), job.store, job.kind).set(queue=queue_of(job.kind))
    elif job.name == "train":
        message = train_model.s(str(job.id)).set(queue=TRAINING)
    elif job.name == "send":
        message = send_letter.s(str(job.id))
    elif job.name == "gather":
        message = gather_export.s(str(job.id))
    elif job.name == "tell":
        message = tell_recipient.s(str(job.id))
    elif job.name == "look":
        message = look_for_expired.s(str(job.id))
    elif job.name == "expire":
        message = erase_expired.s(str(job.id))
    else:
        message = advance.s(str(job.id))
    # A broker that is down loses nothing: the sweep finds what is due.
    transaction.on_commit(message.delay, robust=True)


def queue_of(kind: str) -> str:
    """One queue per store kind; trainings have another, so that they never delay deletion."""
    return f"store.{kind}"


@shared_task(bind=True, max_retries=ATTEMPTS)
def advance(self: Task[[str], None], request_id: str) -> None:
    """Move a request one step on."""
    _carry_out(self, Job("advance", UUID(request_id)))


@shared_task(bind=True, max_retries=ATTEMPTS)
def act_on_store(self: Task[[str, str, str], None], run_id: str, store: str, kind: str) -> None:
    """Carry out a run's batches in one store."""
    _carry_out(self, Job("act", UUID(run_id), store, kind))


@shared_task(bind=True, max_retries=ATTEMPTS)
def train_model(self: Task[[str], None], job_id: str) -> None:
    """Forget everybody who waits for a model's job."""
    _carry_out(self, Job("train", UUID(job_id)))


@shared_task
def send_letter(letter_id: str) -> None:
    """Send a letter on whose sender died, or whose mail server was away."""
    perform(Job("send", UUID(letter_id)))


@shared_task(bind=True, max_retries=ATTEMPTS)
def gather_export(self: Task[[str], None], export_id: str) -> None:
    """Gather a person's data for them."""
    _carry_out(self, Job("gather", UUID(export_id)))


@shared_task
def tell_recipient(call_id: str) -> None:
    """Tell a recipient by webhook."""
    perform(Job("tell", UUID(call_id)))


@shared_task(bind=True, max_retries=ATTEMPTS)
def look_for_expired(self: Task[[str], None], look_id: str) -> None:
    """Plan what is past its date in one dataset."""
    _carry_out(self, Job("look", UUID(look_id)))


@shared_task(bind=True, max_retries=ATTEMPTS)
def erase_expired(self: Task[[str], None], expiry_id: str) -> None:
    """Let go what is past its date, as approved."""
    _carry_out(self, Job("expire", UUID(expiry_id)))


@shared_task
def sweep() -> None:
    """Beat: enqueue whatever is due, in case its message was lost."""
    finish_keys()
    for job in due_jobs():
        enqueue(job)
    tell_lineage.tell_runs()


@shared_task
def canaries_of_the_hour() -> None:
    """Beat: begin a round of synthetic people where one is due, or go on with the open one."""
    canaries.go_on()


@shared_task
def digest_of_the_day() -> None:
    """Beat: tell the officers what is due."""
    digest.send_digest(timezone.now())


def _carry_out(task: Task[..., None], job: Job) -> None:
    try:
        following = perform(job)
    except StoreError as error:
        if task.request.retries < ATTEMPTS:
            raise task.retry(countdown=2**task.request.retries, exc=None) from None
        give_up(job, f"{error} (tried {ATTEMPTS} times)")
        following = follow_up(job)
    for next_job in following:
        enqueue(next_job)


@contextmanager
def embedded_worker(*, threads: int = 4, sweep: bool = False) -> Iterator[None]:
    """A worker inside this process, on the memory transport: what one machine needs.

    Its broker dies with the process; the database knows what was due and the sweep sends it again:
    the caller's, or with ``sweep`` one that is run here as beat would.
    """
    app = app_or_default(None)
    app.conf.broker_transport_options = {"polling_interval": 0.02}
    worker = WorkController(
        app=app,
        pool="threads",
        concurrency=threads,
        prefetch_multiplier=16,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    )
    thread = Thread(target=worker.start, name="embedded-worker", daemon=True)
    thread.start()
    over = Event()
    if sweep:
        Thread(target=_sweep_until, args=(over,), name="embedded-beat", daemon=True).start()
    try:
        yield
    finally:
        over.set()
        worker.stop()
        thread.join(timeout=10)


def _sweep_until(over: Event) -> None:
    while True:
        sweep.delay()
        lineage_tasks.sweep.delay()
        if over.wait(settings.LETHE_SWEEP_SECONDS):
            return
