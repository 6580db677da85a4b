"""`onhand up`: the embedded stack until somebody stops it."""

from rich.console import Console

from onhand.stack import Stack, interruptible


def run_up(*, shops: bool = True, deploy: bool = True) -> int:
    """Start the stack, say where it is, and wait; 0 after a wish to stop, 1 when it could not go on."""
    console = Console()
    stack = Stack(
        shops=("shopify", "woocommerce") if shops else (),
        deploy=deploy,
        progress=lambda line: console.print(f"  {line}", markup=False, highlight=False),
    )
    with interruptible(), stack:
        console.print(f"\nonhand is up: {stack.ui_url}  (Ctrl-C stops it)\n", highlight=False)
        for name, shop in stack.shops.items():
            console.print(f"  {name:<14} {shop.url}", highlight=False)
        console.print(f"  {'logs':<14} {stack.logs}\n", highlight=False)
        stack.wait()
    return 1 if stack.failure else 0
