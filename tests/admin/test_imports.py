"""The desk where files of readers come in, and where readers go out as a file."""

import csv
import io

import pytest
from django.contrib.admin.models import LogEntry
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from subscribers.importing import jobs
from subscribers.models import ImportState, Subscriber, SubscriberImport, Subscription
from tests import factories
from tests.admin import test_every_page

pytestmark = pytest.mark.django_db
ADD = "admin:subscribers_subscriberimport_add"
EXPORT = "admin:subscribers_subscriberimport_export"
LIST = "admin:subscribers_subscriberimport_changelist"
TEXT = (
    "email,consented_at,consent_source\n"
    "a@example.org,2026-05-04,paper form\n"
    "b@example.org,,\n"
    "mara.example.org,,\n"
)


@pytest.fixture(autouse=True)
def _own_folder(settings, tmp_path):
    settings.DATA_DIR = tmp_path
    factories.make_topic("Europe")


@pytest.fixture
def daily(db):
    return factories.make_newsletter("Daily")


@pytest.fixture
def importer(staff):
    return staff("subscribers.import_subscribers")


def upload(client: Client, newsletter, text: str = TEXT, **fields):
    file = SimpleUploadedFile("../../readers.csv", text.encode(), "text/csv")
    values = {"file": file, "newsletters": [newsletter.pk], "source": "a fair", "proof": "kept"}
    return client.post(reverse(ADD), values | fields)


def page(client: Client, job: SubscriberImport, name: str = "change") -> str:
    path = reverse(f"admin:subscribers_subscriberimport_{name}", args=[job.pk])
    return client.get(path).content.decode()


def work() -> SubscriberImport:
    while jobs.work():
        pass
    return SubscriberImport.objects.get()


def press(client: Client, job: SubscriberImport, name: str) -> str:
    path = reverse(f"admin:subscribers_subscriberimport_{name}", args=[job.pk])
    return client.post(path, follow=True).content.decode()


def test_a_file_is_checked_imported_and_taken_back(importer, daily):
    upload(importer, daily)
    job = SubscriberImport.objects.get()
    assert (job.state, job.name, job.created_by.username) == ("checking", "readers.csv", "mara")
    waiting = page(importer, job)
    assert "A worker reads the file." in waiting
    assert 'http-equiv="refresh"' in waiting

    job = work()
    looked = page(importer, job)
    assert "new, with proof of consent in the file" in looked
    assert "no @ sign" in looked
    assert "Import 2 readers" in looked
    assert 'http-equiv="refresh"' not in looked
    assert not Subscriber.objects.exists()

    asked = page(importer, job, "apply")
    assert "Import 2 readers of readers.csv?" in asked
    assert "1 row with proof of consent" in asked
    assert not Subscriber.objects.exists()
    assert "Importing 2 readers." in press(importer, job, "apply")
    job = work()
    assert Subscription.objects.count() == 2
    assert "It is imported." in page(importer, job)
    assert "Too late, nothing changed: the import is applied." in press(importer, job, "apply")

    asked = page(importer, job, "undo")
    assert "2 subscriptions will go" in asked
    assert "None stays." in asked
    assert "Taking it back." in press(importer, job, "undo")
    job = work()
    assert job.state == ImportState.UNDONE
    assert "2 subscriptions removed. None stays." in page(importer, job)
    assert not Subscriber.objects.exists()
    assert LogEntry.objects.count() == 3


def test_refused_rows_are_downloaded_with_their_reasons(importer, daily):
    upload(importer, daily)
    job = work()
    path = reverse("admin:subscribers_subscriberimport_refused", args=[job.pk])

    answer = importer.get(path)

    text = b"".join(answer.streaming_content).decode("utf-8-sig")
    [row] = csv.DictReader(io.StringIO(text))
    assert (row["email"], row["row"]) == ("mara.example.org", "4")
    assert answer["Content-Disposition"] == f'attachment; filename="refused-{job.pk}.csv"'
    SubscriberImport.objects.update(refused_path="")
    assert importer.get(path).status_code == 404


def test_a_file_that_is_none_says_so_on_its_page(importer, daily):
    upload(importer, daily, "email\n\0")
    job = work()

    assert "NUL bytes" in page(importer, job)
    assert "There is nothing to import: the import is failed." in page(importer, job, "apply")


def test_what_is_missing_on_the_form_is_told(importer, daily):
    answer = upload(importer, daily, source="")

    assert answer.status_code == 422
    assert not SubscriberImport.objects.exists()


def test_a_name_of_a_file_is_shown_as_text(importer, daily):
    file = SimpleUploadedFile("<script>.csv", TEXT.encode())
    upload(importer, daily, file=file)

    assert "<script>.csv" not in page(importer, work())


@pytest.mark.parametrize("name", ["change", "apply", "undo", "progress", "refused"])
def test_imports_are_for_those_with_the_right(name, staff, daily, admin_client):
    upload(admin_client, daily)
    work()
    stranger = staff("subscribers.view_subscriber", "subscribers.export_subscribers")
    job = SubscriberImport.objects.get()
    path = reverse(f"admin:subscribers_subscriberimport_{name}", args=[job.pk])

    assert stranger.get(path).status_code == 403
    assert stranger.post(path).status_code == 403
    assert stranger.get(reverse(ADD)).status_code == 403
    assert upload(stranger, daily).status_code == 403
    assert SubscriberImport.objects.get().state == ImportState.CHECKED


@pytest.mark.parametrize("applied", [False, True])
def test_opening_every_page_of_an_import_changes_no_row(applied, admin_client, daily):
    upload(admin_client, daily)
    job = work()
    if applied:
        jobs.apply(job)
        work()
    before = test_every_page.all_rows()

    for name in ("change", "apply", "undo", "progress", "refused"):
        path = reverse(f"admin:subscribers_subscriberimport_{name}", args=[job.pk])
        answer = admin_client.get(path)
        assert answer.status_code == 200
        if answer.streaming:
            b"".join(answer.streaming_content)  # or the file stays open
    assert admin_client.get(reverse(LIST)).status_code == 200

    assert test_every_page.all_rows() == before


def test_readers_go_out_as_a_file_that_is_streamed_and_remembered(staff, daily):
    reader = factories.make_subscriber("=cmd@example.org", name="=1+1")
    factories.make_subscription(daily, subscriber=reader)
    client = staff("subscribers.export_subscribers")

    assert "Export readers as CSV?" in client.get(reverse(EXPORT)).content.decode()
    answer = client.post(reverse(EXPORT), {"state": "active"})

    assert answer.streaming
    [row] = csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode("utf-8-sig")))
    assert (row["email"], row["name"]) == ("'=cmd@example.org", "'=1+1")
    assert "no-store" in answer["Cache-Control"]
    assert "@" not in LogEntry.objects.get().change_message


def test_the_export_is_for_those_with_the_right(importer):
    assert importer.get(reverse(EXPORT)).status_code == 403
    assert importer.post(reverse(EXPORT), {"state": "all"}).status_code == 403
