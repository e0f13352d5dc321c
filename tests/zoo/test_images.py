"""Every kind of picture goes in and comes back as it was."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from zoo.images import read_image, to_picture, write_png


def there_and_back(image):
    picture = to_picture(image)
    return picture.tensor, picture.restore(picture.tensor)


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "LA", "I;16", "I", "F"])
def test_pil_modes_round_trip(mode):
    rng = np.random.default_rng(0)
    if mode == "F":
        image = Image.fromarray(rng.random((5, 7), dtype=np.float32))
    elif mode.startswith("I"):
        image = Image.fromarray(rng.integers(0, 65536, (5, 7)).astype(np.int32 if mode == "I" else np.uint16))
    else:
        image = Image.fromarray(rng.integers(0, 256, (5, 7, len(mode))).astype(np.uint8).squeeze(), mode)
    assert image.mode == mode
    tensor, back = there_and_back(image)
    assert tensor.shape == (1, 3 if "RGB" in mode else 1, 5, 7) and tensor.dtype == torch.float32
    assert back.mode == mode and back.size == image.size
    assert np.array_equal(np.array(back), np.array(image))


@pytest.mark.parametrize(
    ("mode", "becomes"), [("CMYK", "RGB"), ("1", "L"), ("YCbCr", "RGB"), ("HSV", "RGB"), ("P", "RGB")]
)
def test_other_pil_modes_become_plain_ones(mode, becomes):
    image = Image.new("RGB", (6, 4), (200, 100, 50)).convert(mode)
    _, back = there_and_back(image)
    assert back.mode == becomes
    assert np.array_equal(np.array(back), np.array(image.convert(becomes)))


def test_palette_with_transparency_keeps_it():
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, 250, 128, 10])
    image.putpixel((2, 1), 0)
    image.info["transparency"] = 0
    _, back = there_and_back(image)
    assert back.mode == "RGBA"
    assert back.getpixel((2, 1))[3] == 0 and back.getpixel((0, 0)) == (250, 128, 10, 255)


def test_exif_orientation_is_applied(tmp_path):
    pixels = np.zeros((4, 8, 3), np.uint8)
    pixels[0, 0] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # shown rotated by 90 degrees clockwise
    Image.fromarray(pixels).save(tmp_path / "turned.png", exif=exif)
    _, back = there_and_back(read_image(tmp_path / "turned.png"))
    assert back.size == (4, 8)
    assert back.getpixel((3, 0)) == (255, 255, 255)
    assert back.getexif().get(0x0112, 1) == 1, "or a viewer would turn it again"


def test_colour_profile_is_kept(tmp_path):
    image = Image.new("RGB", (4, 4))
    image.info["icc_profile"] = b"a profile"
    _, back = there_and_back(image)
    write_png(tmp_path / "deep" / "picture.png", back)
    assert read_image(tmp_path / "deep" / "picture.png").info["icc_profile"] == b"a profile"
    assert [file.name for file in (tmp_path / "deep").iterdir()] == ["picture.png"]


@given(
    st.sampled_from([np.uint8, np.uint16, np.float16, np.float32, np.float64]),
    st.sampled_from([(), (1,), (3,), (4,)]),
    st.integers(1, 6),
    st.integers(1, 6),
)
def test_numpy_round_trip(dtype, channels, height, width):
    rng = np.random.default_rng(0)
    array = rng.random((height, width, *channels))
    array = (array * np.iinfo(dtype).max).astype(dtype) if np.issubdtype(dtype, np.integer) else array.astype(dtype)
    tensor, back = there_and_back(array)
    assert tensor.shape == (1, {(): 1, (1,): 1, (3,): 3, (4,): 3}[channels], height, width)
    assert tensor.min() >= 0 and tensor.max() <= 1
    assert back.dtype == dtype and np.array_equal(back, array)


@given(
    st.sampled_from([torch.uint8, torch.float16, torch.bfloat16, torch.float32, torch.float64]),
    st.lists(st.integers(1, 5), min_size=3, max_size=4),
)
def test_tensor_round_trip(dtype, shape):
    values = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    values = (values * 255).to(dtype) if dtype == torch.uint8 else values.to(dtype)
    picture = to_picture(values)
    back = picture.restore(picture.tensor)
    assert picture.batched == (len(shape) == 4)
    assert picture.tensor.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert back.dtype == dtype and torch.equal(back, values)


def test_negative_strides_and_read_only_arrays():
    array = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)[::-1, ::-1]
    array.flags.writeable = False
    assert np.array_equal(there_and_back(array)[1], array)


def test_integers_are_rounded_and_clipped():
    restore = to_picture(np.zeros((1, 4), np.uint8)).restore
    assert restore(torch.tensor([[[[-0.1, 0.6 / 255, 1.4 / 255, 1.7]]]])).tolist() == [[0, 1, 1, 255]]


@pytest.mark.parametrize(
    ("image", "error", "message"),
    [
        (np.full((3, 3), np.nan), ValueError, "NaN"),
        (torch.full((1, 3, 3), torch.inf), ValueError, "infinite"),
        (np.zeros((0, 3)), ValueError, "no pixels"),
        (torch.zeros(0, 3, 4, 4), ValueError, "no pixels"),
        (Image.new("RGB", (0, 4)), ValueError, "no pixels"),
        (np.zeros((3, 3, 2)), ValueError, r"\(3, 3, 2\)"),
        (torch.zeros(3, 3), ValueError, r"\(3, 3\)"),
        (np.full((3, 3), 200.0), ValueError, "divide by 255"),
        (np.zeros((3, 3), np.int64), TypeError, "int64"),
        (torch.zeros(1, 3, 3, dtype=torch.long), TypeError, "int64"),
        ("picture.png", TypeError, "not str"),
        (None, TypeError, "NoneType"),
        ([[0.0]], TypeError, "not list"),
    ],
)
def test_bad_images_are_named(image, error, message):
    with pytest.raises(error, match=f"^photo: .*{message}"):
        to_picture(image, "photo")


def test_pixel_limit():
    with pytest.raises(ValueError, match="megapixels"):
        to_picture(np.zeros((20, 30)), max_pixels=599)
    assert to_picture(np.zeros((20, 30)), max_pixels=600).tensor.shape == (1, 1, 20, 30)
    assert to_picture(np.zeros((20, 30)), max_pixels=None).tensor.shape == (1, 1, 20, 30)


def test_unreadable_files(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file"):
        read_image(tmp_path / "none.png")
    Image.new("RGB", (64, 64), "red").save(tmp_path / "cut.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:60])
    (tmp_path / "text.png").write_text("not a picture")
    (tmp_path / "empty.png").touch()
    for name in ("cut.png", "text.png", "empty.png"):
        with pytest.raises(ValueError, match=f"{name}: not a readable image"):
            read_image(tmp_path / name)
