"""The fields of the flows' forms in the Prefect UI, said once."""

from typing import Annotated

from pydantic import Field

ChannelCode = Annotated[
    str,
    Field(
        title="Channel",
        description="Code of the channel, as in channels.toml",
        pattern=r"^[a-z][a-z0-9-]{0,30}$",
        examples=["shopify", "website"],
    ),
]
Minutes = Annotated[
    float,
    Field(
        title="Go on for (minutes)",
        description="0: once, then stop. Else go on, warm, for so long from the scheduled time",
        ge=0,
        le=24 * 60,
    ),
]
EverySeconds = Annotated[float, Field(title="Every (seconds)", description="Pause between two passes", ge=0.2, le=3600)]
Actor = Annotated[
    str,
    Field(
        title="Approved by",
        description="Your name, if you have seen a batch that the gate blocks and let it through; else empty",
        max_length=80,
    ),
]
