"""A newsroom with a row of everything that the admin shows, and staff with chosen rights."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from django.conf import settings as configured
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone
from playwright.sync_api import BrowserContext, sync_playwright

from mailer.models import DeliveryEvent, Edition, EventKind, Pulse
from subscribers import consent, suppression
from subscribers.models import (
    ConsentKind,
    Newsletter,
    ServiceMail,
    ServiceMailKind,
    Subscriber,
    SuppressionReason,
)
from subscribers.webhooks import endpoints
from tests import factories
from tests.mailer import editions as ways

CHROMIUM = next(filter(None, map(shutil.which, ["chromium", "chromium-browser"])), None)


@dataclass
class Newsroom:
    newsletter: Newsletter
    subscriber: Subscriber
    edition: Edition  # sending


def fill(*, readers: int = 3) -> Newsroom:
    topic = factories.make_topic("Europe")
    newsletter = factories.make_newsletter("IRIA Daily", zone="Europe/Berlin")
    for number in range(readers):
        subscriber = factories.make_subscriber(f"reader{number}@example.org")
        factories.make_subscription(newsletter, subscriber=subscriber, topics=[topic])
    factories.make_article("Cable ships", topics=[topic])
    edition = ways.sending(newsletter)
    consent.record(subscriber, ConsentKind.CONFIRMED, wording=consent.CONFIRM, source="/confirm/")
    ServiceMail.objects.create(subscriber=subscriber, kind=ServiceMailKind.CONFIRMATION)
    DeliveryEvent.objects.create(
        edition=edition, subscriber=subscriber, kind=EventKind.DEFERRED, code="451", text="Later"
    )
    suppression.suppress("0" * 64, SuppressionReason.COMPLAINT)
    by, _ = User.objects.get_or_create(username="tom", is_staff=True)
    endpoint = endpoints.create(
        name="CRM", url="https://hooks.example.org/", events=["edition.sent"], by=by
    )
    endpoints.test(endpoint)
    Pulse.objects.create(name="tick", at=timezone.now())
    return Newsroom(newsletter, subscriber, edition)


@pytest.fixture
def newsroom(db: None) -> Newsroom:
    return fill()


@pytest.fixture
def staff(db: None) -> Callable[..., Client]:
    """A logged-in member of staff with the named permissions and no others."""

    def log_in(*permissions: str) -> Client:
        user = User.objects.create(username="mara", is_staff=True)
        for permission in permissions:
            app, codename = permission.split(".")
            user.user_permissions.add(
                Permission.objects.get(content_type__app_label=app, codename=codename)
            )
        client = Client()
        client.force_login(user)
        return client

    return log_in


@dataclass
class Desk:
    browser: BrowserContext
    newsroom: Newsroom


@pytest.fixture
def desk(live_server, admin_client, settings) -> Iterator[Desk]:
    """A browser that is logged in. Rows and session are made before it starts: beside its loop
    Django would open a second connection for this thread, and leave it open.
    """
    newsroom = fill()
    session = admin_client.cookies[configured.SESSION_COOKIE_NAME].value
    settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME = "session", "csrf"
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = False  # it speaks http
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = browser.new_context(base_url=live_server.url)
        context.add_cookies([{"name": "session", "value": session, "url": live_server.url}])
        yield Desk(context, newsroom)
        browser.close()
