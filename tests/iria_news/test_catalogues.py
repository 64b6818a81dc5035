"""Each language says all that there is to say, and what is compiled is what was written."""

import re
from collections import Counter

import pytest

from iria_news import dates
from tests import catalogues

PLACES = re.compile(r"%\([a-z_]+\)s|\{[a-z_]+\}")
TAGS = re.compile(r"<[^>]+>|&\w+;")
# What stands in templates of readers as it is: names, and what machines read.
AS_THEY_ARE = {
    *("IRIA", "News", "International Relations Insights", "Analysis", "Copyright ©"),
    *("width=device-width, initial-scale=1", "light dark", "same-origin", "article", "website"),
    *("noindex", "noindex, nofollow", "telephone=no, date=no, address=no, email=no, url=no"),
    " after",  # a class
}

pytestmark = pytest.mark.parametrize("language", catalogues.languages())


def test_nothing_is_missing_unsure_or_left_over(language):
    written = {entry.key: entry for entry in catalogues.entries(language)}
    used = catalogues.used()

    assert {key: where for key, where in used.items() if key not in written} == {}
    assert [key for key in written if key not in used] == []
    assert [e.key for e in written.values() if e.is_fuzzy or not all(e.said.values())] == []


def test_what_is_compiled_is_what_was_written(language):
    written = {}
    for entry in catalogues.entries(language):
        for form, text in entry.said.items():
            written[entry.key, form] = text

    assert catalogues.compiled(language) == written, "make messages compiles them"


def test_values_and_tags_of_a_sentence_are_those_of_its_translation(language):
    differ = []
    for entry in catalogues.entries(language):
        asked = entry.key.rpartition(catalogues.CONTEXT)[2]
        for text in entry.said.values():
            for pattern in (PLACES, TAGS):
                one, other = Counter(pattern.findall(asked)), Counter(pattern.findall(text))
                if set(one) != set(other) or (pattern is TAGS and one != other):
                    differ.append((asked, text))

    assert differ == []


def test_dates_have_a_pattern_in_every_language(language):
    keys = {entry.key for entry in catalogues.entries(language)}

    for pattern in dates.PATTERNS:
        assert f"pattern of a date{catalogues.CONTEXT}{pattern}" in keys


def test_no_sentence_for_readers_stands_in_a_template_as_it_is(language):
    found = {}
    for path in catalogues.readers_templates():
        sentences = set(catalogues.untranslated(path.read_text())) - AS_THEY_ARE
        if sentences:
            found[str(path.relative_to(catalogues.ROOT))] = sentences

    assert found == {}
