"""The configuration file and the flags of `serve`: what they give, and what is wrong with them."""

import re
from dataclasses import fields
from pathlib import Path

import pytest
from server.certificates import Authority

from onnxplain.graphops.errors import DeviceError, MissingFile, OptionError
from onnxplain.server import Settings, make_token, read_configuration
from onnxplain.server.config import declarations

HASH = "0123456789abcdef" * 4


@pytest.fixture
def write(tmp_path):
    (tmp_path / "models").mkdir()

    def write_file(text: str) -> Path:
        path = tmp_path / "service.toml"
        path.write_text(text)
        return path

    return write_file


@pytest.fixture
def problems(write):
    """The problems of a file, without the folder of its name."""

    def read(text, flags=None):
        path = write(text)
        found = read_configuration(path, flags).problems
        return [problem.replace(f"{path.parent}/", "") for problem in found]

    return read


def test_without_a_file_and_flags_all_is_default():
    assert read_configuration().checked() == Settings()


def test_a_file_with_every_kind_of_value(write, tmp_path):
    path = write(f"""
models = ["models", "/"]
listen = ["127.0.0.1:0", "[::1]:0", "unix:{tmp_path}/a.sock"]
queue = 7
delay_ms = 2
drain_seconds = 1.5
memory_bytes = "4G"
warm = false
log_format = "json"
metrics = "127.0.0.1:9090"

[tokens]
ci = {{ scopes = ["infer", "upload"], sha256 = "{HASH}" }}
""")
    settings = read_configuration(path).checked()
    assert settings.models == (tmp_path / "models", Path("/"))
    assert settings.listen == ("127.0.0.1:0", "[::1]:0", f"unix:{tmp_path}/a.sock")
    assert (settings.queue, settings.delay_ms, settings.drain_seconds) == (7, 2.0, 1.5)
    assert settings.memory_bytes == 4 * 2**30
    assert (settings.warm, settings.log_format, settings.metrics) == (
        False, "json", "127.0.0.1:9090",
    )  # fmt: skip
    (token,) = settings.tokens
    assert (token.name, token.scopes, token.sha256) == ("ci", {"infer", "upload"}, HASH)


def test_flags_take_the_place_of_keys(write, tmp_path, monkeypatch):
    monkeypatch.chdir("/")
    path = write('models = ["models"]\nqueue = 7\nbatch = 3\ninsecure = false')
    flags = {"queue": "9", "models": ["tmp"], "insecure": True, "memory_bytes": "512M"}
    settings = read_configuration(path, flags).checked()
    assert (settings.queue, settings.batch, settings.insecure) == (9, 3, True)
    assert settings.models == (Path("tmp"),)  # of the working directory
    assert settings.memory_bytes == 512 * 2**20


def test_everything_that_is_wrong_is_said_with_its_line(problems):
    assert problems(
        """\
models = ["models", "nowhere"]
queu = 3
batch = 0
warm = 1
# a comment
listen = "127.0.0.1:50051"
device = []
memory_bytes = "4 GB"
delay_ms = -1
log_format = "xml"
metrics = "9090"
tls_cert = "no.pem"
[tokens]
"two words" = { scopes = ["infer"], sha256 = "HASH" }
wide = { scopes = ["everything"], sha256 = "HASH" }
plain = { scopes = ["infer"], sha256 = "secret" }
[tokens.short]
scopes = ["infer"]
""".replace("HASH", HASH)
    ) == [
        "service.toml:1: no folder 'nowhere'",
        "service.toml:2: no setting 'queu' (nearest: 'queue', 'request_bytes', 'insecure')",
        "service.toml:3: `batch` must be a whole number from 1 to 10000, not 0",
        "service.toml:4: `warm` must be true or false, not 1",
        "service.toml:6: `listen` must be a list of at least one value",
        "service.toml:7: `device` must be a list of at least one value",
        "service.toml:8: `memory_bytes` must be a number of bytes from 256M to 1024T, not '4 GB'",
        "service.toml:9: `delay_ms` must be a number from 0 to 60000, not -1",
        "service.toml:10: `log_format` must be text or json, not 'xml'",
        "service.toml:11: `metrics` must be HOST:PORT, such as 127.0.0.1:50051, not '9090'",
        "service.toml:12: `tls_cert` needs `tls_key`",
        "service.toml:14: token 'two words': the name must be 1 to 64 letters, digits, - or _",
        "service.toml:15: token 'wide': no scope 'everything' (nearest: 'admin', "
        "'infer', 'upload')",
        "service.toml:16: token 'plain': `sha256` must be 64 hexadecimal digits: see `--new-token`",
        "service.toml:17: token 'short': not { scopes = [...], sha256 = \"...\" }: see "
        "`--new-token`",
    ]


def test_a_flag_that_is_wrong_is_named(problems):
    flags = {"queue": "many", "listen": ["here"], "client_ca": "/no.pem"}
    assert problems('models = ["models"]', flags) == [
        "--queue: `queue` must be a whole number from 0 to 1000000, not 'many'",
        "--listen: `listen` must be HOST:PORT, such as 127.0.0.1:50051, not 'here'",
        "--client-ca: '/no.pem' cannot be read: No such file or directory",
        "--client-ca: `client_ca` needs `tls_cert` and `tls_key`: it is part of TLS",
    ]


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("streams", "1000000000000"), ("connection_age_seconds", "1e300"),
        ("drain_seconds", "nan"), ("memory_bytes", "99999999999T"), ("memory_bytes", "255M"),
        ("memory_bytes", "-1"), ("keep_seconds", "0"), ("workers", "99999"),
    ],
)  # fmt: skip
def test_a_number_out_of_its_bounds(setting, value):
    (problem,) = read_configuration(None, {setting: value}).problems
    assert re.fullmatch(rf"--[a-z-]+: `{setting}` must be a .* from \w+ to \w+, not .*", problem)


def test_a_socket_in_a_folder_that_is_missing(tmp_path):
    address = f"unix:{tmp_path}/none/x.sock"
    (problem,) = read_configuration(None, {"listen": [address]}).problems
    assert problem.startswith(f"--listen: '{address}' cannot be made: no folder '{tmp_path}/none'")


def test_a_table_without_tokens_does_not_open_the_service(problems):
    assert problems('models = ["models"]\n[tokens]\n') == [
        "service.toml:2: `tokens` has no token: name one, or leave the table out"
    ]


def test_a_file_that_is_none(write, tmp_path):
    with pytest.raises(MissingFile, match=r"no configuration file '.*nowhere.toml'"):
        read_configuration(tmp_path / "nowhere.toml")
    with pytest.raises(OptionError, match=r"service.toml: not TOML: .*line 2"):
        read_configuration(write("queue = 3\nqueue 4"))
    with pytest.raises(OptionError, match="cannot be read"):
        read_configuration(tmp_path)
    (tmp_path / "latin.toml").write_bytes(b"# gr\xf6\xdfer")
    with pytest.raises(OptionError, match="cannot be read"):
        read_configuration(tmp_path / "latin.toml")


@pytest.mark.parametrize("address", ["0.0.0.0:50051", "[::]:50051", "192.0.2.1:50051"])
def test_a_public_address_needs_tls_and_tokens(problems, tmp_path, address):
    cert, key = Authority(tmp_path).issue("server")
    start = f'models = ["models"]\nlisten = ["127.0.0.1:0", "{address}"]\n'
    tls = f'tls_cert = "{cert}"\ntls_key = "{key}"\n'
    token = f'[tokens]\nci = {{ scopes = ["infer"], sha256 = "{HASH}" }}\n'
    said = f"service.toml:2: {address} can be reached from other machines: it needs "
    (both,) = problems(start)
    assert both.startswith(said + "TLS (`tls_cert` and `tls_key`) and `tokens` or `client_ca`, or")
    (one,) = problems(start + tls)
    assert one.startswith(said + "`tokens` or `client_ca`, or")
    (other,) = problems(start + token)
    assert other.startswith(said + "TLS (`tls_cert` and `tls_key`), or")
    assert problems(start + tls + token) == []
    assert problems(start + tls + 'client_ca = "ca.pem"') == []
    assert problems(start + "insecure = true") == []


@pytest.mark.parametrize("address", ["localhost:0", "127.8.9.1:0", "[::1]:0", "unix:/tmp/s"])
def test_loopback_needs_neither(problems, address):
    assert problems(f'models = ["models"]\nlisten = ["{address}"]') == []


def test_certificates_that_do_not_fit(problems, tmp_path):
    authority = Authority(tmp_path)
    authority.issue("one")
    authority.issue("two")
    (tmp_path / "text.pem").write_text("no certificate")
    start = 'models = ["models"]\n'
    (pair,) = problems(start + 'tls_cert = "one.pem"\ntls_key = "two.key"')
    assert pair.startswith("service.toml:2: 'one.pem' and 'two.key' are no certificate (PEM) and")
    assert "mismatch" in pair.lower()
    (text,) = problems(start + 'worker_cert = "one.pem"\nworker_key = "one.key"\n'
                               'worker_ca = "text.pem"')  # fmt: skip
    assert text.startswith("service.toml:4: 'text.pem' holds no certificates (PEM)")
    (alone,) = problems(start + 'tls_key = "one.key"')
    assert alone == "service.toml:2: `tls_key` needs `tls_cert`"


def test_what_does_not_fit_together(problems):
    assert problems(
        f"""\
models = ["models", "models"]
listen = ["127.0.0.1:50051", "127.0.0.1:50051"]
metrics = "127.0.0.1:50051"
remote_workers = ["192.0.2.1:50052"]
traces = "localhost:4317"
store = "service.toml"
[tokens]
one = {{ scopes = ["infer"], sha256 = "{HASH}" }}
two = {{ scopes = ["admin"], sha256 = "{HASH}" }}
""".replace("{{", "{").replace("}}", "}")
    ) == [
        "service.toml:1: `models` names one twice",
        "service.toml:2: `listen` names one twice",
        "service.toml:3: `metrics` must be another address than those of `listen`",
        "service.toml:4: '192.0.2.1:50052' is on another machine: it needs `worker_cert`, "
        "`worker_key` and `worker_ca`",
        "service.toml:5: `traces` must be a URL, such as http://127.0.0.1:4317",
        "service.toml:6: 'service.toml' is no folder",
        "service.toml:8: tokens 'one' and 'two' have one `sha256`",
    ]


def test_a_new_token_s_line_is_one_of_the_file(write):
    token, line = make_token("ci", ["infer", "admin", "infer"])
    assert len(token) == len("onnxplain_") + 43
    assert token not in line
    settings = read_configuration(write(f'models = ["models"]\n[tokens]\n{line}')).checked()
    assert [(t.name, t.scopes) for t in settings.tokens] == [("ci", {"infer", "admin"})]
    for name, scopes in (("", ["infer"]), ("a b", ["infer"]), ("ci", []), ("ci", ["write"])):
        with pytest.raises(OptionError, match=f"token '{name}'"):
            make_token(name, scopes)


def test_devices_are_tried(problems, write):
    def try_device(name):
        if name != "cpu":
            raise DeviceError(f"no {name} here")

    path = write('models = ["models"]\ndevice = ["cpu", "cuda:0", "cuda:0"]')
    (problem,) = read_configuration(path, None, try_device).problems
    assert problem == f"{path}:2: 'cuda:0' cannot be used: no cuda:0 here"


def test_every_setting_is_declared():
    assert list(declarations()) == [field.name for field in fields(Settings)]
    for name, declaration in declarations().items():
        assert declaration.help and declaration.group
        assert (declaration.kind is None) == (name == "tokens")
