"""Generated specs as modules, made from the text of a definition."""

import itertools
import sys
from types import ModuleType

from scythe_gen.compare import compare_specs
from scythe_gen.document import parse_text
from scythe_gen.parse import parse
from scythe_gen.schema import IOModel
from scythe_gen.specs import specs_text

NUMBERS = itertools.count()


def model_of(definition: str) -> IOModel:
    """Return what a definition means."""
    return parse(parse_text(definition))


def module_of(model: IOModel) -> ModuleType:
    """Return the generated specs as a module that was compared with the definition and imported."""
    text = specs_text(model)
    compare_specs(model, text)
    module = ModuleType(f"generated_{next(NUMBERS)}")
    sys.modules[module.__name__] = module  # pydantic looks annotations up there
    exec(compile(text, module.__name__, "exec"), module.__dict__)
    return module
