"""Scores for many customers at once."""

from __future__ import annotations

from collections.abc import Sequence

from .predictor import ChurnPredictor
from .schemas import Customer, Prediction, to_frame


def score_customers(predictor: ChurnPredictor, customers: Sequence[Customer]) -> list[Prediction]:
    """One prediction a customer, in the order given."""
    result = predictor.predict(to_frame(customers), include_proba=True)
    return [
        Prediction(churn=churn, probability=p) for churn, p in zip(result["churn"], result["probability"])
    ]
