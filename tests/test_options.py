"""Every place that offers or checks the options of a drawing offers all of them, as the table has them."""

import inspect
import re

import pytest
import typer
from pydantic import ValidationError

from easel.cli import app
from models.options import OPTIONS, SEED, DrawingOptions, Option
from serving.client import Picture
from serving.provenance import Drawing
from serving.studio import site
from serving.studio.openapi import document
from serving.studio.schemas import Generation

NUMBERS = [option for option in OPTIONS.values() if option.bounds]
COMMAND = typer.main.get_command(app).commands["generate"]
PARAMETERS = {parameter.name: parameter for parameter in COMMAND.params}


@pytest.mark.parametrize("kind", [DrawingOptions, Picture, Drawing, Generation])
def test_every_option_has_a_field(kind: type) -> None:
    assert set(OPTIONS) - set(inspect.get_annotations(kind)) == set()


@pytest.mark.parametrize("name", OPTIONS)
def test_the_api_describes_every_option(name: str) -> None:
    told = document()["components"]["schemas"]["Generation"]["properties"][name]
    assert told["description"] == OPTIONS[name].help
    assert told.get("default") == OPTIONS[name].default


@pytest.mark.parametrize("option", NUMBERS, ids=lambda option: option.name)
def test_ranges_hold_in_the_api_the_files_and_the_document(option: Option[float]) -> None:
    taken, null = document()["components"]["schemas"]["Generation"]["properties"][option.name]["anyOf"]
    assert (taken["minimum"], taken["maximum"], null) == (option.least, option.most, {"type": "null"})
    for value, fits in ((option.least, True), (option.most, True), (option.least - 1, False), (option.most + 1, False)):
        if fits:
            option.check(value)
            assert getattr(Generation(prompt="a", **{option.name: value}), option.name) == value
        else:
            with pytest.raises(ValueError, match=rf"{option.name} must be from \S+ to \S+, not {value}"):
                option.check(value)
            with pytest.raises(ValidationError, match=option.name):
                Generation(prompt="a", **{option.name: value})


@pytest.mark.parametrize("name", OPTIONS)
def test_the_command_line_offers_every_option(name: str) -> None:
    parameter, option = PARAMETERS[name], OPTIONS[name]
    assert parameter.help == option.help
    if option.bounds:
        assert (parameter.min, parameter.max) == (option.least, option.most)


def test_a_seed_counts_up_wherever_it_is_described() -> None:
    assert PARAMETERS["seed"].help == SEED.help
    told = document()["components"]["schemas"]["Generation"]["properties"]["seed"]
    assert told["description"].startswith(SEED.help)


@pytest.mark.parametrize("name", ["temperature", "candidates", "scale"])
def test_a_control_of_the_page_has_the_options_default_and_range(name: str) -> None:
    option = OPTIONS[name]
    (control,) = re.findall(rf'<input id="{name}"[^>]*>', site._page())
    least, most, default = (float(re.findall(rf' {key}="([0-9.]+)"', control)[0]) for key in ("min", "max", "value"))
    assert (least, default) == (option.least, option.default)
    # Above a temperature of 2 captions fall apart, which a slider need not offer.
    assert most == (2 if name == "temperature" else option.most)
