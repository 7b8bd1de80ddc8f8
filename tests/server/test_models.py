"""The folder of models: which names there are, which files they mean, what is wrong with them."""

import shutil
from pathlib import Path

import onnx
import pytest
from server.running import ANY_SIZE, CLASSIFIER, model

from onnxplain.graphops.errors import (
    CorruptModel,
    InputError,
    MissingFile,
    MissingModel,
    UnsupportedModel,
)
from onnxplain.registry import FolderSource
from onnxplain.server.worker.models import Models, Value


def write(path, text=CLASSIFIER):
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model(text), path)
    return path


def served(*folders):
    return Models([FolderSource(folder) for folder in folders])


def names(folder):
    return [found.name for found in served(folder).all()]


def test_both_layouts_by_name_and_version(tmp_path):
    for path in ("b.onnx", "a/2/model.onnx", "a/10/model.onnx", "a/1/model.onnx"):
        write(tmp_path / path)
    assert names(tmp_path) == [
        "models/a/versions/1",
        "models/a/versions/2",
        "models/a/versions/10",
        "models/b/versions/1",
    ]


def test_what_is_no_model_is_not_listed(tmp_path):
    for path in (".hidden.onnx", "a/latest/model.onnx", "a/0/model.onnx", "a/1/net.onnx"):
        write(tmp_path / path)
    (tmp_path / "notes.txt").write_text("notes")
    (tmp_path / "folder.onnx").mkdir()
    assert names(tmp_path) == []


def test_a_plain_name_is_the_newest_version(tmp_path):
    for version in (9, 10):
        write(tmp_path / f"a/{version}/model.onnx")
    models = served(tmp_path)
    assert models.get("models/a").name == "models/a/versions/10"
    assert models.get("models/a/versions/9").name == "models/a/versions/9"
    with models.use("models/a") as (name, path):
        assert name == "models/a/versions/10"
        assert path == tmp_path / "a/10/model.onnx"


def test_what_is_told_of_a_model(tmp_path):
    path = tmp_path / "a.onnx"
    net = model(CLASSIFIER)
    onnx.helper.set_model_props(net, {"author": "somebody"})
    onnx.save(net, path)
    found = served(tmp_path).get("models/a")
    assert found.inputs == (Value("image", "float32", ("N", 3, 16, 16)),)
    assert found.outputs == (Value("probabilities", "float32", ("N", 5)),)
    assert (found.opset, found.size_bytes) == (17, path.stat().st_size)
    assert found.metadata == {"author": "somebody"}
    assert found.problem == ""


def test_a_changed_file_is_seen(tmp_path):
    path = write(tmp_path / "a.onnx")
    models = served(tmp_path)
    assert models.get("models/a").outputs[0].name == "probabilities"
    write(path, ANY_SIZE)
    assert models.get("models/a").outputs[0].name == "y"
    path.unlink()
    assert models.all() == []


def test_a_corrupt_model_is_listed_with_its_problem(tmp_path):
    (tmp_path / "bad.onnx").write_bytes(b"this is no model")
    write(tmp_path / "good.onnx")
    bad, good = served(tmp_path).all()
    assert "'models/bad/versions/1' is not an ONNX model" in bad.problem
    assert good.problem == ""


def test_errors_name_the_model_and_not_the_file(tmp_path):
    write(tmp_path / "a.onnx")
    with (
        pytest.raises(CorruptModel, match="^'models/a/versions/1' is bad$"),
        served(tmp_path).use("models/a") as (_, path),
    ):
        raise CorruptModel(f"'{path}' is bad")


@pytest.mark.parametrize(
    "name",
    ["", "a", "models/", "models//versions/1", "models/a/1", "models/../a", "models/a/versions/"],
)
def test_a_name_of_another_form_is_refused(tmp_path, name):
    write(tmp_path / "a.onnx")
    with pytest.raises(InputError, match="write models/NAME"):
        served(tmp_path).get(name)


@pytest.mark.parametrize("name", ["models/..", "models/../versions/1", "models/.", "models/a\0"])
def test_no_name_leads_out_of_the_folder(tmp_path, name):
    write(tmp_path / "1/model.onnx")
    write(tmp_path / "folder/a.onnx")
    with pytest.raises(MissingModel, match="nearest: 'a'"):
        served(tmp_path / "folder").get(name)


@pytest.mark.parametrize("version", ["3", "01", "x", ".."])
def test_an_unknown_version_is_told_with_the_known_ones(tmp_path, version):
    for known in (1, 2):
        write(tmp_path / f"a/{known}/model.onnx")
    with pytest.raises(MissingModel, match="'a': it has 1, 2"):
        served(tmp_path).get(f"models/a/versions/{version}")


def test_two_files_of_one_version_are_a_problem(tmp_path):
    write(tmp_path / "a.onnx")
    write(tmp_path / "a/1/model.onnx")
    models = served(tmp_path)
    (found,) = models.all()
    assert "'a.onnx' and 'a/1/model.onnx' are the same version" in found.problem
    with pytest.raises(UnsupportedModel, match="remove one"), models.use("models/a"):
        pass


def test_the_folder_must_be_there(tmp_path):
    with pytest.raises(MissingFile, match="no folder"):
        served(tmp_path / "nowhere")


def test_a_folder_that_goes_away_is_empty(tmp_path):
    write(tmp_path / "folder/a.onnx")
    models = served(tmp_path / "folder")
    shutil.rmtree(tmp_path / "folder")
    assert models.all() == []


def test_no_error_says_where_the_folder_is(tmp_path):
    """Weights in a file outside the folder: the error is long, and quotes paths of its own."""
    whole = model(CLASSIFIER)
    tensor = whole.graph.initializer[0]
    onnx.external_data_helper.set_external_data(tensor, location="../../secret.bin")
    tensor.ClearField("raw_data")
    tensor.ClearField("float_data")
    (tmp_path / "a.onnx").write_bytes(whole.SerializeToString())
    (found,) = served(tmp_path).all()
    assert "is stored outside the model's folder" in found.problem
    assert str(tmp_path) not in found.problem


def test_a_folder_of_one_letter_takes_nothing_from_the_text(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "m" / "a.onnx")
    found = served(Path("m"))
    said = "no method 'lrp' (nearest: 'm')"
    with pytest.raises(InputError) as error, found.use("models/a"):
        raise InputError(said)
    assert str(error.value) == said


def test_an_error_names_the_one_of_several_models_that_it_is_about(tmp_path):
    for name in ("a", "b"):
        write(tmp_path / f"{name}.onnx")
    with pytest.raises(InputError) as error, served(tmp_path).use_all(["models/a", "models/b"]):
        raise InputError(f"'{tmp_path / 'a.onnx'}' is not '{tmp_path / 'b.onnx'}'")
    assert str(error.value) == "'models/a/versions/1' is not 'models/b/versions/1'"


def test_a_page_describes_its_own_models_alone(tmp_path):
    for name in "abc":
        write(tmp_path / f"{name}.onnx")
    models = served(tmp_path)
    first, token = models.page(2, "")
    (tmp_path / "a.onnx").unlink()
    rest, end = models.page(2, token)
    assert [m.name[7] for m in first] + [m.name[7] for m in rest] == ["a", "b", "c"]
    assert end == ""
    with pytest.raises(InputError, match="page_token"):
        models.page(2, "another")


def test_several_folders_are_served_together(tmp_path):
    write(tmp_path / "one/a.onnx")
    write(tmp_path / "two/a/2/model.onnx", ANY_SIZE)
    models = served(tmp_path / "one", tmp_path / "two")
    assert [m.outputs[0].name for m in models.all()] == ["probabilities", "y"]
