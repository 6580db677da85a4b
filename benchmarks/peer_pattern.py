"""How open-source shops reserve, as a pattern: one transaction a request; for each line its stock row is read and
locked through an ORM, the live holds are summed, and a hold is inserted. Not any project's code, and less than any of
them does: no rules, no events, no choice of a location. No idempotency, no movements, no outbox either.
"""

from datetime import datetime, timedelta

from sqlalchemy import Engine, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column


class Base(DeclarativeBase):
    pass


class PeerStock(Base):
    __tablename__ = "peer_stock"
    sku: Mapped[str] = mapped_column(primary_key=True)
    quantity: Mapped[int]


class PeerHold(Base):
    __tablename__ = "peer_hold"
    id: Mapped[int] = mapped_column(primary_key=True)
    request: Mapped[str] = mapped_column(index=True)
    sku: Mapped[str] = mapped_column(index=True)
    quantity: Mapped[int]
    expires_at: Mapped[datetime]


def reserve_as_peers(
    engine: Engine, key: str, lines: tuple[tuple[str, int], ...], now: datetime, ttl: timedelta
) -> bool:
    """All lines, or none and False."""
    with Session(engine) as session, session.begin():
        for sku, units in sorted(lines):
            stock = session.execute(select(PeerStock).where(PeerStock.sku == sku).with_for_update()).scalar_one()
            held = session.execute(
                select(func.coalesce(func.sum(PeerHold.quantity), 0)).where(
                    PeerHold.sku == sku, PeerHold.expires_at > now.replace(tzinfo=None)
                )
            ).scalar_one()
            if stock.quantity - held < units:
                session.rollback()
                return False
            expires = now.replace(tzinfo=None) + ttl
            session.add(PeerHold(request=key, sku=sku, quantity=units, expires_at=expires))
            session.flush()
    return True
