from __future__ import annotations

import numpy as np
import pytest
import scipy.signal
import torch

from zoo.models.srcnn import SRCNN


@torch.no_grad()
def test_is_three_convolutions_beyond_the_border_by_repetition() -> None:
    torch.manual_seed(0)
    model = SRCNN(sizes=(5, 1, 3), widths=(2, 3)).eval()
    image = torch.rand(1, 1, 11, 9)
    maps = [np.pad(image[0, 0].numpy() - 0.5, 3, mode="edge")]
    for number, conv in enumerate(model.convs):
        weight, bias = conv.weight.numpy(), conv.bias.numpy()
        maps = [
            sum(scipy.signal.correlate2d(x, k, mode="valid") for x, k in zip(maps, kernels, strict=True)) + shift
            for kernels, shift in zip(weight, bias, strict=True)
        ]
        if number < 2:
            maps = [np.maximum(x, 0) for x in maps]
    np.testing.assert_allclose(model(image)[0, 0].numpy(), maps[0] + 0.5, atol=1e-5)


@pytest.mark.parametrize("size", [(1, 1), (7, 16), (33, 20)])
@torch.no_grad()
def test_any_size_and_no_batch_mates(size: tuple[int, int]) -> None:
    model = SRCNN().eval()
    assert sum(parameter.numel() for parameter in model.parameters()) == 57_281  # 9-5-5 of the paper, with biases
    images = torch.rand(2, 1, *size)
    made = model(images)
    assert made.shape == images.shape
    torch.testing.assert_close(made[1:], model(images[1:]), rtol=1e-5, atol=1e-5)


def test_refusals() -> None:
    with pytest.raises(ValueError, match="luminance"):
        SRCNN()(torch.rand(1, 3, 8, 8))
    with pytest.raises(ValueError, match="odd"):
        SRCNN(sizes=(9, 4, 5))
