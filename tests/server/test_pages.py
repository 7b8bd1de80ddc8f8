"""Pages: every item once, whatever comes or goes meanwhile, and no token of another's making."""

import base64

import pytest

from onnxplain.graphops.errors import InputError
from onnxplain.server.pages import page


def key(item):
    return item


def of(*names):
    return [(name, 1) for name in names]


def test_no_size_is_everything():
    assert page(of("a", "b"), key, 0, "") == (of("a", "b"), "")
    assert page([], key, 0, "") == ([], "")


def test_pages_add_up_to_the_whole():
    items, token, seen = of(*"abcde"), "", []
    while True:
        found, token = page(items, key, 2, token)
        seen.append(found)
        if not token:
            break
    assert seen == [of("a", "b"), of("c", "d"), of("e")]


def test_a_full_last_page_has_no_token():
    _, token = page(of(*"abcd"), key, 2, "")
    assert page(of(*"abcd"), key, 2, token) == (of("c", "d"), "")


def test_what_comes_or_goes_leaves_the_others_where_they_are():
    _, token = page(of("b", "d", "f"), key, 2, "")
    found, _ = page(of("a", "b", "c", "f", "g"), key, 2, token)
    assert found == of("f", "g")


def test_a_token_for_what_is_gone_ends_the_list():
    _, token = page(of("a", "b"), key, 1, "")
    assert page([], key, 1, token) == ([], "")


def encoded(text):
    return base64.urlsafe_b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "token",
    [
        "x", "é", "a" * 10**6, encoded("no JSON"), encoded('"b"'), encoded("[]"),
        encoded('["a"]'), encoded('["a", "1"]'), encoded("[1, 1]"), encoded('["a", true]'),
        encoded("[" * 2000),
    ],
)  # fmt: skip
def test_another_token_is_refused(token):
    with pytest.raises(InputError, match="^page_token: "):
        page(of("a", "b"), key, 1, token)


@pytest.mark.parametrize("token", ["x", encoded("[]"), encoded('["a", true]')])
def test_another_token_is_refused_where_the_list_is_empty(token):
    with pytest.raises(InputError, match="^page_token: "):
        page([], key, 1, token)


def test_a_negative_size_is_refused():
    with pytest.raises(InputError, match="^page_size: -1 is negative"):
        page(of("a"), key, -1, "")
