"""`onnxplain serve`, and `onnxplain explain --server`."""

import io
import json
import os
import socket
import sys
from pathlib import Path

import grpc
import numpy as np
import pytest
import trustme
from cli.running import Run
from client.scripted import Scripted, serving
from PIL import Image

from onnxplain.cli.commands import explain
from onnxplain.engine import Explanation, View


def test_a_server_answers_as_this_machine_does(
    run: Run, network: Path, picture: Path, server: str, tmp_path: Path
) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_text("ant\nbee\ncow\ndog\nelk\n")
    for flags in (
        ["--labels", labels],
        ["--labels", labels, "--class", "cow", "--method", "gradient", "--negate"],
        ["--layer", "pool", "--channel", "top:3"],
        ["--layer", "pool", "--channel", "2,0", "--position", "3,4", "--seed-value", "one"],
        ["--layer", "c", "--method", "guided_backprop", "--channel", "all", "--unpool", "portable"],
        ["--layer", "p", "--to", "r", "--method", "gradient", "--channel-axis", "1"],
        ["--preprocess", "raw_bgr,mean=1,2,3,crop=center"],
        ["--preprocess", "signed"],
        ["--preprocess", "torchvision,resize=20,interpolation=bicubic"],
    ):
        flags = [*flags, picture, "-o"]
        here = run("explain", network, *flags, "here.png", "--npz", "here.npz", "--json")
        there = run(
            "explain", "net", *flags, "there.png", "--npz", "there.npz", "--json",
            "--server", server,
        )  # fmt: skip
        assert (here.code, there.code) == (0, 0), there.error
        with np.load("here.npz") as expected, np.load("there.npz") as found:
            assert set(found) == set(expected)
            for name in expected:
                np.testing.assert_array_equal(found[name], expected[name], strict=True)
        assert Path("there.png").read_bytes() == Path("here.png").read_bytes()
        expected_json, found_json = json.loads(here.out), json.loads(there.out)
        for key in ("model", "files"):
            del expected_json[key], found_json[key]
        assert found_json == expected_json
        assert there.error == here.error


def test_a_server_s_result_lies_over_the_photograph(
    run: Run, network: Path, tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = np.random.default_rng(2).integers(0, 256, (40, 60, 3), np.uint8)
    path = tmp_path / "wide.png"
    Image.fromarray(pixels).save(path)
    written: list[View] = []
    monkeypatch.setattr(explain, "write", lambda view, *_: written.append(view) or [])
    sent = path.read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(sent)))
    for source in (path, "-"):
        flags = ["--preprocess", "imagenet", "-o", "a.png", "--server", server]
        result = run("explain", "net", source, *flags)
        assert result.code == 0, result.error
    for view in written:
        assert isinstance(view, Explanation) and view.preprocess is not None
        (photograph,) = view.photographs
        np.testing.assert_array_equal(photograph, pixels)
        assert view.preprocess.seen_box(40, 60) == (0, 10, 40, 50)
    assert len(written) == 2


def test_a_server_draws_the_views_that_this_machine_does(
    run: Run, network: Path, picture: Path, server: str, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    (folder / "sub").mkdir(parents=True)
    for name in ("a.png", "sub/b.png"):
        (folder / name).write_bytes(picture.read_bytes())
    (folder / "sub" / "bad.png").write_bytes(b"no picture")
    for command in (
        ("top", "MODEL", folder, "--layer", "pool", "--channel", "top:2", "--method", "gradient"),
        ("top", "MODEL", folder, "--layer", "pool", "--channel", "all", "--count", 1),
        ("top", "MODEL", folder, "--layer", "pool", "--channel", "2,0", "--count", 2),
        ("training", "MODEL", "MODEL", "--image", picture, "--layer", "pool", "--channel", "top:2"),
        ("invariance", "MODEL", picture, "--layer", "c", "--layer", "pool", "--class", 3),
        ("occlusion", "MODEL", picture, "--layer", "pool", "--window", 6),
        ("slide", "MODEL", picture, "--channel", 1),
    ):
        outputs = []
        for place, model, *flags in (("here", network), ("there", "net", "--server", server)):
            words = [model if word == "MODEL" else word for word in command]
            files = ["-o", f"{place}.png", "--npz", f"{place}.npz"]
            result = run(*words, "--preprocess", "unit", *files, *flags)
            assert result.code == 0, result.error
            outputs.append(result.out.replace(place, "PLACE"))
            if command[0] == "top":
                assert "skipped: sub/bad.png" in result.error
        assert outputs[0] == outputs[1]
        with np.load("here.npz") as expected, np.load("there.npz") as found:
            assert set(found) == set(expected)
            for name in set(expected) - {"checkpoints"}:  # here files, there models
                np.testing.assert_array_equal(found[name], expected[name])
        if command[0] != "training":
            assert Path("there.png").read_bytes() == Path("here.png").read_bytes()


def test_a_server_draws_in_the_formats_and_styles_that_this_machine_does(
    run: Run, network: Path, picture: Path, server: str
) -> None:
    for name, flags, panels in (
        ("pdf", ["--dpi", 80, "--cmap", "viridis", "--no-title"], 3),
        ("svg", ["--alpha", 0.3, "--columns", 2, "--at", "network", "--width", 5], 3),
        ("jpg", ["--dpi", 60], 3),
        ("png", [], 0),
    ):
        files = []
        for place, model, *more in (("here", network), ("there", "net", "--server", server)):
            folder = ["--panels", f"{place}_{name}"] if panels else []
            result = run(
                "occlusion", model, picture, "--layer", "pool", "--window", 6, *flags, *folder,
                "-o", f"{place}.{name}", *more,
            )  # fmt: skip
            assert result.code == 0, result.error
            drawn = {p.name: p.read_bytes() for p in Path(f"{place}_{name}").glob("*")}
            assert len(drawn) == panels
            files.append((Path(f"{place}.{name}").read_bytes(), drawn))
            assert f"wrote {place}.{name}" in result.out
        assert files[0] == files[1]
    alone = run("occlusion", "net", picture, "--panels", "alone", "--server", server)
    assert alone.code == 0, alone.error
    assert sorted(os.listdir("alone")) == ["picture.png", "probability.png", "strength.png"]
    refused = run(
        "occlusion", "net", picture, "--server", server, "--dpi", 2400, "--width", 30, "-o", "x.png"
    )
    assert refused.code == 2
    assert "million pixels" in refused.error_line
    assert not Path("x.png").exists()


def test_a_server_evaluates_as_this_machine_does(
    run: Run, network: Path, picture: Path, server: str
) -> None:
    flags = [picture, "--method", "gradient", "--preprocess", "unit", "--randomize", 1, "--json"]
    found = []
    for chosen in ([], ["--class", 0], ["--class", 1]):
        here = run("evaluate", network, *flags, *chosen)
        there = run("evaluate", "net", *flags, *chosen, "--server", server)
        assert (here.code, there.code) == (0, 0), there.error
        assert json.loads(there.out) == json.loads(here.out)
        found.append(there.out)
    assert found[1] != found[2]
    assert found[0] in found[1:]  # the predicted class is one of the two
    refused = run("evaluate", "net", *flags, "--server", server, "--device", "cpu")
    assert refused.code == 2
    assert "--device has no effect on a server" in refused.error


def test_a_server_lists_the_layers_that_this_machine_does(
    run: Run, network: Path, server: str
) -> None:
    for flags in ([], ["--arithmetic"], ["--json"], ["--size", "16x16", "--json"]):
        here = run("layers", network, *flags)
        there = run("layers", "net", *flags, "--server", server)
        assert (here.code, there.code) == (0, 0), there.error
        assert there.out == here.out
    refused = run("layers", "net", "--size", "8x8", "--server", server)
    assert refused.code == 3
    assert "has the fixed size 16, not 8" in refused.error


def test_wrong_requests(run: Run, picture: Path, network: Path, server: str) -> None:
    for arguments, code, word in (
        (["nut", picture], 2, "no model 'nut'"),
        (["net", picture, "--layer", "pol"], 2, "'pool'"),
        (["net", picture, "--method", "deconv"], 2, "no method 'deconv'"),
        (["net", picture, "--channel", "5"], 2, "no channel 5"),
        (["net", picture, "--position", "middle"], 2, "'middle'"),
        (["net", network], 2, "not a picture"),
        (["net", "no.png"], 2, "'no.png'"),
        (["bad", picture], 3, "bad"),
        (["net", picture, "--device", "cpu"], 2, "--device"),
    ):
        (network.parent / "bad.onnx").write_text("not ONNX")
        result = run("explain", *arguments, "--server", server)
        assert result.code == code, arguments
        assert word in result.error_line
    assert os.listdir() == []


def test_server_that_is_not_there(run: Run, picture: Path) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # and not listening: nobody answers, nobody else gets it
        address = f"127.0.0.1:{held.getsockname()[1]}"
        result = run("explain", "net", picture, "--server", address)
    assert result.code == 1
    assert address in result.error_line
    assert os.listdir() == []


def test_port_in_use(run_process: Run, network: Path) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        address = f"127.0.0.1:{held.getsockname()[1]}"
        result = run_process("serve", "--models", network.parent, "--listen", address)
    assert result.code == 1
    assert address in result.error_line
    assert "port in use" in result.error_line


def test_address_that_is_none(run: Run, network: Path) -> None:
    result = run("serve", "--models", network.parent, "--listen", "everywhere")
    assert result.code == 2
    assert "'everywhere'" in result.error_line


def test_arrays_and_regions_are_sent_to_a_server(
    run: Run, network: Path, picture: Path, server: str, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    np.save(tmp_path / "two.npy", rng.standard_normal((2, 3, 16, 16)).astype(np.float32))
    np.save(tmp_path / "one.npy", rng.standard_normal((3, 16, 16)).astype(np.float32))
    mask = np.zeros((16, 16), np.uint8)
    mask[3:9, 2:12] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    for images, flags in (
        (["two.npy"], ["--method", "gradient", "--to", "all"]),
        (["one.npy", "one.npy"], ["--layer", "pool"]),
        (["one.npy"], ["--layer", "pool", "--region", tmp_path / "mask.png"]),
    ):
        flags = [*(tmp_path / image for image in images), *flags, "--json", "-o"]
        here = run("explain", network, *flags, "here.png", "--npz", "here.npz")
        there = run("explain", "net", *flags, "there.png", "--npz", "there.npz", "--server", server)
        assert (here.code, there.code) == (0, 0), there.error
        with np.load("here.npz") as expected, np.load("there.npz") as found:
            assert set(found) == set(expected)
            for name in expected:
                np.testing.assert_array_equal(found[name], expected[name])
        assert Path("here.png").read_bytes() == Path("there.png").read_bytes()


def test_a_method_that_a_server_refuses_leaves_the_others_results(
    run: Run, network: Path, picture: Path, server: str
) -> None:
    flags = ["--layer", "pool", "--to", "c", "--preprocess", "unit", "-o", "a.png"]
    for methods, code in (("gradient,rise,lrp", 0), ("rise,occlusion", 2)):
        here = run("explain", network, picture, *flags, "--method", methods)
        there = run("explain", "net", picture, *flags, "--method", methods, "--server", server)
        assert here.code == there.code == code
        assert there.out == here.out
        assert there.error == here.error
        assert ("onnxplain: rise is left out: " in here.error) == (code == 0)
    flags += ["--method", "gradient,rise", "--json"]
    answers = [
        json.loads(run("explain", *arguments, *flags).out)
        for arguments in ((network, picture), ("net", picture, "--server", server))
    ]
    assert answers[0][1] == answers[1][1]
    assert answers[1][1]["method"] == "rise"


def test_variables_secure_the_connection(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    made = authority.issue_cert("service.example.org")
    pair = made.private_key_pem.bytes(), made.cert_chain_pems[0].bytes()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    service = Scripted()
    with serving(service, credentials=grpc.ssl_server_credentials([pair])) as address:
        assert run("methods", "--server", address).code == 1
        monkeypatch.setenv("ONNXPLAIN_CA", str(tmp_path / "ca.pem"))
        monkeypatch.setenv("ONNXPLAIN_SERVER_NAME", "service.example.org")
        monkeypatch.setenv("ONNXPLAIN_TOKEN", "a-token\n")
        done = run("methods", "--server", address)
        assert (done.code, "gradient" in done.out) == (0, True), done.error
        assert service.metadata[-1]["authorization"] == "Bearer a-token"
        monkeypatch.setenv("ONNXPLAIN_CA", "system")
        assert run("methods", "--server", address).code == 1
        monkeypatch.setenv("ONNXPLAIN_CA", "nowhere.pem")
        assert run("methods", "--server", address).code == 2
    monkeypatch.delenv("ONNXPLAIN_CA")
    monkeypatch.delenv("ONNXPLAIN_SERVER_NAME")
    done = run("methods", "--server", "service.example.org:1")
    assert (done.code, "not sent to service.example.org:1 in plaintext" in done.error) == (2, True)
