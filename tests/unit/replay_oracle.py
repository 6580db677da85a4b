"""The replay once more, slow and plain: every moment is looked at, every message lies in one list."""

from collections.abc import Sequence
from dataclasses import dataclass

from inventory.policies.policy import Habit, Offer, Policy
from inventory.replaying.replay_shelf import Darkness


@dataclass
class Message:
    kind: str
    due: int
    channel: int
    units: int


@dataclass
class Found:
    oversold_lines: int = 0
    oversold_units: int = 0
    inside: int = 0
    delivered: int = 0
    hidden: int = 0
    calls: int = 0
    counter: int = 0


class World:
    """Channels that are not asked. Even lags of two moments or more."""

    def __init__(self, policy: Policy, channels: int, lag: int, dark: Sequence[Darkness], absolute: bool) -> None:
        self.policy, self.lag, self.outages, self.absolute = policy, lag, dark, absolute
        self.shown, self.stock, self.counter, self.thought = [0] * channels, 0, 0, 0
        self.expected, self.worst, self.lost = [0] * channels, [0] * channels, [0] * channels
        self.unread = [0] * channels
        self.messages: list[Message] = []
        self.raise_again = False
        self.found = Found()

    def is_dark(self, channel: int, now: int) -> bool:
        return any(one.channel == channel and one.start <= now < one.end for one in self.outages)

    def is_noticed(self, channel: int, now: int) -> bool:
        return any(one.channel == channel and one.start + self.lag // 2 <= now < one.end for one in self.outages)

    def run(self, sales: Sequence[tuple[int, int, int]], levels: Sequence[tuple[int, int]], end: int) -> Found:
        for now in range(end):
            over = [one.channel for one in self.outages if one.end == now]
            for channel in over:
                self.hear_again(channel)
            if over or any(one.start + self.lag // 2 == now < one.end for one in self.outages):
                self.decide(now)
            for moment, level in levels:
                if moment == now:
                    self.counter = max(self.counter, level)
                    self.thought += max(0, level - self.stock)
                    self.stock = max(self.stock, level)
                    self.decide(now)
            for message in [one for one in self.messages if one.kind == "write" and one.due == now]:
                self.arrive(message, now)
            if self.raise_again and any(one.kind == "write" and one.due == now for one in self.messages):
                self.decide(now)
            for message in [one for one in self.messages if one.kind == "order" and one.due == now]:
                if self.is_dark(message.channel, now):
                    self.unread[message.channel] += message.units
                else:
                    self.know(message.channel, message.units)
                    self.decide(now)
            for moment, channel, units in sales:
                if moment == now:
                    self.sell(channel, units, now)
        return self.found

    def hear_again(self, channel: int) -> None:
        self.worst[channel] -= self.lost[channel]
        self.expected[channel] -= self.lost[channel]
        self.know(channel, self.unread[channel])
        self.lost[channel] = self.unread[channel] = 0

    def know(self, channel: int, units: int) -> None:
        self.thought -= units
        self.expected[channel] -= units
        self.worst[channel] = max(0, self.worst[channel] - units)

    def sell(self, channel: int, units: int, now: int) -> None:
        found = self.found
        found.counter += min(units, self.counter)
        self.counter -= min(units, self.counter)
        taken, real = min(units, self.shown[channel]), min(units, max(0, self.stock))
        found.hidden += taken < real
        found.delivered += min(taken, real)
        if taken > real:
            found.oversold_lines += 1
            found.oversold_units += taken - real
            found.inside += any(one.start <= now < one.end for one in self.outages)
        self.shown[channel] -= taken
        self.stock -= taken
        if taken:
            self.messages.append(Message("order", now + self.lag // 2, channel, taken))

    def decide(self, now: int) -> None:
        thought = max(0, self.thought)
        dark = [self.is_noticed(channel, now) for channel in range(len(self.shown))]
        offers = [Offer(1.0, worst, reachable=not gone) for worst, gone in zip(self.worst, dark, strict=True)]
        wanted = self.policy.entitled(thought, offers)
        lowering = self.policy.lowers(thought, offers, wanted)
        self.raise_again = False
        for channel, number in enumerate(wanted):
            if dark[channel] or (number < self.expected[channel] and not lowering):
                continue
            if number > self.expected[channel] and not (self.absolute and isinstance(self.policy, Habit)):
                free = thought - self.policy.counted(channel, thought, offers) - offers[channel].exposure
                most = self.expected[channel] + max(0, free)
                self.raise_again = self.raise_again or number > self.expected[channel] + free
                number = min(number, most)
            change = number - self.expected[channel]
            if change:
                self.found.calls += 1
                self.messages.append(
                    Message("write", now + self.lag // 2, channel, number if self.absolute else change)
                )
                self.expected[channel] = number
                self.worst[channel] = (
                    max(self.worst[channel], number) if self.absolute else self.worst[channel] + max(0, change)
                )
                offers[channel].exposure = self.worst[channel]

    def arrive(self, message: Message, now: int) -> None:
        channel, units = message.channel, message.units
        if self.is_dark(channel, now):
            if not self.absolute:
                self.lost[channel] += max(0, units)
                self.expected[channel] += max(0, -units)
        elif self.absolute:
            self.shown[channel] = units
            self.worst[channel] = max(0, self.expected[channel])
        else:
            before = self.shown[channel]
            self.shown[channel] = max(0, before + units)
            moved = self.shown[channel] - before
            self.expected[channel] += moved - units
            self.worst[channel] += min(0, moved)
