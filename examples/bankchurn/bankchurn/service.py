"""Business rules on top of the model."""

from __future__ import annotations

from collections.abc import Sequence

from .predictor import ChurnPredictor
from .schemas import Customer, to_frame


class RetentionService:
    """Chooses whom the retention team should call."""

    def __init__(self, predictor: ChurnPredictor, campaign_size: int) -> None:
        self.predictor = predictor
        self.campaign_size = campaign_size

    def select(self, customers: Sequence[Customer]) -> list[int]:
        """Positions of the customers to call, most likely to leave first."""
        ranked = self._rank(customers)
        return ranked[: self.campaign_size]

    def _rank(self, customers: Sequence[Customer]) -> list[int]:
        result = self.predictor.predict(to_frame(customers), include_proba=True)
        return [int(position) for position in result["probability"].sort_values(ascending=False).index]
