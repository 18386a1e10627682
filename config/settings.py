"""Settings: from the environment only; docs/settings.md lists every variable."""

from __future__ import annotations

import os
from datetime import timedelta

from celery.schedules import crontab

from config import environment as env

PRODUCTION = env.choice("LETHE_ENV", "development", ("development", "production")) == "production"
DEBUG = env.choice("LETHE_DEBUG", "0", ("0", "1")) == "1" and not PRODUCTION
BASE_DIR = env.ROOT
LETHE_HOME = env.home()

SECRET_KEY = env.secret("LETHE_SECRET_KEY", production=PRODUCTION, home=LETHE_HOME)
# Fernet keys, newest first: they wrap the data keys of the cases.
LETHE_MASTER_KEYS = env.keys("LETHE_MASTER_KEYS", production=PRODUCTION, home=LETHE_HOME)
# Ed25519 seed, url-safe base64 of 32 bytes: signs certificates and tree heads.
LETHE_SIGNING_KEY = env.key("LETHE_SIGNING_KEY", production=PRODUCTION, home=LETHE_HOME)
# Keyed hashes of the suppression entries and of row keys.
LETHE_HASH_KEY = env.key("LETHE_HASH_KEY", production=PRODUCTION, home=LETHE_HOME)

LETHE_CONTROLLER = os.environ.get("LETHE_CONTROLLER", "the controller of this installation")
# What letters say: how to reach the controller or its data protection officer, and which authority
# people can complain to. The first language is used unless another is chosen.
LETHE_CONTACT = os.environ.get("LETHE_CONTACT", "")
LETHE_AUTHORITY = os.environ.get("LETHE_AUTHORITY", "")
LETHE_LANGUAGES = env.languages("LETHE_LANGUAGES")
# Where the controller is, for its public holidays: DE, DE-BY, GB-ENG.
LETHE_ESTABLISHMENT = env.establishment("LETHE_ESTABLISHMENT")
# A confirmed mailbox proves the address and no more; 1: it is searched by without an officer.
LETHE_MAILBOX_SUFFICES = env.choice("LETHE_MAILBOX_SUFFICES", "0", ("0", "1")) == "1"
# A plan that touches more rows than this is accepted on its own: no person has that many.
LETHE_MOST_ROWS = env.whole("LETHE_MOST_ROWS", 50_000)
# Canaries: the installation's function that plants synthetic people, how many, and how often.
LETHE_CANARY_PLANT = os.environ.get("LETHE_CANARY_PLANT", "")
LETHE_CANARY_PEOPLE = env.whole("LETHE_CANARY_PEOPLE", 3, high=100)
LETHE_CANARY_DAYS = env.whole("LETHE_CANARY_DAYS", 30, high=366)
# The controller's page that a link in a mail opens, with {token} in its address.
LETHE_CONFIRM_URL = env.page("LETHE_CONFIRM_URL")
LETHE_LINK_HOURS = env.whole("LETHE_LINK_HOURS", 72, high=24 * 30)
# Public key (PEM) of the controller's own login, which may vouch for people.
LETHE_ACCOUNT_KEY = env.public_key("LETHE_ACCOUNT_KEY")
# For how many months after its end the reasoning of a case can be read (11 CCR 7101: 24).
LETHE_RECORD_MONTHS = env.whole("LETHE_RECORD_MONTHS", 36, low=24, high=1200)
# For how many days an export can be fetched before it is destroyed and the erasure goes on.
LETHE_EXPORT_DAYS = env.whole("LETHE_EXPORT_DAYS", 14, high=90)
LETHE_LGPD_DAYS = env.whole("LETHE_LGPD_DAYS", 15, high=365)
# Whoever opened a request may not approve its plan.
LETHE_FOUR_EYES = env.choice("LETHE_FOUR_EYES", "1", ("0", "1")) == "1"
ALLOWED_HOSTS = env.listed("LETHE_HOSTS") or ([] if PRODUCTION else ["localhost", "127.0.0.1"])
CSRF_TRUSTED_ORIGINS = env.listed("LETHE_ORIGINS")

INSTALLED_APPS = [
    "erasure",  # first: its runserver brings a worker along
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "lineage",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
DATABASES = {"default": env.database("DATABASE_URL", LETHE_HOME)}
globals().update(env.mail("LETHE_MAIL_URL", wanted_by="LETHE_DIGEST_TO"))
DEFAULT_FROM_EMAIL = SERVER_EMAIL = os.environ.get("LETHE_MAIL_FROM") or "lethe@localhost"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
    )
]

LANGUAGE_CODE = "en"
FORMAT_MODULE_PATH = "config.formats"
# Days of receipt and deadlines are those of the controller's own zone.
TIME_ZONE = env.zone("LETHE_TIME_ZONE", "UTC")
USE_TZ = True
STATIC_URL = "static/"
STATIC_ROOT = LETHE_HOME / "static"
MEDIA_ROOT = LETHE_HOME / "media"

CELERY_BROKER_URL = env.broker("CELERY_BROKER_URL")
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
# A worker takes all of these unless it is started with -Q; for a third party's store kind start
# one with -Q store.KIND.
CELERY_TASK_QUEUES: dict[str, dict[str, str]] = {
    name: {}
    for name in (
        "celery",
        "training",
        "store.memory",
        "store.sql",
        "store.files",
        "store.logs",
        "store.backups",
        "store.model_registry",
        "store.mlflow",
        "store.manual",
    )
}
LETHE_SWEEP_SECONDS = env.whole("LETHE_SWEEP_SECONDS", 60)
# For how long at most a case waits for the re-scan of stores that are scanned by schedule.
LETHE_RESCAN_HOURS = env.whole("LETHE_RESCAN_HOURS", 24, low=0)
# Who gets the daily digest of what is due, and at which hour of the controller's day.
LETHE_DIGEST_TO = env.listed("LETHE_DIGEST_TO")
LETHE_DIGEST_HOUR = env.whole("LETHE_DIGEST_HOUR", 7, low=0, high=23)
# How many rows past their date go from a dataset in a day, 20,000 in a plan.
LETHE_RETENTION_ROWS = env.whole("LETHE_RETENTION_ROWS", 200_000, low=1, high=2_000_000_000)
# For how long after a run began an officer may undo it; longer than the law's month helps nobody.
LETHE_UNDO_WINDOW = env.span("LETHE_UNDO_WINDOW", longest=timedelta(days=30))
LETHE_LEASE_SECONDS = env.whole("LETHE_LEASE_SECONDS", 300, low=5)
# Where runs of erasures are told of as OpenLineage events: Marquez or another backend.
LETHE_OPENLINEAGE_URL = env.web_address("LETHE_OPENLINEAGE_URL")
LETHE_OPENLINEAGE_KEY = os.environ.get("LETHE_OPENLINEAGE_KEY", "")
# Stored lineage events go after so many days, what was learnt from them stays; 0: never.
LETHE_EVENT_DAYS = env.whole("LETHE_EVENT_DAYS", 400, low=0, high=36_500)
# Hosts on networks of our own that webhooks and recipes may call; others must be public.
LETHE_INTERNAL_HOSTS = env.listed("LETHE_INTERNAL_HOSTS")
CELERY_TIMEZONE = TIME_ZONE
CELERY_BEAT_SCHEDULE = {
    "canaries": {"task": "erasure.tasks.canaries_of_the_hour", "schedule": 3600.0},
    "sweep": {"task": "erasure.tasks.sweep", "schedule": LETHE_SWEEP_SECONDS},
    "lineage": {"task": "lineage.tasks.sweep", "schedule": LETHE_SWEEP_SECONDS},
    "digest": {
        "task": "erasure.tasks.digest_of_the_day",
        "schedule": crontab(minute="0", hour=str(LETHE_DIGEST_HOUR)),
    },
}


REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["erasure.api.door.Bearer"],
    "DEFAULT_PERMISSION_CLASSES": ["erasure.api.door.MayDo"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["erasure.api.reading.Shallow"],
    "DEFAULT_PAGINATION_CLASS": "erasure.api.pages.ByDay",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "erasure.api.problems.answer",
    "URL_FORMAT_OVERRIDE": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Lethe",
    "DESCRIPTION": "Requests to be forgotten, from receipt to certificate.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_ADD_EXPLICIT_BLANK_NULL_CHOICE": False,
    "POSTPROCESSING_HOOKS": ["erasure.api.schema.add_problems"],
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
}

X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
if PRODUCTION:
    SECURE_SSL_REDIRECT = True
    SECURE_HSTS_SECONDS = 31_536_000
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    SESSION_COOKIE_SECURE = True
    CSRF_COOKIE_SECURE = True
