"""How each input is drawn, as io.yaml says."""

from typing import Final

from scythe_runtime.sampling import Choice, Fixed, Sampling, Variable

VARIABLES: Final[tuple[Variable, ...]] = (
    Variable(name='start', kind='date', dist=Fixed(value='2024-01-01'), required=False),
    Variable(name='offset', kind='number', required=False, nullable=True, minimum=-1, maximum=1),
    Variable(name='shape', kind='string', dist=Choice(values=('box', 'ball')), options=('box', 'ball')),
    Variable(name='code', kind='string', dist=Fixed(value='ABC'), required=False),
)

SAMPLING: Final = Sampling()
