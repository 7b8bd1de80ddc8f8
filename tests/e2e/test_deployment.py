"""The files of deploy/ and the data on docs/service.md: they are valid, agree, and run."""

import configparser
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import tomllib
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
import yaml
from grpc_health.v1 import health_pb2, health_pb2_grpc
from server.certificates import Authority

from onnxplain.cli.main import build_parser
from onnxplain.client import TLS, Client, ClientError
from onnxplain.server import make_token, read_configuration
from onnxplain.server.config import declarations

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
PAGE = (ROOT / "docs/service.md").read_text()
CONFIG = (DEPLOY / "service.toml").read_text()
MANIFEST = list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text()))
PICTURE = ROOT / "examples/pictures/star_1.png"
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def fences(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def part(kind):
    (found,) = [part for part in MANIFEST if part["kind"] == kind]
    return found


def placed(text, folder):
    """Write a configuration into a folder, with its paths and a certificate there."""
    etc, var = folder / "etc", folder / "var"
    (etc / "tls").mkdir(parents=True)
    for name in re.findall(r"/var/lib/onnxplain/(\w+)", text):
        (var / name).mkdir(parents=True, exist_ok=True)
    authority = Authority(folder)
    for made, name in zip(authority.issue("server"), ("tls.crt", "tls.key"), strict=True):
        shutil.copy(made, etc / "tls" / name)
    text = text.replace("/var/lib/onnxplain", str(var)).replace("/etc/onnxplain", str(etc))
    path = etc / "service.toml"
    path.write_text(text.replace('"0.0.0.0:50051"', '"127.0.0.1:0"'))
    return path, authority


@pytest.mark.parametrize("text", [CONFIG, part("ConfigMap")["data"]["service.toml"]])
def test_the_configurations_are_right(text, tmp_path):
    path, _ = placed(text, tmp_path)
    assert read_configuration(path).problems == ()
    assert read_configuration(path, {"listen": ["0.0.0.0:50051"]}).problems == ()


def test_settings_on_the_page_are_known():
    for text in fences("toml"):
        assert tomllib.loads(text).keys() <= declarations().keys()


def test_yaml_on_the_page_is_yaml():
    assert all(list(yaml.safe_load_all(text)) for text in fences("yaml"))


def test_the_manifest_fits_its_configuration():
    config = tomllib.loads(part("ConfigMap")["data"]["service.toml"])
    pod = part("Deployment")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert [f"0.0.0.0:{ports['grpc']}"] == config["listen"]
    assert f"0.0.0.0:{ports['metrics']}" == config["metrics"]
    probes = {name: container[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness")}
    assert probes["startup"] == container["readinessProbe"]["httpGet"]
    assert [probe["path"] for probe in probes.values()] == ["/readyz", "/livez"]
    assert {probe["port"] for probe in probes.values()} == {"metrics"}
    (service_port,) = part("Service")["spec"]["ports"]
    assert service_port["targetPort"] == "grpc"
    mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    assert set(mounts.values()) == {volume["name"] for volume in pod["volumes"]}
    for name in (*config["models"], config["store"], config["state"]):
        assert name in mounts
    assert Path(config["tls_cert"]).parent == Path(config["tls_key"]).parent
    assert str(Path(config["tls_cert"]).parent) in mounts
    pause = int(container["lifecycle"]["preStop"]["exec"]["command"][-1])
    assert pod["terminationGracePeriodSeconds"] > pause + config["drain_seconds"]
    selector = part("Deployment")["spec"]["selector"]["matchLabels"]
    labels = part("Deployment")["spec"]["template"]["metadata"]["labels"]
    assert selector == labels == part("Service")["spec"]["selector"]


@pytest.fixture(scope="module")
def unit():
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str
    parser.read_string((DEPLOY / "onnxplain.service").read_text())
    return parser["Service"]


def test_the_unit_runs_commands_that_there_are(unit):
    for name in ("ExecStart", "ExecStartPre"):
        program, *words = unit[name].split()
        assert Path(program).name == "onnxplain"
        assert build_parser().parse_args(words).config == "/etc/onnxplain/service.toml"
    assert int(unit["TimeoutStopSec"]) > tomllib.loads(CONFIG)["drain_seconds"]


def test_systemd_finds_nothing_wrong_with_the_unit(unit, tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze")
    text = (DEPLOY / "onnxplain.service").read_text()
    path = tmp_path / "onnxplain.service"
    path.write_text(
        text.replace("/opt/onnxplain/bin/onnxplain", sys.executable).replace("=onnxplain", "=root")
    )
    command = ["systemd-analyze", "verify", "--man=no", str(path)]
    done = subprocess.run(command, capture_output=True, text=True)
    said = [line for line in done.stderr.splitlines() if "onnxplain.service" in line]
    assert said == []


def instructions():
    """Return the instructions of the Dockerfile, each with its arguments."""
    text = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [tuple(line.split(maxsplit=1)) for line in lines]


def test_the_image_runs_a_command_that_there_is():
    found = dict(instructions())
    assert [name for name, _ in instructions()] == [
        "FROM", "ARG", "COPY", "RUN", "FROM", "COPY", "RUN", "USER", "WORKDIR", "EXPOSE",
        "HEALTHCHECK", "ENTRYPOINT", "CMD",
    ]  # fmt: skip
    words = json.loads(found["CMD"])
    assert build_parser().parse_args(words).config == "/etc/onnxplain/service.toml"
    assert json.loads(found["ENTRYPOINT"]) == ["/opt/onnxplain/bin/onnxplain"]
    config = tomllib.loads(CONFIG)
    addresses = (*config["listen"], config["metrics"])
    assert found["EXPOSE"].split() == [address.rpartition(":")[2] for address in addresses]
    made = re.findall(r"/var/lib/onnxplain/\w+", found["RUN"])
    assert set(made) == {*config["models"], config["store"], config["state"]}
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    runs = " ".join(text for name, text in instructions() if name == "RUN")
    assert "/source[$RUNTIME,telemetry]" in runs
    assert {"cpu", "cuda", "telemetry"} <= extras["optional-dependencies"].keys()


def test_the_image_is_built_and_serves(tmp_path):
    if subprocess.run(["docker", "info"], capture_output=True).returncode:
        pytest.skip("no docker daemon")
    build = ["docker", "build", "-q", "-f", str(DEPLOY / "Dockerfile"), str(ROOT)]
    image = subprocess.run(build, check=True, capture_output=True, text=True).stdout.strip()
    path, authority = placed(CONFIG, tmp_path)
    token, line = make_token("test", ["infer"])
    path.write_text(re.sub(r"^example = .*", line, CONFIG, flags=re.MULTILINE))
    for file in (path, *path.parent.glob("tls/*")):
        file.chmod(0o644)
    config, models = (
        f"{path.parent}:/etc/onnxplain",
        f"{ROOT / 'examples'}:/var/lib/onnxplain/models",
    )
    start = ["docker", "run", "--rm", "-d", "-p", "127.0.0.1:0:50051", "-v", config, "-v", models]
    start.append(image)
    run = subprocess.run(start, check=True, capture_output=True, text=True).stdout.strip()
    try:
        port = ["docker", "port", run, "50051"]
        address = subprocess.run(port, check=True, capture_output=True, text=True).stdout.strip()
        address = f"localhost:{address.rpartition(':')[2]}"
        with Client(address, token=token, tls=TLS(ca=authority.path), timeout=60) as client:
            assert len(client.explain("shapes", str(PICTURE)).attribution) == 1
        subprocess.run(["docker", "stop", run], check=True, capture_output=True)
    finally:
        subprocess.run(["docker", "rm", "-f", run], capture_output=True)


@contextmanager
def running(*arguments):
    """Run a command of a service or worker, and yield the process and its address."""
    command = [sys.executable, "-m", "onnxplain.cli", *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with process:
        try:
            yield process, process.stdout.readline().split()[-1]
        finally:
            process.kill()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def page(address, name):
    try:
        with OPENER.open(f"http://{address}/{name}", timeout=10) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_the_configuration_serves(tmp_path):
    """Over TLS, with a token; then SIGTERM while a call runs, which is finished."""
    path, authority = placed(CONFIG, tmp_path)
    token, line = make_token("test", ["infer"])
    path.write_text(re.sub(r"^example = .*", line, path.read_text(), flags=re.MULTILINE))
    shutil.copy(ROOT / "examples/shapes.onnx", tmp_path / "var/models")
    metrics = f"127.0.0.1:{free_port()}"
    trusted = TLS(ca=authority.path)
    with running("serve", "--config", path, "--metrics", metrics) as (process, address):
        address = address.replace("127.0.0.1", "localhost")
        assert page(metrics, "livez") == (200, "alive\n")
        assert page(metrics, "readyz") == (200, "ready\n")
        with Client(address, tls=trusted) as client, pytest.raises(ClientError) as refused:
            client.explain("shapes", str(PICTURE))
        assert refused.value.kind == "Unauthenticated"
        root = grpc.ssl_channel_credentials(authority.path.read_bytes())
        options = [("grpc.enable_http_proxy", 0)]
        with (
            Client(address, token=token, tls=trusted, timeout=60) as client,
            grpc.secure_channel(address, root, options) as channel,
        ):
            assert client.explain("shapes", str(PICTURE)).attribution.shape[0] == 1
            health = health_pb2_grpc.HealthStub(channel)
            states = health.Watch(health_pb2.HealthCheckRequest())
            assert next(states).status == health_pb2.HealthCheckResponse.SERVING
            operation = client.start_evaluate("shapes", str(PICTURE), methods=["gradient"])
            assert operation.result()
            finished = slow_call(client, process)
            assert next(states).status == health_pb2.HealthCheckResponse.NOT_SERVING
            assert page(metrics, "readyz")[0] == 503
            states.cancel()
            assert len(finished()) == 1
        out, errors = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, "")
    calls = [json.loads(line) for line in errors.splitlines()]
    statuses = [(call["method"].rpartition("/")[2], call["status"], call["caller"])
                for call in calls if call["message"] == "call"]  # fmt: skip
    assert ("ExplainUnits", "UNAUTHENTICATED", "127.0.0.1") in statuses
    assert statuses.count(("ExplainUnits", "OK", "test")) == 2
    assert token not in errors


def slow_call(client, process):
    """Start a call that takes seconds, have the service stop, and return what awaits the answer."""
    pool = ThreadPoolExecutor(1)
    call = pool.submit(client.explain, "shapes", [str(PICTURE)], method="smoothgrad", samples=600)
    time.sleep(0.5)
    assert not call.done()
    process.send_signal(signal.SIGTERM)

    def finished():
        pool.shutdown()
        return call.result().attribution

    return finished


def test_a_worker_on_another_machine(tmp_path):
    """As the page starts it, but on this machine; a stranger's certificate opens nothing."""
    authority, other = Authority(tmp_path), Authority(tmp_path, "other")
    for name in ("worker", "edge"):
        authority.issue(name)
    other.issue("stranger")
    (command,) = re.findall(r"^onnxplain (worker .*?)\n```$", PAGE, re.DOTALL | re.MULTILINE)
    command = command.replace("/srv/models", str(ROOT / "examples"))
    words = re.sub(r"(\w+\.(pem|key))", rf"{tmp_path}/\1", command.replace("\\\n", "")).split()
    words[words.index("0.0.0.0:50052")] = "127.0.0.1:0"
    (config,) = [text for text in fences("toml") if "remote_workers" in text]
    with running(*words) as (_, worker):
        port = worker.rpartition(":")[2]
        config = re.sub(r"remote_workers = .*", f'remote_workers = ["localhost:{port}"]', config)
        path = tmp_path / "edge.toml"
        path.write_text(config + f'models = ["{ROOT / "examples"}"]')
        with (
            running("serve", "--config", path, "--listen", "127.0.0.1:0") as (_, address),
            Client(address, timeout=60) as client,
        ):
            assert len(client.explain("shapes", str(PICTURE)).attribution) == 1
        key, cert = (tmp_path / f"stranger.{end}" for end in ("key", "pem"))
        credentials = grpc.ssl_channel_credentials(
            authority.path.read_bytes(), key.read_bytes(), cert.read_bytes()
        )
        options = [("grpc.enable_http_proxy", 0)]
        with (
            grpc.secure_channel(f"localhost:{port}", credentials, options) as channel,
            pytest.raises(grpc.RpcError) as refused,
        ):
            health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=10)
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
