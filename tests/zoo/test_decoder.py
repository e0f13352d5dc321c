from __future__ import annotations

import pytest
import torch
from torch import nn

from zoo.models.decoder import Decoder, fit, reflected
from zoo.models.vgg import STYLE_LAYERS, VGGEncoder


@pytest.mark.parametrize("repeats", [0, 1, 3])
def test_mirrors_the_encoder_level_by_level(repeats: int) -> None:
    encoder, decoder = VGGEncoder(4), Decoder(4, 5, repeats)
    image = torch.rand(2, 3, 32, 48)
    with torch.no_grad():
        features = encoder(image, STYLE_LAYERS)
        for level, layer in enumerate(STYLE_LAYERS, 1):
            found = decoder(features[layer], level)
            wanted = [*(features[name] for name in reversed(STYLE_LAYERS[: level - 1])), image]
            assert [tuple(x.shape) for x in found] == [tuple(x.shape) for x in wanted]
    convs = sum(isinstance(module, nn.Conv2d) for module in decoder.modules())
    assert convs == 6 + min(repeats, 1) * 2 + min(repeats, 3) * 2  # the encoder has 1, 1, 3, 3 between style layers


def test_one_pixel_and_refusals() -> None:
    decoder = Decoder(2, 4)
    assert decoder(torch.rand(1, 16, 1, 1))[-1].shape == (1, 3, 8, 8)
    with pytest.raises(ValueError, match="level"):
        decoder(torch.rand(1, 16, 2, 2), 5)
    with pytest.raises(ValueError, match="features"):
        decoder(torch.rand(1, 8, 2, 2))
    with pytest.raises(ValueError, match="deepest"):
        Decoder(2, 6)


def test_fit_repeats_the_last_row_and_column() -> None:
    image = torch.rand(1, 3, 17, 16)
    wide = fit(image, 16)
    assert wide.shape == (1, 3, 32, 16) and torch.equal(wide[..., :17, :16], image)
    assert torch.equal(wide[..., 31, :], image[..., 16, :])
    assert fit(image[..., :16, :], 16).shape == (1, 3, 16, 16)


@torch.no_grad()
def test_reflection_changes_the_border_alone() -> None:
    torch.manual_seed(0)
    encoder = VGGEncoder(4)
    image = torch.rand(1, 3, 64, 64)
    plain, mirrored = encoder(image, STYLE_LAYERS), reflected(encoder, image, STYLE_LAYERS)
    assert list(plain) == list(mirrored)
    # conv1_1 sees one pixel beyond the border, conv2_1 three: two of its own
    for layer, reach in (("conv1_1", 1), ("conv2_1", 2), ("conv3_1", 3)):
        inner = (..., slice(reach, -reach), slice(reach, -reach))
        torch.testing.assert_close(mirrored[layer][inner], plain[layer][inner], rtol=1e-5, atol=1e-6)
        assert not torch.allclose(mirrored[layer], plain[layer])
    # a picture that is the same everywhere has no border then
    flat = reflected(encoder, torch.full((1, 3, 32, 32), 0.3), ["conv5_1"])["conv5_1"]
    torch.testing.assert_close(flat, flat[..., :1, :1].expand_as(flat))
