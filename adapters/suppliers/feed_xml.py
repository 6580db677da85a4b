"""A supplier's feed as XML, read without anything that XML can be abused for.

A document type is refused as such: without one there are no entities to expand (a thousand million laughs) and none
to fetch from elsewhere. Depth and size are bounded, and a record is forgotten as soon as it has been read.
"""

from xml.parsers import expat

from adapters.suppliers.feed_content import LONGEST_CELL, FeedContent, FeedError
from adapters.suppliers.supplier_config import XmlShape

DEEPEST = 32

_TRUNCATED = {
    expat.errors.codes[name]
    for name in (
        expat.errors.XML_ERROR_NO_ELEMENTS,
        expat.errors.XML_ERROR_UNCLOSED_TOKEN,
        expat.errors.XML_ERROR_PARTIAL_CHAR,
        expat.errors.XML_ERROR_UNCLOSED_CDATA_SECTION,
    )
}


class _Refused(Exception):
    """Carries why a document is refused out of a handler."""


def read_xml_feed(content: bytes, shape: XmlShape) -> FeedContent:
    """Raises FeedError."""
    if not content.strip():
        raise FeedError("it is empty")
    reader = _Reader(shape)
    try:
        reader.parser.Parse(content, True)
    except expat.ExpatError as error:
        if error.code in _TRUNCATED:
            raise FeedError(f"it ends too early, in line {error.lineno}: it was cut off") from None
        raise FeedError(f"line {error.lineno} is no XML: {expat.ErrorString(error.code)}") from None
    except FeedError:
        raise
    except (_Refused, LookupError, ValueError) as error:
        why = str(error) if isinstance(error, _Refused) else "its encoding is none that can be read"
        raise FeedError(why) from None
    if not reader.found.rows and not reader.found.unread:
        raise FeedError(f"it has no element {'/'.join(reader.records)}: another file, or another path?")
    return reader.found


class _Reader:
    """Keeps the path to where it is, and the values of the record it is in."""

    def __init__(self, shape: XmlShape) -> None:
        self.shape = shape
        self.records = shape.records.strip("/").split("/")
        self.as_of = shape.as_of.strip("/")
        self.names = (shape.code, shape.quantity, shape.promised_at)
        self.found = FeedContent()
        self.path: list[str] = []
        self.texts: list[list[str]] = []
        self.values: dict[str, str | bool] = {}
        self.number = 0
        # The namespace is cut off the names: suppliers put any there, and change it.
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self.start
        self.parser.EndElementHandler = self.end
        self.parser.CharacterDataHandler = self.text
        self.parser.StartDoctypeDeclHandler = self.refuse
        self.parser.EntityDeclHandler = self.refuse
        self.parser.ExternalEntityRefHandler = self.refuse

    def refuse(self, *_: object) -> int:
        raise _Refused("it declares a document type: entities are refused, ask the supplier for it without")

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self.path.append(_local(name))
        self.texts.append([])
        if len(self.path) > DEEPEST:
            raise _Refused(f"it is nested more than {DEEPEST} deep")
        if self.path == self.records:
            self.number += 1
            self.values = {}
        if self._in_record():
            for key, value in attributes.items():
                self._keep(f"@{_local(key)}", value)
        for key, value in attributes.items():
            if self.as_of == "/".join([*self.path, f"@{_local(key)}"]):
                self.found.as_of = value.strip()[:LONGEST_CELL]

    def text(self, data: str) -> None:
        if self.texts:
            self.texts[-1].append(data)

    def end(self, _: str) -> None:
        written = "".join(self.texts.pop()).strip()
        if self.as_of and self.as_of == "/".join(self.path):
            self.found.as_of = written[:LONGEST_CELL]
        if self.path == self.records:
            self.found.add(self.number, self.values.get, self.names)
        elif self._in_record():
            self._keep("", written)
        self.path.pop()

    def _in_record(self) -> bool:
        return self.path[: len(self.records)] == self.records

    def _keep(self, attribute: str, written: str) -> None:
        """The value of the element or attribute in its record. What comes twice is nobody's value: marked by True."""
        inner = [*self.path[len(self.records) :], *([attribute] if attribute else [])]
        name = "/".join(inner)
        if name in self.names:
            self.values[name] = True if name in self.values else written


def _local(name: str) -> str:
    return name.rpartition(" ")[2]
