from __future__ import annotations

import pytest
import torch
import torchvision
from torch import nn

from zoo.models.vgg import (
    CONTENT_LAYER,
    LAYERS,
    STYLE_LAYERS,
    VGGClassifier,
    VGGEncoder,
    convert_torchvision,
    normalise,
)


def test_names_are_the_papers() -> None:
    assert set(STYLE_LAYERS) | {CONTENT_LAYER} <= set(LAYERS)
    assert LAYERS[0] == "conv1_1" and LAYERS[-1] == "conv5_1" and len(LAYERS) == 13
    assert [VGGEncoder(32).channels[name] for name in STYLE_LAYERS] == [32, 64, 128, 256, 256]


def test_matches_torchvision_with_average_pooling() -> None:
    torch.manual_seed(0)
    reference = torchvision.models.vgg19().features[:29].eval()
    for index, module in enumerate(reference):
        if isinstance(module, nn.MaxPool2d):
            reference[index] = nn.AvgPool2d(2)
        elif isinstance(module, nn.ReLU):
            module.inplace = False
    encoder = VGGEncoder(64)
    encoder.load_state_dict(convert_torchvision({f"features.{k}": v for k, v in reference.state_dict().items()}))
    images = torch.rand(1, 3, 37, 34)
    expected = []
    x = (images - torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)) / torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    with torch.no_grad():
        for module in [*reference, nn.ReLU()]:
            x = module(x)
            if isinstance(module, nn.ReLU):
                expected.append(x)
        found = encoder(images)
    assert list(found) == list(LAYERS)
    for want, have in zip(expected, found.values(), strict=False):
        torch.testing.assert_close(have, want)


def test_computes_no_deeper_than_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = VGGEncoder(4)
    monkeypatch.setattr(encoder.convs["conv2_2"], "forward", None)
    images = torch.rand(1, 3, 8, 8)
    assert encoder(images, ["conv2_1", "conv1_1"]).keys() == {"conv1_1", "conv2_1"}
    with pytest.raises(TypeError):
        encoder(images, ["conv2_2"])


def test_refusals() -> None:
    encoder = VGGEncoder(4)
    with pytest.raises(ValueError, match="relu1"):
        encoder(torch.rand(1, 3, 16, 16), ["relu1"])
    with pytest.raises(ValueError, match="images"):
        encoder(torch.rand(1, 1, 16, 16))
    state = {"features.0.weight": torch.zeros(32, 3, 3, 3)}
    with pytest.raises(ValueError, match=r"features\.0\.weight"):
        convert_torchvision(state)


@pytest.fixture
def classifier() -> VGGClassifier:
    torch.manual_seed(1)
    model = VGGClassifier(width=4, classes=5)
    for norm in model.norms.values():
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.uniform_(norm.bias, -0.3, 0.5)
    for _ in range(30):  # running statistics away from their start
        model(torch.rand(8, 3, 32, 32))
    return model.eval()


def test_folding_keeps_the_activations(classifier: VGGClassifier) -> None:
    encoder = classifier.fold()
    images = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        deepest = encoder(images)["conv5_1"]
        torch.testing.assert_close(classifier.head(deepest.mean((2, 3))), classifier(images), rtol=1e-4, atol=1e-5)


def test_normalised_layers_have_rms_one_and_the_same_patterns(classifier: VGGClassifier) -> None:
    encoder = classifier.fold()
    batches = [torch.rand(3, 3, 32, 32), torch.rand(5, 3, 32, 32)]
    before = encoder(batches[0])
    rms = normalise(encoder, batches)
    with torch.no_grad():
        everything = encoder(torch.cat(batches))
    for name in LAYERS:
        assert float(everything[name].square().mean().sqrt()) == pytest.approx(1, rel=1e-4)
        torch.testing.assert_close(encoder(batches[0])[name] * rms[name], before[name], rtol=1e-3, atol=1e-5)
