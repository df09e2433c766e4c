"""Scores whole portfolios, thousands of customers a request, on a thread of its own."""

from __future__ import annotations

import asyncio
import functools
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from pydantic import TypeAdapter

from .predictor import ChurnPredictor
from .schemas import Customer, Drift, to_frame
from .telemetry import InstrumentedExecutor, stage

router = APIRouter(prefix="/portfolio", tags=["portfolio"])

# One portfolio at a time: two would only take the core from each other.
_portfolio_executor = InstrumentedExecutor(max_workers=1, name="portfolio")
_customers = TypeAdapter(list[Customer])


def get_predictor(request: Request) -> ChurnPredictor:
    return request.app.state.predictor


@router.post("/drift")
async def drift(request: Request, predictor: Annotated[ChurnPredictor, Depends(get_predictor)]) -> Response:
    """Compare the mean probability of these customers with that of the training data."""
    with stage("parse"):
        df = to_frame(_customers.validate_json(await request.body()))
    score = functools.partial(predictor.predict, df, include_proba=True)
    result = await asyncio.get_running_loop().run_in_executor(_portfolio_executor, score)
    with stage("response"):
        answer = Drift(
            customers=len(result),
            mean_probability=result["probability"].mean(),
            trained_on=predictor.card["mean_probability"],
        )
        return Response(answer.model_dump_json(), media_type="application/json")
