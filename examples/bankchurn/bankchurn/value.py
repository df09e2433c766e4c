"""What a customer is worth."""

from __future__ import annotations

from pathlib import Path

import joblib
import pandas as pd
from sklearn.pipeline import Pipeline


class ValueModel:
    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    @classmethod
    def from_file(cls, path: Path) -> ValueModel:
        return cls(joblib.load(path))

    def estimate(self, df: pd.DataFrame) -> float:
        """Euros a year of the first customer in `df`."""
        return float(self._pipeline.predict(df)[0])
