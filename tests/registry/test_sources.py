"""Sources of models: what a folder lists, when it says that it has changed; several together."""

import asyncio
import os

import pytest

from onnxplain.graphops.errors import InputError, MissingFile, MissingModel, UnsupportedModel
from onnxplain.registry import FolderSource, Listing, open_named, parse_name


def put(folder, *names, content=b"a model"):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def names(*sources):
    return [version.name for version in Listing(sources)]


def test_the_newest_version_of_each_model_comes_last(tmp_path):
    put(
        tmp_path,
        "b.onnx",
        "a/2/model.onnx",
        "a/10/model.onnx",
        "a/.3/model.onnx",
        ".c/1/model.onnx",
    )
    listed = ["models/a/versions/2", "models/a/versions/10", "models/b/versions/1"]
    assert names(FolderSource(tmp_path)) == listed


def test_a_version_is_opened_as_its_file(tmp_path):
    put(tmp_path, "b.onnx", "a/2/model.onnx")
    listing = Listing([FolderSource(tmp_path)])
    assert listing.open(listing.find("models/b")) == tmp_path / "b.onnx"
    assert listing.open(listing.find("models/a/versions/2")) == tmp_path / "a/2/model.onnx"


def test_a_version_that_has_gone_is_missing(tmp_path):
    put(tmp_path, "b.onnx")
    listing = Listing([FolderSource(tmp_path)])
    (tmp_path / "b.onnx").unlink()
    with pytest.raises(MissingModel, match="no 'models/b/versions/1', or no longer"):
        listing.open(listing.find("models/b"))


def test_the_stamp_changes_with_the_file_alone(tmp_path):
    put(tmp_path, "b.onnx")
    source = FolderSource(tmp_path)
    (before,), (same,) = source.list(), source.list()
    replacement = tmp_path / "other"
    replacement.write_bytes(b"a model")
    os.replace(replacement, tmp_path / "b.onnx")
    (after,) = source.list()
    assert before == same
    assert before.stamp != after.stamp


@pytest.mark.parametrize(
    "name", ["models/../versions/1", "models/./versions/1", "models/.x/versions/1"]
)
def test_no_name_leads_out_of_the_folder(tmp_path, name):
    put(tmp_path, "1/model.onnx", "folder/a.onnx", "folder/1/model.onnx", "folder/.x/1/model.onnx")
    with pytest.raises(MissingModel):
        open_named([FolderSource(tmp_path / "folder")], name)


def test_a_full_name_is_found_without_a_list(tmp_path):
    class Unlisted(FolderSource):
        def list(self):
            raise AssertionError("it was listed")

    put(tmp_path, "one/a.onnx", "two/a/2/model.onnx")
    sources = [Unlisted(tmp_path / "one"), Unlisted(tmp_path / "two")]
    for name, file in (
        ("models/a/versions/1", "one/a.onnx"),
        ("models/a/versions/2", "two/a/2/model.onnx"),
    ):
        assert open_named(sources, name) == (name, tmp_path / file)


def test_several_folders_are_one_list(tmp_path):
    put(tmp_path, "one/a/1/model.onnx", "two/a/2/model.onnx", "two/b.onnx")
    listing = Listing([FolderSource(tmp_path / "one"), FolderSource(tmp_path / "two")])
    assert [version.number for version in listing.versions("a")] == [1, 2]
    assert listing.open(listing.find("models/a")) == tmp_path / "two/a/2/model.onnx"


def test_two_folders_with_one_version_are_a_problem(tmp_path):
    put(tmp_path, "one/a/1/model.onnx", "two/a.onnx")
    listing = Listing([FolderSource(tmp_path / "one"), FolderSource(tmp_path / "two")])
    (version,) = listing
    assert "remove it from one of them" in version.problem
    with pytest.raises(UnsupportedModel, match="two of the service's folders"):
        listing.open(version)
    sources = [FolderSource(tmp_path / "one"), FolderSource(tmp_path / "two")]
    with pytest.raises(UnsupportedModel, match="two of the service's folders"):
        open_named(sources, version.name)


def test_a_folder_must_be_there_at_first(tmp_path):
    with pytest.raises(MissingFile, match="no folder"):
        FolderSource(tmp_path / "nowhere")


def test_a_name_has_its_form_and_an_end():
    assert parse_name("models/a") == ("a", None)
    assert parse_name("models/a/versions/3") == ("a", "3")
    with pytest.raises(InputError, match="write models/NAME"):
        parse_name("a")
    with pytest.raises(InputError, match="at most 512 characters, not 1000007"):
        parse_name("models/" + "a" * 1000000)


async def changes(source, change):
    """Return how often a source reports a change: at first, and after `change`."""
    told = 0
    async with asyncio.timeout(30):
        async for _ in source.watch():
            told += 1
            if told == 2:
                return told
            change()
    return told


def test_a_folder_is_watched(tmp_path):
    source = FolderSource(tmp_path, poll_seconds=0.01)
    assert asyncio.run(changes(source, lambda: put(tmp_path, "a/1/model.onnx"))) == 2
    put(tmp_path, "b.onnx")
    rewritten = changes(source, lambda: put(tmp_path, "b.onnx", content=b"another model"))
    assert asyncio.run(rewritten) == 2
    assert asyncio.run(changes(source, (tmp_path / "b.onnx").unlink)) == 2
