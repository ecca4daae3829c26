"""The load generator of `shortlist loadtest` as a process of its own, for the other benchmarks.

    python -m benchmarks.http_load PORT SECONDS CONNECTIONS USERS [RATE]

With a rate, requests are due at moments drawn at random. Without, each connection sends its next request when
it has an answer. Prints one JSON line.
"""

from __future__ import annotations

import asyncio
import json
import sys

from shortlist.serving.loadtest import Target, arrivals, replay, saturate, some_user

ADDRESS = "127.0.0.1"


def main() -> None:
    """Run what the arguments say."""
    port, seconds, connections, users = (
        int(sys.argv[1]),
        float(sys.argv[2]),
        int(sys.argv[3]),
        int(sys.argv[4]),
    )
    target, draw = Target(ADDRESS, port), some_user(users)
    if len(sys.argv) > 5:
        work = replay(target, arrivals(float(sys.argv[5]), seconds, draw), connections=connections)
    else:
        work = saturate(target, seconds, connections=connections, draw=draw)
    print(json.dumps(asyncio.run(work).summary))


if __name__ == "__main__":
    main()
