"""Starting and stopping: address, health, reflection, signals, and what can be in the way."""

import asyncio
import logging
import signal
import socket
import subprocess
import sys

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2, reflection_pb2_grpc
from server.running import write_models

from onnxplain.graphops.errors import DeviceError, MissingFile, OptionError, ServiceError
from onnxplain.server import Settings, start, start_settings

NAME = "onnxplain.v1.ExplainService"

PROGRAM = """
import sys
from onnxplain.server import serve
serve(sys.argv[1], "127.0.0.1:0", "cpu", ready=lambda address: print(address, flush=True))
print("stopped", flush=True)
"""


@pytest.fixture
def channel(address):
    with grpc.insecure_channel(address, [("grpc.enable_http_proxy", 0)]) as channel:
        yield channel


@pytest.mark.parametrize("service", ["", NAME])
def test_health(channel, service):
    stub = health_pb2_grpc.HealthStub(channel)
    response = stub.Check(health_pb2.HealthCheckRequest(service=service))
    assert response.status == health_pb2.HealthCheckResponse.SERVING


def test_health_of_an_unknown_service(channel):
    stub = health_pb2_grpc.HealthStub(channel)
    with pytest.raises(grpc.RpcError) as caught:
        stub.Check(health_pb2.HealthCheckRequest(service="other"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize(
    ("method", "request_", "code", "kind"),
    [
        ("/grpc.health.v1.Health/Check", b"\xff", "INVALID_ARGUMENT", "InputError"),
        ("/grpc.health.v1.Health/Watch", b"\xff", "INVALID_ARGUMENT", "InputError"),
        ("/grpc.health.v1.Health/Check", b"\x0a\x01x", "NOT_FOUND", "MissingModel"),
        ("/grpc.health.v1.Health/List", b"", "UNIMPLEMENTED", "UnknownCall"),
        (f"/{reflection.SERVICE_NAME}/ServerReflectionInfo", b"\xff", "INVALID_ARGUMENT",
         "InputError"),
        ("/no.such.Service/Call", b"", "UNIMPLEMENTED", "UnknownCall"),
    ],
)  # fmt: skip
def test_every_failure_has_its_kind(channel, method, request_, code, kind, caplog):
    call = channel.stream_stream(method)
    with pytest.raises(grpc.RpcError) as caught, caplog.at_level(logging.ERROR):
        list(call(iter([request_]), timeout=10))
    assert caught.value.code() is grpc.StatusCode[code]
    assert dict(caught.value.trailing_metadata())["onnxplain-error"] == kind
    assert "Traceback" not in caplog.text


def test_watching_the_health_in_one_process(address_here):
    with grpc.insecure_channel(address_here, [("grpc.enable_http_proxy", 0)]) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        states = stub.Watch(health_pb2.HealthCheckRequest(service=NAME))
        assert next(states).status == health_pb2.HealthCheckResponse.SERVING
        states.cancel()


def test_reflection(channel):
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    requests = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol=NAME),
    ]
    services, files = stub.ServerReflectionInfo(iter(requests))
    names = {service.name for service in services.list_services_response.service}
    assert {NAME, "grpc.health.v1.Health"} <= names
    assert files.file_descriptor_response.file_descriptor_proto


def test_an_unknown_call(channel):
    with pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(f"/{NAME}/Nothing")(b"")
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_two_services_cannot_have_one_port(tmp_path):
    async def start_two():
        first = await start(tmp_path, "127.0.0.1:0", "cpu")
        try:
            await start(tmp_path, first.address, "cpu")
        finally:
            await first.stop(0)

    with pytest.raises(ServiceError, match="port in use"):
        asyncio.run(start_two())


def test_so_reuseport_is_off(tmp_path):
    async def share():
        service = await start(tmp_path, "127.0.0.1:0", "cpu")
        host, port = service.address.split(":")
        try:
            with socket.socket() as other:
                other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                other.bind((host, int(port)))
        finally:
            await service.stop(0)

    with pytest.raises(OSError, match="Address already in use"):
        asyncio.run(share())


def test_a_port_in_use_by_another_program(tmp_path, capfd):
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(
            ServiceError, match=f"port in use: another program listens on {address}"
        ):
            asyncio.run(start(tmp_path, address, "cpu"))
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    "listen", ["", "50051", ":50051", "localhost", "localhost:", "a b:1", "h:65536", "h:x", "::1:5"]
)
def test_what_is_no_address(tmp_path, listen):
    with pytest.raises(OptionError, match="write HOST:PORT"):
        asyncio.run(start(tmp_path, listen, "cpu"))


def test_a_host_of_another_machine(tmp_path):
    # 192.0.2.0/24 is set aside for documentation: no machine has it.
    settings = Settings(models=(tmp_path,), listen=("192.0.2.1:0",), insecure=True)
    with pytest.raises(ServiceError, match=r"cannot listen on 192\.0\.2\.1:0"):
        asyncio.run(start_settings(settings))


@pytest.mark.parametrize("in_process", [False, True])
def test_a_public_address_is_refused(tmp_path, in_process):
    with pytest.raises(OptionError, match=r"0\.0\.0\.0:0 can be reached from other machines"):
        asyncio.run(start(tmp_path, "0.0.0.0:0", "cpu", in_process=in_process))


def test_localhost(tmp_path):
    async def start_and_stop():
        service = await start(tmp_path, "localhost:0", "cpu")
        await service.stop(0)
        return service.address

    assert asyncio.run(start_and_stop()).startswith("localhost:")


def test_the_folder_and_the_device_must_be_there(tmp_path):
    with pytest.raises(MissingFile):
        asyncio.run(start(tmp_path / "nowhere", "127.0.0.1:0", "cpu"))
    with pytest.raises((DeviceError, OptionError)):
        asyncio.run(start(tmp_path, "127.0.0.1:0", "cuda:99"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it(tmp_path, number):
    (write_models(tmp_path) / "broken.onnx").unlink()  # of which the log would tell
    command = [sys.executable, "-W", "error", "-c", PROGRAM, str(tmp_path)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            address = process.stdout.readline().strip()
            with grpc.insecure_channel(address, [("grpc.enable_http_proxy", 0)]) as channel:
                stub = health_pb2_grpc.HealthStub(channel)
                stub.Check(health_pb2.HealthCheckRequest(), timeout=10)
            process.send_signal(number)
            out, error = process.communicate(timeout=15)
        finally:
            process.kill()
    assert (process.returncode, out, error) == (0, "stopped\n", "")
