"""Workers of imports die, double and lose their claim; the rows come out the same."""

from datetime import timedelta

import pytest
from django.db import OperationalError
from django.utils import timezone

from subscribers.importing import jobs, keeping, passes, tasks, undoing
from subscribers.models import ImportState, Subscriber, SubscriberImport
from tests import factories
from tests.subscribers.test_importing import PROVED, applied, checked, file_of, outcomes

pytestmark = pytest.mark.django_db
MANY = file_of(*(f"{who}@example.org,{PROVED}" for who in "abcdacb"), "no address,,")


@pytest.fixture(autouse=True)
def _own_folder(settings, tmp_path, monkeypatch):
    settings.DATA_DIR = tmp_path
    monkeypatch.setattr("subscribers.importing.pages.PAGE", 2)


@pytest.fixture
def daily(db):
    factories.make_topic("Europe")
    return factories.make_newsletter("Daily")


class Killed(BaseException):
    """As SIGKILL: nobody catches it."""


def run_out(job) -> None:
    SubscriberImport.objects.filter(pk=job.pk).update(
        claimed_until=timezone.now() - timedelta(seconds=1)
    )


def killed_after(page: int):
    def told(rows: int, _tally) -> None:
        if rows >= 2 * page:
            raise Killed

    return told


@pytest.mark.parametrize("page", [1, 2, 3])
def test_a_killed_worker_is_carried_on_by_another(page, daily):
    whole = outcomes(applied(MANY.replace("example.org", "example.com"), daily))
    job = checked(MANY, daily)
    jobs.apply(job)
    held = jobs.claim(job)
    with pytest.raises(Killed):
        jobs.carry_on(held, told=killed_after(page))

    assert not jobs.waiting()  # for two minutes it is still the dead one's
    run_out(job)
    assert jobs.waiting()
    tasks.work()

    job.refresh_from_db()
    assert (job.state, outcomes(job), job.rows) == (ImportState.APPLIED, whole, 8)
    assert Subscriber.objects.filter(address__endswith="@example.org").count() == 4
    refused = (keeping.folder() / job.refused_path).read_text(encoding="utf-8-sig").splitlines()
    assert len(refused) == 1 + whole["refused"]
    leftovers = [path for path in keeping.folder().iterdir() if path.suffix == ".new"]
    assert leftovers == []


def test_a_killed_look_begins_anew(daily):
    job = jobs.submit([MANY.encode()], name="x.csv", plan=jobs.Plan([daily]), by=None)
    with pytest.raises(Killed):
        jobs.carry_on(jobs.claim(job), told=killed_after(2))
    run_out(job)

    tasks.work()

    job.refresh_from_db()
    assert (job.state, job.rows) == (ImportState.CHECKED, 8)


def test_two_workers_never_have_one_import(daily):
    job = checked(MANY, daily)
    jobs.apply(job)

    assert jobs.claim(job) is not None
    assert jobs.claim(job) is None


def test_a_worker_that_slept_too_long_stands_down(daily):
    job = checked(MANY, daily)
    jobs.apply(job)
    slow = jobs.claim(job)
    run_out(job)
    quick = jobs.claim(job)

    jobs.carry_on(quick)
    jobs.carry_on(slow)

    job.refresh_from_db()
    assert (job.state, outcomes(job)) == (ImportState.APPLIED, {"proved": 4, "refused": 4})
    assert Subscriber.objects.count() == 4


def test_a_long_import_gives_way_and_goes_on(daily, monkeypatch):
    monkeypatch.setattr(passes, "WRITE_FOR", -1)  # after each page
    job = checked(MANY, daily)
    jobs.apply(job)

    turns = 0
    while jobs.work():
        turns += 1

    job.refresh_from_db()
    assert turns >= 4
    assert (job.state, outcomes(job)) == (ImportState.APPLIED, {"proved": 4, "refused": 4})


def test_a_look_that_takes_too_long_ends_with_a_sentence(daily, monkeypatch):
    monkeypatch.setattr(passes, "LOOK_WITHIN", -1)

    job = checked(MANY, daily)

    assert job.state == ImportState.FAILED
    assert "Split it." in job.error


def test_a_killed_undoing_is_carried_on(daily, monkeypatch):
    monkeypatch.setattr(undoing, "PAGE", 1)
    job = applied(MANY, daily)
    jobs.undo(job)
    held = jobs.claim(job)
    real, calls = jobs.renewed, []

    def dies(job, columns):
        calls.append(columns)
        if len(calls) == 3:
            raise Killed
        return real(job, columns)

    monkeypatch.setattr(jobs, "renewed", dies)
    with pytest.raises(Killed):
        jobs.carry_on(held)
    monkeypatch.setattr(jobs, "renewed", real)
    assert Subscriber.objects.count() == 2
    run_out(job)

    tasks.work()

    job.refresh_from_db()
    assert (job.state, job.counts["removed"]) == (ImportState.UNDONE, 4)
    assert not Subscriber.objects.exists()


def test_a_database_that_is_away_fails_nothing(daily, monkeypatch):
    job = checked(MANY, daily)
    jobs.apply(job)

    def away(*_args, **_kwargs):
        raise OperationalError("away")

    with monkeypatch.context() as patch:
        patch.setattr(passes, "write", away)
        with pytest.raises(OperationalError):
            jobs.work()
    run_out(job)
    jobs.work()

    job.refresh_from_db()
    assert job.state == ImportState.APPLIED


def test_a_fault_of_ours_ends_the_import_and_is_told(daily, monkeypatch):
    job = checked(MANY, daily)
    jobs.apply(job)

    def broken(*_args, **_kwargs):
        raise ZeroDivisionError

    monkeypatch.setattr(passes, "write", broken)
    with pytest.raises(ZeroDivisionError):
        jobs.work()

    job.refresh_from_db()
    assert job.state == ImportState.FAILED
    assert job.error.endswith("What was written stays, and can be undone.")
    assert not jobs.work()


def test_a_file_that_is_gone_fails_the_import(daily):
    job = checked(MANY, daily)
    keeping.path_of(job).unlink()
    jobs.apply(job)

    jobs.work()

    job.refresh_from_db()
    assert (job.state, job.error) == (
        ImportState.FAILED,
        "Its file is no longer there. Upload it again.",
    )
