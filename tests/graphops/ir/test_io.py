"""Reading models that are not what they should be, and writing them whole or not at all."""

import os
import stat
import tempfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnx
import pytest
from check_rule import run
from hostile.hidden_tensors import HIDING_PLACES, WEIGHT, network, outside
from onnx import external_data_helper, helper, numpy_helper

from onnxplain.graphops import load, read_metadata, save
from onnxplain.graphops.errors import (
    CorruptModel,
    MissingFile,
    OutputError,
    UnsafeModel,
    UnsupportedModel,
)
from onnxplain.graphops.ir.io import write_atomically

# Models that are not.


def test_a_good_file(tmp_path):
    path = tmp_path / "net.onnx"
    path.write_bytes(network().SerializeToString())
    for source in (path, str(path), path.read_bytes()):
        assert load(source) == network()


def test_a_text_file(tmp_path):
    path = tmp_path / "notes.onnx"
    path.write_text("These are only notes, of several lines.\n" * 20)
    with pytest.raises(CorruptModel, match="notes.onnx' is not an ONNX model"):
        load(path)


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9, 0.99])
def test_a_truncated_file(tmp_path, kept):
    whole = network().SerializeToString()
    path = tmp_path / "net.onnx"
    path.write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(CorruptModel, match="net.onnx"):
        load(path)


def test_every_truncation_is_noticed():
    """None crashes, and none loads: what a model ends with is its operator set."""
    whole = network().SerializeToString()
    for length in range(len(whole)):
        with pytest.raises(CorruptModel):
            load(whole[:length])


def test_an_empty_file(tmp_path):
    path = tmp_path / "empty.onnx"
    path.touch()
    with pytest.raises(CorruptModel, match="empty.onnx"):
        load(path)
    with pytest.raises(CorruptModel):
        load(b"")


def test_random_bytes():
    rng = np.random.default_rng(0)
    for length in (1, 10, 100, 1000, 10000):
        for _ in range(20):
            with pytest.raises(CorruptModel):
                load(rng.bytes(length))


def test_a_missing_file(tmp_path):
    with pytest.raises(MissingFile, match="nowhere.onnx"):
        load(tmp_path / "nowhere.onnx")
    with pytest.raises(MissingFile):
        load(tmp_path / "no folder" / "net.onnx")


def test_a_folder(tmp_path):
    with pytest.raises(MissingFile, match="directory"):
        load(tmp_path)


def test_a_file_as_a_folder(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(MissingFile):
        load(tmp_path / "file" / "net.onnx")


@pytest.mark.parametrize("opset", [1, 6, 27, 99])
def test_an_opset_out_of_range(opset):
    with pytest.raises(UnsupportedModel, match=f"opset {opset};.*7 to 26.*export"):
        load(network(opset=opset).SerializeToString())


@pytest.mark.parametrize("opset", [7, 26])
def test_an_opset_at_either_end(opset):
    assert load(network(opset=opset).SerializeToString()).opset_import[0].version == opset


def test_an_opset_of_another_domain_alone():
    model = network()
    model.opset_import[0].domain = "ai.onnx.ml"
    with pytest.raises((UnsupportedModel, CorruptModel)):
        load(model.SerializeToString())


def no_such_input(model):
    model.graph.node[0].input[0] = "nothing"


def no_such_operator(model):
    model.graph.node[0].op_type = "Frobnicate"


def a_cycle(model):
    model.graph.node[0].input[0] = "y"


def a_short_weight(model):
    model.graph.initializer[0].raw_data = b"123"


def two_of_one_name(model):
    model.graph.node.append(model.graph.node[0])


def no_graph(model):
    model.ClearField("graph")


def no_opset(model):
    del model.opset_import[:]


@pytest.mark.parametrize(
    "damage",
    [no_such_input, no_such_operator, a_cycle, a_short_weight, two_of_one_name, no_graph, no_opset],
)
def test_invalid_models(damage):
    model = network()
    damage(model)
    with pytest.raises(CorruptModel) as caught:
        load(model.SerializeToString())
    assert "\n" not in str(caught.value)


# Values in other files.


def beside(folder, location="net.data"):
    """Write the network and its weight's values into `folder`; return the network's path."""
    (folder / location).write_bytes(WEIGHT.tobytes())
    path = folder / "net.onnx"
    path.write_bytes(network(outside(location)).SerializeToString())
    return path


def test_values_beside_the_model_are_read(tmp_path, monkeypatch):
    path = beside(tmp_path)
    monkeypatch.chdir(tmp_path.parent)  # it is the model's folder that counts
    model = load(path)
    assert not any(external_data_helper.uses_external_data(t) for t in model.graph.initializer)
    np.testing.assert_array_equal(run(model, {"x": np.eye(2, dtype=np.float32)})[0], WEIGHT)


def test_values_in_a_folder_below_are_read(tmp_path):
    (tmp_path / "weights").mkdir()
    model = load(beside(tmp_path, "weights/net.data"))
    np.testing.assert_array_equal(numpy_helper.to_array(model.graph.initializer[0]), WEIGHT)


def test_a_model_with_values_beside_it_is_saved_whole(tmp_path):
    model = load(beside(tmp_path))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    save(model, elsewhere / "net.onnx")
    assert load((elsewhere / "net.onnx").read_bytes()) == model


@pytest.mark.parametrize("location", ["../secret.data", "a/../../secret.data"])
def test_values_outside_the_folder_are_refused(tmp_path, location):
    (tmp_path / "secret.data").write_bytes(WEIGHT.tobytes())
    folder = tmp_path / "model"
    (folder / "a").mkdir(parents=True)
    path = folder / "net.onnx"
    path.write_bytes(network(outside(location)).SerializeToString())
    with pytest.raises(UnsafeModel, match="'w'"):
        load(path)


def test_values_at_an_absolute_path_are_refused(tmp_path):
    (tmp_path / "secret.data").write_bytes(WEIGHT.tobytes())
    path = tmp_path / "net.onnx"
    path.write_bytes(network(outside(str(tmp_path / "secret.data"))).SerializeToString())
    with pytest.raises(UnsafeModel, match="'w'"):
        load(path)


def test_values_behind_a_link_are_refused(tmp_path):
    (tmp_path / "secret.data").write_bytes(WEIGHT.tobytes())
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "net.data").symlink_to(tmp_path / "secret.data")
    path = folder / "net.onnx"
    path.write_bytes(network(outside("net.data")).SerializeToString())
    with pytest.raises(UnsafeModel, match="'w'"):
        load(path)


def test_values_that_are_missing(tmp_path):
    path = beside(tmp_path)
    (tmp_path / "net.data").unlink()
    with pytest.raises((MissingFile, UnsafeModel), match="'w'"):
        load(path)


def test_values_that_are_cut_short(tmp_path):
    path = beside(tmp_path)
    (tmp_path / "net.data").write_bytes(b"1234")
    with pytest.raises((CorruptModel, UnsafeModel)):
        load(path)


# Where such tensors hide: each is invisible to the checker, or to a walk over the initialisers.


@pytest.mark.parametrize("hide", HIDING_PLACES)
def test_bytes_may_name_no_file_anywhere(hide, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret.data").write_bytes(bytes(64))  # where a runtime would look for it
    model = hide(outside("secret.data"))
    with pytest.raises(UnsafeModel, match="another file"):
        load(model.SerializeToString())


@pytest.mark.parametrize("hide", HIDING_PLACES)
def test_files_may_name_no_file_elsewhere(hide, tmp_path):
    (tmp_path / "secret.data").write_bytes(bytes(64))
    folder = tmp_path / "model"
    folder.mkdir()
    path = folder / "net.onnx"
    path.write_bytes(hide(outside("../secret.data")).SerializeToString())
    with pytest.raises(UnsafeModel, match="outside the model's folder"):
        load(path)


def test_a_missing_file_of_tensors_is_named(tmp_path):
    path = tmp_path / "net.onnx"
    path.write_bytes(network(outside("net.onnx.data")).SerializeToString())
    with pytest.raises(MissingFile, match="net.onnx.data', which is missing: put that file"):
        load(path)


# Writing.


def test_saved_and_read_again(tmp_path):
    path = tmp_path / "out.onnx"
    save(network(), path)
    assert load(path) == network()
    save(network(opset=20), str(path))  # over an older one
    assert load(path) == network(opset=20)
    assert os.listdir(tmp_path) == ["out.onnx"]


def test_saved_with_the_usual_permissions(tmp_path):
    save(network(), tmp_path / "out.onnx")
    (tmp_path / "other").touch()
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("out.onnx", "other")}
    assert len(modes) == 1


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "out.onnx"
    save(network(), path)

    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full_disk)
    with pytest.raises(OutputError, match="out.onnx.*No space left"):
        save(network(opset=20), path)
    monkeypatch.undo()
    assert os.listdir(tmp_path) == ["out.onnx"]
    assert load(path) == network()


def test_a_write_that_fails_halfway_leaves_nothing(tmp_path, monkeypatch):
    real = os.fdopen

    def breaking(*args, **kwargs):
        file = real(*args, **kwargs)
        file.write(b"half")
        file.close()
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fdopen", breaking)
    with pytest.raises(OutputError, match="Input/output error"):
        save(network(), tmp_path / "out.onnx")
    monkeypatch.undo()
    assert os.listdir(tmp_path) == []


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(OutputError, match="nowhere"):
        save(network(), tmp_path / "nowhere" / "out.onnx")
    assert os.listdir(tmp_path) == []


def test_a_folder_in_the_place_of_the_file(tmp_path):
    (tmp_path / "out.onnx").mkdir()
    with pytest.raises(OutputError, match="out.onnx"):
        save(network(), tmp_path / "out.onnx")
    assert os.listdir(tmp_path) == ["out.onnx"]


def test_a_file_in_the_place_of_the_folder(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError):
        save(network(), tmp_path / "file" / "out.onnx")


def test_a_folder_that_may_not_be_written(tmp_path, monkeypatch):
    def refused(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "mkstemp", refused)  # as root, no folder would refuse
    with pytest.raises(OutputError, match="out.onnx.*Permission denied"):
        save(network(), tmp_path / "out.onnx")
    monkeypatch.undo()
    assert os.listdir(tmp_path) == []


def test_metadata_is_read():
    model = network()
    helper.set_model_props(model, {"labels": "cat,dog", "empty": ""})
    assert read_metadata(model) == {"labels": "cat,dog", "empty": ""}
    assert read_metadata(network()) == {}


INCONSISTENT = {
    "stride of zero": "y = MaxPool <kernel_shape = [2, 2], strides = [0, 1]> (x)",
    "pads of another rank": "y = MaxPool <kernel_shape = [2, 2], pads = [1, 1]> (x)",
    "axis beyond the rank": "y = Concat <axis = 9> (x, x)",
    "matrix of rank 4": "y = Gemm (x, x)",
}


@pytest.mark.parametrize("text", INCONSISTENT.values(), ids=INCONSISTENT)
def test_a_node_that_cannot_work_on_its_inputs(tmp_path, text):
    model = onnx.parser.parse_model(
        f"""<ir_version: 8, opset_import: ["": 17]>
        net (float[1, 3, 8, 8] x) => (float[a, b, c, d] y) {{ {text} }}"""
    )
    (tmp_path / "odd.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(CorruptModel, match=r"odd\.onnx.*does not fit its inputs"):
        load(tmp_path / "odd.onnx")


def test_stale_declared_shapes_are_no_defect(tmp_path):
    model = onnx.parser.parse_model(
        """<ir_version: 8, opset_import: ["": 17]>
        net (float[1, 3, 8, 8] x) => (float[1, 3, 9, 9] y) <float[4, 4] r>
        { r = Relu (x) y = Neg (r) }"""
    )
    (tmp_path / "stale.onnx").write_bytes(model.SerializeToString())
    assert load(tmp_path / "stale.onnx").graph.node[1].op_type == "Neg"


def test_a_link_is_followed_and_stays(tmp_path):
    (tmp_path / "real.onnx").write_bytes(b"old")
    (tmp_path / "link.onnx").symlink_to("real.onnx")
    write_atomically(tmp_path / "link.onnx", b"new")
    assert (tmp_path / "link.onnx").is_symlink()
    assert (tmp_path / "real.onnx").read_bytes() == b"new"


def test_what_is_no_file_is_written_to_and_stays(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as reader:
        read = reader.submit(pipe.read_bytes)
        write_atomically(pipe, b"through")
        assert read.result(10) == b"through"
    assert pipe.is_fifo()
