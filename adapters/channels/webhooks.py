"""What onhand asks of a vendor's webhooks, in one protocol: is it the vendor's, and what does it say?

Amazon has none (it puts its notifications into a queue).
"""

from collections.abc import Mapping
from typing import Protocol

from adapters.channels.notices import Notice


class ReceivesWebhooks(Protocol):
    """Thread safe: one object serves all calls of a channel.

    `headers` have lower-case names; `body` is what came over the wire, byte for byte. Neither method logs, and
    no message of theirs holds a value of the headers or the body. What a vendor needs besides (a challenge to
    answer, a time that it signs, a greeting that it does not sign) are small protocols of their own in `notices`.
    """

    def verify(self, headers: Mapping[str, str], body: bytes) -> bool:
        """Whether the vendor signed this body with one of our secrets.

        Always first, over the raw body, compared in constant time, with every secret that is valid now
        (old and new ones, while they are being rotated). False for whatever is missing or out of shape;
        never raises. A vendor's public key may have to be fetched first.
        """
        ...

    def read(self, headers: Mapping[str, str], body: bytes) -> list[Notice]:
        """What a verified call says. No more than *that* something changed is taken from it.

        Webhooks come late, twice and out of order: the order itself is read through the API then. Empty
        for a call that tells nothing of orders or stock (a ping, a topic that nobody needs): answer it
        2xx, for some vendors give a receiver up that does not. Raises ValueError, with a reason that
        can be shown to anybody, for nonsense.
        """
        ...
