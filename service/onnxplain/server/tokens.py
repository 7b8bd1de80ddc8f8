"""Bearer tokens: what each allows, and its SHA-256, which is all that the service keeps."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from onnxplain.graphops.errors import OptionError, listed, nearest

__all__ = ["SCOPES", "Token", "digest", "make_token", "token_of", "find_token"]

SCOPES = ("infer", "upload", "admin")


@dataclass(frozen=True)
class Token:
    """A token that clients may show.

    name: of the client, in the log. scopes: what it may do, some of SCOPES. sha256: of the token,
    in hexadecimal.
    """

    name: str
    scopes: frozenset[str]
    sha256: str


def make_token(name: str, scopes: Iterable[str]) -> tuple[str, str]:
    """Make a new token.

    Args:
        name: of the client.
        scopes: what it may do, some of "infer", "upload" and "admin".

    Returns:
        The token, 256 random bits in base64 behind "onnxplain_", and the line for the table
        `[tokens]` of the configuration file. SHA-256 needs no salt and no repetition here: a
        token cannot be guessed, as passwords can.

    Raises:
        OptionError: the name is empty or has other characters, or there is no such scope.
    """
    token = f"onnxplain_{secrets.token_urlsafe(32)}"
    chosen = list(dict.fromkeys(scopes))
    try:
        token_of(name, {"scopes": chosen, "sha256": digest(token)})
    except ValueError as e:
        raise OptionError(f"token '{name}': {e}") from e
    words = ", ".join(f'"{scope}"' for scope in chosen)
    return token, f'{name} = {{ scopes = [{words}], sha256 = "{digest(token)}" }}'


def digest(token: str) -> str:
    """Return the SHA-256 of a token, in hexadecimal."""
    return hashlib.sha256(token.encode()).hexdigest()


def find_token(tokens: Iterable[Token], shown: str) -> Token | None:
    """Return the one of `tokens` that a client has shown, or None.

    The time does not depend on how much of a hash is right, nor on which token it is.
    """
    found, hashed = None, digest(shown)
    for token in tokens:
        if hmac.compare_digest(token.sha256, hashed):
            found = token
    return found


def token_of(name: str, entry: object) -> Token:
    """Return the token of an entry of the table `[tokens]`; raises ValueError if it is none."""
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name):
        raise ValueError("the name must be 1 to 64 letters, digits, - or _")
    if not isinstance(entry, dict) or set(entry) != {"scopes", "sha256"}:
        raise ValueError('not { scopes = [...], sha256 = "..." }: see `--new-token`')
    scopes, sha256 = entry["scopes"], entry["sha256"]
    if not isinstance(scopes, list) or not scopes or not all(isinstance(s, str) for s in scopes):
        raise ValueError(f"`scopes` must be a list of {listed(SCOPES)}")
    for scope in scopes:
        if scope not in SCOPES:
            raise ValueError(f"no scope '{scope}' ({nearest(scope, SCOPES, 3)})")
    if not isinstance(sha256, str) or not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise ValueError("`sha256` must be 64 hexadecimal digits: see `--new-token`")
    return Token(name, frozenset(scopes), sha256)
