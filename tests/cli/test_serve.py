"""`onnxplain serve`: the settings' flags, --check-config and --new-token."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from cli.running import Run

from onnxplain.server.config import declarations
from onnxplain.server.tokens import digest


def test_every_setting_has_its_flag_but_the_tokens(run: Run) -> None:
    text = run("serve", "--help").out
    flags = set(re.findall(r"^ +--(?:no-)?([a-z-]+)", text, re.MULTILINE))
    settings = {name.replace("_", "-") for name in declarations()} - {"tokens"}
    others = {"config", "check-config", "in-process", "new-token", "scopes"}
    assert flags - {"h"} == settings | others
    words = " ".join(text.split())
    for declaration in declarations().values():
        if declaration.kind is not None:
            assert declaration.help in words


def test_check_config(run: Run, tmp_path: Path) -> None:
    config = tmp_path / "service.toml"
    config.write_text('models = ["."]\nqueue = 3\n')
    for flags in ((), ("--queue", "5"), ("--device", "cpu", "--listen", "127.0.0.1:0")):
        result = run("serve", "--config", config, "--check-config", *flags)
        assert (result.code, result.out) == (0, "nothing is wrong with the settings\n")
    config.write_text('models = ["."]\nqeue = 3\nbatch = 0\n')
    result = run(
        "serve", "--config", config, "--check-config", "--delay-ms", "soon", "--device", "x"
    )
    assert (result.code, result.error) == (2, "")
    flags = ["--delay-ms: `delay_ms` must be", "--device: 'x' cannot be used: no device 'x'"]
    lines = [f"{config}:2: no setting 'qeue' (nearest: 'queue'", f"{config}:3: `batch` must be"]
    for line, start in zip(result.out.splitlines(), flags + lines, strict=True):
        assert line.startswith(start)


def test_it_does_not_start_with_wrong_settings(run: Run, tmp_path: Path) -> None:
    config = tmp_path / "service.toml"
    config.write_text('models = ["nowhere"]\nqeue = 3\n')
    result = run("serve", "--config", config)
    assert (result.code, result.out) == (2, "")
    assert f"{config}:1: no folder" in result.error_line
    assert f"; {config}:2: no setting 'qeue'" in result.error_line
    result = run("serve", "--listen", "0.0.0.0:50051")
    assert result.code == 2
    assert "--listen: 0.0.0.0:50051 can be reached from other machines" in result.error_line
    assert "no configuration file" in run("serve", "--config", "none.toml").error_line


def test_new_token(run: Run) -> None:
    result = run("serve", "--new-token", "ci", "--scopes", "infer,upload")
    assert result.code == 0
    first, token, second, line = result.out.splitlines()
    assert first.endswith("shown only now:") and second.endswith("[tokens]:")
    assert tomllib.loads(line) == {"ci": {"scopes": ["infer", "upload"], "sha256": digest(token)}}
    other = run("serve", "--new-token", "ci").out.splitlines()
    assert other[1] != token
    assert tomllib.loads(other[3])["ci"]["scopes"] == ["infer"]


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (["--new-token", "two words"], "the name must be 1 to 64 letters"),
        (["--new-token", "ci", "--scopes", "all"], "no scope 'all' (nearest: "),
        (["--new-token", "ci", "--scopes", ""], "no scope ''"),
    ],
)
def test_a_token_that_cannot_be(run: Run, flags: list[str], text: str) -> None:
    result = run("serve", *flags)
    assert result.code == 2
    assert text in result.error_line
