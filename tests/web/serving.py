"""The API in a process of its own: ``python -m tests.web.serving``, with its settings from the
environment. The first line it prints is JSON: where it listens, a token per role, and a case."""

from __future__ import annotations

import io
import json
import os
import sys
from datetime import timedelta
from pathlib import Path
from wsgiref.simple_server import WSGIRequestHandler, make_server

import django


class Quiet(WSGIRequestHandler):
    """Says nothing of each call."""

    def log_message(self, *args: object) -> None:
        """Nothing."""


def main() -> None:
    """Make everything that calls can be about, and serve until killed."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
    django.setup()
    from django.core.management import call_command
    from django.utils.timezone import localdate

    from config.wsgi import application
    from erasure.advance import Job, perform
    from erasure.domain.roles import ROLES
    from erasure.flow import complain, exempt, export, hold, identify, intake, letters
    from erasure.models import Expiry, ModelJob, Notice, StandingApproval
    from tests.flow.cast import OLGA
    from tests.scenarios.small_shop import EMAIL, make_shop
    from tests.web.api_cast import caller
    from tests.web.conftest import CATALOGUE, plan_of

    call_command("migrate", verbosity=0)
    os.environ["SHOP_URL"] = f"sqlite:///{make_shop(Path(os.environ['LETHE_HOME']) / 'shop.db')}"
    call_command("import_lineage", str(CATALOGUE), verbosity=0, stdout=io.StringIO())
    case = intake.open_request([("email", EMAIL)], by=OLGA, channel="api")
    plan_of(identify.confirm_identity(case, by=OLGA, method="rang back"))
    made = export.order_export(case, by=OLGA)
    perform(Job("gather", made.id))
    letter = letters.draft_letter(
        case, code="acknowledgment", language="en", blocks={}, to="", by=OLGA
    )
    notice = Notice.objects.create(request=case, dataset="partner.list", store="partner")
    held = hold.place_hold(
        datasets=["shop.orders"], code="legal_claims", legal_reference="Art. 17(3)(e)",
        because="claim 17", by=OLGA,
    )  # fmt: skip
    complaint = complain.open_complaint(because="nobody answers", law="uk", by=OLGA)
    over = Expiry.objects.create(dataset="shop.orders", store="shop_db", rows=1, sealed_keys=b"")
    standing = StandingApproval.objects.create(
        dataset="shop.orders", shape="s", most_rows=1, because="x", approved_by="x",
        approved_at=complaint.opened_at,
    )  # fmt: skip
    kept = exempt.add_exception(
        case, dataset="shop.orders", code="legal_claims", legal_reference="Art. 17(3)(e)",
        until=localdate() + timedelta(days=9), because="claim 17", by=OLGA,
    )  # fmt: skip
    plan_of(case)
    model = ModelJob.objects.create(dataset="shop.orders", store="shop_db")
    server = make_server("127.0.0.1", 0, application, handler_class=Quiet)
    told = {
        "url": f"http://127.0.0.1:{server.server_port}",
        "tokens": {role: caller(role).secret for role in ROLES} | {"nobody": caller().secret},
        "known": {"requests": str(case.pk), "exports": str(made.pk), "letters": str(letter.pk),
                  "notices": notice.pk, "complaints": str(complaint.pk), "holds": str(held.pk),
                  "retention": str(over.pk), "retention/standing": str(standing.pk),
                  "exceptions": str(kept.pk), "models": str(model.pk),
                  "catalogue/datasets": "shop.orders"},
    }  # fmt: skip
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main()
