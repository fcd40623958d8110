"""The borehole example: its own physics tests, and that they notice a wrong formula."""

import pytest


def test_physics_holds(borehole):
    """The tests that the example brings along pass."""
    physics = borehole.physics()
    physics.test_flow_balances_at_both_ends()
    physics.test_mean_flow_over_the_distributions()


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("2 * length", "2.02 * length"),
        ("radius**2", "radius**2.02"),
        ("2 * pi", "2.02 * pi"),
        ("(1 + borehole", "(1.02 + borehole"),
        ("log(influence_radius / radius)", "log(1.02 * influence_radius / radius)"),
    ],
)
def test_a_wrong_formula_is_noticed(borehole, right, wrong):
    """Each number of the formula, when it is off by little, fails the comparison with the solved heads."""
    source = (borehole.folder / "model.py").read_text()
    assert source.count(right) == 1
    names: dict[str, object] = {}
    exec(source.replace(right, wrong), names)
    physics = borehole.physics()
    physics.borehole_flow = names["borehole_flow"]
    with pytest.raises(AssertionError):
        physics.test_flow_balances_at_both_ends()
