"""The only Celery file here: events that are stored are learnt from, our own are sent out.

The database knows what is waiting; a message only says that it is time to look.
"""

from __future__ import annotations

import logging
import time
from threading import Lock, Thread

from celery import shared_task

from lineage import hearing, outbox

# Events come in bursts: one message for all that come within so many seconds.
_PAUSE = 1.0
_log = logging.getLogger(__name__)
_lock = Lock()
_next = 0.0


@shared_task
def learn_from(digest: str) -> None:
    """Learn from the stored event of that digest, and from whatever else is waiting."""
    hearing.learn()


@shared_task
def send_out(outgoing_id: int) -> None:
    """Send one event of ours to the lineage backend."""
    outbox.send(outgoing_id)


@shared_task
def sweep() -> None:
    """Beat: whatever is waiting, in case its message was lost; and what has been kept for long
    enough goes."""
    hearing.let_go()
    digest = hearing.waiting()
    if digest:
        learn_from.delay(digest)
    for outgoing_id in outbox.due():
        send_out.delay(outgoing_id)


def wake(digest: str) -> None:
    """Have a worker look soon. On a thread of its own: a broker that is slow or down keeps no
    client waiting, and what it loses the sweep finds."""
    global _next
    with _lock:
        now = time.monotonic()
        if now < _next:
            return
        _next = now + _PAUSE
    Thread(target=_enqueue, args=(digest,), name="lineage-wake", daemon=True).start()


def _enqueue(digest: str) -> None:
    try:
        learn_from.apply_async((digest,), countdown=_PAUSE, retry=False)
    except learn_from.OperationalError:
        _log.warning("the broker is not there; the sweep finds what is waiting")
