"""What FastAPI injects into endpoints."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated

from fastapi import Depends

from .settings import settings
from .value import ValueModel


@lru_cache(maxsize=1)
def get_value_model() -> ValueModel:
    """The value model, loaded when first asked for: in a thread, since this is a plain `def`."""
    return ValueModel.from_file(settings.value_path)


InjectedValueModel = Annotated[ValueModel, Depends(get_value_model)]
