"""Which engine transfers styles when nobody names one."""

import zoo
from zoo import registry
from zoo.stylize import ranking


def test_auto_takes_the_best_installed(monkeypatch):
    best = ranking.RANKING[0].name
    record = zoo.info("gatys").to_dict() | {"name": best, "default": False}
    entries = {"gatys.vgg19_half": zoo.info("gatys")}
    monkeypatch.setattr(registry, "_entries", lambda: entries)
    assert ranking.choose().name == "gatys.vgg19_half" and "no network" in ranking.choose().reason
    entries[best] = zoo.Entry.from_dict(record)
    assert ranking.choose().name == best and "best" in ranking.choose().reason
    assert [entry.name for entry in ranking.installed()] == [best, "gatys.vgg19_half"]
    steadiest = min((rank for rank in ranking.RANKING if rank.flicker), key=lambda rank: rank.flicker).name
    entries[steadiest] = zoo.Entry.from_dict(record | {"name": steadiest})
    assert ranking.choose(moving=True).name == steadiest and "steadiest" in ranking.choose(moving=True).reason
    if steadiest != best:
        del entries[steadiest]
    missing = record | {"file": "nowhere.safetensors", "sha256": "0" * 64}
    entries[best] = zoo.Entry.from_dict(missing)
    assert ranking.choose().name == "gatys.vgg19_half", "weights that are not there do not count"
    assert [entry.name for entry in ranking.installed()] == ["gatys.vgg19_half"]
