"""Search spaces in Hydra's sweep syntax."""

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from hydra_plugins.trainlab._search import space_of
from trainlab.sweep.space import rounded as as_used


def space(*arguments):
    return space_of(OverridesParser.create().parse_overrides(list(arguments)))


@pytest.mark.parametrize(
    "value, dimension",
    [
        ("interval(1e-5,1e-2)", FloatDistribution(1e-5, 1e-2, log=True)),
        ("interval(1e-4,1e-2)", FloatDistribution(1e-4, 1e-2, log=True)),  # just two powers of ten
        ("interval(1e-3,0.09)", FloatDistribution(1e-3, 0.09)),
        ("interval(0,0.5)", FloatDistribution(0.0, 0.5)),
        ("interval(-1,1000)", FloatDistribution(-1.0, 1000.0)),
        ("tag(linear,interval(1e-5,1e-2))", FloatDistribution(1e-5, 1e-2)),
        ("tag(log,interval(1,2))", FloatDistribution(1.0, 2.0, log=True)),
        ("int(interval(2,8))", IntDistribution(2, 8)),
        ("int(interval(1,1000))", IntDistribution(1, 1000, log=True)),
        ("range(1,8,2)", IntDistribution(1, 7, step=2)),
        ("range(3)", IntDistribution(0, 2, step=1)),
        ("range(8,1,-3)", IntDistribution(2, 8, step=3)),
        ("range(0,0.5,0.1)", FloatDistribution(0.0, 0.4, step=0.1)),
        ("bn,selu", CategoricalDistribution(("bn", "selu"))),
        ("choice(bn)", CategoricalDistribution(("bn",))),
        (
            "1e-4,5e-4,1e-4",
            CategoricalDistribution(("0.0001", "0.0005")),
        ),  # as a sweep over all combinations writes them
        ("[1,2],null,'a b'", CategoricalDistribution(("[1,2]", "null", "'a b'"))),
    ],
)
def test_dimensions_of_the_search_space(value, dimension):
    assert space(f"x={value}").dimensions == {"x": dimension}


@pytest.mark.parametrize(
    "argument, message",
    [
        ("x=interval(2,1)", "an interval must go from a number to a higher one, got interval(2.0, 1.0); set x"),
        ("x=interval(1,1)", "an interval must go from a number to a higher one, got interval(1.0, 1.0); set x"),
        ("x=interval(0,inf)", "an interval must go from a number to a higher one, got interval(0.0, inf); set x"),
        ("x=int(interval(3,3))", "an interval must go from a number to a higher one, got int(interval(3, 3)); set x"),
        (
            "x=tag(log,interval(0,1))",
            "an interval on a log scale must start above 0, got interval(0.0, 1.0); set x",
        ),
        (
            "x=tag(lgo,interval(1,2))",
            "the tag of an interval must be log or linear, got lgo; set x=tag(log, interval(1.0, 2.0))",
        ),
        ("x=tag(log,choice(1,2))", "only an interval can have a tag, got x=tag(log,choice(1,2)); set x"),
        ("x=range(2,2)", "x=range(2,2) has no value to sweep over"),
        ("name=a,b", "name does not affect the training and cannot be searched; give one value"),
        ("sweep.jobs=1,2", "sweep.jobs does not affect the training and cannot be searched; give one value"),
        (
            "x=1",
            "a search needs a key to search over, such as 'optim.lr=interval(1e-5,1e-2)' or model=bn,selu",
        ),
    ],
)
def test_mistakes_are_reported(argument, message):
    with pytest.raises(ValueError) as caught:
        space(argument)
    assert str(caught.value) == message


def test_workers_are_searched_where_the_data_are_the_users():
    assert [*space("data=spots", "data.num_workers=0,2").dimensions] == ["data.num_workers"]
    with pytest.raises(ValueError, match=r"^data\.num_workers does not affect the training"):
        space("data=shapes", "data.num_workers=0,2")


def test_fixed_overrides_pass_through_in_their_place():
    found = space("a=1", "b=interval(0,1)", "+c='x y'", "~d", "model=bn,selu", "a=2")
    overrides = found.overrides({"b": 0.25, "model": "selu"})
    assert overrides == ["a=2", "b=0.25", "+c='x y'", "~d", "model=selu"]


def test_every_end_and_every_choice_is_in_a_corner():
    corners = list(space("lr=interval(1e-5,1e-2)", "model=bn,selu,elu", "seed=1").corners())
    assert len(corners) == 4
    assert {corner["lr"] for corner in corners} == {1e-5, 1e-2}
    assert {corner["model"] for corner in corners} == {"bn", "selu", "elu"}


@pytest.mark.parametrize(
    "dimension, drawn, rounded",
    [
        (FloatDistribution(1e-5, 1e-2, log=True), 0.000316227766, 0.0003162),
        (FloatDistribution(1e-5, 1e-2, log=True), 1.00001e-5, 1e-5),
        (FloatDistribution(1e-5, 1e-2, log=True), 0.0099999, 0.01),
        (FloatDistribution(0.0, 1.0), 0.123456, 0.123),
        (FloatDistribution(0.9, 0.999), 0.91234567, 0.91235),  # a thousandth of its width, and not of its height
        (FloatDistribution(0.12341, 0.9), 0.12342, 0.12341),  # inside, though its rounding is not
        (FloatDistribution(1.0, 1.02, log=True), 1.0123456, 1.01235),
        (IntDistribution(2, 8), 5, 5),
        (FloatDistribution(0.0, 0.4, step=0.1), 0.1 + 0.2, 0.3),
        (IntDistribution(1, 7, step=2), 3, 3),
    ],
)
def test_drawn_numbers_are_short_and_inside(dimension, drawn, rounded):
    assert as_used(dimension, drawn) == rounded
    assert type(as_used(dimension, drawn)) is type(rounded)


@pytest.mark.parametrize("low, high", [(1e-5, 1e-2), (1.0, 1.02), (3e-4, 3.1e-4)])
def test_rounding_leaves_a_thousand_numbers_of_a_log_scale(low, high):
    places = [low * (high / low) ** (i / 2000) for i in range(2001)]
    assert len({as_used(FloatDistribution(low, high, log=True), place) for place in places}) > 300


def test_what_has_not_been_tried():
    found = space("a=1,2", "b=range(3)")
    assert len(found.unseen([])) == 6
    seen = [{"a": a, "b": b} for a in ("1", "2") for b in range(3)]
    assert found.unseen(seen[:5]) == [{"a": "2", "b": 2}]
    assert found.unseen(seen) == []
    assert space("a=interval(0,1)").unseen([]) is None
    assert space("a=int(interval(1,1001))").unseen([]) is None
    assert len(space("a=int(interval(1,1000))").unseen([])) == 1000
