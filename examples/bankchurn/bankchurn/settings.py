"""Where the service finds its files, from the environment."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    model_dir: Path
    # The retention team calls this many customers a day.
    campaign_size: int = 50

    @property
    def model_path(self) -> Path:
        return self.model_dir / "model.joblib"

    @property
    def card_path(self) -> Path:
        return self.model_dir / "model_card.json"

    @property
    def challenger_path(self) -> Path:
        return self.model_dir / "challenger.joblib"

    @property
    def value_path(self) -> Path:
        return self.model_dir / "value.joblib"


settings = Settings(model_dir=Path(os.environ.get("BANKCHURN_MODEL_DIR", "model")))
