"""What was there is there again after a stop."""

import pytest

from tests import service as whole_service
from tests import steps

pytestmark = pytest.mark.journey


def test_the_second_start_finds_what_the_first_one_left(tmp_path):
    with whole_service.running(tmp_path, "--no-demo") as first:
        path = steps.publish(first, "Lights along the strait")
        assert first.browser().get(path).heading == "Lights along the strait"

    with whole_service.running(tmp_path, "--no-demo") as second:
        assert second.browser().get(path).heading == "Lights along the strait"
        assert "Database: up to date." in second.greeting
        assert "password" not in second.greeting.partition("logs in at")[0]
