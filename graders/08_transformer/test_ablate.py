"""Hidden graders of the ablations: what the returned configuration makes of a model."""

import numpy as np
import pytest

from gradschool.grading import expect_close, expect_equal, expect_raises
from gradschool.grading.expect import expect

PARTS = ("residual", "norm", "feed_forward", "positions", "heads")
CONFIG = {"n_heads": 3, "n_layers": 2, "norm": "pre", "pad": 0, "without": ()}


def _without(submission, config, *parts):
    for part in parts:
        config = submission.ablate(config, part)
        expect(isinstance(config, dict), f"ablate returned {type(config).__name__}; it should be a dict.")
    return config


def _want(config, *parts):
    """The configuration with `parts` left out, written down by hand."""
    left_out = [*config.get("without", ()), *(part for part in parts if part != "heads")]
    want = config | {"without": tuple(dict.fromkeys(left_out))}
    return want | {"n_heads": 1} if "heads" in parts else want


@pytest.mark.exercise("ablate")
@pytest.mark.points(2)
@pytest.mark.parametrize("part", PARTS)
def test_a_model_without_the_part(submission, reference, rng, part):
    config = _without(submission, dict(CONFIG), part)
    want = _want(CONFIG, part)
    expect_equal(config, want, what=f"the configuration without {part}")
    params = reference.init_transformer(5, 6, 7, CONFIG, rng, np.float64)
    src, tgt = rng.integers(1, 5, (2, 4)), rng.integers(1, 5, (2, 3))
    logits, _ = reference.transformer_forward(src, tgt, params, config)
    expect_close(
        logits, reference.transformer_forward(src, tgt, params, want)[0], 1e-12, what="logits of that model"
    )


@pytest.mark.exercise("ablate")
@pytest.mark.points(1)
@pytest.mark.parametrize(
    "parts", [("norm", "residual"), ("heads", "positions"), ("positions", "heads")], ids=str
)
def test_a_second_part_goes_as_well(submission, parts):
    expect_equal(_without(submission, dict(CONFIG), *parts), _want(CONFIG, *parts), what="the configuration")


@pytest.mark.exercise("ablate")
@pytest.mark.points(1)
@pytest.mark.parametrize("part", PARTS)
def test_what_is_gone_is_not_taken_out_again(submission, part):
    once = _want(CONFIG, "norm", part)
    expect_equal(submission.ablate(dict(once), part), once, what=f"the configuration without {part}, twice")


@pytest.mark.exercise("ablate")
@pytest.mark.points(1)
@pytest.mark.parametrize("part", ["norm", "heads"])
def test_a_configuration_that_leaves_nothing_out_need_not_say_so(submission, part):
    config = {name: value for name, value in CONFIG.items() if name != "without"} | {"norm": "post", "pad": 4}
    expect_equal(submission.ablate(config, part), _want(config, part), what="the configuration")


@pytest.mark.exercise("ablate")
@pytest.mark.points(1)
@pytest.mark.parametrize("part", ["norm", "heads", "positions"])
def test_a_list_of_parts_becomes_a_tuple(submission, part):
    config = CONFIG | {"without": ["norm"]}
    got = _without(submission, config, part)
    expect_equal(got, _want(config, part), what="the configuration")
    kind = type(got["without"]).__name__
    expect(kind == "tuple", f"config['without'] came as a list and is a {kind}; it should be a tuple.")


@pytest.mark.exercise("ablate")
@pytest.mark.points(1)
@pytest.mark.parametrize("part", ["attention", "n_heads", "", "Norm"])
def test_a_part_that_does_not_exist_is_refused(submission, part):
    expect_raises(submission.ablate, ValueError, dict(CONFIG), part)
