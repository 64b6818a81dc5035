"""What limits sending, what became of it by the hour, and whether the service is alive."""

from __future__ import annotations

from django.db import models
from django.db.models import Q


class Throttle(models.Model):
    """What limits a lane beyond the settings, and what of it must survive an emptied Redis.

    A lane is one submission server and one recipient domain; without a domain, the whole server.
    A lane without a row has the limits of the settings and nothing against it.
    """

    server = models.CharField(max_length=40)
    domain = models.CharField(max_length=253, blank=True, default="")
    rate_limit = models.FloatField(
        null=True, blank=True, help_text="Messages a second. Empty: what the settings say."
    )
    connection_limit = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="At once, for each worker. Empty: what the settings say."
    )
    daily_limit = models.PositiveIntegerField(
        null=True, blank=True, help_text="Messages a day, in UTC. Empty: what the settings say."
    )
    factor = models.FloatField(default=1.0)  # of the rate; halved by throttle replies
    resume_at = models.DateTimeField(null=True, blank=True)  # suspended until then
    is_held = models.BooleanField(default=False, help_text="Suspended until a person releases it.")
    reason = models.CharField(max_length=200, blank=True, default="")  # in words, for operators
    last_cut_at = models.DateTimeField(null=True, blank=True)
    cuts = models.PositiveSmallIntegerField(default=0)  # in the present ten minutes
    cuts_since = models.DateTimeField(null=True, blank=True)
    suspensions = models.PositiveSmallIntegerField(default=0)  # in a row: each is longer
    failures = models.PositiveSmallIntegerField(default=0)  # to open a session, in a row

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["server", "domain"], name="a_lane_has_one_throttle"),
            models.CheckConstraint(
                condition=Q(factor__gt=0, factor__lte=1), name="a_factor_is_a_share_of_the_rate"
            ),
        ]
        verbose_name = "lane"
        permissions = [("steer_lane", "Can change rates, suspend and release lanes")]

    def __str__(self) -> str:
        return f"{self.server}, {self.domain or 'all domains'}"


class WarmUpDay(models.Model):
    """How many messages a submission server may take on one day while its addresses are new."""

    server = models.CharField(max_length=40)
    day = models.DateField(help_text="In UTC.")
    messages = models.PositiveIntegerField()

    class Meta:
        verbose_name = "warm-up day"
        ordering = ["server", "day"]
        constraints = [
            models.UniqueConstraint(fields=["server", "day"], name="a_warm_up_day_is_planned_once"),
        ]

    def __str__(self) -> str:
        return f"{self.server}, {self.day}: {self.messages}"


class LaneHour(models.Model):
    """What became of a lane's messages in one hour: for quotas, guards and the console.

    Workers add to it every few seconds. A killed one takes its last few seconds with it, so this
    is no ledger.
    """

    server = models.CharField(max_length=40)
    domain = models.CharField(max_length=253)
    hour = models.DateTimeField()
    sent = models.PositiveIntegerField(default=0)
    deferred = models.PositiveIntegerField(default=0)
    refused = models.PositiveIntegerField(default=0)  # because of us: blocked, auth, protocol
    failed = models.PositiveIntegerField(default=0)  # for good; `gone` included
    gone = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["server", "domain", "hour"], name="a_lane_has_one_row_an_hour"
            ),
        ]
        indexes = [models.Index(fields=["server", "hour"], name="lane_hours_by_server")]

    def __str__(self) -> str:
        return f"{self.server}, {self.domain}, {self.hour:%Y-%m-%d %H} h"


class Pulse(models.Model):
    """When something that must happen regularly last happened. Liveness is a task that ran."""

    name = models.CharField(max_length=20, primary_key=True)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name} at {self.at:%Y-%m-%d %H:%M:%S} UTC"
