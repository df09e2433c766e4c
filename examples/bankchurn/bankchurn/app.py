"""The HTTP interface."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import joblib
from fastapi import FastAPI, HTTPException, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from . import portfolio
from .dependencies import InjectedValueModel
from .predictor import ChurnPredictor
from .schemas import Campaign, Customer, Explanation, Prediction, Score, Value, to_frame
from .scoring import score_customers
from .service import RetentionService
from .settings import settings
from .telemetry import RequestTelemetry, watch_loop_lag

predictor: ChurnPredictor | None = None
retention: RetentionService | None = None


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    global predictor, retention
    predictor = ChurnPredictor.from_files(settings.model_path, settings.card_path)
    retention = RetentionService(predictor, settings.campaign_size)
    app.state.predictor = predictor
    app.state.challenger = joblib.load(settings.challenger_path)
    lag = asyncio.create_task(watch_loop_lag())
    yield
    lag.cancel()


app = FastAPI(title="bankchurn", lifespan=lifespan)
app.add_middleware(RequestTelemetry)
app.include_router(portfolio.router)


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


@app.get("/metrics")
async def metrics() -> Response:
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


@app.post("/predict")
async def predict(customer: Customer) -> Prediction:
    if predictor is None:
        raise HTTPException(status_code=503, detail="the model is not loaded")
    result = predictor.predict(to_frame([customer]), include_proba=True)
    return Prediction(churn=result["churn"].iloc[0], probability=result["probability"].iloc[0])


@app.post("/predict/batch")
async def predict_batch(customers: list[Customer]) -> list[Prediction]:
    if predictor is None:
        raise HTTPException(status_code=503, detail="the model is not loaded")
    return score_customers(predictor, customers)


@app.post("/explain")
async def explain(customer: Customer) -> Explanation:
    if predictor is None:
        raise HTTPException(status_code=503, detail="the model is not loaded")
    contributions = predictor.explain(to_frame([customer])).iloc[0].to_dict()
    return Explanation(probability=contributions.pop("probability"), contributions=contributions)


@app.post("/challenger")
async def challenger(customer: Customer, request: Request) -> Score:
    """The same question to the model that may replace the champion."""
    proba = request.app.state.challenger.predict_proba(to_frame([customer]))
    return Score(probability=proba[0, 1])


@app.post("/value")
async def value(customer: Customer, model: InjectedValueModel) -> Value:
    return Value(euros_a_year=model.estimate(to_frame([customer])))


@app.post("/campaign")
async def campaign(customers: list[Customer]) -> Campaign:
    if retention is None:
        raise HTTPException(status_code=503, detail="the model is not loaded")
    return Campaign(customers=retention.select(customers))


@app.post("/what-if")
def what_if(customer: Customer, age: float, is_active: bool) -> Score:
    """The probability if this customer were older, or used the account again."""
    if predictor is None:
        raise HTTPException(status_code=503, detail="the model is not loaded")
    changed = customer.model_copy(update={"age": age, "is_active": "yes" if is_active else "no"})
    result = predictor.predict(to_frame([changed]), include_proba=True)
    return Score(probability=result["probability"].iloc[0])


@app.post("/admin/reload")
async def reload_champion(request: Request) -> dict[str, str]:
    """Take the champion that the training job has written since."""
    global predictor, retention
    predictor = await asyncio.to_thread(ChurnPredictor.from_files, settings.model_path, settings.card_path)
    retention = RetentionService(predictor, settings.campaign_size)
    request.app.state.predictor = predictor
    return {"champion": predictor.card["version"]}


@app.post("/admin/reload-challenger")
async def reload_challenger(request: Request) -> dict[str, str]:
    request.app.state.challenger = joblib.load(settings.challenger_path)
    return {"challenger": "reloaded"}
