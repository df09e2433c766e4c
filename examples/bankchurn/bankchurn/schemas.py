"""Requests and responses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import pandas as pd
from pydantic import BaseModel, Field


class Customer(BaseModel):
    credit_score: float = Field(ge=300, le=900)
    country: Literal["FR", "DE", "ES"]
    age: float = Field(ge=18, le=120)
    tenure_years: float = Field(ge=0)
    balance: float = Field(ge=0)
    products: float = Field(ge=1, le=4)
    has_card: Literal["yes", "no"]
    is_active: Literal["yes", "no"]
    salary: float = Field(ge=0)


class Prediction(BaseModel):
    churn: bool
    probability: float


class Explanation(BaseModel):
    """How much of the probability is due to each attribute not being the typical one."""

    probability: float
    contributions: dict[str, float]


class Score(BaseModel):
    probability: float


class Value(BaseModel):
    euros_a_year: float


class Campaign(BaseModel):
    """Positions in the request of the customers to call, most likely to leave first."""

    customers: list[int]


class Drift(BaseModel):
    customers: int
    mean_probability: float
    trained_on: float


def to_frame(customers: Sequence[Customer]) -> pd.DataFrame:
    """One row a customer, in the columns that the models were trained with."""
    return pd.DataFrame([customer.model_dump() for customer in customers])
