"""Where events come in: kopf handlers that store and enqueue, the workers behind them, the HTTP endpoints."""
