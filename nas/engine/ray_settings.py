"""Ray's settings, which it reads from the environment when it is imported."""

from __future__ import annotations

import os
import secrets
import sys


def prepare(local: bool) -> None:
    """Set up the environment before the first import of Ray, here and in its workers.

    Args:
        local: the cluster will be one of this process: it listens on this machine alone, and takes
            connections only with a token that nobody else has. Ray reads both once, so a second
            cluster of the process gets the same. A cluster that runs already has its own rules, and
            so has a program that has imported Ray by itself: it is too late then.
    """
    settings = {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AIR_NEW_OUTPUT": "0",
        # Tune's memory is not used (see `nas.engine.ray_tune`), so it need not be kept.
        "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
        "TUNE_GLOBAL_CHECKPOINT_S": "1000000",
        # Requests to end are heard by the search, between two steps of Tune; Ray's own handler of
        # SIGTERM would abort the process.
        "TUNE_DISABLE_SIGINT_HANDLER": "1",
        "RAY_DISABLE_FAILURE_SIGNAL_HANDLER": "1",
        # Whoever has started the worker says it, in a line.
        "RAY_DEDUP_LOGS_SKIP_REGEX": "^A worker died or was killed",
        # Of Ray Train: how often it looks at its processes, how long they may take to start, and
        # one to leave that waits for another that has died; what takes processes and serves nobody.
        "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2",
        "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "300",
        "TORCH_PROCESS_GROUP_SHUTDOWN_TIMEOUT_S": "5",
        "RAY_TRAIN_METRICS_ENABLED": "0",
        "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
    }
    if local and "ray" not in sys.modules:
        # Each task of a worker would be remembered, 15 KB a trial, and shown to nobody.
        settings["RAY_task_events_report_interval_ms"] = "0"
        settings["RAY_AUTH_MODE"] = "token"
        settings["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # on any system: its node is 127.0.0.1
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    os.environ.update(settings)
