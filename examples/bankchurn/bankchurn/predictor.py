"""The churn model as the service uses it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import joblib
import pandas as pd
from sklearn.pipeline import Pipeline

from .telemetry import stage


class ChurnPredictor:
    """The champion model together with its card."""

    def __init__(self, model: Pipeline, card: dict[str, Any]) -> None:
        self.model = model
        self.card = card

    @classmethod
    def from_files(cls, model_path: Path, card_path: Path) -> ChurnPredictor:
        """Load what `train.py` wrote."""
        return cls(joblib.load(model_path), json.loads(card_path.read_text(encoding="utf-8")))

    def predict(self, df: pd.DataFrame, include_proba: bool = False) -> pd.DataFrame:
        """Who leaves: the column `churn`, and `probability` if asked for."""
        with stage("inference"):
            proba = self.model.predict_proba(df)[:, 1]
        result = pd.DataFrame({"churn": proba >= self.card["threshold"]}, index=df.index)
        if include_proba:
            result["probability"] = proba
        return result

    def explain(self, df: pd.DataFrame) -> pd.DataFrame:
        """What each attribute adds to the probability, against a typical customer.

        One more prediction an attribute: as slow as that sounds.
        """
        probability = self._probability(df)
        contributions = {}
        for column, typical in self.card["typical_customer"].items():
            contributions[column] = probability - self._probability(df.assign(**{column: typical}))
        return pd.DataFrame({"probability": probability, **contributions}, index=df.index)

    def _probability(self, df: pd.DataFrame) -> pd.Series:
        return self.predict(df, include_proba=True)["probability"]
