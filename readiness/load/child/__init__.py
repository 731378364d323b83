"""The side of a load run that runs inside Locust: the only place of the package that imports it.

Whatever is imported from here makes this process Locust's (gevent replaces threads and sockets), so nothing of it may
be imported where gates run.
"""

import locust as locust
