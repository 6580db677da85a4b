"""An imitated Shopify."""
