"""Of the list in `parsers.py`: those of tables, feeds and files of settings, and of what people write into a field."""

from collections.abc import Sequence
from functools import partial

import parser_readers as readers
import parser_samples as samples
from parser_mutations import Kind
from parser_readers import Parser

from adapters import count_csv, export_csv, history_csv, seller_csv
from adapters.alert_targets import AlertFileError, read_targets
from adapters.channels.registry import ChannelFileError, read_channels
from adapters.raci_file import RaciError, read_raci
from adapters.sandbox.order_csv import TraceError
from adapters.suppliers.feed_content import FeedError
from adapters.suppliers.supplier_config import SupplierFileError, read_suppliers
from inventory.health import health_limits
from inventory.policies import policy_file, policy_text
from inventory.replaying import outage_pattern
from tasks.goods import expect, move_between, receive, take_back, write_off
from tasks.onboarding import load_items, map_listings, open_stock
from tasks.reconciling import compare_warehouse
from tasks.selling import ship

JSON = Kind.JSON
CHANNELS = "adapters.channels."
TABLES = {
    "items": (load_items.ITEM_COLUMNS, load_items.ITEM_OPTIONAL, load_items.__name__),
    "bundles": (load_items.BUNDLE_COLUMNS, (), load_items.__name__),
    "aliases": (load_items.ALIAS_COLUMNS, (), load_items.__name__),
    "listings": (map_listings.COLUMNS, map_listings.OPTIONAL, map_listings.__name__),
    "balances": (open_stock.COLUMNS, (), open_stock.__name__),
    "warehouse": (compare_warehouse.COLUMNS, compare_warehouse.OPTIONAL, compare_warehouse.__name__),
    "expected": (expect.EXPECTED_COLUMNS, expect.EXPECTED_OPTIONAL, expect.__name__),
    "receipts": (receive.RECEIPT_COLUMNS, receive.RECEIPT_OPTIONAL, receive.__name__),
    "returns": (take_back.ARRIVED_COLUMNS, take_back.ARRIVED_OPTIONAL, take_back.__name__),
    "inspections": (take_back.INSPECTED_COLUMNS, take_back.INSPECTED_OPTIONAL, take_back.__name__),
    "shipments": (ship.COLUMNS, ship.OPTIONAL, ship.__name__),
    "transfers": (move_between.COLUMNS, (), move_between.__name__),
    "write-offs": (write_off.COLUMNS, (), write_off.__name__),
}

FILE_PARSERS: Sequence[Parser] = (
    *(
        Parser(
            f"table of {name}",
            Kind.CSV,
            readers.of_table(required, optional),
            [readers.csv_of((*required, *optional))],
            (seller_csv.CsvError,),
            (
                module,
                "adapters.seller_csv",
                "expectations.cells",
                "expectations.seller_frames",
                "inventory.counting.item_costs",
            ),
            may_quote=True,
        )
        for name, (required, optional, module) in TABLES.items()
    ),
    Parser(
        "table that was pasted",
        Kind.CSV,
        readers.of_text(readers.pasted),
        [b"sku,quantity\nA,2\n"],
        (seller_csv.CsvError,),
        ("adapters.seller_csv",),
        may_quote=True,
    ),
    Parser(
        "count sheet",
        Kind.CSV,
        readers.count_sheet,
        [readers.csv_of(count_csv.COLUMNS)],
        (seller_csv.CsvError,),
        ("adapters.count_csv", "tasks.counting.take_counts"),
        may_quote=True,
    ),
    Parser(
        "order history",
        Kind.CSV,
        readers.by_file(partial(history_csv.read_history, shares=[1.0, 1.0]), ".csv"),
        [samples.ORDERS_CSV],
        (TraceError,),
        ("adapters.history_csv", "adapters.sandbox.order_csv"),
    ),
    Parser(
        "export of a channel",
        Kind.CSV,
        readers.by_file(export_csv.read_export, ".csv"),
        [samples.EXPORT_CSV],
        (export_csv.ExportError,),
        ("adapters.export_csv",),
        may_quote=True,
    ),
    Parser(
        "feed of a supplier as CSV",
        Kind.TEXT,
        readers.of_feed(readers.CSV_FEED),
        [samples.FEED_CSV],
        (FeedError,),
        ("adapters.suppliers.feed_csv", "adapters.suppliers.feed_source", "adapters.suppliers.feed_content"),
        may_quote=True,
    ),
    Parser(
        "feed of a supplier as JSON",
        JSON,
        readers.of_feed(readers.JSON_FEED),
        [samples.FEED_JSON],
        (FeedError,),
        ("adapters.suppliers.feed_json",),
        may_quote=True,
    ),
    Parser(
        "feed of a supplier as XML",
        Kind.XML,
        readers.of_feed(readers.XML_FEED),
        [samples.FEED_XML],
        (FeedError,),
        ("adapters.suppliers.feed_xml",),
        may_quote=True,
    ),
    Parser(
        "cells of the gate",
        JSON,
        readers.of_json(readers.gate_cells),
        [samples.as_json(samples.AMAZON_LISTING)],
        covers=("expectations.cells",),
        may_quote=True,
    ),
    Parser(
        "channels.toml",
        Kind.TOML,
        readers.by_file(read_channels, ".toml"),
        [samples.CHANNELS, samples.PORTAL],
        (ChannelFileError,),
        (CHANNELS + "registry", CHANNELS + "http_config"),
        may_quote=True,
    ),
    Parser(
        "suppliers.toml",
        Kind.TOML,
        readers.by_file(read_suppliers, ".toml"),
        [samples.SUPPLIERS],
        (SupplierFileError,),
        ("adapters.suppliers.supplier_config",),
        may_quote=True,
    ),
    Parser(
        "raci.toml",
        Kind.TOML,
        readers.by_file(read_raci, ".toml"),
        [samples.RACI],
        (RaciError,),
        ("adapters.raci_file",),
        may_quote=True,
    ),
    Parser(
        "alerts.toml",
        Kind.TOML,
        readers.by_file(partial(read_targets, webhook_is_set=True), ".toml"),
        [samples.ALERTS],
        (AlertFileError,),
        ("adapters.alert_targets",),
        may_quote=True,
    ),
    Parser(
        "policy.toml",
        Kind.TOML,
        readers.of_text(policy_file.parse_policy_file),
        [samples.POLICY],
        (policy_file.PolicyFileError,),
        ("inventory.policies.policy_file",),
        may_quote=True,
    ),
    Parser(
        "policies in words",
        Kind.TEXT,
        readers.of_text(policy_text.parse_policies),
        [b"mirror,strict,calibrated:0.001+cap:5"],
        (policy_text.PolicyError,),
        ("inventory.policies.policy_text",),
        may_quote=True,
    ),
    Parser(
        "outages in words",
        Kind.TEXT,
        readers.of_text(partial(outage_pattern.parse_pattern, channels=4)),
        [b"channel=2,weekday=thu,from=10:00,to=16:00;channel=1,date=2011-11-17"],
        (outage_pattern.OutageError,),
        ("inventory.replaying.outage_pattern",),
        may_quote=True,
    ),
    Parser(
        "limits in words",
        Kind.TEXT,
        readers.of_text(health_limits.parse_limits),
        [b"amazon=2.5/7, portal=1/30"],
        (health_limits.LimitError,),
        ("inventory.health.health_limits",),
        may_quote=True,
    ),
)
