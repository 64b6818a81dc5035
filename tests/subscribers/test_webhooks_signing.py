"""Signatures against the vector that the libraries of Standard Webhooks agree on."""

import base64

from subscribers.webhooks import signing

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
UID, AT, BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_signature_is_that_of_every_library():
    assert signing.headers(UID, at=AT, body=BODY, secrets=[SECRET]) == {
        "webhook-id": UID,
        "webhook-timestamp": "1614265330",
        "webhook-signature": SIGNATURE,
    }


def test_two_secrets_make_two_signatures_with_a_space_between():
    other = signing.new_secret()

    signed = signing.headers(UID, at=AT, body=BODY, secrets=[other, SECRET])["webhook-signature"]

    first, second = signed.split(" ")
    assert first.startswith("v1,")
    assert first != SIGNATURE
    assert second == SIGNATURE


def test_a_secret_is_256_random_bits_in_base64():
    secret = signing.new_secret()

    assert secret != signing.new_secret()
    assert secret.startswith("whsec_")
    assert len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) == 32
