"""django-newsletter's own submission of one message, in its own environment. Knows nothing of ours.

Run by `contenders.django_newsletter` with the Python of build/django-newsletter. It takes the
application as it comes, with one connection for each message and no pause between messages; prints
one line of JSON.
"""

import json
import sys
import time
from argparse import ArgumentParser, Namespace
from typing import Any

import django
from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.urls import include, path

SENTENCE = "A sentence of ordinary length that stands for what an editor would have written. "
CLOSE_ENOUGH = 0.01  # of the asked length


def main() -> int:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--recipients", type=int, required=True)
    parser.add_argument("--bytes", type=int, required=True, dest="size")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--database", required=True, help="path of an SQLite file to make")
    options = parser.parse_args()
    start_django(options)
    submission, length = prepared(options.recipients, options.size)
    began = time.perf_counter()
    submission.submit()
    seconds = time.perf_counter() - began
    said = {"messages_per_second": options.recipients / seconds, "message_bytes": length}
    sys.stdout.write(json.dumps(said) + "\n")
    return 0


def find(name: str) -> Any:
    return apps.get_model(name)


def start_django(options: Namespace) -> None:
    settings.configure(
        SECRET_KEY="only for measuring",  # noqa: S106  # nothing is signed with it
        INSTALLED_APPS=[
            *("django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sites"),
            *("sorl.thumbnail", "newsletter"),
        ],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": options.database}},
        TEMPLATES=[
            {"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}
        ],
        EMAIL_HOST=options.host,
        EMAIL_PORT=options.port,
        ROOT_URLCONF=__name__,  # `urlpatterns` below
        NEWSLETTER_THUMBNAIL="sorl-thumbnail",
        NEWSLETTER_USE_HTTPS=True,
        SITE_ID=1,
        USE_TZ=True,
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    )
    django.setup()
    urlpatterns.append(path("newsletter/", include("newsletter.urls")))
    call_command("migrate", verbosity=0)


def prepared(recipients: int, size: int) -> tuple[Any, int]:
    """A submission to so many, and the length of its message: text and HTML, as asked for."""
    # Any: this environment does not have them, and so no types either.
    models: dict[str, Any] = {name: find(f"newsletter.{name}") for name in NAMES}
    newsletter = models["Newsletter"].objects.create(
        title="Bench", slug="bench", email="news@bench.invalid", sender="Bench", send_html=True
    )
    newsletter.site.set(find("sites.Site").objects.all())
    models["Subscription"].objects.bulk_create(
        models["Subscription"](
            newsletter=newsletter,
            name_field="",
            email_field=f"reader{number}@bench.invalid",
            subscribed=True,
        )
        for number in range(1, recipients + 1)
    )
    message = models["Message"].objects.create(title="Bench", slug="bench", newsletter=newsletter)
    article = models["Article"].objects.create(
        post=message, sortorder=10, title="An article", text=SENTENCE
    )
    submission = models["Submission"].from_message(message)
    reader = models["Subscription"].objects.first()
    length = len(submission.get_message(reader).message().as_bytes())
    for _ in range(20):
        if abs(length - size) < CLOSE_ENOUGH * size:
            break
        sentences = len(article.text) // len(SENTENCE)
        article.text = SENTENCE * max(1, round(sentences * size / length))
        article.save()
        length = len(submission.get_message(reader).message().as_bytes())
    return submission, length


NAMES = ("Newsletter", "Subscription", "Message", "Article", "Submission")
urlpatterns: list[object] = []

if __name__ == "__main__":
    sys.exit(main())
