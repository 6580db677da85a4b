"""Send numbers to the channels, all channels at once, and say what became of each."""

from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from adapters.channels.protocol import Change, ChangeResult, ChangeStatus
from adapters.http import ChannelFault
from inventory.publishing.publications import Outcome, Sent
from inventory.words import PublicationStatus
from tasks.runtime import Runtime
from tasks.selling import trouble

_STATUS = {
    ChangeStatus.DONE: PublicationStatus.CONFIRMED,
    ChangeStatus.STALE: PublicationStatus.STALE,
    ChangeStatus.REJECTED: PublicationStatus.REJECTED,
    ChangeStatus.UNKNOWN: PublicationStatus.UNCONFIRMED,
}


def send(runtime: Runtime, sent: Sequence[Sent], key: str) -> list[Outcome]:
    """One outcome for each; the order of the numbers within a channel is kept (most urgent first)."""
    by_channel: dict[str, list[Sent]] = defaultdict(list)
    for one in sent:
        by_channel[one.step.position.channel].append(one)
    with ThreadPoolExecutor(max_workers=min(runtime.at_once, len(by_channel))) as pool:
        answers = pool.map(lambda code: _send_channel(runtime, code, by_channel[code], key), by_channel)
    return [outcome for answer in answers for outcome in answer]


def _send_channel(runtime: Runtime, code: str, sent: Sequence[Sent], key: str) -> list[Outcome]:
    outcomes: list[Outcome] = []
    with runtime.channel(code) as channel:
        size = channel.capabilities.write_batch
        for number, batch in enumerate(sent[start : start + size] for start in range(0, len(sent), size)):
            if runtime.now() > min(one.leave_by for one in batch):
                outcomes += [Outcome(one, PublicationStatus.STALE, "too late to be sent: not sent") for one in batch]
                continue
            changes = [Change(one.step.position.ref, one.step.quantity, one.step.position.live) for one in batch]
            try:
                results = channel.set_quantities(changes, f"{key}-{number}")
            except ChannelFault as fault:
                # The adapter is certain that nothing of this call was applied; the next pass computes anew.
                outcomes += [Outcome(one, PublicationStatus.STALE, str(fault)) for one in batch]
                trouble.failed(runtime, code, trouble.WRITE, fault)
                continue
            outcomes += _matched(batch, results)
            if all(result.status is ChangeStatus.UNKNOWN for result in results):
                trouble.note(runtime, code, trouble.WRITE, ChangeStatus.UNKNOWN.value)
            else:
                trouble.succeeded(runtime, code, trouble.WRITE)
    return outcomes


def _matched(batch: Sequence[Sent], results: Sequence[ChangeResult]) -> list[Outcome]:
    by_ref = {result.listing_ref: result for result in results}
    outcomes = []
    for one in batch:
        result = by_ref.get(one.step.position.ref)
        if result is None:
            outcomes.append(Outcome(one, PublicationStatus.UNCONFIRMED, "the answer does not mention this listing"))
        else:
            outcomes.append(Outcome(one, _STATUS[result.status], result.reason))
    return outcomes
