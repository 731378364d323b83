"""Given to `locust -f` beside a locustfile that knows nothing of us, so that its requests are recorded too."""

import readiness.load.child.recording  # noqa: F401 - it listens to Locust's events
