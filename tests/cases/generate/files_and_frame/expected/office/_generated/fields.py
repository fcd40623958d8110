"""How each input is drawn, as io.yaml says."""

from typing import Final

from scythe_runtime.sampling import Files, Sampling, Variable

VARIABLES: Final[tuple[Variable, ...]] = (
    Variable(name='weather', kind='file', dist=Files(glob='artifacts/weather/*.csv')),
    Variable(name='schedule', kind='file', required=False, nullable=True),
)

SAMPLING: Final = Sampling()
