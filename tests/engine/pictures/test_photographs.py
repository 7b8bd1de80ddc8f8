"""Photographs for drawings, and large files in little memory."""

import io

import numpy as np
import pytest
from engine.nets import classifier
from PIL import Image

from onnxplain.engine import Engine
from onnxplain.engine.pictures import parse, read, read_photographs
from onnxplain.engine.pictures.inputs import prepare
from onnxplain.engine.pictures.read import read_picture

RNG = np.random.default_rng(0)


def smooth(height, width):
    coarse = Image.fromarray(RNG.integers(0, 256, (9, 7, 3), np.uint8))
    return coarse.resize((width, height), Image.BICUBIC)


def encoded(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def orientation(number):
    exif = Image.Exif()
    exif[0x0112] = number
    return exif


def test_a_photograph_is_what_the_file_shows():
    image = smooth(60, 40)
    for source in (np.asarray(image), image, encoded(image, "PNG")):
        prepared = prepare(classifier(), [source], "unit,size=8x8,color=BGR")
        (photograph,) = prepared.photographs
        np.testing.assert_array_equal(photograph, np.asarray(image))
        assert prepared.pictures[0].shape == (8, 8, 3)
    grey = prepare(classifier(), np.asarray(image), "imagenet,size=8").photographs
    np.testing.assert_array_equal(read_photographs([np.asarray(image)])[0], grey[0])


def test_a_float_array_has_no_photograph():
    assert prepare(classifier(), np.zeros((2, 3, 9, 8), np.float32)).photographs == ()


def test_a_large_photograph_is_made_smaller():
    (photograph,) = read_photographs([smooth(1000, 3000)])
    assert photograph.shape == (683, 2048, 3)


def test_many_photographs_are_bounded_together():
    many = read_photographs([np.zeros((600, 900, 3), np.uint8)] * 64)
    assert {photograph.shape for photograph in many} == {(341, 512, 3)}
    picture = np.zeros((300, 300, 3), np.uint8)
    prepared = prepare(classifier(), [picture] * 300, "unit,size=300")
    assert all(p is q for p, q in zip(prepared.photographs, prepared.pictures, strict=True))


def test_an_explanation_has_the_photographs_of_its_images():
    pictures = [np.asarray(smooth(30, 20)), np.asarray(smooth(20, 30))]
    result = Engine("cpu").explain(
        classifier(), pictures, units="top:2", preprocess="imagenet,size=12x12"
    )
    assert [p.shape for p in result.photographs] == [(30, 20, 3), (20, 30, 3)]
    for photograph, picture in zip(result.photographs, pictures, strict=True):
        np.testing.assert_array_equal(photograph, picture)
    assert result.preprocess.seen_box(30, 20) == (5, 0, 25, 20)
    array = np.zeros((1, 3, 12, 12), np.float32)
    assert Engine("cpu").explain(classifier(), array).photographs == ()


@pytest.mark.parametrize(
    ("preprocess", "told"), [("unit,size=50x48", True), ("imagenet,size=50x48", False)]
)
def test_a_stretch_is_told_with_its_cure(preprocess, told):
    notes = prepare(classifier(), [smooth(60, 40), smooth(90, 70)], preprocess).notes
    assert len(notes) == told
    assert all(
        "to 50x48," in note and "crop=center" in note and "torchvision" in note for note in notes
    )


def test_a_stretch_of_up_to_five_percent_is_not_told():
    assert prepare(classifier(), smooth(104, 100), "unit,size=50x50").notes == ()
    assert prepare(classifier(), smooth(100, 104), "unit,size=50x50").notes == ()
    assert prepare(classifier(), smooth(106, 100), "unit,size=50x50").notes
    assert prepare(classifier(), smooth(100, 106), "unit,size=50x50").notes


def test_the_first_page_of_a_tiff_is_read_and_told(tmp_path):
    pages, path = [smooth(12, 12), smooth(12, 12), smooth(12, 12)], tmp_path / "scan.tif"
    pages[0].save(path, save_all=True, append_images=pages[1:])
    prepared = prepare(classifier(), [path], "unit,size=12")
    np.testing.assert_array_equal(prepared.pictures[0], np.asarray(pages[0]))
    (note,) = prepared.notes
    assert "scan.tif' has 3 pages, and the first is read" in note
    pages[0].save(path)
    assert prepare(classifier(), [path], "unit,size=12").notes == ()


def test_avif_is_read():
    image = smooth(40, 60)
    found = read_picture(encoded(image, "AVIF", quality=95))
    assert np.abs(found.astype(int) - np.asarray(image)).mean() < 5


@pytest.mark.parametrize("turned", [1, 3, 6])
def test_a_large_jpeg_is_decoded_at_a_reduced_size(monkeypatch, turned):
    """The network sees nearly the same, and a mask of the file's own size still fits."""
    monkeypatch.setattr(read, "LARGE", 1000 * 1000)
    image, chosen = smooth(3000, 4500), parse("imagenet,size=224")
    data = encoded(image, "JPEG", quality=95, exif=orientation(turned))
    decoded = []
    load = Image.Image.load
    monkeypatch.setattr(Image.Image, "load", lambda i: decoded.append(i.size) or load(i))
    prepared = prepare(classifier(), [data], chosen)
    assert max(decoded) == (2250, 1500)
    whole = read_picture(data)
    assert whole.shape[:2] == prepared.sizes[0] == ((4500, 3000) if turned == 6 else (3000, 4500))
    difference = np.abs(chosen.fit(whole).astype(int) - prepared.pictures[0])
    assert difference.max() <= 2
    assert max(prepared.photographs[0].shape) == 2048


@pytest.mark.parametrize("size", [None, 1000])
def test_a_jpeg_keeps_twice_what_the_network_needs(monkeypatch, size):
    monkeypatch.setattr(read, "LARGE", 1000 * 1000)
    data = encoded(smooth(1900, 4500), "JPEG", quality=95)
    chosen = parse("raw" if size is None else f"raw,size={size}")
    expected = chosen.fit(read_picture(data))
    np.testing.assert_array_equal(prepare(classifier(), [data], chosen).pictures[0], expected)
