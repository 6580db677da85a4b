"""The seller's out-of-stock control, by eBay's Trading API: the one preference that decides what a zero does.

With it a listing at zero stays and is hidden; without it a zero ends the listing, which then has to be made
anew. Source: GetUserPreferences, and "Enable the out-of-stock feature" of the Trading user guide.
"""

from collections.abc import Callable
from xml.parsers import expat

from adapters.channels.ebay.ebay_client import EbayClient
from adapters.channels.ebay.ebay_memory import EbayMemory, Known
from adapters.http import ChannelFault, Resolution

NAMESPACE = "urn:ebay:apis:eBLBaseComponents"
VERSION = "1395"
SITES = {
    "EBAY_US": "0",
    "EBAY_CA": "2",
    "EBAY_GB": "3",
    "EBAY_AU": "15",
    "EBAY_AT": "16",
    "EBAY_FR": "71",
    "EBAY_DE": "77",
    "EBAY_IT": "101",
    "EBAY_NL": "146",
    "EBAY_ES": "186",
    "EBAY_CH": "193",
    "EBAY_IE": "205",
    "EBAY_PL": "212",
}
BAD_TOKEN = frozenset({"841", "931", "932", "16110", "17470", "21916984", "21917053"})
"""Error codes of a token that is invalid or has expired; the HTTP status is 200."""
GOOD_FOR_S = {True: 600.0, False: 60.0}
OLD_YES_S = 24 * 3600.0
"""When it cannot be asked, a yes of the last day will do: a zero that is not sent oversells."""
WHAT_TO_DO = (
    "out-of-stock control is off, so a zero would end the listing: turn it on in My eBay, Selling preferences "
    "(or SetUserPreferences OutOfStockControlPreference=true)"
)

_REQUEST = (
    '<?xml version="1.0" encoding="utf-8"?>'
    f'<GetUserPreferencesRequest xmlns="{NAMESPACE}">'
    "<ShowOutOfStockControlPreference>true</ShowOutOfStockControlPreference>"
    "</GetUserPreferencesRequest>"
).encode()


class OutOfStockControl:
    """Asked for at most once in a while."""

    def __init__(
        self, client: EbayClient, memory: EbayMemory, *, marketplace_id: str, clock: Callable[[], float]
    ) -> None:
        self._client = client
        self._memory = memory
        self._clock = clock
        self._headers = {
            "x-ebay-api-compatibility-level": VERSION,
            "x-ebay-api-siteid": SITES.get(marketplace_id, "0"),
        }

    def is_on(self) -> bool:
        """Raises ChannelFault when it cannot be told."""
        known, now = self._memory.control, self._clock()
        if known is not None and now - known.asked_at < GOOD_FOR_S[known.on]:
            return known.on
        try:
            on = self._ask()
        except ChannelFault as fault:
            if fault.retriable and known is not None and known.on and now - known.asked_at < OLD_YES_S:
                return True
            raise
        self._memory.control = Known(on, now)
        return on

    def _ask(self) -> bool:
        answer = self._call()
        if BAD_TOKEN & set(answer.get("ErrorCode", [])):
            self._client.forget_token()
            answer = self._call()
        codes = answer.get("ErrorCode", [])
        if answer.get("Ack", [""])[0] not in ("Success", "Warning"):
            bad_token = bool(BAD_TOKEN & set(codes))
            what = "GetUserPreferences was refused" + (f" ({codes[0]})" if codes and codes[0].isdecimal() else "")
            resolution = Resolution.REAUTHENTICATE if bad_token else Resolution.RETRY
            raise ChannelFault(self._client.channel, resolution, what, status=200)
        value = answer.get("OutOfStockControlPreference", [""])[0]
        if value not in ("true", "false"):
            self._client.malformed("GetUserPreferences did not tell the out-of-stock control")
        return value == "true"

    def _call(self) -> dict[str, list[str]]:
        content = self._client.trade("GetUserPreferences", _REQUEST, self._headers)
        try:
            return texts(content)
        except expat.ExpatError:
            self._client.malformed("POST /ws/api.dll answered no valid XML")


def texts(content: bytes) -> dict[str, list[str]]:
    """The text of each element by its name. Raises ExpatError for what is no XML, or declares a document type:
    with none of it there are no entities to expand."""
    parser = expat.ParserCreate()
    found: dict[str, list[str]] = {}
    path: list[tuple[str, list[str]]] = []

    def refuse(*_: object) -> None:
        raise expat.ExpatError("a document type is not expected here")

    def begin(name: str, _: dict[str, str]) -> None:
        path.append((name, []))

    def end(_: str) -> None:
        name, parts = path.pop()
        found.setdefault(name, []).append("".join(parts).strip())

    def text(part: str) -> None:
        if path:
            path[-1][1].append(part)

    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = begin
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text
    try:
        parser.Parse(content, True)
    except (LookupError, ValueError):
        raise expat.ExpatError("an encoding that cannot be read") from None
    return found
