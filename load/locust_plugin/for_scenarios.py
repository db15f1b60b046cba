"""What `load` gives to scenario files; `locust -f checkout.py` alone becomes a load of ours by importing it."""

from __future__ import annotations

from locust import task

from load.locust_plugin import standalone
from load.locust_plugin.rpc_user import RpcUser
from load.workload.feeds import csv_feed, json_feed
from load.workload.own_calls import Answer

__all__ = ["Answer", "RpcUser", "csv_feed", "json_feed", "task"]

standalone.listen()
