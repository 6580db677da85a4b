"""The part of Shopify's Admin GraphQL that the sandbox serves: our own small schema, a subset of the vendor's.

It also has fields with personal data, as the vendor has, so that a test can show that nobody asks for them.
"""

SDL = """
directive @idempotent(key: String!) on FIELD
scalar DateTime
enum OrderSortKeys { CREATED_AT ID UPDATED_AT }
enum OrderCancelReason { CUSTOMER DECLINED FRAUD INVENTORY OTHER STAFF }
enum RefundLineItemRestockType { CANCEL LEGACY_RESTOCK NO_RESTOCK RETURN }
enum ProductVariantInventoryPolicy { CONTINUE DENY }
interface Node { id: ID! }
type PageInfo { endCursor: String hasNextPage: Boolean! }
enum ProductStatus { ACTIVE ARCHIVED DRAFT UNLISTED }
type Location implements Node {
  id: ID!
  fulfillsOnlineOrders: Boolean!
  isActive: Boolean!
  isFulfillmentService: Boolean!
}
type Product implements Node { id: ID! title: String! status: ProductStatus! publishedAt: DateTime }
type Customer { displayName: String! email: String phone: String }
type MailingAddress { name: String address1: String phone: String }
type ProductVariant implements Node {
  id: ID!
  sku: String
  displayName: String!
  inventoryPolicy: ProductVariantInventoryPolicy!
  inventoryItem: InventoryItem!
  product: Product!
}
type ProductVariantConnection { nodes: [ProductVariant!]! pageInfo: PageInfo! }
type InventoryQuantity { name: String! quantity: Int! }
type InventoryLevel implements Node {
  id: ID!
  isActive: Boolean!
  location: Location!
  quantities(names: [String!]!): [InventoryQuantity!]!
}
type InventoryLevelConnection { nodes: [InventoryLevel!]! pageInfo: PageInfo! }
type InventoryItem implements Node {
  id: ID!
  sku: String
  tracked: Boolean!
  variants(first: Int, after: String): ProductVariantConnection
  inventoryLevel(locationId: ID!): InventoryLevel
  inventoryLevels(first: Int, after: String): InventoryLevelConnection!
}
type LineItem implements Node {
  id: ID!
  sku: String
  title: String!
  quantity: Int!
  currentQuantity: Int!
  unfulfilledQuantity: Int!
  nonFulfillableQuantity: Int!
  variant: ProductVariant
}
type LineItemConnection { nodes: [LineItem!]! pageInfo: PageInfo! }
type RefundLineItem {
  id: ID
  quantity: Int!
  restockType: RefundLineItemRestockType!
  restocked: Boolean!
  location: Location
  lineItem: LineItem!
}
type RefundLineItemConnection { nodes: [RefundLineItem!]! pageInfo: PageInfo! }
type Refund implements Node {
  id: ID!
  createdAt: DateTime
  processedAt: DateTime!
  note: String
  refundLineItems(first: Int, after: String): RefundLineItemConnection!
}
type Order implements Node {
  id: ID!
  name: String!
  createdAt: DateTime!
  updatedAt: DateTime!
  cancelledAt: DateTime
  cancelReason: OrderCancelReason
  test: Boolean!
  email: String
  phone: String
  note: String
  customer: Customer
  shippingAddress: MailingAddress
  lineItems(first: Int, after: String): LineItemConnection!
  refunds(first: Int): [Refund!]!
}
type OrderConnection { nodes: [Order!]! pageInfo: PageInfo! }
enum InventorySetQuantitiesUserErrorCode {
  CHANGE_FROM_QUANTITY_STALE
  IDEMPOTENCY_CONCURRENT_REQUEST
  IDEMPOTENCY_KEY_PARAMETER_MISMATCH
  IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED
  INVALID_INVENTORY_ITEM
  INVALID_LOCATION
  INVALID_NAME
  INVALID_QUANTITY_NEGATIVE
  INVALID_QUANTITY_TOO_HIGH
  INVALID_REASON
  INVALID_REFERENCE_DOCUMENT
  NO_DUPLICATE_INVENTORY_ITEM_ID_GROUP_ID_PAIR
}
input InventoryQuantityInput { changeFromQuantity: Int inventoryItemId: ID! locationId: ID! quantity: Int! }
input InventorySetQuantitiesInput {
  name: String!
  quantities: [InventoryQuantityInput!]!
  reason: String!
  referenceDocumentUri: String
}
type InventoryAdjustmentGroup implements Node { id: ID! reason: String! referenceDocumentUri: String }
type InventorySetQuantitiesUserError {
  code: InventorySetQuantitiesUserErrorCode
  field: [String!]
  message: String!
}
type InventorySetQuantitiesPayload {
  inventoryAdjustmentGroup: InventoryAdjustmentGroup
  userErrors: [InventorySetQuantitiesUserError!]!
}
input LocationEditInput { fulfillsOnlineOrders: Boolean name: String }
enum LocationEditUserErrorCode {
  CANNOT_DISABLE_ONLINE_ORDER_FULFILLMENT
  CANNOT_MODIFY_ONLINE_ORDER_FULFILLMENT_FOR_FS_LOCATION
  NOT_FOUND
}
type LocationEditUserError { code: LocationEditUserErrorCode field: [String!] message: String! }
type LocationEditPayload { location: Location userErrors: [LocationEditUserError!]! }
input ProductVariantsBulkInput { id: ID inventoryPolicy: ProductVariantInventoryPolicy }
enum ProductVariantsBulkUpdateUserErrorCode { PRODUCT_DOES_NOT_EXIST PRODUCT_VARIANT_DOES_NOT_EXIST }
type ProductVariantsBulkUpdateUserError {
  code: ProductVariantsBulkUpdateUserErrorCode
  field: [String!]
  message: String!
}
type ProductVariantsBulkUpdatePayload {
  productVariants: [ProductVariant!]
  userErrors: [ProductVariantsBulkUpdateUserError!]!
}
type QueryRoot {
  orders(first: Int, after: String, query: String, sortKey: OrderSortKeys): OrderConnection!
  order(id: ID!): Order
  refund(id: ID!): Refund
  inventoryItem(id: ID!): InventoryItem
  location(id: ID): Location
  productVariants(first: Int, after: String): ProductVariantConnection!
  nodes(ids: [ID!]!): [Node]!
}
type Mutation {
  inventorySetQuantities(input: InventorySetQuantitiesInput!): InventorySetQuantitiesPayload
  locationEdit(id: ID!, input: LocationEditInput!): LocationEditPayload
  productVariantsBulkUpdate(
    productId: ID!
    variants: [ProductVariantsBulkInput!]!
    allowPartialUpdates: Boolean
  ): ProductVariantsBulkUpdatePayload
}
schema { query: QueryRoot mutation: Mutation }
"""
