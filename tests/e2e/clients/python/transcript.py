"""Drives the Python drivers through everything an application does with a shop, and prints what they saw.

The connection comes from libpq's environment variables. Run against the server and through the gateway, the
two transcripts must be equal.
"""

import asyncio
import datetime
import decimal
import json
import os
import ssl
import sys

import asyncpg
import pg8000.dbapi
import psycopg
import psycopg2
import sqlalchemy
from psycopg import sql

transcript = {}


def show(value):
    if isinstance(value, (list, tuple)):
        return [show(v) for v in value]
    if isinstance(value, (datetime.datetime, datetime.date, decimal.Decimal)):
        return str(value)
    if isinstance(value, (bytes, memoryview)):
        return bytes(value).hex()
    return value


def check(name):
    def run(function):
        try:
            transcript[name] = show(function())
        except Exception as error:  # the error is the transcript
            code = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
            transcript[name] = {"error": type(error).__name__, "code": code, "text": str(error)}
        return function

    return run


def dsn():
    return "sslmode=" + os.environ.get("PGSSLMODE", "prefer")


READS = "SELECT id, name, city, created_at FROM customers WHERE id <= %s ORDER BY id"


def psycopg3():
    connection = psycopg.connect(dsn(), autocommit=True)

    @check("psycopg3 text")
    def _():
        return connection.execute(READS, [3]).fetchall()

    @check("psycopg3 binary")
    def _():
        return connection.cursor(binary=True).execute(READS, [3]).fetchall()

    @check("psycopg3 prepared")
    def _():
        return [connection.execute(READS, [n], prepare=True).fetchall() for n in (1, 2, 3)]

    @check("psycopg3 types")
    def _():
        return connection.execute(
            "SELECT 1::int2, 2::int8, 1.5::float8, 'x'::text, NULL, '{1,2}'::int[], '{\"a\":1}'::jsonb,"
            " '\\x00ff'::bytea, true, '2026-01-02'::date, interval '1 day', '10.0.0.1'::inet,"
            " '00000000-0000-0000-0000-000000000001'::uuid::text"
        ).fetchall()[0][0:5]

    @check("psycopg3 transaction")
    def _():
        with connection.transaction():
            connection.execute("UPDATE orders SET note = 'a' WHERE id = 1")
            inner = connection.execute("SELECT note FROM orders WHERE id = 1").fetchone()
            try:
                with connection.transaction():
                    connection.execute("UPDATE orders SET note = 'b' WHERE id = 1")
                    raise RuntimeError
            except RuntimeError:
                pass
            outer = connection.execute("SELECT note FROM orders WHERE id = 1").fetchone()
            connection.execute("UPDATE orders SET note = NULL WHERE id = 1")
        return [inner, outer]

    @check("psycopg3 pipeline")
    def _():
        with connection.pipeline():
            cursors = [connection.execute("SELECT %s::int + 1", [n]) for n in range(20)]
        return [c.fetchone() for c in cursors]

    @check("psycopg3 pipeline error")
    def _():
        seen = []
        try:
            with connection.pipeline():
                one = connection.execute("SELECT 1")
                connection.execute("SELECT * FROM no_such_table")
                connection.execute("SELECT 3")
        except psycopg.Error as error:
            seen.append(error.sqlstate)
        seen.append(connection.execute("SELECT 'alive'").fetchone())
        return seen

    @check("psycopg3 executemany")
    def _():
        connection.execute("CREATE TEMP TABLE many (id int, v text)")
        cursor = connection.cursor()
        cursor.executemany("INSERT INTO many VALUES (%s, %s)", [(n, str(n)) for n in range(500)])
        return connection.execute("SELECT count(*), sum(id) FROM many").fetchone()

    @check("psycopg3 server-side cursor")
    def _():
        with connection.transaction():
            with connection.cursor(name="orders_cursor") as cursor:
                cursor.itersize = 100
                cursor.execute("SELECT id, status FROM orders ORDER BY id")
                rows = [row for row in cursor]
                return [len(rows), rows[0], rows[-1]]

    @check("psycopg3 copy out")
    def _():
        with connection.cursor().copy("COPY (SELECT id, name FROM customers WHERE id < 4 ORDER BY id) TO STDOUT") as copy:
            return [bytes(block).decode() for block in copy]

    @check("psycopg3 copy out binary")
    def _():
        query = "COPY (SELECT id, status FROM orders WHERE id < 4 ORDER BY id) TO STDOUT (FORMAT binary)"
        with connection.cursor().copy(query) as copy:
            copy.set_types(["int4", "text"])
            return list(copy.rows())

    @check("psycopg3 copy in")
    def _():
        connection.execute("CREATE TEMP TABLE copied (id int, v text)")
        with connection.cursor().copy("COPY copied FROM STDIN") as copy:
            for n in range(1000):
                copy.write_row((n, f"row {n}\twith tab"))
        return connection.execute("SELECT count(*), max(v) FROM copied").fetchone()

    @check("psycopg3 copy in error")
    def _():
        try:
            with connection.cursor().copy("COPY copied FROM STDIN") as copy:
                copy.write(b"not a number\tx\n")
        except psycopg.Error as error:
            return [error.sqlstate, connection.execute("SELECT 'alive'").fetchone()]

    @check("psycopg3 errors")
    def _():
        seen = []
        for text in ["SELECT 1/0", "SELEC 1", "SELECT nope FROM customers", "SELECT 'x'::int"]:
            try:
                connection.execute(text)
            except psycopg.Error as error:
                # The gateway refuses unreadable text itself, and knows no position in it.
                text = str(error).split("\n")[0] if error.sqlstate == "42601" else str(error)
                seen.append([error.sqlstate, text])
        return seen

    @check("psycopg3 notices")
    def _():
        seen = []
        connection.add_notice_handler(lambda notice: seen.append(notice.message_primary))
        connection.execute("DROP TABLE IF EXISTS no_such_table_at_all")
        return seen

    @check("psycopg3 multi-statement")
    def _():
        cursor = connection.execute("SELECT 1; SELECT 2; SELECT 3")
        seen = [cursor.fetchall()]
        while cursor.nextset():
            seen.append(cursor.fetchall())
        return seen

    @check("psycopg3 cancel")
    def _():
        import threading

        timer = threading.Timer(0.5, connection.cancel)
        timer.start()
        try:
            connection.execute("SELECT pg_sleep(20)")
        except psycopg.Error as error:
            return error.sqlstate
        finally:
            timer.cancel()

    @check("psycopg3 large value")
    def _():
        return connection.execute("SELECT length(%s::text)", ["x" * 3_000_000]).fetchone()

    connection.close()


def others():
    @check("psycopg2")
    def _():
        connection = psycopg2.connect(dsn())
        cursor = connection.cursor()
        cursor.execute(READS, [3])
        rows = cursor.fetchall()
        with connection.cursor(name="named") as named:
            named.execute("SELECT id FROM orders ORDER BY id LIMIT 250")
            count = len(named.fetchall())
        connection.rollback()
        connection.close()
        return [rows, count]

    @check("psycopg2 large object")
    def _():
        connection = psycopg2.connect(dsn())
        large = connection.lobject(0, "wb")
        large.write(b"some bytes \x00\x01" * 10_000)
        large.close()
        large = connection.lobject(large.oid, "rwb")
        large.seek(10)
        seen = [large.read(20), large.tell(), large.seek(0, 2), len(large.read())]
        large.truncate(17)
        seen += [large.seek(0, 2), large.unlink()]
        connection.rollback()
        connection.close()
        return seen

    @check("pg8000")
    def _():
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        connection = pg8000.dbapi.connect(
            host=os.environ["PGHOST"],
            port=int(os.environ["PGPORT"]),
            user=os.environ["PGUSER"],
            password=os.environ["PGPASSWORD"],
            database=os.environ["PGDATABASE"],
            ssl_context=context if os.environ.get("PGSSLMODE") == "require" else None,
        )
        cursor = connection.cursor()
        cursor.execute(READS, (3,))
        rows = cursor.fetchall()
        connection.close()
        return rows

    @check("sqlalchemy")
    def _():
        engine = sqlalchemy.create_engine("postgresql+psycopg://")
        inspector = sqlalchemy.inspect(engine)
        tables = sorted(inspector.get_table_names())
        columns = [c["name"] for c in inspector.get_columns("customers")]
        keys = inspector.get_foreign_keys("orders")
        with engine.connect() as connection:
            rows = connection.execute(sqlalchemy.text("SELECT id, city FROM customers WHERE id < :n ORDER BY id"), {"n": 3})
            return [tables, columns, [k["referred_table"] for k in keys], [tuple(r) for r in rows]]


async def asyncpg_driver():
    mode = os.environ.get("PGSSLMODE", "prefer")
    connection = await asyncpg.connect(ssl="require" if mode == "require" else "prefer")
    try:
        rows = await connection.fetch("SELECT id, name, created_at FROM customers WHERE id <= $1 ORDER BY id", 3)
        transcript["asyncpg fetch"] = show([tuple(r) for r in rows])
        statement = await connection.prepare("SELECT $1::int + $2::int AS sum, $3::text AS t")
        transcript["asyncpg prepared"] = [show(tuple(await statement.fetchrow(n, 1, "x"))) for n in range(5)]
        async with connection.transaction():
            seen = []
            async for row in connection.cursor("SELECT id FROM orders ORDER BY id", prefetch=50):
                seen.append(row["id"])
                if len(seen) == 120:
                    break
            transcript["asyncpg cursor"] = [len(seen), seen[-1]]
        await connection.execute("CREATE TEMP TABLE apg (id int, v text)")
        await connection.copy_records_to_table("apg", records=[(n, str(n)) for n in range(200)])
        transcript["asyncpg copy in"] = show(tuple(await connection.fetchrow("SELECT count(*), sum(id) FROM apg")))
        await connection.executemany("INSERT INTO apg VALUES ($1, $2)", [(n, "y") for n in range(100)])
        transcript["asyncpg executemany"] = await connection.fetchval("SELECT count(*) FROM apg")
        try:
            await connection.fetch("SELECT * FROM no_such_table")
        except asyncpg.PostgresError as error:
            transcript["asyncpg error"] = [error.sqlstate, str(error)]
        try:
            await asyncio.wait_for(connection.fetch("SELECT pg_sleep(20)"), 0.5)
        except asyncio.TimeoutError:
            transcript["asyncpg timeout"] = await connection.fetchval("SELECT 'alive'")
    finally:
        await connection.close()


psycopg3()
others()
asyncio.run(asyncpg_driver())
json.dump(transcript, sys.stdout, indent=1, sort_keys=True, default=str)
