"""What must be right before mail leaves for real readers: `manage.py check --deploy`.

The defaults are made for trying things on a laptop, and every one of them is refused here.
"""

from collections.abc import Iterator
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error

RESERVED_ENDINGS = (".example", ".test", ".invalid", ".localhost")  # RFC 2606
RESERVED_NAMES = ("example.com", "example.net", "example.org")


def check_production(**_options: object) -> list[CheckMessage]:
    return [*_site(), *_sender(), *_imprint()]


def _site() -> Iterator[CheckMessage]:
    if not settings.SITE_URL.startswith("https://"):
        yield Error(
            f"SITE_URL is {settings.SITE_URL}: one-click unsubscribe works over https only.",
            hint="SITE_URL=https://news.your-institute.org",
            id="iria.E001",
        )
    elif _is_reserved(urlsplit(settings.SITE_URL).hostname or ""):
        yield Error(
            f"SITE_URL is {settings.SITE_URL}, an address made for examples.",
            hint="SITE_URL=https://news.your-institute.org",
            id="iria.E002",
        )
    if settings.USES_MAIL_CATCHER:
        yield Error(
            "EMAIL_URL is not set: the local inbox keeps all mail, and shows it to everybody.",
            hint="EMAIL_URL=smtp+tls://user:password@mail.your-institute.org:587",
            id="iria.E003",
        )


def _sender() -> Iterator[CheckMessage]:
    local, _, domain = settings.MAIL_FROM.rpartition("@")
    if not local or _is_reserved(domain):
        yield Error(
            f'MAIL_FROM is "{settings.MAIL_FROM}", from which no reader can get mail.',
            hint="MAIL_FROM=news@your-institute.org",
            id="iria.E004",
        )
    if not _same_organisation(domain, settings.BOUNCE_DOMAIN):
        yield Error(
            f"BOUNCE_DOMAIN ({settings.BOUNCE_DOMAIN}) and the domain of MAIL_FROM ({domain}) "
            "belong to different organisations: mail would fail DMARC's test of SPF.",
            hint=f"BOUNCE_DOMAIN=bounces.{domain}",
            id="iria.E005",
        )


def _imprint() -> Iterator[CheckMessage]:
    """Every newsletter must show who sends it (rule M15)."""
    if not settings.LEGAL_NAME.strip():
        yield Error("LEGAL_NAME is empty, but every newsletter must show it.", id="iria.E006")
    address = settings.POSTAL_ADDRESS.strip()
    if not address or "Example City" in address:
        yield Error(
            f'POSTAL_ADDRESS is "{address}", but every newsletter must show a real one.',
            hint='POSTAL_ADDRESS="12 Your Street, 10115 Your City"',
            id="iria.E007",
        )
    local, _, domain = settings.CONTACT_ADDRESS.rpartition("@")
    if not local or _is_reserved(domain):
        yield Error(
            f'CONTACT_ADDRESS is "{settings.CONTACT_ADDRESS}", where no person reads.',
            hint="CONTACT_ADDRESS=editor@your-institute.org",
            id="iria.E008",
        )


def _is_reserved(domain: str) -> bool:
    """Whether no such domain can exist: made for examples, or without a dot."""
    name = domain.lower().rstrip(".")
    parent = ".".join(name.split(".")[-2:])
    return "." not in name or name.endswith(RESERVED_ENDINGS) or parent in RESERVED_NAMES


def _same_organisation(one: str, other: str) -> bool:
    """Whether the last two labels agree.

    Without the public suffix list, two strangers below co.uk pass. That is the safe side for a
    check which must not refuse a right setting.
    """
    return one.lower().split(".")[-2:] == other.lower().split(".")[-2:]
