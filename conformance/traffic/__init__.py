"""Recorded traffic: captures (HAR files, logs of runs) and the proxy of `conform watch`, and how they are judged."""
