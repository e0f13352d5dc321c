from __future__ import annotations

import pytest
import torch

from zoo.models.johnson import Johnson
from zoo.models.stylizer import Stylizer


@pytest.fixture
def model() -> Johnson:
    torch.manual_seed(0)
    return Johnson("etching", width=4, blocks=2).eval()


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (16, 16), (17, 31), (40, 25)])
@torch.no_grad()
def test_any_size_comes_back(model: Johnson, size: tuple[int, int]) -> None:
    made = model(torch.rand(2, 3, *size))
    assert made.shape == (2, 3, *size) and torch.isfinite(made).all() and made.min() >= 0 and made.max() <= 1


@torch.no_grad()
def test_does_not_depend_on_the_batch(model: Johnson) -> None:
    contents = torch.rand(3, 3, 21, 26)
    together = model(contents)
    for index in range(3):
        torch.testing.assert_close(
            together[index : index + 1], model(contents[index : index + 1]), rtol=1e-5, atol=1e-5
        )


@torch.no_grad()
def test_brightness_and_contrast_do_not_matter(model: Johnson) -> None:
    # instance normalisation takes away what the first convolution makes of them; its epsilon leaves a little
    content = torch.rand(1, 3, 24, 20)
    torch.testing.assert_close(model(content - 0.3), model(content), rtol=0, atol=1e-4)
    torch.testing.assert_close(model(0.8 * content), model(content), rtol=0, atol=2e-3)


@torch.no_grad()
def test_stylise_blends_and_ignores_styles(model: Johnson) -> None:
    assert isinstance(model, Stylizer) and model.encoder is None
    content = torch.rand(1, 3, 20, 30)
    assert torch.equal(model.stylise(content, [], [], 0.0), content)
    torch.testing.assert_close(model.stylise(content, [], [], 1.0), model(content))
    torch.testing.assert_close(model.stylise(content, [], [], 0.5), 0.5 * (content + model(content)))
    torch.testing.assert_close(model.stylise(content, [torch.rand(1, 3, 16, 16)], [1.0], 2.0), model(content))
    with torch.autocast("cpu", torch.bfloat16):
        half = model.stylise(content, [], [], 0.5)
    torch.testing.assert_close(half, 0.5 * (content + model(content)), rtol=0, atol=0.02)
    with pytest.raises(ValueError, match="content"):
        model.stylise(content[:, :2], [], [], 1.0)
    with pytest.raises(ValueError, match="at least 1"):
        Johnson("etching", width=0)
