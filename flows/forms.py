"""The fields of the flows' forms in the Prefect UI, said once."""

from typing import Annotated, Any

from pydantic import Field


def shown(title: str, description: str, **rules: Any) -> Any:
    """A field with its label and its help text; `rules` as for pydantic's Field.

    Prefect writes the parameter's bare name over a Field's title, and nothing over its description; what
    stands in `json_schema_extra` it keeps.
    """
    return Field(json_schema_extra={"title": title, "description": description}, **rules)


ChannelCode = Annotated[
    str,
    shown(
        "Channel",
        "Code of the channel, as in channels.toml: shopify, website, …",
        pattern=r"^[a-z][a-z0-9-]{0,30}$",
        examples=["shopify", "website"],
    ),
]
Channels = Annotated[list[ChannelCode], shown("Channels", "Codes, as in channels.toml", min_length=1, max_length=100)]
Minutes = Annotated[
    float,
    shown(
        "Go on for (minutes)",
        "0: once, then stop. Else go on, warm, for so long from the scheduled time",
        ge=0,
        le=24 * 60,
    ),
]
EverySeconds = Annotated[float, shown("Every (seconds)", "From the start of one pass to the next", ge=0.2, le=3600)]
Actor = Annotated[
    str,
    shown(
        "Approved by",
        "Your name, if you have seen a batch that the gate blocks and let it through; else empty",
        max_length=80,
    ),
]
AnyChannel = Annotated[
    str,
    shown(
        "Channel",
        "Code of the channel, as in channels.toml; empty: all of them",
        pattern=r"^([a-z][a-z0-9-]{0,30})?$",
        examples=["shopify", "website"],
    ),
]
Person = Annotated[str, shown("Your name", "Kept with the change", min_length=1, max_length=80, pattern=r"\S")]
Reason = Annotated[str, shown("Reason", "Why; people will read it later", min_length=3, max_length=500, pattern=r"\S")]
Sku = Annotated[str, shown("SKU", "As in the ledger, or an alias of it", min_length=1, max_length=200, pattern=r"\S")]
Skus = Annotated[list[Sku], shown("SKUs", "As in the ledger, or aliases", max_length=5000)]
Location = Annotated[str, shown("Location", "Its code", min_length=1, max_length=100, pattern=r"\S")]
DryRun = Annotated[bool, shown("Dry run", "On: only show what would be written. Off: write it")]


def csv_field(title: str, columns: str, more: str = "", *, needed: bool = True) -> Any:
    """A seller's table: pasted, or by name."""
    return shown(
        title,
        f"Paste the lines here, the first one: {columns}. Or the path of a .csv file on the worker's machine (a "
        f"relative one counts from the data folder); more than 500 KB only so{more}",
        min_length=1 if needed else 0,
        max_length=500_000,
    )
