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
