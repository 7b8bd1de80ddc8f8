"""TLS, client certificates and tokens, with the certificates of an authority made for the test."""

import os

import grpc
import pytest
import trustme
from client.scripted import CALLS, Scripted, serving

from onnxplain.client import TLS, Client, errors


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def ca(authority):
    return authority.cert_pem.bytes()


@pytest.fixture(scope="module")
def client_pair(authority):
    made = authority.issue_cert("client@example.org")
    return b"".join(one.bytes() for one in made.cert_chain_pems), made.private_key_pem.bytes()


@pytest.fixture(scope="module")
def secured(authority):
    """Give addresses with TLS by name of the certificate, and whether clients need one."""
    open_services = []

    def address(name="127.0.0.1", mutual=False):
        made = authority.issue_cert(name)
        pair = (
            made.private_key_pem.bytes(),
            b"".join(one.bytes() for one in made.cert_chain_pems),
        )
        roots = authority.cert_pem.bytes() if mutual else None
        credentials = grpc.ssl_server_credentials([pair], roots, mutual)
        service = Scripted()
        context = serving(service, credentials=credentials)
        open_services.append(context)
        return context.__enter__(), service

    yield address
    for context in open_services:
        context.__exit__(None, None, None)


@pytest.mark.parametrize("call", CALLS)
def test_tls_with_an_authority(call, secured, ca, tmp_path):
    address, _ = secured()
    (tmp_path / "ca.pem").write_bytes(ca)
    for given in (ca, tmp_path / "ca.pem", os.fspath(tmp_path / "ca.pem")):
        assert call(address, "methods", tls=TLS(given))


@pytest.mark.parametrize("call", CALLS)
def test_who_is_not_trusted_is_not_reached(call, secured, ca):
    address, service = secured()
    other, _ = secured("elsewhere.example.org")
    strange = trustme.CA().cert_pem.bytes()
    for where, tls in (
        (address, TLS(strange)),
        (address, TLS()),
        (other, TLS(ca)),
        (address, None),
    ):
        with pytest.raises(errors.UnavailableError, match="no service can be reached"):
            call(where, "methods", tls=tls, retries=0, timeout=20)
    assert service.calls == []


@pytest.mark.parametrize("call", CALLS)
def test_a_certificate_of_another_name(call, secured, ca):
    address, _ = secured("service.example.org")
    assert call(address, "methods", tls=TLS(ca, server_name="service.example.org"))


@pytest.mark.parametrize("call", CALLS)
def test_mutual_tls(call, secured, ca, client_pair):
    address, service = secured(mutual=True)
    assert call(address, "methods", tls=TLS(ca, *client_pair))
    with pytest.raises(errors.UnavailableError):
        call(address, "methods", tls=TLS(ca), retries=0)
    assert len(service.calls) == 1


@pytest.mark.parametrize("call", CALLS)
def test_a_token_is_sent(call, secured, ca):
    address, service = secured()
    call(address, "methods", tls=TLS(ca), token="a-token")
    assert service.metadata[-1]["authorization"] == "Bearer a-token"
    service = Scripted()
    with serving(service) as address:
        call(address, "methods", token="a-token")
        call(address, "list_models", token="a-token")
        call(address, "methods")
    assert [m.get("authorization") for m in service.metadata] == ["Bearer a-token"] * 4 + [None]


@pytest.mark.parametrize(
    "address", ["example.org:50051", "127.example.org:443", "10.0.0.1:50051", "[2001:db8::1]:1"]
)
def test_no_token_leaves_this_machine_in_plaintext(address):
    with pytest.raises(errors.InvalidArgumentError, match="not sent .* in plaintext") as caught:
        Client(address, token="a-secret")
    assert "a-secret" not in str(caught.value)
    Client(address, token="a-secret", tls=TLS()).close()


@pytest.mark.parametrize(
    "address", ["localhost:1", "127.0.0.1:1", "127.1.2.3:1", "[::1]:1", "unix:x"]
)
def test_it_may_stay_on_this_machine(address):
    Client(address, token="a-secret").close()


@pytest.mark.parametrize("token", ["", "two words", "a\nline", "schlüssel"])
def test_what_is_no_token(token):
    with pytest.raises(errors.InvalidArgumentError, match="the token is empty, or has") as caught:
        Client("127.0.0.1:1", token=token)
    assert not token or token not in str(caught.value)


def test_files_that_are_no_certificates(tmp_path, client_pair):
    (tmp_path / "ca.pem").write_bytes(b"no certificate")
    for tls, error, text in (
        (TLS(tmp_path / "nowhere.pem"), errors.NotFoundError, "no file '.*nowhere.pem'"),
        (TLS(tmp_path / "ca.pem"), errors.InvalidArgumentError, "ca.pem' .* not in PEM form"),
        (TLS(b"no certificate"), errors.InvalidArgumentError, "the bytes of .* not in PEM form"),
        (TLS(tmp_path), errors.InvalidArgumentError, "cannot read"),
        (TLS(cert=client_pair[0]), errors.InvalidArgumentError, "give both"),
        (TLS(key=client_pair[1]), errors.InvalidArgumentError, "give both"),
    ):
        with pytest.raises(error, match=text):
            Client("127.0.0.1:1", tls=tls)


def test_keys_are_not_shown(client_pair):
    assert "PRIVATE" not in repr(TLS(None, *client_pair))
