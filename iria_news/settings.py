"""All settings, in reading order. Values come from the environment; the README explains each.

With nothing set, this is the embedded default: SQLite, a Valkey server on a unix socket and a
local mail catcher, all below DATA_DIR, started by `iria_news.supervisor`.
"""

from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from environs import Env, validate

from iria_news import environment
from iria_news.frame import unfold

BASE_DIR = Path(__file__).resolve().parent.parent

env = Env()

# --- where things are -------------------------------------------------------------------------
DATA_DIR = Path(env.str("DATA_DIR", str(BASE_DIR / "data"))).absolute()
RUN_DIR = environment.run_folder(DATA_DIR)  # sockets
PORT = environment.port(env.str("PORT", "8000"))
BIND = env.str("BIND", "127.0.0.1")  # where the web server of the one-machine default listens
SITE_URL = environment.site_url(env.str("SITE_URL", f"http://localhost:{PORT}"))
IS_HTTPS = SITE_URL.startswith("https://")

# --- secrets ----------------------------------------------------------------------------------
DEBUG = env.bool("DEBUG", False)
SECRET_KEY = env.str("SECRET_KEY", "") or environment.kept_secret(DATA_DIR, "secret-key")
SECRET_KEY_FALLBACKS: list[str] = env.list("SECRET_KEY_FALLBACKS", [])
# Signs Message-IDs, return paths and the links in mails. Of its own, so that a change of
# SECRET_KEY neither breaks an unsubscribe link nor changes the Message-ID of a retry.
MESSAGE_KEY_SECRET = env.str("MESSAGE_KEY_SECRET", "") or environment.kept_secret(
    DATA_DIR, "message-key-secret"
)
MESSAGE_KEY_FALLBACKS: list[str] = env.list("MESSAGE_KEY_FALLBACKS", [])
ALLOWED_HOSTS = [
    urlsplit(SITE_URL).hostname,
    "localhost",
    "127.0.0.1",
    "[::1]",
    *env.list("ALLOWED_HOSTS", []),
]
CSRF_TRUSTED_ORIGINS = [SITE_URL]

# --- the publication --------------------------------------------------------------------------
SITE_NAME = environment.one_line("SITE_NAME", env.str("SITE_NAME", "IRIA News"))
LEGAL_NAME = environment.one_line(
    "LEGAL_NAME", env.str("LEGAL_NAME", "IRIA, International Relations Insights & Analysis")
)
POSTAL_ADDRESS = environment.one_line(
    "POSTAL_ADDRESS", env.str("POSTAL_ADDRESS", "14 Harbour Street, 10500 Example City")
)
CONTACT_ADDRESS = environment.mailbox(
    "CONTACT_ADDRESS", env.str("CONTACT_ADDRESS", "editor@ir-ia.example")
)
# How long consent events of somebody who left are kept: a month is what Japan's law asks for.
CONSENT_KEPT_DAYS = env.int("CONSENT_KEPT_DAYS", 31, validate=validate.Range(min=1))
# Hosts besides our own whose pictures pages and mails may show.
IMAGE_HOSTS: list[str] = env.list("IMAGE_HOSTS", [])
# Sites that may show the small sign-up form in a frame (docs/embedding.md).
EMBED_ORIGINS = environment.origins("EMBED_ORIGINS", env.list("EMBED_ORIGINS", []))

# --- outgoing mail ----------------------------------------------------------------------------
MAIL_FROM = environment.mailbox(
    "MAIL_FROM", env.str("MAIL_FROM", "news@ir-ia.example")
)  # address only; the name is SITE_NAME's
MAIL_DOMAIN = environment.mail_domain(
    "MAIL_DOMAIN", env.str("MAIL_DOMAIN", MAIL_FROM.rpartition("@")[2])
)  # Message-ID, List-Id
BOUNCE_DOMAIN = environment.mail_domain(
    "BOUNCE_DOMAIN", env.str("BOUNCE_DOMAIN", MAIL_DOMAIN)
)  # return path; same organisation as From
EMAIL_URL = env.str("EMAIL_URL", "")
USES_MAIL_CATCHER = not EMAIL_URL
INBOX_DIR = DATA_DIR / "inbox"  # one .eml file for each caught message
SUBMISSION_SERVERS = environment.submission_servers(
    EMAIL_URL,
    env.str("SUBMISSION_SERVERS", ""),  # more of them, for newsletters to choose
    RUN_DIR,
    # What the query of a server's URL may set for that server alone.
    {
        "connections": env.int("SMTP_CONNECTIONS_PER_WORKER", 4, validate=validate.Range(min=1)),
        "messages_each": env.int(
            "SMTP_MESSAGES_PER_CONNECTION", 100, validate=validate.Range(min=1)
        ),
        "rate": env.float("SMTP_RATE", 0.0, validate=validate.Range(min=0)),
        "burst": env.int("SMTP_BURST", 1, validate=validate.Range(min=1)),
        "per_day": env.int("SMTP_PER_DAY", 0, validate=validate.Range(min=0)),
    },
)
# Providers' HTTP interfaces, for servers whose URL is backend://anymail... (docs/transports.md)
ANYMAIL = env.json("ANYMAIL", {})
if not isinstance(ANYMAIL, dict):
    raise environment.Misconfigured('ANYMAIL is no JSON object, such as {"RESEND_API_KEY": "..."}.')
# How long a worker may be silent before its batches are taken back. Renewed at every commit.
LEASE_SECONDS = env.int("LEASE_SECONDS", 60, validate=validate.Range(min=3))
SENDING_WORKERS = env.int(
    "SENDING_WORKERS", 2, validate=validate.Range(min=1)
)  # processes of the one-machine default
# How many mails a reader gets on one day, all newsletters together; 0 is no limit.
MAILS_PER_READER_AND_DAY = env.int("MAILS_PER_READER_AND_DAY", 0, validate=validate.Range(min=0))

# --- database ---------------------------------------------------------------------------------
DATABASE_URL = env.str("DATABASE_URL", "")
environment.check_database_url(DATABASE_URL)
DATABASES = {"default": env.dj_db_url("DATABASE_URL", f"sqlite:///{DATA_DIR / 'iria.sqlite3'}")}
IS_SQLITE = DATABASES["default"]["ENGINE"].endswith("sqlite3")
if IS_SQLITE:
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,  # seconds to wait for the writer before us
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }
else:
    # A process frozen in mid-transaction gives up its locks before its lease runs out.
    _options = DATABASES["default"].setdefault("OPTIONS", {})
    # A host that is gone without a word is noticed before the lease is over.
    for _name, _value in {
        "connect_timeout": 5,  # seconds
        "tcp_user_timeout": 30_000,  # milliseconds
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
    }.items():
        _options.setdefault(_name, _value)
    _options["options"] = (
        f"{_options.get('options', '')} "
        f"-c idle_in_transaction_session_timeout={LEASE_SECONDS * 500}"
    ).strip()
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Redis: broker and short-lived counters, never anything that must survive -------------------
REDIS_URL, CELERY_BROKER_URL = environment.redis_urls(env.str("REDIS_URL", ""), RUN_DIR)
USES_EMBEDDED_VALKEY = not env.str("REDIS_URL", "")
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "iria",
        # Seconds. A Redis that does not answer costs limits on sign-ups, not the sign-up.
        "OPTIONS": {"socket_timeout": 1, "socket_connect_timeout": 1},
    }
}

# --- Celery: rings doorbells; the rows are the truth (docs/architecture.md) ---------------------
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = False  # the lease does this job better
CELERY_TASK_REJECT_ON_WORKER_LOST = False
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_TIME_LIMIT = 900  # seconds; more than the 600 a server may take for the final dot
CELERY_TASK_PUBLISH_RETRY_POLICY = {"max_retries": 3, "interval_start": 0, "interval_max": 1}
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_DISABLE_PREFETCH = True
CELERY_WORKER_MAX_TASKS_PER_CHILD = 50
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 30  # seconds
CELERY_WORKER_ENABLE_SOFT_SHUTDOWN_ON_IDLE = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "socket_timeout": 15,
    "socket_connect_timeout": 5,
    "socket_keepalive": CELERY_BROKER_URL.startswith("redis"),
    "health_check_interval": 25,
    "global_keyprefix": "iria-",
    "visibility_timeout": 3600,
}
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_ROUTES = {
    "mailer.tasks.tick": {"queue": "tick"},  # short; finds and rings everything else
    "mailer.tasks.freeze": {"queue": "freeze"},  # writes down an audience
    "mailer.tasks.render": {"queue": "render"},  # builds one cohort's message
    "mailer.tasks.send": {"queue": "send"},  # holds SMTP connections, up to 90 s
    "subscribers.webhooks.tasks.*": {"queue": "webhooks"},  # waits for other people's servers
    "subscribers.tasks.*": {"queue": "confirm"},  # a person is waiting; never behind an edition
}
TICK_SECONDS = env.int("TICK_SECONDS", 5, validate=validate.Range(min=1))
CELERY_BEAT_SCHEDULE = {
    "tick": {
        "task": "mailer.tasks.tick",
        "schedule": timedelta(seconds=TICK_SECONDS),
        "options": {"expires": 2 * TICK_SECONDS},  # a late tick is worth nothing
    },
    "housekeep": {
        "task": "subscribers.tasks.housekeep",
        "schedule": timedelta(hours=1),
    },
    "forget-old-hours": {
        "task": "mailer.tasks.forget_old_hours",
        "schedule": timedelta(hours=1),
    },
}

# --- the web side -----------------------------------------------------------------------------
INSTALLED_APPS = [
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "csp",
    "iria_news.frame",
    "iria_news.articles",
    "iria_news.inbox",
    "subscribers",
    "mailer",
]
MIDDLEWARE = [
    "subscribers.api.cors.cors",
    "iria_news.api.door.door",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "iria_news.frame.admin_policy.admin_policy",
    "iria_news.frame.language.language",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "iria_news.urls"
WSGI_APPLICATION = "iria_news.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "iria_news.frame.context.site",
            ],
            "builtins": ["django.templatetags.i18n", "iria_news.frame.templatetags.words"],
        },
    },
]
STATIC_URL = "/static/"
STATIC_ROOT = DATA_DIR / "static"
MEDIA_URL = "/media/"
MEDIA_ROOT = DATA_DIR / "media"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
LANGUAGE_CODE = "en"  # what the code says, and what everybody gets who asks for nothing we have
# What readers are spoken to in. Each but English has a catalogue (docs/languages.md).
LANGUAGES = [("en", "English"), ("de", "Deutsch")]
LOCALE_PATHS = [BASE_DIR / "locale"]
FORMAT_MODULE_PATH = "iria_news.frame.formats"
TIME_ZONE = "UTC"
USE_TZ = True
UNFOLD: dict[str, Any] = unfold.UNFOLD  # how the admin presents itself
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"  # unfold's login without ?next= would go to /accounts/profile/
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

# --- security headers and cookies ---------------------------------------------------------------
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = IS_HTTPS
SESSION_COOKIE_NAME = "__Host-session" if IS_HTTPS else "session"
CSRF_COOKIE_NAME = "__Host-csrf" if IS_HTTPS else "csrf"
CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SECURE_SSL_REDIRECT = IS_HTTPS and env.bool("SECURE_SSL_REDIRECT", True)
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]  # asked from inside, without TLS
SECURE_HSTS_SECONDS = 31_536_000 if IS_HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = IS_HTTPS
SECURE_REFERRER_POLICY = "same-origin"
SECURE_PROXY_SSL_HEADER = (
    ("HTTP_X_FORWARDED_PROTO", "https") if env.bool("BEHIND_TLS_PROXY", False) else None
)
# How many proxies of our own stand before us: that many entries of X-Forwarded-For are true.
TRUSTED_PROXIES = env.int("TRUSTED_PROXIES", 0, validate=validate.Range(min=0))
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'none'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", *(f"https://{host}" for host in IMAGE_HOSTS)],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
    }
}

# --- logs: to standard error; ids only, never an address -----------------------------------------
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "filters": {"no_tokens": {"()": "iria_news.frame.log_privacy.MaskTokens"}},
    "handlers": {
        "stderr": {
            "class": "logging.StreamHandler",
            "formatter": "plain",
            "filters": ["no_tokens"],
        }
    },
    "root": {"handlers": ["stderr"], "level": env.str("LOG_LEVEL", "INFO")},
    "loggers": {"django.server": {"handlers": ["stderr"], "propagate": False}},
}
