"""Which waiting rows may leave: one look along the queue, and one question for permits."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Generic, TypeVar

from mailer.throttle import clock
from mailer.throttle.buckets import COMMON, UNLIMITED, Answer, Bucket
from mailer.throttle.limits import Limit, Standing

LOOK_AT = 512  # rows of the queue: more than two batches hold
ASK_AT_ONCE = 64  # permits, or four for each free connection: more makes the question slow
LOOK_ON = 0.001  # seconds until the next look, when this one ended early and found too little
SHORT_WAIT = 2.0  # seconds that rows wait in place for a permit; for longer they are passed over
LANE_AGAIN = 300.0  # seconds after which a closed lane is looked at again: it may be released
SERVER_AGAIN = 60.0  # the same for a whole server
KEPT_IN_PLACE = 100  # rows of a lane whose connections are all busy
BUSY_AGAIN = 10.0  # seconds until the others of such a lane are looked at again

T = TypeVar("T")


@dataclass
class Picked(Generic[T]):
    """What may leave now. All times are seconds."""

    rows: list[T] = field(default_factory=list)
    passed_over: list[tuple[T, float]] = field(default_factory=list)  # until their lane opens
    wait: float = 0.0  # until rows left in place may get a permit; 0 if none waits for one
    closed_for: float = 0.0  # the whole server is shut, or is to be asked again then
    closed_reason: str = ""


@dataclass
class Memory:
    """What one worker remembers from one choice to the next, by the monotonic clock."""

    without_permit: dict[str, tuple[float, float]] = field(default_factory=dict)  # rate, until
    planned_until: dict[str, tuple[float, float]] = field(default_factory=dict)  # rate, until
    returned: Counter[str] = field(default_factory=Counter)  # permits; see Bucket
    unaccepted: Counter[str] = field(default_factory=Counter)

    def wait(self, limit: Limit, now: float) -> float:
        """Seconds until a permit, as last heard; 0 if unknown, or if the rate is another since."""
        rate, until = self.without_permit.get(limit.domain, (limit.rate, 0.0))
        return max(0.0, until - now) if rate == limit.rate else 0.0


class Choice(Generic[T]):
    """One choice among the waiting rows of a server that is open and limited somehow."""

    def __init__(
        self, server: str, standing: Standing, memory: Memory, *, room: int, now: float
    ) -> None:
        self.server = server
        self.standing = standing
        self.memory = memory
        self.room = room
        self.now = now
        self.picked: Picked[T] = Picked()
        self.candidates: list[tuple[T, Limit | None]] = []
        self.behind: dict[str, list[T]] = defaultdict(list)  # rows of limited lanes, in order
        self.is_cut_short = False  # there is more to look at
        self.busy: Counter[str] = Counter()  # of them, those that wait for a connection only

    def look_along(
        self,
        waiting: Iterable[T],
        *,
        domain: Callable[[T], str],
        in_flight: Mapping[str, int],
    ) -> None:
        """Sort the first rows: may leave if there is a permit, has to wait, passed over."""
        unlimited = 0
        chosen: Counter[str] = Counter()
        most = max(ASK_AT_ONCE, 4 * self.room)
        for row in islice(waiting, LOOK_AT):
            if len(self.candidates) == most:
                self.is_cut_short = True
                return
            lane = self.standing.lanes.get(domain(row))
            if lane is None:
                self.candidates.append((row, None))
                unlimited += 1
                if unlimited == self.room:
                    return
            elif closed := self._closed(lane):
                self.picked.passed_over.append((row, closed))
            elif self.memory.wait(lane, self.now) or chosen[lane.domain] == self._most(lane):
                self.behind[lane.domain].append(row)
            elif lane.connections is not None and (
                in_flight.get(lane.domain, 0) + chosen[lane.domain] >= lane.connections
            ):
                self._wait_for_a_connection(row, lane)
            else:
                chosen[lane.domain] += 1
                self.candidates.append((row, lane))

    def buckets(self) -> list[Bucket]:
        """What to ask permits of: the server first, then each lane with candidates and a limit."""
        limited = {lane.domain: lane for _row, lane in self.candidates if lane is not None}
        return [
            self._bucket(self.standing.server),
            *(bucket for lane in limited.values() if (bucket := self._bucket(lane)).is_limited),
        ]

    def messages(self, buckets: list[Bucket]) -> list[int]:
        """For each candidate the place of its lane's bucket."""
        places = {bucket.name: place for place, bucket in enumerate(buckets)}
        return [
            COMMON if lane is None else places.get(self._name(lane), COMMON)
            for _row, lane in self.candidates
        ]

    def settle(self, answer: Answer, buckets: list[Bucket]) -> Picked[T]:
        """Take the granted rows, and say of the others how long they wait, and where.

        `buckets` are those that were asked: what they were told of is told, and their waits count.
        """
        waits = {bucket.name: wait for bucket, wait in zip(buckets, answer.waits, strict=True)}
        queues: dict[str, list[T]] = defaultdict(list)
        for (row, lane), granted in zip(self.candidates, answer.granted, strict=True):
            if granted:
                self.picked.rows.append(row)
            elif lane is not None:
                queues[lane.domain].append(row)
        for name, rows in self.behind.items():
            queues[name] += rows
        self._remember(waits)
        in_lanes = [self._wait_in_lane(name, rows, waits) for name, rows in queues.items()]
        in_all = waits.get(self._name(self.standing.server), 0.0)
        if len(self.picked.rows) < min(self.room, len(self.candidates)) and in_all:
            return self.wait_for_server(in_all)
        if len(self.picked.rows) < self.room and self.is_cut_short:
            self.picked.wait = LOOK_ON
        elif len(self.picked.rows) < self.room:
            self.picked.wait = min((wait for wait in in_lanes if wait), default=0.0)
        return self.picked

    def wait_for_server(self, wait: float) -> Picked[T]:
        """The server has no permit for what is left. It is shut if the next one takes long."""
        if wait <= SHORT_WAIT or self.picked.rows:
            self.picked.wait = min(wait, SHORT_WAIT)
        else:
            self.picked.closed_for, self.picked.closed_reason = server_shut(self.standing, wait)
        return self.picked

    # --- how long -------------------------------------------------------------------------------

    def _remember(self, waits: Mapping[str, float]) -> None:
        for limit in (self.standing.server, *self.standing.lanes.values()):
            wait = waits.get(self._name(limit))
            if wait is None:
                continue
            del self.memory.returned[limit.domain]
            del self.memory.unaccepted[limit.domain]
            if 0 < wait < float("inf"):
                self.memory.without_permit[limit.domain] = (limit.rate, self.now + wait)

    def _wait_in_lane(self, name: str, rows: list[T], waits: Mapping[str, float]) -> float:
        """Pass over the rows whose turn is far off; seconds until the first of the others' turn.

        Those passed over get the times at which the rate will reach them, a short wait's worth
        together, so that they do not all come back for one permit.
        """
        lane = self.standing.lanes[name]
        wait = waits.get(self._name(lane), 0.0) or self.memory.wait(lane, self.now)
        if wait == float("inf"):
            until = min(LANE_AGAIN, clock.seconds_to_midnight(self.standing.history.now))
            self.picked.passed_over += [(row, until) for row in rows]
            return 0.0
        if not wait or not lane.rate:
            return 0.0
        in_place = 0
        for number, row in enumerate(rows):
            if wait + number / lane.rate <= SHORT_WAIT:
                in_place += 1
            else:
                self.picked.passed_over.append(
                    (row, self._planned(lane, wait + number / lane.rate))
                )
        return wait if in_place else 0.0

    def _planned(self, lane: Limit, earliest: float) -> float:
        rate, until = self.memory.planned_until.get(lane.domain, (lane.rate, 0.0))
        if rate != lane.rate:
            until = 0.0
        turn = max(self.now + earliest, until)
        self.memory.planned_until[lane.domain] = (lane.rate, turn + 1 / lane.rate)
        rounded = SHORT_WAIT * -(-(turn - self.now) // SHORT_WAIT)
        return min(LANE_AGAIN, rounded)

    def _wait_for_a_connection(self, row: T, lane: Limit) -> None:
        """In place, but not so many that rows of other lanes behind them are never seen."""
        self.busy[lane.domain] += 1
        if self.busy[lane.domain] > KEPT_IN_PLACE:
            self.picked.passed_over.append((row, BUSY_AGAIN))

    def _most(self, lane: Limit) -> int:
        """How many rows of a lane are worth asking for: no bucket holds more than its burst."""
        return min(self.room, lane.burst) if lane.rate else self.room

    def _closed(self, lane: Limit) -> float:
        if lane.closed_for:
            return min(LANE_AGAIN, lane.closed_for)
        if lane.left_today == 0:
            return min(LANE_AGAIN, clock.seconds_to_midnight(self.standing.history.now))
        return 0.0

    # --- buckets --------------------------------------------------------------------------------

    def _name(self, limit: Limit) -> str:
        """Braces: on a Redis cluster the buckets of one server lie together, or no script works."""
        return f"{{{self.server}}}:{limit.domain}"

    def _bucket(self, limit: Limit) -> Bucket:
        is_counted = limit.per_day is not None
        return Bucket(
            self._name(limit),
            rate=limit.rate,
            burst=limit.burst,
            day=self.standing.history.now.date().isoformat(),
            per_day=limit.per_day if limit.per_day is not None else UNLIMITED,
            sent=limit.sent_today,
            returned=self.memory.returned[limit.domain],
            unaccepted=self.memory.unaccepted[limit.domain] if is_counted else 0,
        )


def server_shut(standing: Standing, wait: float) -> tuple[float, str]:
    """For how many seconds, at most a minute, and why a server without permits is shut."""
    if wait == float("inf"):
        midnight = clock.seconds_to_midnight(standing.history.now)
        limit = standing.server.per_day or 0
        reason = f"Today's {limit:,} messages are used up; it goes on at 00:00 UTC."
        return min(SERVER_AGAIN, midnight), reason
    reason = f"Its rate of {standing.server.rate:g} messages a second has the next one wait."
    return min(SERVER_AGAIN, wait), reason
