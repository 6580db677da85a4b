"""What every target of alerts is: it takes a text or says why not."""

from typing import Protocol

from inventory.alerting.alert_text import AlertText


class NotDelivered(Exception):
    """A target did not take a message. The words hold no address and no secret.

    `retry_after`: seconds that the target asks for. `for_good`: it refuses whatever is sent until a person mends it.
    `refused`: it refuses this one message. `in_doubt`: it may have taken it all the same.
    """

    def __init__(
        self,
        why: str,
        *,
        retry_after: float | None = None,
        for_good: bool = False,
        refused: bool = False,
        in_doubt: bool = False,
    ) -> None:
        super().__init__(why)
        self.retry_after = retry_after
        self.for_good = for_good
        self.refused = refused
        self.in_doubt = in_doubt


class Messenger(Protocol):
    """For one thread."""

    pace_s: float
    """Seconds between two messages."""

    def send(self, text: AlertText) -> None:
        """Raises NotDelivered."""
        ...

    def close(self) -> None: ...
