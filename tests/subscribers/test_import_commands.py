"""import_subscribers and export_subscribers, as an operator uses them."""

import io

import pytest
from django.core.management import CommandError, call_command

from subscribers.models import ImportState, Subscriber, SubscriberImport, Subscription
from tests import factories

pytestmark = pytest.mark.django_db
HEAD = "email,consented_at,consent_source\n"
GOOD = HEAD + "a@example.org,2026-05-04,paper form\nb@example.org,,\n"
BAD = GOOD + "mara.example.org,,\n"


@pytest.fixture(autouse=True)
def _own_folder(settings, tmp_path):
    settings.DATA_DIR = tmp_path / "data"
    factories.make_topic("Europe")
    factories.make_newsletter("Daily")


@pytest.fixture
def run(tmp_path):
    """Run the command on a file; returns what it said, and the error it ended with, if any."""

    def run_it(content: str, *options: str) -> tuple[str, CommandError | None]:
        file = tmp_path / "readers.csv"
        file.write_text(content)
        said = io.StringIO()
        error = None
        try:
            call_command(
                "import_subscribers", str(file), *options, stdout=said, stderr=io.StringIO()
            )
        except CommandError as problem:
            error = problem
        return said.getvalue(), error

    return run_it


def test_without_apply_it_says_what_it_would_do_and_writes_nothing(run):
    said, error = run(GOOD, "--newsletter", "daily", "--proof", "kept")

    assert error is None
    assert "1  new, with proof of consent in the file" in said
    assert "1  new, without proof: asked by mail" in said
    assert "2  rows in all" in said
    assert "Nothing was written." in said
    assert "@" not in said
    assert not Subscriber.objects.exists()
    assert not SubscriberImport.objects.exists()


def test_with_apply_it_does_it(run):
    said, error = run(GOOD, "--newsletter", "daily", "--proof", "kept", "--apply")

    assert error is None
    assert "Imported:" in said
    job = SubscriberImport.objects.get()
    assert (job.state, job.source, job.rows) == (ImportState.APPLIED, "file readers.csv", 2)
    assert Subscription.objects.active().count() == 1
    assert Subscription.objects.asked_for().count() == 1


@pytest.mark.parametrize("apply", [[], ["--apply"]])
def test_refused_rows_end_with_status_2_and_lie_in_a_file(apply, run, tmp_path):
    out = tmp_path / "refused.csv"

    said, error = run(BAD, "--newsletter", "daily", "--refused", str(out), *apply)

    assert error is not None
    assert (error.returncode, str(error)) == (2, "1 row was refused.")
    assert "refused for no @ sign, for example row 4" in said
    assert "mara.example.org" not in said
    assert "mara.example.org" in out.read_text(encoding="utf-8-sig")
    assert out.stat().st_mode & 0o777 == 0o600
    assert Subscriber.objects.count() == (2 if apply else 0)


@pytest.mark.parametrize("apply", [[], ["--apply"]])
def test_a_file_that_cannot_be_read_ends_with_status_1(apply, run):
    _, error = run('email\n"a@example.org', "--newsletter", "daily", *apply)

    assert error is not None
    assert error.returncode == 1
    assert "quotes of row 2" in str(error)
    assert not Subscriber.objects.exists()


def test_what_is_misspelt_is_told_with_what_there_is(run, tmp_path):
    _, error = run(GOOD, "--newsletter", "dayly")
    assert str(error) == "There is no active newsletter “dayly”. There are: daily."

    with pytest.raises(CommandError, match="is no file"):
        call_command("import_subscribers", str(tmp_path / "nowhere.csv"))

    out = tmp_path / "readers.csv"  # the file itself
    _, error = run(GOOD, "--newsletter", "daily", "--refused", str(out))
    assert "is there already" in str(error)
    assert out.read_text() == GOOD


def test_the_export_is_what_the_import_takes(run):
    run(GOOD, "--newsletter", "daily", "--proof", "kept", "--apply")
    said = io.StringIO()
    call_command("export_subscribers", "--state", "all", "--newsletter", "daily", stdout=said)
    Subscriber.objects.all().delete()

    again, error = run(said.getvalue(), "--proof", "kept")

    assert error is None
    assert "1  new, with proof of consent in the file" in again
    assert "1  new, without proof: asked by mail" in again


def test_the_export_of_no_such_newsletter_is_told():
    with pytest.raises(CommandError, match="There is no newsletter “nothing”"):
        call_command("export_subscribers", "--newsletter", "nothing")
