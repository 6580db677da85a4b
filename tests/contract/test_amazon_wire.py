"""Login, allowances and secrets of the Amazon adapter."""

import threading
from collections.abc import Iterator

import httpx
import pytest
from amazon_stage import CLIENT_SECRET, REFRESH_TOKEN, WRONG_SECRET, AmazonStage
from contract_place import Place, served
from pydantic import SecretStr

from adapters.channels.amazon import amazon_budget as budget
from adapters.channels.amazon.amazon import Amazon
from adapters.channels.amazon.amazon_budget import PLANS, Budget, Plan, paced
from adapters.channels.amazon.amazon_config import AmazonConfig
from adapters.channels.amazon.amazon_shared import shared_for
from adapters.channels.amazon.amazon_tokens import Credentials
from adapters.channels.protocol import Change
from adapters.http import ChannelFault, Resolution
from adapters.sandbox.amazon.amazon import create_app_from_token
from adapters.sandbox.amazon.amazon_state import MARKETPLACE, SELLER, Habits, State
from adapters.sandbox.faults import FaultKind, Operation
from adapters.sandbox.server import serve
from adapters.sandbox.shop import Shop


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with served(records=True) as place:
        yield place


@pytest.fixture
def stage(place: Place) -> Iterator[AmazonStage]:
    with place.staged(AmazonStage) as stage:
        assert isinstance(stage, AmazonStage)
        place.exchanges.clear()
        yield stage


# Login


def test_one_token_serves_all_adapters_until_shortly_before_its_end(stage: AmazonStage) -> None:
    stage.add("A", 5)
    for channel in (stage.channel, stage.adapter(), stage.adapter()):
        channel.read_quantities(["A"])
    assert stage.shop.calls["token"] == 1
    stage.clock.seconds += 3600 - 61
    stage.channel.read_quantities(["A"])
    assert stage.shop.calls["token"] == 1
    stage.clock.seconds += 2
    stage.channel.read_quantities(["A"])
    assert stage.shop.calls["token"] == 2


def test_a_refused_token_is_renewed_once_also_before_a_write(stage: AmazonStage) -> None:
    stage.add("A", 5)
    stage.channel.read_quantities(["A"])
    stage.expire_credentials()
    (answer,) = stage.channel.set_quantities([Change("A", 7, 5)], "key")
    assert (answer.status.value, stage.shop.calls["token"]) == ("done", 2)
    assert len(stage.shop.written) == 1


def test_a_token_that_is_refused_again_is_for_a_person(
    stage: AmazonStage, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.add("A", 5)
    monkeypatch.setattr(State, "token_problem", lambda state, token: "no")
    with pytest.raises(ChannelFault) as caught:
        stage.channel.read_quantities(["A"])
    assert (caught.value.resolution, place.calls) == (Resolution.REAUTHENTICATE, 4)


@pytest.mark.parametrize("wrong", ["client_secret", "refresh_token"])
def test_a_refused_credential_names_no_secret(stage: AmazonStage, wrong: str) -> None:
    stranger = stage.adapter(**{wrong: SecretStr(WRONG_SECRET)}, shared=stage._shared())
    with pytest.raises(ChannelFault) as caught:
        stranger.read_quantities(["A"])
    fault = caught.value
    assert (fault.resolution, fault.__cause__) == (Resolution.REAUTHENTICATE, None)
    assert any(code in str(fault) for code in ("invalid_client", "invalid_grant"))
    for secret in (WRONG_SECRET, CLIENT_SECRET, REFRESH_TOKEN, "Atza"):
        assert secret not in f"{fault} {fault!r} {fault.__context__!r} {stranger.__dict__}"


def test_the_token_goes_nowhere_else(stage: AmazonStage, place: Place) -> None:
    rows = [Change(stage.add(f"S-{number}", 5).sku, 6, 5) for number in range(60)]
    stage.channel.set_quantities(rows, "key")
    elsewhere = [one for one in place.exchanges if one.path.startswith(("/presigned/", "/auth/"))]
    assert {one.method for one in elsewhere} == {"GET", "PUT", "POST"}
    assert not [one for one in elsewhere if "x-amz-access-token" in one.request_headers]
    inside = [one for one in place.exchanges if one not in elsewhere]
    assert all("x-amz-access-token" in one.request_headers for one in inside)
    assert all(one.request_headers["user-agent"].startswith("onhand/") for one in inside)


def test_the_secret_is_never_sent_in_clear() -> None:
    with pytest.raises(ValueError, match="https"):
        Amazon(
            "amazon",
            base_url="http://sellingpartnerapi-na.amazon.com",
            seller_id="S",
            marketplace_ids=("M",),
            client_id="c",
            client_secret=SecretStr("s"),
            refresh_token=SecretStr("r"),
        )


# Allowances


def test_a_read_that_is_refused_waits_longer_each_time_and_is_tried_again(stage: AmazonStage) -> None:
    stage.add("A", 5)
    stage.channel.read_quantities(["A"])
    stage.clock.slept.clear()
    stage.fault(FaultKind.THROTTLE, Operation.READ, times=3)
    assert len(stage.channel.read_quantities(["A"])) == 1
    pauses = [seconds for seconds in stage.clock.slept if seconds > 0.1]
    assert len(pauses) == 3
    for number, seconds in enumerate(pauses):
        assert 0.25 * 2**number <= seconds <= 0.5 * 2**number
    stage.fault(FaultKind.THROTTLE, Operation.READ, times=None)
    with pytest.raises(ChannelFault) as caught:
        stage.channel.read_quantities(["A"])
    assert caught.value.code == "QuotaExceeded"


def test_a_call_without_allowance_is_not_sent(place: Place) -> None:
    with place.staged(lambda url: AmazonStage(url, habits=Habits(search_lag_s=0))) as stage:
        assert isinstance(stage, AmazonStage)
        for _ in range(20):
            stage.pull()
        calls = place.calls
        with pytest.raises(ChannelFault) as caught:
            stage.pull()
        assert place.calls == calls
        assert caught.value.resolution is Resolution.RATE_LIMITED
        assert caught.value.retry_after is not None and 150 < caught.value.retry_after < 200


def test_adapters_never_exceed_the_vendors_rates(place: Place) -> None:
    """Three adapters of one process, as fast as they can, at the vendor's own rates: not once too fast."""
    with place.staged(lambda url: AmazonStage(url, habits=Habits(apply_delay_s=0))) as stage:
        assert isinstance(stage, AmazonStage)
        place.exchanges.clear()
        for number in range(40):
            stage.add(f"S-{number}", 5)
        channels = [stage.channel, stage.adapter(), stage.adapter()]
        for number in range(60):
            channels[number % 3].read_quantities([f"S-{number % 40}"])
        for number in range(20):
            stage.channel.set_quantities([Change(f"S-{number}", 6, 5)], "key")
        assert not [one for one in place.exchanges if one.status == 429]
        assert stage.clock.seconds == pytest.approx((60 + 20 - 10) / paced(5), rel=0.02)


def test_the_rate_that_amazon_tells_counts(stage: AmazonStage) -> None:
    told = Budget(clock=stage.clock.monotonic, sleep=stage.clock.sleep)
    for nonsense in (None, "", "x", "0", "-1", "inf", "nan"):
        told.told(budget.GET_ORDER, nonsense)
    for _ in range(30):
        told.take("amazon", budget.GET_ORDER, 0)
    with pytest.raises(ChannelFault) as caught:
        told.take("amazon", budget.GET_ORDER, 2)
    assert caught.value.retry_after == pytest.approx(1 / paced(0.5), rel=0.01)
    told.told(budget.GET_ORDER, "10")
    told.take("amazon", budget.GET_ORDER, 2)
    assert stage.clock.slept == [pytest.approx(1 / paced(10))]
    told.refused(budget.GET_ORDER)
    assert told.left(budget.GET_ORDER) == 0


def test_a_budget_is_shared_by_threads() -> None:
    shared = Budget({budget.GET_ORDER: Plan(0.001, 100)}, clock=lambda: 0.0, sleep=lambda seconds: None)
    taken: list[int] = []

    def take() -> None:
        for _ in range(50):
            try:
                shared.take("amazon", budget.GET_ORDER, 0)
                taken.append(1)
            except ChannelFault:
                pass

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == 100


def test_one_set_of_buckets_for_a_channel_and_credential() -> None:
    def of(code: str, secret: str) -> object:
        credentials = Credentials("id", SecretStr(secret), SecretStr("r"))
        return shared_for(code, "https://x", credentials, plans={}, clock=lambda: 0.0, sleep=lambda seconds: None)

    assert of("test-one", "s") is of("test-one", "s")
    assert of("test-one", "s") is not of("test-two", "s")
    assert of("test-one", "s") is not of("test-one", "rotated")


def test_the_plans_name_every_operation() -> None:
    assert set(PLANS) == {value for name, value in vars(budget).items() if name.isupper() and isinstance(value, str)}


# Configuration


def config(**more: object) -> AmazonConfig:
    fields = {
        "code": "amazon",
        "vendor": "amazon",
        "locations": ["main"],
        "seller_id": SELLER,
        "marketplace_ids": [MARKETPLACE],
        "client_id_env": "ID",
        "client_secret_env": "SECRET",
        "refresh_token_env": "SECRET",
        **more,
    }
    return AmazonConfig.model_validate(fields)


def test_a_configured_adapter_against_a_shop_made_from_one_token() -> None:
    shop = Shop()
    shop.add_product("A", "Thing", 5)
    secrets = {"ID": "key-1", "SECRET": "secret-1"}
    with serve(create_app_from_token(shop, "key-1:secret-1")) as url:
        made = config(
            base_url=url,
            token_url=f"{url}/auth/o2/token",
            queue_url=f"{url}/000000000000/notifications",
            aws_key_id_env="ID",
            aws_secret_key_env="SECRET",
            rates={budget.GET_ORDER: (5, 50)},
        )
        channel = made.open(lambda name: SecretStr(secrets[name]))
        assert [one.quantity for one in channel.read_quantities(["A"])] == [5]
        (answer,) = channel.set_quantities([Change("A", 6, 5)], "key")
        assert answer.status.value == "done"
        channel.close()
        queue = made.queue(lambda name: SecretStr(secrets[name]))
        assert queue is not None
        httpx.post(
            f"{url}/sandbox/checkout", json={"lines": [{"sku": "A", "quantity": 1}]}, timeout=60
        ).raise_for_status()
        topics = {notice.topic for message in queue.receive(5) for notice in message.notices}
        assert topics == {"ORDER_CHANGE", "LISTINGS_ITEM_MFN_QUANTITY_CHANGE"}
        queue.close()


def test_a_seller_without_a_queue() -> None:
    assert config().queue(lambda name: SecretStr(name)) is None


@pytest.mark.parametrize("wrong", [{"queue_url": "https://sqs.eu-west-1.amazonaws.com/1/q"}, {"rates": {"x": (1, 1)}}])
def test_half_a_configuration_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"queue_url needs|no operation x"):
        config(**wrong)
