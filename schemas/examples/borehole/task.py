"""The experiment: the flow through one borehole."""

from scythe_runtime import ExperimentRegistry

from .model import borehole_flow
from .specs import Input, Output


@ExperimentRegistry.Register()
def simulate(input_spec: Input) -> Output:
    """Return how much water flows through a borehole."""
    return Output(
        flow=borehole_flow(
            radius=input_spec.radius,
            influence_radius=input_spec.influence_radius,
            upper_transmissivity=input_spec.upper_transmissivity,
            upper_head=input_spec.upper_head,
            lower_transmissivity=input_spec.lower_transmissivity,
            lower_head=input_spec.lower_head,
            length=input_spec.length,
            conductivity=input_spec.conductivity,
        )
    )
