"""The names of classes that a client sends, and the result that has them."""

import pytest
from server.running import pixels

from onnxplain.client import ClientError
from onnxplain.client.labels import label_names
from onnxplain.engine.labels import read_labels

FILES = {
    "plain": "ant\nbee\n",
    "gap": "ant\n\ncat\n",
    "numbered": "2, cat\n0,ant\n",
    "tabs": "0\tant\n1\tbee, honey bee\n",
    "bom": "\ufeffant\nbee",
}


@pytest.mark.parametrize("text", FILES.values(), ids=FILES)
def test_a_file_is_read_as_the_engine_reads_it(tmp_path, text):
    path = tmp_path / "labels.txt"
    path.write_text(text, "utf-8")
    assert tuple(label_names(path)) == tuple(label_names(str(path))) == read_labels(path)


def test_a_file_or_a_list(client, tmp_path):
    path = tmp_path / "labels.txt"
    path.write_text("ant\nbee\ncat\ndog\nelk\n")
    names = ("ant", "bee", "cat", "dog", "elk")
    for labels in (path, str(path), list(names)):
        result = client.explain("classifier", pixels(), labels=labels)
        assert result.labels == names
    view = client.view("classifier", pixels(), "occlusion", window=8, labels=str(path))
    assert view.arrays["label"].item() in names


def test_wrong_files(client, tmp_path):
    path = tmp_path / "labels.txt"
    with pytest.raises(ClientError, match=r"cannot read the labels.*a text file, or a list"):
        client.explain("classifier", pixels(), labels="nothing.txt")
    path.write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(ClientError, match="UTF-8"):
        label_names(path)
    path.write_text(" \n")
    with pytest.raises(ClientError, match="empty"):
        label_names(path)


def test_a_result_in_two_lines_and_as_an_array(client):
    result = client.explain("classifier", pixels(), "r", "gradient", [1, 2])
    assert result.to_numpy() is result.attribution
    first, second = repr(result).splitlines()
    assert first.startswith("Result: gradient of 'r' back to '")
    assert second.startswith("  first: channel 1 (score ")
