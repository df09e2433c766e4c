"""Scores whole portfolios, thousands of customers a request, on a thread of its own."""

from __future__ import annotations

import asyncio
import functools
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import TypeAdapter, ValidationError

from .predictor import ChurnPredictor
from .schemas import Customer, Drift, to_frame
from .telemetry import InstrumentedExecutor, stage

router = APIRouter(prefix="/portfolio", tags=["portfolio"])

# One portfolio at a time: two would only take the core from each other.
_portfolio_executor = InstrumentedExecutor(max_workers=1, name="portfolio")
_customers = TypeAdapter(list[Customer])


def get_predictor(request: Request) -> ChurnPredictor:
    return request.app.state.predictor


def parse_customers(body: bytes) -> list[Customer]:
    """Read here and not by FastAPI, so that the time it takes can be told apart."""
    try:
        return _customers.validate_json(body)
    except ValidationError as error:
        raise RequestValidationError(error.errors()) from error


@router.post("/drift")
async def drift(request: Request, predictor: Annotated[ChurnPredictor, Depends(get_predictor)]) -> Response:
    """Compare the mean probability of these customers with that of the training data."""
    body = await request.body()
    with stage("parse"):
        df = to_frame(parse_customers(body))
    score = functools.partial(predictor.predict, df, include_proba=True)
    result = await asyncio.get_running_loop().run_in_executor(_portfolio_executor, score)
    with stage("response"):
        answer = Drift(
            customers=len(result),
            mean_probability=result["probability"].mean(),
            trained_on=predictor.card["mean_probability"],
        )
        return Response(answer.model_dump_json(), media_type="application/json")
