"""Intake: orders that were accepted and are not written yet, where writing each by itself was thought too slow."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

WRITE_EVERY_S = 1.0


class Intake:
    """Holds orders in memory until somebody writes them."""

    def __init__(self) -> None:
        self._orders: dict[str, dict[str, Any]] = {}

    def hold(self, order: dict[str, Any]) -> None:
        """Keeps an order."""
        self._orders[order["id"]] = order

    def shown(self, identity: str) -> dict[str, Any] | None:
        """Returns what a caller sees of an order that is held, or None."""
        order = self._orders.get(identity)
        if order is None:
            return None
        told = {name: order[name] for name in ("id", "plan", "model", "release", "correlation_id")}
        return told | {"status": "queued", "error": None, "answer": None, "citations": [], "effects": 0, "tasks": []}

    async def hand_on(self, take_in: Callable[[list[dict[str, Any]]], Awaitable[None]]) -> None:
        """Hands the orders that are held to whoever writes them, again and again."""
        while True:
            await asyncio.sleep(WRITE_EVERY_S)
            orders = list(self._orders.values())
            await take_in(orders)
            for order in orders:
                self._orders.pop(order["id"], None)
