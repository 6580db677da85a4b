"""The GraphQL operations that the Shopify adapter sends, as they go over the wire (Admin API 2026-10).

No field here holds personal data, and none may be added that does: a stock ledger needs no name.
Page sizes keep each operation under the vendor's 1,000 points for a single query.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Operation:
    name: str
    text: str
    writes: bool = False


MOST_POINTS = 1000
REFUNDS_IN_PAGE = 5
"""Refund ids that come with an order; an order with as many or more is asked again for all."""
REFUNDS_MOST = 250

_LINE = """
fragment Line on LineItem {
  id
  sku
  quantity
  currentQuantity
  unfulfilledQuantity
  nonFulfillableQuantity
  variant { inventoryItem { id } }
}
"""

_REFUND_LINE = """
fragment RefundLine on RefundLineItem {
  id
  quantity
  restockType
  restocked
  location { id }
  lineItem { id }
}
"""

_ORDER = (
    """
fragment Order on Order {
  id
  createdAt
  updatedAt
  cancelledAt
  cancelReason
  test
  refunds(first: 5) { id }
  lineItems(first: $lines) {
    pageInfo { hasNextPage endCursor }
    nodes { ...Line }
  }
}
"""
    + _LINE
)

PULL_ORDERS = Operation(
    "PullOrders",
    """
query PullOrders($query: String!, $first: Int!, $lines: Int!, $after: String) {
  orders(first: $first, after: $after, query: $query, sortKey: UPDATED_AT) {
    pageInfo { hasNextPage endCursor }
    nodes { ...Order }
  }
}
"""
    + _ORDER,
)

READ_ORDERS = Operation(
    "ReadOrders",
    """
query ReadOrders($ids: [ID!]!, $lines: Int!) {
  nodes(ids: $ids) {
    ... on Order { ...Order }
  }
}
"""
    + _ORDER,
)

ORDER_LINES = Operation(
    "OrderLines",
    """
query OrderLines($id: ID!, $first: Int!, $after: String) {
  order(id: $id) {
    refunds(first: 5) { id }
    lineItems(first: $first, after: $after) {
      pageInfo { hasNextPage endCursor }
      nodes { ...Line }
    }
  }
}
"""
    + _LINE,
)

ORDER_REFUNDS = Operation(
    "OrderRefunds",
    """
query OrderRefunds($id: ID!) {
  order(id: $id) { refunds(first: 250) { id } }
}
""",
)

REFUNDS = Operation(
    "Refunds",
    """
query Refunds($ids: [ID!]!, $first: Int!) {
  nodes(ids: $ids) {
    ... on Refund {
      id
      processedAt
      refundLineItems(first: $first) {
        pageInfo { hasNextPage endCursor }
        nodes { ...RefundLine }
      }
    }
  }
}
"""
    + _REFUND_LINE,
)

REFUND_LINES = Operation(
    "RefundLines",
    """
query RefundLines($id: ID!, $first: Int!, $after: String) {
  refund(id: $id) {
    refundLineItems(first: $first, after: $after) {
      pageInfo { hasNextPage endCursor }
      nodes { ...RefundLine }
    }
  }
}
"""
    + _REFUND_LINE,
)

READ_QUANTITIES = Operation(
    "ReadQuantities",
    """
query ReadQuantities($ids: [ID!]!, $location: ID!) {
  nodes(ids: $ids) {
    ... on InventoryItem {
      id
      tracked
      variants(first: 3) {
        pageInfo { hasNextPage }
        nodes { inventoryPolicy }
      }
      inventoryLevel(locationId: $location) {
        quantities(names: ["available"]) { name quantity }
      }
    }
  }
}
""",
)

READ_LOCATIONS = Operation(
    "ReadLocations",
    """
query ReadLocations($id: ID!, $first: Int!, $after: String) {
  inventoryItem(id: $id) {
    inventoryLevels(first: $first, after: $after) {
      pageInfo { hasNextPage endCursor }
      nodes {
        location { id }
        quantities(names: ["available", "on_hand", "committed"]) { name quantity }
      }
    }
  }
}
""",
)

READ_CATALOGUE = Operation(
    "ReadCatalogue",
    """
query ReadCatalogue($first: Int!, $after: String, $location: ID!) {
  productVariants(first: $first, after: $after) {
    pageInfo { hasNextPage endCursor }
    nodes {
      id
      sku
      displayName
      inventoryPolicy
      product { status publishedAt }
      inventoryItem {
        id
        tracked
        inventoryLevel(locationId: $location) {
          isActive
          quantities(names: ["available"]) { name quantity }
        }
      }
    }
  }
}
""",
)

READ_LOCATION = Operation(
    "ReadLocation",
    """
query ReadLocation($id: ID!) {
  location(id: $id) { id fulfillsOnlineOrders }
}
""",
)

READ_POLICIES = Operation(
    "ReadPolicies",
    """
query ReadPolicies($ids: [ID!]!) {
  nodes(ids: $ids) {
    ... on InventoryItem {
      id
      tracked
      variants(first: 3) {
        pageInfo { hasNextPage }
        nodes { id inventoryPolicy product { id } }
      }
    }
  }
}
""",
)

EDIT_LOCATION = Operation(
    "EditLocation",
    """
mutation EditLocation($id: ID!, $input: LocationEditInput!) {
  locationEdit(id: $id, input: $input) {
    location { id fulfillsOnlineOrders }
    userErrors { field message code }
  }
}
""",
    writes=True,
)

SET_POLICIES = Operation(
    "SetPolicies",
    """
mutation SetPolicies($product: ID!, $variants: [ProductVariantsBulkInput!]!) {
  productVariantsBulkUpdate(productId: $product, variants: $variants) {
    productVariants { id inventoryPolicy }
    userErrors { field message code }
  }
}
""",
    writes=True,
)

SET_QUANTITIES = Operation(
    "SetQuantities",
    """
mutation SetQuantities($input: InventorySetQuantitiesInput!, $key: String!) {
  inventorySetQuantities(input: $input) @idempotent(key: $key) {
    inventoryAdjustmentGroup { id }
    userErrors { field message code }
  }
}
""",
    writes=True,
)


def pull_cost(orders: int, lines: int) -> int:
    """Points that PULL_ORDERS asks for with these page sizes: a line has three objects."""
    return 2 + orders * (1 + REFUNDS_IN_PAGE + 2 + lines * 3)


OPERATIONS = (
    PULL_ORDERS,
    READ_ORDERS,
    ORDER_LINES,
    ORDER_REFUNDS,
    REFUNDS,
    REFUND_LINES,
    READ_QUANTITIES,
    READ_LOCATIONS,
    READ_CATALOGUE,
    READ_LOCATION,
    READ_POLICIES,
    EDIT_LOCATION,
    SET_POLICIES,
    SET_QUANTITIES,
)
