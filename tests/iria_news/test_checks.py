"""`check --deploy` refuses what is made for a laptop."""

import pytest

from iria_news.frame.checks import check_production

GOOD = {
    "SITE_URL": "https://news.ir-ia.com",
    "USES_MAIL_CATCHER": False,
    "MAIL_FROM": "news@ir-ia.com",
    "BOUNCE_DOMAIN": "bounces.ir-ia.com",
    "LEGAL_NAME": "IRIA",
    "POSTAL_ADDRESS": "1 Harbour Street, 10500 Port Louis",
    "CONTACT_ADDRESS": "editor@ir-ia.com",
}


@pytest.fixture(autouse=True)
def _production(settings):
    for name, value in GOOD.items():
        setattr(settings, name, value)


def complaints() -> list[str]:
    return [message.msg for message in check_production()]


def test_a_real_production_is_fine():
    assert complaints() == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SITE_URL", "http://news.ir-ia.com"),
        ("SITE_URL", "https://news.ir-ia.example"),
        ("MAIL_FROM", "news@ir-ia.example"),
        ("MAIL_FROM", "news@mail.example.org"),
        ("MAIL_FROM", "ir-ia.com"),
        ("MAIL_FROM", "news@localhost"),
        ("LEGAL_NAME", " "),
        ("POSTAL_ADDRESS", ""),
        ("POSTAL_ADDRESS", "14 Harbour Street, 10500 Example City"),
        ("CONTACT_ADDRESS", ""),
        ("CONTACT_ADDRESS", "editor@ir-ia.example"),
    ],
)
def test_one_wrong_value_is_one_error_that_names_it(name, value, settings):
    setattr(settings, name, value)
    if name == "MAIL_FROM":
        settings.BOUNCE_DOMAIN = value.rpartition("@")[2]

    [sentence] = complaints()

    assert sentence.startswith(name)


def test_the_mail_catcher_is_not_for_production(settings):
    settings.USES_MAIL_CATCHER = True

    assert complaints() == [
        "EMAIL_URL is not set: the local inbox keeps all mail, and shows it to everybody."
    ]


@pytest.mark.parametrize(
    ("bounce_domain", "fits"),
    [
        ("ir-ia.com", True),
        ("bounces.IR-IA.com", True),
        ("bounces.provider.com", False),
        ("xir-ia.com", False),
        ("com", False),
    ],
)
def test_bounces_return_to_the_organisation_in_the_from_header(bounce_domain, fits, settings):
    settings.BOUNCE_DOMAIN = bounce_domain

    assert (complaints() == []) is fits
