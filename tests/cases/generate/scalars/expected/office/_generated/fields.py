"""How each input is drawn, as io.yaml says."""

from typing import Final

from scythe_runtime.sampling import Fixed, IntUniform, Sampling, Uniform, Variable

VARIABLES: Final[tuple[Variable, ...]] = (
    Variable(name='r_value', kind='number', dist=Uniform(low=0.5, high=15.0), minimum=0.5, maximum=15),
    Variable(name='storeys', kind='integer', dist=IntUniform(low=1, high=40), minimum=1, maximum=40),
    Variable(name='hvac', kind='string', dist=Fixed(value='pump'), required=False, options=('pump', 'boiler')),
)

SAMPLING: Final = Sampling(method='sobol', n=64, seed=3)
