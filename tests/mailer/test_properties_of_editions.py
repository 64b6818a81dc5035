"""Months of simulated time: no article twice, none missed, no edition twice, no empty mail."""

import random
from datetime import time

import hypothesis
import pytest
from django.core.management import call_command
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)

from mailer import preflight
from subscribers.models import Approval, Cadence
from tests.mailer.newsroom import Newsroom
from tests.mailer.newsroom_model import DAY, HOUR

TOPICS = 4
MOST_READERS = 6
some_topics = st.sets(st.integers(0, TOPICS - 1), min_size=1)
somebody = st.integers(0, MOST_READERS - 1)
hours = st.integers(6, 48)
seeds = st.integers(0, 2**16)
walls = st.sampled_from([time(6, 30), time(2, 30), time(17)])
zones = st.sampled_from(["Europe/Berlin", "America/New_York", "Asia/Tokyo", "UTC"])
cadences = st.sampled_from(
    [
        {"cadence": Cadence.DAILY},
        {"cadence": Cadence.WEEKDAYS},
        {"cadence": Cadence.DAYS, "days": 0b0010010},
        {"cadence": Cadence.WEEKLY, "weekday": 0},
        {"cadence": Cadence.MONTHLY, "month_day": 31},
        {"cadence": Cadence.MONTHLY, "month_week": 1, "weekday": 0},
    ]
)


@st.composite
def digests(draw, approval: Approval) -> dict:
    return {
        **draw(cadences),
        "topics": sorted(draw(st.sets(st.integers(0, TOPICS - 1)))),  # none: all
        "approval": approval,
        "wall_time": draw(walls),
        "zone": draw(zones),
        "min_articles": draw(st.integers(1, 2)),
        "max_articles": draw(st.sampled_from([2, 30, 62])),
        "look_back_days": draw(st.sampled_from([1, 8, 40])),
        "draft_hours": draw(st.sampled_from([0, 24])),
    }


ALERTS = {"cadence": Cadence.AT_ONCE, "wall_time": None, "look": "alert", "topics": []}


class Months(RuleBasedStateMachine):
    """Acts of editors and readers in any order. After each of them life goes on for a while."""

    @initialize(
        daily=digests(Approval.AUTOMATIC),
        other=digests(Approval.PERSON),
        alerts=st.booleans(),
        joining=st.lists(some_topics, min_size=2, max_size=4),
    )
    def begin(self, daily, other, alerts, joining) -> None:
        self.room = Newsroom([daily, other, *([ALERTS] if alerts else [])], topics=TOPICS)
        for who, topics in enumerate(joining):
            for newsletter in range(1 + who % 3):
                self.room.join(newsletter, topics, who=who, text=who == 2)

    def life_goes_on(self, hours: int, seed: int) -> None:
        self.room.live(hours * HOUR, random.Random(seed))

    @rule(topics=some_topics, late=st.sampled_from([0, 5, 30, 200]), hours=hours, seed=seeds)
    def an_article_is_published(self, topics, late, hours, seed) -> None:
        self.room.publish(topics, late=late * HOUR)
        self.life_goes_on(hours, seed)

    @rule(number=st.integers(3, 9), hours=hours, seed=seeds)
    def much_is_published(self, number, hours, seed) -> None:
        for topic in range(number):
            self.room.publish([topic % TOPICS])
        self.life_goes_on(hours, seed)

    @rule(newsletter=st.integers(0, 2), topics=some_topics, who=somebody, hours=hours, seed=seeds)
    def somebody_joins(self, newsletter, topics, who, hours, seed) -> None:
        self.room.join(newsletter, topics, who=who)
        self.life_goes_on(hours, seed)

    @rule(who=somebody, topics=some_topics, hours=hours, seed=seeds)
    def somebody_chooses_other_topics(self, who, topics, hours, seed) -> None:
        self.room.choose_topics(who, topics)
        self.life_goes_on(hours, seed)

    @rule(who=somebody, hours=hours, seed=seeds)
    def somebody_leaves_and_comes_back(self, who, hours, seed) -> None:
        self.room.leave(who)
        self.life_goes_on(hours, seed)
        self.room.come_back(who)

    @rule(who=somebody)
    def somebody_leaves(self, who) -> None:
        self.room.leave(who)

    @rule(who=somebody, days=st.integers(1, 9), hours=hours, seed=seeds)
    def somebody_pauses(self, who, days, hours, seed) -> None:
        self.room.pause(who, days)
        self.life_goes_on(hours, seed)

    @rule(who=somebody)
    def somebody_ends_their_pause(self, who) -> None:
        self.room.end_pause(who)

    @rule(which=st.integers(0, 3), withdraw=st.booleans(), hours=hours, seed=seeds)
    def an_article_is_corrected(self, which, withdraw, hours, seed) -> None:
        self.room.correct(which, withdraw=withdraw)
        self.life_goes_on(hours, seed)

    @rule(hours=hours, seed=seeds)
    def an_edition_is_cancelled(self, hours, seed) -> None:
        self.room.cancel()
        self.life_goes_on(hours, seed)

    @rule(off=st.integers(1, 30), hours=hours, seed=seeds)
    def the_service_is_off(self, off, hours, seed) -> None:
        self.room.pass_time(off * HOUR)
        self.life_goes_on(hours, seed)

    @rule(seed=seeds)
    def a_week_passes(self, seed) -> None:
        self.room.live(7 * DAY, random.Random(seed))

    def teardown(self) -> None:
        call_command("flush", verbosity=0, interactive=False)


def live(examples: int, steps: int) -> None:
    settings = hypothesis.settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=list(hypothesis.HealthCheck),
        print_blob=True,
    )
    run_state_machine_as_test(Months, settings=settings)


@pytest.mark.django_db(transaction=True)
def test_weeks_of_news_reach_every_reader_once(monkeypatch):
    # Each approval would build a whole mail, which says nothing about who gets it.
    monkeypatch.setattr(preflight, "stops", lambda edition: [])
    live(examples=4, steps=10)


@pytest.mark.storm
@pytest.mark.django_db(transaction=True)
def test_months_of_news_reach_every_reader_once(request):
    """The long form, with the checks before each approval: `make months`."""
    if request.config.getoption("markexpr") != "storm":
        pytest.skip("runs for an hour: make months")
    live(examples=60, steps=60)
