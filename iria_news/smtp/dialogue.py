"""One submission, step by step. Knows no socket."""

from collections.abc import Sequence

from iria_news.smtp.replies import OutOfStep
from iria_news.smtp.results import Kind, Result, of_reply
from iria_news.smtp.syntax import END

# RFC 5321 section 4.5.3.2 asks for 5 minutes on most replies. A server that is silent for a minute
# before anything was sent costs us nothing but another try, so we give up sooner there.
ENVELOPE_TIMEOUT = 60  # seconds
WRITE_TIMEOUT = 120  # seconds
FINAL_REPLY_TIMEOUT = 600  # seconds; RFC 5321 4.5.3.2.6: giving up early is what makes copies
GO_ON = 354


class Dialogue:
    """One submission, step by step: what to write now, and what each reply means for it.

    Knows no socket, so that a blocking session and a pool of many connections share it. Write
    `outgoing` and say so with `wrote`; pass replies to `answer`; the end is when `result` is set.
    """

    __slots__ = (
        "_commands",
        "_is_body",
        "_is_held",
        "_message",
        "_pipelining",
        "_refusal",
        "_replies",
        "_stages",
        "is_out_of_step",
        "messages_before",
        "must_reset",
        "outgoing",
        "result",
        "timeout",
    )

    def __init__(
        self,
        stages: Sequence[str],
        commands: bytes,
        message: bytes,
        *,
        pipelining: bool,
        held: bool = False,
        messages_before: int = 0,
    ) -> None:
        """`commands` holds one line for each stage; DATA is the last. `message` ends with its dot.

        `held` keeps that dot back until `release`: till then the server has nothing to deliver.
        `messages_before` is what the line has carried; each result repeats it.
        """
        self.result: Result | None = None
        self.must_reset = False  # the server still has a transaction open
        self.is_out_of_step = False  # replies to a pipelined group are missing
        self.timeout = ENVELOPE_TIMEOUT
        self.messages_before = messages_before
        self._stages = stages
        self._message = message
        self._pipelining = pipelining
        self._replies: list[tuple[int, bytes]] = []
        self._refusal: Result | None = None
        self._is_body = False
        self._is_held = held
        self._commands = [commands] if pipelining else commands.splitlines(keepends=True)
        self.outgoing = memoryview(self._commands[0])

    def wrote(self, count: int) -> None:
        """So many bytes of `outgoing` were handed to the system."""
        self.outgoing = self.outgoing[count:]
        if self._is_complete:
            self.timeout = FINAL_REPLY_TIMEOUT

    @property
    def _is_complete(self) -> bool:
        """Whether the system has all of the message: from here on the server may deliver it."""
        return self._is_body and not self._is_held and not self.outgoing

    @property
    def is_unended(self) -> bool:
        """Whether the server waits for more of a message: the line is of no other use then."""
        return bool(self.outgoing) or (self._is_body and self._is_held)

    def release(self) -> None:
        """The message may end now. Leaves its dot in `outgoing`, behind what is there already."""
        self._is_held = False
        if self._is_body and self.result is None:
            self.outgoing = memoryview(self._message)[-len(self.outgoing) - len(END) :]

    def answer(self, code: int, text: bytes) -> None:
        """Take one reply in. May set `result`, or leave more in `outgoing`.

        Raises OutOfStep for a reply that cannot be one to what was sent, such as a "yes" to a
        message that has not left: to believe it would lose the message without a trace.
        """
        if self._is_body:
            if code < 400 and (code >= 300 or not self._is_complete):
                raise OutOfStep("the server accepted what it had not got")
            self.result = of_reply("dot", code, text, self.messages_before)
        elif self._refusal is not None:
            self.result = self._refusal  # this reply ends the empty message, whatever it says
        else:
            self._take(code, text)

    def _take(self, code: int, text: bytes) -> None:
        """One reply to the envelope. 354 answers DATA and nothing else (RFC 5321 4.3.2)."""
        answered = len(self._replies) + 1
        is_last = answered == len(self._stages)
        if code < 400 and (code >= 300) is not is_last:
            raise OutOfStep("the server answered another command than ours")
        self._replies.append((code, text))
        if is_last or (code >= 400 and not self._pipelining):
            self._judge_envelope()
        elif not self._pipelining:
            self.outgoing = memoryview(self._commands[answered])

    def _judge_envelope(self) -> None:
        self._refusal = self._refused()
        if self._refusal is None:
            self._is_body = True
            self.timeout = WRITE_TIMEOUT
            whole = memoryview(self._message)
            self.outgoing = whole[: -len(END)] if self._is_held else whole
            return
        self.must_reset = True
        if self._replies[-1][0] == GO_ON:
            # RFC 2920 section 3.1: a pipelining server may say "go on" although it refused the
            # recipient. An empty message ends that; whatever it answers, nothing was delivered.
            self.outgoing = memoryview(END)
        else:
            self.result = self._refusal

    def _refused(self) -> Result | None:
        for stage, (code, text) in zip(self._stages, self._replies, strict=False):
            if code >= 400:
                return of_reply(stage, code, text, self.messages_before)
        return None

    def lost(self, error: Exception) -> Result:
        """What became of it when the connection ended before `result` was set.

        In doubt only if the final dot was handed to the system: without it no server may deliver
        (RFC 5321 section 4.1.1.4).
        """
        if self._pipelining and isinstance(error, TimeoutError) and not self._is_body:
            # Some servers and firewalls read one command of a group and drop the others.
            self.is_out_of_step = 0 < len(self._replies) < len(self._stages)
        refused = self._refusal or self._refused()
        if refused is not None:
            return refused
        if self._is_complete:
            kind, stage = Kind.IN_DOUBT, "dot"
        else:
            kind, stage = Kind.NOT_SENT, "dot" if self._is_body else "mail"
        return Result(kind, stage, 0, "", str(error), self.messages_before)
