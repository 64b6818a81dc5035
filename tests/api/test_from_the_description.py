"""Requests made up from our own description, right ones and wrong ones: nothing unforeseen answers.

schemathesis judges. What it may not ask: that every body of the right shape be taken, for no
description can say which newsletters there are or which address is one.
"""

import pytest
import schemathesis
from django.core.cache import cache
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from iria_news import keys
from iria_news.wsgi import application
from tests import factories
from tests.mailer import editions as ways

pytestmark = pytest.mark.django_db

description = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", application)
ASKED = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
    checks.unsupported_method,
    checks.missing_required_header,
    checks.ignored_auth,
]


@pytest.fixture(autouse=True)
def _one_connection(db):
    """Requests come in through the WSGI door and would close the connection of the test."""
    request_started.disconnect(close_old_connections)
    request_finished.disconnect(close_old_connections)
    yield
    request_started.connect(close_old_connections)
    request_finished.connect(close_old_connections)


@pytest.fixture
def newsroom(db):
    """One of everything that a route can find; returns what stands in paths."""
    topics = [factories.make_topic("Europe"), factories.make_topic("Africa")]
    daily = factories.make_newsletter("IRIA Daily")
    place = factories.make_subscription(daily, topics=topics)
    factories.make_article("Cable ships", topics=topics)
    edition = ways.sending(daily)
    return {
        "reader_id": keys.short_token("api-subscriber", place.subscriber_id),
        "slug": edition.slug,
    }


@pytest.fixture
def key(program):
    return {"Authorization": f"Bearer {program(per_minute=6_000).text}"}


@description.parametrize()
@settings(
    max_examples=30,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
def test_no_answer_is_unforeseen(case, newsroom, key):
    for name in case.path_parameters or {}:  # or every answer were 404
        case.path_parameters[name] = newsroom[name]
    cache.clear()  # or the twenty-first sign-up and all that follow were 429

    case.call_and_validate(headers=key, checks=ASKED)


@description.include(path_regex=r"\{").parametrize()
@settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_no_made_up_path_is_unforeseen(case, key):

    case.call_and_validate(headers=key, checks=ASKED)
