"""Every parser of outside data, in one list: what it is handed as bytes, which errors it may raise, and the modules
that it stands for. `test_parsers.py` tries them all; `fuzz_parsers.py` does so for as long as one likes.
"""

import gzip
from collections.abc import Sequence
from typing import cast
from xml.parsers import expat

import parser_readers as readers
import parser_samples as samples
from parser_mutations import Kind
from parser_readers import Parser
from parsers_of_files import FILE_PARSERS

from adapters.channels.amazon import amazon_feeds, amazon_listings, amazon_notifications, amazon_orders
from adapters.channels.bigcommerce import bigcommerce_orders
from adapters.channels.bigcommerce.bigcommerce_webhooks import BigCommerceWebhooks
from adapters.channels.declared.declared_lists import _link
from adapters.channels.declared.declared_trial import try_mapping
from adapters.channels.ebay import ebay_inventory, ebay_keys, ebay_orders, ebay_trading
from adapters.channels.shopify import shopify_catalogue, shopify_orders
from adapters.channels.shopify.shopify_webhooks import ShopifyWebhooks
from adapters.channels.webhooks import ReceivesWebhooks
from adapters.channels.woocommerce import woocommerce_orders
from adapters.channels.woocommerce.woocommerce_webhooks import WooCommerceWebhooks
from adapters.http import ChannelFault, parse_retry_after
from adapters.messenger import NotDelivered
from onhand.services import reservation_messages
from onhand.services.problems import Problem
from onhand.services.tokens import Tokens

JSON = Kind.JSON
CHANNELS = "adapters.channels."

PARSERS: Sequence[Parser] = (
    Parser(
        "order of Shopify",
        JSON,
        readers.of_json(readers.shopify_order),
        [samples.as_json(samples.SHOPIFY_ORDER)],
        (shopify_orders.Untranslatable,),
        (CHANNELS + "shopify.shopify_orders",),
    ),
    Parser(
        "order of WooCommerce",
        JSON,
        readers.of_json(
            lambda given: woocommerce_orders.translate_order(
                readers.part(given, "order"), readers.listed(readers.part(given, "refunds")), "row 0"
            )
        ),
        [samples.as_json(samples.WOOCOMMERCE_ORDER)],
        (woocommerce_orders.UntranslatableError,),
        (CHANNELS + "woocommerce.woocommerce_orders",),
    ),
    Parser(
        "order of BigCommerce",
        JSON,
        readers.of_json(readers.bigcommerce_order),
        [samples.as_json(samples.BIGCOMMERCE_ORDER)],
        (bigcommerce_orders.UntranslatableError,),
        (CHANNELS + "bigcommerce.bigcommerce_orders",),
    ),
    Parser(
        "order of eBay",
        JSON,
        readers.of_json(lambda row: (ebay_orders.needs_whole(row), ebay_orders.translate_order(row, "row 0"))),
        [samples.as_json(samples.EBAY_ORDER)],
        (ebay_orders.UntranslatableError,),
        (CHANNELS + "ebay.ebay_orders",),
    ),
    Parser(
        "order of Amazon",
        JSON,
        readers.of_json(lambda row: (amazon_orders.order_key(row, "row 0"), amazon_orders.translate(row, "row 0"))),
        [samples.as_json(samples.AMAZON_ORDER)],
        (amazon_orders.UntranslatableError,),
        (CHANNELS + "amazon.amazon_orders",),
    ),
    Parser(
        "order of a declared channel",
        JSON,
        readers.of_json(lambda page: try_mapping(readers.portal(), page)),
        [samples.as_json(samples.PORTAL_ORDERS)],
        covers=(
            CHANNELS + "declared.declared_mapping",
            CHANNELS + "declared.declared_trial",
            CHANNELS + "declared.declared_values",
        ),
    ),
    Parser(
        "answer to a write of a declared channel",
        JSON,
        readers.of_json(readers.judged_write),
        [samples.as_json(samples.PORTAL_RESULTS)],
        covers=(CHANNELS + "declared.declared_stock",),
    ),
    Parser(
        "catalogue of Shopify",
        JSON,
        readers.of_json(lambda page: shopify_catalogue._page(readers.listed(page))),
        [samples.as_json(samples.SHOPIFY_VARIANTS)],
        covers=(CHANNELS + "shopify.shopify_catalogue",),
        may_quote=True,
    ),
    Parser(
        "listing of Amazon",
        JSON,
        readers.of_json(amazon_listings.read_item),
        [samples.as_json(samples.AMAZON_LISTING)],
        (amazon_listings.UnreadableError,),
        (CHANNELS + "amazon.amazon_listings",),
    ),
    Parser(
        "report of an Amazon feed",
        JSON,
        amazon_listings.read_report,
        [samples.as_json(samples.AMAZON_REPORT)],
        (amazon_listings.UnreadableError,),
        (CHANNELS + "amazon.amazon_listings",),
    ),
    Parser(
        "packed report of an Amazon feed",
        Kind.TEXT,
        lambda content: amazon_listings.read_report(amazon_feeds._unpacked(content)),
        [gzip.compress(samples.as_json(samples.AMAZON_REPORT), mtime=0)],
        (amazon_listings.UnreadableError,),
        (CHANNELS + "amazon.amazon_feeds",),
    ),
    Parser(
        "message of Amazon's queue",
        JSON,
        readers.of_text(
            lambda text: amazon_notifications._message({"Body": text, "ReceiptHandle": "r", "MessageId": "m"}).notices
        ),
        [samples.as_json(samples.AMAZON_NOTICE)],
        covers=(CHANNELS + "amazon.amazon_notifications",),
    ),
    Parser(
        "public key of eBay",
        JSON,
        readers.of_json(ebay_keys._public_key),
        [samples.as_json({"key": "-----BEGIN PUBLIC KEY-----YWJj-----END PUBLIC KEY-----", "digest": "SHA1"})],
        covers=(CHANNELS + "ebay.ebay_keys",),
    ),
    Parser(
        "next page of eBay",
        JSON,
        readers.of_json(lambda body: ebay_inventory.error_ids(body)),
        [samples.as_json({"errors": [{"errorId": 25710}]})],
        covers=(CHANNELS + "ebay.ebay_inventory",),
    ),
    Parser(
        "preferences of eBay",
        Kind.XML,
        ebay_trading.texts,
        [samples.PREFERENCES],
        (expat.ExpatError,),
        (CHANNELS + "ebay.ebay_trading",),
    ),
    Parser(
        "webhook of Shopify",
        JSON,
        readers.webhook(ShopifyWebhooks([readers.SECRET])),
        samples.SHOPIFY_CALLS,
        (),
        (CHANNELS + "shopify.shopify_webhooks",),
    ),
    Parser(
        "webhook of WooCommerce",
        JSON,
        readers.webhook(WooCommerceWebhooks([readers.SECRET])),
        samples.WOOCOMMERCE_CALLS,
        (),
        (CHANNELS + "woocommerce.woocommerce_webhooks",),
    ),
    Parser(
        "webhook of BigCommerce",
        JSON,
        readers.webhook(BigCommerceWebhooks([readers.SECRET], client_secrets=[readers.SECRET])),
        samples.BIGCOMMERCE_CALLS,
        (),
        (CHANNELS + "bigcommerce.bigcommerce_webhooks",),
    ),
    Parser(
        "webhook of eBay",
        JSON,
        readers.webhook(readers.ebay_webhooks()),
        [samples.EBAY_CALL],
        (),
        (CHANNELS + "ebay.ebay_notifications",),
    ),
    Parser(
        "webhook of a declared channel",
        JSON,
        lambda content: readers.webhook(cast("ReceivesWebhooks", readers.portal().webhooks(lambda _: readers.SECRET)))(
            content
        ),
        [samples.PORTAL_CALL],
        (),
        (CHANNELS + "declared.declared_webhooks",),
    ),
    Parser(
        "answer over HTTP",
        JSON,
        readers.over_http,
        [samples.as_json(samples.PORTAL_ORDERS)],
        (ChannelFault,),
        ("adapters.http",),
    ),
    Parser(
        "time to come again",
        Kind.TEXT,
        readers.of_header(parse_retry_after),
        [b"120", b"Fri, 20 Nov 2026 10:00:00 GMT"],
        covers=("adapters.http",),
    ),
    Parser(
        "link to the next page",
        Kind.TEXT,
        readers.of_header(lambda text: _link({"link": text})),
        [b'<https://a.test/o?page=2>; rel="next", <https://a.test/o?page=9>; rel="last"'],
        covers=(CHANNELS + "declared.declared_lists",),
        may_quote=True,
    ),
    Parser(
        "answer of Slack",
        Kind.TEXT,
        readers.from_slack,
        [b"invalid_blocks"],
        (NotDelivered,),
        ("adapters.slack",),
        accepts=False,
    ),
    Parser(
        "body: ask for a hold",
        JSON,
        readers.of_body(reservation_messages.ASK),
        samples.ASKS,
        (Problem,),
        ("onhand.services.problems", "onhand.services.reservation_messages"),
        may_quote=True,
    ),
    Parser(
        "body: keep a hold longer",
        JSON,
        readers.of_body(reservation_messages.EXTENSION),
        [b'{"ttl_seconds": 60}'],
        (Problem,),
    ),
    Parser(
        "body: commit a hold",
        JSON,
        readers.of_body(reservation_messages.COMMITMENT),
        [b'{"order_id": "1001"}'],
        (Problem,),
        may_quote=True,
    ),
    Parser(
        "token of a request",
        Kind.TEXT,
        readers.of_header(Tokens({"web": [("T", readers.SECRET)]}).channel_of),
        [b"Bearer abc, def"],
        covers=("onhand.services.tokens",),
    ),
    *FILE_PARSERS,
)
