"""The bus: hands every event to the sinks, none of which can hurt the run."""

import logging
from collections.abc import Callable, Iterable, Sequence

from gnomon.events.types import Event, Observer, Request

Sink = Callable[[Event], None]
log = logging.getLogger(__name__)


class Bus:
    """Publishes events to sinks (files, console) and asks observers what shall follow.

    A sink that fails is dropped with one warning: watching a run must never end it.
    """

    def __init__(self, sinks: Sequence[Sink], observers: Sequence[Observer], attempt: int) -> None:
        self._sinks = list(sinks)
        self.observers = list(observers)
        self._attempt = attempt

    def publish(self, event: Event) -> Event:
        """Send `event`, stamped with the attempt, to every sink and return it as sent."""
        event = event.model_copy(update={"attempt": self._attempt})
        for sink in list(self._sinks):
            try:
                sink(event)
            except Exception as e:
                self._sinks.remove(sink)
                log.warning("%s failed and is left out from here on: %s", getattr(sink, "__name__", sink), e)
        return event

    def ask(self, event: Event) -> Iterable[Request]:
        """Yield what the observers ask for after `event`."""
        for observer in self.observers:
            yield from observer(event)
