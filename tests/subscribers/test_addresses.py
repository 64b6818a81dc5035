import email_validator
import pytest
from hypothesis import given
from hypothesis import strategies as st

from subscribers import addresses

pytestmark = pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisWarning")


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("", "Enter your email address. It should look like name@example.org."),
        ("  ", "Enter your email address. It should look like name@example.org."),
        (
            "mara.example.org",
            "The address “mara.example.org” has no @ sign. It should look like name@example.org.",
        ),
        ("mara@b@example.org", "The address “mara@b@example.org” has more than one @ sign."),
        ("@example.org", "The address “@example.org” has nothing before the @ sign."),
        ("mara@", "The address “mara@” has nothing after the @ sign."),
        ("mara example.org@x.org", "has a blank in it"),
        ("jürgen@example.org", "Letters such as ü before the @ do not reach our mail server yet."),
        ("mara@example", "The address “mara@example” has no dot after the @ sign."),
        ("mara@-example.org", "cannot be right"),
        ("ma..ra@example.org", "cannot be right"),
        ("mara@[192.0.2.1]", "cannot be right"),
        ('"mara x"@example.org', "has a blank in it"),
        ("mara@exa_mple.org", "cannot be right"),
        (f"{'m' * 65}@example.org", "cannot be right"),
        (f"mara@{'a' * 250}.org", "longer than 254 characters"),
    ],
)
def test_a_mistake_is_named_precisely(typed, sentence):
    with pytest.raises(addresses.BadAddress) as caught:
        addresses.parse(typed)

    assert sentence in str(caught.value)


@pytest.mark.parametrize("control", ["\r", "\n", "\r\n", "\0", "\u0085", "\u2028", "\u2029"])
@pytest.mark.parametrize(
    "place", ["mara{}@example.org", "mara@example.org{}", "{}mara@example.org"]
)
def test_what_could_end_a_header_line_is_refused_anywhere(control, place):
    with pytest.raises(addresses.BadAddress, match="line break"):
        addresses.parse(place.format(control))


def test_an_address_is_kept_as_given_and_compared_folded():
    address = addresses.parse("  Mara.Noor+News@Example.ORG ")

    assert address.address == "Mara.Noor+News@Example.ORG"
    assert address.key == "mara.noor+news@example.org"


def test_an_international_domain_is_kept_as_its_a_label_of_idna_2008():
    assert addresses.parse("mara@bücher.example.org").address == "mara@xn--bcher-kva.example.org"
    # IDNA 2003 would have made "strasse" of it: another domain, of another owner.
    assert addresses.parse("mara@straße.example.org").key == "mara@xn--strae-oqa.example.org"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Mara@Example.org", "mara@example.ORG"),
        ("mara@bücher.example.org", "MARA@BÜCHER.example.org"),
        ("mara@bu\u0308cher.example.org", "mara@b\u00fccher.example.org"),
        ("mara@xn--bcher-kva.example.org", "mara@bücher.example.org"),
    ],
)
def test_two_spellings_of_one_mailbox_are_one_key_and_one_hash(one, other):
    first, second = addresses.parse(one), addresses.parse(other)

    assert (first.key, first.hash) == (second.key, second.hash)


def test_the_hash_does_not_change_when_the_secret_does(settings):
    before = addresses.parse("mara@example.org").hash
    settings.MESSAGE_KEY_FALLBACKS = [settings.MESSAGE_KEY_SECRET]
    settings.MESSAGE_KEY_SECRET = "another " * 6

    assert addresses.parse("mara@example.org").hash == before


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("mara@gmial.com", "mara@gmail.com"),
        ("Mara@GMAIL.con", "Mara@gmail.com"),
        ("mara@hotmial.com", "mara@hotmail.com"),
        ("mara@gmail.com", ""),
        ("mara@example.org", ""),
    ],
)
def test_a_likely_typing_mistake_gets_a_suggestion(typed, meant):
    assert addresses.suggestion(addresses.parse(typed)) == meant


def test_no_suggestion_is_itself_a_typing_mistake():
    assert not set(addresses.MEANT) & set(addresses.OFTEN_MISTYPED)
    for domain in addresses.OFTEN_MISTYPED:
        addresses.parse(f"mara@{domain}")


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("mara@example.org", "m•••@example.org"),
        ("m@example.org", "m•••@example.org"),
        ("mara@xn--bcher-kva.example.org", "m•••@bücher.example.org"),
        ("", ""),
    ],
)
def test_a_masked_address_shows_its_first_letter_and_its_domain(address, shown):
    assert addresses.masked(address) == shown


@given(st.text(max_size=300))
def test_any_text_is_an_address_or_gets_a_sentence(typed):
    try:
        address = addresses.parse(typed)
    except addresses.BadAddress as error:
        sentence = str(error)
    else:
        sentence = "It is one."
        assert address.address.isascii()
        assert addresses.parse(address.address) == address
    assert sentence.endswith(".")


@given(
    st.from_regex(r"[A-Za-z0-9._+-]{1,66}", fullmatch=True)
    | st.sampled_from(["Abuse", "postmaster"]),
    st.from_regex(r"[a-zA-Z0-9.-]{1,30}", fullmatch=True)
    | st.sampled_from(["example.org", "Example.ORG", "host.test", "localhost.localdomain"]),
)
def test_an_address_of_a_known_domain_is_judged_as_if_it_were_the_first(local_part, domain):
    typed = f"{local_part}@{domain}"
    try:
        first = email_validator.validate_email(
            typed, check_deliverability=False, allow_smtputf8=False, strict=True
        )
    except email_validator.EmailNotValidError:
        with pytest.raises(addresses.BadAddress):
            addresses.parse(typed)
        return
    if "." not in domain:  # ours is stricter here
        return
    found = addresses.parse(typed)
    assert found.address == f"{first.local_part}@{domain}"
    assert found.key == f"{first.local_part.casefold()}@{first.ascii_domain.lower()}"
