"""Rows and files that cannot be used: the reason is told, the others come, files are kept safe."""

import csv
from datetime import timedelta

import pytest
from django.utils import timezone

from subscribers import erasure, retention, suppression
from subscribers.importing import jobs, keeping
from subscribers.models import (
    ImportState,
    Subscriber,
    SubscriberImport,
    Suppression,
    SuppressionReason,
)
from tests import factories
from tests.subscribers.test_importing import (
    PROVED,
    applied,
    checked,
    file_of,
    outcomes,
    uploaded,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _own_folder(settings, tmp_path):
    settings.DATA_DIR = tmp_path


@pytest.fixture
def daily(db):
    factories.make_topic("Europe")
    factories.make_topic("Asia")
    return factories.make_newsletter("Daily")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (",Nobody", "no address"),
        ("mara.example.org,", "no @ sign"),
        ("a@b@example.org,", "more than one @ sign"),
        ('"a@example.org\nBcc: b@example.org",', "a line break in the address"),
        ("a b@example.org,", "a blank in the address"),
        ("jürgen@example.org,", "letters before the @ that our mail server cannot reach"),
        ("a@localhost,", "an address that cannot be right"),
        (f"{'a' * 250}@example.org,", "an address that cannot be right"),
        (f"a@example.org,{'n' * 65}", "a name that is too long"),
        ("a@example.org,see http://evil.example", "a link in a name"),
        ("a@example.org,www.evil.example", "a link in a name"),
        ("a@example.org,eve\u202elive", "signs in a name that nobody sees"),
        ("a@example.org,eve\u2028x", "signs in a name that nobody sees"),
        ('a@example.org,"Eve\r\nBcc: all"', "signs in a name that nobody sees"),
        ("a@example.org,,tlh", "a language that is not in our list"),
        ("a@example.org,,,Asia/Tokio", "a time zone that is not in our list"),
        ("a@example.org,,,../../etc/passwd", "a time zone that is not in our list"),
        ("a@example.org,,,,24", "an hour that is none"),
        ("a@example.org,,,,-1", "an hour that is none"),
        ("a@example.org,,,,²", "an hour that is none"),
        ("a@example.org,,,,,nothing", "a newsletter that there is not"),
        ("a@example.org,,,,,,nothing", "a topic that there is not"),
    ],
)
def test_a_bad_row_is_refused_with_its_reason_and_the_others_come(row, reason, daily, caplog):
    head = "email,name,language,zone,hour,newsletter,topics"
    job = applied(file_of("good@example.org,Good", row, head=head), daily)

    assert job.counts["reasons"] == {reason: 1}
    assert job.counts["examples"] == {reason: [3]}
    assert outcomes(job) == {"asked": 1, "refused": 1}
    assert Subscriber.objects.get().address == "good@example.org"
    assert "@" not in caplog.text


def test_refused_rows_come_back_mended(daily):
    job = checked(
        file_of("mara.example.org,=1+1", "good@example.org,Good", head="email,name"), daily
    )

    path = keeping.folder() / job.refused_path
    with path.open(encoding="utf-8-sig", newline="") as file:
        head, row = csv.reader(file)
    assert head == ["email", "name", "row", "refused because"]
    assert row[:3] == ["mara.example.org", "'=1+1", "2"]
    assert "has no @ sign" in row[3]
    assert path.stat().st_mode & 0o777 == 0o600
    mended = path.read_text(encoding="utf-8-sig").replace("mara.", "mara@")
    assert outcomes(checked(mended, daily)) == {"asked": 1}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "It is empty."),
        ("name\nMara", "No column is called “email”"),
        ("email\n", "no reader below it"),
        (b"email\na@example.org\0", "NUL"),
        ('email\n"a@example.org', "quotes of row 2"),
        (b"email,name\na@example.org,\xed\xa0\x80\n", "lone surrogates"),
    ],
)
def test_a_file_that_cannot_be_read_fails_with_a_sentence(text, sentence, daily):
    job = checked(text, daily)

    assert job.state == ImportState.FAILED
    assert sentence in job.error
    assert not Subscriber.objects.exists()


def test_a_file_that_breaks_in_its_midst_fails_before_anything_is_written(daily, monkeypatch):
    monkeypatch.setattr("subscribers.importing.pages.PAGE", 1)
    job = checked(file_of(f"a@example.org,{PROVED}", '"never closed'), daily)

    assert job.state == ImportState.FAILED
    assert not Subscriber.objects.exists()
    assert not jobs.apply(job)


def test_files_of_settled_imports_go_after_thirty_days(daily):
    job = applied(file_of(f"a@example.org,{PROVED}"), daily)
    waiting = uploaded(file_of("b@example.org,,"), daily)
    assert keeping.path_of(job).stat().st_mode & 0o777 == 0o600

    assert keeping.forget_files(timezone.now() + timedelta(days=29)) == 0
    assert keeping.forget_files(timezone.now() + timedelta(days=31)) == 1
    assert keeping.forget_files(timezone.now() + timedelta(days=31)) == 0

    assert [path.name for path in keeping.folder().iterdir()] == [waiting.path]
    job.refresh_from_db()
    assert (job.path, job.refused_path, outcomes(job)) == ("", "", {"proved": 1})


def test_an_upload_over_the_limit_is_not_kept(daily, monkeypatch):
    monkeypatch.setattr(keeping, "LIMIT_BYTES", 10)

    with pytest.raises(keeping.BadFile, match="the most"):
        uploaded("email\nmara@example.org", daily)

    assert list(keeping.folder().iterdir()) == []
    assert not SubscriberImport.objects.exists()


def test_the_erased_are_in_no_file_of_an_import_that_is_done(daily):
    job = applied("email\nmara@example.org\nMARA@example.org x\n", daily)
    upload, refused = keeping.path_of(job), keeping.refused_path_of(job)
    assert "mara@" in upload.read_text()
    assert "MARA@" in refused.read_text("utf-8-sig")

    erasure.erase(Subscriber.objects.get(), source="preferences")

    assert not upload.exists()
    assert not refused.exists()
    job.refresh_from_db()
    assert job.refused_path == ""


@pytest.mark.parametrize("state", [ImportState.FAILED, ImportState.UNDOING, ImportState.UNDONE])
def test_nor_in_one_that_failed_or_is_taken_back(daily, state):
    job = applied("email\nmara@example.org\n", daily)
    SubscriberImport.objects.update(state=state)

    erasure.erase(Subscriber.objects.get(), source="preferences")

    assert not keeping.path_of(job).exists()


@pytest.mark.parametrize("state", [ImportState.APPLYING, ImportState.CHECKED])
def test_an_upload_that_waits_stays_until_its_import_is_done(daily, state):
    applied("email\nmara@example.org\n", daily)
    waits = uploaded(f"email\nmara@example.org\nmara@example.org,{PROVED} x\n", daily)
    SubscriberImport.objects.filter(pk=waits.pk).update(state=state)
    upload, refused = keeping.path_of(waits), keeping.refused_path_of(waits)
    erasure.erase(Subscriber.objects.get(), source="preferences")
    retention.forget(timezone.now())
    assert upload.exists()

    jobs.apply(waits)
    while jobs.work():
        pass
    waits.refresh_from_db()
    assert (waits.state, refused.exists()) == (ImportState.APPLIED, True)
    assert retention.forget(timezone.now())["files of imports"] == 1

    assert not upload.exists()
    assert not refused.exists()
    assert not any(retention.forget(timezone.now()).values())


def test_what_is_uploaded_after_an_erasure_is_kept_like_any_other(daily):
    reader = factories.make_subscriber()
    suppression.suppress(reader.address_hash, SuppressionReason.COMPLAINT)
    Suppression.objects.update(created_at=timezone.now() - timedelta(days=3))
    before = applied("email\nsam@example.org\n", daily)
    erasure.erase(reader, source="preferences")  # the mark of the complaint becomes its own
    after = applied("email\nlena@example.org\n", daily)

    retention.forget(timezone.now())

    assert not keeping.path_of(before).exists()
    assert keeping.path_of(after).exists()


def test_rows_of_others_are_left_to_be_mended(daily):
    applied("email\nmara@example.org\n", daily)
    other = applied("email\nsam.example.org\n", daily)

    erasure.erase(Subscriber.objects.get(), source="preferences")

    assert keeping.refused_path_of(other).exists()
