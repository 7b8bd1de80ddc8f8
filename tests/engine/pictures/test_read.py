"""Reading pictures from all that holds them, and refusing what is none."""

import io
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from PIL import Image

from onnxplain.engine.pictures.read import read_picture, read_pictures
from onnxplain.graphops.errors import MissingFile, PictureError

RNG = np.random.default_rng(0)
PICTURE = RNG.integers(0, 256, (6, 9, 3), dtype=np.uint8)


def png(image):
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def test_a_path_bytes_image_and_array_give_the_same(tmp_path):
    image = Image.fromarray(PICTURE)
    path = tmp_path / "picture.png"
    image.save(path)
    for source in (path, str(path), png(image), image, PICTURE):
        np.testing.assert_array_equal(read_picture(source), PICTURE)


@pytest.mark.parametrize("shape", [(6, 9), (6, 9, 1)])
def test_grey_arrays_become_three_equal_channels(shape):
    grey = PICTURE[:, :, 0].reshape(shape)
    read = read_picture(grey)
    assert read.shape == (6, 9, 3)
    assert all((read[:, :, c] == PICTURE[:, :, 0]).all() for c in range(3))


def test_transparency_is_dropped():
    rgba = np.dstack([PICTURE, np.zeros((6, 9), np.uint8)])
    np.testing.assert_array_equal(read_picture(rgba), PICTURE)
    np.testing.assert_array_equal(read_picture(Image.fromarray(rgba)), PICTURE)


def test_a_camera_s_rotation_is_applied():
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by 270 degrees to see it upright
    file = io.BytesIO()
    Image.fromarray(PICTURE).save(file, "PNG", exif=exif)
    np.testing.assert_array_equal(read_picture(file.getvalue()), np.rot90(PICTURE, 3))


def test_sixteen_bits_are_scaled_not_clipped():
    deep = np.array([[0, 256, 32768, 65535]], np.uint16)
    read = read_picture(png(Image.fromarray(deep)))
    assert read[0, :, 0].tolist() == [0, 1, 128, 255]


@pytest.mark.parametrize(
    "content", [b"", b"not a picture", png(Image.fromarray(PICTURE))[:60], b"\x89PNG\r\n\x1a\n" * 9]
)
def test_a_file_that_is_no_picture_is_named(tmp_path, content):
    path = tmp_path / "broken.png"
    path.write_bytes(content)
    with pytest.raises(PictureError, match=r"broken\.png"):
        read_picture(path)


def test_which_of_several_is_no_picture_is_told():
    pictures = read_pictures([PICTURE, b"not a picture"])
    next(pictures)
    with pytest.raises(PictureError, match="picture 2 of 2 is not"):
        next(pictures)
    with pytest.raises(PictureError, match="the mask is not"):
        next(read_pictures([np.zeros(3)], "mask"))


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(MissingFile, match=r"none\.png"):
        read_picture(tmp_path / "none.png")


def test_a_folder_is_no_picture(tmp_path):
    with pytest.raises(PictureError, match=tmp_path.name):
        read_picture(tmp_path)


@pytest.mark.parametrize(
    "array",
    [
        PICTURE.astype(np.float32),
        PICTURE.transpose(2, 0, 1),
        PICTURE[None],
        np.zeros((0, 5, 3), np.uint8),
    ],
)
def test_arrays_of_another_form_are_refused(array):
    with pytest.raises(PictureError):
        read_picture(array)


def test_values_of_unknown_range_are_refused():
    with pytest.raises(PictureError, match="32-bit"):
        read_picture(Image.fromarray(np.ones((3, 3), np.float32)))


@pytest.mark.parametrize("kind", ["AVIF", "BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_every_format_is_read_as_pillow_reads_it(tmp_path, kind, mode):
    image = Image.fromarray(PICTURE).resize((40, 30)).convert(mode)
    path = tmp_path / "picture"
    image.save(path, kind)
    with Image.open(path) as opened:
        expected = np.asarray(opened.convert("RGB"))
    for source in (path, path.read_bytes()):
        np.testing.assert_array_equal(read_picture(source), expected)


@pytest.mark.parametrize("kind", ["AVIF", "BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_a_cut_file_is_named_in_every_format(tmp_path, kind, part):
    path = tmp_path / "cut"
    Image.fromarray(RNG.integers(0, 256, (90, 80, 3), np.uint8)).save(path, kind)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])
    with pytest.raises(PictureError, match="cut' is not a picture that can be read"):
        read_picture(path)


def test_a_picture_of_too_many_pixels_is_refused_as_such(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)
    with pytest.raises(PictureError, match="more than 40 pixels: make it smaller"):
        read_picture(png(Image.fromarray(PICTURE)))


def test_a_pipe_is_read(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=[png(Image.fromarray(PICTURE))])
    writer.start()
    np.testing.assert_array_equal(read_picture(pipe), PICTURE)
    writer.join()


def test_pillow_s_warnings_of_damaged_metadata_are_not_shown():
    """In a process of its own, since pytest has filters of its own."""
    code = (
        "from onnxplain.engine import read_picture\n"
        "try: read_picture(b'II*\\0' + bytes([99, 0, 0, 0]) + bytes(9))\n"
        "except Exception as e: print(type(e).__name__)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (ran.stdout, ran.stderr) == ("PictureError\n", "")
